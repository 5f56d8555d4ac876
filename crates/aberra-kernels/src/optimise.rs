//! Adam's update of a parameter and both moments in a single pass over memory.

use rayon::prelude::*;

/// Elements per parallel task.
const CHUNK: usize = 16 * 1024;

/// Settings of one step of Adam, or with `weight_decay` above 0 of AdamW.
///
/// Adam: Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>; decoupled weight decay: Loshchilov and Hutter 2019,
/// <https://arxiv.org/abs/1711.05101>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate.
    pub learning_rate: f32,
    /// Decay rate of the first moment, usually 0.9.
    pub beta_1: f32,
    /// Decay rate of the second moment, usually 0.999.
    pub beta_2: f32,
    /// Added to the square root of the second moment, usually 1e-8.
    pub epsilon: f32,
    /// Decoupled weight decay: this fraction, times the learning rate, of the parameter is subtracted before the step.
    pub weight_decay: f32,
    /// Factor applied to the gradient first: 1, or less to clip its norm.
    pub gradient_scale: f32,
    /// Number of this step, counted from 1.
    pub step: u32,
}

impl AdamStep {
    /// The usual settings of Adam, for step number `step` (from 1).
    pub fn new(learning_rate: f32, step: u32) -> Self {
        Self {
            learning_rate,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            gradient_scale: 1.0,
            step,
        }
    }

    /// Learning rate divided by the first moment's bias correction, and the reciprocal square root of the second's.
    pub(crate) fn corrected(&self) -> (f32, f32) {
        let step = self.step.max(1) as i32;
        let first = 1.0 - f64::from(self.beta_1).powi(step);
        let second = 1.0 - f64::from(self.beta_2).powi(step);
        ((f64::from(self.learning_rate) / first) as f32, (1.0 / second.sqrt()) as f32)
    }
}

/// Updates parameter and moments in place.
pub(crate) fn adam(
    parameter: &mut [f32],
    gradient: &[f32],
    first_moment: &mut [f32],
    second_moment: &mut [f32],
    settings: &AdamStep,
) {
    let (rate, root_correction) = settings.corrected();
    let keep = 1.0 - settings.learning_rate * settings.weight_decay;
    let AdamStep { beta_1, beta_2, epsilon, gradient_scale, .. } = *settings;
    let (new_1, new_2) = (1.0 - beta_1, 1.0 - beta_2);
    parameter
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK))
        .zip(first_moment.par_chunks_mut(CHUNK).zip(second_moment.par_chunks_mut(CHUNK)))
        .for_each(|((parameter, gradient), (first, second))| {
            for (((parameter, gradient), first), second) in
                parameter.iter_mut().zip(gradient).zip(first).zip(second)
            {
                let gradient = gradient * gradient_scale;
                *first = beta_1 * *first + new_1 * gradient;
                *second = beta_2 * *second + new_2 * gradient * gradient;
                *parameter = keep * *parameter - rate * *first / (second.sqrt() * root_correction + epsilon);
            }
        });
}

/// Sum of the squares of all values in `f64`, over fixed shards in fixed order.
pub(crate) fn sum_of_squares(values: &[f32]) -> f64 {
    let shards: Vec<f64> = values
        .par_chunks(CHUNK)
        .map(|values| {
            let mut sums = [0.0_f64; 8];
            let mut chunks = values.chunks_exact(8);
            for chunk in &mut chunks {
                for (sum, &value) in sums.iter_mut().zip(chunk) {
                    *sum += f64::from(value) * f64::from(value);
                }
            }
            let rest: f64 = chunks.remainder().iter().map(|&value| f64::from(value) * f64::from(value)).sum();
            sums.iter().sum::<f64>() + rest
        })
        .collect();
    shards.iter().sum()
}
