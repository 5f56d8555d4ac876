//! Samples of several files, a channel each (or several, of a file in colours): which files belong together.
//!
//! Files named as nnU-Net names them, `case_0000.png` and `case_0001.png`, are joined in nnU-Net's own folders and where that is asked
//! for: frames of films and photographs of one part have such names, too. A manifest may say it in words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aberra_image::MAX_CHANNELS;

use super::walk::Found;
use crate::{Error, Result};

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

/// The folders of images in nnU-Net's layout.
const FOLDERS: [&str; 3] = ["imagesTr", "imagesTs", "imagesVal"];

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

    /// Whether images of these channels are of several files by their names.
    pub(crate) fn are_numbers(channels: &[String]) -> bool {
        numbers_of(channels).is_some()
    }

    /// Whether the file at `path` is not the first of a case whose first file is there: it is read with that one. A number beyond
    /// the channels is none of these.
    pub fn is_further(path: &Path, channels: &[String]) -> bool {
        let first = || {
            let numbers = numbers_of(channels)?;
            let Numbered { case, number, extension } = Numbered::of(path.file_name()?.to_str()?)?;
            let first = path.with_file_name(format!("{case}_{}{extension}", numbers.first()?));
            Some(numbers[1..].contains(&number) && first.is_file())
        };
        first().unwrap_or(false)
    }

    /// A file beside these with the next number, which none of the channels has.
    pub(crate) fn beyond(files: &[Self]) -> Option<PathBuf> {
        let last = files.last()?;
        let Numbered { case, number, extension } = Numbered::of(last.path.file_name()?.to_str()?)?;
        let next =
            last.path.with_file_name(format!("{case}_{:04}{extension}", number.parse::<u32>().ok()? + 1));
        next.is_file().then_some(next)
    }
}

