//! Images of several channels that are no colours: one image from several files or planes, and the names of channels.

use crate::error::Kind;
use crate::image::{ColorMode, Image, MAX_CHANNELS, Source};
use crate::{Error, ImageId};

/// Longest name of a channel.
const MAX_NAME_BYTES: usize = 60;
/// Spacings that differ by a smaller share than this are the same, stored with other digits.
const SPACING_TOLERANCE: f32 = 1e-3;

impl Image {
    /// One image of several, each with the name of what it shows, whose channels follow one another. The identity is that of
    /// all parts in their order. A part of one channel has its name; of several, the name and a number from 1 each.
    ///
    /// # Errors
    /// Parts of different sides or spacing, no part at all, or more than [`MAX_CHANNELS`] channels; the message names the parts.
    pub fn of_channels(parts: Vec<(String, Self)>) -> Result<Self, Error> {
        let Some((first_name, first)) = parts.first() else {
            return Err(Error::new(Kind::Pixels, "expected at least one channel, found none".to_owned()));
        };
        let channels: usize = parts.iter().map(|(_, part)| part.channels).sum();
        if channels > MAX_CHANNELS {
            let message = format!("expected up to {MAX_CHANNELS} channels, found {channels}");
            return Err(Error::new(Kind::Pixels, message));
        }
        for (name, part) in &parts {
            same_geometry((first_name, first), (name, part))?;
        }
        let (height, width) = (first.height, first.width);
        let mut source = Source { channels: Vec::with_capacity(channels), ..first.source.clone() };
        let mut pixels = vec![0.0; height * width * channels];
        let are_finite = parts.iter().all(|(_, part)| part.not_finite.is_empty());
        let mut not_finite = if are_finite { Vec::new() } else { vec![false; pixels.len()] };
        let mut at = 0;
        (source.bytes, source.color_mode) = (0, ColorMode::Channels);
        source.remarks.clear();
        for (name, part) in &parts {
            source.bytes += part.source.bytes;
            source.is_lossy |= part.source.is_lossy;
            source.remarks.extend(part.source.remarks.iter().cloned());
            source.channels.extend((1..=part.channels).map(|number| match part.channels {
                1 => name.clone(),
                _ => format!("{name}_{number}"),
            }));
            for (to, from) in pixels.chunks_exact_mut(channels).zip(part.pixels.chunks_exact(part.channels)) {
                to[at..at + from.len()].copy_from_slice(from);
            }
            let gaps = part.not_finite.chunks_exact(part.channels);
            for (to, from) in not_finite.chunks_exact_mut(channels).zip(gaps) {
                to[at..at + from.len()].copy_from_slice(from);
            }
            at += part.channels;
        }
        source.remarks.sort();
        source.remarks.dedup();
        source.id = ImageId::of_parts(parts.iter().map(|(_, part)| part.source.id));
        Ok(Self { pixels, height, width, channels, unscaled: None, not_finite, source })
    }
}

fn same_geometry(first: (&str, &Image), other: (&str, &Image)) -> Result<(), Error> {
    let ((first_name, first), (other_name, other)) = (first, other);
    if (first.height, first.width) != (other.height, other.width) {
        let message = format!(
            "expected channels of the same size, found {first_name} with {} x {} and {other_name} with {} x {} pixels \
             (width x height); resample one to the other",
            first.width, first.height, other.width, other.height
        );
        return Err(Error::new(Kind::Pixels, message));
    }
    let differs = |a: f32, b: f32| (a - b).abs() > SPACING_TOLERANCE * a.abs().max(b.abs());
    if let (Some(a), Some(b)) = (first.source.spacing_mm, other.source.spacing_mm)
        && (differs(a[0], b[0]) || differs(a[1], b[1]))
    {
        let message = format!(
            "expected channels of the same geometry, found pixels of {} x {} mm in {first_name} and of {} x {} mm in \
             {other_name}; resample one to the other",
            a[0], a[1], b[0], b[1]
        );
        return Err(Error::new(Kind::Pixels, message));
    }
    Ok(())
}

/// "channel a" or "channels a, b".
pub(crate) fn named(names: &[String]) -> String {
    format!("{} {}", if names.len() == 1 { "channel" } else { "channels" }, names.join(", "))
}

/// "1 channel" or "3 channels".
pub(crate) fn counted(channels: usize) -> String {
    format!("{channels} {}", if channels == 1 { "channel" } else { "channels" })
}

