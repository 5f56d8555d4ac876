// What an address says of how a page is looked at, after its question mark: filter, order and layout of a gallery, the plot of the
// embedding space, whether near-duplicates count. What is as a page opens is left out.
import { EVERYTHING, type Filter, type Order } from "./gallery";

/** Keys and values of an address. */
export type Look = readonly (readonly [key: string, value: string])[];

export type Layout = "grid" | "table";

/** What colours say in the plot of the embedding space. */
export type Colouring = "label" | "kind" | "score" | "verdict";

/** The same, with their titles. */
export const COLOURINGS: readonly (readonly [Colouring, string])[] = [["label", "Label"], ["kind", "Kind"], ["score", "Score"], ["verdict", "Verdict"]];

/** How a gallery is looked at. */
export interface Looked {
  filter: Filter;
  layout: Layout;
}

/** How the embedding space is looked at: in three dimensions or two, what colours say, the components across and up, from 0. */
export interface Plot {
  solid: boolean;
  by: Colouring;
  first: number;
  second: number;
}

export const PLOT: Plot = { solid: false, by: "label", first: 0, second: 1 };

const ORDERS: readonly Order[] = ["given", "highest", "lowest", "nearest", "name"];
const VERDICTS: readonly Filter["verdict"][] = ["flagged", "not flagged", "failed"];
const OUTCOMES: readonly Filter["outcome"][] = ["missed", "false alarm", "caught", "passed"];

/** How a gallery opens whose images come in that order. */
export function lookedAtFirst(order: Order): Looked {
  return { filter: { ...EVERYTHING, order }, layout: "grid" };
}

/** What an address says of a gallery. */
export function ofGallery({ filter, layout }: Looked, order: Order): Look {
  const { label, verdict, outcome, name } = filter;
  const all: Look = [["outcome", outcome], ["label", label], ["verdict", verdict], ["name", name.trim()], ["order", filter.order === order ? "" : filter.order], ["layout", layout === "grid" ? "" : layout]];
  return all.filter(([, value]) => value !== "");
}

/** How an address looks at a gallery; null where it says nothing of that. A word that means nothing is passed over. */
export function readGallery(asked: URLSearchParams, order: Order): Looked | null {
  if (!["outcome", "label", "verdict", "name", "order", "layout"].some((key) => asked.has(key))) return null;
  const word = <T extends string>(key: string, known: readonly T[]): T | undefined => known.find((one) => one === asked.get(key));
  return {
    filter: { label: asked.get("label") ?? "", verdict: word("verdict", VERDICTS) ?? "", outcome: word("outcome", OUTCOMES) ?? "", name: asked.get("name") ?? "", order: word("order", ORDERS) ?? order },
    layout: word("layout", ["table"]) ?? "grid",
  };
}

/** What an address says of the plot of the embedding space; components are counted from 1 there. */
export function ofPlot({ solid, by, first, second }: Plot): Look {
  const all: Look = [["plot", solid ? "3d" : ""], ["colour", by === PLOT.by ? "" : by], ["across", first === PLOT.first ? "" : String(first + 1)], ["up", second === PLOT.second ? "" : String(second + 1)]];
  return all.filter(([, value]) => value !== "");
}

/** How an address looks at the embedding space, of so many components; null where it says nothing of that. */
export function readPlot(asked: URLSearchParams, components: number): Plot | null {
  if (!["plot", "colour", "across", "up"].some((key) => asked.has(key))) return null;
  const component = (key: string, otherwise: number) => {
    const number = Number(asked.get(key) ?? otherwise + 1) - 1;
    return Number.isInteger(number) && number >= 0 && number < components ? number : otherwise;
  };
  const [first, second] = [component("across", PLOT.first), component("up", PLOT.second)];
  return {
    solid: asked.get("plot") === "3d" && components >= 2,
    by: COLOURINGS.find(([one]) => one === asked.get("colour"))?.[0] ?? PLOT.by,
    ...(first === second ? { first: PLOT.first, second: PLOT.second } : { first, second }),
  };
}

/** The part of an address after its question mark. */
export function queryOf(hash: string): URLSearchParams {
  return new URLSearchParams(hash.split("?")[1] ?? "");
}

/** An address that says what is looked at, and nothing else after its question mark. */
export function withLook(hash: string, look: Look): string {
  const path = hash.replace(/^#/, "").split("?")[0] ?? "";
  const query = new URLSearchParams(look.map(([key, value]) => [key, value])).toString();
  return `#${path}${query === "" ? "" : `?${query}`}`;
}