/// The numbers of the files that channels with these names come from, at least two; `None` where they are no numbers. Of a file in
/// colours, the channels are called `0000_1` and so on.
fn numbers_of(channels: &[String]) -> Option<Vec<&str>> {
    let mut numbers: Vec<&str> = Vec::new();
    for name in channels {
        let number = match name.split_once('_') {
            Some((number, of_colours)) if of_colours.bytes().all(|byte| byte.is_ascii_digit()) => number,
            Some(_) => return None,
            None => name,
        };
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
pub(super) struct Joined {
    /// A file for each image: of a case the first, under the name of the case.
    pub(super) images: Vec<Found>,
    /// For each image the files of its channels; empty for an image of one file.
    pub(super) channels: Vec<Vec<ChannelFile>>,
    /// What is to be said of it.
    pub(super) note: Option<String>,
}

/// The files of each case by their numbers, as positions in the list of images; a case is its folders, its name and the extension.
type Files = BTreeMap<(Vec<String>, String, String), BTreeMap<String, usize>>;

/// Brings the files of cases together, if that is `asked` for or they lie in nnU-Net's own folders.
///
/// # Errors
/// A file that is not named so, or a case that has other numbers than the others.
pub(super) fn join_cases(images: Vec<Found>, asked: bool) -> Result<Joined> {
    let mut files = Files::new();
    let mut odd = None;
    for (index, file) in images.iter().enumerate() {
        let numbered =
            file.parts.split_last().and_then(|(name, folders)| Some((Numbered::of(name)?, folders)));
        match numbered {
            Some((Numbered { case, number, extension }, folders)) => {
                let key = (folders.to_vec(), case.to_owned(), extension.to_owned());
                files.entry(key).or_default().insert(number.to_owned(), index);
            }
            None => odd = odd.or(Some(file)),
        }
    }
    let largest = files.values().max_by_key(|numbers| numbers.len());
    let largest: Vec<String> = largest.map(|numbers| numbers.keys().cloned().collect()).unwrap_or_default();
    let fits = (2..=MAX_CHANNELS).contains(&largest.len());
    let of_nnunet = |(folders, ..): &(Vec<String>, String, String)| {
        folders.last().is_some_and(|folder| FOLDERS.contains(&folder.as_str()))
    };
    let are_nnunet = fits && odd.is_none() && files.keys().all(of_nnunet);
    if !asked && !are_nnunet {
        let note = (odd.is_none() && fits && look_joined(&files, &largest)).then(|| {
            format!(
                "files are named like channels of cases ({}); each is taken as an image of its own, and `cases` makes \
                 one image of each case",
                largest.join(", ")
            )
        });
        return Ok(Joined { channels: vec![Vec::new(); images.len()], images, note });
    }
    let refuse = |message: String| {
        Err(Error::data(message).with_hint(
            "a file is missing, or is none of a case: move it away; or say in a manifest which files belong together",
        ))
    };
    if let Some(file) = odd {
        let name = file.name();
        return refuse(format!("expected files named case_0000, case_0001, ..., found {name}"));
    }
    if !fits {
        return refuse(format!(
            "expected cases of 2 to {MAX_CHANNELS} files, found {} in the largest",
            largest.len()
        ));
    }
    if let Some(((folders, case, extension), found)) =
        files.iter().find(|(_, numbers)| !numbers.keys().eq(largest.iter()))
    {
        let case = folders.iter().chain([case]).map(String::as_str).collect::<Vec<_>>().join("/");
        let found: Vec<&str> = found.keys().map(String::as_str).collect();
        return refuse(format!(
            "expected the files {} of each case, found {} of {case} ({extension})",
            largest.join(", "),
            found.join(", ")
        ));
    }
    let mut joined = Joined { images: Vec::new(), channels: Vec::new(), note: None };
    for ((folders, case, extension), numbers) in &files {
        let file = |(name, &index): (&String, &usize)| ChannelFile {
            name: name.clone(),
            path: images[index].path.clone(),
        };
        let channels: Vec<ChannelFile> = numbers.iter().map(file).collect();
        let parts = folders.iter().cloned().chain([format!("{case}{extension}")]).collect();
        joined.images.extend(channels.first().map(|first| Found { path: first.path.clone(), parts }));
        joined.channels.push(channels);
    }
    joined.note = Some(format!(
        "each image is {} files, one for each of the channels {}",
        largest.len(),
        largest.join(", ")
    ));
    Ok(joined)
}

/// Whether the names would fit channels: 0000, 0001 and on of every case, and folders of several cases, which a folder of one film
/// is not.
fn look_joined(files: &Files, numbers: &[String]) -> bool {
    let in_order = numbers.iter().enumerate().all(|(at, number)| *number == format!("{at:04}"));
    let folders: BTreeSet<&[String]> = files.keys().map(|(folders, ..)| &folders[..]).collect();
    in_order && folders.len() < files.len() && files.values().all(|found| found.keys().eq(numbers.iter()))
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

    fn names(cases: &Joined) -> Vec<String> {
        cases.images.iter().map(Found::name).collect()
    }

    #[test]
    fn cases_of_the_same_numbers_are_joined() {
        let files = found(&[
            "good/a_0000.nii.gz",
            "good/a_0001.nii.gz",
            "good/b_0000.nii.gz",
            "good/b_0001.nii.gz",
            "bad/c_0000.nii.gz",
            "bad/c_0001.nii.gz",
        ]);
        let cases = join_cases(files.clone(), true).unwrap();
        assert_eq!(names(&cases), ["bad/c.nii.gz", "good/a.nii.gz", "good/b.nii.gz"]);
        let channels: Vec<&str> = cases.channels[1].iter().map(|file| file.name.as_str()).collect();
        assert_eq!(channels, ["0000", "0001"]);
        assert_eq!(cases.images[1].path, cases.channels[1][0].path);
        assert!(cases.channels[1][1].path.ends_with("good/a_0001.nii.gz"));
        assert!(cases.note.is_some_and(|note| note.contains("the channels 0000, 0001")));
        // Unasked, it is only said.
        let apart = join_cases(files, false).unwrap();
        assert_eq!(apart.images.len(), 6);
        assert!(apart.note.is_some_and(|note| note.contains("each is taken as an image of its own")));
    }

    #[test]
    fn the_folders_of_nnunet_are_joined_unasked() {
        let two = ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz"];
        assert_eq!(names(&join_cases(found(&two), false).unwrap()), ["imagesTr/a.nii.gz"]);
        let one = ["imagesTr/a_0000.nii.gz", "imagesTr/b_0000.nii.gz"];
        assert_eq!(join_cases(found(&one), false).unwrap().images.len(), 2);
    }

    #[test]
    fn numbered_images_stay_images() {
        let films: Vec<String> =
            ["a", "b"].iter().flat_map(|film| (0..12).map(move |at| format!("{film}_{at:04}.png"))).collect();
        let films: Vec<&str> = films.iter().map(String::as_str).collect();
        for (names, is_said) in [
            (&["good/img_0000.png", "good/img_0001.png", "bad/img_0000.png", "bad/img_0001.png"][..], false),
            (&["a_000.png", "a_001.png", "b_000.png", "b_001.png"], false),
            (&["site_2019.png", "site_2020.png", "other_2019.png", "other_2020.png"], false),
            (&["screw1_0001.png", "screw1_0002.png", "screw2_0001.png", "screw2_0002.png"], false),
            (&["a_0000.png", "a_0001.png", "b_0000.png", "b_0001.png", "other.png"], false),
            (&films, true),
        ] {
            let cases = join_cases(found(names), false).unwrap();
            assert!(
                cases.channels.iter().all(Vec::is_empty) && cases.images.len() == names.len(),
                "{names:?}"
            );
            assert_eq!(cases.note.is_some(), is_said, "{names:?}");
        }
    }

    #[test]
    fn a_file_that_is_missing_or_odd_is_an_error() {
        let whole = ["a_0000.png", "a_0001.png", "b_0000.png", "b_0001.png"];
        for (more, expected) in [
            ("c_0000.png", "found 0000 of c (.png)"),
            ("other.png", "found other.png"),
            ("b_0001.jpg", "found 0001 of b (.jpg)"),
        ] {
            let error = join_cases(found(&[&whole[..], &[more]].concat()), true).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let many: Vec<String> = (0..17).map(|at| format!("a_{at:04}.png")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let error = join_cases(found(&many), true).err().unwrap().to_string();
        assert!(error.contains("2 to 16 files, found 17"), "{error}");
    }

    #[test]
    fn the_files_of_a_case_are_found_from_its_first() {
        let channels = ["0000".to_owned(), "0001_1".to_owned(), "0001_2".to_owned(), "0001_3".to_owned()];
        let files = ChannelFile::beside(Path::new("new/case_7_0000.png"), &channels);
        let paths: Vec<&str> = files.iter().filter_map(|file| file.path.to_str()).collect();
        assert_eq!(paths, ["new/case_7_0000.png", "new/case_7_0001.png"]);
        assert!(ChannelFile::beside(Path::new("new/case_7_0001.png"), &channels).is_empty());
        assert!(ChannelFile::beside(Path::new("new/case.png"), &channels).is_empty());
        let years = ["2019_a".to_owned(), "2020_b".to_owned()];
        assert!(ChannelFile::beside(Path::new("new/case_2019.png"), &years).is_empty());
        let named = ["t1".to_owned(), "t2".to_owned()];
        assert!(ChannelFile::beside(Path::new("new/case_7_0000.png"), &named).is_empty());
    }
}
