// What the viewer of volumes is made of: how slices are turned over, drawn as a line, listed and asked about.
import { describe, expect, it } from "vitest";
import { isOfVolumes } from "../src/volume/kinds";
import { type Block, gridOf, highest, planeOf, withoutPlanes } from "../src/volume/planes";
import { outcome, rowsOf, together } from "../src/volume/rows";
import { Wheel, fromAnswer, runs, stepped } from "../src/volume/seen";

it("never leaves the volume", () => {
  expect([stepped(0, -1, 20), stepped(19, 5, 20), stepped(3, 5, 20), stepped(7, 0, 20)]).toEqual([0, 19, 8, 7]);
});

it("turns one slice over for a notch of the wheel, and adds up what a trackpad sends", () => {
  const wheel = new Wheel();
  expect([wheel.turn(120, false), wheel.turn(-100, false), wheel.turn(3, true)]).toEqual([1, -1, 1]);
  expect([...Array(8)].map(() => wheel.turn(10, false))).toEqual([0, 0, 0, 1, 0, 0, 0, 1]);
  // What was begun in one direction is taken back in the other.
  wheel.turn(30, false);
  expect([wheel.turn(-30, false), wheel.turn(-39, false), wheel.turn(-1, false)]).toEqual([0, 0, -1]);
});

it("breaks the line of scores where slices were left out", () => {
  expect(runs([null, 1, 2, null, 3, null])).toEqual([[{ slice: 1, score: 1 }, { slice: 2, score: 2 }], [{ slice: 4, score: 3 }]]);
  expect(runs([null, null])).toEqual([]);
});

const slice = (score: number, pictures = true) => ({
  verdict: { score, p_value: 0.5, threshold: 1, anomalous: score > 1, anomalous_share: 0.1, width: 9, height: 8, spacing_mm: null, channel: null, remarks: [] },
  window: { left: 0, top: 0, width: 9, height: 8 }, content: { left: 0, top: 0, width: 9, height: 8 },
  pictures: pictures ? { input: "data:,", reconstruction: null, error: "data:,", mask_path: null } : null,
});
const answer = (pictures: boolean) => ({
  name: "scan.nii", is_image: false, error: null, slices: [null, slice(1), slice(3, pictures), null],
  volume: { score: 3, p_value: 0.05, threshold: 2, anomalous: true, slices: 4, empty: 2, unreadable: 0, top: 1, worst: { slice: 3, path: "scan.nii", page: 3, score: 3 }, scores: [null, 1, 3, null], slice_spacing_mm: null },
});

it("shows what the server says of a volume, by slices from 0", () => {
  const seen = fromAnswer(answer(true))!;
  expect([seen.worst, seen.slices.length, seen.anomalous, seen.kind, seen.score]).toEqual([2, 4, true, undefined, 3]);
  expect(seen.slices.map((one) => one?.image.score ?? null)).toEqual([null, 1, 3, null]);
  expect(seen.notes).toEqual(["2 of its 4 slices show nothing but air and are left out."]);
  const one = answer(true);
  expect(fromAnswer({ ...one, volume: { ...one.volume, slices: 3 } })!.notes).toEqual(["1 of its 3 slices shows nothing but air and is left out."]);
  expect(fromAnswer(answer(false))!.notes.join(" ")).toContain("pictures");
  expect(fromAnswer({ name: "a.png", is_image: true, error: { detail: "expected a volume", hint: null }, volume: null, slices: [] })).toBeNull();
});

