//! The stored values of one frame of a DICOM file, whatever they are compressed with.

use std::borrow::Cow;

use openreadout_codecs as codecs;

use super::data_set::Element;
use super::picture::{Kind, Photometric, Picture};
use super::syntax::{Compression, Syntax};
use crate::codec::{damaged, jpeg, unsupported};
use crate::{Error, Format};

/// Values as they are stored.
pub(super) struct Stored<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// 1, 2 or 4 (8 for doubles).
    pub(super) bytes_per_value: usize,
    pub(super) is_big_endian: bool,
    /// All values of a colour lie together.
    pub(super) is_planar: bool,
    pub(super) photometric: Photometric,
}

/// Decodes one frame; its values fill a frame exactly.
pub(super) fn frame<'a>(
    number: u32,
    picture: &Picture,
    data: &Element<'a>,
    syntax: &Syntax,
) -> Result<Stored<'a>, Error> {
    if syntax.compression == Compression::None || !data.is_open {
        return native(number, picture, data, syntax);
    }
    let fragments = fragments(number, picture, data, syntax)?;
    let joined: Cow<'a, [u8]> = match fragments[..] {
        [one] => Cow::Borrowed(one),
        _ => Cow::Owned(fragments.concat()),
    };
    match syntax.compression {
        Compression::Encapsulated => {
            let needed = (picture.frame_bits().div_ceil(8)) as usize;
            if joined.len() < needed {
                return Err(short(needed as u64, joined.len()));
            }
            Ok(plain(joined, picture, false))
        }
        Compression::RunLength => run_length(&joined, picture),
        _ => compressed(&joined, picture, syntax.compression),
    }
}

/// Whether the file has all the frames that it states.
pub(super) fn check_frames(picture: &Picture, data: &Element<'_>, syntax: &Syntax) -> Result<(), Error> {
    if syntax.compression == Compression::None || !data.is_open {
        let needed = (u128::from(picture.frame_bits()) * u128::from(picture.frames)).div_ceil(8);
        if (data.value.len() as u128) < needed {
            return Err(short(u64::try_from(needed).unwrap_or(u64::MAX), data.value.len()));
        }
        return Ok(());
    }
    let mut count: u64 = 0;
    for fragment in data.items() {
        fragment?;
        count += 1;
    }
    // The first item is a table of offsets.
    if count.saturating_sub(1) < picture.frames.into() {
        let found = format!("it states {} frames and has {}", picture.frames, count.saturating_sub(1));
        return Err(damaged(Format::Dicom, found));
    }
    Ok(())
}

fn short(needed: u64, found: usize) -> Error {
    damaged(Format::Dicom, format!("its pixels are truncated: {found} of {needed} bytes are there"))
}

fn native<'a>(
    number: u32,
    picture: &Picture,
    data: &Element<'a>,
    syntax: &Syntax,
) -> Result<Stored<'a>, Error> {
    if data.is_open || !matches!(syntax.compression, Compression::None | Compression::Encapsulated) {
        return Err(damaged(Format::Dicom, "its pixels are not stored as its transfer syntax says"));
    }
    let bits = picture.frame_bits();
    let (start, end) = (u64::from(number) * bits, u64::from(number).saturating_add(1).saturating_mul(bits));
    let range = (start / 8) as usize..end.div_ceil(8) as usize;
    let Some(bytes) = data.value.get(range) else { return Err(short(end.div_ceil(8), data.value.len())) };
    if picture.kind_bits() == 1 {
        // Frames follow each other without a gap, the lowest bit of a byte first.
        let first = (start % 8) as usize;
        let bit = |at: usize| (bytes[(first + at) / 8] >> ((first + at) % 8)) & 1;
        return Ok(plain((0..picture.values()).map(bit).collect::<Vec<u8>>().into(), picture, false));
    }
    // Words of two bytes each, where bytes are stored in words.
    if data.is_big_endian() && picture.kind_bits() == 8 && data.vr == *b"OW" {
        let swapped = |at: usize| data.value.get(at ^ 1).copied().unwrap_or(0);
        let first = (start / 8) as usize;
        return Ok(plain(
            (first..first + bytes.len()).map(swapped).collect::<Vec<u8>>().into(),
            picture,
            false,
        ));
    }
    Ok(plain(bytes.into(), picture, data.is_big_endian()))
}

