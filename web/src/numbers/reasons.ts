// Why a score is where it is: which evidence lies beyond the calibration normals, and what the map adds.
import type { Descriptor } from "../report/data";
import { percent, significant } from "./format";
import { phraseOf } from "./measurements";

export interface Facts {
  measurements: readonly Descriptor[];
  percentiles: Readonly<Record<string, number>>;
  /** How much each measurement counts in the score, where that is known. */
  weights: readonly { measurement: string; weight: number }[];
  flagged: boolean;
  /** Share of the pixels above the pixel threshold; null without a map. */
  share: number | null;
}

/** A measurement is notable above this percentile of the calibration normals. */
const NOTABLE = 95;
const SHOWN = 3;

/** Sentences, the most important first; empty where nothing is known of the calibration normals. */
export function reasons({ measurements, percentiles, weights, flagged, share }: Facts): string[] {
  const counts = new Map(weights.map((one) => [one.measurement, one.weight]));
  const known = measurements.filter((one) => one.direction === "higher-is-unusual" && percentiles[one.name] !== undefined);
  // Where weights are known, what has none does not move the score.
  const moving = counts.size === 0 ? known : known.filter((one) => (counts.get(one.name) ?? 0) > 0);
  if (moving.length === 0) return [];
  const high = moving.filter((one) => percentiles[one.name]! > NOTABLE);
  const order = (a: Descriptor, b: Descriptor) => (counts.get(b.name) ?? 0) - (counts.get(a.name) ?? 0) || percentiles[b.name]! - percentiles[a.name]!;
  const said: string[] = [];
  const of = counts.size === 0 ? "" : moving.length === 1 ? " that counts in the score" : " that count in the score";
  if (high.length === 0) {
    const top = moving.reduce((a, b) => (percentiles[b.name]! > percentiles[a.name]! ? b : a));
    const none = moving.length === 1 ? `The one measurement${of} does not lie` : `None of the ${moving.length} measurements${of} lies`;
    said.push(`${none} above ${NOTABLE}\u00a0% of the calibration normals${moving.length === 1 ? ":" : "; the highest,"} ${phraseOf(top)}${moving.length === 1 ? "" : ","} lies above ${Math.min(NOTABLE - 1, Math.floor(percentiles[top.name]!))}\u00a0%.`);
    if (flagged) said.push("Together they are unusual, though none is alone.");
  } else {
    const listed = [...high].sort(order).slice(0, SHOWN).map((one) => `${phraseOf(one)} (${percentiles[one.name]! >= 100 ? "above all" : `above ${significant(percentiles[one.name]!, 3)}\u00a0%`})`);
    said.push(`${high.length} of ${moving.length} measurements${of} ${high.length === 1 ? "lies" : "lie"} above ${NOTABLE}\u00a0% of the calibration normals${high.length > SHOWN ? ", foremost" : ""}: ${listed.join("; ")}.`);
  }
  if (share !== null) {
    if (flagged && share === 0) said.push("No pixel of the map lies above the pixel threshold: the image as a whole is unlike the normals, and no place in it stands out.");
    else if (!flagged && share > 0) said.push(`${percent(share)} of the pixels lie above the pixel threshold, which is not enough to flag the image.`);
  }
  return said;
}
