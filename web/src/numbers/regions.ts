// Where a map lies above the pixel threshold: its connected regions, and its outline.
import type { Row } from "./table";

export interface MapGrid {
  /** 8-bit values, row by row. */
  grey: ArrayLike<number>;
  width: number;
  height: number;
}

/** A box, in pixels. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Region {
  /** Pixels of the map. */
  pixels: number;
  /** Its highest grey value. */
  peak: number;
  /** Where that is: the middle of the pixel. */
  peakAt: [number, number];
  box: Box;
}

/** The regions of pixels above `level` that touch, corners included, within `within`; the largest first. */
export function regionsAbove({ grey, width }: MapGrid, level: number, within: Box): Region[] {
  const seen = new Uint8Array(grey.length);
  const inside = (x: number, y: number) => x >= within.left && y >= within.top && x < within.left + within.width && y < within.top + within.height;
  const found: Region[] = [];
  for (let y = within.top; y < within.top + within.height; y++) {
    for (let x = within.left; x < within.left + within.width; x++) {
      if (seen[y * width + x] || grey[y * width + x]! <= level) continue;
      found.push(grown(x, y));
    }
  }
  return found.sort((a, b) => b.pixels - a.pixels || b.peak - a.peak);

  function grown(x: number, y: number): Region {
    const open: [number, number][] = [[x, y]];
    seen[y * width + x] = 1;
    let [left, top, right, bottom, pixels, peak] = [x, y, x, y, 0, -1];
    let peakAt: [number, number] = [x + 0.5, y + 0.5];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const [px, py] = next;
      const value = grey[py * width + px]!;
      pixels += 1;
      if (value > peak) [peak, peakAt] = [value, [px + 0.5, py + 0.5]];
      [left, top, right, bottom] = [Math.min(left, px), Math.min(top, py), Math.max(right, px), Math.max(bottom, py)];
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          const [nx, ny] = [px + dx, py + dy];
          if (!inside(nx, ny) || seen[ny * width + nx] || grey[ny * width + nx]! <= level) continue;
          seen[ny * width + nx] = 1;
          open.push([nx, ny]);
        }
      }
    }
    return { pixels, peak, peakAt, box: { left, top, width: right - left + 1, height: bottom - top + 1 } };
  }
}

/** What a map shows, and in which units regions are told. */
export interface Scene {
  /** The map value that is white. */
  errorMax: number;
  /** The pixels of the network input that show the image. */
  window: Box;
  /** The part of the file that they show; null where it is not known. */
  content: Box | null;
  /** Millimetres from one of its rows, and of its columns, to the next; null where it does not say. */
  spacing: number[] | null;
}

/** A region in pixels of the file; where it is not known which part of it is shown, of the network input. */
export interface Measured {
  area: number;
  areaMm2: number | null;
  peak: number;
  /** The peak is cut off at the end of the map's scale: it is at least that. */
  isCut: boolean;
  x: number;
  y: number;
}

export function measured({ pixels, peak, peakAt: [x, y] }: Region, { errorMax, window, content, spacing }: Scene): Measured {
  const [across, down] = content === null ? [1, 1] : [content.width / window.width, content.height / window.height];
  const area = pixels * across * down;
  return {
    area, areaMm2: spacing === null ? null : area * spacing[0]! * spacing[1]!, peak: (peak / 255) * errorMax, isCut: peak === 255,
    x: content === null ? Math.floor(x) : content.left + (x - window.left) * across, y: content === null ? Math.floor(y) : content.top + (y - window.top) * down,
  };
}

/** Regions as a table. */
export function regionRows(image: string, regions: readonly Region[], scene: Scene): Row[] {
  return regions.map((region, i) => {
    const { area, areaMm2, peak, isCut, x, y } = measured(region, scene);
    return { image, region: i + 1, area_px: area, area_mm2: areaMm2, peak, peak_is_cut_off: isCut, x_px: x, y_px: y, pixels_of: scene.content === null ? "network input" : "file" };
  });
}

/** The line between what lies above `level` and what does not, as segments [x0, y0, x1, y1] between the middles of pixels
 *  (marching squares, linear in between), within `within`: what lies beyond it counts as lowest, and the line follows its edge. */
export function outlineAt({ grey, width }: MapGrid, level: number, within: Box): [number, number, number, number][] {
  // Between whole grey values, so that no pixel lies on the line.
  const limit = level + 0.5;
  const [last, lowest] = [within.left + within.width, within.top + within.height];
  const value = (x: number, y: number) => (x < within.left || y < within.top || x >= last || y >= lowest ? 0 : grey[y * width + x]!);
  const segments: [number, number, number, number][] = [];
  for (let y = within.top - 1; y < lowest; y++) {
    for (let x = within.left - 1; x < last; x++) {
      const [a, b, c, d] = [value(x, y), value(x + 1, y), value(x + 1, y + 1), value(x, y + 1)];
      const which = Number(a > limit) | (Number(b > limit) << 1) | (Number(c > limit) << 2) | (Number(d > limit) << 3);
      if (which === 0 || which === 15) continue;
      const share = (from: number, to: number) => (limit - from) / (to - from);
      const top: [number, number] = [x + 0.5 + share(a, b), y + 0.5];
      const right: [number, number] = [x + 1.5, y + 0.5 + share(b, c)];
      const bottom: [number, number] = [x + 0.5 + share(d, c), y + 1.5];
      const left: [number, number] = [x + 0.5, y + 0.5 + share(a, d)];
      for (const [from, to] of EDGES[which]!) segments.push([...ends(from), ...ends(to)]);
      function ends(edge: Edge): [number, number] {
        const [atX, atY] = edge === "top" ? top : edge === "right" ? right : edge === "bottom" ? bottom : left;
        return [Math.min(last, Math.max(within.left, atX)), Math.min(lowest, Math.max(within.top, atY))];
      }
    }
  }
  return segments;
}

type Edge = "top" | "right" | "bottom" | "left";

/** The sides that the line crosses, by which corners lie above: left top 1, right top 2, right bottom 4, left bottom 8. */
const EDGES: Record<number, [Edge, Edge][]> = {
  1: [["left", "top"]], 2: [["top", "right"]], 3: [["left", "right"]], 4: [["right", "bottom"]],
  5: [["left", "top"], ["right", "bottom"]], 6: [["top", "bottom"]], 7: [["left", "bottom"]], 8: [["bottom", "left"]],
  9: [["top", "bottom"]], 10: [["top", "right"], ["bottom", "left"]], 11: [["right", "bottom"]], 12: [["right", "left"]],
  13: [["top", "right"]], 14: [["left", "top"]],
};
