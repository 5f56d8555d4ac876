//! Objects that are derived from the slices of a DICOM series: a Segmentation of what is anomalous, a Parametric Map of how much, and
//! a Secondary Capture, pictures that every viewer shows. They refer to the slices, and bear the identifiers of their patient and
//! study, as archives need them.

mod elements;
mod source;

use self::elements::Elements;
pub use self::source::DicomSlices;
use self::source::Referenced;
use super::{MAGIC, PREAMBLE};
use crate::Error;
use crate::error::Kind;

/// What made a map.
#[derive(Clone, Copy, Debug)]
pub struct MapMaker<'a> {
    /// The name of the program.
    pub program: &'a str,
    /// Its version.
    pub version: &'a str,
    /// What the values are, in a few words.
    pub meaning: &'a str,
    /// When it was made, in seconds since the beginning of 1970, UTC.
    pub made_at_secs: u64,
}

const SEGMENTATION: &str = "1.2.840.10008.5.1.4.1.1.66.4";
const PARAMETRIC_MAP: &str = "1.2.840.10008.5.1.4.1.1.30";
const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7.4";
const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
const ABNORMAL: [&str; 3] = ["49755003", "SCT", "Morphologically Abnormal Structure"];
/// The image position, and the groups that hold it.
const POSITION: [u32; 2] = [0x0020_0032, 0x0020_9113];
/// The numbers of a capture's pictures.
const PAGE_NUMBERS: u32 = 0x0018_2001;
const SEGMENT_NUMBER: [u32; 2] = [0x0062_000b, 0x0062_000a];

impl DicomSlices {
    /// A binary Segmentation: for each slice `[rows, columns]`, true where it is anomalous. Slices without any such pixel are left out,
    /// unless none has one.
    ///
    /// # Errors
    /// Another number of slices or pixels than the series has.
    pub fn segmentation(&self, slices: &[Option<Vec<bool>>], maker: MapMaker<'_>) -> Result<Vec<u8>, Error> {
        self.check(slices, 1)?;
        let is_marked = |slice: &usize| slices[*slice].as_ref().is_some_and(|mask| mask.contains(&true));
        let mut frames: Vec<usize> = (0..slices.len()).filter(is_marked).collect();
        if frames.is_empty() {
            frames = (0..slices.len()).collect();
        }
        let bits: Vec<bool> = frames.iter().flat_map(|&slice| self.filled(&slices[slice])).collect();
        // Frames follow each other without a gap, the lowest bit of a byte first.
        let pack = |bits: &[bool]| bits.iter().rev().fold(0_u8, |byte, &bit| byte << 1 | u8::from(bit));
        let pixels: Vec<u8> = bits.chunks(8).map(pack).collect();
        let algorithm = Elements::default()
            .code(0x0066_002f, ["123110", "DCM", "Artificial Intelligence"])
            .text(0x0066_0031, b"LO", maker.version)
            .text(0x0066_0036, b"LO", maker.program);
        let segment = Elements::default()
            .code(0x0062_0003, ABNORMAL)
            .short(0x0062_0004, 1)
            .text(0x0062_0005, b"LO", "Anomaly")
            .sequence(0x0062_0007, [algorithm])
            .text(0x0062_0008, b"CS", "AUTOMATIC")
            .text(0x0062_0009, b"LO", maker.program)
            .code(0x0062_000f, ABNORMAL);
        let identified = Elements::default().short(SEGMENT_NUMBER[0], 1);
        let shared = self.shared_groups().sequence(SEGMENT_NUMBER[1], [identified]);
        let derivation = ["113076", "DCM", "Segmentation"];
        let dimensions =
            [(SEGMENT_NUMBER, "Referenced Segment Number"), (POSITION, "Image Position Patient")];
        let per_frame =
            frames.iter().zip(1..).map(|(&slice, place)| self.frame(slice, &[1, place], derivation));
        let own = Elements::default()
            .text(0x0008_0008, b"CS", "DERIVED\\PRIMARY")
            .text(0x0008_0060, b"CS", "SEG")
            .short(0x0028_0100, 1)
            .short(0x0028_0101, 1)
            .short(0x0028_0102, 0)
            .short(0x0028_0103, 0)
            .text(0x0062_0001, b"CS", "BINARY")
            .sequence(0x0062_0002, [segment])
            .text(0x0062_0013, b"CS", "NO")
            .text(0x0070_0080, b"CS", "ANOMALY")
            .sequence(0x5200_9229, [shared])
            .sequence(0x5200_9230, per_frame)
            .bytes(0x7fe0_0010, b"OB", pixels);
        Ok(self.object(SEGMENTATION, frames.len(), &dimensions, maker, own))
    }

