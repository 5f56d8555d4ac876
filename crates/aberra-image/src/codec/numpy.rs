//! Arrays of NumPy (`.npy`): `[height, width]` or `[height, width, channels]` of up to 16 channels (1 is grey, 3 are colours, 4 colours and alpha); integers of up to 32 bits and
//! floats. The header is a Python dictionary of three known keys, which is read as such and not evaluated.

use image::metadata::Orientation;

use super::{Codec, File, Layout, Pages, Raster, Sample, damaged, raster, unsupported};
use crate::{ColorMode, Error, Format, Limits, MAX_CHANNELS, Remark};

pub(super) const CODEC: Codec = Codec {
    format: Format::Numpy,
    name: "NumPy array",
    extensions: &["npy"],
    has_pages: false,
    recognise: |start| start.starts_with(MAGIC),
    open: |file| Ok(Box::new(Numpy::open(file)?)),
};

const MAGIC: &[u8] = b"\x93NUMPY";

struct Numpy<'a> {
    /// The values, as they lie in the file.
    data: &'a [u8],
    kind: u8,
    bytes_per_value: usize,
    is_big_endian: bool,
    is_fortran: bool,
    height: usize,
    width: usize,
    channels: usize,
    limits: &'a Limits,
}

impl<'a> Numpy<'a> {
    fn open(File { bytes, limits, .. }: File<'a>) -> Result<Self, Error> {
        let (header, data) = split(bytes).ok_or_else(|| damaged(Format::Numpy, "its header is truncated"))?;
        let field = |key: &str| {
            let missing = || damaged(Format::Numpy, format!("its header has no `{key}`"));
            let (_, rest) = header.split_once(&format!("'{key}':")).ok_or_else(missing)?;
            Ok(rest.trim_start())
        };
        let unreadable = |key: &str| damaged(Format::Numpy, format!("its `{key}` is not readable"));

        let description = field("descr")?.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
        let Some((description, _)) = description else {
            return Err(unsupported(Format::Numpy, "several fields for each value"));
        };
        let (order, kind, size) = match *description.as_bytes() {
            [order, kind, size] => (order, kind, size.wrapping_sub(b'0')),
            _ => (0, 0, 0),
        };
        if !matches!((kind, size), (b'u' | b'i', 1 | 2 | 4) | (b'f', 4 | 8) | (b'b', 1)) {
            let shown: String = description.chars().take(8).collect();
            return Err(unsupported(Format::Numpy, format!("values of type {shown:?}")));
        }
        let is_fortran = match field("fortran_order")? {
            rest if rest.starts_with("True") => true,
            rest if rest.starts_with("False") => false,
            _ => return Err(unreadable("fortran_order")),
        };
        let shape = field("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let (shape, _) = shape.ok_or_else(|| unreadable("shape"))?;
        let sides = shape.split(',').map(str::trim).filter(|side| !side.is_empty());
        let sides: Vec<u32> =
            sides.map(str::parse).collect::<Result<_, _>>().map_err(|_| unreadable("shape"))?;
        const MOST: u32 = MAX_CHANNELS as u32;
        let (height, width, channels) = match sides[..] {
            [height, width] => (height, width, 1),
            [height, width, channels @ 1..=MOST] => (height, width, channels),
            _ => {
                let found = format!(
                    "the shape ({shape}) (not height, width, and perhaps up to {MOST} channels as the last axis)"
                );
                return Err(unsupported(Format::Numpy, found));
            }
        };
        Ok(Self {
            data,
            kind,
            bytes_per_value: size.into(),
            is_big_endian: order == b'>',
            is_fortran,
            height: height as usize,
            width: width as usize,
            channels: channels as usize,
            limits,
        })
    }

    /// Whether the values are whole numbers of more than a byte, which may have a unit.
    fn is_wide(&self) -> bool {
        self.kind != b'f' && self.bytes_per_value > 1
    }

    /// The values in the order of an image, each made of its bytes in little-endian order.
    fn values<const SIZE: usize>(&self, value: impl Fn([u8; SIZE]) -> f32) -> Vec<f32> {
        let (height, width, channels) = (self.height, self.width, self.channels);
        let stored = self.data.as_chunks::<SIZE>().0;
        let at = |index: usize| {
            let mut bytes = stored[index];
            if self.is_big_endian {
                bytes.reverse();
            }
            value(bytes)
        };
        let count = height * width * channels;
        if !self.is_fortran {
            return (0..count).map(at).collect();
        }
        let place = |index: usize| {
            let (pixel, channel) = (index / channels, index % channels);
            let (y, x) = (pixel / width, pixel % width);
            (channel * width + x) * height + y
        };
        (0..count).map(|index| at(place(index))).collect()
    }
}

/// The header as text, and the values.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, start) = match *bytes.get(6..12)? {
        [1, _, l0, l1, ..] => (u32::from(u16::from_le_bytes([l0, l1])), 10),
        [2 | 3, _, l0, l1, l2, l3] => (u32::from_le_bytes([l0, l1, l2, l3]), 12),
        _ => return None,
    };
    let end = usize::try_from(length).ok()?.checked_add(start)?;
    Some((std::str::from_utf8(bytes.get(start..end)?).ok()?, &bytes[end..]))
}

