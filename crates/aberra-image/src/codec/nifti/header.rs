//! The header of a NIfTI file of version 1 or 2: a struct of fixed places, in either order of bytes.

use crate::codec::{damaged, unsupported};
use crate::{Error, Format};

/// What decoding needs of it, checked: sides are at least 1, and a volume's length does not overflow.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// Sides of a volume along its three stored axes, the first of which runs fastest.
    pub(super) sides: [usize; 3],
    /// Volumes after each other.
    pub(super) volumes: u64,
    pub(super) kind: Kind,
    pub(super) is_big_endian: bool,
    /// Where the values begin.
    pub(super) offset: usize,
    /// From stored to real values, if they are scaled.
    pub(super) scaling: Option<(f64, f64)>,
    /// From stored indices to millimetres rightwards, forwards and upwards: three rows of four.
    pub(super) affine: [[f64; 4]; 3],
    /// The unit of lengths in millimetres.
    pub(super) unit_mm: f64,
}

/// How a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
    Rgb,
    Rgba,
}

impl Kind {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::Rgb => 3,
            Self::U32 | Self::I32 | Self::F32 | Self::Rgba => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Channels of a pixel.
    pub(super) fn channels(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Rgba => 4,
            _ => 1,
        }
    }

    fn of(code: i64) -> Result<Self, Error> {
        Ok(match code {
            2 => Self::U8,
            4 => Self::I16,
            8 => Self::I32,
            16 => Self::F32,
            64 => Self::F64,
            128 => Self::Rgb,
            256 => Self::I8,
            512 => Self::U16,
            768 => Self::U32,
            1024 => Self::I64,
            1280 => Self::U64,
            2304 => Self::Rgba,
            1 => return Err(unsupported(Format::Nifti, "single bits")),
            32 | 1792 | 2048 => return Err(unsupported(Format::Nifti, "complex numbers")),
            1536 => return Err(unsupported(Format::Nifti, "floats of 128 bits")),
            _ => return Err(damaged(Format::Nifti, format!("its type of values, {code}, is unknown"))),
        })
    }
}

/// As many bytes as the longer header has.
pub(super) const LONGEST: usize = 540;

/// Where the fields of a version lie, and how wide they are.
struct Places {
    length: usize,
    dimensions: (usize, usize),
    datatype: usize,
    spacing: usize,
    offset: usize,
    scaling: usize,
    unit: usize,
    /// Bytes of the units, a number.
    unit_bytes: usize,
    codes: (usize, usize),
    quaternion: usize,
    rows: usize,
    /// Bytes of a real number.
    real: usize,
    description: usize,
    magic: (usize, &'static [u8]),
}

const VERSION_1: Places = Places {
    length: 348,
    dimensions: (40, 2),
    datatype: 70,
    spacing: 76,
    offset: 108,
    scaling: 112,
    unit: 123,
    unit_bytes: 1,
    codes: (252, 2),
    quaternion: 256,
    rows: 280,
    real: 4,
    description: 148,
    magic: (344, b"n+1\0"),
};

const VERSION_2: Places = Places {
    length: 540,
    dimensions: (16, 8),
    datatype: 12,
    spacing: 104,
    offset: 168,
    scaling: 176,
    unit: 500,
    unit_bytes: 4,
    codes: (344, 4),
    quaternion: 352,
    rows: 400,
    real: 8,
    description: 240,
    magic: (4, b"n+2\0\r\n\x1a\n"),
};

/// Whether bytes begin as a header of either version does, of a file that holds its values.
pub(super) fn begins(start: &[u8]) -> bool {
    places(start).is_some()
}

/// Whether bytes begin as the header of a pair of files does, whose values lie in another.
pub(super) fn is_of_pair(start: &[u8]) -> bool {
    start.get(344..348) == Some(b"ni1\0") || start.get(4..8) == Some(b"ni2\0")
}

fn places(start: &[u8]) -> Option<(&'static Places, bool)> {
    let length: [u8; 4] = start.get(..4)?.try_into().ok()?;
    let is =
        |expected: i32| [i32::from_be_bytes(length), i32::from_le_bytes(length)].map(|it| it == expected);
    if let ([false, true] | [true, false], Some(b"n+2\0")) = (is(540), start.get(4..8)) {
        return Some((&VERSION_2, is(540)[0]));
    }
    let is_first = is(348) != [false; 2] && start.get(344..348) == Some(b"n+1\0");
    is_first.then(|| (&VERSION_1, is(348)[0]))
}

impl Places {
    /// A header of one volume of 32-bit floats that says nothing of where it lies.
    fn blank(&self, sides: [usize; 3]) -> Vec<u8> {
        const DESCRIPTION: &[u8] = b"Aberra: anomaly map";
        const FLOAT: (i16, i16) = (16, 32);
        let mut header = vec![0; self.length + 4];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &(self.length as i32).to_le_bytes());
        let (at, width) = self.dimensions;
        let dimensions = [3, sides[0], sides[1], sides[2], 1, 1, 1, 1];
        for (index, side) in dimensions.into_iter().enumerate() {
            put(at + index * width, &(side as i64).to_le_bytes()[..width]);
        }
        put(self.datatype, &FLOAT.0.to_le_bytes());
        put(self.datatype + 2, &FLOAT.1.to_le_bytes());
        let offset = self.length + 4;
        match self.real {
            4 => put(self.offset, &(offset as f32).to_le_bytes()),
            _ => put(self.offset, &(offset as i64).to_le_bytes()),
        }
        // The slope.
        match self.real {
            4 => put(self.scaling, &1_f32.to_le_bytes()),
            _ => put(self.scaling, &1_f64.to_le_bytes()),
        }
        put(self.description, DESCRIPTION);
        put(self.magic.0, self.magic.1);
        header
    }
}

