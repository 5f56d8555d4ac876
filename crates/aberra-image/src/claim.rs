//! Which files are, or claim to be, images: by name and by their first bytes, without decoding.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::Format;

/// Whether the file is named like an image or begins like one. A file that cannot be opened is judged by its name.
pub fn is_image_file(path: &Path) -> bool {
    Format::of_name(path).is_some() || has_image_content(path)
}

impl Format {
    /// The format that a file's name promises, by its extension.
    pub fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_string_lossy().to_lowercase();
        Self::DECODED.into_iter().find(|format| format.extensions().contains(&extension.as_str()))
    }
}

/// The first bytes are those of a format that decoding knows. A file that cannot be opened has none.
fn has_image_content(path: &Path) -> bool {
    let mut start = Vec::with_capacity(16);
    let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut start));
    let riff_webp = start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP");
    let bitmap = start.starts_with(b"BM") && start.get(6..10) == Some(&[0; 4]);
    read.is_ok()
        && (start.starts_with(b"\x89PNG\r\n\x1a\n")
            || start.starts_with(&[0xff, 0xd8, 0xff])
            || start.starts_with(b"II*\0")
            || start.starts_with(b"MM\0*")
            || bitmap
            || riff_webp)
}
