// What the reader does with a report: whether near-duplicates count, filters, costs, and where in the page they are. What of that
// is in the address is told by `look`, and taken from it by `goTo`. The thresholds are the page's (state/thresholds.svelte.ts). The report itself never changes.
import { getContext, setContext } from "svelte";
import { provideProvenance } from "../design/save";
import { type Item, selected } from "../numbers/gallery";
import { type Look, type Looked, PLOT, type Plot, lookedAtFirst, ofGallery, ofPlot, queryOf, readGallery, readPlot } from "../numbers/look";
import { type RatesAt, ofKind, ratesAt } from "../numbers/rates";
import { ascending } from "../numbers/sorted";
import type { Provenance } from "../numbers/table";
import { type Costs, reweighted, scoresOf } from "../numbers/verdicts";
import { provenanceOf, thresholds } from "../state/thresholds.svelte";
import { known } from "../numbers/format";
import type { DetectionFigures, Figure, ImageData, Interval, ReportData } from "./data";
import type { Whole } from "../viewer/explained";
import { shortAddress } from "./read";

export const VIEWS = ["overview", "threshold", "images", "volumes", "localisation", "embedding", "compare", "training", "export"] as const;
export type View = (typeof VIEWS)[number];

/** The order of images as a gallery opens. */
const ORDER = "highest";

export class Session {
  readonly report: ReportData;
  private readonly prefix: string;
  readonly byId: Map<number, ImageData>;
  /** What images share whose group counts once. */
  readonly group: string;
  /** Of the images that are slices of volumes: the volume, and which slice of it, both from 0. */
  private readonly places = new Map<number, { volume: number; slice: number }>();
  readonly sheetAddress: string | null;
  readonly sheetRows: number;
  /** The sheet as the browser holds it: see `loadSheet`. */
  private sheet: HTMLImageElement | null = null;

  /** Leaves near-duplicates of the detector's own normals out of every figure. */
  clean: boolean = $state(true);
  /** The images that figures are of. */
  readonly images: ImageData[] = $derived.by(() => {
    const counted = this.report.images.filter((image) => image.weight > 0);
    return this.clean && this.report.evaluation.without_leaked !== null ? reweighted(counted.filter((image) => !image.leaked)) : counted;
  });
  readonly figures: DetectionFigures = $derived.by(() => (this.clean ? this.report.evaluation.without_leaked : null) ?? this.report.evaluation);
  readonly scores = $derived(scoresOf(this.images));
  /** Recall, false alarms and precision at the threshold that is looked at, counted here. */
  readonly rates: RatesAt = $derived.by(() => ratesAt(this.images, this.threshold, this.report.evaluation.bootstrap.level));
  /** The figures that hang on the threshold, at the one that is looked at: at the calibrated one, those of the evaluation. */
  readonly atThreshold: { recall: Figure<Interval>; falseAlarms: Figure<Interval> } = $derived.by(() => {
    const { recall, realised_false_alarm_rate: falseAlarms } = this.figures;
    return this.moved ? { recall: this.rates.recall ?? recall, falseAlarms: this.rates.falseAlarms ?? falseAlarms } : { recall, falseAlarms };
  });
  /** The kinds, with what is found of each at the threshold that is looked at. */
  readonly kinds = $derived.by(() => this.figures.kinds.map((one) => ({ ...one, ...ofKind(this.images, one.kind, this.threshold, this.report.evaluation.bootstrap.level) })));
  /** All scores, ascending. */
  readonly allScores: Float64Array = $derived(ascending(this.images.map((image) => image.score)));
  readonly items: Item[] = $derived(this.images.map((image) => this.item(image)));

  costs: Costs = $state({ miss: 10, falseAlarm: 1, prevalence: null });
  /** How the images are looked at, and those that have a mask. */
  gallery: Looked = $state(lookedAtFirst(ORDER));
  masked: Looked = $state(lookedAtFirst(ORDER));
  plot: Plot = $state({ ...PLOT });
  readonly shown: Item[] = $derived.by(() => selected(this.items, this.gallery.filter, this.threshold));
  view: View = $state("overview");
  /** The image that is open, by its number. */
  opened: number | null = $state(null);
  /** The volume that is open, by its number. */
  openedVolume: number | null = $state(null);
  /** What the address of the view says of how it is looked at. */
  readonly look: Look = $derived.by(() => {
    const copies: Look = this.clean ? [] : [["copies", "counted"]];
    if (this.view === "images") return [...copies, ...ofGallery(this.gallery, ORDER)];
    if (this.view === "localisation") return [...copies, ...ofGallery(this.masked, ORDER)];
    return this.view === "embedding" ? [...copies, ...ofPlot(this.plot)] : copies;
  });
  /** Where the gallery was left, to come back to. */
  lastOpened: number | null = null;

