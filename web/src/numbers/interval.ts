// Intervals for shares that move with the threshold: Wilson's, with as many independent observations as groups of
// near-copies allow (the effective sample size of Korn and Graubard 1998).
import type { Interval } from "../report/data";

const Z_95 = 1.959963984540054;

/** Wilson's 95 % interval for a share seen in `observations` (not necessarily whole) independent observations. */
export function wilson(share: number, observations: number): Interval {
  const z2 = Z_95 ** 2 / observations;
  const middle = (share + z2 / 2) / (1 + z2);
  const half = (Z_95 / (1 + z2)) * Math.sqrt((share * (1 - share)) / observations + z2 / (4 * observations));
  const low = share === 0 ? 0 : Math.max(0, middle - half);
  const high = share === 1 ? 1 : Math.min(1, middle + half);
  return { value: share, low, high };
}

/** The share of hits among observations that come in groups, with its interval; null without observations. */
export function groupedShare(observations: Iterable<{ group: number; hit: boolean }>): Interval | null {
  const groups = new Map<number, { size: number; hits: number }>();
  let size = 0;
  let hits = 0;
  for (const { group, hit } of observations) {
    const own = groups.get(group) ?? { size: 0, hits: 0 };
    own.size += 1;
    own.hits += Number(hit);
    groups.set(group, own);
    size += 1;
    hits += Number(hit);
  }
  if (size === 0) return null;
  const share = hits / size;
  const binomial = (share * (1 - share)) / size;
  if (binomial === 0 || groups.size < 2) return wilson(share, groups.size);
  let squares = 0;
  for (const own of groups.values()) squares += (own.hits - share * own.size) ** 2;
  const variance = (squares / size ** 2) * (groups.size / (groups.size - 1));
  return wilson(share, Math.min(size, size * (binomial / variance)));
}
