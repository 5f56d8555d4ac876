// What the app holds while it is open: the detectors, their evaluations, the images that were given and the verdicts of each
// detector. It survives going from page to page, and the images survive a reload (storage.ts).
import { untrack } from "svelte";
import { SvelteMap } from "svelte/reactivity";
import { type DetectorDetails, type DetectorSummary, type Evaluation, type Explanation, type Failure, ServerError, details, detectors, evaluation, explain } from "../api/client";
import { type Item, labelsFromFolders, selected } from "../numbers/gallery";
import { type Look, type Looked, lookedAtFirst } from "../numbers/look";
import { pValueOf } from "../numbers/promise";
import { isAnomalous } from "../numbers/verdicts";
import { thresholds } from "../state/thresholds.svelte";
import { type Given, MOST } from "./files";
import { drop, forget, keep, kept } from "./storage";

/** The verdict of a detector on an image, as far as it is known. */
export type Told = { state: "waiting" } | { state: "asked" } | { state: "told"; explanation: Explanation } | { state: "failed"; failure: Failure; /** Not for what the image is: it may be asked about again. */ again: boolean };

/** An image that was given to the app. */
export class Tried {
  private readonly told = new Map<string, Told>();
  private version: number = $state(0);
  constructor(readonly id: number, readonly name: string, readonly file: Blob, /** It is shown in the kiosk, and not kept. */ readonly passing = false) {}

  /** What shows one image follows each of its changes. */
  of(detector: string): Told {
    void this.version;
    return this.peek(detector);
  }

  /** The same for what looks at all images, and follows `Workspace.changes` instead. */
  peek(detector: string): Told {
    return this.told.get(detector) ?? WAITING;
  }

  put(detector: string, told: Told): void {
    this.told.set(detector, told);
    this.version += 1;
  }

  /** Detectors that are to be asked again. */
  again(): void {
    for (const [detector, told] of this.told) if (told.state === "failed" && told.again) this.put(detector, WAITING);
  }
}

const WAITING: Told = { state: "waiting" };

/** Images that are asked about at a time: the server judges those that arrive together faster. Browsers open six connections to a server;
 *  one stays for what else the page asks. */
const AT_A_TIME = 5;
/** Images of a kiosk that stay. */
export const PASSING = 10;
/** The name under which a kiosk on this page announces its verdicts. */
export const KIOSK = `kiosk ${Math.random().toString(36).slice(2, 8)}`;
/** Galleries follow verdicts as often as this: hundreds of images would redraw them hundreds of times. */
const REDRAW_MS = 100;
/** Between two questions after an evaluation that is running. */
const [AGAIN_MS, LATER_MS] = [700, 3000];

/** Images that were taken away, and where they were. */
interface Removed {
  images: { tried: Tried; at: number }[];
}

/** The order of images as the gallery opens. */
export const GIVEN = "given";

class Workspace {
  version: string = $state("");
  detectors: DetectorSummary[] = $state.raw([]);
  /** The detector that judges, by its name. */
  detector: string = $state("");
  byAll: boolean = $state(false);
  readonly details = new SvelteMap<string, DetectorDetails>();
  readonly evaluations = new SvelteMap<string, Evaluation>();
  tried: Tried[] = $state.raw([]);
  /** Volumes that were given; what they are is known where they are shown. */
  volumes: number = $state(0);
  /** The image that is shown. */
  shown: number | null = $state(null);
  /** Where the gallery was left. */
  last: number | null = null;
  gallery: Looked = $state(lookedAtFirst(GIVEN));
  /** What the open page says in its address of how it is looked at. */
  look: Look = $state.raw([]);
  /** What was taken away last can be brought back. */
  removed: Removed[] = $state.raw([]);
  /** Whether the images that were given are kept in this browser. */
  keeps: boolean = $state(true);
  /** Counts changes of verdicts, a few at a time. */
  private changes: number = $state(0);
  readonly items: Item[] = $derived.by(() => this.asItems());
  /** Verdicts that are there, or known to be impossible. */
  readonly done: number = $derived.by(() => {
    void this.changes;
    return this.tried.reduce((sum, tried) => sum + this.judges.filter((name) => ["told", "failed"].includes(tried.peek(name).state)).length, 0);
  });
  readonly selected: Item[] = $derived.by(() => selected(this.items, this.gallery.filter, this.threshold));
  /** Whether the images that this browser has kept are here. */
  restored: boolean = $state(false);
  needsKey: boolean = $state(false);
  trouble: ServerError | null = $state.raw(null);
  /** More was given than is taken in one go. */
  tooMany: boolean = $state(false);

  private next = 1;
  private asking = 0;
  private redraw: ReturnType<typeof setTimeout> | undefined;
  private restoring: Promise<void> | undefined;
  private readonly evaluating = new Set<string>();

  get current(): Tried | undefined {
    return this.tried.find((tried) => tried.id === this.shown);
  }