/// Whether `names` can be those of the channels of an image.
///
/// # Errors
/// More names than an image may have channels, one that is empty or long, or one twice.
pub(crate) fn check_names(names: &[String]) -> Result<(), Error> {
    let is_wrong = |name: &&String| name.trim().is_empty() || name.len() > MAX_NAME_BYTES;
    let message = if names.len() > MAX_CHANNELS {
        format!(
            "preprocessing setting `channels`: expected up to {MAX_CHANNELS} names, found {}",
            names.len()
        )
    } else if let Some(name) = names.iter().find(is_wrong) {
        format!(
            "preprocessing setting `channels`: expected names of 1 to {MAX_NAME_BYTES} bytes, found {name:?}"
        )
    } else if let Some((at, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        format!(
            "preprocessing setting `channels`: expected names that differ, found {name:?} again as number {}",
            at + 1
        )
    } else {
        return Ok(());
    };
    Err(Error::new(Kind::Settings, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::overview;

    fn plain(height: usize, width: usize, channels: usize, first: f32) -> Image {
        let values = (0..height * width * channels).map(|at| first + at as f32).collect();
        Image::from_pixels(values, height, width, channels).unwrap()
    }

    #[test]
    fn channels_follow_one_another_and_have_names() {
        let (rgb, depth) = (plain(2, 3, 3, 0.0), plain(2, 3, 1, 100.0));
        let joined =
            Image::of_channels(vec![("rgb".into(), rgb.clone()), ("depth".into(), depth.clone())]).unwrap();
        assert_eq!((joined.height, joined.width, joined.channels), (2, 3, 4));
        assert_eq!(joined.source.channels, ["rgb_1", "rgb_2", "rgb_3", "depth"]);
        assert_eq!(joined.pixels[..8], [0.0, 1.0, 2.0, 100.0, 3.0, 4.0, 5.0, 101.0]);
        assert_eq!(joined.channel(3), depth.pixels);
        assert_eq!(joined.channel_names(), joined.source.channels);
        assert_eq!(
            (plain(2, 2, 2, 0.0).channel_names(), rgb.channel_names()),
            (vec!["1".into(), "2".into()], vec![])
        );
        assert!(!joined.is_grey_or_rgb() && rgb.is_grey_or_rgb());
    }

    #[test]
    fn the_identity_covers_every_part_and_their_order() {
        let of = |bytes: &[u8]| {
            let mut image = plain(2, 2, 1, 0.0);
            image.source.id = ImageId::of_bytes(bytes);
            image
        };
        let id = |parts: [&[u8]; 2]| {
            let [a, b] = parts.map(of);
            Image::of_channels(vec![("a".into(), a), ("b".into(), b)]).unwrap().source.id
        };
        assert_eq!(id([b"x", b"y"]), id([b"x", b"y"]));
        assert_ne!(id([b"x", b"y"]), id([b"x", b"z"]));
        assert_ne!(id([b"x", b"y"]), id([b"y", b"x"]));
    }

    #[test]
    fn other_geometry_and_too_many_channels_are_refused() {
        let join = |parts: Vec<(&str, Image)>| {
            let parts = parts.into_iter().map(|(name, part)| (name.to_owned(), part)).collect();
            Image::of_channels(parts).unwrap_err().to_string()
        };
        let text = join(vec![("t1", plain(4, 6, 1, 0.0)), ("t2", plain(4, 5, 1, 0.0))]);
        assert!(text.contains("t1 with 6 x 4 and t2 with 5 x 4"), "{text}");
        let spaced = |spacing: f32| {
            let mut image = plain(4, 4, 1, 0.0);
            image.source.spacing_mm = Some([spacing, 1.0]);
            image
        };
        assert!(join(vec![("t1", spaced(1.0)), ("t2", spaced(1.1))]).contains("1.1 x 1 mm"));
        let many: Vec<_> = (0..17).map(|_| ("x", plain(2, 2, 1, 0.0))).collect();
        assert!(join(many).contains("up to 16 channels, found 17"));
        assert!(join(Vec::new()).contains("found none"));
    }

    #[test]
    fn no_channel_outweighs_the_others_in_the_overview() {
        let (mut left, mut right) = (vec![0.0; 64], vec![0.0; 64]);
        left[0] = 1000.0;
        right[63] = 0.001;
        let part = |pixels| Image::from_pixels(pixels, 8, 8, 1).unwrap();
        let joined = Image::of_channels(vec![("a".into(), part(left)), ("b".into(), part(right))]).unwrap();
        let seen = overview(&joined);
        assert_eq!((seen[0], seen[63], seen[1]), (0.5, 0.5, 0.0));
    }
}
