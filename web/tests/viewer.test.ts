// Regions and outlines of maps, where things lie in the viewer, and what was converted.
import { describe, expect, it } from "vitest";
import { bitsOfPng, conversions } from "../src/numbers/conversions";
import { measured, outlineAt, regionRows, regionsAbove } from "../src/numbers/regions";
import { fitted, inputBox, kept, windowed, zoomed } from "../src/viewer/geometry";
import { hasColour } from "../src/viewer/load";

const grid = (rows: string[]) => ({ grey: rows.join("").split("").map((digit) => 25 * Number(digit)), width: rows[0]!.length, height: rows.length });
const all = (map: { width: number; height: number }) => ({ left: 0, top: 0, width: map.width, height: map.height });

describe("regions", () => {
  const map = grid(["90000", "08000", "00002", "00022"]);
  it("touch at corners, and come by size", () => {
    expect(regionsAbove(map, 30, all(map))).toEqual([
      { pixels: 3, peak: 50, peakAt: [4.5, 2.5], box: { left: 3, top: 2, width: 2, height: 2 } },
      { pixels: 2, peak: 225, peakAt: [0.5, 0.5], box: { left: 0, top: 0, width: 2, height: 2 } },
    ]);
  });
  it("lie above the level, not on it, and within the image", () => {
    expect(regionsAbove(map, 50, all(map)).map((region) => region.pixels)).toEqual([2]);
    expect(regionsAbove(map, 30, { left: 1, top: 1, width: 2, height: 2 }).map((region) => region.pixels)).toEqual([1]);
    expect(regionsAbove(map, 255, all(map))).toEqual([]);
  });
});

describe("the outline", () => {
  it("closes around what lies above, at the map's edge too", () => {
    for (const rows of [["000", "090", "000"], ["900", "000"], ["99", "99"], ["909", "090", "909"]]) {
      const ends = outlineAt(grid(rows), 100, all(grid(rows))).flatMap(([x0, y0, x1, y1]) => [`${x0.toFixed(6)} ${y0.toFixed(6)}`, `${x1.toFixed(6)} ${y1.toFixed(6)}`]);
      const counts = new Map<string, number>();
      for (const end of ends) counts.set(end, (counts.get(end) ?? 0) + 1);
      expect(ends.length).toBeGreaterThan(0);
      expect([...counts.values()].every((count) => count === 2)).toBe(true);
    }
  });
  it("lies between pixels in proportion", () => {
    const xs = outlineAt({ grey: [0, 201], width: 2, height: 1 }, 100, { left: 0, top: 0, width: 2, height: 1 }).flatMap(([x0, y0, x1, y1]) => (y0 === 0.5 ? [x0] : y1 === 0.5 ? [x1] : []));
    expect(Math.min(...xs)).toBeCloseTo(1, 6);
  });
  it("is nothing where nothing lies above", () => expect(outlineAt(grid(["11", "11"]), 100, { left: 0, top: 0, width: 2, height: 2 })).toEqual([]));
  it("stays within the part that shows the image, and closes there", () => {
    const map = grid(["9999", "9999", "9999", "9999"]);
    const lines = outlineAt(map, 100, { left: 1, top: 0, width: 2, height: 4 });
    const [xs, ys] = [lines.flatMap(([x0, , x1]) => [x0, x1]), lines.flatMap(([, y0, , y1]) => [y0, y1])];
    expect([Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]).toEqual([1, 3, 0, 4]);
    // Every end is that of two lines.
    const ends = lines.flatMap(([x0, y0, x1, y1]) => [`${x0} ${y0}`, `${x1} ${y1}`]).sort();
    expect(ends.filter((end, i) => i % 2 === 0 && end === ends[i + 1]).length).toBe(lines.length);
  });
});

