//! The bytes of a TIFF as its decoder is to see them: with another first directory, another photometric interpretation, and
//! the bits of its strips in the usual order. Nothing is copied.

use std::io::{Read, Result, Seek, SeekFrom};
use std::ops::Range;

/// A file in memory, of which some bytes read differently.
pub(super) struct Source<'a> {
    bytes: &'a [u8],
    position: u64,
    patches: Vec<(usize, Vec<u8>)>,
    /// Where the lowest bit of a byte comes first, in order.
    reversed: Vec<Range<usize>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0, patches: Vec::new(), reversed: Vec::new() }
    }

    /// Lets these bytes stand at `at`.
    pub(super) fn patch(&mut self, at: usize, bytes: Vec<u8>) {
        self.patches.push((at, bytes));
    }

    /// Turns the bits of each byte of these ranges around.
    pub(super) fn reverse(&mut self, mut ranges: Vec<Range<usize>>) {
        ranges.sort_by_key(|range| range.start);
        self.reversed = ranges;
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let start = usize::try_from(self.position).unwrap_or(usize::MAX).min(self.bytes.len());
        let length = buffer.len().min(self.bytes.len() - start);
        let (buffer, end) = (&mut buffer[..length], start + length);
        buffer.copy_from_slice(&self.bytes[start..end]);
        let first = self.reversed.partition_point(|range| range.end <= start);
        for range in self.reversed[first..].iter().take_while(|range| range.start < end) {
            for byte in &mut buffer[range.start.max(start) - start..range.end.min(end) - start] {
                *byte = byte.reverse_bits();
            }
        }
        for (at, bytes) in &self.patches {
            for (at, byte) in (*at..).zip(bytes).filter(|(at, _)| (start..end).contains(at)) {
                buffer[at - start] = *byte;
            }
        }
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Source<'_> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => (self.bytes.len() as u64).checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
