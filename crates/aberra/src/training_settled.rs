//! What settings leave open until the training images are seen: their colours, and how many tiles they have.

use aberra_image::{InputColor, Preprocessing, Region, Tiles};
use rayon::prelude::*;

use crate::checked_config::CheckedConfig;
use crate::dataset::Dataset;
use crate::{Result, of_image};

/// The settings without anything open.
pub(crate) struct Settled<'a> {
    pub(crate) config: CheckedConfig,
    /// Whether there would be more tiles if there might be.
    pub(crate) tiles_limited: bool,
    /// What decided between grey and colours, where that was open and there are colours at all.
    pub(crate) colors: Option<ColorsFound<'a>>,
}

/// Which of the training images are in colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColorsFound<'a> {
    /// Training images that were looked at, evenly spread.
    pub looked_at: usize,
    /// Of these, images in colours.
    pub in_color: usize,
    /// The name of the first of them.
    pub example: &'a str,
    /// The name of the first that is grey.
    pub grey_example: Option<&'a str>,
}

impl ColorsFound<'_> {
    /// Whether most are in colours, so that the network input is.
    pub fn is_most(&self) -> bool {
        2 * self.in_color > self.looked_at
    }

    /// What was found and what follows from it, in words.
    pub fn text(&self) -> String {
        let &Self { looked_at, in_color, example, grey_example } = self;
        let are = if in_color == 1 { "is" } else { "are" };
        let found = format!("{in_color} of {looked_at} training images looked at {are} in colours");
        match (self.is_most(), grey_example) {
            (true, None) => format!("{found}, and so is the network input"),
            (true, Some(grey)) => {
                format!("{found}, and so is the network input; others are grey, such as {grey}")
            }
            (false, _) => format!("{found}, such as {example}; the network input is grey"),
        }
    }

    /// What to do where not all are alike.
    pub fn hint(&self) -> Option<&'static str> {
        match (self.is_most(), self.grey_example) {
            (true, None) => None,
            (true, Some(_)) => Some(
                "where only normals or only anomalies are in colours, the detector learns that difference",
            ),
            (false, _) => Some("train with preprocessing.color = rgb to look at colours"),
        }
    }
}

/// Looks at training images where something is open.
///
/// # Errors
/// Images that cannot be read; a model that cannot be fitted to colours.
pub(crate) fn settle<'a>(
    config: CheckedConfig,
    dataset: &'a Dataset,
    train: &[usize],
) -> Result<Settled<'a>> {
    /// Images that are looked at, evenly spread.
    const LOOKED_AT: usize = 64;
    let Preprocessing { tiles, color, size_px, .. } = config.preprocessing;
    if matches!(tiles, Tiles::None | Tiles::Grid(_)) && color != InputColor::Auto {
        return Ok(Settled { config, tiles_limited: false, colors: None });
    }
    let look = |&sample: &usize| {
        let sample = &dataset.samples[sample];
        let image = sample.read(&config.limits)?;
        let content = config.preprocessing.content(&image);
        let content = content.map_err(|error| of_image(error.with_path(&sample.path)))?;
        Ok((content, image.shows_color(), &*sample.name))
    };
    let step = train.len().div_ceil(LOOKED_AT).max(1);
    let looked_at: Vec<usize> = train.iter().copied().step_by(step).collect();
    let looks: Vec<_> = looked_at.par_iter().with_max_len(1).map(look).collect::<Result<_>>()?;
    let contents: Vec<Region> = looks.iter().map(|(content, ..)| *content).collect();

    let first =
        |wanted: bool| looks.iter().find(|(_, in_color, _)| *in_color == wanted).map(|(.., name)| *name);
    let colors = first(true).filter(|_| color == InputColor::Auto).map(|example| ColorsFound {
        looked_at: looks.len(),
        in_color: looks.iter().filter(|(_, in_color, _)| *in_color).count(),
        example,
        grey_example: first(false),
    });
    Ok(Settled {
        config: config.settled(colors.is_some_and(|found| found.is_most()), &contents)?,
        tiles_limited: tiles.is_limited(size_px, &contents),
        colors,
    })
}
