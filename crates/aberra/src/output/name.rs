//! Names of files that are made of other names: no longer than a file system takes, and still different.

use std::ffi::{OsStr, OsString};

/// The longest name of a file, in bytes, that the usual file systems take.
const MOST_BYTES: usize = 255;
/// Characters of a hash that keep shortened names apart.
const HASH_CHARACTERS: usize = 12;

/// The name `prefix`, `stem`, `ending`: where it would be too long, the stem ends early, with a hash of all of it.
pub fn file_name(prefix: &str, stem: &OsStr, ending: &str) -> OsString {
    let whole: OsString = [OsStr::new(prefix), stem, OsStr::new(ending)].into_iter().collect();
    if whole.len() <= MOST_BYTES {
        return whole;
    }
    let hash = blake3::hash(stem.as_encoded_bytes()).to_hex();
    let end = format!("-{}{ending}", &hash[..HASH_CHARACTERS]);
    let room = MOST_BYTES.saturating_sub(prefix.len() + end.len());
    let mut stem = stem.to_string_lossy().into_owned();
    stem.truncate(stem.floor_char_boundary(room));
    format!("{prefix}{stem}{end}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_at_a_character_and_stay_different() {
        let name = |stem: &str| file_name("000001-", OsStr::new(stem), ".png").into_string().unwrap();
        assert_eq!(name("a"), "000001-a.png");
        assert_eq!(name(&"b".repeat(244)).len(), 255);
        for long in ["b".repeat(245), "\u{65ad}".repeat(82), "\u{1f980}".repeat(400)] {
            let (first, second) = (name(&long), name(&format!("{long}2")));
            assert!(first.len() <= 255 && first.len() > 240 && first.ends_with(".png"), "{first}");
            assert_ne!(first, second);
        }
    }
}