    /// A Parametric Map of 32-bit floats: for each slice `[rows, columns]`, how anomalous each pixel is; 0 in slices without.
    ///
    /// # Errors
    /// Another number of slices or pixels than the series has.
    pub fn parametric_map(&self, slices: &[Option<Vec<f32>>], maker: MapMaker<'_>) -> Result<Vec<u8>, Error> {
        self.check(slices, 1)?;
        let values: Vec<f32> = slices.iter().flat_map(|slice| self.filled(slice)).collect();
        let largest = f64::from(values.iter().copied().fold(f32::MIN_POSITIVE, f32::max));
        let kind = "DERIVED\\PRIMARY\\VOLUME\\NONE";
        let mapping = Elements::default()
            .text(0x0028_3003, b"LO", maker.meaning)
            .code(0x0040_08ea, ["1", "UCUM", "no units"])
            .text(0x0040_9210, b"SH", "anomaly")
            .double(0x0040_9213, largest)
            .double(0x0040_9214, 0.0)
            .double(0x0040_9224, 0.0)
            .double(0x0040_9225, 1.0);
        let window = Elements::default()
            .decimals(0x0028_1050, &[largest / 2.0])
            .decimals(0x0028_1051, &[largest])
            .text(0x0028_1056, b"CS", "LINEAR_EXACT");
        let untransformed = Elements::default()
            .decimals(0x0028_1052, &[0.0])
            .decimals(0x0028_1053, &[1.0])
            .text(0x0028_1054, b"LO", "US");
        let shared = self
            .shared_groups()
            .sequence(0x0028_9132, [window])
            .sequence(0x0028_9145, [untransformed])
            .sequence(0x0040_9092, [Elements::default().text(0x0008_9007, b"CS", kind)])
            .sequence(0x0040_9096, [mapping]);
        let derivation = ["112187", "DCM", "Unspecified method of calculation"];
        let per_frame = (0..slices.len()).map(|slice| self.frame(slice, &[slice as u32 + 1], derivation));
        let own = Elements::default()
            .text(0x0008_0008, b"CS", kind)
            .text(0x0008_0060, b"CS", "OT")
            .text(0x0008_9205, b"CS", "MONOCHROME")
            .text(0x0018_9004, b"CS", "RESEARCH")
            .text(0x0020_0060, b"CS", "")
            .short(0x0028_0100, 32)
            .text(0x0028_0301, b"CS", "NO")
            .text(0x0028_0302, b"CS", "NO")
            .sequence(0x0040_0555, [])
            .text(0x0070_0080, b"CS", "ANOMALY_MAP")
            .text(0x2050_0020, b"CS", "IDENTITY")
            .sequence(0x5200_9229, [shared])
            .sequence(0x5200_9230, per_frame)
            .bytes(
                0x7fe0_0008,
                b"OF",
                values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>(),
            );
        Ok(self.object(PARAMETRIC_MAP, slices.len(), &[(POSITION, "Image Position Patient")], maker, own))
    }

