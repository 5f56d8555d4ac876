//! Pixels that are not looked at, because they were not measured, such as the holes of a depth camera, or lie in an ignored area:
//! which were not measured, and what stands in the place of both.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Kind;
use crate::{Error, Image, Placement, Region};

/// A value that stands for "not measured".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvalidValue {
    /// The channels that it is about: the channel of this name, or those of the file of this name, numbered from 1. All of them
    /// must have the value. `None` is all channels of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The value: in the unit of the file where it has one (NIfTI, DICOM that states a rescaling, NumPy), else as decoded, where
    /// whole numbers are shares of the largest of their type. 0 is 0 either way.
    pub value: f64,
}

impl InvalidValue {
    /// # Errors
    /// The value is not finite.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.value.is_finite() {
            return Ok(());
        }
        let message = format!(
            "preprocessing setting `invalid`: expected a finite value, found {}; NaN is accepted by the setting \
             `limits.not_finite`",
            self.value
        );
        Err(Error::new(Kind::Settings, message))
    }

    /// The numbers of the channels that it is about, of an image whose channels have these names.
    ///
    /// # Errors
    /// The image has none of this name.
    fn channels(&self, image: &Image, names: &[String]) -> Result<Vec<usize>, Error> {
        let Some(wanted) = &self.channel else { return Ok((0..image.channels).collect()) };
        let is_of_file = |name: &str| {
            let number = name.strip_prefix(wanted.as_str()).and_then(|rest| rest.strip_prefix('_'));
            number.is_some_and(|number| number.parse::<usize>().is_ok())
        };
        let found: Vec<usize> =
            (0..names.len()).filter(|&at| names[at] == *wanted || is_of_file(&names[at])).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let among = if names.is_empty() { "an image without names".to_owned() } else { names.join(", ") };
        let message = format!(
            "preprocessing setting `invalid`: expected an image with the channel {wanted}, found {among}"
        );
        Err(Error::new(Kind::Pixels, message))
    }
}

/// Which values of an image were not measured, `[height, width, channels]`: those that are not finite in its file, and those that
/// have one of `values`. Empty if all were. `expected` are the names of the channels of an image that has none of its own.
///
/// # Errors
/// A value is about a channel that the image does not have.
pub(crate) fn invalid_values(
    image: &Image,
    values: &[InvalidValue],
    expected: &[String],
) -> Result<Vec<bool>, Error> {
    let mut invalid = image.not_finite.clone();
    if values.is_empty() {
        return Ok(invalid);
    }
    invalid.resize(image.pixels.len(), false);
    let names = match image.source.channels.is_empty() && expected.len() == image.channels {
        true => expected.to_vec(),
        false => image.channel_names(),
    };
    let measured = if image.channels == 1 { image.measured() } else { None };
    let found = measured.unwrap_or(&image.pixels);
    for wanted in values {
        let (channels, value) = (wanted.channels(image, &names)?, wanted.value as f32);
        let pixels = found.chunks_exact(image.channels).zip(invalid.chunks_exact_mut(image.channels));
        for (pixel, invalid) in pixels {
            if channels.iter().all(|&channel| pixel[channel] == value) {
                channels.iter().for_each(|&channel| invalid[channel] = true);
            }
        }
    }
    Ok(if invalid.contains(&true) { invalid } else { Vec::new() })
}

