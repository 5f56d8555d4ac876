import { describe, expect, it } from "vitest";
import { areasIn, around, between, changed, inNumbers, inText } from "../src/numbers/areas";

describe("areas", () => {
  it("lie between two corners in any order, and within the image", () => {
    expect(between([0.7, 0.95], [0.4, 0.9])).toEqual({ left: 0.4, top: 0.9, width: 0.3, height: 0.05 });
    expect(between([-0.2, 0.5], [0.25, 1.3])).toEqual({ left: 0, top: 0.5, width: 0.25, height: 0.5 });
  });

  it("are written as the server and the command line take them, without reaching beyond the image", () => {
    const area = between([1 / 3, 0], [1, 2 / 3]);
    expect(inNumbers(area)).toBe("0.3333,0,0.6667,0.6667");
    expect(area.left + area.width).toBeLessThanOrEqual(1);
    expect(inText([area, area])).toBe("0.3333,0,0.6667,0.6667;0.3333,0,0.6667,0.6667");
    expect(inText([])).toBeUndefined();
    expect([areasIn(inText([area, area])), areasIn(undefined)]).toEqual([[area, area], []]);
  });

  it("stay within the image and are never nothing, whatever is typed", () => {
    const area = { left: 0.5, top: 0.5, width: 0.5, height: 0.25 };
    expect(changed(area, "left", 0.8)).toEqual({ left: 0.8, top: 0.5, width: 0.2, height: 0.25 });
    expect(changed(area, "left", 1)).toEqual({ left: 0.99, top: 0.5, width: 0.01, height: 0.25 });
    expect(changed(area, "height", Number.NaN)).toEqual({ ...area, height: 0.01 });
    expect(changed(area, "top", -3)).toEqual({ ...area, top: 0 });
  });

  it("leave the rest of the image around one of them, once", () => {
    const area = { left: 0.2, top: 0.3, width: 0.5, height: 0.4 };
    const strips = around(area);
    const covered = (x: number, y: number) => [area, ...strips].filter(({ left, top, width, height }) => x > left && x < left + width && y > top && y < top + height).length;
    for (let x = 0.05; x < 1; x += 0.1) for (let y = 0.05; y < 1; y += 0.1) expect(covered(x, y)).toBe(1);
    expect(around({ left: 0, top: 0, width: 1, height: 1 })).toEqual([]);
    expect(around({ left: 0, top: 0, width: 0.4, height: 1 })).toEqual([{ left: 0.4, top: 0, width: 0.6, height: 1 }]);
  });
});
