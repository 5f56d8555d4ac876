//! Scoring divided over machines: which images are a shard's own, and the record beside its rows, by which `aberra merge` knows
//! that no image is missing and none is there twice.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::CommandError;
use crate::output;

/// One of several parts into which images are divided by a hash of their paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) of: usize,
}

impl FromStr for Shard {
    type Err = String;

    /// Parses `I/N`, with I from 1.
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed =
            text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parsed {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err(format!("expected I/N such as 1/8, with I from 1 to N, found {text:?}")),
        }
    }
}

impl Shard {
    /// Whether an image is the shard's own. The path is hashed as it is printed, so that every machine must name images alike.
    pub(crate) fn has(self, path: &str) -> bool {
        hash(path) % self.of as u64 == self.number as u64 - 1
    }
}

/// A hash of a path that is the same on every machine and in every version.
fn hash(path: &str) -> u64 {
    let hash = blake3::hash(path.as_bytes());
    hash.as_bytes().iter().take(8).rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// The images of all shards, as one of them has listed them: their number, and a sum of the hashes of their paths in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    pub(crate) files: u64,
    pub(crate) sum: u64,
}

impl Listing {
    pub(crate) fn add(&mut self, path: &str) {
        self.files += 1;
        self.sum = self.sum.wrapping_add(hash(path));
    }
}

/// What a finished shard has done: a file beside its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShardRecord {
    kind: String,
    version: u32,
    aberra_version: String,
    /// From 1.
    pub(crate) shard: usize,
    pub(crate) of: usize,
    /// Hash of the detector's file.
    pub(crate) detector: Option<String>,
    /// Of all shards.
    pub(crate) listing: Listing,
    /// Files of this shard.
    pub(crate) own_files: u64,
    /// Rows of this shard: of files, or of their pages.
    pub(crate) rows: u64,
    /// Images of this shard that could not be scored, and have no row.
    pub(crate) failed: u64,
}

const KIND: &str = "aberra shard";
const VERSION: u32 = 1;

impl ShardRecord {
    pub(crate) fn new(shard: Shard, detector: Option<&str>, listing: Listing) -> Self {
        Self {
            kind: KIND.to_owned(),
            version: VERSION,
            aberra_version: env!("CARGO_PKG_VERSION").to_owned(),
            shard: shard.number,
            of: shard.of,
            detector: detector.map(str::to_owned),
            listing,
            own_files: 0,
            rows: 0,
            failed: 0,
        }
    }

    /// Where the record of a file of rows lies.
    pub(crate) fn path(rows: &Path) -> PathBuf {
        let mut name = rows.as_os_str().to_owned();
        name.push(".shard.json");
        name.into()
    }

    /// Writes the record beside the rows, atomically.
    pub(crate) fn write(&self, rows: &Path) -> Result<(), CommandError> {
        Ok(aberra::output::write(&Self::path(rows), (output::pretty(self)? + "\n").as_bytes())?)
    }

    /// Removes the record of an earlier run: that of this one is written when it has finished.
    pub(crate) fn forget(rows: &Path) -> Result<(), CommandError> {
        let path = Self::path(rows);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(CommandError::at(&path, error)),
            _ => Ok(()),
        }
    }

    /// Reads the record beside rows.
    pub(crate) fn read(rows: &Path) -> Result<Self, CommandError> {
        let path = Self::path(rows);
        let unfinished = "run the shard again: its record is written once it has finished";
        let text = fs::read_to_string(&path)
            .map_err(|error| CommandError::at(&path, error).with_hint(unfinished))?;
        let record: Self = serde_json::from_str(&text).map_err(|error| {
            CommandError::at(&path, format!("expected the record of a shard, found another file ({error})"))
                .with_hint(unfinished)
        })?;
        match record.kind == KIND && record.version == VERSION {
            true => Ok(record),
            false => Err(CommandError::at(
                &path,
                format!(
                    "expected the record of a shard of version {VERSION}, found {:?} {}",
                    record.kind, record.version
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_is_in_one_shard_and_shards_are_of_about_one_size() {
        let paths: Vec<String> = (0..7_000).map(|number| format!("images/{number:05}.png")).collect();
        for of in [1, 2, 7, 64] {
            let shards: Vec<Shard> = (1..=of).map(|number| Shard { number, of }).collect();
            let owners = |path: &String| shards.iter().filter(|shard| shard.has(path)).count();
            assert!(paths.iter().all(|path| owners(path) == 1));
            let expected = paths.len() as f64 / of as f64;
            for shard in shards {
                let own = paths.iter().filter(|path| shard.has(path)).count() as f64;
                assert!((own - expected).abs() < 5.0 * expected.sqrt() + 1.0, "{own} of {expected}");
            }
        }
        // Other versions and machines have to agree.
        assert_eq!(hash("images/00000.png"), 9_915_939_390_127_416_110); // by the Python package blake3
    }

    #[test]
    fn only_a_number_within_their_number_is_a_shard() {
        assert_eq!("3/8".parse(), Ok(Shard { number: 3, of: 8 }));
        for wrong in ["0/8", "9/8", "3", "3/", "/8", "-1/8", "1/0", "a/b", "1/2/3"] {
            let error = wrong.parse::<Shard>().unwrap_err();
            assert!(error.contains("expected I/N") && error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_listing_does_not_depend_on_the_order() {
        let listing = |paths: &[&str]| {
            let mut listing = Listing::default();
            paths.iter().for_each(|path| listing.add(path));
            listing
        };
        assert_eq!(listing(&["a", "b", "c"]), listing(&["c", "a", "b"]));
        assert_ne!(listing(&["a", "b", "c"]), listing(&["a", "b", "d"]));
    }
}
