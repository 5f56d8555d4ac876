// The volumes that were given to the app, and what each detector says of them. They are not kept over a reload: a volume is large.
import type { Given } from "../app/files";
import { workspace } from "../app/workspace.svelte";
import { type Answer, ServerError, volumes } from "./ask";
import { type Row, outcome, together } from "./rows";
import { type SeenVolume, fromAnswer } from "./seen";

type Told = { state: "asked" } | { state: "told"; answer: Answer } | { state: "failed"; detail: string; hint: string | null };

/** Files that were asked about together. */
interface Asked {
  id: number;
  files: Given[];
  told: Record<string, Told>;
  /** Names of volumes that were taken away, and of single images, which are among the images. */
  gone: string[];
}

export class GivenVolumes {
  asked: Asked[] = $state([]);
  /** Single images that were found among the files, and handed to the images. */
  images: number = $state(0);
  private next = 1;
  private asking: Promise<void> = Promise.resolve();

  add(files: readonly Given[]): void {
    this.asked.push(...together(files).map((some): Asked => ({ id: this.next++, files: some, told: {}, gone: [] })));
    this.judge();
  }

  /** Takes one volume away, by its number in the answer of a detector; without an answer, the files. */
  remove(detector: string, id: number, volume: number): void {
    const one = this.asked.find((asked) => asked.id === id);
    const told = one?.told[detector];
    if (told?.state === "told") one!.gone.push(told.answer.volumes[volume]?.name ?? "");
    if (told?.state !== "told" || this.isGone(one!, told.answer)) this.asked = this.asked.filter((asked) => asked.id !== id);
    this.count();
  }

  clear(): void {
    this.asked = [];
    this.images = 0;
    this.count();
  }

  /** Asks the current detector about what it was not asked about, one after another: the server takes volumes in turn. */
  judge(): void {
    const detector = workspace.detector;
    for (const one of this.asked.filter(({ told }) => told[detector] === undefined)) {
      one.told[detector] = { state: "asked" };
      this.asking = this.asking.then(() => this.ask(one.id, detector));
    }
    this.count();
  }

  /** Whether a request failed, which may be made again. */
  failed(detector: string): boolean {
    return this.asked.some(({ told }) => told[detector]?.state === "failed");
  }

  /** Asks again what failed for want of an answer. */
  again(): void {
    for (const { told } of this.asked) if (told[workspace.detector]?.state === "failed") delete told[workspace.detector];
    this.judge();
  }

  /** A row for each volume, and for what is not known yet. */
  rows(detector: string): Row[] {
    return this.asked.flatMap((one): Row[] => {
      const told = one.told[detector];
      const href = (volume: number) => `#inspect/volumes/${one.id}/${volume}`;
      const plain = { kind: undefined, score: null, p_value: null, worst: null, slices: 0 } as const;
      const name = one.files.length === 1 ? one.files[0]!.name : `${one.files[0]!.name} and ${one.files.length - 1} more`;
      if (told === undefined || told.state === "asked") return [{ ...plain, href: href(0), name, state: "waiting", note: "" }];
      if (told.state === "failed") return [{ ...plain, href: href(0), name, state: "failed", note: [told.detail, told.hint].filter(Boolean).join("; ") }];
      return told.answer.volumes.flatMap((result, i): Row[] => {
        const { volume } = result;
        if (one.gone.includes(result.name)) return [];
        if (volume == null) return [{ ...plain, href: href(i), name: result.name, state: "failed", note: [result.error?.detail, result.error?.hint].filter(Boolean).join("; ") }];
        return [{ ...plain, href: href(i), name: result.name, state: outcome(volume.anomalous ?? null, undefined), score: volume.score, p_value: volume.p_value ?? null, worst: volume.worst.slice, slices: volume.slices, note: "" }];
      });
    });
  }

  /** What was put together, dropped or left out, each once; how many volumes there are the rows show. */
  notes(detector: string): string[] {
    const all = this.asked.flatMap(({ told }) => {
      const one = told[detector];
      return one?.state === "told" ? one.answer.notes.filter((note) => !/^\d+ volumes? \(/.test(note)) : [];
    });
    return [...new Set(all)];
  }

  seen(detector: string, id: number, volume: number): SeenVolume | null {
    const one = this.asked.find((asked) => asked.id === id);
    const told = one?.told[detector];
    const result = told?.state === "told" ? told.answer.volumes[volume] : undefined;
    return result === undefined || one!.gone.includes(result.name) ? null : fromAnswer(result);
  }

  private isGone(one: Asked, answer: Answer): boolean {
    return answer.volumes.every((result) => one.gone.includes(result.name));
  }

  private count(): void {
    workspace.volumes = this.rows(workspace.detector).length;
  }

  private async ask(id: number, detector: string): Promise<void> {
    // A proxy of what is in the list: changes of it are seen.
    const one = this.asked.find((asked) => asked.id === id);
    if (one === undefined) return;
    try {
      const answer = await volumes(detector, one.files);
      one.told[detector] = { state: "told", answer };
      this.handOver(one, answer);
    } catch (error) {
      const { status, message, hint } = error instanceof ServerError ? error : { status: 0, message: String(error), hint: null };
      if (status === 401) {
        workspace.needsKey = true;
        delete one.told[detector];
      } else one.told[detector] = { state: "failed", detail: message, hint };
    }
    this.count();
  }

  /** Single images are judged as such, among the images. */
  private handOver(one: Asked, answer: Answer): void {
    const found = answer.volumes.filter((result) => result.is_image).map((result) => one.files.find((file) => file.name === result.name));
    const images = found.filter((file) => file !== undefined);
    if (images.length === 0 || !this.asked.includes(one)) return;
    one.gone.push(...images.map(({ name }) => name));
    one.files = one.files.filter((file) => !images.includes(file));
    this.images += images.length;
    const first = workspace.add(images);
    if (this.isGone(one, answer)) this.asked = this.asked.filter(({ id }) => id !== one.id);
    // Nothing is left to see here.
    const at = globalThis.location?.hash ?? "";
    if (this.asked.length === 0 && at.startsWith("#inspect/volumes")) location.hash = images.length === 1 && first !== undefined ? `#inspect/${first.id}` : "#inspect";
  }
}

export const given = new GivenVolumes();
