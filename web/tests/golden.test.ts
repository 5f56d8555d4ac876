// The numbers against those of the library: `golden/numbers.json` is written by crates/aberra-metrics/tests/web_numbers.rs.
// What is counted, and weights at a threshold, agree to the last bit; sums of weights along a curve, whose order differs where
// scores tie, agree to twelve digits, and what is made of logarithms to nine.
import { describe, expect, it } from "vitest";
import { groupedShare } from "../src/numbers/interval";
import { pValueOf, promiseAt } from "../src/numbers/promise";
import { ascending, quantile } from "../src/numbers/sorted";
import { cheapest, confusionAt, costPerThousand, isAnomalous, rates, scoresOf, weightsAt } from "../src/numbers/verdicts";
import text from "./golden/numbers.json?raw";

interface Calibration {
  scores: number[];
  tied: boolean;
  rates: { rate: number; threshold: number; expected_rate: number; confident_rate: number; confidence: number }[];
  confident: { rate: number; confidence: number; threshold: number }[];
  p_values: { score: number; p_value: number }[];
  percentiles: { percentile: number; value: number }[];
}

interface Cells { true_positives: number; false_positives: number; true_negatives: number; false_negatives: number }

interface TestSet {
  scores: number[];
  anomalous: boolean[];
  groups: number[];
  weights: number[];
  at: {
    threshold: number;
    confusion: Cells;
    weights: Cells;
    recall: number | null; precision: number | null; f1: number | null; false_alarm_rate: number | null;
    recall_interval: [number, number] | null;
  }[];
  roc: { threshold: number; false_positive_rate: number; true_positive_rate: number }[] | null;
  precision_recall: { threshold: number; precision: number; recall: number }[] | null;
  cheapest: { miss: number; false_alarm: number; threshold: number }[];
}

const golden = JSON.parse(text) as { calibrations: Calibration[]; test_sets: TestSet[] };

describe.each(golden.calibrations.map((one) => ({ name: `${one.scores.length} calibration scores`, one })))("$name", ({ one }) => {
  it("give the p-values of the library, ties included", () => {
    expect(one.p_values.map(({ score }) => pValueOf(one.scores, score))).toEqual(one.p_values.map(({ p_value }) => p_value));
  });
  it("give its coverage guarantees at its conformal thresholds", () => {
    for (const { rate, threshold, expected_rate, confident_rate, confidence } of one.rates) {
      const promise = promiseAt(one.scores, threshold, confidence)!;
      expect(promise.onAverage).toBeLessThanOrEqual(rate + 1e-12);
      // The library goes by the rank of the threshold. Where scores tie, fewer lie above it than its rank allows.
      if (one.tied) {
        expect(promise.onAverage).toBeLessThanOrEqual(expected_rate);
        expect(promise.withConfidence).toBeLessThanOrEqual(confident_rate + 1e-9);
      } else {
        expect(promise.onAverage).toBe(expected_rate);
        expect(promise.withConfidence).toBeCloseTo(confident_rate, 9);
      }
    }
  });
  it("keep the rate with confidence at its thresholds, and waste nothing", () => {
    for (const { rate, confidence, threshold } of one.confident) {
      expect(promiseAt(one.scores, threshold, confidence)!.withConfidence).toBeLessThanOrEqual(rate + 1e-9);
      const next = one.scores.filter((score) => score < threshold).at(-1);
      if (next !== undefined) expect(promiseAt(one.scores, next, confidence)!.withConfidence).toBeGreaterThan(rate);
    }
  });
  it("have its percentiles", () => {
    for (const { percentile, value } of one.percentiles) expect(quantile(one.scores, percentile / 100)).toBeCloseTo(value, 10);
  });
});

it("holds thresholds at rates, for tied scores and for others", () => {
  const told = golden.calibrations.filter((one) => one.rates.length > 2 && one.confident.length > 1);
  expect(told.map((one) => one.tied)).toEqual([false, false, true]);
});

const cells = ({ true_positives: caught, false_negatives: missed, false_positives: falseAlarms, true_negatives: passed }: Cells) => ({ caught, missed, falseAlarms, passed });

