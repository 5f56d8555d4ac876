//! How the learning rate moves over a run, and warm-up over epochs.

use std::f64::consts::PI;

use super::{Schedule, TrainSettings};

/// Share of the learning rate that the cosine ends at.
const COSINE_FLOOR: f64 = 0.01;
/// Share of the steps in which one-cycle rises, and the share of the learning rate it starts from.
const ONE_CYCLE_RISE: f64 = 0.3;
const ONE_CYCLE_START: f64 = 0.04;

/// The learning rate at `step` of `steps`.
pub(super) fn learning_rate(settings: &TrainSettings, step: usize, steps: usize) -> f64 {
    let share = step as f64 / steps.max(1) as f64;
    let factor = match settings.schedule {
        Schedule::Constant => 1.0,
        Schedule::Cosine => fall(share),
        Schedule::OneCycle if share < ONE_CYCLE_RISE => {
            ONE_CYCLE_START + (1.0 - ONE_CYCLE_START) * share / ONE_CYCLE_RISE
        }
        Schedule::OneCycle => fall((share - ONE_CYCLE_RISE) / (1.0 - ONE_CYCLE_RISE)),
    };
    settings.learning_rate * factor
}

/// A weight that rises linearly to `weight` over the first `warmup_epochs`; `epoch` counts from 0.
pub(crate) fn warmed_up(weight: f64, warmup_epochs: usize, epoch: usize) -> f64 {
    if epoch < warmup_epochs { weight * (epoch + 1) as f64 / (warmup_epochs + 1) as f64 } else { weight }
}

fn fall(share: f64) -> f64 {
    COSINE_FLOOR + (1.0 - COSINE_FLOOR) * 0.5 * (1.0 + (PI * share).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_falls_from_the_full_rate_to_the_floor() {
        let settings = TrainSettings { learning_rate: 2.0, ..TrainSettings::default() };
        assert_eq!(learning_rate(&settings, 0, 100), 2.0);
        assert!((learning_rate(&settings, 50, 100) - 1.01).abs() < 1e-12);
        assert!((learning_rate(&settings, 100, 100) - 0.02).abs() < 1e-12);
    }

    #[test]
    fn one_cycle_rises_then_falls() {
        let settings =
            TrainSettings { schedule: Schedule::OneCycle, learning_rate: 1.0, ..Default::default() };
        let rates: Vec<f64> = (0..=10).map(|step| learning_rate(&settings, step, 10)).collect();
        assert!((rates[0] - ONE_CYCLE_START).abs() < 1e-12);
        assert!((rates[3] - 1.0).abs() < 1e-9);
        assert!(rates[..4].is_sorted() && rates[3..].iter().rev().is_sorted());
    }

    #[test]
    fn a_weight_warms_up_to_its_value() {
        let weights: Vec<f64> = (0..5).map(|epoch| warmed_up(1.0, 3, epoch)).collect();
        assert_eq!(weights, [0.25, 0.5, 0.75, 1.0, 1.0]);
    }
}
