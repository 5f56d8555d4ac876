//! DICOM, NIfTI, arrays and animations against golden files made by pydicom, nibabel, NumPy and Pillow
//! (`golden/make_medical.py`), and what is said of a file's pages.
#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use aberra_image::{
    Acquisition, ColorMode, Format, Image, Images, Limits, Origin, Remark, count_pages, decode, decode_page,
    header, read, read_page,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    file: String,
    page: u32,
    format: Format,
    color_mode: ColorMode,
    bit_depth: u8,
    height: usize,
    width: usize,
    channels: usize,
    tolerance: f32,
    pixels: Vec<f32>,
    /// In the unit of the file, where it has one.
    measured: Option<Vec<f32>>,
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn cases() -> Vec<Case> {
    serde_json::from_slice(&fs::read(golden("medical.json")).unwrap()).unwrap()
}

fn page(name: &str, page: u32) -> Image {
    read_page(&golden(name), page, &Limits::default()).unwrap()
}

#[test]
fn pixels_and_source_agree_with_the_reference() {
    let mut wrong = Vec::new();
    let mut pages: BTreeMap<String, u32> = BTreeMap::new();
    for case in cases() {
        let name = format!("{}, page {}", case.file, case.page);
        let image = match read_page(&golden(&case.file), case.page, &Limits::default()) {
            Ok(image) => image,
            Err(error) => {
                wrong.push(format!("{error}"));
                continue;
            }
        };
        *pages.entry(case.file.clone()).or_default() += 1;
        let found = (image.height, image.width, image.channels);
        let source = &image.source;
        let described = (source.format, source.color_mode, source.bit_depth, source.id.frame);
        if found != (case.height, case.width, case.channels)
            || described != (case.format, case.color_mode, case.bit_depth, case.page)
        {
            wrong.push(format!("{name}: {found:?} {source:?}"));
            continue;
        }
        // Golden values have seven digits.
        let difference = |(found, expected): (&f32, &f32)| (found - expected).abs() - 1e-6 * expected.abs();
        let worst = image.pixels.iter().zip(&case.pixels).map(difference).fold(0.0, f32::max);
        if image.pixels.len() != case.pixels.len() || worst > case.tolerance {
            wrong.push(format!("{name}: off by {worst}"));
        }
        let is_measured = |measured: &[f32]| {
            let expected = case.measured.iter().flatten();
            Some(measured.len()) == case.measured.as_ref().map(Vec::len)
                && measured.iter().zip(expected).all(|pair| difference(pair) <= 1e-6)
        };
        if !image.measured().map_or(case.measured.is_none(), is_measured) {
            wrong.push(format!("{name}: other values in their unit"));
        }
    }
    for (name, pages) in pages {
        let counted = count_pages(&golden(&name), &Limits::default()).unwrap();
        if counted != pages {
            wrong.push(format!("{name}: {counted} pages, not {pages}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// However a file is cut, the result is an error or the very same pixels: never a part of the image.
#[test]
fn a_cut_file_is_an_error_or_the_same_image() {
    let names: std::collections::BTreeSet<String> = cases().into_iter().map(|case| case.file).collect();
    for name in names {
        let bytes = fs::read(golden(&name)).unwrap();
        let whole = decode(&bytes, &Limits::default()).unwrap();
        for length in (0..bytes.len()).step_by((bytes.len() / 150).max(1)) {
            if let Ok(image) = decode(&bytes[..length], &Limits::default()) {
                assert!(image.pixels == whole.pixels, "{name} cut to {length} of {} bytes", bytes.len());
            }
        }
    }
}

#[test]
fn a_file_opened_once_gives_the_same_pages() {
    let (bytes, limits) = (fs::read(golden("flipped.nii.gz")).unwrap(), Limits::default());
    let images = Images::open(&bytes, &limits).unwrap();
    assert_eq!((images.format(), images.count().unwrap()), (Format::Nifti, 4));
    for number in 0..4 {
        let image = images.decode(number).unwrap();
        assert_eq!(image.pixels, page("flipped.nii.gz", number).pixels);
        let header = images.header(number).unwrap();
        assert_eq!((header.height, header.width, header.spacing_mm), (6, 5, Some([3.0, 2.0])));
    }
    assert!(images.decode(4).unwrap_err().to_string().contains("expected page 5 of the NIfTI, found 4"));
}

#[test]
fn remarks_say_what_is_not_read() {
    let remarks = |name| page(name, 0).source.remarks;
    assert_eq!(remarks("enhanced.dcm"), [Remark::Page { page: 1, of: 3 }]);
    assert_eq!(remarks("animation.gif"), [Remark::Page { page: 1, of: 3 }]);
    assert_eq!(remarks("four.nii"), [Remark::Page { page: 1, of: 3 }, Remark::Volume { of: 2 }]);
    assert_eq!(remarks("holes.nii"), [Remark::NotFinite, Remark::Page { page: 1, of: 2 }]);
    assert_eq!(remarks("plain.dcm"), []);
}

#[test]
fn values_that_are_not_finite_are_not_measured_where_that_is_wanted() {
    let (bytes, plain) = (fs::read(golden("holes.nii")).unwrap(), page("holes.nii", 0));
    assert!(plain.not_finite.is_empty());
    let image = decode_page(&bytes, 0, &Limits { not_finite: true, ..Limits::default() }).unwrap();
    assert_eq!(image.pixels, plain.pixels);
    assert!(image.not_finite.contains(&true) && image.source.remarks.contains(&Remark::NotMeasured));
}

#[test]
fn spacing_and_loss_are_kept() {
    assert_eq!(page("window.dcm", 0).source.spacing_mm, Some([0.5, 0.25]));
    assert_eq!(page("enhanced.dcm", 2).source.spacing_mm, Some([0.75, 0.5]));
    assert_eq!(page("rgb.dcm", 0).source.spacing_mm, None);
    assert!(page("jpeg2000_lossy.dcm", 0).source.is_lossy && page("jpeg.dcm", 0).source.is_lossy);
    assert!(!page("jpeg2000.dcm", 0).source.is_lossy);
}

#[test]
fn an_image_is_placed_by_hashes_with_a_key() {
    let (key, limits) = ([7; 32], Limits::default());
    let origin = |name: &str, number: u32, key: &[u8; 32]| -> Origin {
        let bytes = fs::read(golden(name)).unwrap();
        Images::open(&bytes, &limits).unwrap().origin(number, key).unwrap()
    };
    let hash = |names: &[&str]| {
        let length = |name: &&str| [&(name.len() as u64).to_le_bytes(), name.as_bytes()].concat();
        let content: Vec<u8> = names.iter().flat_map(length).collect();
        Some(*blake3::keyed_hash(&key, &content).as_bytes())
    };
    let localizer = origin("window.dcm", 0, &key);
    assert_eq!(localizer.group, hash(&["patient", "PLANTED-HOSPITAL", "PLANTED-ID"]));
    assert_eq!(localizer.series, hash(&["series", "1.2.3.4.1"]));
    assert!(localizer.is_localizer);
    let taken = localizer.acquisition;
    assert_eq!((taken.modality, taken.field_strength_t), (Some("MR"), Some(1.494)));
    assert_eq!(taken.manufacturer, hash(&["manufacturer", "PLANTED-MAKER"]));
    assert_eq!(taken.model, hash(&["model", "PLANTED-MAKER", "PLANTED-MODEL"]));
    assert_eq!(taken.protocol, hash(&["protocol", "PLANTED-PROTOCOL"]));
    assert_eq!(origin("plain.dcm", 0, &key).acquisition, Acquisition::default());
    // A sagittal plane, whose normal points to the right.
    assert_eq!(localizer.position_mm, Some(31.5));
    assert_ne!(localizer.group, origin("window.dcm", 0, &[8; 32]).group);

    let frames = [0, 1, 2].map(|number| origin("enhanced.dcm", number, &key));
    assert_eq!(frames.map(|frame| frame.position_mm), [Some(3.5), Some(2.5), Some(1.5)]);
    assert!(frames.iter().all(|frame| frame.group == hash(&["patient", "", "PLANTED-ID"])));
    // Where no patient is named, the study stands in.
    assert_eq!(origin("rgb.dcm", 0, &key).group, hash(&["study", "1.2.3.4"]));
    assert_eq!(origin("flipped.nii.gz", 3, &key).position_mm, Some(12.0));
    assert_eq!(origin("animation.gif", 1, &key), Origin::default());
}

/// A preamble may be the header of a TIFF, so that viewers of either kind open the file.
#[test]
fn a_dicom_with_a_tiff_preamble_is_a_dicom() {
    let bytes = fs::read(golden("plain.dcm")).unwrap();
    assert!(bytes.starts_with(b"II*\0"));
    assert_eq!(header(&bytes, &Limits::default()).unwrap().format, Format::Dicom);
}

/// The golden files hold a planted name, identifier, birth date and physician.
#[test]
fn what_names_a_person_is_in_no_image_remark_or_error() {
    let mut said = Vec::new();
    for case in cases().iter().filter(|case| case.format == Format::Dicom) {
        let bytes = fs::read(golden(&case.file)).unwrap();
        said.push(format!("{:?}", read(&golden(&case.file), &Limits::default()).unwrap().source));
        let is_planted = bytes.windows(7).any(|window| window == b"PLANTED");
        assert!(is_planted || case.file == "deflated.dcm", "{}", case.file);
        let step = (bytes.len() / 100).max(1);
        for at in (132..bytes.len()).step_by(step) {
            for changed in [0, 0xff, bytes[at] ^ 0x20] {
                let mut damaged = bytes.clone();
                damaged[at] = changed;
                said.extend(decode(&damaged, &Limits::default()).err().map(|error| error.to_string()));
            }
            said.extend(decode(&bytes[..at], &Limits::default()).err().map(|error| error.to_string()));
        }
    }
    assert!(said.len() > 1000);
    for text in said {
        assert!(!text.contains("PLANTED") && !text.contains("19010203"), "{text}");
    }
}

/// In place of what is printed in messages: the transfer syntax and the meaning of values.
#[test]
fn a_name_in_the_wrong_element_is_not_repeated() {
    let bytes = fs::read(golden("plain.dcm")).unwrap();
    for (planted, there) in [(&b"PLANTED^NAME"[..], &b"1.2.840.1000"[..]), (b"PLANTED^NAM", b"MONOCHROME1")] {
        let at = bytes.windows(there.len()).rposition(|window| window == there).unwrap();
        let at = if there[0] == b'1' {
            bytes.windows(2).position(|pair| pair == [0x10, 0]).unwrap() + 6
        } else {
            at
        };
        let mut changed = bytes.clone();
        changed[at..at + planted.len()].copy_from_slice(planted);
        let error = decode(&changed, &Limits::default()).unwrap_err();
        assert!(error.is_format() && !error.to_string().contains("PLANTED"), "{error}");
    }
}
