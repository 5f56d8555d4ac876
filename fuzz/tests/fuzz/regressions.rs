//! Inputs that once went wrong, each made by code from a seed: the target that found it takes it now.

use aberra_image::testing::{TiffPage, tiff};
use serde_json::{Value, json};

use crate::run::{once, seeds};
use crate::targets::TARGETS;

/// Makes the input of the target's seeds.
type Change = fn(&[Vec<u8>]) -> Vec<u8>;

/// The target, what was wrong, and the input.
const INPUTS: &[(&str, &str, Change)] = &[
    ("image", "memory of 3.6 GB for a chunk of a WebP, of which there were 26 bytes", |seeds| {
        let webp = seeds
            .iter()
            .find(|seed| seed.windows(4).any(|name| name == b"EXIF") && seed.starts_with(b"RIFF"));
        let mut webp = webp.unwrap().clone();
        let at = webp.windows(4).position(|name| name == b"EXIF").unwrap() + 4;
        webp[at..at + 4].copy_from_slice(&0xd900_001a_u32.to_le_bytes());
        webp
    }),
    ("image", "memory for seven million offsets of strips, in a TIFF of 158 bytes", |_| {
        let page = TiffPage::new(4, 4, vec![0; 16]).with(273, &[8]);
        let mut file = tiff(&[page]);
        let at = file.windows(4).position(|tag| tag == [0x11, 1, 4, 0]).unwrap();
        file[at + 4..at + 8].copy_from_slice(&0x70_0001_u32.to_le_bytes());
        file
    }),
    ("split", "a false-alarm rate that no split can have was read", |seeds| {
        changed(&seeds[0], |split| split["rate"] = json!(1.1))
    }),
    ("split", "fold 3 of 2 was read", |seeds| {
        changed(&seeds[0], |split| split["fold"] = json!({ "index": 3, "of": 2 }))
    }),
    ("evaluation", "a row with a measurement too many was left out of the table, without a word", |seeds| {
        changed(&seeds[0], |file| {
            let images = file["evaluation"]["images"].as_array_mut().unwrap();
            let scored = images.iter_mut().find_map(|image| image["outcome"].get_mut("scored")).unwrap();
            scored["evidence"].as_array_mut().unwrap().push(json!(0.5));
        })
    }),
];

fn changed(seed: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut document = serde_json::from_slice(seed).unwrap();
    change(&mut document);
    document.to_string().into_bytes()
}

#[test]
fn what_went_wrong_once_goes_well() {
    for (name, what, change) in INPUTS {
        let target = TARGETS.iter().find(|target| target.name == *name).unwrap();
        if let Err(wrong) = once(target, &change(&seeds(target))) {
            panic!("{name}, {what}: {wrong}");
        }
    }
}