/// Puts in place of each value of `region` that is `unseen`, `[height, width, channels]`, what lies around it in its channel: from the
/// edge of a hole inwards, the mean of those of its eight neighbours in the region that are known by then. So a hole has no edge of its
/// own.
///
/// # Errors
/// A channel has no other value in the region.
pub(crate) fn fill(image: &mut Image, unseen: &[bool], region: Region) -> Result<(), Error> {
    let (width, channels) = (image.width, image.channels);
    for channel in 0..channels {
        let mut known: Vec<bool> =
            unseen.iter().skip(channel).step_by(channels).map(|&unseen| !unseen).collect();
        if !places(region, width).any(|at| known[at]) {
            let names = image.channel_names();
            let of = names.get(channel).map(|name| format!(" in the channel {name}")).unwrap_or_default();
            let message = format!("expected measured values, found none{of}: all are invalid");
            return Err(Error::new(Kind::Pixels, message));
        }
        let mut edge: Vec<usize> = places(region, width)
            .filter(|&at| !known[at] && neighbours(at, width, region).any(|neighbour| known[neighbour]))
            .collect();
        let mut reached = known.clone();
        edge.iter().for_each(|&at| reached[at] = true);
        while !edge.is_empty() {
            let mut inner = Vec::with_capacity(edge.len());
            for &at in &edge {
                let (mut sum, mut count) = (0.0, 0);
                for neighbour in neighbours(at, width, region) {
                    if known[neighbour] {
                        sum += f64::from(image.pixels[neighbour * channels + channel]);
                        count += 1;
                    } else if !reached[neighbour] {
                        reached[neighbour] = true;
                        inner.push(neighbour);
                    }
                }
                image.pixels[at * channels + channel] = (sum / f64::from(count)) as f32;
            }
            edge.iter().for_each(|&at| known[at] = true);
            edge = inner;
        }
    }
    Ok(())
}

/// Which values of a network input are unseen, `[height, width, channels]` of `size` and the second of `channels`, by which are in an
/// image of the first of them: where these are others, those of pixels of which no value is seen.
///
/// # Errors
/// The length does not fit the placement.
pub(crate) fn on_canvas(
    unseen: &[bool],
    (of_image, of_input): (usize, usize),
    placement: &Placement,
    size: (usize, usize),
) -> Result<Vec<bool>, Error> {
    if unseen.is_empty() {
        return Ok(Vec::new());
    }
    let mut projected = vec![false; size.0 * size.1 * of_input];
    for channel in 0..of_input {
        let pixels = unseen.chunks_exact(of_image);
        let plane: Vec<bool> = match of_image == of_input {
            true => pixels.map(|pixel| pixel[channel]).collect(),
            false => pixels.map(|pixel| !pixel.contains(&false)).collect(),
        };
        let plane = placement.project_mask(&plane, placement.image_height, placement.image_width, size)?;
        let places = projected.iter_mut().skip(channel).step_by(of_input);
        places.zip(plane).for_each(|(place, unseen)| *place = unseen);
    }
    Ok(projected)
}

/// The pixels of a region of an image of this width, row by row.
fn places(region: Region, width: usize) -> impl Iterator<Item = usize> {
    let Region { top, left, height, width: columns } = region;
    (top..top + height).flat_map(move |row| (left..left + columns).map(move |column| row * width + column))
}

