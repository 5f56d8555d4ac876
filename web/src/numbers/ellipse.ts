// The ellipse that holds a stated share of a two-dimensional normal distribution.

export interface Gaussian {
  /** Two numbers. */
  mean: readonly number[];
  /** Two rows of two. */
  covariance: readonly (readonly number[])[];
}

/** Mean and covariance of points, with n in the denominator, as the library's; null with fewer than two. */
export function gaussianOf(points: readonly (readonly [number, number])[]): Gaussian | null {
  const n = points.length;
  if (n < 2) return null;
  const mean: [number, number] = [0, 0];
  for (const [x, y] of points) {
    mean[0] += x / n;
    mean[1] += y / n;
  }
  let [xx, xy, yy] = [0, 0, 0];
  for (const [x, y] of points) {
    xx += ((x - mean[0]) * (x - mean[0])) / n;
    xy += ((x - mean[0]) * (y - mean[1])) / n;
    yy += ((y - mean[1]) * (y - mean[1])) / n;
  }
  return { mean, covariance: [[xx, xy], [xy, yy]] };
}

/** The share of points within squared Mahalanobis distance `chiSquare`; null where the covariance is singular or there are none. */
export function shareWithin({ mean, covariance }: Gaussian, chiSquare: number, points: readonly (readonly [number, number])[]): number | null {
  const [[a = 0, b = 0] = [], [, d = 0] = []] = covariance;
  const determinant = a * d - b * b;
  if (points.length === 0 || !(determinant > 0)) return null;
  const within = points.filter(([x, y]) => {
    const [u, v] = [x - (mean[0] ?? 0), y - (mean[1] ?? 0)];
    return (d * u * u - 2 * b * u * v + a * v * v) / determinant <= chiSquare;
  });
  return within.length / points.length;
}

/** Points of the curve at squared Mahalanobis distance `chiSquare`; the first is repeated at the end. */
export function ellipsePoints({ mean, covariance }: Gaussian, chiSquare: number, steps = 72): [number, number][] {
  const [[a = 0, b = 0] = [], [, d = 0] = []] = covariance;
  const [x = 0, y = 0] = mean;
  // Cholesky: covariance = L L^T.
  const l11 = Math.sqrt(Math.max(0, a));
  const l21 = l11 > 0 ? b / l11 : 0;
  const l22 = Math.sqrt(Math.max(0, d - l21 * l21));
  const radius = Math.sqrt(chiSquare);
  return Array.from({ length: steps + 1 }, (_, i) => {
    const angle = (2 * Math.PI * (i % steps)) / steps;
    const [u, v] = [radius * Math.cos(angle), radius * Math.sin(angle)];
    return [x + l11 * u, y + l21 * u + l22 * v];
  });
}
