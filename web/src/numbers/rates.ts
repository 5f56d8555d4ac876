// What hangs on a threshold: recall, false alarms and precision, and what is found of each kind. Each group counts once; intervals
// are exact.
import type { Interval } from "../report/data";
import { groupedShare } from "./interval";
import { type Labelled, isAnomalous, reweighted } from "./verdicts";

type Grouped = Labelled & { group: number };

/** Each with its interval; null where there is nothing that it is a share of. */
export interface RatesAt {
  recall: Interval | null;
  falseAlarms: Interval | null;
  precision: Interval | null;
}

export function ratesAt(images: readonly Grouped[], threshold: number, level: number): RatesAt {
  const share = (of: (image: Grouped) => boolean, hit: (image: Grouped) => boolean) =>
    groupedShare(images.filter(of).map((image) => ({ group: image.group, weight: image.weight, hit: hit(image) })), level);
  const flagged = ({ score }: Grouped) => isAnomalous(score, threshold);
  const anomalous = ({ kind }: Grouped) => kind !== null;
  return { recall: share(anomalous, flagged), falseAlarms: share((image) => !anomalous(image), flagged), precision: share(flagged, anomalous) };
}

/** Images of one kind that are flagged, and its recall. */
export function ofKind(images: readonly Grouped[], kind: string, threshold: number, level: number): { images: number; flagged: number; recall: Interval | null } {
  // A group that shows several kinds counts once in each.
  const own = reweighted(images.filter((image) => image.kind === kind));
  return { images: own.length, flagged: own.filter(({ score }) => isAnomalous(score, threshold)).length, recall: ratesAt(own, threshold, level).recall };
}
