// Results as a table for other programs: CSV (RFC 4180) and JSON. Numbers keep every digit.

export interface Row {
  image: string;
  detector: string;
  score: number | null;
  p_value: number | null;
  threshold: number;
  verdict: "normal" | "anomalous" | null;
  anomalous_share: number | null;
  error: string | null;
}

const COLUMNS = ["image", "detector", "score", "p_value", "threshold", "verdict", "anomalous_share", "error"] as const;

export function csv(rows: readonly Row[]): string {
  return [COLUMNS.join(","), ...rows.map((row) => COLUMNS.map((column) => cell(row[column])).join(","))].join("\r\n") + "\r\n";
}

export function json(rows: readonly Row[]): string {
  return `${JSON.stringify(rows, null, 2)}\n`;
}

/** A text that a spreadsheet would take for a formula gets an apostrophe before it. */
function cell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
