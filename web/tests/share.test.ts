// Shares of pixels above a threshold.
import { expect, it } from "vitest";
import { levelOf, shareAbove } from "../src/numbers/share";

const whole = { left: 0, top: 0, width: 2, height: 2 };

it("counts the pixels above, and a tie as normal", () => {
  const grey = [0, 51, 102, 255];
  expect(shareAbove(grey, 2, whole, 1, 5)).toBe(0.5);
  expect(shareAbove(grey, 2, whole, 0.99, 5)).toBe(0.75);
  expect(shareAbove(grey, 2, whole, 5, 5)).toBe(0);
});

it("leaves padding out", () => {
  const grey = [255, 0, 255, 255, 0, 0, 255, 255, 255];
  expect(shareAbove(grey, 3, { left: 1, top: 0, width: 1, height: 3 }, 1, 5)).toBeCloseTo(1 / 3);
  expect(shareAbove(grey, 3, { left: 0, top: 0, width: 0, height: 3 }, 1, 5)).toBe(0);
});

it("takes a threshold on a level of the map as that level, whatever its last digit", () => {
  const most = 4.95;
  for (let level = 0; level < 256; level++) {
    expect(levelOf(level * (most / 255), most)).toBe(level);
    expect(shareAbove([level], 1, { left: 0, top: 0, width: 1, height: 1 }, level * (most / 255), most)).toBe(0);
  }
});
