//! How the learning rate and the weight of the KL divergence move over a run.

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

/// Beta in `epoch`, counted from 0.
pub(super) fn beta(settings: &TrainSettings, epoch: usize) -> f64 {
    let warmup = settings.beta_warmup_epochs;
    if epoch < warmup { settings.beta * (epoch + 1) as f64 / (warmup + 1) as f64 } else { settings.beta }
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
    fn beta_warms_up_to_its_value() {
        let settings = TrainSettings { beta: 1.0, beta_warmup_epochs: 3, ..Default::default() };
        let betas: Vec<f64> = (0..5).map(|epoch| beta(&settings, epoch)).collect();
        assert_eq!(betas, [0.25, 0.5, 0.75, 1.0, 1.0]);
    }
}
