//! Image -> canvas, which is a network input or several: the ordered, recorded steps, the same in training and in scoring.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::channels::{check_names, counted, named};
use crate::error::Kind;
use crate::foreground::{ForegroundCrop, foreground};
use crate::invalid::{fill, invalid_values, on_canvas};
use crate::percentile::percentiles;
use crate::placement::resize_padded;
use crate::relative::{RelativeRegion, is_ignored};
use crate::resize::Plane;
use crate::tiles::{Tiles, Tiling};
use crate::{
    Color, Error, Image, InputColor, InvalidValue, MAX_CHANNELS, Placement, Region, Remark, Source, Window,
};

/// The steps from image to network input, in this order: window, region of interest, invalid pixels and ignored areas, grey or colour,
/// foreground crop, square pad, resize, intensity scaling; [`tiles`](Self::tiles) makes several of a large or long image. Recorded in
/// the detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Preprocessing {
    /// Side of the square network input, 16 to 1024.
    pub size_px: usize,
    /// Channels of the network input.
    pub color: InputColor,
    /// Names of the channels of images whose channels are no colours: they stand in place of `color`, and each channel is scaled by
    /// itself. Empty for all other images; training takes them from its data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// The window: the values that become 0 and 1, in the unit of the files (Hounsfield units of a CT), in place of the percentiles of
    /// `intensity` and of the window that a DICOM file names. `None` takes values as a viewer shows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Values that stand for "not measured", such as the 0 of a depth camera's holes: what lies around these pixels takes their place
    /// before anything looks at the image, and no map has anything in them. `limits.not_finite` does the same for NaN.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invalid: Vec<InvalidValue>,
    /// The region of interest: nothing else of an image is looked at. `None` is the whole image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<RelativeRegion>,
    /// Areas of an image that are ignored, each a table of `left`, `top`, `width` and `height` as those of `region`: what lies around
    /// them takes their place, in training and in scoring, and no map or mask has anything in them. For what is always there and says
    /// nothing, such as a ruler, a date or a label.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<RelativeRegion>,
    /// How many network inputs that overlap an image becomes.
    pub tiles: Tiles,
    /// Cuts away dark borders; `None` keeps the whole image.
    pub foreground_crop: Option<ForegroundCrop>,
    /// Pads the shorter side with black to a square (with tiles: to the shape of their grid) before resizing; otherwise the
    /// sides are stretched.
    pub square_pad: bool,
    /// How intensities are scaled to 0..1.
    pub intensity: IntensityScaling,
}

/// Percentiles of the cropped image (colours together, other channels each by itself; before padding) that become 0 and 1, where
/// there is no window. Values outside are clamped to 0..1; an image of one value becomes 0 throughout.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IntensityScaling {
    /// The percentile that becomes 0, 0 to below 100; 0 puts the darkest value at 0 intensity.
    pub low_percentile: f32,
    /// The percentile that becomes 1, above `low_percentile` to 100.
    pub high_percentile: f32,
}

impl Default for Preprocessing {
    fn default() -> Self {
        Self {
            size_px: 128,
            color: InputColor::Grey,
            channels: Vec::new(),
            window: None,
            invalid: Vec::new(),
            region: None,
            ignore: Vec::new(),
            tiles: Tiles::None,
            foreground_crop: Some(ForegroundCrop::default()),
            square_pad: true,
            intensity: IntensityScaling::default(),
        }
    }
}

impl Default for IntensityScaling {
    fn default() -> Self {
        Self { low_percentile: 0.0, high_percentile: 99.5 }
    }
}

/// A preprocessed image, the canvas of one network input or of several, and its placement in the image.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// `[height, width, channels]`, values 0 to 1.
    pub pixels: Vec<f32>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1, 3, or as many as have [names](Preprocessing::channels).
    pub channels: usize,
    /// Which pixels the detector does not look at, because they were not measured or lie in an ignored area, `[height, width,
    /// channels]` as `pixels`; empty if it looks at all.
    pub unseen: Vec<bool>,
    /// Where in the image it came from.
    pub placement: Placement,
    /// The image's own source.
    pub source: Source,
}

