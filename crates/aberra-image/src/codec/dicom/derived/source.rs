//! The slices that an object is derived from: whose they are, which study and series they belong to, and where they lie.

use std::path::{Path, PathBuf};

use super::elements::Elements;
use crate::codec::dicom::data_set::DataSet;
use crate::codec::dicom::{CODEC, Dicom, groups, origin, spacing, tag};
use crate::codec::{File, Pages};
use crate::error::Kind;
use crate::file_bytes::read_bytes;
use crate::{Error, Limits};

const CLASS: u32 = 0x0008_0016;
const INSTANCE: u32 = 0x0008_0018;
const FRAME_OF_REFERENCE: u32 = 0x0020_0052;

/// Elements of patient and study that go over as they are, and what kind of text they are.
const COPIED: [(u32, &[u8; 2]); 17] = [
    (0x0008_0005, b"CS"),
    (0x0008_0020, b"DA"),
    (0x0008_0030, b"TM"),
    (0x0008_0050, b"SH"),
    (0x0008_0090, b"PN"),
    (0x0008_1030, b"LO"),
    (0x0010_0010, b"PN"),
    (tag::PATIENT, b"LO"),
    (tag::PATIENT_ISSUER, b"LO"),
    (0x0010_0030, b"DA"),
    (0x0010_0040, b"CS"),
    (0x0010_1010, b"AS"),
    (0x0010_1020, b"DS"),
    (0x0010_1030, b"DS"),
    (tag::STUDY, b"UI"),
    (0x0020_0010, b"SH"),
    (0x0018_0015, b"CS"),
];

/// Those of them that an object has to have, be they empty.
const REQUIRED: [u32; 9] = [
    0x0008_0020,
    0x0008_0030,
    0x0008_0050,
    0x0008_0090,
    0x0010_0010,
    tag::PATIENT,
    0x0010_0030,
    0x0010_0040,
    0x0020_0010,
];

/// The slices of a DICOM series, in order, as what is derived from them refers to them. Holds identifiers of the patient, which go
/// into these objects and nowhere else.
pub struct DicomSlices {
    pub(super) slices: Vec<Referenced>,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) orientation: [f64; 6],
    pub(super) spacing_mm: [f32; 2],
    pub(super) slice_distance_mm: f64,
    pub(super) series: String,
    pub(super) frame_of_reference: String,
    copied: Elements,
}

/// A slice that is referred to.
pub(super) struct Referenced {
    class: String,
    instance: String,
    /// Number of the frame, from 1, in a file of several.
    frame: Option<u32>,
    pub(super) corner_mm: [f64; 3],
}

impl Referenced {
    /// The file that it lies in.
    pub(super) fn instance_reference(&self) -> Elements {
        Elements::default().text(0x0008_1150, b"UI", &self.class).text(0x0008_1155, b"UI", &self.instance)
    }

    /// Its file, and its frame there.
    pub(super) fn reference(&self) -> Elements {
        match self.frame {
            Some(frame) => self.instance_reference().text(0x0008_1160, b"IS", &frame.to_string()),
            None => self.instance_reference(),
        }
    }
}

impl DicomSlices {
    /// Reads what identifies the slices from their files: each a path, and the number of a frame from 0, or `None` for the one image
    /// of a file.
    ///
    /// # Errors
    /// A file that is no whole DICOM file, or that does not say which instance it is or where it lies; fewer than two slices.
    pub fn read(slices: &[(PathBuf, Option<u32>)], limits: &Limits) -> Result<Self, Error> {
        let mut read: Option<Self> = None;
        for same_file in slices.chunk_by(|one, other| one.0 == other.0) {
            let path = &same_file[0].0;
            let numbers = same_file.iter().map(|(_, page)| *page);
            Self::read_file(path, numbers, limits, &mut read).map_err(|error| error.with_path(path))?;
        }
        let mut read = read.filter(|read| read.slices.len() > 1).ok_or_else(|| lacking("several slices"))?;
        let (first, last) = (read.slices[0].corner_mm, read.slices[read.slices.len() - 1].corner_mm);
        let distance = [0, 1, 2].map(|axis| (last[axis] - first[axis]).powi(2)).iter().sum::<f64>().sqrt();
        read.slice_distance_mm = distance / (read.slices.len() - 1) as f64;
        Ok(read)
    }

