// What a table of volumes says of each, and which files are asked about together.
import type { State } from "../numbers/gallery";
import type { VolumeData } from "../report/data";

export interface Row {
  href: string;
  name: string;
  kind: string | null | undefined;
  state: State | "no verdict";
  score: number | null;
  p_value: number | null;
  /** From 1. */
  worst: number | null;
  slices: number;
  /** Why there is no verdict, or what else to know. */
  note: string;
}

/** How a volume came out, against what it is known to be. */
export function outcome(anomalous: boolean | null, kind: string | null | undefined): Row["state"] {
  if (anomalous === null) return "no verdict";
  if (kind === undefined) return anomalous ? "flagged" : "not flagged";
  return kind === null ? (anomalous ? "false alarm" : "passed") : anomalous ? "caught" : "missed";
}

/** The rows of a report's volumes, the highest score first. */
export function rowsOf(volumes: readonly VolumeData[], href: (volume: number) => string): Row[] {
  const rows = volumes.map((volume, i): Row => ({
    href: href(i), name: volume.name, kind: volume.kind ?? null, state: outcome(volume.anomalous ?? null, volume.kind ?? null),
    score: volume.score, p_value: volume.p_value ?? null, worst: volume.worst, slices: volume.slices.length, note: "",
  }));
  return rows.sort((a, b) => (b.score ?? 0) - (a.score ?? 0));
}

/** What is asked about together: DICOM files all at once, since their series are found among them; a file of another kind by itself. */
export function together<T extends { name: string }>(files: readonly T[]): T[][] {
  const alone = files.filter((file) => /\.(nii|nii\.gz|tiff?|gif)$/i.test(file.name));
  const series = files.filter((file) => !alone.includes(file));
  return [...alone.map((file) => [file]), ...(series.length > 0 ? [series] : [])];
}
