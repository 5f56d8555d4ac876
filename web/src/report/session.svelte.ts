// What the reader does with a report: the threshold looked at, filters, costs, theme, and where in the page they are.
// The report itself never changes.
import { getContext, setContext } from "svelte";
import { EVERYTHING, type Filter } from "../numbers/gallery";
import { ascending } from "../numbers/sorted";
import { type Costs, prevalenceOf, scoresOf } from "../numbers/verdicts";
import type { ImageData, ReportData } from "./data";
import { shortAddress } from "./read";

export const VIEWS = ["overview", "training", "threshold", "images", "embedding", "compare"] as const;
export type View = (typeof VIEWS)[number];

export class Session {
  readonly report: ReportData;
  private readonly prefix: string;
  readonly scores;
  /** All scores, ascending. */
  readonly allScores: Float64Array;
  readonly byId: Map<number, ImageData>;
  readonly sheetAddress: string | null;
  readonly sheetRows: number;

  threshold: number = $state(0);
  costs: Costs = $state({ miss: 10, falseAlarm: 1, prevalence: 0.1 });
  filter: Filter = $state({ ...EVERYTHING });
  view: View = $state("overview");
  /** The image that is open, by its number. */
  opened: number | null = $state(null);
  /** Where the gallery was left, to come back to. */
  lastOpened: number | null = null;

  moved: boolean = $derived.by(() => this.threshold !== this.report.detector.threshold);

  /** `prefix` stands before each address after #, where the report is a part of something larger. */
  constructor(report: ReportData, prefix = "") {
    this.report = report;
    this.prefix = prefix;
    this.scores = scoresOf(report.images);
    this.allScores = ascending(report.images.map((image) => image.score));
    this.byId = new Map(report.images.map((image) => [image.id, image]));
    this.threshold = report.detector.threshold;
    const prevalence = prevalenceOf(this.scores);
    if (prevalence > 0) this.costs.prevalence = Number(prevalence.toPrecision(2));
    this.sheetAddress = report.thumbnails === null ? null : shortAddress(report.thumbnails.sheet);
    let last = 0;
    for (const image of report.images) {
      last = Math.max(last, image.thumbnail ?? -1, ...image.nearest.map((near) => near.thumbnail ?? -1));
    }
    this.sheetRows = report.thumbnails === null ? 1 : Math.ceil((last + 1) / report.thumbnails.columns);
  }

  /** The address of a view. */
  href(view: View): string {
    return `#${this.prefix}${view}`;
  }

  /** The address of one image. */
  imageHref(id: number): string {
    return `#${this.prefix}image/${id}`;
  }

  /** Reads the part of the address after #: a view, or image/NUMBER. */
  goTo(hash: string): void {
    const [first = "", second] = hash.replace(/^#/, "").slice(this.prefix.length).split("/");
    const id = Number(second);
    if (first === "image" && second !== undefined && this.byId.has(id)) {
      this.view = "images";
      this.opened = id;
      this.lastOpened = id;
    } else {
      this.view = VIEWS.find((view) => view === first) ?? "overview";
      this.opened = null;
    }
  }

  reset(): void {
    this.threshold = this.report.detector.threshold;
  }
}

const KEY = Symbol("session");

export function provideSession(session: Session): Session {
  return setContext(KEY, session);
}

/** The session of the report that a component shows. */
export function useSession(): Session {
  return getContext<Session>(KEY);
}

/** The same for a component that may stand outside a report. */
export function findSession(): Session | undefined {
  return getContext<Session | undefined>(KEY);
}
