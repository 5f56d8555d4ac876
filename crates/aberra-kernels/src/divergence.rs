//! KL(N(mean, exp(log variance)) || N(0, 1)) of a batch of posteriors, and its gradients. Too small to be parallel.

use crate::exponential::exp;
use crate::wide::wide;

/// `(mean^2 + variance - log variance - 1) / 2`, averaged over the batch and summed over the dimensions, each of which
/// counts at least `free_bits` nats.
pub(crate) fn divergence(mean: &[f32], log_variance: &[f32], latent: usize, free_bits: f32) -> f64 {
    let each = by_dimension(mean, log_variance, latent);
    each.into_iter().map(|nats| floored(nats, free_bits)).sum()
}

/// Gradients of `factor` times the divergence with respect to mean and log-variance.
pub(crate) fn gradients(
    mean: &[f32],
    log_variance: &[f32],
    latent: usize,
    free_bits: f32,
    factor: f32,
) -> [Vec<f32>; 2] {
    let batch = (mean.len() / latent.max(1)).max(1);
    let share = factor / batch as f32;
    let factors: Vec<f32> = by_dimension(mean, log_variance, latent)
        .into_iter()
        .map(|nats| if free_bits > 0.0 && nats < f64::from(free_bits) { 0.0 } else { share })
        .collect();
    let mut result = [mean.to_vec(), log_variance.to_vec()];
    let [means, log_variances] = &mut result;
    for (means, log_variances) in means.chunks_mut(latent.max(1)).zip(log_variances.chunks_mut(latent.max(1)))
    {
        go_back(means, log_variances, &factors);
    }
    result
}

fn floored(nats: f64, free_bits: f32) -> f64 {
    // Not `max`, which would discard a NaN.
    if free_bits > 0.0 && nats < f64::from(free_bits) { f64::from(free_bits) } else { nats }
}

/// The mean over the batch for each dimension.
fn by_dimension(mean: &[f32], log_variance: &[f32], latent: usize) -> Vec<f64> {
    let mut nats = vec![0.0_f32; latent];
    let mut sums = vec![0.0; latent];
    for (mean, log_variance) in mean.chunks(latent.max(1)).zip(log_variance.chunks(latent.max(1))) {
        divergences(mean, log_variance, &mut nats);
        for (sum, &nats) in sums.iter_mut().zip(&nats) {
            *sum += f64::from(nats);
        }
    }
    let batch = (mean.len() / latent.max(1)).max(1) as f64;
    sums.iter_mut().for_each(|sum| *sum /= batch);
    sums
}

wide! {
    fn divergences(mean: &[f32], log_variance: &[f32], nats: &mut [f32]) {
        for ((nats, mean), log_variance) in nats.iter_mut().zip(mean).zip(log_variance) {
            *nats = 0.5 * (mean * mean + (exp(*log_variance) - log_variance - 1.0));
        }
    }

    /// Replaces means and log-variances by the gradients with respect to them.
    fn go_back(means: &mut [f32], log_variances: &mut [f32], factors: &[f32]) {
        for ((mean, log_variance), factor) in means.iter_mut().zip(log_variances).zip(factors) {
            *mean *= factor;
            *log_variance = 0.5 * factor * (exp(*log_variance) - 1.0);
        }
    }
}
