//! Exponential, sigmoid and log(1 + x) in branch-free arithmetic that vectorises.

/// Above this the result is infinite; slightly below the logarithm of the largest `f32`.
const LARGEST: f32 = 88.37;
/// Below this the result is 0: it would be subnormal.
const LEAST: f32 = -87.33;
/// Adding it to a small number leaves the nearest integer in the low bits of the mantissa.
const ROUND: f32 = 12_582_912.0;
/// log 2 in two parts (Cody-Waite); the first has so few bits that its product with the integer is exact.
const LOG_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
/// The polynomial of Cephes' `expf` (Moshier) for (e^r - 1 - r) / r^2, |r| <= log 2 / 2, highest power first.
const POLYNOMIAL: [f32; 6] = [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1];

/// e^x within a few units in the last place; 0 below -87.33, infinite above 88.37, NaN for NaN.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // The comparisons are false for NaN, which therefore propagates.
    let inside = if x > LARGEST { LARGEST } else { x };
    let inside = if inside < LEAST { LEAST } else { inside };
    let shifted = inside * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = inside - whole * LOG_2.0 - whole * LOG_2.1;
    let [first, others @ ..] = POLYNOMIAL;
    let polynomial = others.iter().fold(first, |sum, coefficient| sum * rest + coefficient);
    let fraction = polynomial * (rest * rest) + rest + 1.0;
    // 2^whole: the low bits of `shifted` moved into the exponent field.
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let result = if x > LARGEST { f32::INFINITY } else { fraction * power };
    if x < LEAST { 0.0 } else { result }
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// log(1 + x) for 0 <= x <= 1: nine terms of the series of 2 artanh(x / (2 + x)).
#[inline(always)]
pub(crate) fn log_1p(x: f32) -> f32 {
    let ratio = x / (2.0 + x);
    let square = ratio * ratio;
    let mut sum = 0.0;
    for term in (0..9).rev() {
        sum = sum * square + 1.0 / (2 * term + 1) as f32;
    }
    2.0 * ratio * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest relative error over `count` arguments from `from` to `to`.
    fn worst(from: f32, to: f32, found: fn(f32) -> f32, expected: fn(f64) -> f64) -> f64 {
        let count = 2_000_000;
        (0..=count)
            .map(|step| {
                let x = from + (to - from) * (step as f32 / count as f32);
                let expected = expected(f64::from(x));
                ((f64::from(found(x)) - expected) / expected).abs()
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn close_to_double_precision() {
        let unit = f64::from(f32::EPSILON);
        assert!(worst(-87.3, 88.3, exp, f64::exp) < unit);
        assert!(worst(-1.0, 1.0, exp, f64::exp) < unit);
        assert!(worst(-80.0, 30.0, sigmoid, |x| 1.0 / (1.0 + (-x).exp())) < 2.0 * unit);
        assert!(worst(1e-6, 1.0, log_1p, f64::ln_1p) < 2.0 * unit);
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!([exp(0.0), exp(-0.0), log_1p(0.0)], [1.0, 1.0, 0.0]);
        assert_eq!([exp(f32::INFINITY), exp(1e30), exp(89.0)], [f32::INFINITY; 3]);
        assert_eq!([exp(f32::NEG_INFINITY), exp(-1e30), exp(-88.0)], [0.0; 3]);
        assert_eq!([sigmoid(200.0), sigmoid(-200.0), sigmoid(0.0)], [1.0, 0.0, 0.5]);
        assert!(exp(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan() && log_1p(f32::NAN).is_nan());
    }
}
