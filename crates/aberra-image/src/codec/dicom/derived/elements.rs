//! DICOM elements -> bytes, explicit and little-endian: what derived objects are written with.

use std::collections::BTreeMap;

/// The elements of a data set or of an item, by their tags.
#[derive(Clone, Debug, Default)]
pub(super) struct Elements(BTreeMap<u32, ([u8; 2], Vec<u8>)>);

const ITEM: u32 = 0xfffe_e000;

impl Elements {
    /// An element with the bytes of its value.
    pub(super) fn bytes(mut self, tag: u32, vr: &[u8; 2], value: impl Into<Vec<u8>>) -> Self {
        self.0.insert(tag, (*vr, value.into()));
        self
    }

    pub(super) fn text(self, tag: u32, vr: &[u8; 2], value: &str) -> Self {
        self.bytes(tag, vr, value)
    }

    /// Numbers written as text, of at most 16 characters each.
    pub(super) fn decimals(self, tag: u32, values: &[f64]) -> Self {
        let texts: Vec<String> = values.iter().map(|&value| decimal(value)).collect();
        self.text(tag, b"DS", &texts.join("\\"))
    }

    pub(super) fn short(self, tag: u32, value: u16) -> Self {
        self.bytes(tag, b"US", value.to_le_bytes())
    }

    pub(super) fn longs(self, tag: u32, values: &[u32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes(tag, b"UL", bytes)
    }

    pub(super) fn double(self, tag: u32, value: f64) -> Self {
        self.bytes(tag, b"FD", value.to_le_bytes())
    }

    /// The tag of another element.
    pub(super) fn pointer(self, tag: u32, to: u32) -> Self {
        let halves = [(to >> 16) as u16, to as u16];
        self.bytes(tag, b"AT", halves.into_iter().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
    }

    pub(super) fn sequence(self, tag: u32, items: impl IntoIterator<Item = Elements>) -> Self {
        let mut bytes = Vec::new();
        for item in items {
            let item = item.encoded();
            put_tag(&mut bytes, ITEM);
            bytes.extend((item.len() as u32).to_le_bytes());
            bytes.extend(item);
        }
        self.bytes(tag, b"SQ", bytes)
    }

    /// A sequence of one item: a code of a scheme, and what it means.
    pub(super) fn code(self, tag: u32, [value, scheme, meaning]: [&str; 3]) -> Self {
        let code = Self::default().text(0x0008_0100, b"SH", value).text(0x0008_0102, b"SH", scheme).text(
            0x0008_0104,
            b"LO",
            meaning,
        );
        self.sequence(tag, [code])
    }

    /// These elements and others, which come before equal ones.
    pub(super) fn with(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    pub(super) fn encoded(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (tag, (vr, mut value)) in self.0 {
            if value.len() % 2 == 1 {
                // Texts are padded with a blank, identifiers and bytes with zero.
                value.push(if matches!(&vr, b"UI" | b"OB" | b"OW" | b"UN") { 0 } else { b' ' });
            }
            put_tag(&mut bytes, tag);
            bytes.extend(vr);
            match &vr {
                b"OB" | b"OF" | b"OW" | b"SQ" | b"UN" => {
                    bytes.extend([0, 0]);
                    bytes.extend((value.len() as u32).to_le_bytes());
                }
                _ => bytes.extend((value.len() as u16).to_le_bytes()),
            }
            bytes.extend(value);
        }
        bytes
    }
}

fn put_tag(bytes: &mut Vec<u8>, tag: u32) {
    bytes.extend(((tag >> 16) as u16).to_le_bytes());
    bytes.extend((tag as u16).to_le_bytes());
}

/// A number of at most 16 characters, as close as these allow.
fn decimal(value: f64) -> String {
    const LONGEST: usize = 16;
    let shortest = format!("{value}");
    if shortest.len() <= LONGEST {
        return shortest;
    }
    let digits = (0..LONGEST).rev().map(|digits| format!("{value:.digits$e}"));
    digits.into_iter().find(|text| text.len() <= LONGEST).unwrap_or_else(|| "0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_in_sixteen_characters() {
        for (value, text) in [
            (0.0, "0"),
            (-7.25, "-7.25"),
            (1.0 / 3.0, "3.33333333333e-1"),
            (-1.0 / 3.0, "-3.3333333333e-1"),
            (-1.234_567_890_123_45e-5, "-1.2345678901e-5"),
        ] {
            assert_eq!(decimal(value), text);
            assert!(
                decimal(value).len() <= 16 && (decimal(value).parse::<f64>().unwrap() - value).abs() < 1e-10
            );
        }
    }
}