  get known(): DetectorDetails | undefined {
    return this.details.get(this.detector);
  }

  /** Names of the detectors that are to judge. */
  get judges(): string[] {
    return this.byAll ? this.detectors.map((one) => one.name) : [this.detector];
  }

  /** The threshold of the detector that judges. */
  get threshold(): number {
    return this.thresholdOf(this.detector);
  }

  thresholdOf(detector: string): number {
    const known = this.details.get(detector);
    return known === undefined ? 0 : thresholds.score(known);
  }

  /** Asks the server what it serves. */
  async open(): Promise<void> {
    await this.guarded(async () => {
      const list = await detectors();
      this.version = list.aberra_version;
      this.detectors = list.detectors;
      if (!list.detectors.some((one) => one.name === this.detector)) this.detector = list.detectors[0]?.name ?? "";
      // What was calibrated on this page stays so.
      for (const one of list.detectors) if (this.details.get(one.name)?.here === undefined) this.details.set(one.name, await details(one.name));
      this.needsKey = false;
      await this.restore();
      this.judge();
    });
  }

  /** Takes images in; the first of them. Those of a kiosk pass: they are not kept, and go when enough have come after them. */
  add(files: readonly Given[], passing = false): Tried | undefined {
    this.tooMany = files.length > MOST;
    if (files.length === 0) return undefined;
    const added = files.slice(0, MOST).map(({ name, file }) => new Tried(this.next++, name, file, passing));
    this.tried = [...this.tried, ...added];
    if (passing) this.letGo();
    else this.keep(added.map((tried) => ({ tried })));
    this.judge();
    return added[0];
  }

  /** Whether an image is a kiosk's. */
  isPassing(id: number): boolean {
    return this.tried.some((tried) => tried.id === id && tried.passing);
  }

  /** Takes images away; `undo` brings them back, after a reload those that were taken away last. */
  remove(ids: readonly number[]): void {
    const gone = new Set(ids);
    const images = this.tried.map((tried, at) => ({ tried, at })).filter(({ tried }) => gone.has(tried.id));
    if (images.length === 0) return;
    const before = this.removed.flatMap((one) => one.images.map(({ tried }) => tried.id));
    this.removed = [...this.removed, { images }];
    this.tried = this.tried.filter((tried) => !gone.has(tried.id));
    this.tooMany = false;
    void drop(before);
    this.keep(images);
  }

  clear(): void {
    this.remove(this.tried.map((tried) => tried.id));
  }

  /** Brings back what was taken away last. */
  undo(): void {
    const last = this.removed.at(-1);
    if (last === undefined) return;
    this.removed = this.removed.slice(0, -1);
    const tried = [...this.tried];
    for (const one of last.images) tried.splice(one.at, 0, one.tried);
    this.tried = tried;
    this.keep(last.images.map(({ tried }) => ({ tried })));
    this.judge();
  }

  /** Offers no more to bring back what was taken away. */
  dismiss(): void {
    void drop(this.removed.flatMap((one) => one.images.map(({ tried }) => tried.id)));
    this.removed = [];
  }

  /** Forgets all images, here and in this browser's storage, for good: they are gone from sight once they are gone from there. */
  async forget(): Promise<void> {
    const gone = new Set(this.tried.map((tried) => tried.id));
    await forget();
    this.tried = this.tried.filter((tried) => !gone.has(tried.id));
    this.removed = [];
    this.shown = null;
  }

  /** Asks for a detector's evaluation, once, until it is there or it is known that there is none. */
  evaluate(detector: string): void {
    const found = this.evaluations.get(detector);
    if (detector === "" || this.evaluating.has(detector) || (found !== undefined && found.state !== "running")) return;
    this.evaluating.add(detector);
    const ask = async (): Promise<void> => {
      await this.guarded(async () => void this.evaluations.set(detector, await evaluation(detector)));
      const answer = this.evaluations.get(detector);
      if (this.needsKey || (answer !== undefined && answer.state !== "running")) this.evaluating.delete(detector);
      else setTimeout(ask, this.trouble === null ? AGAIN_MS : LATER_MS);
    };
    void ask();
  }

  /** The evaluation of a detector as it judges here: there is none of one that was calibrated on this page. */
  evaluationOf(detector: string): Evaluation | undefined {
    return this.details.get(detector)?.here !== undefined ? { state: "none", detail: "", hint: null } : this.evaluations.get(detector);
  }

  /** Judges by another calibration of a detector from now on: every image is asked about once more. */
  judgeBy(details: DetectorDetails): void {
    const { name } = details;
    this.details.set(name, details);
    thresholds.reset(details);
    for (const tried of this.tried) if (tried.peek(name).state !== "waiting") tried.put(name, WAITING);
    this.changed();
    this.judge();
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
    for (const tried of this.tried) tried.again();
    this.changed();
    this.judge();
  }