/// The pixels of a region around one of them, row by row.
fn neighbours(at: usize, width: usize, region: Region) -> impl Iterator<Item = usize> {
    let around = |place: usize, start: usize, length: usize| {
        let (first, end) = (place.saturating_sub(1).max(start), (place + 2).min(start + length));
        (first, end - first)
    };
    let (top, height) = around(at / width, region.top, region.height);
    let (left, columns) = around(at % width, region.left, region.width);
    places(Region { top, left, height, width: columns }, width).filter(move |&neighbour| neighbour != at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image(pixels: &[f32], height: usize, width: usize, channels: usize) -> Image {
        Image::from_pixels(pixels.to_vec(), height, width, channels).unwrap()
    }

    fn whole(image: &Image) -> Region {
        Region { top: 0, left: 0, height: image.height, width: image.width }
    }

    fn of(value: f64, channel: Option<&str>) -> InvalidValue {
        InvalidValue { value, channel: channel.map(str::to_owned) }
    }

    #[test]
    fn a_hole_is_filled_from_its_edge_inwards() {
        let (o, mut values) = (0.0, vec![2.0; 25]);
        for at in [6, 7, 8, 11, 12, 13, 16, 17, 18] {
            values[at] = o;
        }
        values[0] = 10.0;
        let mut hole = image(&values, 5, 5, 1);
        let invalid = invalid_values(&hole, &[of(0.0, None)], &[]).unwrap();
        let region = whole(&hole);
        fill(&mut hole, &invalid, region).unwrap();
        // The corner of the hole has five known neighbours, one of them 10; those beside it know nothing of each other.
        assert_eq!(hole.pixels[6], (10.0 + 4.0 * 2.0) / 5.0);
        assert_eq!(hole.pixels[7], 2.0);
        let ring = [6, 7, 8, 11, 13, 16, 17, 18].map(|at| f64::from(hole.pixels[at]));
        assert_eq!(hole.pixels[12], (ring.iter().sum::<f64>() / 8.0) as f32);
    }

    #[test]
    fn a_hole_at_the_edge_of_a_region_is_filled_from_within() {
        let mut image = image(&[9.0, 0.0, 2.0, 3.0], 1, 4, 1);
        let region = Region { top: 0, left: 1, height: 1, width: 3 };
        fill(&mut image, &[false, true, false, false], region).unwrap();
        assert_eq!(image.pixels, [9.0, 2.0, 2.0, 3.0]);
    }

    #[test]
    fn a_value_may_be_about_one_channel_or_about_a_file_of_several() {
        let mut image = image(&[0.0, 0.0, 0.0, 5.0, 0.0, 1.0, 0.0, 0.0], 1, 2, 4);
        image.source.channels = ["grey", "xyz_1", "xyz_2", "xyz_3"].map(str::to_owned).to_vec();
        // A pixel of a file of several channels is invalid where all of them are.
        assert!(invalid_values(&image, &[of(0.0, Some("xyz"))], &[]).unwrap().is_empty());
        let invalid = invalid_values(&image, &[of(0.0, Some("grey")), of(5.0, Some("xyz_3"))], &[]).unwrap();
        assert_eq!(invalid, [true, false, false, true, true, false, false, false]);
        let depth = [of(0.0, Some("depth"))];
        let refused = invalid_values(&image, &depth, &[]).unwrap_err().to_string();
        assert!(refused.contains("the channel depth, found grey, xyz_1"), "{refused}");
        // An image made in memory has the names that are expected of it.
        let mut unnamed = image.clone();
        unnamed.source.channels.clear();
        let expected = ["t1", "t2", "depth", "ct"].map(str::to_owned);
        let invalid = invalid_values(&unnamed, &depth, &expected).unwrap();
        assert_eq!(invalid, [false, false, true, false, false, false, true, false]);
        let (unseen, region) = ([true, false, false, false, true, false, false, false], whole(&image));
        let error = fill(&mut image, &unseen, region).unwrap_err();
        assert!(error.to_string().contains("found none in the channel grey"), "{error}");
    }

    proptest! {
        #[test]
        fn what_was_measured_stays_and_what_was_not_lies_between(
            (height, width) in (1..12_usize, 1..12_usize),
            seed in any::<u64>(),
        ) {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as f32 / (1_u64 << 31) as f32
            };
            let values: Vec<f32> = (0..height * width).map(|_| next()).collect();
            let mut invalid: Vec<bool> = (0..height * width).map(|_| next() < 0.6).collect();
            invalid[0] = false;
            let mut filled = image(&values, height, width, 1);
            let region = whole(&filled);
            fill(&mut filled, &invalid, region).unwrap();
            let measured = || values.iter().zip(&invalid).filter(|(_, invalid)| !**invalid).map(|(value, _)| *value);
            let (low, high) = (measured().fold(1.0, f32::min), measured().fold(0.0, f32::max));
            for (at, &value) in filled.pixels.iter().enumerate() {
                let is_right = if invalid[at] { (low..=high).contains(&value) } else { value == values[at] };
                prop_assert!(is_right, "{value} at {at}");
            }
        }
    }
}
