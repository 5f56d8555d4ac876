// Results as a table for other programs: CSV (RFC 4180) and JSON. Numbers keep every digit.

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
}

/** The provenance of what is judged at `threshold` by a detector. */
export function provenance(detector: { name: string; hash: string | null; aberra_version: string; threshold: number }, threshold: number, now = new Date()): Provenance {
  return {
    detector: detector.name, detector_hash: detector.hash, aberra_version: detector.aberra_version, exported_at: now.toISOString(),
    threshold, calibrated_threshold: detector.threshold, threshold_moved: threshold !== detector.threshold,
  };
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
