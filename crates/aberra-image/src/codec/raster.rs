//! Samples as decoders write them -> upright pixels with the values of an image.

use bytemuck::Pod;
use image::metadata::Orientation;

use super::{nothing_finite, refuse_not_finite};
use crate::image::{luma, replace_not_finite};
use crate::turn::{origin, upright};
use crate::{Error, Limits, Remark};

/// Pixels as values of [`Image`](crate::Image): `channels` is 1 or 3.
pub(crate) struct Raster {
    pub pixels: Vec<f32>,
    pub channels: usize,
    /// Grey values in the unit of the file, where the pixels are others.
    pub unscaled: Option<Vec<f32>>,
    /// Which values are not finite in the file, where these are accepted; empty if none.
    pub not_finite: Vec<bool>,
    /// What was decided while decoding.
    pub remarks: Vec<Remark>,
}

impl Raster {
    /// Pixels of which there is nothing to say.
    pub(crate) fn of(pixels: Vec<f32>, channels: usize) -> Self {
        Self { pixels, channels, unscaled: None, not_finite: Vec::new(), remarks: Vec::new() }
    }

    /// The same, where values that are not finite become the lowest of the others, if `limits` accept them.
    ///
    /// # Errors
    /// There are such values, and they are not accepted, or there are no others.
    pub(crate) fn finite(mut self, limits: &Limits) -> Result<Self, Error> {
        if !limits.not_finite {
            let remedy = ", or train with --invalid nan if they were not measured";
            return refuse_not_finite(&self.pixels, remedy).map(|()| self);
        }
        self.not_finite = replace_not_finite(&mut self.pixels, None).ok_or_else(nothing_finite)?;
        if !self.not_finite.is_empty() {
            self.remarks.push(Remark::NotMeasured);
        }
        Ok(self)
    }
}

/// Integers or floats as a file stores them.
pub(crate) trait Sample: Pod {
    /// The value in an image.
    fn value(self) -> f32;
}

macro_rules! integer_sample {
    ($($integer:ty),*) => {$(
        impl Sample for $integer {
            fn value(self) -> f32 {
                (self as f64 / <$integer>::MAX as f64) as f32
            }
        }
    )*};
}
integer_sample!(u32, u64, i8, i16, i32, i64);

impl Sample for u8 {
    fn value(self) -> f32 {
        f32::from(self) / 255.0
    }
}

impl Sample for u16 {
    fn value(self) -> f32 {
        f32::from(self) / 65535.0
    }
}

impl Sample for f32 {
    fn value(self) -> f32 {
        self
    }
}

/// Interleaved samples, `stored` to a pixel (1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha), composited over black.
/// `premultiplied` says that the colours are composited already. Alpha that is 0 everywhere says nothing (cameras and
/// Windows write it so), and is ignored.
pub(crate) fn raster(samples: Vec<f32>, stored: usize, premultiplied: bool) -> Raster {
    let alpha = Alpha::of(stored, || samples.iter().skip(stored - 1).step_by(stored).copied());
    let channels = channels(stored);
    if matches!(stored, 1 | 3) {
        return Raster::of(samples, channels);
    }
    let mut pixels = vec![0.0; samples.len() / stored * channels];
    convert(&samples, stored, alpha.counts() && !premultiplied, &mut pixels);
    Raster { remarks: alpha.remarks(), ..Raster::of(pixels, channels) }
}

/// The same of integers that `decode` writes, in native byte order, for `height` x `width` pixels, turned upright. Where
/// nothing is turned they are written into the memory of the result, so that a large image never exists twice. `as_grey` makes grey
/// of colours as [`Image::into_grey`](crate::Image::into_grey) does, bit for bit, in a third of the memory.
///
/// # Errors
/// Those of `decode`.
pub(crate) fn decoded<S: Sample>(
    (height, width): (usize, usize),
    stored: usize,
    orientation: Orientation,
    as_grey: bool,
    decode: impl FnOnce(&mut [u8]) -> Result<(), Error>,
) -> Result<Raster, Error> {
    let channels = if as_grey { 1 } else { channels(stored) };
    if orientation == Orientation::NoTransforms {
        // Room for the values, and for the samples where these take more.
        let values = channels.max((stored * size_of::<S>()).div_ceil(size_of::<f32>()));
        let mut pixels = vec![0.0_f32; height * width * values];
        let remarks = decoded_in_place::<S>(&mut pixels, height * width, (channels, stored), decode)?;
        pixels.truncate(height * width * channels);
        pixels.shrink_to_fit();
        return Ok(Raster { remarks, ..Raster::of(pixels, channels) });
    }
    let mut samples = vec![S::zeroed(); height * width * stored];
    decode(bytemuck::cast_slice_mut(&mut samples))?;
    let alpha = Alpha::of(stored, || samples.iter().skip(stored - 1).step_by(stored).copied());
    let (_, columns) = upright((height, width), orientation);
    let (mut pixels, mut row) = (vec![0.0_f32; height * width * channels], Vec::new());
    for (y, pixels) in pixels.chunks_exact_mut((columns * channels).max(1)).enumerate() {
        row.clear();
        for x in 0..columns {
            let (y, x) = origin(orientation, (y, x), (height, width));
            let at = (y * width + x) * stored;
            row.extend_from_slice(&samples[at..at + stored]);
        }
        convert_to(channels, &row, stored, alpha.counts(), pixels);
    }
    Ok(Raster { remarks: alpha.remarks(), ..Raster::of(pixels, channels) })
}

