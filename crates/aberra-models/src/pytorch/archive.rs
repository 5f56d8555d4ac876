//! The ZIP archive that `torch.save` writes: entries that are stored as they are, each with its checksum.

use std::collections::BTreeMap;

use aberra_metrics::Result;

use super::pickle::refuse;

/// The end of the directory, without its comment, begins so ...
const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
/// ... a comment has at most so many bytes ...
const COMMENT_BYTES: usize = 1 << 16;
/// ... and before it may stand where the end with longer numbers is.
const LONG_END_AT: &[u8] = b"PK\x06\x07";
const LONG_END: &[u8] = b"PK\x06\x06";
/// An entry of the directory, and the entry itself.
const LISTED: &[u8] = b"PK\x01\x02";
const ENTRY: &[u8] = b"PK\x03\x04";
/// The tag of an entry's longer numbers.
const LONG: u16 = 1;
/// A number that stands in a longer one.
const ELSEWHERE: u64 = 0xffff_ffff;

/// Whether a file begins like an archive.
pub(super) fn is_one(file: &[u8]) -> bool {
    file.starts_with(ENTRY)
}

/// The entries by name, without the folder that all of them lie in.
///
/// # Errors
/// The archive is cut off or damaged, an entry is compressed or does not match its checksum, or two have the same name.
pub(super) fn entries(file: &[u8]) -> Result<BTreeMap<String, &[u8]>> {
    let broken = || refuse("an archive that is cut off or damaged");
    let (count, mut at) = directory(file).ok_or_else(broken)?;
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        let listed = Listed::read(file, at).ok_or_else(broken)?;
        at = listed.next;
        if listed.method != 0 || listed.stored != listed.length {
            return Err(refuse("an archive with compressed entries, which torch.save does not write"));
        }
        let data = listed.data(file).ok_or_else(broken)?;
        let mut checksum = flate2::Crc::new();
        checksum.update(data);
        if checksum.sum() != listed.checksum {
            return Err(refuse(
                "an archive with an entry that does not match its checksum: it was changed or damaged",
            ));
        }
        let name = listed.name.split_once('/').map_or(listed.name.as_str(), |(_, name)| name);
        if entries.insert(name.to_owned(), data).is_some() {
            return Err(refuse("an archive with two entries of one name"));
        }
    }
    Ok(entries)
}

/// How many entries there are, and where the directory begins.
fn directory(file: &[u8]) -> Option<(u64, usize)> {
    let from = file.len().saturating_sub(END_BYTES + COMMENT_BYTES);
    let end = from + file[from..].windows(END.len()).rposition(|bytes| bytes == END)?;
    let (count, offset) = (u64::from(u16_at(file, end + 10)?), u64::from(u32_at(file, end + 16)?));
    if let Some(before) = end.checked_sub(20)
        && file[before..].starts_with(LONG_END_AT)
    {
        let long = usize::try_from(u64_at(file, before + 8)?).ok()?;
        if !file.get(long..)?.starts_with(LONG_END) {
            return None;
        }
        return Some((u64_at(file, long + 32)?, usize::try_from(u64_at(file, long + 48)?).ok()?));
    }
    Some((count, usize::try_from(offset).ok()?))
}

/// An entry as the directory lists it.
struct Listed {
    name: String,
    method: u16,
    checksum: u32,
    stored: u64,
    length: u64,
    offset: u64,
    /// Where the next begins.
    next: usize,
}

impl Listed {
    fn read(file: &[u8], at: usize) -> Option<Self> {
        if !file.get(at..)?.starts_with(LISTED) {
            return None;
        }
        let short = |offset: usize| u16_at(file, at + offset).map(usize::from);
        let (name, extra, comment) = (short(28)?, short(30)?, short(32)?);
        let names = at + 46;
        let extras = file.get(names + name..names + name + extra)?;
        let long = |offset: usize| u32_at(file, at + offset).map(u64::from);
        let (mut stored, mut length, mut offset) = (long(20)?, long(24)?, long(42)?);
        // Longer numbers stand in this order, those alone that are elsewhere.
        let mut longer = of_tag(extras, LONG).unwrap_or_default().as_chunks::<8>().0.iter();
        for number in [&mut length, &mut stored, &mut offset] {
            if *number == ELSEWHERE {
                *number = u64::from_le_bytes(*longer.next()?);
            }
        }
        Some(Self {
            name: String::from_utf8_lossy(file.get(names..names + name)?).into_owned(),
            method: u16_at(file, at + 10)?,
            checksum: u32_at(file, at + 16)?,
            stored,
            length,
            offset,
            next: names + name + extra + comment,
        })
    }

    fn data<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        let at = usize::try_from(self.offset).ok()?;
        if !file.get(at..)?.starts_with(ENTRY) {
            return None;
        }
        let (name, extra) = (u16_at(file, at.checked_add(26)?)?, u16_at(file, at.checked_add(28)?)?);
        let from = at.checked_add(30 + usize::from(name) + usize::from(extra))?;
        file.get(from..from.checked_add(usize::try_from(self.length).ok()?)?)
    }
}

/// The part of an entry's extra bytes that has this tag.
fn of_tag(mut extras: &[u8], tag: u16) -> Option<&[u8]> {
    loop {
        let (found, length) = (u16_at(extras, 0)?, usize::from(u16_at(extras, 2)?));
        let part = extras.get(4..4 + length)?;
        if found == tag {
            return Some(part);
        }
        extras = &extras[4 + length..];
    }
}

fn u16_at(file: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

fn u32_at(file: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

fn u64_at(file: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*file.get(at..)?.first_chunk()?))
}
