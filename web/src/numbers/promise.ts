// The promise of a threshold: its coverage guarantee, from the scores of calibration normals alone (split conformal
// prediction; Vovk 2012, Angelopoulos and Bates 2021).
//
// Let n calibration normals and one new normal image be exchangeable, and k calibration scores lie above t. The new
// image's score is anomalous if it lies above t, hence above the largest calibration score that t leaves normal; the
// chance of that, averaged over calibrations, is at most (1 + k) / (1 + n). For the calibration at hand the rate itself
// varies: it lies below the (1 - delta) quantile of Beta(k + 1, n - k) with confidence 1 - delta. Both hold for a
// threshold fixed by its rank before anything else was looked at.
import { betaQuantile } from "./beta";
import { countAbove, countAtLeast } from "./sorted";

export interface ThresholdPromise {
  /** Calibration scores, and how many of them lie above the threshold. */
  calibration: number;
  above: number;
  /** At most this share of new normals is above the threshold, on average over calibrations. */
  onAverage: number;
  /** At most this share, with `confidence`. */
  withConfidence: number;
  confidence: number;
}

/** The promise of `threshold`; null without calibration scores. `sorted`: ascending. */
export function promiseAt(sorted: ArrayLike<number>, threshold: number, confidence = 0.9): ThresholdPromise | null {
  const n = sorted.length;
  if (n === 0) return null;
  const above = countAbove(sorted, threshold);
  const withConfidence = above === n ? 1 : betaQuantile(confidence, above + 1, n - above);
  return { calibration: n, above, onAverage: (1 + above) / (1 + n), withConfidence, confidence };
}

/** The conformal p-value of a score: (1 + how many calibration scores are at least as high) / (1 + n). */
export function pValueOf(sorted: ArrayLike<number>, score: number): number {
  return (1 + countAtLeast(sorted, score)) / (1 + sorted.length);
}
