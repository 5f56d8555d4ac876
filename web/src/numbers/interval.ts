// Intervals for shares that move with the threshold: those of Clopper and Pearson (1934), with as many independent observations
// as weights and groups of near-duplicates allow (the effective sample size of Korn and Graubard 1998); the library's
// `grouped_rate`.
import { betaQuantile } from "./beta";
import type { Interval } from "../report/data";

/** The exact interval for a share seen in `observations` (not necessarily whole) independent observations. */
export function exact(share: number, observations: number, level = 0.95): Interval {
  const tail = (1 - level) / 2;
  const [hits, misses] = [share * observations, (1 - share) * observations];
  const low = share === 0 ? 0 : betaQuantile(tail, hits, misses + 1);
  const high = share === 1 ? 1 : 1 - betaQuantile(tail, misses, hits + 1);
  return { value: share, low, high };
}

/** The weighted share of hits among observations that come in groups, with its interval; null without observations. */
export function groupedShare(observations: readonly { group: number; hit: boolean; weight: number }[], level = 0.95): Interval | null {
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
  if (hits === 0 || misses === 0 || groups.size < 2) return exact(misses === 0 ? 1 : hits / weights, groups.size, level);
  const share = hits / weights;
  let squares = 0;
  for (const own of groups.values()) squares += (own.hits - share * own.weight) ** 2;
  const variance = (squares / weights ** 2) * (groups.size / (groups.size - 1));
  return exact(share, Math.min(observations.length, (share * (1 - share)) / variance), level);
}
