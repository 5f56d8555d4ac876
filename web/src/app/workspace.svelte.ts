// What the app holds while it is open: the detectors, the images that were tried and the verdicts of each detector, and
// the thresholds looked at. It survives going from page to page; nothing of it is stored.
import { SvelteMap } from "svelte/reactivity";
import { type DetectorDetails, type DetectorSummary, type Explanation, type Failure, ServerError, details, detectors, explain } from "../api/client";
import { type Given, MOST } from "./files";

/** The verdict of a detector on an image, as far as it is known. */
export type Told = { state: "waiting" } | { state: "asked" } | { state: "told"; explanation: Explanation } | { state: "failed"; failure: Failure; /** Not for what the image is: it may be asked about again. */ again: boolean };

/** An image that was given to the app. */
export class Tried {
  readonly told = new SvelteMap<string, Told>();
  constructor(readonly id: number, readonly name: string, readonly file: Blob) {}

  of(detector: string): Told {
    return this.told.get(detector) ?? { state: "waiting" };
  }

  explanation(detector: string): Explanation | null {
    const told = this.of(detector);
    return told.state === "told" ? told.explanation : null;
  }
}

/** Images that are asked about at a time. */
const AT_A_TIME = 2;

class Workspace {
  version: string = $state("");
  detectors: DetectorSummary[] = $state.raw([]);
  /** The detector that judges, by its name. */
  detector: string = $state("");
  byAll: boolean = $state(false);
  readonly details = new SvelteMap<string, DetectorDetails>();
  readonly thresholds = new SvelteMap<string, number>();
  readonly pixelThresholds = new SvelteMap<string, number>();
  tried: Tried[] = $state.raw([]);
  /** Position of the image that is shown. */
  at: number = $state(0);
  needsKey: boolean = $state(false);
  trouble: ServerError | null = $state.raw(null);
  /** More was given than is taken in one go. */
  tooMany: boolean = $state(false);

  private next = 1;
  private asking = 0;

  get current(): Tried | undefined {
    return this.tried[this.at];
  }

  get known(): DetectorDetails | undefined {
    return this.details.get(this.detector);
  }

  /** Names of the detectors that are to judge. */
  get judges(): string[] {
    return this.byAll ? this.detectors.map((one) => one.name) : [this.detector];
  }

  threshold(detector: string): number {
    return this.thresholds.get(detector) ?? this.details.get(detector)?.threshold ?? 0;
  }

  pixelThreshold(detector: string): number {
    return this.pixelThresholds.get(detector) ?? this.details.get(detector)?.pixel_threshold ?? 0;
  }

  /** Asks the server what it serves. */
  async open(): Promise<void> {
    await this.guarded(async () => {
      const list = await detectors();
      this.version = list.aberra_version;
      this.detectors = list.detectors;
      if (!list.detectors.some((one) => one.name === this.detector)) this.detector = list.detectors[0]?.name ?? "";
      for (const one of list.detectors) this.details.set(one.name, await details(one.name));
      this.needsKey = false;
      this.judge();
    });
  }

  add(files: readonly Given[]): void {
    this.tooMany = files.length > MOST;
    if (files.length === 0) return;
    const first = this.tried.length;
    this.tried = [...this.tried, ...files.slice(0, MOST).map(({ name, file }) => new Tried(this.next++, name, file))];
    this.at = first;
    this.judge();
  }

  remove(at: number): void {
    this.tried = this.tried.filter((_, index) => index !== at);
    if (this.at > at || this.at >= this.tried.length) this.at = Math.max(0, this.at - 1);
  }

  clear(): void {
    this.tooMany = false;
    this.tried = [];
    this.at = 0;
  }

  choose(detector: string): void {
    this.detector = detector;
    this.judge();
  }

  chooseAll(all: boolean): void {
    this.byAll = all;
    this.judge();
  }

  /** Asks again about every image that failed for want of an answer. */
  again(): void {
    for (const tried of this.tried) {
      for (const [detector, told] of tried.told) if (told.state === "failed" && told.again) tried.told.delete(detector);
    }
    this.judge();
  }

  /** Asks about images that nobody has been asked about, a few at a time, the one that is shown first. */
  judge(): void {
    while (this.asking < AT_A_TIME && !this.needsKey) {
      const next = this.waiting();
      if (next === undefined) return;
      const [tried, detector] = next;
      tried.told.set(detector, { state: "asked" });
      this.asking += 1;
      void this.ask(tried, detector).finally(() => {
        this.asking -= 1;
        this.judge();
      });
    }
  }

  /** Runs `work`; a missing key is asked for, other trouble is shown. */
  async guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.trouble = null;
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      if (error.status === 401) this.needsKey = true;
      else this.trouble = error;
    }
  }

  private waiting(): [Tried, string] | undefined {
    const current = this.current;
    const order = current === undefined ? this.tried : [current, ...this.tried];
    for (const tried of order) {
      const detector = this.judges.find((name) => tried.of(name).state === "waiting");
      if (detector !== undefined && detector !== "") return [tried, detector];
    }
    return undefined;
  }

  private async ask(tried: Tried, detector: string): Promise<void> {
    try {
      const answer = await explain(detector, tried.file);
      tried.told.set(detector, "verdict" in answer ? { state: "told", explanation: answer } : { state: "failed", failure: answer, again: false });
    } catch (error) {
      const { status, message, hint } = error instanceof ServerError ? error : { status: 0, message: String(error), hint: null };
      if (status === 401) {
        this.needsKey = true;
        tried.told.delete(detector);
      } else tried.told.set(detector, { state: "failed", failure: { detail: message, hint }, again: status === 0 || status >= 500 });
    }
  }
}

/** The app's one workspace. */
export const workspace = new Workspace();