    /// A Multi-frame True Color Secondary Capture of those slices that have a picture, `[rows, columns, 3]`: red, green and blue.
    ///
    /// # Errors
    /// Another number of slices or values than the series has, no picture, or more of them than an object holds: 9,999, of 4 GiB.
    pub fn secondary_capture(
        &self,
        slices: &[Option<Vec<u8>>],
        maker: MapMaker<'_>,
    ) -> Result<Vec<u8>, Error> {
        self.check(slices, 3)?;
        let frames: Vec<&Vec<u8>> = slices.iter().flatten().collect();
        let bytes = frames.iter().map(|frame| frame.len()).sum::<usize>();
        if !(1..=9999).contains(&frames.len()) || u32::try_from(bytes).is_err() {
            let count = frames.len();
            let message =
                format!("expected 1 to 9999 pictures of at most 4 GiB, found {count} of {bytes} bytes");
            return Err(Error::new(Kind::Pixels, message));
        }
        let numbers: Vec<String> = (1..=frames.len()).map(|number| number.to_string()).collect();
        let own = Elements::default()
            .text(0x0008_0008, b"CS", "DERIVED\\SECONDARY")
            .text(0x0008_0060, b"CS", "OT")
            .text(0x0008_0064, b"CS", "WSD")
            .sequence(0x0008_2112, self.slices.iter().map(Referenced::reference))
            .text(PAGE_NUMBERS, b"IS", &numbers.join("\\"))
            .text(0x0020_0020, b"CS", "")
            .text(0x0020_0060, b"CS", "")
            .short(0x0028_0002, 3)
            .text(0x0028_0004, b"CS", "RGB")
            .short(0x0028_0006, 0)
            .pointer(0x0028_0009, PAGE_NUMBERS)
            .short(0x0028_0100, 8)
            .short(0x0028_0101, 8)
            .short(0x0028_0102, 7)
            .short(0x0028_0103, 0)
            .text(0x0028_0301, b"CS", "NO")
            .bytes(0x7fe0_0010, b"OB", frames.into_iter().flatten().copied().collect::<Vec<u8>>());
        Ok(self.object(SECONDARY_CAPTURE, numbers.len(), &[], maker, own))
    }

    /// Whether there is as much as the series has: of each pixel so many values.
    fn check<T>(&self, slices: &[Option<Vec<T>>], values: usize) -> Result<(), Error> {
        let pixels = self.rows * self.columns * values;
        let wrong = slices.iter().flatten().find(|slice| slice.len() != pixels);
        if slices.len() == self.slices.len() && wrong.is_none() {
            return Ok(());
        }
        let found = wrong.map_or(slices.len() * pixels, Vec::len);
        let message = format!(
            "expected {} slices of {pixels} values, found {} slices, {found} values",
            self.slices.len(),
            slices.len()
        );
        Err(Error::new(Kind::Pixels, message))
    }

    /// A slice's values, or as many of nothing.
    fn filled<T: Clone + Default>(&self, slice: &Option<Vec<T>>) -> Vec<T> {
        slice.clone().unwrap_or_else(|| vec![T::default(); self.rows * self.columns])
    }

    /// What all frames have in common: directions and distances.
    fn shared_groups(&self) -> Elements {
        let orientation = Elements::default().decimals(0x0020_0037, &self.orientation);
        let [rows, columns] = self.spacing_mm.map(f64::from);
        let measures = Elements::default()
            .decimals(0x0018_0050, &[self.slice_distance_mm])
            .decimals(0x0018_0088, &[self.slice_distance_mm])
            .decimals(0x0028_0030, &[rows, columns]);
        Elements::default().sequence(0x0020_9116, [orientation]).sequence(0x0028_9110, [measures])
    }

    /// What belongs to one frame: its slice, and its place.
    fn frame(&self, slice: usize, dimensions: &[u32], derivation: [&str; 3]) -> Elements {
        let source = self.slices[slice]
            .reference()
            .text(0x0028_135a, b"CS", "YES")
            .code(0x0040_a170, ["121322", "DCM", "Source image for image processing operation"]);
        let derived = Elements::default().sequence(0x0008_2112, [source]).code(0x0008_9215, derivation);
        let content = Elements::default().longs(0x0020_9157, dimensions);
        let place = Elements::default().decimals(POSITION[0], &self.slices[slice].corner_mm);
        Elements::default()
            .sequence(0x0008_9124, [derived])
            .sequence(0x0020_9111, [content])
            .sequence(POSITION[1], [place])
    }

