// Formatting, sorting, bins, colour scales, the ellipse and the gallery.
import { describe, expect, it } from "vitest";
import { colourAt } from "../src/design/scales";
import { turned } from "../src/charts/plotly";
import { ellipsePoints, gaussianOf, shareWithin } from "../src/numbers/ellipse";
import { anyOf, count, counted, known, pValue, percent, range, reason, sentence, setRate, signed, significant, withEnds } from "../src/numbers/format";
import { EVERYTHING, type Item, kindsOf, nextFlagged, rowsOnScreen, selected, stateOf } from "../src/numbers/gallery";
import { ascending, countAbove, countAtLeast, histogram, nextDown, quantile, roundRange } from "../src/numbers/sorted";

describe("numbers as text", () => {
  it("have sensible digits and a real minus sign", () => {
    expect([0.012345, 1.5, 1234.5, 0, -2.25, 2.5e-7, 1590].map((value) => significant(value))).toEqual(["0.0123", "1.50", "1,235", "0", "−2.25", "2.50e−7", "1,590"]);
    expect(significant(1589.6, 4)).toBe("1,590");
    expect([count(20000), counted(1, "image"), counted(2, "image"), signed(-0.0512), signed(0.2)]).toEqual(["20,000", "1 image", "2 images", "−0.051", "+0.200"]);
  });
  it("never round a rate to 0 or to all", () => {
    const plain = (text: string) => text.replace("\u00a0", " ");
    expect([0, 1, 0.0512, 0.9999, 0.0004].map((share) => plain(percent(share)))).toEqual(["0 %", "100 %", "5.1 %", "99.9 %", "0.040 %"]);
    expect([0.05, 0.9, 0.025].map((share) => plain(setRate(share)))).toEqual(["5 %", "90 %", "2.5 %"]);
    expect([pValue(0.0004), pValue(0.01), pValue(0.5)]).toEqual(["4.0e-4", "0.010", "0.50"]);
  });
  it("say why they are missing", () => {
    expect([known(0), known({ unavailable: "no masks" }), reason({ unavailable: "no masks" }), reason(1)]).toEqual([true, false, "no masks", ""]);
    expect([sentence("at most 5 %"), sentence("Done."), sentence(" ")]).toEqual(["At most 5 %.", "Done.", ""]);
    expect([anyOf(["PNG", "JPEG", "WebP"]), anyOf(["PNG"]), anyOf([])]).toEqual(["PNG, JPEG or WebP", "PNG", ""]);
    expect(range({ value: 0.7, low: 0.672, high: 0.7899 })).toBe("0.672 to 0.790");
    expect([withEnds(0.7, [0.6, 0.8]), withEnds(0.7, undefined), withEnds({ unavailable: "no masks" }, [0, 1])]).toEqual([{ value: 0.7, low: 0.6, high: 0.8 }, 0.7, { unavailable: "no masks" }]);
  });
});

describe("sorted numbers", () => {
  const sorted = ascending([3, 1, 2, 2]);
  it("are counted above and from a limit", () => {
    expect([0, 1, 2, 3].map((limit) => countAbove(sorted, limit))).toEqual([4, 3, 1, 0]);
    expect([1, 2, 3, 4].map((limit) => countAtLeast(sorted, limit))).toEqual([4, 3, 1, 0]);
  });
  it("have the quantiles of NumPy's default", () => {
    expect([0, 0.5, 0.9, 1].map((share) => quantile([1, 2, 3, 4], share))).toEqual([1, 2.5, 3.7, 4]);
    expect(quantile([], 0.5)).toBeNaN();
  });
  it("fall into bins, the upper end into the last", () => {
    expect(histogram([0, 0.5, 1, 1.5, 2, 9], 0, 2, 2).map((bin) => bin.count)).toEqual([2, 3]);
  });
  it("have a next one below", () => {
    expect([1, -1, 0, -0].map(nextDown)).toEqual([1 - 2 ** -53, -1 - 2 ** -52, -Number.MIN_VALUE, -Number.MIN_VALUE]);
  });
  it("get a round range that is never empty", () => {
    const wide = roundRange(-0.9, 4.36);
    expect(wide).toEqual({ low: -2, high: 5, step: 1 });
    for (const one of [roundRange(2, 2), roundRange(0, 0)]) expect(one.high).toBeGreaterThan(one.low);
  });
});

