//! What the settings for pixels that were not measured find among the training normals.

use rayon::prelude::*;

use crate::Result;
use crate::config::TrainConfig;
use crate::dataset::Dataset;
use crate::decode_error::of_image;

/// What a user should know of them.
pub(crate) struct FoundInvalid {
    /// In how many of the images there are some.
    pub(crate) text: String,
    /// What may be wrong where there are none.
    pub(crate) hint: Option<&'static str>,
}

/// Images that are looked at, evenly spread.
const LOOKED_AT: usize = 64;

/// Looks for them; `None` without such settings.
///
/// # Errors
/// Images that cannot be read, or without a channel that a setting names.
pub(crate) fn found_invalid(
    dataset: &Dataset,
    train: &[usize],
    config: &TrainConfig,
) -> Result<Option<FoundInvalid>> {
    let TrainConfig { preprocessing, limits, .. } = config;
    if preprocessing.invalid.is_empty() && !limits.not_finite {
        return Ok(None);
    }
    let share = |&sample: &usize| {
        let sample = &dataset.samples[sample];
        let image = sample.read(limits)?;
        let share = preprocessing.invalid_share(&image);
        share.map(|share| (sample, share)).map_err(|error| of_image(error.with_path(&sample.path)))
    };
    let step = train.len().div_ceil(LOOKED_AT).max(1);
    let looked_at: Vec<usize> = train.iter().copied().step_by(step).collect();
    let shares: Vec<_> = looked_at.par_iter().with_max_len(1).map(share).collect::<Result<_>>()?;
    let holed: Vec<_> = shares.iter().filter(|(_, share)| *share > 0.0).collect();
    let images = format!("{} of {} training images looked at", holed.len(), shares.len());
    Ok(Some(match holed.first() {
        Some((example, share)) => FoundInvalid {
            hint: None,
            text: format!(
                "pixels that were not measured are filled from their neighbours: in {images}, such as {} ({:.1} % of its values)",
                example.name,
                share * 100.0
            ),
        },
        None => FoundInvalid {
            text: format!("pixels that were not measured: found in {images}"),
            hint: Some(
                "whole numbers of PNG and TIFF files are shares of the largest of their type: 65535 of 16 bits is 1, 0 is 0",
            ),
        },
    }))
}
