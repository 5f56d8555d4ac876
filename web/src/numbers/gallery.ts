// Which images a gallery shows, in which order, which one is flagged next, and which rows of a long gallery are on the screen.
import { type Outcome, isAnomalous } from "./verdicts";

export type Order = "given" | "highest" | "lowest" | "nearest" | "name";

/** An image in a gallery, wherever it comes from. */
export interface Item {
  id: number;
  name: string;
  /** What it is known to be: null for normal, a kind of anomaly; undefined where it is not known. */
  kind: string | null | undefined;
  /** null while it is not judged, or where it could not be. */
  score: number | null;
  /** Why it could not be judged. */
  failure: string | null;
  /** Address of its page. */
  href: string;
  /** Its number on the report's sheet of thumbnails. */
  thumbnail: number | null;
  /** Address of a picture of its own. */
  picture: string | null;
  /** The verdicts of other detectors. */
  others: readonly { detector: string; score: number | null; flagged: boolean; failure: string | null }[];
}

export interface Filter {
  /** "" for all, "normal", or a kind with "kind:" before it. */
  label: string;
  verdict: "" | "flagged" | "not flagged" | "failed";
  outcome: "" | Outcome;
  /** Part of the name, whatever its case. */
  name: string;
  order: Order;
}

export const EVERYTHING: Filter = { label: "", verdict: "", outcome: "", name: "", order: "highest" };

/** How an image came out at a threshold: against what it is known to be, or without that. */
export type State = Outcome | "flagged" | "not flagged" | "failed" | "waiting";

export function stateOf(item: Pick<Item, "kind" | "score" | "failure">, threshold: number): State {
  if (item.failure !== null) return "failed";
  if (item.score === null) return "waiting";
  const flagged = isAnomalous(item.score, threshold);
  if (item.kind === undefined) return flagged ? "flagged" : "not flagged";
  if (item.kind === null) return flagged ? "false alarm" : "passed";
  return flagged ? "caught" : "missed";
}

export function isFlagged(item: Pick<Item, "score">, threshold: number): boolean {
  return item.score !== null && isAnomalous(item.score, threshold);
}

/** Whether a filter leaves anything out. */
export function filters(filter: Filter): boolean {
  return filter.label !== "" || filter.verdict !== "" || filter.outcome !== "" || filter.name.trim() !== "";
}

/** The images that pass the filter, in its order; ties keep the order in which they were given. What has no score comes last. */
export function selected(items: readonly Item[], filter: Filter, threshold: number): Item[] {
  const part = filter.name.trim().toLowerCase();
  const kept = items.filter((item) => {
    if (filter.label === "normal" && item.kind !== null) return false;
    if (filter.label.startsWith("kind:") && item.kind !== filter.label.slice(5)) return false;
    if (filter.verdict === "failed" && item.failure === null) return false;
    if (filter.verdict === "flagged" && !isFlagged(item, threshold)) return false;
    if (filter.verdict === "not flagged" && (item.score === null || isFlagged(item, threshold))) return false;
    if (filter.outcome !== "" && stateOf(item, threshold) !== filter.outcome) return false;
    return part === "" || item.name.toLowerCase().includes(part);
  });
  if (filter.order === "given") return kept;
  const scored = (key: (score: number) => number) => (a: Item, b: Item) => Number(a.score === null) - Number(b.score === null) || (a.score === null || b.score === null ? 0 : key(a.score) - key(b.score));
  const orders: Record<Exclude<Order, "given">, (a: Item, b: Item) => number> = {
    highest: scored((score) => -score),
    lowest: scored((score) => score),
    nearest: scored((score) => Math.abs(score - threshold)),
    name: (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  };
  return kept.sort((a, b) => orders[filter.order as Exclude<Order, "given">](a, b) || a.id - b.id);
}

/** The next flagged image after the one with `id`, round to the start; undefined where no other is. */
export function nextFlagged(items: readonly Item[], id: number, threshold: number): Item | undefined {
  const at = items.findIndex((item) => item.id === id);
  return [...items.slice(at + 1), ...items.slice(0, Math.max(0, at))].find((item) => isFlagged(item, threshold));
}

/** The kinds of anomaly, by name. */
export function kindsOf(images: readonly { kind?: string | null | undefined }[]): string[] {
  return [...new Set(images.flatMap(({ kind }) => kind ?? []))].sort();
}

/** Names of folders that hold normal images wherever they occur (crates/aberra/src/dataset/words.rs), letters and digits alone. */
const NORMAL_FOLDERS = ["good", "normal", "normals", "notumor", "notumour", "healthy", "ok", "okay", "nofinding", "nofindings"];

/** What the folders of some paths say about them, where one of the folders has a usual name for normal images: null for normal,
 *  the folder's name for a kind. undefined where nothing is said. */
export function labelsFromFolders(names: readonly string[]): (string | null | undefined)[] {
  const folders = names.map((name) => name.split("/").at(-2));
  const normal = (folder: string | undefined) => folder !== undefined && NORMAL_FOLDERS.includes(folder.toLowerCase().replace(/[^a-z0-9]/g, ""));
  if (!folders.some(normal)) return names.map(() => undefined);
  return folders.map((folder) => (folder === undefined ? undefined : normal(folder) ? null : folder));
}

/** The first row and the one after the last that are to be drawn, with `spare` rows on either side. */
export function rowsOnScreen(rows: number, rowHeight: number, top: number, height: number, spare = 3): [number, number] {
  const first = Math.max(0, Math.floor(top / rowHeight) - spare);
  const last = Math.min(rows, Math.ceil((top + height) / rowHeight) + spare);
  return [Math.min(first, rows), Math.max(last, Math.min(first, rows))];
}
