//! NIfTI of version 1 or 2, as it is or compressed with gzip: each axial slice of the first volume is a page, seen from above with
//! the front at the top and the left at the left (RAS+). Values are the real ones, after slope and intercept.

mod canonical;
mod header;
mod write;

use std::borrow::Cow;
use std::io::{Read, sink};
use std::sync::OnceLock;

use flate2::read::MultiGzDecoder;
use image::metadata::Orientation;

use self::canonical::Canonical;
use self::header::{Header, Kind};
use super::{Codec, File, Layout, Pages, Raster, damaged, nothing_finite, raster};
use crate::error::Kind as ErrorKind;
use crate::image::replace_not_finite;
use crate::{ColorMode, Error, Format, Origin, Remark};

pub use self::write::encode_nifti;

pub(super) const CODEC: Codec = Codec {
    format: Format::Nifti,
    name: "NIfTI",
    extensions: &["nii", "nii.gz"],
    has_pages: true,
    recognise: |start| header::begins(&start_of(start)),
    open: |file| Ok(Box::new(Nifti::open(file)?)),
};

/// Whether a file is the header of one whose values lie in another.
pub(crate) fn is_header_of_pair(start: &[u8]) -> bool {
    header::is_of_pair(&start_of(start))
}

const GZIP: &[u8] = b"\x1f\x8b";

/// The first bytes, inflated where they are compressed.
fn start_of(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.starts_with(GZIP) {
        return Cow::Borrowed(&bytes[..bytes.len().min(header::LONGEST)]);
    }
    let (mut start, mut length) = (vec![0; header::LONGEST], 0);
    let mut inflating = MultiGzDecoder::new(bytes);
    // What was inflated before the bytes end or an error counts.
    while let Ok(read @ 1..) = inflating.read(&mut start[length..]) {
        length += read;
    }
    start.truncate(length);
    Cow::Owned(start)
}

struct Nifti<'a> {
    file: File<'a>,
    header: Header,
    canonical: Canonical,
    /// The file up to the last value of the first volume, once that was needed, or why there is none.
    content: OnceLock<Result<Cow<'a, [u8]>, String>>,
    /// The lowest finite real value of the volume, once it was needed; `None` if there is none.
    lowest: OnceLock<Option<f32>>,
}

impl<'a> Nifti<'a> {
    fn open(file: File<'a>) -> Result<Self, Error> {
        let header = Header::read(&start_of(file.bytes))?;
        let end = header.end();
        if file.bytes.starts_with(GZIP) {
            file.limits.check_inflated(end)?;
        } else if (file.bytes.len() as u64) < end {
            return Err(truncated(file.bytes.len() as u64, end));
        }
        Ok(Self {
            file,
            canonical: Canonical::of(&header),
            header,
            content: OnceLock::new(),
            lowest: OnceLock::new(),
        })
    }

    /// The stored values of the first volume.
    fn volume(&self) -> Result<&[u8], Error> {
        let content =
            self.content.get_or_init(|| self.whole_content().map_err(|error| error.message().to_owned()));
        match content {
            Ok(bytes) => Ok(&bytes[self.header.offset..]),
            Err(message) => Err(Error::new(ErrorKind::Format, message.clone())),
        }
    }

    fn lowest(&self, volume: &[u8]) -> Result<f32, Error> {
        let lowest = self.lowest.get_or_init(|| {
            let mut lowest = f32::INFINITY;
            let voxels = 0..volume.len() / self.header.kind.bytes();
            self.real(volume, voxels, |value| {
                if value.is_finite() {
                    lowest = lowest.min(value)
                }
            });
            Some(lowest).filter(|lowest| lowest.is_finite())
        });
        lowest.ok_or_else(nothing_finite)
    }

    /// The file up to the last value of the first volume. Of a compressed file no more is inflated.
    fn whole_content(&self) -> Result<Cow<'a, [u8]>, Error> {
        let end = self.header.offset + self.header.volume_bytes();
        let bytes = self.file.bytes;
        if !bytes.starts_with(GZIP) {
            let found = bytes.get(..end).ok_or_else(|| truncated(bytes.len() as u64, end as u64))?;
            return Ok(Cow::Borrowed(found));
        }
        let reason = |error| damaged(Format::Nifti, format!("it cannot be inflated ({error})"));
        let mut inflating = MultiGzDecoder::new(bytes);
        let mut content = Vec::with_capacity(end.min(bytes.len().saturating_mul(MOST_INFLATION)));
        let read = (&mut inflating).take(end as u64).read_to_end(&mut content).map_err(reason)?;
        if read < end {
            return Err(truncated(read as u64, end as u64));
        }
        if self.header.volumes == 1 {
            // The checksum is behind the last value.
            std::io::copy(&mut inflating.take(MOST_TRAILING), &mut sink()).map_err(reason)?;
        }
        Ok(Cow::Owned(content))
    }

    /// The real values of voxels with one channel, by their stored numbers.
    fn real(&self, bytes: &[u8], voxels: impl Iterator<Item = usize>, each: impl FnMut(f32)) {
        match self.header.kind {
            Kind::U8 => self.read(bytes, voxels, each, |[byte]| byte.into()),
            Kind::I8 => self.read(bytes, voxels, each, |bytes| i8::from_le_bytes(bytes).into()),
            Kind::U16 => self.read(bytes, voxels, each, |bytes| u16::from_le_bytes(bytes).into()),
            Kind::I16 => self.read(bytes, voxels, each, |bytes| i16::from_le_bytes(bytes).into()),
            Kind::U32 => self.read(bytes, voxels, each, |bytes| u32::from_le_bytes(bytes).into()),
            Kind::I32 => self.read(bytes, voxels, each, |bytes| i32::from_le_bytes(bytes).into()),
            Kind::U64 => self.read(bytes, voxels, each, |bytes| u64::from_le_bytes(bytes) as f64),
            Kind::I64 => self.read(bytes, voxels, each, |bytes| i64::from_le_bytes(bytes) as f64),
            Kind::F32 => self.read(bytes, voxels, each, |bytes| f32::from_le_bytes(bytes).into()),
            Kind::F64 => self.read(bytes, voxels, each, f64::from_le_bytes),
            Kind::Rgb | Kind::Rgba => {}
        }
    }

    fn read<const SIZE: usize>(
        &self,
        bytes: &[u8],
        voxels: impl Iterator<Item = usize>,
        mut each: impl FnMut(f32),
        value: impl Fn([u8; SIZE]) -> f64,
    ) {
        let stored = bytes.as_chunks::<SIZE>().0;
        let (slope, intercept) = self.header.scaling.unwrap_or((1.0, 0.0));
        for voxel in voxels {
            let mut bytes = stored[voxel];
            if self.header.is_big_endian {
                bytes.reverse();
            }
            let value = value(bytes);
            each(if self.header.scaling.is_some() { value * slope + intercept } else { value } as f32);
        }
    }
}

