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
}

class GivenVolumes {
  asked: Asked[] = $state([]);
  private next = 1;
  private asking: Promise<void> = Promise.resolve();

  add(files: readonly Given[]): void {
    this.asked.push(...together(files).map((some): Asked => ({ id: this.next++, files: some, told: {} })));
    workspace.volumes = this.asked.length;
    this.judge();
  }

  remove(id: number): void {
    this.asked = this.asked.filter((one) => one.id !== id);
    workspace.volumes = this.asked.length;
  }

  clear(): void {
    this.asked = [];
    workspace.volumes = 0;
  }

  /** Asks the current detector about what it was not asked about, one after another: the server takes volumes in turn. */
  judge(): void {
    const detector = workspace.detector;
    for (const one of this.asked.filter(({ told }) => told[detector] === undefined)) {
      one.told[detector] = { state: "asked" };
      this.asking = this.asking.then(() => this.ask(one, detector));
    }
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
      return told.answer.volumes.map((result, i): Row => {
        const { volume } = result;
        if (volume == null) return { ...plain, href: href(i), name: result.name, state: "failed", note: [result.error?.detail, result.error?.hint].filter(Boolean).join("; ") };
        return { ...plain, href: href(i), name: result.name, state: outcome(volume.anomalous ?? null, undefined), score: volume.score, p_value: volume.p_value ?? null, worst: volume.worst.slice, slices: volume.slices, note: "" };
      });
    });
  }

  /** What was put together, dropped or left out; how many volumes there are the rows show. */
  notes(detector: string): string[] {
    return this.asked.flatMap(({ told }) => {
      const one = told[detector];
      return one?.state === "told" ? one.answer.notes.filter((note) => !/^\d+ volumes? \(/.test(note)) : [];
    });
  }

  seen(detector: string, id: number, volume: number): SeenVolume | null {
    const told = this.asked.find((one) => one.id === id)?.told[detector];
    const result = told?.state === "told" ? told.answer.volumes[volume] : undefined;
    return result === undefined ? null : fromAnswer(result);
  }

  private async ask(one: Asked, detector: string): Promise<void> {
    // A proxy of what is in the list: changes of it are seen.
    const kept = this.asked.find(({ id }) => id === one.id);
    if (kept === undefined) return;
    try {
      kept.told[detector] = { state: "told", answer: await volumes(detector, kept.files) };
    } catch (error) {
      const { message, hint } = error instanceof ServerError ? error : { message: String(error), hint: null };
      kept.told[detector] = { state: "failed", detail: message, hint };
    }
  }
}

export const given = new GivenVolumes();
