// Where things lie in the viewer: the pixels of the file and those of the network input in one space, and what of that space is
// in view.
import type { Box } from "../numbers/regions";

export interface View {
  /** Screen pixels a pixel of the space. */
  scale: number;
  /** Where the space's origin lies on the screen. */
  x: number;
  y: number;
}

/** Where the whole network input lies in the space of the file: `window` of it shows `content` of the file. */
export function inputBox(input: { width: number; height: number }, window: Box, content: Box): Box {
  const [across, down] = [content.width / window.width, content.height / window.height];
  return { left: content.left - window.left * across, top: content.top - window.top * down, width: input.width * across, height: input.height * down };
}

/** All of `space` in the middle of a viewport. */
export function fitted(space: { width: number; height: number }, width: number, height: number): View {
  const scale = Math.min(width / space.width, height / space.height);
  return { scale, x: (width - space.width * scale) / 2, y: (height - space.height * scale) / 2 };
}

/** Closer by `factor` about a point of the screen, within limits. */
export function zoomed(view: View, factor: number, atX: number, atY: number, least: number, most: number): View {
  const scale = Math.min(most, Math.max(least, view.scale * factor));
  const by = scale / view.scale;
  return { scale, x: atX - (atX - view.x) * by, y: atY - (atY - view.y) * by };
}

/** Moved so that something of the space stays in view. */
export function kept(view: View, space: { width: number; height: number }, width: number, height: number): View {
  const [across, down] = [space.width * view.scale, space.height * view.scale];
  const within = (at: number, size: number, of: number) => (size <= of ? (of - size) / 2 : Math.min(0.25 * of, Math.max(of * 0.75 - size, at)));
  return { scale: view.scale, x: within(view.x, across, width), y: within(view.y, down, height) };
}

/** The CSS filter that shows values from `low` to `high` (of 0 to 1) from black to white. */
export function windowed(low: number, high: number): string {
  const slope = 1 / Math.max(1e-3, high - low);
  // contrast(c) maps v to c v - c / 2 + 1 / 2; what brightness cuts off above is white in any case, since low is not below 0.
  const contrast = 1 + 2 * low * slope;
  return `brightness(${slope / contrast}) contrast(${contrast})`;
}
