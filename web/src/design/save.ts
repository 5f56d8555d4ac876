// Saving what the page holds as files: numbers and figures, each with where it is from.
import { getContext, setContext } from "svelte";
import { type Provenance, type Row, csv, withMetadata, withProvenance } from "../numbers/table";

const KEY = Symbol("provenance");

/** Says where that is from which the components within one save. */
export function provideProvenance(of: () => Provenance): void {
  setContext(KEY, of);
}

/** Saves the numbers and figures of a component. */
export function useSaving(): { table: (name: string, rows: readonly Row[]) => void; figure: (name: string, svg: string) => void } {
  const of = getContext<() => Provenance>(KEY);
  return {
    table: (name, rows) => saveCsv(name, withProvenance(rows, of())),
    figure: (name, svg) => save(name, withMetadata(svg, of()), "image/svg+xml"),
  };
}

export function save(name: string, content: BlobPart, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function saveCsv(name: string, rows: readonly Row[]): void {
  save(name, csv(rows), "text/csv");
}