impl Input {
    /// Sets what the detector does not look at to nothing in a map or mask of it: of one plane, `[height, width]`, the pixels that are
    /// unseen in every channel; of a plane for each channel, `[height, width, channels]`, what is unseen in the channel.
    pub fn clear_unseen<T: Copy + Default>(&self, values: &mut [T]) {
        if values.len() == self.unseen.len() {
            let unseen = values.iter_mut().zip(&self.unseen).filter(|(_, unseen)| **unseen);
            unseen.for_each(|(value, _)| *value = T::default());
            return;
        }
        for (value, pixel) in values.iter_mut().zip(self.unseen.chunks_exact(self.channels)) {
            if !pixel.contains(&false) {
                *value = T::default();
            }
        }
    }
}

impl Preprocessing {
    /// Checks every setting, rejecting NaN.
    ///
    /// # Errors
    /// A setting is out of its range; the message names it, its range and what was found.
    pub fn validate(&self) -> Result<(), Error> {
        if !SIZES_PX.contains(&self.size_px) {
            let (low, high) = (SIZES_PX.start(), SIZES_PX.end());
            return Err(out_of_range("size_px", &format!("{low} to {high}"), self.size_px));
        }
        if let Some(crop) = &self.foreground_crop {
            if !(0.0..1.0).contains(&crop.threshold) {
                return Err(out_of_range("foreground_crop.threshold", "0 to below 1", crop.threshold));
            }
            if !(0.0..=1.0).contains(&crop.margin) {
                return Err(out_of_range("foreground_crop.margin", "0 to 1", crop.margin));
            }
        }
        check_names(&self.channels)?;
        self.window.map_or(Ok(()), |window| window.validate())?;
        if self.window.is_some() && !self.channels.is_empty() {
            let found = named(&self.channels);
            return Err(out_of_range(
                "window",
                "none for several channels, which have units of their own",
                found,
            ));
        }
        self.invalid.iter().try_for_each(InvalidValue::validate)?;
        self.region.map_or(Ok(()), |region| region.validate("region"))?;
        if self.ignore.len() > MOST_IGNORED {
            return Err(out_of_range("ignore", &format!("up to {MOST_IGNORED} areas"), self.ignore.len()));
        }
        self.ignore.iter().try_for_each(|area| area.validate("ignore"))?;
        self.tiles.validate(self.size_px)?;
        if !self.square_pad && !matches!(self.tiles, Tiles::None | Tiles::Auto) {
            let message = format!(
                "preprocessing setting `tiles`: expected none or auto with square_pad = false, found {}: tiles keep the \
                 image's proportions",
                self.tiles
            );
            return Err(Error::new(Kind::Settings, message));
        }
        let IntensityScaling { low_percentile, high_percentile } = self.intensity;
        if !(0.0..100.0).contains(&low_percentile) {
            return Err(out_of_range("intensity.low_percentile", "0 to below 100", low_percentile));
        }
        if !(high_percentile > low_percentile && high_percentile <= 100.0) {
            let range = format!("above {low_percentile} (the low percentile) to 100");
            return Err(out_of_range("intensity.high_percentile", &range, high_percentile));
        }
        Ok(())
    }

