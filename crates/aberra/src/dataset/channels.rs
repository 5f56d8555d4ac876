//! Samples of several files, a channel each (or several, of a file in colours): which files belong together.
//!
//! Files named as nnU-Net names them, `case_0000.png` and `case_0001.png`, are recognised; a manifest may say it in words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aberra_image::MAX_CHANNELS;

use super::remarks::counted;
use super::walk::Found;

/// The file of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelFile {
    /// What the channel is called.
    pub name: String,
    /// Where to open it.
    pub path: PathBuf,
}

/// A file name in three parts: `case`, `0000`, `.nii.gz`.
struct Numbered<'a> {
    case: &'a str,
    number: &'a str,
    extension: &'a str,
}

/// Digits of a channel's number in a file's name.
const DIGITS: usize = 4;

impl<'a> Numbered<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let stem = match name.strip_suffix(".gz") {
            Some(inner) => inner.rsplit_once('.')?.0,
            None => name.rsplit_once('.')?.0,
        };
        let (case, number) = stem.rsplit_once('_')?;
        let fits = !case.is_empty() && is_number(number);
        fits.then(|| Self { case, number, extension: &name[stem.len()..] })
    }
}

fn is_number(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl ChannelFile {
    /// The files of the case whose first one lies at `path`, by the names of an image's channels; none where these are no numbers,
    /// or it is not the first.
    pub fn beside(path: &Path, channels: &[String]) -> Vec<Self> {
        let files = || {
            let numbers = numbers_of(channels)?;
            let name = path.file_name()?.to_str()?;
            let Numbered { case, number, extension } = Numbered::of(name)?;
            let file = |own: &&str| Self {
                name: (*own).to_owned(),
                path: path.with_file_name(format!("{case}_{own}{extension}")),
            };
            (*numbers.first()? == number).then(|| numbers.iter().map(file).collect())
        };
        files().unwrap_or_default()
    }

    /// Whether the file at `path` is not the first of a case whose first file is there.
    pub fn is_further(path: &Path, channels: &[String]) -> bool {
        let first = || {
            let numbers = numbers_of(channels)?;
            let Numbered { case, number, extension } = Numbered::of(path.file_name()?.to_str()?)?;
            let first = path.with_file_name(format!("{case}_{}{extension}", numbers.first()?));
            Some(numbers[1..].contains(&number) && first.is_file())
        };
        first().unwrap_or(false)
    }
}

/// The numbers of the files that channels with these names come from, at least two; `None` where they are no numbers. Of a file in
/// colours, the channels are called `0000_1` and so on.
fn numbers_of(channels: &[String]) -> Option<Vec<&str>> {
    let mut numbers: Vec<&str> = Vec::new();
    for name in channels {
        let number = name.split_once('_').map_or(name.as_str(), |(number, _)| number);
        if !is_number(number) {
            return None;
        }
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    (numbers.len() > 1).then_some(numbers)
}

/// Images, the files of each case brought together.
pub(super) struct Cases {
    /// A file for each image: of a case the first, under the name of the case.
    pub(super) images: Vec<Found>,
    /// For each image the files of its channels; empty for an image of one file.
    pub(super) channels: Vec<Vec<ChannelFile>>,
    /// What looks like cases of several files and is none.
    pub(super) note: Option<String>,
}

/// Brings the files of cases together, where all files are named so, all cases have the same numbers, 2 to 16 of them, and not
/// every folder has a single case, as a folder of numbered images would have.
pub(super) fn join_cases(images: Vec<Found>) -> Cases {
    let mut cases: BTreeMap<(Vec<String>, String, String), BTreeMap<String, usize>> = BTreeMap::new();
    for (index, file) in images.iter().enumerate() {
        let [folders @ .., name] = &file.parts[..] else { return Cases::apart(images, None) };
        let Some(Numbered { case, number, extension }) = Numbered::of(name) else {
            return Cases::apart(images, None);
        };
        let key = (folders.to_vec(), case.to_owned(), extension.to_owned());
        cases.entry(key).or_default().insert(number.to_owned(), index);
    }
    let sets: BTreeSet<Vec<&str>> =
        cases.values().map(|files| files.keys().map(String::as_str).collect()).collect();
    let folders: BTreeSet<&[String]> = cases.keys().map(|(folders, ..)| &folders[..]).collect();
    let largest = sets.iter().max_by_key(|numbers| numbers.len());
    let Some(largest) = largest.filter(|numbers| (2..=MAX_CHANNELS).contains(&numbers.len())) else {
        return Cases::apart(images, None);
    };
    if folders.len() == cases.len() {
        return Cases::apart(images, None);
    }
    if sets.len() > 1 {
        let is_whole = |files: &BTreeMap<String, usize>| files.len() == largest.len();
        // Where most cases are whole, the others are likely to miss a file.
        let broken: Vec<String> = cases
            .iter()
            .filter(|(_, files)| !is_whole(files))
            .map(|((folders, case, _), _)| {
                folders.iter().chain([case]).cloned().collect::<Vec<_>>().join("/")
            })
            .collect();
        let broken: Vec<&str> = broken.iter().map(String::as_str).collect();
        let note = (2 * broken.len() < cases.len()).then(|| {
            format!(
                "files are named like channels of cases ({}), but {} files: each file is taken as an image of its own",
                largest.join(", "),
                counted(&broken, "case has other", "cases have other")
            )
        });
        return Cases::apart(images, note);
    }
    let mut joined = Cases { images: Vec::new(), channels: Vec::new(), note: None };
    for ((folders, case, extension), files) in &cases {
        let file = |(name, &index): (&String, &usize)| ChannelFile {
            name: name.clone(),
            path: images[index].path.clone(),
        };
        let channels: Vec<ChannelFile> = files.iter().map(file).collect();
        let parts = folders.iter().cloned().chain([format!("{case}{extension}")]).collect();
        joined.images.extend(channels.first().map(|first| Found { path: first.path.clone(), parts }));
        joined.channels.push(channels);
    }
    joined
}

impl Cases {
    pub(super) fn apart(images: Vec<Found>, note: Option<String>) -> Self {
        Self { channels: vec![Vec::new(); images.len()], images, note }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Vec<Found> {
        let file = |name: &&str| Found {
            path: Path::new("data").join(name),
            parts: name.split('/').map(str::to_owned).collect(),
        };
        names.iter().map(file).collect()
    }

    fn names(cases: &Cases) -> Vec<String> {
        cases.images.iter().map(Found::name).collect()
    }

    #[test]
    fn cases_of_the_same_numbers_are_joined() {
        let cases = join_cases(found(&[
            "good/a_0000.nii.gz",
            "good/a_0001.nii.gz",
            "good/b_0000.nii.gz",
            "good/b_0001.nii.gz",
            "bad/c_0000.nii.gz",
            "bad/c_0001.nii.gz",
        ]));
        assert_eq!(names(&cases), ["bad/c.nii.gz", "good/a.nii.gz", "good/b.nii.gz"]);
        let channels: Vec<&str> = cases.channels[1].iter().map(|file| file.name.as_str()).collect();
        assert_eq!(channels, ["0000", "0001"]);
        assert_eq!(cases.images[1].path, cases.channels[1][0].path);
        assert!(cases.channels[1][1].path.ends_with("good/a_0001.nii.gz"));
    }

    #[test]
    fn numbered_images_stay_images() {
        // One series a folder, whatever its length; numbers of other lengths; more than 16.
        for names in [
            &["good/img_0000.png", "good/img_0001.png", "bad/img_0000.png", "bad/img_0001.png"][..],
            &["a_000.png", "a_001.png", "b_000.png", "b_001.png"],
            &["a_0000.png", "a_0001.png", "b_0000.png", "b_0001.png", "other.png"],
        ] {
            let cases = join_cases(found(names));
            assert!(
                cases.channels.iter().all(Vec::is_empty) && cases.images.len() == names.len(),
                "{names:?}"
            );
            assert_eq!(cases.note, None);
        }
        let many: Vec<String> =
            ["a", "b"].iter().flat_map(|case| (0..17).map(move |at| format!("{case}_{at:04}.png"))).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(join_cases(found(&many)).channels.iter().all(Vec::is_empty));
    }

    #[test]
    fn a_missing_channel_is_said() {
        let cases = join_cases(found(&[
            "a_0000.png",
            "a_0001.png",
            "b_0000.png",
            "b_0001.png",
            "c_0000.png",
            "c_0001.png",
            "d_0000.png",
        ]));
        assert_eq!(cases.images.len(), 7);
        let note = cases.note.unwrap();
        assert!(note.contains("0000, 0001") && note.contains("1 case has other (d) files"), "{note}");
    }

    #[test]
    fn the_files_of_a_case_are_found_from_its_first() {
        let channels = ["0000".to_owned(), "0001_1".to_owned(), "0001_2".to_owned(), "0001_3".to_owned()];
        let files = ChannelFile::beside(Path::new("new/case_7_0000.png"), &channels);
        let paths: Vec<&str> = files.iter().filter_map(|file| file.path.to_str()).collect();
        assert_eq!(paths, ["new/case_7_0000.png", "new/case_7_0001.png"]);
        assert!(ChannelFile::beside(Path::new("new/case_7_0001.png"), &channels).is_empty());
        assert!(ChannelFile::beside(Path::new("new/case.png"), &channels).is_empty());
        let named = ["t1".to_owned(), "t2".to_owned()];
        assert!(ChannelFile::beside(Path::new("new/case_7_0000.png"), &named).is_empty());
    }
}
