// The numbers against those of the library: `golden/numbers.json` is written by crates/aberra-metrics/tests/web_numbers.rs.
// What is counted agrees to the last bit; what is made of logarithms agrees to nine digits.
import { describe, expect, it } from "vitest";
import { pValueOf, promiseAt } from "../src/numbers/promise";
import { ascending, quantile } from "../src/numbers/sorted";
import { cheapest, confusionAt, costPerThousand, isAnomalous, rates, scoresOf } from "../src/numbers/verdicts";
import text from "./golden/numbers.json?raw";

interface Calibration {
  scores: number[];
  tied: boolean;
  rates: { rate: number; threshold: number; expected_rate: number; confident_rate: number; confidence: number }[];
  confident: { rate: number; confidence: number; threshold: number }[];
  p_values: { score: number; p_value: number }[];
  percentiles: { percentile: number; value: number }[];
}

interface TestSet {
  scores: number[];
  anomalous: boolean[];
  at: {
    threshold: number;
    confusion: { true_positives: number; false_positives: number; true_negatives: number; false_negatives: number };
    recall: number | null; precision: number | null; f1: number | null; false_alarm_rate: number | null;
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

describe.each(golden.test_sets.map((one) => ({ name: `${one.scores.length} labelled scores, ${one.anomalous.filter(Boolean).length} anomalous`, one })))("$name", ({ one }) => {
  const scores = scoresOf(one.scores.map((score, i) => ({ score, kind: one.anomalous[i] ? "some" : null, group: i })));
  it("give the verdicts and rates of the library at any threshold", () => {
    for (const { threshold, confusion, recall, precision, f1, false_alarm_rate } of one.at) {
      const { true_positives: caught, false_negatives: missed, false_positives: falseAlarms, true_negatives: passed } = confusion;
      const found = confusionAt(scores, threshold);
      expect(found).toEqual({ caught, missed, falseAlarms, passed });
      expect(one.scores.filter((score) => isAnomalous(score, threshold)).length).toBe(caught + falseAlarms);
      expect(rates(found)).toEqual({ recall, precision, f1, falseAlarmRate: false_alarm_rate });
    }
  });
  it("give the points of its curves", () => {
    for (const { threshold, false_positive_rate, true_positive_rate } of one.roc ?? []) {
      expect(rates(confusionAt(scores, threshold))).toMatchObject({ falseAlarmRate: false_positive_rate, recall: true_positive_rate });
    }
    for (const { threshold, precision, recall } of one.precision_recall ?? []) {
      expect(rates(confusionAt(scores, threshold))).toMatchObject({ precision, recall });
    }
    expect((one.roc === null) === (scores.normals.length === 0 || scores.anomalies.length === 0)).toBe(true);
  });
  it("have the threshold of the least cost where it has it", () => {
    for (const { miss, false_alarm: falseAlarm, threshold } of one.cheapest) {
      const costs = { miss, falseAlarm, prevalence: scores.anomalies.length / one.scores.length };
      const best = cheapest(scores, costs)!;
      expect(best.threshold).toBe(threshold);
      expect(best.cost).toBe(costPerThousand(rates(confusionAt(scores, threshold)), costs));
    }
  });
});

it("counts ties as normal", () => {
  const tied = golden.test_sets[1]!;
  const levels = ascending(new Set(tied.scores));
  expect(levels.length).toBeLessThan(tied.scores.length / 4);
});