    /// The part of an image that the foreground crop leaves.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn content(&self, image: &Image) -> Result<Region, Error> {
        self.validate()?;
        self.check(image)?;
        let Seen { image, .. } = self.seen(image)?;
        let grey = (image.channels != 1 && self.foreground_crop.is_some()).then(|| image.to_grey());
        self.content_of(grey.as_deref().unwrap_or(&image.pixels), &image)
    }

    /// The share of an image's values that were not measured.
    ///
    /// # Errors
    /// A setting is about a channel that the image does not have.
    pub fn invalid_share(&self, image: &Image) -> Result<f64, Error> {
        Ok(share(&invalid_values(image, &self.invalid, &self.channels)?))
    }

    /// The same with its colours and tiles settled by a detector's normals: whether most are in colours, and their contents.
    #[must_use]
    pub fn settled(&self, most_in_color: bool, contents: &[Region]) -> Self {
        let tiles = match self.square_pad {
            true => self.tiles.settled(self.size_px, contents),
            false => Tiles::None,
        };
        Self { color: self.color.settled(most_in_color), tiles, ..self.clone() }
    }

    /// The grid of network inputs.
    ///
    /// # Errors
    /// The tiles have not been [settled](Self::settled).
    pub fn tiling(&self) -> Result<Tiling, Error> {
        self.tiles.tiling(self.size_px)
    }

    /// Applies the steps. Deterministic; the same in training and in scoring.
    ///
    /// # Errors
    /// The settings are not valid or its colours and tiles not [settled](Self::settled), the image is smaller than 8 x 8 pixels, or its
    /// values are beyond 1e30.
    pub fn apply(&self, image: &Image) -> Result<Input, Error> {
        self.validate()?;
        let (canvas, color) = (self.tiling()?.grid(), self.color.color()?);
        self.check(image)?;
        let seen = self.seen(image)?;
        let image = seen.image.as_ref();
        let sees_grey = self.channels.is_empty() && color == Color::Grey;
        let grey =
            (image.channels != 1 && (sees_grey || self.foreground_crop.is_some())).then(|| image.to_grey());
        // Pixels are grey where there are no grey values, or nobody asks for these.
        let grey_or_pixels = grey.as_deref().unwrap_or(&image.pixels);

        let content = self.content_of(grey_or_pixels, image)?;
        let shape = self.square_pad.then_some((canvas.height_px, canvas.width_px));
        let placement = Placement::of_region(image.height, image.width, content, shape);

        let scaled = |pixels: &[f32], channels: usize| {
            let plane = Plane::part(
                pixels,
                image.width,
                channels,
                (content.top, content.left),
                (content.height, content.width),
            );
            let range = self.range_of(&plane);
            let mut resized =
                resize_padded(&plane, &placement, (canvas.height_px, canvas.width_px), range[0])?;
            scale(&mut resized, range);
            Ok::<_, Error>(resized)
        };
        let pixels = match (self.channels.len(), color) {
            (0, Color::Rgb) if image.channels == 3 => scaled(&image.pixels, 3)?,
            (0, Color::Rgb) => scaled(grey_or_pixels, 1)?.into_iter().flat_map(|value| [value; 3]).collect(),
            (0, Color::Grey) => scaled(grey_or_pixels, 1)?,
            (count, _) => {
                let mut pixels = vec![0.0; canvas.height_px * canvas.width_px * count];
                for channel in 0..count {
                    let plane = scaled(&image.channel(channel), 1)?;
                    let places = pixels.iter_mut().skip(channel).step_by(count);
                    places.zip(plane).for_each(|(place, value)| *place = value);
                }
                pixels
            }
        };
        let size = (canvas.height_px, canvas.width_px);
        let mut source = image.source.clone();
        if seen.invalid_share > 0.5 {
            source.remarks.push(Remark::MostlyNotMeasured);
        }
        Ok(Input {
            pixels,
            unseen: on_canvas(&seen.unseen, (image.channels, self.channel_count()), &placement, size)?,
            height: canvas.height_px,
            width: canvas.width_px,
            channels: self.channel_count(),
            placement,
            source,
        })
    }

    /// The values of the content, of all its channels together, that become 0 and 1.
    pub(crate) fn range_of(&self, content: &Plane<'_>) -> [f32; 2] {
        let wanted = [self.intensity.low_percentile, self.intensity.high_percentile].map(f64::from);
        match self.window {
            Some(_) => [0.0, 1.0],
            None => percentiles(content.rows(), wanted).unwrap_or_default(),
        }
    }

    /// Channels of the network input.
    pub fn channel_count(&self) -> usize {
        match (self.channels.len(), self.color) {
            (0, InputColor::Rgb) => 3,
            (0, InputColor::Grey | InputColor::Auto) => 1,
            (count, _) => count,
        }
    }

    /// The colours in which a person is shown network inputs.
    pub fn shown_as(&self) -> Color {
        Color::showing(self.channel_count())
    }

    /// In words, what pictures of network inputs show where they cannot show all channels as they are; `None` where they can.
    pub fn shown_in_words(&self) -> Option<String> {
        match &self.channels[..] {
            [] | [_] => None,
            [first, second] => Some(format!("pictures show the channel {first}, not {second}")),
            [red, green, blue, rest @ ..] => {
                let unseen = match rest {
                    [] => String::new(),
                    _ => format!(", not {}", rest.join(", ")),
                };
                Some(format!(
                    "pictures show the channels {red}, {green} and {blue} as red, green and blue{unseen}"
                ))
            }
        }
    }

    /// Whether an image can become this network input.
    fn check(&self, image: &Image) -> Result<(), Error> {
        check(image)?;
        let own = &image.source.channels;
        let found = || match own.len() {
            0 if image.is_picture_in_colors() => "a picture in colours".to_owned(),
            0 => format!("an image of {} without names", counted(image.channels)),
            _ => format!("an image of the {}", named(own)),
        };
        let message = match self.channels.len() {
            0 if image.is_grey_or_rgb() => return Ok(()),
            0 => format!("expected an image in grey or in colours, found {}", found()),
            // An image made in memory, or an array, may leave the names out; a picture in colours shows something else.
            count if image.channels == count && own.is_empty() && !image.is_picture_in_colors() => {
                return Ok(());
            }
            _ if *own == self.channels => return Ok(()),
            _ => format!("expected an image of the {}, found {}", named(&self.channels), found()),
        };
        Err(Error::new(Kind::Pixels, message))
    }

    /// The same of an image that is not needed any more, which takes less memory where colours become grey.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn apply_owned(&self, image: Image) -> Result<Input, Error> {
        if !self.sees_grey_alone() || image.channels == 1 || !image.not_finite.is_empty() {
            return self.apply(&image);
        }
        // What is refused is refused by its colours.
        self.check(&image)?;
        self.apply(&image.into_grey())
    }

    /// Whether an image in colours gives the network input that the same image in grey gives, so that it may be
    /// [decoded in grey](crate::decode_grey).
    pub fn sees_grey_alone(&self) -> bool {
        self.color == InputColor::Grey
            && self.channels.is_empty()
            && self.invalid.is_empty()
            && self.ignore.is_empty()
            && self.window.is_none()
    }

    /// The image in its window, with what lies around them in place of pixels that are not looked at.
    fn seen<'a>(&self, image: &'a Image) -> Result<Seen<'a>, Error> {
        let mut unseen = invalid_values(image, &self.invalid, &self.channels)?;
        let (invalid_share, region) = (share(&unseen), self.region_of(image)?);
        if !self.ignore.is_empty() {
            let ignored = is_ignored(image.height, image.width, &self.ignore);
            let rows = ignored.chunks_exact(image.width).skip(region.top).take(region.height);
            if !rows.flat_map(|row| &row[region.left..][..region.width]).any(|ignored| !ignored) {
                let message = "preprocessing setting `ignore`: expected areas that leave a part of the image, found none left";
                return Err(Error::new(Kind::Settings, message));
            }
            unseen.resize(image.pixels.len(), false);
            let pixels = unseen.chunks_exact_mut(image.channels).zip(ignored);
            pixels.filter(|(_, ignored)| *ignored).for_each(|(pixel, _)| pixel.fill(true));
        }
        let mut image = match self.window {
            Some(window) => Cow::Owned(window.shown(image)?),
            None => Cow::Borrowed(image),
        };
        if !unseen.is_empty() {
            fill(image.to_mut(), &unseen, region)?;
        }
        Ok(Seen { image, unseen, invalid_share })
    }

    /// The region of interest.
    ///
    /// # Errors
    /// It is too small in this image.
    fn region_of(&self, image: &Image) -> Result<Region, Error> {
        let Some(region) = self.region else {
            return Ok(Region { top: 0, left: 0, height: image.height, width: image.width });
        };
        let region = region.of(image.height, image.width);
        if region.height.min(region.width) >= MIN_SIDE_PX {
            return Ok(region);
        }
        let message = format!(
            "expected a region of interest of at least {MIN_SIDE_PX} x {MIN_SIDE_PX} pixels, found {} x {} in an image of {} x \
             {} (width x height)",
            region.width, region.height, image.width, image.height
        );
        Err(Error::new(Kind::Pixels, message))
    }

    /// The part of the region of interest that the foreground crop leaves, where there is one of `seen`, one value a pixel.
    fn content_of(&self, seen: &[f32], image: &Image) -> Result<Region, Error> {
        let region = self.region_of(image)?;
        let Some(crop) = self.foreground_crop else { return Ok(region) };
        if self.region.is_none() {
            return Ok(foreground(seen, image.height, image.width, &crop));
        }
        let rows = seen.chunks_exact(image.width).skip(region.top).take(region.height);
        let inside: Vec<f32> =
            rows.flat_map(|row| &row[region.left..region.left + region.width]).copied().collect();
        let found = foreground(&inside, region.height, region.width, &crop);
        Ok(Region { top: region.top + found.top, left: region.left + found.left, ..found })
    }
}

