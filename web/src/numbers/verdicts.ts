// Verdicts at any threshold: the confusion matrix and all that follows from it.
//
// Anomalous if score > threshold; a tie is normal. What cannot be computed is null, never 0. Images are counted; rates are of
// weights, by which each group counts once in each class, and are summed as the library sums them, to the last bit.
import { ascending, countAbove, nextDown } from "./sorted";

export interface Labelled {
  score: number;
  /** null for normal. */
  kind: string | null;
  /** How much it counts in rates: one over the images of its group that are of its class. */
  weight: number;
}

export type Outcome = "caught" | "missed" | "false alarm" | "passed";

/** Scores by their label, ascending. */
export interface ScoresByLabel {
  normals: Float64Array;
  anomalies: Float64Array;
}

export interface Scores extends ScoresByLabel {
  /** In the order of the test set. */
  images: readonly Labelled[];
  /** Whether some group has several images of a class, so that rates are not those of counts. */
  grouped: boolean;
}

/** Anomalies caught and missed, normals that raise a false alarm or pass: how many, or the sums of their weights. */
export interface Confusion {
  caught: number;
  missed: number;
  falseAlarms: number;
  passed: number;
}

export interface Rates {
  recall: number | null;
  precision: number | null;
  f1: number | null;
  falseAlarmRate: number | null;
}

export interface Costs {
  /** Of one missed anomaly and one false alarm, in any one unit. */
  miss: number;
  falseAlarm: number;
  /** Share of anomalies among the images that will come; null until somebody has stated it. */
  prevalence: number | null;
}

export function isAnomalous(score: number, threshold: number): boolean {
  return score > threshold;
}

export function outcome(image: Labelled, threshold: number): Outcome {
  const flagged = isAnomalous(image.score, threshold);
  if (image.kind === null) return flagged ? "false alarm" : "passed";
  return flagged ? "caught" : "missed";
}

export function scoresOf(images: readonly Labelled[]): Scores {
  const of = (normal: boolean) => images.filter((image) => (image.kind === null) === normal).map((image) => image.score);
  return { normals: ascending(of(true)), anomalies: ascending(of(false)), images, grouped: images.some((image) => image.weight !== 1) };
}

/** The same images with the weights that they have among themselves: one over those of their group and class. */
export function reweighted<T extends { group: number; kind: string | null; weight: number }>(images: readonly T[]): T[] {
  const classOf = ({ group, kind }: T) => 2 * group + Number(kind === null);
  const inClass = new Map<number, number>();
  for (const image of images) inClass.set(classOf(image), (inClass.get(classOf(image)) ?? 0) + 1);
  return images.map((image) => ({ ...image, weight: 1 / inClass.get(classOf(image))! }));
}

/** Counts of images. */
export function confusionAt(scores: ScoresByLabel, threshold: number): Confusion {
  const caught = countAbove(scores.anomalies, threshold);
  const falseAlarms = countAbove(scores.normals, threshold);
  return { caught, missed: scores.anomalies.length - caught, falseAlarms, passed: scores.normals.length - falseAlarms };
}

/** Sums of weights, each in the order of the images. */
export function weightsAt({ images }: Scores, threshold: number): Confusion {
  const sums = { caught: 0, missed: 0, falseAlarms: 0, passed: 0 };
  for (const image of images) sums[CELLS[outcome(image, threshold)]] += image.weight;
  return sums;
}

const CELLS = { "caught": "caught", "missed": "missed", "false alarm": "falseAlarms", "passed": "passed" } as const;

/** Share of anomalies in the test set, by weight: the precision of flagging at random. 0 without images of both classes. */
export function prevalenceOf(scores: Scores): number {
  if (scores.normals.length === 0 || scores.anomalies.length === 0) return 0;
  const { caught, falseAlarms } = weightsAt(scores, -Infinity);
  return caught / (caught + falseAlarms);
}

export function rates({ caught, missed, falseAlarms, passed }: Confusion): Rates {
  const recall = share(caught, caught + missed);
  const precision = share(caught, caught + falseAlarms);
  // Without anomalies there is nothing to find; with none of them flagged, F1 is 0 by its definition.
  const f1 = caught + missed === 0 ? null : (2 * caught) / (2 * caught + falseAlarms + missed);
  return { recall, precision, f1, falseAlarmRate: share(falseAlarms, falseAlarms + passed) };
}

/** Cost of 1,000 images at the stated share of anomalies; null where that is not stated, or a rate that counts is unknown. */
export function costPerThousand(of: Pick<Rates, "recall" | "falseAlarmRate">, costs: Costs): number | null {
  if (costs.prevalence === null) return null;
  const missed = costs.prevalence === 0 ? 0 : of.recall === null ? null : costs.prevalence * (1 - of.recall);
  const alarms = costs.prevalence === 1 ? 0 : of.falseAlarmRate === null ? null : (1 - costs.prevalence) * of.falseAlarmRate;
  return missed === null || alarms === null ? null : 1000 * (missed * costs.miss + alarms * costs.falseAlarm);
}

/** Costs that differ by less are equal: they are sums of rounded shares. */
const SAME_COST = 1 + 1e-12;

/** The threshold of lowest cost on these images: the largest score that it leaves normal, or just below the smallest score
 *  where everything is to be flagged. Ties go to the higher one. */
export function cheapest(scores: Scores, costs: Costs): { threshold: number; cost: number } | null {
  const falling = [...scores.images].sort((a, b) => b.score - a.score);
  if (falling.length === 0) return null;
  const all = weightsAt(scores, -Infinity);
  let [caught, falseAlarms] = [0, 0];
  let best: { threshold: number; cost: number } | null = null;
  falling.forEach((image, i) => {
    // Images of equal score are flagged together.
    if (image.score !== falling[i - 1]?.score) consider(image.score);
    if (image.kind === null) falseAlarms += image.weight;
    else caught += image.weight;
  });
  consider(nextDown(falling.at(-1)!.score));
  return best === null ? null : exactly(best);

  function consider(threshold: number): void {
    const cost = costPerThousand(rates({ caught, missed: all.caught - caught, falseAlarms, passed: all.falseAlarms - falseAlarms }), costs);
    if (cost !== null && (best === null || cost * SAME_COST < best.cost)) best = { threshold, cost };
  }
  /** With the cost as it is shown where the threshold is moved there. */
  function exactly({ threshold }: { threshold: number }): { threshold: number; cost: number } {
    return { threshold, cost: costPerThousand(rates(weightsAt(scores, threshold)), costs)! };
  }
}

/** The next score above (or below) `threshold` at which a verdict changes, or null. `all`: ascending. */
export function nextChange(all: ArrayLike<number>, threshold: number, up: boolean): number | null {
  const above = countAbove(all, threshold);
  if (up) return above > 0 ? all[all.length - above]! : null;
  let at = all.length - above - 1;
  if (at >= 0 && all[at] === threshold) while (at >= 0 && all[at] === threshold) at -= 1;
  return at >= 0 ? all[at]! : null;
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}
