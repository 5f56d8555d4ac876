//! The elements of a DICOM data set, found where they lie: nothing is copied, no memory is taken for what a length states, and
//! only the elements that decoding needs are kept. Names, identifiers and dates of persons are not among them.
//!
//! Nested sequences are walked without recursion, so their depth costs no stack.

use std::collections::BTreeMap;

use super::tag;
use crate::Error;
use crate::codec::damaged;

/// Where the pixels of a data set of which only the beginning is there will end, as soon as that is stated.
///
/// # Errors
/// There are more elements than a data set has.
pub(super) fn pixels_end(start: &[u8], encoding: Encoding) -> Result<Option<u64>, Error> {
    let mut cursor = Cursor { bytes: start, at: 0, encoding };
    for _ in 0..MOST_ELEMENTS {
        let Ok(head) = cursor.head() else { return Ok(None) };
        if head.tag == tag::PIXEL_DATA && head.length != OPEN {
            return Ok(Some(cursor.at as u64 + u64::from(head.length)));
        }
        if cursor.value(&head).is_err() {
            return Ok(None);
        }
    }
    Err(too_many())
}

/// More than any device writes, beside those within sequences.
const MOST_ELEMENTS: usize = 100_000;

fn too_many() -> Error {
    broken(format!("it has more than {MOST_ELEMENTS} elements"))
}

/// How elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) is_explicit: bool,
    pub(super) is_big_endian: bool,
}

impl Encoding {
    pub(super) const IMPLICIT: Self = Self { is_explicit: false, is_big_endian: false };
    pub(super) const EXPLICIT: Self = Self { is_explicit: true, is_big_endian: false };
    pub(super) const BIG_ENDIAN: Self = Self { is_explicit: true, is_big_endian: true };
}

/// An element: its value representation, where that is written, and the bytes of its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) vr: [u8; 2],
    pub(super) value: &'a [u8],
    /// Its length is not stated: a sequence, or fragments of pixel data.
    pub(super) is_open: bool,
    encoding: Encoding,
}

/// The elements of a data set or of an item that decoding needs.
#[derive(Clone, Debug, Default)]
pub(super) struct DataSet<'a> {
    elements: BTreeMap<u32, Element<'a>>,
}

const ITEM: u32 = 0xfffe_e000;
const ITEM_END: u32 = 0xfffe_e00d;
const SEQUENCE_END: u32 = 0xfffe_e0dd;
/// The length of what ends with a delimiter instead.
const OPEN: u32 = u32::MAX;

impl<'a> DataSet<'a> {
    /// Reads up to the end of the bytes or of the pixel data.
    ///
    /// # Errors
    /// An element ends beyond the bytes, or sequences are not nested as they should be.
    pub(super) fn read(bytes: &'a [u8], encoding: Encoding) -> Result<Self, Error> {
        Self::read_tags(bytes, encoding, &tag::READ)
    }

    /// Reads these elements in place of those that decoding needs.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) fn read_tags(bytes: &'a [u8], encoding: Encoding, tags: &[u32]) -> Result<Self, Error> {
        let (mut cursor, mut elements) = (Cursor { bytes, at: 0, encoding }, BTreeMap::new());
        let mut count = 0;
        // What is shorter than an element is padding.
        while cursor.at + 8 <= bytes.len() {
            count += 1;
            if count > MOST_ELEMENTS {
                return Err(too_many());
            }
            let head = cursor.head()?;
            if head.tag >> 16 == ITEM >> 16 {
                break;
            }
            let value = cursor.value(&head)?;
            if tags.contains(&head.tag) {
                let is_open = head.length == OPEN;
                let encoding = cursor.encoding_within(&head);
                elements.insert(head.tag, Element { vr: head.vr, value, is_open, encoding });
            }
            if head.tag == tag::PIXEL_DATA {
                break;
            }
        }
        Ok(Self { elements })
    }

    pub(super) fn element(&self, tag: u32) -> Option<&Element<'a>> {
        self.elements.get(&tag)
    }

    /// A text without the spaces and zero bytes that pad it.
    pub(super) fn text(&self, tag: u32) -> Option<&'a str> {
        let text = std::str::from_utf8(self.element(tag)?.value).ok()?;
        Some(text.trim_matches(|c: char| c == '\0' || c.is_whitespace()))
    }

    /// Numbers written as text, as far as they are readable.
    pub(super) fn decimals(&self, tag: u32) -> Vec<f64> {
        let text = self.text(tag).unwrap_or_default();
        let numbers =
            text.split('\\').map(|number| number.trim().parse().ok().filter(|n: &f64| n.is_finite()));
        numbers.map_while(|number| number).collect()
    }

    /// The first number written as text.
    pub(super) fn decimal(&self, tag: u32) -> Option<f64> {
        self.decimals(tag).first().copied()
    }

    /// The first whole number of 16 bits.
    pub(super) fn short(&self, tag: u32) -> Option<u16> {
        self.element(tag)?.shorts().next()
    }

    /// One item of a sequence, by its number from 0.
    pub(super) fn item(&self, tag: u32, number: usize) -> Result<Option<DataSet<'a>>, Error> {
        let Some(element) = self.element(tag) else { return Ok(None) };
        let item = Items::of(element).nth(number).transpose()?;
        item.map(|bytes| DataSet::read(bytes, element.encoding)).transpose()
    }
}

impl<'a> Element<'a> {
    pub(super) fn is_big_endian(&self) -> bool {
        self.encoding.is_big_endian
    }

