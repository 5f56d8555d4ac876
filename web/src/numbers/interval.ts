// Intervals for shares that move with the threshold: Wilson's, with as many independent observations as weights and groups of
// near-duplicates allow (the effective sample size of Korn and Graubard 1998).
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

/** The weighted share of hits among observations that come in groups, with its interval; null without observations. */
export function groupedShare(observations: readonly { group: number; hit: boolean; weight: number }[]): Interval | null {
  const groups = new Map<number, { weight: number; hits: number }>();
  let [weights, hits, misses] = [0, 0, 0];
  for (const { group, hit, weight } of observations) {
    const own = groups.get(group) ?? { weight: 0, hits: 0 };
    own.weight += weight;
    if (hit) own.hits += weight;
    groups.set(group, own);
    weights += weight;
    if (hit) hits += weight;
    else misses += weight;
  }
  if (observations.length === 0) return null;
  if (hits === 0 || misses === 0 || groups.size < 2) return wilson(misses === 0 ? 1 : hits / weights, groups.size);
  const share = hits / weights;
  let squares = 0;
  for (const own of groups.values()) squares += (own.hits - share * own.weight) ** 2;
  const variance = (squares / weights ** 2) * (groups.size / (groups.size - 1));
  return wilson(share, Math.min(observations.length, (share * (1 - share)) / variance));
}
