// A volume as two further planes: what its slices show along a row and along a column of theirs. Every slice was cropped and scaled by
// itself, so each is laid back on one grid of the volume's own sides first. Nothing is known between slices: each is as thick as the
// distance to the next.
import { loadPicture } from "../viewer/load";
import type { Explained } from "../viewer/explained";
import type { SeenVolume } from "./seen";

/** Pictures and maps of all slices on one grid: `[slices, height, width]`, 8-bit grey. */
export interface Block {
  slices: number;
  width: number;
  height: number;
  picture: Uint8Array;
  /** 0 where there is no map. */
  map: Uint8Array;
  /** From row to row, column to column and slice to slice, in millimetres or, if those are not known, in pixels. */
  spacing: { row: number; column: number; slice: number };
}

/** A plane across the slices, `[slices, across]`, the first slice below. */
export interface Plane {
  width: number;
  height: number;
  picture: Uint8Array;
  map: Uint8Array;
}

/** Longest side of the grid. */
const MOST_PX = 256;

/** The sides of the grid of slices of such sides. */
export function gridOf(width: number, height: number): { width: number; height: number } {
  const share = Math.min(1, MOST_PX / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * share)), height: Math.max(1, Math.round(height * share)) };
}

/** Why a volume has no planes across its slices; empty if it has. */
export function withoutPlanes(volume: Pick<SeenVolume, "slices" | "slice_spacing_mm">): string {
  const seen = volume.slices.flatMap((slice) => (slice?.image.pictures == null ? [] : [slice.image]));
  if (volume.slice_spacing_mm == null) return "its files do not say how far apart its slices are, or they are not evenly spaced";
  if (seen.length < 2) return "there are no pictures of its slices";
  const [first] = seen;
  if (first!.spacing_mm === null) return "its files do not say how large a pixel is";
  if (seen.some((image) => image.window === null || image.content === null)) return "it is not known which part of its slices the pictures show";
  return seen.every((image) => image.width === first!.width && image.height === first!.height) ? "" : "its slices have several sizes";
}

/** Lays the slices of a volume that has planes on one grid. `left` says when nobody waits for it any more. */
export async function blockOf(volume: SeenVolume, left: () => boolean): Promise<Block | null> {
  const first = volume.slices.find((slice) => slice?.image.pictures != null)!.image;
  const { width, height } = gridOf(first.width, first.height);
  const [rows, columns] = first.spacing_mm!;
  const size = width * height;
  const block: Block = {
    slices: volume.slices.length, width, height, picture: new Uint8Array(size * volume.slices.length), map: new Uint8Array(size * volume.slices.length),
    spacing: { row: (rows! * first.height) / height, column: (columns! * first.width) / width, slice: volume.slice_spacing_mm! },
  };
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  for (const [at, slice] of volume.slices.entries()) {
    if (left()) return null;
    const pictures = slice?.image.pictures;
    if (pictures == null) continue;
    block.picture.set(await laid(pictures.input, slice!.image), at * size);
    if (pictures.error !== null) block.map.set(await laid(pictures.error, slice!.image), at * size);
  }
  return block;

  async function laid(address: string, { window, content, width: across, height: down }: Explained): Promise<Uint8Array> {
    const picture = await loadPicture(address);
    const [x, y] = [width / across, height / down];
    context.clearRect(0, 0, width, height);
    context.drawImage(picture, window!.left, window!.top, window!.width, window!.height, content!.left * x, content!.top * y, content!.width * x, content!.height * y);
    const { data } = context.getImageData(0, 0, width, height);
    return Uint8Array.from({ length: size }, (_, i) => data[4 * i]!);
  }
}

/** The plane through one row of all slices ("row"), or through one column. */
export function planeOf(block: Block, through: "row" | "column", at: number): Plane {
  const { slices, width, height } = block;
  const across = through === "row" ? width : height;
  const cut = (values: Uint8Array) => {
    const plane = new Uint8Array(slices * across);
    for (let slice = 0; slice < slices; slice++) {
      const from = slice * width * height;
      for (let i = 0; i < across; i++) plane[(slices - 1 - slice) * across + i] = values[from + (through === "row" ? at * width + i : i * width + at)]!;
    }
    return plane;
  };
  return { width: across, height: slices, picture: cut(block.picture), map: cut(block.map) };
}

/** Where in a volume its map is highest: slice, row and column; its middle where there is no map. */
export function highest({ slices, width, height, map }: Block): { slice: number; row: number; column: number } {
  let best = -1;
  for (let i = 0; i < map.length; i++) if (map[i]! > (best < 0 ? 0 : map[best]!)) best = i;
  if (best < 0) return { slice: slices >> 1, row: height >> 1, column: width >> 1 };
  return { slice: Math.floor(best / (width * height)), row: Math.floor(best / width) % height, column: best % width };
}