/// What of an image the steps after these look at.
struct Seen<'a> {
    /// In its window; what lies around them is in place of pixels that are not looked at.
    image: Cow<'a, Image>,
    /// Which values these are, `[height, width, channels]`; empty if there are none.
    unseen: Vec<bool>,
    /// Share of the image's values that were not measured.
    invalid_share: f64,
}

/// Areas that can be ignored.
const MOST_IGNORED: usize = 100;
/// Sides of a network input.
const SIZES_PX: RangeInclusive<usize> = 16..=1024;
/// An image with a shorter side is rejected.
const MIN_SIDE_PX: usize = 8;
/// A larger value is rejected: beyond it, sums in `f32` may overflow.
const MAX_VALUE: f32 = 1e30;

fn out_of_range(setting: &str, range: &str, found: impl std::fmt::Display) -> Error {
    let message = format!("preprocessing setting `{setting}`: expected {range}, found {found}");
    Error::new(Kind::Settings, message)
}

/// Whether an image can become a network input, whatever the settings.
///
/// # Errors
/// It is smaller than 8 x 8 pixels, its length does not fit, or its values are beyond 1e30.
pub fn check(image: &Image) -> Result<(), Error> {
    let Image { height, width, channels, .. } = *image;
    if height < MIN_SIDE_PX || width < MIN_SIDE_PX {
        let message = format!(
            "expected at least {MIN_SIDE_PX} x {MIN_SIDE_PX} pixels, found {width} x {height} (width x height); leave \
             the image out"
        );
        return Err(Error::new(Kind::Pixels, message));
    }
    if !(1..=MAX_CHANNELS).contains(&channels) || image.pixels.len() != height * width * channels {
        let found = image.pixels.len();
        let message = format!(
            "expected {height} x {width} pixels of 1 to {MAX_CHANNELS} channels, found {found} values"
        );
        return Err(Error::new(Kind::Pixels, message));
    }
    if !image.not_finite.is_empty() && image.not_finite.len() != image.pixels.len() {
        let (expected, found) = (image.pixels.len(), image.not_finite.len());
        let message =
            format!("expected of each of {expected} values whether it is finite, or of none, found {found}");
        return Err(Error::new(Kind::Pixels, message));
    }
    if let Some(unscaled) = image.unscaled.as_ref().filter(|unscaled| unscaled.len() != height * width) {
        let message =
            format!("expected {height} x {width} values in the unit of the file, found {}", unscaled.len());
        return Err(Error::new(Kind::Pixels, message));
    }
    let unusable = image.pixels.iter().filter(|value| value.is_nan() || value.abs() > MAX_VALUE).count();
    if unusable > 0 {
        let message =
            format!("expected values of at most {MAX_VALUE:e}, found {unusable} beyond that or not finite");
        return Err(Error::new(Kind::Pixels, message));
    }
    Ok(())
}

/// The share that is true.
fn share(values: &[bool]) -> f64 {
    values.iter().filter(|value| **value).count() as f64 / values.len().max(1) as f64
}

/// Maps `range` to 0..1 and clamps. A range without extent gives zeros.
fn scale(values: &mut [f32], [low, high]: [f32; 2]) {
    if high <= low {
        values.fill(0.0);
        return;
    }
    let extent = high - low;
    for value in values {
        *value = ((*value - low) / extent).clamp(0.0, 1.0);
    }
}