/// The values of `count` pixels of so many channels, written to the beginning of `pixels`, which has room for them and for their
/// samples, `stored` to a pixel. These are written to its end; from the first on, a block of them is copied out and its values are
/// written, which lie before all samples that are still to come.
fn decoded_in_place<S: Sample>(
    pixels: &mut [f32],
    count: usize,
    (channels, stored): (usize, usize),
    decode: impl FnOnce(&mut [u8]) -> Result<(), Error>,
) -> Result<Vec<Remark>, Error> {
    /// Pixels.
    const BLOCK: usize = 512;
    let pixel_bytes = stored * size_of::<S>();
    let first = size_of_val(pixels) - count * pixel_bytes;
    let samples: &mut [u8] = &mut bytemuck::cast_slice_mut(pixels)[first..];
    decode(samples)?;
    let alpha_at = pixel_bytes - size_of::<S>();
    let alpha = Alpha::of(stored, || {
        samples.chunks_exact(pixel_bytes).map(|pixel| bytemuck::pod_read_unaligned::<S>(&pixel[alpha_at..]))
    });
    let mut block = vec![S::zeroed(); BLOCK * stored];
    for start in (0..count).step_by(BLOCK) {
        let block = &mut block[..BLOCK.min(count - start) * stored];
        let from = first + start * pixel_bytes;
        let bytes: &[u8] = bytemuck::cast_slice(pixels);
        let length = size_of_val(block);
        bytemuck::cast_slice_mut(block).copy_from_slice(&bytes[from..from + length]);
        convert_to(
            channels,
            block,
            stored,
            alpha.counts(),
            &mut pixels[start * channels..(start + BLOCK).min(count) * channels],
        );
    }
    Ok(alpha.remarks())
}

/// Values of which all of a channel lie together, as pixels of `stored` values.
pub(crate) fn interleave(planes: &[f32], stored: usize) -> Vec<f32> {
    let plane = planes.len() / stored;
    let mut interleaved = Vec::with_capacity(planes.len());
    for index in 0..plane {
        interleaved.extend((0..stored).map(|channel| planes[channel * plane + index]));
    }
    interleaved
}

/// Rec. 601 at full range, as in JPEG.
pub(crate) fn ycbcr_to_rgb(pixel: &mut [f32; 3]) {
    let [luma, blue, red] = *pixel;
    let (blue, red) = (blue - 128.0 / 255.0, red - 128.0 / 255.0);
    *pixel = [luma + 1.402 * red, luma - 0.344_136 * blue - 0.714_136 * red, luma + 1.772 * blue]
        .map(|value| value.clamp(0.0, 1.0));
}

fn channels(stored: usize) -> usize {
    if stored <= 2 { 1 } else { 3 }
}

/// The values of samples, times their alpha where `over_black`, in so many channels: their own, or one.
fn convert_to<S: Sample>(
    channels_kept: usize,
    samples: &[S],
    stored: usize,
    over_black: bool,
    pixels: &mut [f32],
) {
    /// Pixels.
    const BLOCK: usize = 128;
    let own = channels(stored);
    if own == channels_kept {
        return convert(samples, stored, over_black, pixels);
    }
    let mut colors = [0.0; 3 * BLOCK];
    for (samples, pixels) in samples.chunks(stored * BLOCK).zip(pixels.chunks_mut(BLOCK)) {
        convert(samples, stored, over_black, &mut colors);
        pixels.iter_mut().zip(colors.chunks_exact(own)).for_each(|(pixel, color)| *pixel = luma(color));
    }
}

