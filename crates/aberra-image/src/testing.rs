//! TIFF files made by hand, for the tests of every crate. Not part of the interface; the feature `testing` shows it.

/// A page of a hand-made TIFF: 8-bit grey unless its tags say otherwise.
#[derive(Clone, Debug, Default)]
pub struct TiffPage {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Its one strip, unless tags say otherwise.
    pub data: Vec<u8>,
    /// Tags beyond or instead of the usual ones: values of 16 bits, of 32 for offsets and lengths of strips and for pages below,
    /// thousandths for 529 and 532 (fractions by the specification).
    pub tags: Vec<(u16, Vec<u32>)>,
    /// Pages below it: reduced copies and the like.
    pub below: Vec<TiffPage>,
}

impl TiffPage {
    /// A page of these samples.
    pub fn new(width: u32, height: u32, data: Vec<u8>) -> Self {
        Self { width, height, data, ..Self::default() }
    }

    /// The same with a tag.
    #[must_use]
    pub fn with(mut self, tag: u16, values: &[u32]) -> Self {
        self.tags.push((tag, values.to_vec()));
        self
    }
}

/// A little-endian TIFF of these pages.
pub fn tiff(pages: &[TiffPage]) -> Vec<u8> {
    let mut file = b"II*\0\0\0\0\0".to_vec();
    let mut link = 4;
    for page in pages {
        let (at, next) = append(&mut file, page);
        file[link..link + 4].copy_from_slice(&(at as u32).to_le_bytes());
        link = next;
    }
    file
}

/// Appends a page; returns where its directory is, and where the offset of the next one belongs.
fn append(file: &mut Vec<u8>, page: &TiffPage) -> (usize, usize) {
    let below: Vec<u32> = page.below.iter().map(|page| append(file, page).0 as u32).collect();
    let strip = file.len() as u32;
    file.extend(&page.data);
    let mut tags = page.tags.clone();
    for (tag, values) in [
        (256, vec![page.width]),
        (257, vec![page.height]),
        (258, vec![8]),
        (259, vec![1]),
        (262, vec![1]),
        (273, vec![strip]),
        (277, vec![1]),
        (278, vec![page.height]),
        (279, vec![page.data.len() as u32]),
        (330, below),
    ] {
        if !values.is_empty() && tags.iter().all(|(own, _)| *own != tag) {
            tags.push((tag, values));
        }
    }
    tags.sort();
    let mut entries = Vec::new();
    for (tag, values) in &tags {
        let (kind, bytes): (u16, Vec<u8>) = match tag {
            273 | 279 | 330 => (4, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            529 | 532 => {
                (5, values.iter().flat_map(|value| [*value, 1000].map(u32::to_le_bytes)).flatten().collect())
            }
            _ => (3, values.iter().flat_map(|value| (*value as u16).to_le_bytes()).collect()),
        };
        entries.extend(tag.to_le_bytes());
        entries.extend(kind.to_le_bytes());
        entries.extend((values.len() as u32).to_le_bytes());
        if bytes.len() <= 4 {
            entries.extend(&bytes);
            entries.extend(vec![0; 4 - bytes.len()]);
        } else {
            entries.extend((file.len() as u32).to_le_bytes());
            file.extend(&bytes);
        }
    }
    let at = file.len();
    file.extend((tags.len() as u16).to_le_bytes());
    file.extend(&entries);
    let next = file.len();
    file.extend([0; 4]);
    (at, next)
}
