//! The pages of a TIFF: which are images of full resolution, which reduced copies or masks, and whether it is a raw file of
//! a camera. Reads only the few tags that tell, and no pixels.

use std::collections::BTreeSet;

use crate::codec::{damaged, unsupported};
use crate::{Error, Format};

/// Extensions of raw files of cameras, in lower case. Many are TIFFs, whose first page is a small preview.
pub(crate) const RAW_EXTENSIONS: [&str; 22] = [
    "3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "iiq", "k25", "kdc", "mef", "mos", "mrw", "nef",
    "nrw", "orf", "pef", "raf", "rw2", "srw", "x3f",
];

const NEW_SUBFILE_TYPE: u16 = 254;
const SUBFILE_TYPE: u16 = 255;
const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const IMAGE_DEPTH: u16 = 32997;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const DESCRIPTION: u16 = 270;
const SUB_DIRECTORIES: u16 = 330;
const DNG_VERSION: u16 = 50706;

/// A page of full resolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory {
    /// Where it begins.
    pub(super) at: usize,
    width: u64,
    height: u64,
    is_reduced: bool,
    is_mask: bool,
    /// Slices within the page.
    pub(super) depth: u64,
    /// Where its photometric interpretation is written, and what it says.
    pub(super) photometric: Option<(usize, u64)>,
}

/// What a file holds.
pub(super) struct Pages {
    /// The images of full resolution, in the order of the file; never empty.
    pub(super) full: Vec<Directory>,
    /// The first image of the file is a reduced copy.
    pub(super) begins_reduced: bool,
    /// Images that follow the only page without pages of their own, as ImageJ writes them.
    pub(super) unlisted: u32,
}

/// How numbers are written.
#[derive(Clone, Copy)]
pub(super) struct Numbers<'a> {
    bytes: &'a [u8],
    is_little: bool,
    pub(super) is_big_tiff: bool,
}

impl<'a> Numbers<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let plain = Self { bytes, is_little: bytes.starts_with(b"II"), is_big_tiff: false };
        Self { is_big_tiff: plain.number(2, 2) == Some(43), ..plain }
    }

    fn number(&self, at: usize, length: usize) -> Option<u64> {
        let field = self.bytes.get(at..at.checked_add(length)?)?;
        let shift = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
        Some(if self.is_little { field.iter().rev().fold(0, shift) } else { field.iter().fold(0, shift) })
    }

    fn offset(&self, at: usize) -> Option<usize> {
        usize::try_from(self.number(at, if self.is_big_tiff { 8 } else { 4 })?).ok()
    }

    /// A number as the file would write it.
    pub(super) fn written(&self, value: u64, length: usize) -> Vec<u8> {
        if self.is_little {
            value.to_le_bytes()[..length].to_vec()
        } else {
            value.to_be_bytes()[8 - length..].to_vec()
        }
    }

    /// Where the offset of the first directory is written, and how long it is.
    pub(super) fn first_offset(&self) -> (usize, usize) {
        if self.is_big_tiff { (8, 8) } else { (4, 4) }
    }

    /// Whether an entry states more values than the file has room for: the decoder takes memory for them before it reads.
    fn has_no_room(&self, entry: usize) -> bool {
        let length = match self.number(entry + 2, 2) {
            Some(1 | 2 | 6 | 7) => 1,
            Some(3 | 8) => 2,
            Some(5 | 10 | 12 | 16..=18) => 8,
            _ => 4,
        };
        let count = self.number(entry + 4, if self.is_big_tiff { 8 } else { 4 }).unwrap_or(u64::MAX);
        count.saturating_mul(length) > self.bytes.len() as u64
    }

    /// Where the values of an entry are, how long each is, and how many there are.
    fn values(&self, entry: usize) -> Option<(usize, usize, usize)> {
        let (count_length, inline) = if self.is_big_tiff { (8, 8) } else { (4, 4) };
        let length: usize = match self.number(entry + 2, 2)? {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            16..=18 => 8,
            _ => return None,
        };
        let count = usize::try_from(self.number(entry + 4, count_length)?).ok()?;
        let at = entry + 4 + count_length;
        let at = if length.checked_mul(count)? > inline { self.offset(at)? } else { at };
        Some((at, length, count))
    }
}

