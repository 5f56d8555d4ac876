// The confusion matrix and what follows from it, against cases worked out by hand.
import { describe, expect, it } from "vitest";
import { cheapest, confusionAt, costPerThousand, isAnomalous, nextChange, outcome, prevalenceOf, rates, reweighted, scoresOf, weightsAt } from "../src/numbers/verdicts";

const images = [
  { score: 1, kind: null, weight: 1 }, { score: 2, kind: null, weight: 1 }, { score: 3, kind: null, weight: 1 }, { score: 4, kind: null, weight: 1 },
  { score: 3, kind: "crack", weight: 1 }, { score: 5, kind: "crack", weight: 1 },
];
const scores = scoresOf(images);

it("weights are one over the images of a group and class that remain", () => {
  const some = [{ group: 1, kind: null, weight: 0.25 }, { group: 1, kind: null, weight: 0.25 }, { group: 1, kind: "crack", weight: 1 }, { group: 2, kind: null, weight: 0.5 }];
  expect(reweighted(some).map((one) => one.weight)).toEqual([0.5, 0.5, 1, 1]);
});

describe("the verdict", () => {
  it("calls a tie normal", () => {
    expect(isAnomalous(3, 3)).toBe(false);
    expect(isAnomalous(3 + 1e-12, 3)).toBe(true);
    expect(outcome(images[4]!, 3)).toBe("missed");
    expect(outcome(images[3]!, 3)).toBe("false alarm");
  });
});

describe("the confusion matrix", () => {
  it("counts ties as normal", () => {
    expect(confusionAt(scores, 3)).toEqual({ caught: 1, missed: 1, falseAlarms: 1, passed: 3 });
    expect(confusionAt(scores, 2.9)).toEqual({ caught: 2, missed: 0, falseAlarms: 2, passed: 2 });
  });
  it("reaches both ends", () => {
    expect(confusionAt(scores, -Infinity)).toEqual({ caught: 2, missed: 0, falseAlarms: 4, passed: 0 });
    expect(confusionAt(scores, 5)).toEqual({ caught: 0, missed: 2, falseAlarms: 0, passed: 4 });
  });
  it("gives recall 1/2, precision 1/2, F1 1/2 and a false alarm rate of 1/4", () => {
    expect(rates(confusionAt(scores, 3))).toEqual({ recall: 0.5, precision: 0.5, f1: 0.5, falseAlarmRate: 0.25 });
  });
  it("says null, never 0, where nothing can be computed", () => {
    const normalsOnly = rates(confusionAt(scoresOf(images.slice(0, 4)), 5));
    expect(normalsOnly).toEqual({ recall: null, precision: null, f1: null, falseAlarmRate: 0 });
    expect(rates(confusionAt(scoresOf(images.slice(4)), 9))).toEqual({ recall: 0, precision: null, f1: 0, falseAlarmRate: null });
  });
});

describe("weights", () => {
  // Two normals of one group, one of them flagged; two anomalies of another, and one alone that is missed.
  const grouped = scoresOf([
    { score: 1, kind: null, weight: 0.5 }, { score: 4, kind: null, weight: 0.5 }, { score: 2, kind: null, weight: 1 },
    { score: 5, kind: "crack", weight: 0.5 }, { score: 6, kind: "crack", weight: 0.5 }, { score: 2, kind: "crack", weight: 1 },
  ]);
  it("leave counts as they are, and make each group count once in rates", () => {
    expect(confusionAt(grouped, 3)).toEqual({ caught: 2, missed: 1, falseAlarms: 1, passed: 2 });
    expect(weightsAt(grouped, 3)).toEqual({ caught: 1, missed: 1, falseAlarms: 0.5, passed: 1.5 });
    expect(rates(weightsAt(grouped, 3))).toEqual({ recall: 1 / 2, precision: 1 / 1.5, f1: 2 / 3.5, falseAlarmRate: 1 / 4 });
    expect([grouped.grouped, scores.grouped]).toEqual([true, false]);
  });
  it("give the share of anomalies", () => {
    expect([prevalenceOf(grouped), prevalenceOf(scores), prevalenceOf(scoresOf(images.slice(0, 4)))]).toEqual([1 / 2, 1 / 3, 0]);
  });
});

describe("the cost", () => {
  const costs = { miss: 10, falseAlarm: 1, prevalence: 0.1 };
  it("weighs mistakes by the share of anomalies to come", () => {
    // 1000 * (0.1 * 1/2 * 10 + 0.9 * 1/4 * 1) = 500 + 225
    expect(costPerThousand(rates(confusionAt(scores, 3)), costs)).toBeCloseTo(725, 9);
  });
  it("does without a rate that has no weight", () => {
    const of = rates(confusionAt(scoresOf(images.slice(0, 4)), 3));
    expect(costPerThousand(of, { ...costs, prevalence: 0 })).toBe(250);
    expect(costPerThousand(of, costs)).toBeNull();
    expect(costPerThousand(rates(confusionAt(scores, 3)), { ...costs, prevalence: null })).toBeNull();
  });
  it("finds the cheapest threshold", () => {
    // At 2: recall 1, false alarms 2/4: 450. At 4: recall 1/2, none: 500. At 1: 3/4: 675.
    expect(cheapest(scores, costs)).toEqual({ threshold: 2, cost: 450 });
    expect(cheapest(scoresOf(images.slice(0, 4)), costs)).toBeNull();
  });
  it("flags everything where that is cheapest", () => {
    const below = scoresOf([{ score: 1, kind: "crack", weight: 1 }, { score: 2, kind: null, weight: 1 }]);
    expect(cheapest(below, { ...costs, prevalence: 0.5 })).toEqual({ threshold: 1 - 2 ** -53, cost: 500 });
    expect(cheapest(scoresOf([]), costs)).toBeNull();
  });
});

describe("the next change of a verdict", () => {
  const all = [1, 2, 3, 3, 4, 5];
  it("goes up to the score that then passes", () => {
    expect(nextChange(all, 2.5, true)).toBe(3);
    expect(nextChange(all, 3, true)).toBe(4);
    expect(nextChange(all, 5, true)).toBeNull();
  });
  it("goes down to the score below", () => {
    expect(nextChange(all, 3, false)).toBe(2);
    expect(nextChange(all, 3.5, false)).toBe(3);
    expect(nextChange(all, 1, false)).toBeNull();
  });
});