describe("where things lie", () => {
  it("puts the network input over the part of the file that it shows", () => {
    // 640 x 480 cropped to the 320 x 240 at (100, 50), shown by the middle 64 x 48 of 64 x 64.
    const box = inputBox({ width: 64, height: 64 }, { left: 0, top: 8, width: 64, height: 48 }, { left: 100, top: 50, width: 320, height: 240 });
    expect(box).toEqual({ left: 100, top: 10, width: 320, height: 320 });
  });
  it("fits, zooms about a point and keeps the picture in sight", () => {
    const view = fitted({ width: 200, height: 100 }, 400, 400);
    expect(view).toEqual({ scale: 2, x: 0, y: 100 });
    const near = zoomed(view, 2, 100, 150, 1, 64);
    expect([(100 - near.x) / near.scale, (150 - near.y) / near.scale]).toEqual([(100 - view.x) / view.scale, (150 - view.y) / view.scale]);
    expect(zoomed(view, 1000, 0, 0, 1, 64).scale).toBe(64);
    expect(kept({ scale: 4, x: 5000, y: -5000 }, { width: 200, height: 100 }, 400, 400)).toMatchObject({ x: 100 });
  });
  it("shows a window of values from black to white", () => {
    const [, brightness, contrast] = /brightness\((.*)\) contrast\((.*)\)/.exec(windowed(0.2, 0.6))!.map(Number);
    const shown = (value: number) => Math.min(1, Math.max(0, Math.min(1, value * brightness!) * contrast! - contrast! / 2 + 0.5));
    expect([0.1, 0.2, 0.4, 0.6, 0.9].map((value) => Number(shown(value).toFixed(9)))).toEqual([0, 0, 0.5, 1, 1]);
  });
});

describe("conversions", () => {
  const input = { width: 64, height: 64, channels: 1 };
  it("are said: crop, size, padding, colour, bits", () => {
    expect(conversions({ width: 1600, height: 1200, input, window: { width: 64, height: 48 }, content: { left: 0, top: 0, width: 1600, height: 1200 }, colour: true, bits: 16 })).toEqual([
      "Resized from 1600 × 1200 to 64 × 48 pixels (25 times smaller): what is smaller than 25 pixels may vanish.", "Padded to 64 × 64.", "Colour to grey.", "The file has 16 bits a value; the picture above shows 8 of them, the network sees all.",
    ]);
    expect(conversions({ width: 100, height: 80, input, window: { width: 64, height: 64 }, content: { left: 10, top: 10, width: 64, height: 64 }, colour: false, bits: 8 })).toEqual(["Cropped to the foreground: 64 × 64 of 100 × 80 pixels."]);
  });
  it("say no factor where it is not known which pixels show the file", () => {
    expect(conversions({ width: 480, height: 1200, input, window: null, content: null, colour: null, bits: null })).toEqual([]);
  });
  it("are none where nothing was changed", () => {
    expect(conversions({ width: 64, height: 64, input, window: { width: 64, height: 64 }, content: { left: 0, top: 0, width: 64, height: 64 }, colour: false, bits: 8 })).toEqual([]);
  });
  it("know the bits of a PNG and of no other file", () => {
    const png = new Uint8Array(32);
    png.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    png[24] = 16;
    expect([bitsOfPng(png), bitsOfPng(new Uint8Array(32)), bitsOfPng(new Uint8Array(3))]).toEqual([16, null, null]);
  });
  it("find colour beyond what JPEG rounds", () => expect([hasColour([10, 10, 10, 255, 90, 92, 91, 255]), hasColour([10, 10, 10, 255, 90, 60, 91, 255])]).toEqual([false, true]));
});

describe("a region in numbers", () => {
  const region = { pixels: 6, peak: 51, peakAt: [4.5, 3.5] as [number, number], box: { left: 4, top: 3, width: 3, height: 2 } };
  const window = { left: 2, top: 1, width: 10, height: 8 };
  it("is told in pixels of the file, and in mm where the file says how large they are", () => {
    // Each pixel of the network input shows 4 x 2 of the file, which starts at 100, 10.
    const scene = { errorMax: 0.5, window, content: { left: 100, top: 10, width: 40, height: 16 }, spacing: [0.5, 0.25] };
    expect(measured(region, scene)).toEqual({ area: 48, areaMm2: 6, peak: 0.1, isCut: false, x: 110, y: 15 });
    expect(regionRows("a.png", [region], scene)).toEqual([{ image: "a.png", region: 1, area_px: 48, area_mm2: 6, peak: 0.1, peak_is_cut_off: false, x_px: 110, y_px: 15, pixels_of: "file" }]);
  });
  it("is told in pixels of the network input where nobody knows what they show, and says that its peak is cut off", () => {
    const scene = { errorMax: 0.5, window, content: null, spacing: null };
    expect(measured({ ...region, peak: 255 }, scene)).toEqual({ area: 6, areaMm2: null, peak: 0.5, isCut: true, x: 4, y: 3 });
    expect(regionRows("a.png", [region], scene)[0]).toMatchObject({ area_mm2: null, pixels_of: "network input" });
  });
});
