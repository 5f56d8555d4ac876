// Counting, quantiles and bins over sorted numbers.

/** An ascending copy. */
export function ascending(values: Iterable<number>): Float64Array {
  return Float64Array.from(values).sort();
}

/** How many are greater than `limit`. A tie does not count: it is normal. */
export function countAbove(sorted: ArrayLike<number>, limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! > limit) high = middle;
    else low = middle + 1;
  }
  return sorted.length - low;
}

/** How many are at least `limit`. */
export function countAtLeast(sorted: ArrayLike<number>, limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! >= limit) high = middle;
    else low = middle + 1;
  }
  return sorted.length - low;
}

/** The greatest number below a finite `value`. */
export function nextDown(value: number): number {
  if (value === 0) return -Number.MIN_VALUE;
  const number = new Float64Array([value]);
  const bits = new BigInt64Array(number.buffer);
  bits[0]! += value > 0 ? -1n : 1n;
  return number[0]!;
}

/** The quantile at `share` (0 to 1), linear between neighbours (type 7, as NumPy's default). NaN without values. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  const at = Math.min(1, Math.max(0, share)) * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below]! + (at - below) * (sorted[above]! - sorted[below]!);
}

export interface Bin {
  from: number;
  to: number;
  count: number;
}

/** `bins` equal bins over [from, to]; what lies outside counts in none. The last bin holds its upper end too. */
export function histogram(values: Iterable<number>, from: number, to: number, bins: number): Bin[] {
  const width = (to - from) / bins;
  const out = Array.from({ length: bins }, (_, i) => ({ from: from + i * width, to: from + (i + 1) * width, count: 0 }));
  for (const value of values) {
    if (value < from || value > to) continue;
    out[Math.min(bins - 1, Math.floor((value - from) / width))]!.count += 1;
  }
  return out;
}

/** A range that ends on round numbers and holds [low, high], with a little air; never empty. */
export function roundRange(low: number, high: number): { low: number; high: number; step: number } {
  const spread = high > low ? high - low : Math.max(Math.abs(high), 1) * 0.2;
  const rough = spread / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough)!;
  const air = spread * 0.02;
  return { low: Math.floor((low - air) / step) * step, high: Math.ceil((high + air) / step) * step, step };
}