/// The values of samples, times their alpha where `over_black`.
fn convert<S: Sample>(samples: &[S], stored: usize, over_black: bool, pixels: &mut [f32]) {
    let over_black = |value: S, alpha: S| {
        if over_black { value.value() * alpha.value() } else { value.value() }
    };
    match stored {
        2 => {
            for (pixel, &[grey, alpha]) in pixels.iter_mut().zip(samples.as_chunks().0) {
                *pixel = over_black(grey, alpha);
            }
        }
        4 => {
            for (pixel, &[red, green, blue, alpha]) in
                pixels.as_chunks_mut().0.iter_mut().zip(samples.as_chunks().0)
            {
                *pixel = [red, green, blue].map(|value| over_black(value, alpha));
            }
        }
        _ => pixels.iter_mut().zip(samples).for_each(|(pixel, sample)| *pixel = sample.value()),
    }
}

/// What the alpha of an image says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alpha {
    /// There is none, or it is 1 everywhere.
    Opaque,
    /// It is 0 everywhere, which says nothing.
    Ignored,
    Transparent,
}

impl Alpha {
    fn of<S: Sample, A: Iterator<Item = S>>(stored: usize, alpha: impl Fn() -> A) -> Self {
        if !matches!(stored, 2 | 4) || alpha().next().is_none() {
            Self::Opaque
        } else if alpha().all(|alpha| alpha.value() == 0.0) {
            Self::Ignored
        } else if alpha().any(|alpha| alpha.value() < 1.0) {
            Self::Transparent
        } else {
            Self::Opaque
        }
    }

    /// Whether colours have to be multiplied by it. (Where it is opaque that changes only floats beyond 1.)
    fn counts(self) -> bool {
        self != Self::Ignored
    }

    fn remarks(self) -> Vec<Remark> {
        match self {
            Self::Opaque => Vec::new(),
            Self::Ignored => vec![Remark::AlphaIgnored],
            Self::Transparent => vec![Remark::Transparent],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The value of a pixel, slowly and by the definition.
    fn expected(pixel: &[u16], is_ignored: bool) -> Vec<f32> {
        let value = |sample: u16| f32::from(sample) / 65535.0;
        match *pixel {
            [ref colors @ .., alpha] if matches!(pixel.len(), 2 | 4) && !is_ignored => {
                colors.iter().map(|&color| value(color) * value(alpha)).collect()
            }
            [ref colors @ .., _] if matches!(pixel.len(), 2 | 4) => {
                colors.iter().map(|&color| value(color)).collect()
            }
            _ => pixel.iter().map(|&color| value(color)).collect(),
        }
    }

    proptest! {
        /// Whatever the number of samples, and across several blocks: where samples and values share memory, none is
        /// overwritten before it is read.
        #[test]
        fn pixels_are_the_samples_values_in_place_and_turned(
            height in 1..40_usize,
            width in 1..60_usize,
            stored in 1..=4_usize,
            has_alpha in any::<bool>(),
            exif in 1..=8_u8,
            as_grey in any::<bool>(),
            seed in any::<u32>(),
        ) {
            let mut state = seed;
            let mut samples: Vec<u16> = (0..height * width * stored).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as u16
            }).collect();
            if !has_alpha && matches!(stored, 2 | 4) {
                samples.iter_mut().skip(stored - 1).step_by(stored).for_each(|alpha| *alpha = 0);
            }
            let orientation = Orientation::from_exif(exif).unwrap();
            let raster = decoded::<u16>((height, width), stored, orientation, as_grey, |bytes| {
                bytes.copy_from_slice(bytemuck::cast_slice(&samples));
                Ok(())
            }).unwrap();
            let (_, columns) = upright((height, width), orientation);
            let all = samples.iter().skip(stored - 1).step_by(stored).all(|&alpha| alpha == 0);
            for (index, pixel) in raster.pixels.chunks_exact(raster.channels).enumerate() {
                let (y, x) = origin(orientation, (index / columns, index % columns), (height, width));
                let at = (y * width + x) * stored;
                let mut expected = expected(&samples[at..at + stored], all && matches!(stored, 2 | 4));
                if as_grey && expected.len() == 3 {
                    expected = vec![luma(&expected)];
                }
                prop_assert_eq!(pixel, &expected[..]);
            }
            prop_assert_eq!(raster.pixels.len(), height * width * raster.channels);
            prop_assert_eq!(raster.channels, if as_grey { 1 } else { channels(stored) });
        }
    }
}