impl Picture {
    fn kind_bits(&self) -> u16 {
        match self.kind {
            Kind::Integer { allocated, .. } => allocated,
            Kind::Float => 32,
            Kind::Double => 64,
        }
    }
}

fn plain<'a>(bytes: Cow<'a, [u8]>, picture: &Picture, is_big_endian: bool) -> Stored<'a> {
    let stored = Stored {
        bytes,
        bytes_per_value: usize::from(picture.kind_bits()).div_ceil(8),
        is_big_endian,
        is_planar: picture.is_planar,
        photometric: picture.photometric,
    };
    if picture.photometric != Photometric::YbrHalved {
        return stored;
    }
    // Two lumas and the two differences that they share.
    let pairs = stored.bytes.as_chunks::<4>().0.iter();
    let full = pairs
        .flat_map(|&[first, second, blue, red]| [first, blue, red, second, blue, red])
        .collect::<Vec<u8>>();
    Stored { bytes: full.into(), is_planar: false, photometric: Photometric::Ybr, ..stored }
}

/// The fragments of one frame.
fn fragments<'a>(
    number: u32,
    picture: &Picture,
    data: &Element<'a>,
    syntax: &Syntax,
) -> Result<Vec<&'a [u8]>, Error> {
    let missing =
        || damaged(Format::Dicom, format!("frame {} of its pixels is missing", u64::from(number) + 1));
    let mut items = data.items();
    let table = items.next().transpose()?.ok_or_else(missing)?;
    if picture.frames == 1 {
        let all: Vec<&[u8]> = items.collect::<Result<_, _>>()?;
        return if all.is_empty() { Err(missing()) } else { Ok(all) };
    }
    let offset = |frame: u32| -> Option<u64> {
        let at = frame as usize * 4;
        Some(u32::from_le_bytes(table.get(at..at + 4)?.try_into().ok()?).into())
    };
    let has_table = table.len() as u64 == 4 * u64::from(picture.frames);
    // Without a table, a frame begins where an image begins, and with run lengths at every fragment.
    let begins = |fragment: &[u8]| match syntax.compression {
        Compression::Jpeg | Compression::JpegLs => fragment.starts_with(&[0xff, 0xd8]),
        Compression::Jpeg2000 => fragment.starts_with(&[0xff, 0x4f]) || fragment.starts_with(b"\0\0\0\x0cjP"),
        _ => true,
    };
    let (mut frame, mut position, mut found) = (None, 0_u64, Vec::new());
    for fragment in items {
        let fragment = fragment?;
        let next = frame.map_or(0, |frame: u32| frame + 1);
        let is_next = if has_table { offset(next) == Some(position) } else { begins(fragment) };
        if is_next || frame.is_none() {
            frame = Some(next);
        }
        match frame {
            Some(frame) if frame == number => found.push(fragment),
            Some(frame) if frame > number => break,
            _ => {}
        }
        position += 8 + fragment.len() as u64;
    }
    if found.is_empty() { Err(missing()) } else { Ok(found) }
}

