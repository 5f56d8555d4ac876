// What hangs on a threshold, by kind too.
import { expect, it } from "vitest";
import { exact } from "../src/numbers/interval";
import { ofKind, ratesAt } from "../src/numbers/rates";

const image = (score: number, kind: string | null, group: number, weight = 1) => ({ score, kind, group, weight });
const IMAGES = [image(1, null, 0), image(3, null, 1), image(2, "crack", 2), image(4, "crack", 3), image(5, "hole", 4), image(5, "hole", 5), image(1, "hole", 6)];

it("follows the threshold", () => {
  const low = ratesAt(IMAGES, 1.5, 0.95);
  expect([low.recall?.value, low.falseAlarms?.value, low.precision?.value]).toEqual([0.8, 0.5, 0.8]);
  expect(ratesAt(IMAGES, 4.5, 0.95)).toMatchObject({ recall: { value: 0.4 }, falseAlarms: exact(0, 2), precision: exact(1, 2) });
  expect(ratesAt(IMAGES, 9, 0.95).precision).toBeNull();
  expect(ratesAt([], 1, 0.95)).toEqual({ recall: null, falseAlarms: null, precision: null });
});

it("has the intervals of the level that is asked for", () => {
  expect(ratesAt(IMAGES, 4.5, 0.8).falseAlarms).toEqual(exact(0, 2, 0.8));
  expect(exact(0, 2, 0.8).high).toBeLessThan(exact(0, 2).high);
});

it("counts a kind by itself, each group once", () => {
  expect(ofKind(IMAGES, "hole", 1.5, 0.95)).toMatchObject({ images: 3, flagged: 2, recall: { value: 2 / 3 } });
  expect(ofKind(IMAGES, "crack", 9, 0.95)).toEqual({ images: 2, flagged: 0, recall: exact(0, 2) });
  expect(ofKind(IMAGES, "dent", 1, 0.95)).toEqual({ images: 0, flagged: 0, recall: null });
  // Two images of a group that shows two kinds: each kind has one, which weighs 1 there.
  const shared = [image(5, "hole", 1, 0.5), image(1, "crack", 1, 0.5), image(5, "hole", 2)];
  expect(ofKind(shared, "hole", 3, 0.95)).toMatchObject({ images: 2, flagged: 2, recall: { value: 1 } });
  const copies = [image(5, "hole", 1, 1 / 3), image(5, "hole", 1, 1 / 3), image(1, "hole", 2)];
  expect(ofKind(copies, "hole", 3, 0.95).recall?.value).toBe(0.5);
});
