//! Which image an image is, whatever its file is called and wherever it lies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::error::Kind;

/// The identity of an image: its file's content, and which of the file's pages, frames or slices it is.
///
/// As text it is the hash in hexadecimal, and for every image but a file's first a colon and its number: a bare hash is the
/// first image of its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId {
    /// BLAKE3 hash of the file's bytes; zero for an image made in memory.
    pub hash: [u8; 32],
    /// Number of the page, frame or slice within the file, from 0.
    pub frame: u32,
}

impl ImageId {
    /// The first image of the file with these bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self { hash: *blake3::hash(bytes).as_bytes(), frame: 0 }
    }

    /// The identity of an image that is made of several, in their order.
    pub fn of_parts(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&part.to_bytes());
        }
        Self { hash: *hasher.finalize().as_bytes(), frame: 0 }
    }

    /// The identity as bytes, for hashing: the 32 of the hash, and for every image but a file's first 4 of the frame.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.hash.to_vec();
        if self.frame > 0 {
            bytes.extend(self.frame.to_le_bytes());
        }
        bytes
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from(self.hash).to_hex())?;
        if self.frame > 0 { write!(f, ":{}", self.frame) } else { Ok(()) }
    }
}

impl FromStr for ImageId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = || {
            let (hash, frame) = match text.split_once(':') {
                None => (text, 0),
                Some((hash, frame)) => (hash, frame.parse().ok()?),
            };
            let id = Self { hash: *blake3::Hash::from_hex(hash).ok()?.as_bytes(), frame };
            // One text for one image.
            (id.to_string() == text).then_some(id)
        };
        parsed().ok_or_else(|| {
            let message = format!(
                "expected an image's identity, 64 hexadecimal digits and perhaps a colon and its page, found {text:?}"
            );
            Error::new(Kind::Format, message)
        })
    }
}

impl Serialize for ImageId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_hash_is_the_first_image_of_its_file_and_each_image_has_one_text() {
        // BLAKE3 of no bytes, from the algorithm's specification.
        let hash = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        let first = ImageId::of_bytes(b"");
        assert_eq!((first.to_string().as_str(), first.frame), (hash, 0));
        let third = ImageId { frame: 2, ..first };
        assert_eq!(third.to_string(), format!("{hash}:2"));
        for id in [first, third] {
            assert_eq!(id.to_string().parse::<ImageId>().unwrap(), id);
            assert_eq!(serde_json::from_value::<ImageId>(serde_json::json!(id)).unwrap(), id);
        }
        assert_ne!(first.to_bytes(), third.to_bytes());
        assert_eq!(first.to_bytes(), first.hash);
        for wrong in ["", &hash[1..], &format!("{hash}:0"), &format!("{hash}:+1"), &format!("{hash}:x")] {
            assert!(wrong.parse::<ImageId>().unwrap_err().is_format(), "{wrong}");
        }
        assert!(hash.to_uppercase().parse::<ImageId>().is_err());
    }
}