/// Planes of bytes, the highest of each value first, each a series of runs.
fn run_length(bytes: &[u8], picture: &Picture) -> Result<Stored<'static>, Error> {
    let long = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let truncated = || damaged(Format::Dicom, "a frame of it is truncated");
    let per_value = usize::from(picture.kind_bits()).div_ceil(8);
    let (planes, pixels) = (picture.samples * per_value, picture.rows * picture.columns);
    if picture.kind_bits() == 1 {
        return Err(unsupported(Format::Dicom, "single bits as run lengths"));
    }
    if long(0) != Some(planes) || planes > 15 {
        let found = format!("a frame of it has not the {planes} planes of bytes that its values need");
        return Err(damaged(Format::Dicom, found));
    }
    let mut values = vec![0; pixels * planes];
    for plane in 0..planes {
        let start = long(4 + 4 * plane).ok_or_else(truncated)?;
        let end = if plane + 1 < planes { long(8 + 4 * plane).ok_or_else(truncated)? } else { bytes.len() };
        let runs = bytes.get(start..end).ok_or_else(truncated)?;
        let decoded = codecs::packbits_decode(runs, pixels).map_err(|error| damaged(Format::Dicom, error))?;
        if decoded.len() < pixels {
            return Err(truncated());
        }
        // Little-endian values, all of a colour together.
        let (sample, byte) = (plane / per_value, per_value - 1 - plane % per_value);
        let first = sample * pixels * per_value + byte;
        for (value, byte) in values[first..].iter_mut().step_by(per_value).zip(&decoded[..pixels]) {
            *value = *byte;
        }
    }
    let photometric =
        if picture.photometric == Photometric::YbrHalved { Photometric::Ybr } else { picture.photometric };
    Ok(Stored {
        bytes: values.into(),
        bytes_per_value: per_value,
        is_big_endian: false,
        is_planar: picture.samples > 1,
        photometric,
    })
}

/// A frame that is a file of another format.
fn compressed(bytes: &[u8], picture: &Picture, compression: Compression) -> Result<Stored<'static>, Error> {
    // Twice as much as the values need: some codecs return 16 bits for fewer.
    let most = picture.values().saturating_mul(2).max(1);
    let mut photometric = picture.photometric;
    let decoded = match compression {
        Compression::Jpeg => {
            if !jpeg::is_complete(bytes) {
                return Err(damaged(Format::Dicom, "a frame of it is a truncated JPEG"));
            }
            let is_difference = matches!(photometric, Photometric::Ybr | Photometric::YbrHalved);
            let coded = codecs::jpeg_markers(bytes, None).ok().and_then(|markers| markers.coded_color());
            // The codec turns differences into colours as it decodes.
            let is_converted = is_difference && coded != Some(codecs::JpegColor::AsCoded);
            photometric = if is_difference { Photometric::Rgb } else { photometric };
            let color = if is_converted { codecs::JpegColor::ToRgb } else { codecs::JpegColor::AsCoded };
            codecs::jpeg_decode_tiff_limited(bytes, None, color, most)
        }
        Compression::JpegLs => codecs::jpegls_decode_limited(bytes, most),
        _ => {
            if photometric == Photometric::YbrOfJpeg2000 {
                photometric = Photometric::Rgb;
            }
            codecs::jpeg2000_decode_limited(bytes, most)
        }
    };
    let decoded = decoded.map_err(|error| match error {
        codecs::CodecError::Unsupported { detail, .. } => {
            unsupported(Format::Dicom, format!("a compressed frame of a rare kind ({detail})"))
        }
        error => damaged(Format::Dicom, format!("a frame of it cannot be decoded ({error})")),
    })?;
    let found = (decoded.height as usize, decoded.width as usize, decoded.channels as usize);
    let bytes_per_value = (decoded.bits_per_sample / 8) as usize;
    if found != (picture.rows, picture.columns, picture.samples)
        || decoded.data.len() != picture.values() * bytes_per_value
        || decoded.float
    {
        let found = format!(
            "a frame of it has {} x {} pixels of {} values where its header says {} x {} of {}",
            found.1, found.0, found.2, picture.columns, picture.rows, picture.samples
        );
        return Err(damaged(Format::Dicom, found));
    }
    Ok(Stored {
        bytes: decoded.data.into(),
        bytes_per_value,
        is_big_endian: false,
        is_planar: false,
        photometric,
    })
}