    /// The file of an object. What has no dimensions is a row of pictures.
    fn object(
        &self,
        class: &str,
        frames: usize,
        dimensions: &[([u32; 2], &str)],
        maker: MapMaker<'_>,
        own: Elements,
    ) -> Vec<u8> {
        // The identifiers follow from the content: the same map of the same slices is the same object.
        let content = own.clone().encoded();
        let identifier = |what: &str| self.identifier(&[class.as_bytes(), what.as_bytes(), &content]);
        let [instance, series, organization] = ["instance", "series", "dimensions"].map(identifier);
        let (date, time) = date_and_time(maker.made_at_secs);
        let pointers = dimensions.iter().map(|([tag, group], label)| {
            Elements::default()
                .text(0x0020_9164, b"UI", &organization)
                .pointer(0x0020_9165, *tag)
                .pointer(0x0020_9167, *group)
                .text(0x0020_9421, b"LO", label)
        });
        let organized = match dimensions {
            [] => Elements::default(),
            _ => Elements::default()
                .sequence(0x0020_9221, [Elements::default().text(0x0020_9164, b"UI", &organization)])
                .sequence(0x0020_9222, pointers)
                .text(0x0020_9311, b"CS", "3D")
                .text(0x0070_0081, b"LO", maker.meaning)
                .text(0x0070_0084, b"PN", ""),
        };
        let instances = self.slices.iter().map(|slice| slice.instance_reference()).collect::<Vec<_>>();
        let referenced = Elements::default().sequence(0x0008_114a, unique(instances)).text(
            0x0020_000e,
            b"UI",
            &self.series,
        );
        let all = self
            .patient_and_study()
            .text(0x0008_0016, b"UI", class)
            .text(0x0008_0018, b"UI", &instance)
            .text(0x0008_0023, b"DA", &date)
            .text(0x0008_0033, b"TM", &time)
            .text(0x0008_0070, b"LO", maker.program)
            .text(0x0008_103e, b"LO", maker.meaning)
            .text(0x0008_1090, b"LO", maker.program)
            .sequence(0x0008_1115, [referenced])
            .text(0x0018_1000, b"LO", "none")
            .text(0x0018_1020, b"LO", maker.version)
            .text(0x0020_000e, b"UI", &series)
            .text(0x0020_0011, b"IS", "1")
            .text(0x0020_0013, b"IS", "1")
            .text(0x0020_0052, b"UI", &self.frame_of_reference)
            .text(0x0020_1040, b"LO", "")
            .short(0x0028_0002, 1)
            .text(0x0028_0004, b"CS", "MONOCHROME2")
            .text(0x0028_0008, b"IS", &frames.to_string())
            .short(0x0028_0010, self.rows as u16)
            .short(0x0028_0011, self.columns as u16)
            .text(0x0028_2110, b"CS", "00")
            .with(organized)
            .with(own);
        let meta = Elements::default()
            .bytes(0x0002_0001, b"OB", [0, 1])
            .text(0x0002_0002, b"UI", class)
            .text(0x0002_0003, b"UI", &instance)
            .text(0x0002_0010, b"UI", EXPLICIT_LITTLE_ENDIAN)
            .text(0x0002_0012, b"UI", &self.identifier(&[maker.program.as_bytes()]))
            .encoded();
        let length = Elements::default().longs(0x0002_0000, &[meta.len() as u32]).encoded();
        [&[0; PREAMBLE], MAGIC, &length, &meta, &all.encoded()].concat()
    }
}

/// Items without those that were there before.
fn unique(items: Vec<Elements>) -> Vec<Elements> {
    let mut seen = std::collections::HashSet::new();
    items.into_iter().filter(|item| seen.insert(item.clone().encoded())).collect()
}

/// A point in time as a date and a time of DICOM, UTC (Hinnant, *chrono-compatible low-level date algorithms*).
fn date_and_time(seconds: u64) -> (String, String) {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Eras of 400 years begin in March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let time = format!("{:02}{:02}{:02}", second / 3600, second % 3600 / 60, second % 60);
    (format!("{year:04}{month:02}{day:02}"), time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date, time) in [
            (0, "19700101", "000000"),
            (951_782_399, "20000228", "235959"),
            (951_782_400, "20000229", "000000"),
            (1_709_251_199, "20240229", "235959"),
            (4_107_542_400, "21000301", "000000"),
        ] {
            assert_eq!(date_and_time(seconds), (date.to_owned(), time.to_owned()));
        }
    }
}
