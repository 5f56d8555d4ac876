//! The register tile in plain Rust, for processors without a version of their own. It multiplies and adds in two
//! roundings.

use super::{End, LANES, Left, Sums};
use crate::activation::Activation;

/// As [`multiply`](super::multiply).
pub(super) fn rows(left: Left<'_>, panel: &[f32], begin: Option<&[f32; LANES]>, end: End, sums: Sums<'_>) {
    let Left { values, starts, offset, runs } = left;
    for (&start, &place) in starts.iter().zip(sums.places) {
        let target = &mut sums.values[place + sums.offset..][..LANES];
        if let Some(begin) = begin {
            target.copy_from_slice(begin);
        }
        let mut weights = panel.chunks_exact(LANES);
        for run in 0..runs.count {
            let first = start + offset + run * runs.stride;
            let values = values.get(first..).unwrap_or_default().iter().step_by(runs.step).take(runs.length);
            for (&value, weights) in values.zip(&mut weights) {
                for (sum, &weight) in target.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
        }
        match end {
            End::Sum => {}
            End::Relu => target.iter_mut().for_each(|x| *x = Activation::Relu.apply(*x)),
            End::LeakyRelu(slope) => {
                target.iter_mut().for_each(|x| *x = Activation::LeakyRelu(slope).apply(*x));
            }
        }
    }
}