/// Bytes that a compressed byte can become: no memory is taken for what cannot be there.
const MOST_INFLATION: usize = 1032;
/// Bytes after the volume that are looked at.
const MOST_TRAILING: u64 = 16 << 20;

fn truncated(found: u64, expected: u64) -> Error {
    damaged(Format::Nifti, format!("it is truncated: {found} of {expected} bytes are there"))
}

impl Pages for Nifti<'_> {
    fn inflated_bytes(&self) -> u64 {
        if self.file.bytes.starts_with(GZIP) { self.header.end() } else { 0 }
    }

    fn inflated(&self) -> Result<Option<Vec<u8>>, Error> {
        if !self.file.bytes.starts_with(GZIP) {
            return Ok(None);
        }
        self.whole_content().map(|content| Some(content.into_owned()))
    }

    fn map_file(&self, planes: &[Option<Vec<f32>>]) -> Result<Option<Vec<u8>>, Error> {
        let header = self.header.for_floats(&start_of(self.file.bytes));
        write::file(&header, &self.canonical.stored(planes)).map(Some)
    }

    fn count(&self) -> Result<u32, Error> {
        let [_, _, slices] = self.canonical.lengths();
        u32::try_from(slices)
            .map_err(|_| damaged(Format::Nifti, "it states more slices than a file can have"))
    }

    fn layout(&self, _page: u32) -> Result<Layout, Error> {
        let [width, height, _] = self.canonical.lengths().map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        let [across, along, _] = self.canonical.arranged(self.header.spacing());
        let spacing = [along, across].map(|distance| (distance * self.header.unit_mm) as f32);
        let channels = self.header.kind.channels() as u64;
        Ok(Layout {
            color_mode: match channels {
                1 => ColorMode::Grey,
                3 => ColorMode::Rgb,
                _ => ColorMode::Rgba,
            },
            bit_depth: (8 * self.header.kind.bytes() / self.header.kind.channels()) as u8,
            width,
            height,
            bytes_per_pixel: 4 * channels + if channels == 4 { 4 * 3 } else { 0 },
            turning_bytes_per_pixel: 0,
            spacing_mm: spacing.iter().all(|&side| side > 0.0 && side.is_finite()).then_some(spacing),
        })
    }

    fn slice_spacing_mm(&self) -> Option<f32> {
        let [_, _, up] = self.canonical.arranged(self.header.spacing());
        Some((up * self.header.unit_mm) as f32).filter(|&distance| distance > 0.0 && distance.is_finite())
    }

    /// A file is a series of its own, and names nobody.
    fn origin(&self, page: u32, _key: &[u8; 32]) -> Result<Origin, Error> {
        let [_, _, up] = self.canonical.arranged(self.header.spacing());
        let position_mm =
            Some(f64::from(page) * up * self.header.unit_mm).filter(|position| position.is_finite());
        Ok(Origin { position_mm, ..Origin::default() })
    }

    fn raster(&self, page: u32, layout: &Layout, _orientation: Orientation) -> Result<Raster, Error> {
        let volume = self.volume()?;
        let (slice, channels) = (self.canonical.slice(page as usize), self.header.kind.channels());
        let mut values = Vec::with_capacity(layout.width as usize * layout.height as usize * channels);
        if channels == 1 {
            self.real(volume, slice, |value| values.push(value));
        } else {
            let pixel = |voxel: usize| volume[voxel * channels..][..channels].iter();
            values.extend(slice.flat_map(pixel).map(|&byte| f32::from(byte) / 255.0));
        }
        let mut raster = raster(values, channels, false);
        if raster.pixels.iter().any(|value| !value.is_finite()) {
            let lowest = self.lowest(volume)?;
            let not_finite = replace_not_finite(&mut raster.pixels, Some(lowest)).unwrap_or_default();
            let (found, remark) = match self.file.limits.not_finite {
                true => (not_finite, Remark::NotMeasured),
                false => (Vec::new(), Remark::NotFinite),
            };
            raster.not_finite = found;
            raster.remarks.push(remark);
        }
        let of = self.count()?;
        if of > 1 {
            raster.remarks.push(Remark::Page { page: page + 1, of });
        }
        if self.header.volumes > 1 {
            raster.remarks.push(Remark::Volume { of: self.header.volumes });
        }
        Ok(raster)
    }
}