    pub(super) fn shorts(&self) -> impl Iterator<Item = u16> + use<'a> {
        let is_big_endian = self.encoding.is_big_endian;
        let number = move |&bytes: &[u8; 2]| match is_big_endian {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        };
        self.value.as_chunks::<2>().0.iter().map(number)
    }

    /// A binary number: whole of 32 bits, or floating of 64.
    pub(super) fn number(&self) -> Option<f64> {
        if !matches!(self.value.len(), 4 | 8) {
            return None;
        }
        let mut bytes = self.value.to_vec();
        if self.encoding.is_big_endian {
            bytes.reverse();
        }
        match bytes.len() {
            4 => Some(u32::from_le_bytes(bytes.try_into().ok()?).into()),
            _ => Some(f64::from_le_bytes(bytes.try_into().ok()?)).filter(|number| number.is_finite()),
        }
    }

    /// The items of a sequence, or the fragments of pixel data.
    pub(super) fn items(&self) -> Items<'a> {
        Items::of(self)
    }
}

/// The contents of items, one after the other.
pub(super) struct Items<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Items<'a> {
    fn of(element: &Element<'a>) -> Self {
        Self { cursor: Cursor { bytes: element.value, at: 0, encoding: element.encoding } }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<&'a [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let cursor = &mut self.cursor;
        if cursor.at + 8 > cursor.bytes.len() {
            return None;
        }
        let item = cursor.head().and_then(|head| match head.tag {
            ITEM => cursor.value(&head).map(Some),
            SEQUENCE_END => Ok(None),
            _ => Err(broken("a sequence of it holds something else than items")),
        });
        if !matches!(item, Ok(Some(_))) {
            cursor.at = cursor.bytes.len();
        }
        item.transpose()
    }
}

/// A place in elements.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    encoding: Encoding,
}

/// What stands before a value.
struct Head {
    tag: u32,
    vr: [u8; 2],
    length: u32,
}

impl<'a> Cursor<'a> {
    fn head(&mut self) -> Result<Head, Error> {
        let group = self.short(0)?;
        let tag = u32::from(group) << 16 | u32::from(self.short(2)?);
        // Items and delimiters have no value representation; what is not one has none either, as some writers forget it.
        let vr = [self.byte(4)?, self.byte(5)?];
        let is_explicit = self.encoding.is_explicit
            && group != (ITEM >> 16) as u16
            && vr.iter().all(|letter| letter.is_ascii_uppercase());
        if !is_explicit {
            let length = self.long(4)?;
            self.at += 8;
            return Ok(Head { tag, vr: *b"  ", length });
        }
        let is_long = matches!(
            &vr,
            b"OB"
                | b"OD"
                | b"OF"
                | b"OL"
                | b"OV"
                | b"OW"
                | b"SQ"
                | b"SV"
                | b"UC"
                | b"UN"
                | b"UR"
                | b"UT"
                | b"UV"
        );
        let length = if is_long { self.long(8)? } else { self.short(6)?.into() };
        self.at += if is_long { 12 } else { 8 };
        Ok(Head { tag, vr, length })
    }

    /// The value after a head.
    fn value(&mut self, head: &Head) -> Result<&'a [u8], Error> {
        let start = self.at;
        if head.length == OPEN {
            let encoding = self.encoding;
            self.encoding = self.encoding_within(head);
            let end = self.find_end(head.tag == ITEM);
            self.encoding = encoding;
            return Ok(&self.bytes[start..end?]);
        }
        let end = start.checked_add(head.length as usize).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            let left = self.bytes.len() - start;
            broken(format!("an element of it states {} bytes, of which {left} are there", head.length))
        })?;
        self.at = end;
        Ok(&self.bytes[start..end])
    }

    /// How the elements within a value are written: within an unknown one always implicitly.
    fn encoding_within(&self, head: &Head) -> Encoding {
        if head.vr == *b"UN" && head.length == OPEN { Encoding::IMPLICIT } else { self.encoding }
    }

    /// Goes behind the delimiter of a sequence or item without a length, and returns where its content ends.
    fn find_end(&mut self, is_item: bool) -> Result<usize, Error> {
        /// Deeper than any that a device writes.
        const DEEPEST: usize = 64;
        // Whether each of the open levels is an item, and how the level around it is written.
        let mut levels = vec![(is_item, self.encoding)];
        while let Some(&(is_item, around)) = levels.last() {
            let at = self.at;
            let head = self.head()?;
            if head.tag == if is_item { ITEM_END } else { SEQUENCE_END } {
                levels.pop();
                self.encoding = around;
                if levels.is_empty() {
                    return Ok(at);
                }
                continue;
            }
            if !is_item && head.tag != ITEM {
                return Err(broken("a sequence of it holds something else than items"));
            }
            if head.length != OPEN {
                self.value(&head)?;
                continue;
            }
            if levels.len() == DEEPEST {
                return Err(broken(format!("its sequences are nested more than {DEEPEST} deep")));
            }
            levels.push((head.tag == ITEM, self.encoding));
            self.encoding = self.encoding_within(&head);
        }
        Ok(self.at)
    }

    fn byte(&self, offset: usize) -> Result<u8, Error> {
        self.bytes.get(self.at + offset).copied().ok_or_else(|| broken("it is truncated"))
    }

    fn short(&self, offset: usize) -> Result<u16, Error> {
        let bytes = [self.byte(offset)?, self.byte(offset + 1)?];
        Ok(if self.encoding.is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn long(&self, offset: usize) -> Result<u32, Error> {
        let halves = [u32::from(self.short(offset)?), u32::from(self.short(offset + 2)?)];
        Ok(if self.encoding.is_big_endian {
            halves[0] << 16 | halves[1]
        } else {
            halves[1] << 16 | halves[0]
        })
    }
}

/// The error for a file that is not built as it should be.
fn broken(reason: impl std::fmt::Display) -> Error {
    damaged(crate::Format::Dicom, reason)
}
