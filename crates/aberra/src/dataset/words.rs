//! Names and words by which data sets say what is normal, what is not, and what is a mask.

use super::FolderSplit;

/// What a word means for the images it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Normal, for certain.
    Normal,
    /// Normal, where nothing else is.
    PerhapsNormal,
    /// Anomalous.
    Defect,
    /// Nothing.
    Open,
}

const NORMAL: [&str; 10] =
    ["good", "normal", "normals", "notumor", "notumour", "healthy", "ok", "okay", "nofinding", "nofindings"];
const PERHAPS_NORMAL: [&str; 12] = [
    "negative",
    "negatives",
    "clean",
    "intact",
    "undamaged",
    "uncracked",
    "pass",
    "passed",
    "regular",
    "flawless",
    "perfect",
    "nominal",
];
const DEFECT: [&str; 84] = [
    "bad",
    "ng",
    "nok",
    "notok",
    "notgood",
    "defect",
    "defects",
    "defective",
    "defected",
    "anomaly",
    "anomalies",
    "anomalous",
    "abnormal",
    "abnormality",
    "abnormalities",
    "broken",
    "crack",
    "cracks",
    "cracked",
    "scratch",
    "scratches",
    "scratched",
    "damage",
    "damages",
    "damaged",
    "fault",
    "faults",
    "faulty",
    "fail",
    "fails",
    "failed",
    "failure",
    "reject",
    "rejects",
    "rejected",
    "tumor",
    "tumors",
    "tumour",
    "tumours",
    "cancer",
    "malignant",
    "benign",
    "lesion",
    "lesions",
    "disease",
    "diseased",
    "sick",
    "unhealthy",
    "infected",
    "pathological",
    "positive",
    "positives",
    "contaminated",
    "contamination",
    "glioma",
    "meningioma",
    "pituitary",
    "stain",
    "stained",
    "outlier",
    "ko",
    "bent",
    "blowhole",
    "breakage",
    "burr",
    "chipped",
    "corrosion",
    "corroded",
    "cut",
    "dent",
    "dented",
    "dirt",
    "dirty",
    "flaw",
    "flaws",
    "flawed",
    "hole",
    "irregular",
    "misprint",
    "missing",
    "pneumonia",
    "poke",
    "rust",
    "rusty",
];
const NEGATIONS: [&str; 6] = ["no", "non", "not", "without", "free", "zero"];
/// Folders that hold masks.
const MASK_FOLDERS: [&str; 18] = [
    "mask",
    "masks",
    "groundtruth",
    "groundtruths",
    "gt",
    "gts",
    "seg",
    "segs",
    "segmentation",
    "segmentations",
    "label",
    "labels",
    "labelstr",
    "labelsts",
    "annotation",
    "annotations",
    "labelmasks",
    "binarymasks",
];
/// What the name of a mask has that its image's has not, or that of a folder of masks beside one of images.
const MASK_WORDS: [&str; 9] =
    ["mask", "masks", "gt", "seg", "segmentation", "groundtruth", "label", "labels", "annotation"];
/// Folders that hold images, and say nothing else.
const IMAGE_FOLDERS: [&str; 6] = ["image", "images", "img", "imgs", "jpegimages", "pngimages"];

/// What the name of a class says.
pub(super) fn meaning(name: &str) -> Meaning {
    let (whole, words) = (plain(name), words(name));
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if NORMAL.contains(&whole.as_str()) {
        return Meaning::Normal;
    }
    if DEFECT.contains(&whole.as_str()) {
        return Meaning::Defect;
    }
    let is_joined = |word: &&str| {
        whole == format!("{word}free") || ["no", "non", "un"].iter().any(|no| whole == format!("{no}{word}"))
    };
    if has(&NEGATIONS) || DEFECT.iter().any(is_joined) {
        return match (has(&DEFECT) || DEFECT.iter().any(is_joined), has(&NORMAL)) {
            (true, false) => Meaning::Normal,
            (false, true) => Meaning::Defect,
            _ => Meaning::Open,
        };
    }
    if PERHAPS_NORMAL.contains(&whole.as_str()) {
        return Meaning::PerhapsNormal;
    }
    if has(&DEFECT) { Meaning::Defect } else { Meaning::Open }
}

/// Whether a folder of this name holds masks.
pub(super) fn is_mask_folder(name: &str) -> bool {
    MASK_FOLDERS.contains(&plain(name).as_str())
}