struct Fields<'a> {
    bytes: &'a [u8],
    is_big_endian: bool,
}

impl Fields<'_> {
    fn little<const SIZE: usize>(&self, at: usize) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let found = self.bytes.get(at..at + SIZE).unwrap_or(&[]);
        bytes[..found.len()].copy_from_slice(found);
        if self.is_big_endian {
            bytes.reverse();
        }
        bytes
    }

    fn integer(&self, at: usize, width: usize) -> i64 {
        match width {
            2 => i16::from_le_bytes(self.little(at)).into(),
            4 => i32::from_le_bytes(self.little(at)).into(),
            _ => i64::from_le_bytes(self.little(at)),
        }
    }

    fn real(&self, at: usize, width: usize) -> f64 {
        match width {
            4 => f32::from_le_bytes(self.little(at)).into(),
            _ => f64::from_le_bytes(self.little(at)),
        }
    }
}

impl Header {
    /// Reads and checks it.
    ///
    /// # Errors
    /// It is truncated, its sides, type of values or offset make no sense, or values of that type are not read.
    pub(super) fn read(start: &[u8]) -> Result<Self, Error> {
        let (places, is_big_endian) =
            places(start).ok_or_else(|| damaged(Format::Nifti, "its header is truncated"))?;
        if start.len() < places.length {
            return Err(damaged(Format::Nifti, "its header is truncated"));
        }
        let fields = Fields { bytes: start, is_big_endian };
        let (at, width) = places.dimensions;
        let dimension = |index: usize| fields.integer(at + index * width, width);
        let count = dimension(0);
        if !(1..=7).contains(&count) {
            return Err(damaged(Format::Nifti, format!("it states {count} dimensions, not 1 to 7")));
        }
        let mut sides = [1_u64; 7];
        for (index, side) in sides.iter_mut().enumerate().take(count as usize) {
            let stated = dimension(index + 1);
            *side = u64::try_from(stated).ok().filter(|&side| side > 0).ok_or_else(|| {
                damaged(Format::Nifti, format!("dimension {} of it is {stated}", index + 1))
            })?;
        }
        let too_large = || damaged(Format::Nifti, "its dimensions are larger than any memory");
        let volumes =
            sides[3..].iter().try_fold(1_u64, |all, &side| all.checked_mul(side)).ok_or_else(too_large)?;
        let kind = Kind::of(fields.integer(places.datatype, 2))?;
        let side = |index: usize| usize::try_from(sides[index]).map_err(|_| too_large());
        let sides = [side(0)?, side(1)?, side(2)?];
        let bytes = sides.iter().try_fold(kind.bytes(), |all, &side| all.checked_mul(side));
        bytes.filter(|&bytes| bytes <= isize::MAX as usize).ok_or_else(too_large)?;

        let first = places.length + 4;
        let offset = match places.real {
            4 => fields.real(places.offset, 4),
            _ => fields.integer(places.offset, 8) as f64,
        };
        let offset = if offset == 0.0 { first as f64 } else { offset };
        if !(first as f64..=1e15).contains(&offset) {
            return Err(damaged(
                Format::Nifti,
                format!("its values begin at byte {offset}, within its header"),
            ));
        }
        let [slope, intercept] = [0, 1].map(|index| fields_real(&fields, places.scaling, index, places.real));
        let is_scaled = slope != 0.0 && slope.is_finite();
        if is_scaled && !intercept.is_finite() {
            return Err(damaged(Format::Nifti, "its values have a slope, but no intercept"));
        }
        let units =
            i64::from(fields.bytes[places.unit + if places.real == 8 && is_big_endian { 3 } else { 0 }] & 7);
        Ok(Self {
            sides,
            volumes,
            kind,
            is_big_endian,
            offset: offset as usize,
            scaling: (is_scaled && (slope, intercept) != (1.0, 0.0)).then_some((slope, intercept)),
            affine: affine(&fields, places, sides),
            unit_mm: match units {
                1 => 1000.0,
                3 => 0.001,
                _ => 1.0,
            },
        })
    }

