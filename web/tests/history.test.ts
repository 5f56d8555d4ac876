// The curves of a training history.
import { expect, it } from "vitest";
import { figureCurves, lossCurves, medianSpeed } from "../src/numbers/history";
import type { EpochData } from "../src/report/data";

const epoch = (number: number, more: Partial<EpochData> = {}): EpochData => ({
  epoch: number,
  train: { total: 10 / number, terms: { l1: 8 / number, commitment: 2 / number } },
  held_out: { total: 12 / number, terms: { l1: 9 / number, commitment: 3 / number } },
  learning_rate: 0.1, figures: {}, standardized_shift: null, best: false, images_per_s: null, ...more,
});

it("are the total and each term by its name", () => {
  const curves = lossCurves([epoch(1), epoch(2)]);
  expect(curves.map((curve) => curve.title)).toEqual(["Total loss", "Loss term: absolute error", "Loss term: commitment to codes"]);
  expect(curves[1]!.series.map((one) => [one.name, one.values])).toEqual([["training", [8, 4]], ["held-out normals", [9, 4.5]]]);
});

it("keep a place for what an epoch did not record", () => {
  const curves = figureCurves([epoch(1), epoch(2, { figures: { dead_codes: 3 } })]);
  expect(curves.map((curve) => [curve.title, curve.series[0]!.values])).toEqual([["Learning rate", [0.1, 0.1]], ["Codes without use", [null, 3]]]);
});

it("have a median speed where one was measured", () => {
  expect(medianSpeed([epoch(1), epoch(2)])).toBeNull();
  expect(medianSpeed([epoch(1, { images_per_s: 30 }), epoch(2), epoch(3, { images_per_s: 10 }), epoch(4, { images_per_s: 20 })])).toBe(20);
});