describe.each(golden.test_sets.map((one) => ({ name: `${one.scores.length} labelled scores in ${new Set(one.groups).size} groups, ${one.anomalous.filter(Boolean).length} anomalous`, one })))("$name", ({ one }) => {
  const scores = scoresOf(one.scores.map((score, i) => ({ score, kind: one.anomalous[i] ? "some" : null, weight: one.weights[i]! })));
  it("give the verdicts and rates of the library at any threshold", () => {
    for (const { threshold, confusion, weights, recall, precision, f1, false_alarm_rate } of one.at) {
      const { caught, falseAlarms } = cells(confusion);
      expect(confusionAt(scores, threshold)).toEqual(cells(confusion));
      expect(one.scores.filter((score) => isAnomalous(score, threshold)).length).toBe(caught + falseAlarms);
      const found = weightsAt(scores, threshold);
      expect(found).toEqual(cells(weights));
      expect(rates(found)).toEqual({ recall, precision, f1, falseAlarmRate: false_alarm_rate });
    }
  });
  it("give the intervals of the library over groups", () => {
    for (const { threshold, recall_interval: ends } of one.at) {
      const anomalies = one.scores.flatMap((score, i) => (one.anomalous[i] ? [{ group: one.groups[i]!, hit: isAnomalous(score, threshold), weight: one.weights[i]! }] : []));
      const found = groupedShare(anomalies);
      expect(found === null).toBe(ends === null);
      expect(found?.low ?? 0).toBeCloseTo(ends?.[0] ?? 0, 8);
      expect(found?.high ?? 0).toBeCloseTo(ends?.[1] ?? 0, 8);
    }
  });
  it("give the points of its curves", () => {
    for (const { threshold, false_positive_rate, true_positive_rate } of one.roc ?? []) {
      const { falseAlarmRate, recall } = rates(weightsAt(scores, threshold));
      expect(falseAlarmRate).toBeCloseTo(false_positive_rate, 12);
      expect(recall).toBeCloseTo(true_positive_rate, 12);
    }
    for (const { threshold, precision, recall } of one.precision_recall ?? []) {
      const found = rates(weightsAt(scores, threshold));
      expect(found.precision).toBeCloseTo(precision, 12);
      expect(found.recall).toBeCloseTo(recall, 12);
    }
    expect((one.roc === null) === (scores.normals.length === 0 || scores.anomalies.length === 0)).toBe(true);
  });
  it("have the threshold of the least cost where it has it", () => {
    for (const { miss, false_alarm: falseAlarm, threshold } of one.cheapest) {
      const costs = { miss, falseAlarm, prevalence: scores.anomalies.length / one.scores.length };
      const best = cheapest(scores, costs)!;
      expect(best.threshold).toBe(threshold);
      expect(best.cost).toBe(costPerThousand(rates(weightsAt(scores, threshold)), costs));
    }
  });
  it("have no point of the curve that costs less than the cheapest threshold", () => {
    for (const costs of [{ miss: 1, falseAlarm: 1, prevalence: 0.5 }, { miss: 10, falseAlarm: 1, prevalence: 0.1 }, { miss: 1, falseAlarm: 3, prevalence: 0.3 }]) {
      const priced = (one.roc ?? []).map((point) => ({ threshold: point.threshold, cost: costPerThousand({ recall: point.true_positive_rate, falseAlarmRate: point.false_positive_rate }, costs)! }));
      if (priced.length === 0) continue;
      const best = cheapest(scores, costs)!;
      const least = Math.min(...priced.map((point) => point.cost));
      expect(best.cost).toBeCloseTo(least, 9);
      expect(best.threshold).toBe(Math.max(...priced.filter((point) => point.cost < least + 1e-9).map((point) => point.threshold)));
    }
  });
});

it("has weighted sets in which rates are not those of counts", () => {
  const differ = golden.test_sets.filter((one) => one.at.some(({ confusion, recall }) => recall !== rates(cells(confusion)).recall));
  expect(differ.length).toBeGreaterThanOrEqual(4);
});

it("counts ties as normal", () => {
  const tied = golden.test_sets[1]!;
  const levels = ascending(new Set(tied.scores));
  expect(levels.length).toBeLessThan(tied.scores.length / 4);
});