describe("the planes across slices", () => {
  // Two slices of 2 x 3 pixels.
  const block: Block = { slices: 2, width: 3, height: 2, picture: Uint8Array.of(0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112), map: Uint8Array.of(0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 9), spacing: { row: 1, column: 1, slice: 2 } };
  it("cut through a row and through a column, the first slice below", () => {
    expect(planeOf(block, "row", 1)).toEqual({ width: 3, height: 2, picture: Uint8Array.of(110, 111, 112, 10, 11, 12), map: Uint8Array.of(0, 0, 9, 0, 9, 0) });
    expect(planeOf(block, "column", 2)).toMatchObject({ width: 2, height: 2, picture: Uint8Array.of(102, 112, 2, 12) });
  });
  it("begin where the map is highest, or in the middle", () => {
    expect(highest(block)).toEqual({ slice: 0, row: 1, column: 1 });
    expect(highest({ ...block, map: new Uint8Array(12) })).toEqual({ slice: 1, row: 1, column: 1 });
  });
  it("lie on a grid of the volume's own sides, no larger than 256", () => {
    expect([gridOf(512, 384), gridOf(9, 8), gridOf(4000, 3)]).toEqual([{ width: 256, height: 192 }, { width: 9, height: 8 }, { width: 256, height: 1 }]);
  });
  it("are there where it is known how far apart everything is, and why not is said", () => {
    const seen = fromAnswer(answer(true))!;
    expect(withoutPlanes(seen)).toContain("how far apart its slices are");
    expect(withoutPlanes({ ...seen, slice_spacing_mm: 2 })).toContain("how large a pixel is");
    const sized = seen.slices.map((one) => one && { ...one, image: { ...one.image, spacing_mm: [1, 1] } });
    expect(withoutPlanes({ slices: sized, slice_spacing_mm: 2 })).toBe("");
    expect(withoutPlanes({ slices: sized.slice(0, 2), slice_spacing_mm: 2 })).toContain("no pictures");
    expect(withoutPlanes({ slices: sized.map((one, i) => one && { ...one, image: { ...one.image, width: i } }), slice_spacing_mm: 2 })).toContain("several sizes");
  });
});

it("says how a volume came out only against what it is known to be", () => {
  expect([outcome(true, undefined), outcome(false, undefined), outcome(null, "cyst")]).toEqual(["flagged", "not flagged", "no verdict"]);
  expect([outcome(true, null), outcome(false, null), outcome(true, "cyst"), outcome(false, "cyst")]).toEqual(["false alarm", "passed", "caught", "missed"]);
});

it("lists volumes by their scores and keeps their addresses", () => {
  const volume = (name: string, score: number) => ({ name, kind: null, group: 0, leaked: false, score, p_value: null, anomalous: null, top: 1, worst: 1, slices: [0, null], slice_spacing_mm: null });
  const rows = rowsOf([volume("a", 1), volume("b", 3), volume("c", 2)], (number) => `#volume/${number}`);
  expect(rows.map((row) => [row.name, row.href, row.slices])).toEqual([["b", "#volume/1", 2], ["c", "#volume/2", 2], ["a", "#volume/0", 2]]);
});

it("tells files of volumes from pictures, and asks about the files of a series together", async () => {
  const none = new Blob([]);
  for (const name of ["a.nii", "A.NII.GZ", "x/IM0001", "slice.dcm", "1.2.840.113619.2", "b.ima"]) expect([name, await isOfVolumes({ name, file: none })]).toEqual([name, true]);
  for (const name of ["a.png", "b.tif", "c.nii.txt", "folder.nii/d.jpeg"]) expect([name, await isOfVolumes({ name, file: none })]).toEqual([name, false]);
  const files = ["a.nii", "1.dcm", "b.nii.gz", "2.dcm"].map((name) => ({ name }));
  expect(together(files).map((some) => some.map((one) => one.name))).toEqual([["a.nii"], ["b.nii.gz"], ["1.dcm", "2.dcm"]]);
  expect(together([])).toEqual([]);
});

/** A TIFF whose first image has one entry, and is or is not the last. */
function tiff(little: boolean, big: boolean, more: boolean): Blob {
  const view = new DataView(new ArrayBuffer(64));
  view.setUint16(0, little ? 0x4949 : 0x4d4d);
  view.setUint16(2, big ? 43 : 42, little);
  const next = more ? 60 : 0;
  if (big) {
    view.setBigUint64(8, 16n, little);
    view.setBigUint64(16, 1n, little);
    view.setBigUint64(16 + 8 + 20, BigInt(next), little);
  } else {
    view.setUint32(4, 8, little);
    view.setUint16(8, 1, little);
    view.setUint32(8 + 2 + 12, next, little);
  }
  return new Blob([view.buffer]);
}

it("takes a TIFF of several images for a volume, and leaves a GIF to the server", async () => {
  for (const little of [true, false]) for (const big of [true, false]) {
    expect([little, big, await isOfVolumes({ name: "a.tif", file: tiff(little, big, true) })]).toEqual([little, big, true]);
    expect([little, big, await isOfVolumes({ name: "a.TIFF", file: tiff(little, big, false) })]).toEqual([little, big, false]);
  }
  expect(await isOfVolumes({ name: "a.gif", file: new Blob(["GIF89a........................"]) })).toBe(true);
  expect(together([{ name: "a.tif" }, { name: "1.dcm" }, { name: "b.gif" }]).length).toBe(3);
});
