// Saving what the page holds as files.
import { type Row, csv } from "../numbers/table";

export function save(name: string, text: string, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function saveCsv(name: string, rows: readonly Row[]): void {
  save(name, csv(rows), "text/csv");
}

export function saveFigure(name: string, svg: string): void {
  save(name, svg, "image/svg+xml");
}
