//! Which files are, or claim to be, images: by name and by their first bytes, without decoding.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::Format;
use crate::codec::nifti;
use crate::codec::tiff::pages::RAW_EXTENSIONS;

/// What a file claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileClaim {
    /// An image of a format that is decoded.
    Image,
    /// An image, or a container of some, of a format that is not decoded: "a HEIC image".
    Unsupported(&'static str),
    /// Something else.
    Other,
}

/// What a file claims to be, by its name or its first bytes. A file that cannot be opened is judged by its name.
pub fn claim(path: &Path) -> FileClaim {
    if Format::of_name(path).is_some() {
        return FileClaim::Image;
    }
    if is_raw_name(path) {
        return FileClaim::Unsupported(RAW);
    }
    let mut start = Vec::with_capacity(LONGEST_START);
    let read = File::open(path).and_then(|file| file.take(LONGEST_START as u64).read_to_end(&mut start));
    if read.is_err() {
        return other_name(path).map_or(FileClaim::Other, FileClaim::Unsupported);
    }
    if Format::of_content(&start).is_some() {
        return FileClaim::Image;
    }
    let named = other_format(&start).filter(|name| !ARCHIVES.contains(name)).or_else(|| other_name(path));
    named.map_or(FileClaim::Other, FileClaim::Unsupported)
}

/// Whether the file is named like an image or begins like one, of a format that is decoded. A file that cannot be opened is
/// judged by its name.
pub fn is_image_file(path: &Path) -> bool {
    claim(path) == FileClaim::Image
}

impl Format {
    /// The format that a file's content has, by its first bytes; `None` for other content, and for what cannot be read.
    pub fn of_file(path: &Path) -> Option<Self> {
        let mut start = Vec::with_capacity(LONGEST_START);
        File::open(path).and_then(|file| file.take(LONGEST_START as u64).read_to_end(&mut start)).ok()?;
        Self::of_content(&start)
    }

    /// The format that a file's name promises, by its extension.
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let ends = |extension: &&str| {
            let stem = name.strip_suffix(extension).and_then(|rest| rest.strip_suffix('.'));
            stem.is_some_and(|stem| !stem.is_empty())
        };
        Self::DECODED.into_iter().find(|format| format.extensions().iter().any(ends))
    }
}

/// Names of common formats that this crate does not decode, by the first bytes.
pub(crate) fn other_format(bytes: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let table: [(usize, &[u8], &str); 21] = [
        (4, b"ftyphei", "a HEIC image"),
        (4, b"ftypmif1", "a HEIC image"),
        (4, b"ftypavi", "an AVIF image"),
        (4, b"ftypcrx", RAW),
        (0, b"FUJIFILMCCD-RAW", RAW),
        (0, b"IIRO", RAW),
        (0, b"IIRS", RAW),
        (0, b"MMOR", RAW),
        (0, b"IIU\0", RAW),
        (0, b"FOVb", RAW),
        (0, b"\0MRM", RAW),
        (6, b"HEAPCCDR", RAW),
        (4, b"jP  ", "a JPEG 2000 image"),
        (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
        (0, b"\xff\x0a", "a JPEG XL image"),
        (4, b"JXL \r\n", "a JPEG XL image"),
        (0, b"II\xbc", "a JPEG XR image"),
        (0, b"8BPS", "a Photoshop file"),
        (0, b"%PDF", PDF),
        (0, b"PK\x03\x04", ZIP),
        (0, b"\x1f\x8b", GZIP),
    ];
    if nifti::is_header_of_pair(bytes) {
        return Some("the header of a NIfTI pair (.hdr and .img)");
    }
    table.into_iter().find(|(offset, magic, _)| at(*offset, magic)).map(|(_, _, name)| name)
}

/// Whether a file is named like the raw file of a camera.
pub(crate) fn is_raw_name(path: &Path) -> bool {
    RAW_EXTENSIONS.contains(&extension(path).as_str())
}

const RAW: &str = "a raw file of a camera";
const PDF: &str = "a PDF document";
const ZIP: &str = "a ZIP archive";
const GZIP: &str = "a gzip archive";
/// What lies beside images and holds none that a data set would be expected to have.
const ARCHIVES: [&str; 3] = [PDF, ZIP, GZIP];
/// As many first bytes as telling formats apart takes.
pub(crate) const LONGEST_START: usize = 1024;

/// Names of common formats that this crate does not decode, by extension: those without telling first bytes.
fn other_name(path: &Path) -> Option<&'static str> {
    Some(match extension(path).as_str() {
        "heic" | "heif" => "a HEIC image",
        "avif" => "an AVIF image",
        "jp2" | "j2k" | "jpx" => "a JPEG 2000 image",
        "jxl" => "a JPEG XL image",
        "psd" => "a Photoshop file",
        "pgm" | "ppm" | "pbm" | "pnm" | "pfm" => "a Netpbm image",
        "tga" => "a TGA image",
        "exr" => "an OpenEXR image",
        "npz" => "an archive of NumPy arrays",
        "svg" => "an SVG drawing",
        _ => return None,
    })
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}
