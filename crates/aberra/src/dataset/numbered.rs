//! Numbered images -> sequences: the frames of a film, or the slices of a scan, that lie in a file each.

use std::collections::{BTreeMap, HashMap};

/// An image that is alone in its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alone<'a> {
    /// The file's number in a list.
    pub(super) file: usize,
    /// Its path or name, with `/` between folders.
    pub(super) name: &'a str,
    /// Height and width; `None` of one that cannot be read.
    pub(super) sides: Option<[usize; 2]>,
}

/// Images that belong together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    /// The folder, or the names up to the number where a folder holds several sequences or other images.
    pub(super) name: String,
    /// Its files, by their numbers.
    pub(super) files: Vec<usize>,
}

/// The sequences among images, in the order of their first files, and the files that are in none. A sequence are two or more images of
/// one size and type in one folder whose names differ in nothing but the number at their end.
pub(super) fn sequences(images: &[Alone<'_>]) -> (Vec<Sequence>, Vec<usize>) {
    let mut by_name: BTreeMap<(&str, &str), Vec<(Number<'_>, Alone<'_>)>> = BTreeMap::new();
    let mut alone = Vec::new();
    let mut in_folder: HashMap<&str, usize> = HashMap::new();
    for image in images {
        *in_folder.entry(folder(image.name)).or_default() += 1;
        match numbered(image.name).filter(|_| image.sides.is_some()) {
            Some((before, number, extension)) => {
                by_name.entry((before, extension)).or_default().push((number, *image));
            }
            None => alone.push(image.file),
        }
    }
    let mut found = Vec::new();
    for ((before, _), mut images) in by_name {
        if images.len() < 2 || images.iter().any(|(_, image)| image.sides != images[0].1.sides) {
            alone.extend(images.iter().map(|(_, image)| image.file));
            continue;
        }
        // The files of one number, such as 1.png and 01.png, stay in their order.
        images.sort_by_key(|(number, _)| *number);
        let folder = folder(before);
        let name = match before.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '/') {
            _ if in_folder.get(folder) == Some(&images.len()) && !folder.is_empty() => folder,
            "" => "images",
            before => before,
        };
        found.push(Sequence {
            name: name.to_owned(),
            files: images.iter().map(|(_, image)| image.file).collect(),
        });
    }
    found.sort_by_key(|sequence| sequence.files.iter().min().copied());
    alone.sort_unstable();
    (found, alone)
}

/// A number of any length: the number of its digits without leading zeros, and these.
type Number<'a> = (usize, &'a str);

/// What is before the number at the end of a file's name, the number, and the extension.
fn numbered(name: &str) -> Option<(&str, Number<'_>, &str)> {
    let start = folder(name).len();
    let end = name[start..].rfind('.').map_or(name.len(), |at| start + at);
    let digits = name[start..end].bytes().rev().take_while(u8::is_ascii_digit).count();
    let number = name[end - digits..end].trim_start_matches('0');
    (digits > 0).then(|| (&name[..end - digits], (number.len(), number), &name[end..]))
}

fn folder(name: &str) -> &str {
    &name[..name.rfind('/').map_or(0, |at| at + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(images: &[(&str, Option<[usize; 2]>)]) -> (Vec<(String, Vec<usize>)>, Vec<usize>) {
        let images: Vec<Alone<'_>> =
            images.iter().enumerate().map(|(file, &(name, sides))| Alone { file, name, sides }).collect();
        let (sequences, alone) = sequences(&images);
        (sequences.into_iter().map(|one| (one.name, one.files)).collect(), alone)
    }

    #[test]
    fn images_whose_names_differ_in_a_number_are_in_its_order() {
        let size = Some([4, 6]);
        let (sequences, alone) = found(&[
            ("a/frame_10.png", size),
            ("a/frame_9.png", size),
            ("a/frame_0011.png", size),
            ("scans/p00-002.png", size),
            ("scans/p00-001.png", size),
            ("scans/p01-001.png", size),
            ("scans/p01-002.png", size),
            ("scans/p02-001.png", size),
            ("scans/notes.png", size),
        ]);
        let expected = [("a/", vec![1, 0, 2]), ("scans/p00", vec![4, 3]), ("scans/p01", vec![5, 6])];
        assert_eq!(sequences, expected.map(|(name, files)| (name.to_owned(), files)));
        assert_eq!(alone, [7, 8]);
    }

    #[test]
    fn images_of_several_sizes_or_types_are_no_sequence() {
        let (sequences, alone) = found(&[
            ("a/1.png", Some([4, 6])),
            ("a/2.png", Some([6, 4])),
            ("b/1.png", Some([4, 6])),
            ("b/2.jpg", Some([4, 6])),
            ("c/1.png", Some([4, 6])),
            ("c/2.png", None),
        ]);
        assert_eq!((sequences.len(), alone), (0, vec![0, 1, 2, 3, 4, 5]));
        // Without a folder to be called by.
        let (sequences, _) = found(&[("2.png", Some([4, 6])), ("01.png", Some([4, 6]))]);
        assert_eq!(sequences, [("images".to_owned(), vec![1, 0])]);
    }
}