impl Pages for Numpy<'_> {
    fn layout(&self, _page: u32) -> Result<Layout, Error> {
        Ok(Layout {
            color_mode: match self.channels {
                1 => ColorMode::Grey,
                3 => ColorMode::Rgb,
                4 => ColorMode::Rgba,
                _ => ColorMode::Channels,
            },
            bit_depth: (8 * self.bytes_per_value) as u8,
            width: self.width as u32,
            height: self.height as u32,
            bytes_per_pixel: match self.channels {
                1 if self.is_wide() => 4 + 4,
                4 => 4 * 4 + 4 * 3,
                channels => 4 * channels as u64,
            },
            turning_bytes_per_pixel: 0,
            spacing_mm: None,
        })
    }

    fn raster(&self, _page: u32, _layout: &Layout, _orientation: Orientation) -> Result<Raster, Error> {
        let expected = (self.height * self.width * self.channels) as u64 * self.bytes_per_value as u64;
        if (self.data.len() as u64) < expected {
            let found =
                format!("it is truncated: {} of {expected} bytes of values are there", self.data.len());
            return Err(damaged(Format::Numpy, found));
        }
        let values = match (self.kind, self.bytes_per_value) {
            (b'b', _) => self.values(|[byte]| f32::from(u8::from(byte != 0))),
            (b'u', 1) => self.values(|[byte]| byte.value()),
            (b'u', 2) => self.values(|bytes| u16::from_le_bytes(bytes).value()),
            (b'u', _) => self.values(|bytes| u32::from_le_bytes(bytes).value()),
            (b'i', 1) => self.values(|bytes| i8::from_le_bytes(bytes).value()),
            (b'i', 2) => self.values(|bytes| i16::from_le_bytes(bytes).value()),
            (b'i', _) => self.values(|bytes| i32::from_le_bytes(bytes).value()),
            (_, 4) => self.values(f32::from_le_bytes),
            _ => self.values(|bytes| f64::from_le_bytes(bytes) as f32),
        };
        let mut raster = match self.channels {
            4 => {
                let mut raster = raster(values, 4, false);
                raster.remarks.push(Remark::ArrayWithAlpha);
                raster
            }
            1 | 3 => raster(values, self.channels, false),
            channels => Raster::of(values, channels),
        };
        raster.unscaled =
            (self.channels == 1 && self.is_wide()).then(|| match (self.kind, self.bytes_per_value) {
                (b'u', 2) => self.values(|bytes| u16::from_le_bytes(bytes).into()),
                (b'u', _) => self.values(|bytes| u32::from_le_bytes(bytes) as f32),
                (_, 2) => self.values(|bytes| i16::from_le_bytes(bytes).into()),
                _ => self.values(|bytes| i32::from_le_bytes(bytes) as f32),
            });
        raster.finite(self.limits)
    }
}