    fn read_file(
        path: &Path,
        pages: impl Iterator<Item = Option<u32>>,
        limits: &Limits,
        read: &mut Option<Self>,
    ) -> Result<(), Error> {
        let bytes = read_bytes(path, limits)?;
        if !(CODEC.recognise)(&bytes) {
            return Err(lacking("a DICOM file"));
        }
        let dicom = Dicom::open(File { bytes: &bytes, limits, as_grey: false })?;
        let tags: Vec<u32> = COPIED
            .iter()
            .map(|(tag, _)| *tag)
            .chain([CLASS, INSTANCE, FRAME_OF_REFERENCE, tag::SERIES])
            .collect();
        let identity = DataSet::read_tags(&dicom.bytes, dicom.syntax.encoding, &tags)?;
        let text = |tag: u32, name: &str| {
            identity.text(tag).filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| lacking(name))
        };
        let data = dicom.data()?;
        for page in pages {
            let groups = groups(&data, page.unwrap_or(0))?;
            let origin = origin::of(&data, &groups, &[0; 32])?;
            let place = origin.orientation.zip(origin.corner_mm).zip(spacing(&data, &groups));
            let ((orientation, corner_mm), spacing_mm) =
                place.ok_or_else(|| lacking("position, direction and spacing"))?;
            let layout = dicom.layout(page.unwrap_or(0))?;
            let series = text(tag::SERIES, "the identifier of its series")?;
            let of_series = read.get_or_insert_with(|| Self {
                slices: Vec::new(),
                rows: layout.height as usize,
                columns: layout.width as usize,
                orientation,
                spacing_mm,
                slice_distance_mm: 0.0,
                frame_of_reference: identity
                    .text(FRAME_OF_REFERENCE)
                    .filter(|text| !text.is_empty())
                    .map_or_else(|| identifier(&[b"frame of reference", series.as_bytes()]), str::to_owned),
                series,
                copied: copied(&identity),
            });
            of_series.slices.push(Referenced {
                class: text(CLASS, "the class of its object")?,
                instance: text(INSTANCE, "the identifier of its object")?,
                frame: page.map(|page| page + 1),
                corner_mm,
            });
        }
        Ok(())
    }

    /// What goes over from the slices as it is.
    pub(super) fn patient_and_study(&self) -> Elements {
        self.copied.clone()
    }

    /// An identifier that follows from the slices and from `parts`.
    pub(super) fn identifier(&self, parts: &[&[u8]]) -> String {
        let slices = self.slices.iter().map(|slice| slice.instance.as_bytes());
        identifier(&parts.iter().copied().chain(slices).collect::<Vec<_>>())
    }
}

fn copied(identity: &DataSet<'_>) -> Elements {
    let empty = REQUIRED.iter().filter_map(|tag| COPIED.iter().find(|(copied, _)| copied == tag));
    let empty = empty.fold(Elements::default(), |all, (tag, vr)| all.text(*tag, vr, ""));
    COPIED.iter().fold(empty, |all, (tag, vr)| match identity.element(*tag) {
        Some(element) => all.bytes(*tag, vr, element.value),
        None => all,
    })
}

/// A unique identifier that follows from `parts`: 2.25 and a number of 128 bits.
fn identifier(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut number = [0; 16];
    number.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    format!("2.25.{}", u128::from_le_bytes(number))
}

fn lacking(what: &str) -> Error {
    let message = format!("expected {what} to derive a DICOM object from, found none");
    Error::new(Kind::Format, message)
}