  /** Asks about images that nobody has been asked about, a few at a time, the one that is shown first. */
  judge(): void {
    while (this.asking < AT_A_TIME && !this.needsKey) {
      const next = this.waiting();
      if (next === undefined) return;
      const [tried, detector] = next;
      tried.put(detector, { state: "asked" });
      this.asking += 1;
      void this.ask(tried, detector).finally(() => {
        this.asking -= 1;
        this.changed();
        this.judge();
      });
    }
  }

  /** Runs `work`; a missing key is asked for, other trouble is shown. */
  async guarded(work: () => Promise<void>): Promise<void> {
    // Trouble that has come since is not over because of an answer to what was asked before.
    const before = untrack(() => this.trouble);
    try {
      await work();
      if (this.trouble === before) this.trouble = null;
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      if (error.status === 401) this.needsKey = true;
      else this.trouble = error;
    }
  }

  private letGo(): void {
    const passing = this.tried.filter((tried) => tried.passing);
    const gone = new Set(passing.slice(0, Math.max(0, passing.length - PASSING)).filter((tried) => ["told", "failed"].includes(tried.peek(this.detector).state)));
    this.tried = this.tried.filter((tried) => !gone.has(tried));
  }

  private keep(images: readonly { tried: Tried; at?: number }[]): void {
    const lasting = images.filter(({ tried }) => !tried.passing);
    void keep(lasting.map(({ tried: { id, name, file }, at }) => ({ id, name, file, at }))).then((could) => (this.keeps = could));
  }

  /** Takes in what this browser has kept. */
  private restore(): Promise<void> {
    return (this.restoring ??= this.takeKept());
  }

  private async takeKept(): Promise<void> {
    const images = await kept();
    const [there, away] = [images.filter((one) => one.at === undefined), images.filter((one) => one.at !== undefined)];
    this.tried = [...there.map(({ id, name, file }) => new Tried(id, name, file)), ...this.tried];
    if (away.length > 0) this.removed = [{ images: away.map(({ id, name, file, at }) => ({ tried: new Tried(id, name, file), at: at! })) }, ...this.removed];
    this.next = Math.max(this.next, ...images.map((one) => one.id + 1));
    this.restored = true;
  }

  private changed(): void {
    this.redraw ??= setTimeout(() => {
      this.redraw = undefined;
      this.changes += 1;
    }, REDRAW_MS);
  }

  private asItems(): Item[] {
    void this.changes;
    const labels = labelsFromFolders(this.tried.map((tried) => tried.name));
    const others = this.byAll ? this.detectors.map((one) => one.name).filter((name) => name !== this.detector) : [];
    return this.tried.map((tried, i): Item => {
      const told = tried.peek(this.detector);
      return {
        id: tried.id, name: tried.name, kind: labels[i], score: told.state === "told" ? told.explanation.verdict.score : null, failure: told.state === "failed" ? told.failure.detail : null,
        href: `#inspect/${tried.id}`, thumbnail: null, picture: told.state === "told" ? (told.explanation.pictures?.input ?? null) : null,
        others: others.map((detector) => {
          const other = tried.peek(detector);
          const score = other.state === "told" ? other.explanation.verdict.score : null;
          return { detector, score, flagged: score !== null && isAnomalous(score, this.thresholdOf(detector)), failure: other.state === "failed" ? other.failure.detail : null };
        }),
      };
    });
  }

  private waiting(): [Tried, string] | undefined {
    const current = this.current;
    const order = current === undefined ? this.tried : [current, ...this.tried];
    for (const tried of order) {
      const detector = this.judges.find((name) => tried.peek(name).state === "waiting");
      if (detector !== undefined && detector !== "") return [tried, detector];
    }
    return undefined;
  }

  private async ask(tried: Tried, detector: string): Promise<void> {
    const here = this.details.get(detector)?.here;
    try {
      // A kiosk's verdicts are seen by others, so that they are by the threshold that this page shows.
      const threshold = tried.passing ? this.thresholdOf(detector) : here?.ignore === undefined ? undefined : this.details.get(detector)!.threshold;
      const answer = await explain(detector, tried.file, { ignore: here?.ignore, threshold, announce: tried.passing ? KIOSK : undefined }, tried.name);
      if (this.details.get(detector)?.here !== here) {
        tried.put(detector, WAITING);
        return;
      }
      if (here !== undefined && "verdict" in answer) answer.verdict.p_value = pValueOf(this.details.get(detector)!.calibration_scores, answer.verdict.score);
      tried.put(detector, "verdict" in answer ? { state: "told", explanation: answer } : { state: "failed", failure: answer, again: false });
    } catch (error) {
      const { status, message, hint } = error instanceof ServerError ? error : { status: 0, message: String(error), hint: null };
      if (status === 401) {
        this.needsKey = true;
        tried.put(detector, WAITING);
      } else tried.put(detector, { state: "failed", failure: { detail: message, hint }, again: status === 0 || status >= 500 });
    }
  }
}

/** The app's one workspace. */
export const workspace = new Workspace();