/// Lists the pages.
///
/// # Errors
/// There is no page, or it is a raw file of a camera.
pub(super) fn pages(bytes: &[u8]) -> Result<Pages, Error> {
    let mut listing =
        Listing { numbers: Numbers::of(bytes), seen: BTreeSet::new(), entries: 0, is_raw: false };
    let (mut chain, mut below, mut description) = (Vec::new(), Vec::new(), None);
    let mut next = listing.numbers.offset(listing.numbers.first_offset().0);
    while let Some(read) = next.filter(|&at| at != 0).and_then(|at| listing.read(at)) {
        if chain.is_empty() {
            description = read.images;
        }
        chain.push(read.directory);
        // Where the pages of a chain are previews, the image may be below one of them.
        below.extend(read.sub_directories.iter().filter_map(|&at| Some(listing.read(at)?.directory)));
        next = read.next;
    }
    if listing.is_raw || bytes.get(8..10) == Some(b"CR") {
        return Err(raw());
    }
    let Some(&first) = chain.first() else {
        return Err(damaged(Format::Tiff, "it has no whole directory of tags"));
    };
    let whole = |of: &[Directory]| -> Vec<Directory> {
        of.iter().filter(|page| !page.is_reduced && !page.is_mask).copied().collect()
    };
    let mut full = whole(&chain);
    if full.is_empty() {
        full = whole(&below);
    }
    if full.is_empty() {
        full = vec![first];
    }
    // Not every writer marks a thumbnail: a smaller page of the same proportions before the image is one, too.
    let larger = full.iter().skip(1).position(|page| first.at == full[0].at && first.is_thumbnail_of(page));
    if let Some(position) = larger {
        full.drain(..=position);
    }
    // A directory shared by the whole list of images: ImageJ writes big stacks so.
    let unlisted = description.filter(|_| chain.len() == 1).map_or(0, |images| images.saturating_sub(1));
    Ok(Pages { begins_reduced: full[0].at != first.at && !first.is_mask, full, unlisted })
}

/// The error for a raw file of a camera.
pub(crate) fn raw() -> Error {
    unsupported(Format::Tiff, "the raw data of a camera's sensor")
}

impl Directory {
    fn is_thumbnail_of(&self, page: &Self) -> bool {
        let (width, height) = (page.width as f64, page.height as f64);
        let scale = width / (self.width.max(1)) as f64;
        scale >= 2.0 && (height / scale - self.height as f64).abs() <= 1.0
    }
}

struct Listing<'a> {
    numbers: Numbers<'a>,
    seen: BTreeSet<usize>,
    /// Entries read so far: those of directories that do not overlap fill the file at most once.
    entries: usize,
    is_raw: bool,
}

/// A directory, and what it leads to.
struct Read {
    directory: Directory,
    sub_directories: Vec<usize>,
    next: Option<usize>,
    /// The number of images that ImageJ says follow.
    images: Option<u32>,
}

impl Listing<'_> {
    /// `None` for a directory that is not whole, states more values than there are bytes, or was read before.
    fn read(&mut self, at: usize) -> Option<Read> {
        let numbers = self.numbers;
        let (count_length, entry_length) = if numbers.is_big_tiff { (8, 20) } else { (2, 12) };
        let count = numbers.number(at, count_length)?.min(u16::MAX.into()) as usize;
        let first = at.checked_add(count_length)?;
        let end = first.checked_add(count * entry_length)?;
        self.entries += count + 1;
        if end > numbers.bytes.len()
            || !self.seen.insert(at)
            || self.entries * entry_length > numbers.bytes.len() + entry_length
        {
            return None;
        }
        let mut directory = Directory {
            at,
            width: 0,
            height: 0,
            is_reduced: false,
            is_mask: false,
            depth: 1,
            photometric: None,
        };
        let (mut sub_directories, mut images) = (Vec::new(), None);
        let entries = (first..end).step_by(entry_length);
        if entries.clone().any(|entry| numbers.has_no_room(entry)) {
            return None;
        }
        for entry in entries {
            let (Some(tag), Some((value_at, length, values))) =
                (numbers.number(entry, 2), numbers.values(entry))
            else {
                continue;
            };
            let tag = tag as u16;
            let value = numbers.number(value_at, length).filter(|_| values > 0).unwrap_or(0);
            match tag {
                NEW_SUBFILE_TYPE => {
                    directory.is_reduced |= value & 1 != 0;
                    directory.is_mask |= value & 4 != 0;
                }
                SUBFILE_TYPE => directory.is_reduced |= value == 2,
                WIDTH => directory.width = value,
                HEIGHT => directory.height = value,
                IMAGE_DEPTH => directory.depth = value,
                PHOTOMETRIC => {
                    directory.photometric = Some((value_at, value));
                    // A colour filter array, and linear values of a sensor.
                    self.is_raw |= matches!(value, 32803 | 34892);
                }
                // Nikon, Sony, Samsung, Kodak, Pentax.
                COMPRESSION => self.is_raw |= matches!(value, 34713 | 32767 | 32770 | 65000 | 65535),
                DNG_VERSION => self.is_raw = true,
                DESCRIPTION => {
                    let text = numbers.bytes.get(value_at..value_at.checked_add(values)?);
                    images = text.and_then(images_of_imagej);
                }
                SUB_DIRECTORIES => {
                    let left = (numbers.bytes.len() / entry_length).saturating_sub(self.entries);
                    let offsets = (0..values.min(left)).map(|index| value_at + index * length);
                    sub_directories =
                        offsets.filter_map(|at| usize::try_from(numbers.number(at, length)?).ok()).collect();
                }
                _ => {}
            }
        }
        Some(Read { directory, sub_directories, next: numbers.offset(end), images })
    }
}

/// `images=N` in the description that ImageJ writes.
fn images_of_imagej(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?.strip_prefix("ImageJ=")?;
    text.lines().find_map(|line| line.strip_prefix("images=")?.trim_end_matches('\0').parse().ok())
}