  /** `prefix` stands before each address after #, where the report is a part of something larger; `file` gets the file of an image,
   *  where there is somebody to ask for it. */
  constructor(report: ReportData, prefix = "", readonly file: ((id: number) => Promise<Whole | null>) | null = null) {
    this.report = report;
    this.prefix = prefix;
    this.byId = new Map(report.images.map((image) => [image.id, image]));
    this.group = report.volumes.length > 0 ? "volume or patient" : "near-duplicate group";
    report.volumes.forEach((one, volume) => one.slices.forEach((id, slice) => id != null && this.places.set(id, { volume, slice })));
    this.sheetAddress = report.thumbnails === null ? null : shortAddress(report.thumbnails.sheet);
    let last = 0;
    for (const image of report.images) {
      last = Math.max(last, image.thumbnail ?? -1, ...image.nearest.map((near) => near.thumbnail ?? -1));
    }
    this.sheetRows = report.thumbnails === null ? 1 : Math.ceil((last + 1) / report.thumbnails.columns);
  }

  /** Loads the sheet of thumbnails and keeps it: a browser that prints waits for no picture, and lays out boxes in place of those that
   *  no page has shown. */
  loadSheet(): void {
    if (this.sheetAddress === null) return;
    this.sheet = new Image();
    this.sheet.src = this.sheetAddress;
  }

  get threshold(): number {
    return thresholds.score(this.report.detector);
  }

  set threshold(value: number) {
    thresholds.move(this.report.detector, value);
  }

  get moved(): boolean {
    return thresholds.moved(this.report.detector);
  }

  reset(): void {
    thresholds.reset(this.report.detector);
  }

  /** Images that are near-duplicates of the detector's own normals. */
  get leaked(): number {
    return this.report.evaluation.leaked.normals + this.report.evaluation.leaked.anomalies;
  }

  provenance(): Provenance {
    return provenanceOf(this.report.detector);
  }

  /** The address of a view. */
  href(view: View): string {
    return `#${this.prefix}${view}`;
  }

  /** The address of one image. */
  imageHref(id: number): string {
    return `#${this.prefix}image/${id}`;
  }

  /** The views that this report has. */
  get views(): View[] {
    return VIEWS.filter((view) => view !== "volumes" || this.report.volumes.length > 0);
  }

  /** The address of one volume. */
  volumeHref(number: number): string {
    return `#${this.prefix}volume/${number}`;
  }

  /** The volume that an image is a slice of, if it is one, with its address and the slice's number from 1. */
  sliceOf(id: number): { name: string; href: string; slice: number } | null {
    const place = this.places.get(id);
    return place === undefined ? null : { name: this.report.volumes[place.volume]!.name, href: this.volumeHref(place.volume), slice: place.slice + 1 };
  }

  /** What an image is called: a slice by its number in its volume, as where its volume is shown. */
  nameOf({ id, name }: Pick<ImageData, "id" | "name">): string {
    const of = this.sliceOf(id);
    return of === null ? name : `${name.startsWith(`${of.name}, page `) ? of.name : name}, slice ${of.slice}`;
  }

  /** Reads the part of the address after #: a view, image/NUMBER or volume/NUMBER, and how it is looked at. An address that says
   *  nothing of that leaves it as it is. */
  goTo(hash: string): void {
    const [first = "", second] = hash.replace(/^#/, "").split("?")[0]!.slice(this.prefix.length).split("/");
    const id = Number(second);
    const volume = first === "volume" && second !== undefined && this.report.volumes[id] !== undefined;
    this.openedVolume = volume ? id : null;
    if (first === "image" && second !== undefined && this.byId.has(id)) {
      this.view = "images";
      this.opened = id;
      this.lastOpened = id;
    } else {
      this.view = volume ? "volumes" : (this.views.find((view) => view === first) ?? "overview");
      this.opened = null;
    }
    const asked = queryOf(hash);
    const gallery = readGallery(asked, ORDER);
    if (asked.get("copies") === "counted") this.clean = false;
    if (this.view === "images" && gallery !== null) this.gallery = gallery;
    if (this.view === "localisation" && gallery !== null) this.masked = gallery;
    const { latent } = this.report;
    if (this.view === "embedding" && known(latent)) this.plot = readPlot(asked, latent.components) ?? this.plot;
  }

  private item(image: ImageData): Item {
    const { id, kind, score, thumbnail, pictures } = image;
    return { id, name: this.nameOf(image), kind, score, failure: null, href: this.imageHref(id), thumbnail, picture: pictures?.input ?? null, others: [] };
  }
}

const KEY = Symbol("session");

export function provideSession(session: Session): Session {
  session.loadSheet();
  provideProvenance(() => session.provenance());
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
