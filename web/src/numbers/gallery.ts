// Which images a gallery shows, in which order, and which rows of a long gallery are on the screen.
import type { ImageData } from "../report/data";
import { type Outcome, isAnomalous, outcome } from "./verdicts";

export type Order = "highest" | "lowest" | "nearest" | "name";

export interface Filter {
  /** "" for all, "normal", or a kind with "kind:" before it. */
  label: string;
  verdict: "" | "anomalous" | "normal";
  outcome: "" | Outcome;
  /** Part of the name, whatever its case. */
  name: string;
  order: Order;
}

export const EVERYTHING: Filter = { label: "", verdict: "", outcome: "", name: "", order: "highest" };

/** The images that pass the filter, in its order; ties keep the order of the test set. */
export function selected(images: readonly ImageData[], filter: Filter, threshold: number): ImageData[] {
  const part = filter.name.trim().toLowerCase();
  const kept = images.filter((image) => {
    if (filter.label === "normal" && image.kind !== null) return false;
    if (filter.label.startsWith("kind:") && image.kind !== filter.label.slice(5)) return false;
    if (filter.verdict !== "" && isAnomalous(image.score, threshold) !== (filter.verdict === "anomalous")) return false;
    if (filter.outcome !== "" && outcome(image, threshold) !== filter.outcome) return false;
    return part === "" || image.name.toLowerCase().includes(part);
  });
  const distance = (image: ImageData) => Math.abs(image.score - threshold);
  const orders: Record<Order, (a: ImageData, b: ImageData) => number> = {
    highest: (a, b) => b.score - a.score,
    lowest: (a, b) => a.score - b.score,
    nearest: (a, b) => distance(a) - distance(b),
    name: (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  };
  return kept.sort((a, b) => orders[filter.order](a, b) || a.id - b.id);
}

/** The kinds of anomaly of the test set, by name. */
export function kindsOf(images: readonly ImageData[]): string[] {
  return [...new Set(images.flatMap((image) => (image.kind === null ? [] : [image.kind])))].sort();
}

/** The first row and the one after the last that are to be drawn, with `spare` rows on either side. */
export function rowsOnScreen(rows: number, rowHeight: number, top: number, height: number, spare = 3): [number, number] {
  const first = Math.max(0, Math.floor(top / rowHeight) - spare);
  const last = Math.min(rows, Math.ceil((top + height) / rowHeight) + spare);
  return [Math.min(first, rows), Math.max(last, Math.min(first, rows))];
}
