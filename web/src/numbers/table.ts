// Results as a table for other programs: CSV (RFC 4180) and JSON, and where they are from. Numbers keep every digit.
import { counted } from "./format";

export type Cell = string | number | boolean | null;
export type Row = Record<string, Cell>;

/** What tells later where numbers came from. */
export interface Provenance {
  detector: string;
  detector_hash: string | null;
  aberra_version: string;
  /** When the table was written, as ISO 8601. */
  exported_at: string;
  threshold: number;
  calibrated_threshold: number;
  threshold_moved: boolean;
  /** null where no member makes a map. */
  pixel_threshold: number | null;
  calibrated_pixel_threshold: number | null;
  pixel_threshold_moved: boolean;
  /** Whose calibration gave the calibrated threshold. */
  calibration: string;
  /** Areas of every image that this calibration leaves out, in shares of the sides; null for none. */
  ignored_areas: string | null;
}

/** A detector, and how it was calibrated on this page, where it was. */
export interface From {
  name: string;
  hash: string | null;
  aberra_version: string;
  threshold: number;
  pixel_threshold: number | null;
  here?: { images: number; ignore: string | undefined };
}

/** The provenance of what a detector judges at these thresholds. */
export function provenance(detector: From, threshold: number, pixelThreshold: number | null, now = new Date()): Provenance {
  const { here, pixel_threshold: pixels } = detector;
  return {
    detector: detector.name, detector_hash: detector.hash, aberra_version: detector.aberra_version, exported_at: now.toISOString(),
    threshold, calibrated_threshold: detector.threshold, threshold_moved: threshold !== detector.threshold,
    pixel_threshold: pixelThreshold, calibrated_pixel_threshold: pixels, pixel_threshold_moved: pixelThreshold !== pixels,
    calibration: here === undefined ? "the detector's own" : `on the page of the app, by ${counted(here.images, "normal image")} given there`, ignored_areas: here?.ignore ?? null,
  };
}

/** Rows with where they are from. */
export function withProvenance(rows: readonly Row[], from: Provenance): Row[] {
  return rows.map((row) => ({ ...row, ...from }));
}

/** A drawing with where its numbers are from. */
export function withMetadata(svg: string, from: Provenance): string {
  const text = JSON.stringify(from).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return svg.replace(/<svg[^>]*>/, (opening) => `${opening}<metadata>${text}</metadata>`);
}

/** A table with the columns of all rows, in the order in which they first come. */
export function csv(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return [columns.join(","), ...rows.map((row) => columns.map((column) => cell(row[column] ?? null)).join(","))].join("\r\n") + "\r\n";
}

export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** A text that a spreadsheet would take for a formula gets an apostrophe before it. */
function cell(value: Cell): string {
  if (value === null) return "";
  if (typeof value !== "string") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