describe("colour scales", () => {
  it("start, end and stay where they should", () => {
    expect([colourAt("viridis", 0), colourAt("viridis", 1), colourAt("viridis", 7)]).toEqual([[68, 1, 84], [253, 231, 37], [253, 231, 37]]);
  });
  it("viridis and cividis grow lighter all the way", () => {
    for (const name of ["viridis", "cividis"] as const) {
      const light = Array.from({ length: 64 }, (_, i) => colourAt(name, i / 63)).map(([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b);
      expect(light.every((value, i) => i === 0 || value >= light[i - 1]! - 0.5)).toBe(true);
    }
  });
});

describe("geometry", () => {
  it("counts what an ellipse holds, which need not be 95 %", () => {
    const clusters = [...Array.from({ length: 50 }, (_, i): [number, number] => [5 + 0.01 * (i % 7), 5 + 0.01 * (i % 5)]), ...Array.from({ length: 50 }, (_, i): [number, number] => [-5 - 0.01 * (i % 7), 5 + 0.01 * (i % 3)])];
    const gaussian = gaussianOf(clusters)!;
    expect(shareWithin(gaussian, 5.991, clusters)).toBe(1);
    expect(shareWithin(gaussian, 0.5, clusters)).toBe(0);
    expect(shareWithin({ mean: [0, 0], covariance: [[1, 1], [1, 1]] }, 5.991, clusters)).toBeNull();
  });
  it("puts the ellipse at its Mahalanobis distance", () => {
    const gaussian = { mean: [1, -2] as [number, number], covariance: [[4, 1], [1, 2]] as [[number, number], [number, number]] };
    for (const [x, y] of ellipsePoints(gaussian, 5.991)) {
      const [u, v] = [x - 1, y + 2];
      expect((2 * u * u - 2 * u * v + 4 * v * v) / 7).toBeCloseTo(5.991, 9);
    }
  });
  it("takes mean and covariance of points", () => {
    expect(gaussianOf([[0, 0], [2, 4]])).toEqual({ mean: [1, 2], covariance: [[1, 2], [2, 4]] });
    expect(gaussianOf([[0, 0]])).toBeNull();
  });
  it("turns the eye without moving it nearer, and not over the pole", () => {
    const eye = turned({ x: 1, y: 0, z: 0 }, Math.PI / 2, 0);
    expect([eye.x, eye.y, eye.z].map((value) => Math.round(value * 1e9) / 1e9)).toEqual([0, 1, 0]);
    expect(turned({ x: 1, y: 0, z: 0 }, 0, 9).z).toBeLessThan(1);
  });
});

describe("the gallery", () => {
  const image = (id: number, score: number | null, kind: string | null | undefined, name: string) => ({ id, score, kind, name, failure: score === null ? "broken" : null, href: "", thumbnail: null, picture: null, others: [] }) satisfies Item;
  const images = [image(0, 1, null, "b.png"), image(1, 3, null, "A.png"), image(2, 2, "crack", "c.png"), image(3, 5, "<b>", "d.png"), image(4, 2, "crack", "e.png")];
  const ids = (filter: object) => selected(images, { ...EVERYTHING, ...filter }, 2).map((one) => one.id);
  it("sorts by score, ties in the order of the test set", () => {
    expect(ids({})).toEqual([3, 1, 2, 4, 0]);
    expect(ids({ order: "lowest" })).toEqual([0, 2, 4, 1, 3]);
    expect(ids({ order: "nearest" })).toEqual([2, 4, 0, 1, 3]);
  });
  it("filters by label, verdict, mistake and name", () => {
    expect(ids({ label: "normal" })).toEqual([1, 0]);
    expect(ids({ label: "kind:crack" })).toEqual([2, 4]);
    expect(ids({ verdict: "flagged" })).toEqual([3, 1]);
    expect(ids({ outcome: "missed" })).toEqual([2, 4]);
    expect(ids({ outcome: "false alarm" })).toEqual([1]);
    expect(ids({ name: " a." })).toEqual([1]);
    expect(kindsOf(images)).toEqual(["<b>", "crack"]);
  });
  it("puts what has no score last, and keeps the order in which images were given", () => {
    const more = [image(9, null, undefined, "broken.png"), ...images];
    const of = (filter: object) => selected(more, { ...EVERYTHING, ...filter }, 2).map((one) => one.id);
    expect(of({})).toEqual([3, 1, 2, 4, 0, 9]);
    expect(of({ order: "lowest" })).toEqual([0, 2, 4, 1, 3, 9]);
    expect(of({ order: "given" })).toEqual([9, 0, 1, 2, 3, 4]);
    expect([of({ verdict: "failed" }), of({ verdict: "not flagged" })]).toEqual([[9], [2, 4, 0]]);
  });
  it("finds the next that is flagged, round to the start", () => {
    expect([nextFlagged(images, 1, 2)?.id, nextFlagged(images, 3, 2)?.id, nextFlagged(images, 1, 4)?.id, nextFlagged(images, 3, 4)?.id, nextFlagged(images, 77, 2)?.id]).toEqual([3, 1, 3, undefined, 1]);
  });
  it("names outcomes only where the truth is known", () => {
    const states = ([["crack", 3], ["crack", 1], [null, 3], [null, 2], [undefined, 3], [undefined, 2]] as const).map(([kind, score]) => stateOf({ kind, score, failure: null }, 2));
    expect(states).toEqual(["caught", "missed", "false alarm", "passed", "flagged", "not flagged"]);
    expect([stateOf({ kind: null, score: null, failure: null }, 2), stateOf({ kind: null, score: null, failure: "x" }, 2)]).toEqual(["waiting", "failed"]);
  });
  it("draws the rows on the screen and some to spare", () => {
    expect(rowsOnScreen(1000, 100, 5000, 900, 3)).toEqual([47, 62]);
    expect(rowsOnScreen(2, 100, -500, 900, 3)).toEqual([0, 2]);
    expect(rowsOnScreen(5, 100, 90000, 900, 3)).toEqual([5, 5]);
  });
});
