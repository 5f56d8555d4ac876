// What a threshold promises, the beta distribution behind it, and intervals, against hand-computed and published values.
import { describe, expect, it } from "vitest";
import { betaProbability, betaQuantile } from "../src/numbers/beta";
import { exact, groupedShare } from "../src/numbers/interval";
import { pValueOf, promiseAt } from "../src/numbers/promise";

const calibration = Array.from({ length: 99 }, (_, i) => i + 1);

describe("the promise", () => {
  it("of the 95th of 99 calibration scores is 5 % on average", () => {
    expect(promiseAt(calibration, 95)).toMatchObject({ calibration: 99, above: 4, onAverage: 0.05, confidence: 0.9 });
  });
  it("does not change between two calibration scores", () => {
    expect(promiseAt(calibration, 95.9)!.onAverage).toBe(0.05);
    expect(promiseAt(calibration, 94.9)!.onAverage).toBe(0.06);
  });
  it("is never below 1 / (n + 1), and nothing below all scores", () => {
    expect(promiseAt(calibration, 1000)!.onAverage).toBe(0.01);
    expect(promiseAt(calibration, 0)).toMatchObject({ onAverage: 1, withConfidence: 1 });
    expect(promiseAt([], 1)).toBeNull();
  });
  it("with confidence is the Clopper-Pearson bound: 1 - 0.1^(1/n) with none above", () => {
    expect(promiseAt(calibration, 99)!.withConfidence).toBeCloseTo(1 - 0.1 ** (1 / 99), 10);
  });
  it("agrees with the p-value: a score that is anomalous has a p-value of at most the promise", () => {
    expect(pValueOf(calibration, 95.5)).toBe(0.05);
    expect(pValueOf(calibration, 95)).toBe(0.06);
    expect(pValueOf(calibration, 500)).toBe(0.01);
  });
});

describe("the beta distribution", () => {
  it("has known values", () => {
    // Beta(1, 1) is uniform; P(Beta(2, 3) <= 0.5) = 11/16; Beta(1, n): 1 - (1 - x)^n.
    expect(betaProbability(0.3, 1, 1)).toBeCloseTo(0.3, 10);
    expect(betaProbability(0.5, 2, 3)).toBeCloseTo(11 / 16, 10);
    expect(betaProbability(0.1, 1, 20)).toBeCloseTo(1 - 0.9 ** 20, 10);
  });
  it("is inverted by its quantile", () => {
    for (const [p, a, b] of [[0.9, 5, 95], [0.5, 2, 2], [0.01, 300, 1]] as const) {
      expect(betaProbability(betaQuantile(p, a, b), a, b)).toBeCloseTo(p, 9);
    }
  });
});

describe("intervals of shares", () => {
  it("are Clopper and Pearson's: 4 of 10 give 0.122 to 0.738", () => {
    const interval = exact(0.4, 10);
    expect(interval.low).toBeCloseTo(0.12155, 4);
    expect(interval.high).toBeCloseTo(0.73762, 4);
  });
  it("end at 0 and 1 where nothing or all was seen, and have width", () => {
    expect(exact(0, 10)).toMatchObject({ low: 0 });
    expect(exact(0, 10).high).toBeCloseTo(1 - 0.025 ** (1 / 10), 9);
    expect(exact(1, 10).high).toBe(1);
  });
  it("are as wide as of the groups where near-duplicates agree", () => {
    const copies = Array.from({ length: 40 }, (_, i) => ({ group: Math.floor(i / 4), hit: Math.floor(i / 4) < 4, weight: 1 / 4 }));
    const grouped = groupedShare(copies)!;
    const ofGroups = exact(0.4, 9);
    expect(grouped.value).toBe(0.4);
    // A group of many images weighs as much as one of a single image.
    const uneven = [...copies.slice(0, 37).map((one) => ({ ...one, weight: one.group < 9 ? 1 / 4 : 1 }))];
    expect(groupedShare(uneven)!.low).toBeCloseTo(grouped.low, 12);
    expect(grouped.low).toBeCloseTo(ofGroups.low, 6);
    expect(groupedShare(copies.map((one) => ({ ...one, hit: true })))).toEqual(exact(1, 10));
  });
  it("do not gain from groups, and need observations", () => {
    const single = Array.from({ length: 40 }, (_, i) => ({ group: i, hit: i < 16, weight: 1 }));
    expect(groupedShare(single)!.low).toBeLessThanOrEqual(exact(0.4, 40).low + 1e-12);
    expect(groupedShare([])).toBeNull();
  });
});
