// Numbers as people read them: sensible digits, a real minus sign, and the reason where there is no number.
import type { Figure, Interval } from "../report/data";
import { phraseOf } from "./measurements";

const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Whether a figure has a value; where not, it says why. */
export function known<T>(figure: Figure<T>): figure is T {
  return !(typeof figure === "object" && figure !== null && "unavailable" in figure);
}

/** A figure with the ends of its interval, where it has them. */
export function withEnds(figure: Figure<number>, ends: number[] | undefined): Figure<Interval> | Figure<number> {
  const [low, high] = ends ?? [];
  return known(figure) && low !== undefined && high !== undefined ? { value: figure, low, high } : figure;
}

/** The reason of a figure without a value, else an empty text. */
export function reason(figure: Figure<unknown>): string {
  return known(figure) ? "" : (figure as { unavailable: string }).unavailable;
}

/** To so many significant digits, without an exponent for everyday sizes: 0.0123, 1,234, 2.5e-7. */
export function significant(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : value < 0 ? "−∞" : "not a number";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return minus(value.toExponential(Math.max(0, digits - 1)));
  if (size >= 10 ** digits || size >= 1000) return minus(GROUPED.format(size >= 1000 ? value : Number(value.toPrecision(digits))));
  return minus(value === 0 ? "0" : value.toPrecision(digits));
}

/** A whole number with its thousands set apart. */
export function count(value: number): string {
  return minus(GROUPED.format(value));
}

/** "1 image", "2 images". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** " as 1 × 3 tiles of 256": the network inputs of a large or long image; empty for one. */
export function tiled(tiles: { rows: number; columns: number; size_px: number } | null | undefined): string {
  return tiles == null ? "" : ` as ${tiles.rows} × ${tiles.columns} tiles of ${tiles.size_px}`;
}

/** "largest patch distance 40 % (AUROC 0.82), ...": the evidence that counts most in a score; in brackets, on synthetic anomalies. */
export function weighed(weights: readonly { measurement: string; weight: number; synthetic_auroc: number }[], measurements: readonly { name: string; about: string }[], shown = 3): string {
  const called = (name: string) => phraseOf(measurements.find((one) => one.name === name) ?? { name, about: "" });
  const parts = weights.slice(0, shown).map((one) => `${called(one.measurement)} ${Math.round(100 * one.weight)}\u00a0% (AUROC ${one.synthetic_auroc.toFixed(2)})`);
  const rest = weights.length - parts.length;
  return parts.concat(rest > 0 ? [counted(rest, "other")] : []).join(", ");
}

/** A share as a percentage: one decimal, two digits below 1 %, none at 0 and 100. */
export function percent(share: number): string {
  const value = share * 100;
  if (value === 0 || value === 100) return `${value}\u00a0%`;
  if (Math.abs(value) < 1) return `${minus(value.toPrecision(2))}\u00a0%`;
  const text = value.toFixed(1);
  return `${minus(text === "100.0" ? "99.9" : text)}\u00a0%`;
}

/** A rate that somebody set (a promise, a confidence): as `percent`, without a decimal that is 0. */
export function setRate(share: number): string {
  return percent(share).replace(/\.0(?=\u00a0%)/, "");
}

/** "PNG, JPEG or TIFF". */
export function anyOf(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

/** Words in which no percentage is torn from its sign. */
export function onOneLine(words: string): string {
  return words.replaceAll(" %", "\u00a0%");
}

/** Words as a sentence: a capital letter first, a full stop last. */
export function sentence(words: string): string {
  const text = words.trim();
  return text === "" ? "" : text[0]!.toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** A score, an area or an average: three decimals. */
export function decimals(value: number, places = 3): string {
  return minus(value.toFixed(places));
}

/** With a sign, for differences. */
export function signed(value: number, places = 3): string {
  return (value >= 0 ? "+" : "") + decimals(value, places);
}

/** A p-value; never 0. */
export function pValue(value: number): string {
  return value < 0.001 ? value.toExponential(1) : value < 0.1 ? value.toPrecision(2) : value.toFixed(2);
}

/** What a p-value by `n` calibration scores says. */
export function pValueInWords(p: number | null | undefined, n: number): string {
  if (p == null) return "no calibration scores to compare with";
  if (p < 1.5 / (n + 1)) return `the smallest that ${counted(n, "calibration score")} can give`;
  if (p > 0.5) return "most normals score this high";
  return `about 1 normal in ${significant(1 / p, 2)} scores this high`;
}

/** "0.67 to 0.79". */
export function range(interval: Interval, format: (value: number) => string = decimals): string {
  return `${format(interval.low)} to ${format(interval.high)}`;
}

function minus(text: string): string {
  return text.replace(/^-/, "−").replace(/e-/, "e−").replace(/e\+/, "e");
}
