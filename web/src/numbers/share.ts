// Shares of pixels above a threshold, from an 8-bit map of errors.

export interface Window {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Share of the pixels within `window` whose error lies above `threshold`. A grey value g stands for g / 255 * most; what
 *  lies above the scale is cut off there. `grey`: rows of `side` values. */
export function shareAbove(grey: ArrayLike<number>, side: number, window: Window, threshold: number, most: number): number {
  let above = 0;
  for (let y = window.top; y < window.top + window.height; y++) {
    for (let x = window.left; x < window.left + window.width; x++) {
      if ((grey[y * side + x]! / 255) * most > threshold) above += 1;
    }
  }
  const all = window.width * window.height;
  return all === 0 ? 0 : above / all;
}
