// What the kiosk shows of an image, whoever gave it: this page, or another client of the server that announced its verdict.
import type { Announcement } from "../api/client";
import { type Item, stateOf } from "../numbers/gallery";
import { isAnomalous } from "../numbers/verdicts";
import type { Provenance, Row } from "../numbers/table";

/** An image of the kiosk, as it was judged when it came. */
export interface Line {
  key: string;
  at: Date;
  /** Who announced it. */
  source: string;
  name: string;
  score: number | null;
  threshold: number | null;
  /** Why it could not be judged. */
  failure: string | null;
  picture: string | null;
}

/** The line of a verdict that somebody announced. */
export function lineOf({ id, source, name, verdict, error, picture }: Announcement): Line {
  return { key: String(id), at: new Date(id / 1000), source, name: name ?? "image without a name", score: verdict?.score ?? null, threshold: verdict?.threshold ?? null, failure: error?.detail ?? null, picture };
}

/** The line of an image that this page gave and that is judged. */
export function ownLine({ id, name, score, failure, picture }: Item, source: string, threshold: number, at: Date): Line {
  return { key: `own ${id}`, at, source, name, score, threshold, failure, picture };
}

export function verdictOf(line: Line): "flagged" | "not flagged" | "failed" | "waiting" {
  return stateOf({ ...line, kind: undefined }, line.threshold ?? 0) as "flagged" | "not flagged" | "failed" | "waiting";
}

/** A row of the table that is saved: by the threshold at which it was judged, which may not be that of this page now. */
export function rowOf(line: Line, { detector, detector_hash, aberra_version, calibrated_threshold, calibration, ignored_areas }: Provenance): Row {
  const { at, source, name, score, threshold, failure } = line;
  return { time: at.toISOString(), source, name, score, threshold, anomalous: score === null || threshold === null ? null : isAnomalous(score, threshold), error: failure, detector, detector_hash, aberra_version, calibrated_threshold, threshold_moved: threshold === null ? null : threshold !== calibrated_threshold, calibration, ignored_areas };
}