    /// The header, of little-endian bytes, of a file of one volume of 32-bit floats on the grid of this one, whose first bytes
    /// are given: version, sides, spacing, units and the places of its axes are the same.
    pub(super) fn for_floats(&self, start: &[u8]) -> Vec<u8> {
        let Some((places, is_big_endian)) = places(start) else { return Vec::new() };
        let mut header = places.blank(self.sides);
        let real = places.real;
        let (codes, code) = places.codes;
        // Numbers in a row, each with its width.
        let kept = [
            (places.spacing, real, 4),
            (places.unit, places.unit_bytes, 1),
            (codes, code, 2),
            (places.quaternion, real, 6),
            (places.rows, real, 12),
        ];
        for (at, width, count) in kept {
            for number in (at..at + width * count).step_by(width) {
                let field = &mut header[number..number + width];
                field.copy_from_slice(&start[number..number + width]);
                if is_big_endian {
                    field.reverse();
                }
            }
        }
        header
    }

    /// The header of a file of one volume of 32-bit floats, of version 1.
    pub(super) fn of_grid(sides: [usize; 3], affine: [[f64; 4]; 3]) -> Vec<u8> {
        let mut header = VERSION_1.blank(sides);
        let mut real = |at: usize, index: usize, value: f64| {
            let at = at + 4 * index;
            header[at..at + 4].copy_from_slice(&(value as f32).to_le_bytes());
        };
        for axis in 0..3 {
            let length = affine.iter().map(|row| row[axis] * row[axis]).sum::<f64>().sqrt();
            real(VERSION_1.spacing, axis + 1, length);
        }
        affine
            .into_iter()
            .flatten()
            .enumerate()
            .for_each(|(index, value)| real(VERSION_1.rows, index, value));
        // Lengths in millimetres; the affine is that of the scanner.
        header[VERSION_1.unit] = 2;
        let (codes, width) = VERSION_1.codes;
        header[codes + width] = 1;
        header
    }

    /// Where the last value of the first volume ends, in bytes of the inflated file.
    pub(super) fn end(&self) -> u64 {
        (self.offset as u64).saturating_add(self.volume_bytes() as u64)
    }

    /// Bytes of a volume.
    pub(super) fn volume_bytes(&self) -> usize {
        self.sides.iter().product::<usize>() * self.kind.bytes()
    }
}

fn fields_real(fields: &Fields<'_>, at: usize, index: usize, width: usize) -> f64 {
    fields.real(at + index * width, width)
}

/// The affine that is written out, else that of the quaternion, else the spacing with the first axis leftwards, as nibabel has
/// it.
fn affine(fields: &Fields<'_>, places: &Places, sides: [usize; 3]) -> [[f64; 4]; 3] {
    let real = |at: usize, index: usize| fields_real(fields, at, index, places.real);
    let (at, width) = places.codes;
    let [quaternion, rows] = [0, 1].map(|index| fields.integer(at + index * width, width));
    if rows > 0 {
        return [0, 1, 2].map(|row| [0, 1, 2, 3].map(|column| real(places.rows, 4 * row + column)));
    }
    let spacing = [1, 2, 3].map(|index| real(places.spacing, index));
    if quaternion <= 0 {
        let mut affine = [[0.0; 4]; 3];
        for (axis, spacing) in spacing.into_iter().enumerate() {
            affine[axis][axis] = if axis == 0 { -spacing } else { spacing };
            affine[axis][3] = -affine[axis][axis] * (sides[axis] as f64 - 1.0) / 2.0;
        }
        return affine;
    }
    let [b, c, d, x, y, z] = [0, 1, 2, 3, 4, 5].map(|index| real(places.quaternion, index));
    let a = (1.0 - (b * b + c * c + d * d)).max(0.0).sqrt();
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    // The sign of the unused first spacing says whether the third axis is mirrored.
    let mirrored = if real(places.spacing, 0) < 0.0 { -1.0 } else { 1.0 };
    let [right, front, up] =
        rotation.map(|row| [row[0] * spacing[0], row[1] * spacing[1], row[2] * spacing[2] * mirrored]);
    [[right[0], right[1], right[2], x], [front[0], front[1], front[2], y], [up[0], up[1], up[2], z]]
}