/// Whether a folder's name says no more than that images are in it.
pub(super) fn is_image_folder(name: &str) -> bool {
    IMAGE_FOLDERS.contains(&plain(name).as_str())
}

/// A file's name without its extension, and the extension: that of a compressed volume is both of its parts.
pub(super) fn split_extension(name: &str) -> (&str, &str) {
    const OF_VOLUMES: &str = ".nii.gz";
    let at = name.len().saturating_sub(OF_VOLUMES.len());
    match name.get(at..) {
        Some(end) if at > 0 && end.eq_ignore_ascii_case(OF_VOLUMES) => (&name[..at], &name[at + 1..]),
        _ => name.rsplit_once('.').unwrap_or((name, "")),
    }
}

/// The name without what says that it is a mask's: `a (1)` of `a (1)_mask`, `a (1)_mask_2`, `mask_a (1)` and `a (1)Mask`.
pub(super) fn without_mask_word(stem: &str) -> Option<&str> {
    let is_separator = |c: char| matches!(c, '_' | '-' | '.' | ' ');
    let is_word = |word: &str| MASK_WORDS.contains(&word.to_lowercase().as_str());
    let at_end = stem.rsplit_once(is_separator).and_then(|(before, last)| {
        if is_word(last) {
            return Some(before);
        }
        // One of several masks of an image.
        let is_number = !last.is_empty() && last.chars().all(|c| c.is_ascii_digit());
        let (image, word) = before.rsplit_once(is_separator).filter(|_| is_number)?;
        is_word(word).then_some(image)
    });
    let at_start =
        || stem.split_once(is_separator).and_then(|(first, after)| is_word(first).then_some(after));
    let joined = || {
        let image =
            ["Mask", "Masks", "GT", "Seg", "Label"].iter().find_map(|word| stem.strip_suffix(word))?;
        image.ends_with(|c: char| c.is_lowercase() || c.is_ascii_digit()).then_some(image)
    };
    at_end.or_else(at_start).or_else(joined).filter(|name| !name.is_empty())
}

/// Whether a folder of this name is a part of a split.
pub(super) fn is_split(name: &str) -> bool {
    FolderSplit::from_word(name).is_some()
}

/// Lower case, letters and digits only.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The words of a name, in lower case: separated by other characters than letters, or by a capital after a small letter.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphabetic() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if let (true, Some(word)) = (c.is_alphabetic(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_volume_has_one_extension_of_two_parts() {
        for (name, parts) in [
            ("a.png", ("a", "png")),
            ("000_mask.nii.gz", ("000_mask", "nii.gz")),
            ("b.NII.GZ", ("b", "NII.GZ")),
            ("c.tar.gz", ("c.tar", "gz")),
            ("d", ("d", "")),
            ("断層撮影.gz", ("断層撮影", "gz")),
        ] {
            assert_eq!(split_extension(name), parts, "{name}");
        }
    }

    #[test]
    fn names_say_what_they_mean() {
        for (meaning_of, names) in [
            (
                Meaning::Normal,
                &["good", "Normal", "no_tumor", "notumor", "OK", "defect-free", "non_defective", "NoCrack"][..],
            ),
            (Meaning::PerhapsNormal, &["negative", "Clean"]),
            (
                Meaning::Defect,
                &[
                    "bad",
                    "NG",
                    "not_good",
                    "Tumor",
                    "brokenLarge",
                    "crack_2",
                    "unhealthy",
                    "Positive",
                    "KO",
                    "hole_small",
                ],
            ),
            (Meaning::Open, &["brain", "2024", "0", "goodyear", "badge", "no"]),
        ] {
            for name in names {
                assert_eq!(meaning(name), meaning_of, "{name}");
            }
        }
    }

    #[test]
    fn a_mask_is_told_by_its_name() {
        for (stem, image) in [
            ("normal (1)_mask", Some("normal (1)")),
            ("benign (100)_mask_1", Some("benign (100)")),
            ("20000_GT", Some("20000")),
            ("Part0_label", Some("Part0")),
            ("x.seg", Some("x")),
            ("mask_000", Some("000")),
            ("gt-a_1", Some("a_1")),
            ("img0Mask", Some("img0")),
            ("unMask", Some("un")),
            ("Unmask", None),
            ("mask", None),
            ("_mask", None),
            ("with_mask_off", None),
            ("a_7", None),
        ] {
            assert_eq!(without_mask_word(stem), image, "{stem}");
        }
    }
}
