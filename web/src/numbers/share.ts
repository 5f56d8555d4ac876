// Shares of pixels above a threshold, from an 8-bit map of errors.

export interface Window {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The highest grey value of an 8-bit map that is not above `threshold`. A grey value g stands for g / 255 * most; a threshold
 *  on a level, which a slider in steps of one gives with the last digit rounded, is that level. */
export function levelOf(threshold: number, most: number): number {
  return Math.floor((255 * threshold) / most + 1e-9);
}

/** Share of the pixels within `window` whose error lies above `threshold`. What lies above the map's scale is cut off there.
 *  `grey`: rows of `side` values. */
export function shareAbove(grey: ArrayLike<number>, side: number, window: Window, threshold: number, most: number): number {
  const level = levelOf(threshold, most);
  let above = 0;
  for (let y = window.top; y < window.top + window.height; y++) {
    for (let x = window.left; x < window.left + window.width; x++) {
      if (grey[y * side + x]! > level) above += 1;
    }
  }
  const all = window.width * window.height;
  return all === 0 ? 0 : above / all;
}
