//! Samples of several files, a channel each (or several, of a file in colours): which files belong together.
//!
//! Files named as nnU-Net names them, `case_0000.png` and `case_0001.png`, are joined in nnU-Net's own folders and where that is asked
//! for: frames of films and photographs of one part have such names, too. So are files of one name in folders of their channels, as
//! `rgb/000.png` and `xyz/000.tiff` of MVTec 3D-AD: those two unasked. A manifest may say it in words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aberra_image::{Format, MAX_CHANNELS};

use super::walk::Found;
use super::words::split_extension;
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

/// The folders of an image's files in the layout of MVTec 3D-AD.
const MVTEC_3D: [&str; 2] = ["rgb", "xyz"];

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
    /// The files of the image whose first one lies at `path`, by the names of its channels; none where neither the file's name nor its
    /// folder's is that of the first.
    pub fn beside(path: &Path, channels: &[String]) -> Vec<Self> {
        let numbered = || {
            let numbers = numbers_of(channels)?;
            let name = path.file_name()?.to_str()?;
            let Numbered { case, number, extension } = Numbered::of(name)?;
            let file = |own: &&str| Self {
                name: (*own).to_owned(),
                path: path.with_file_name(format!("{case}_{own}{extension}")),
            };
            (*numbers.first()? == number).then(|| numbers.iter().map(file).collect())
        };
        let foldered = || {
            let (around, folder, name) = in_folder(path)?;
            let names = folders_of(channels, folder)?;
            let file = |own: &&str| Self { name: (*own).to_owned(), path: in_place(&around.join(own), name) };
            (*names.first()? == folder).then(|| names.iter().map(file).collect())
        };
        numbered().or_else(foldered).unwrap_or_default()
    }

    /// Whether images of these channels are of several files by their names.
    pub(crate) fn are_numbers(channels: &[String]) -> bool {
        numbers_of(channels).is_some()
    }

    /// Whether the file at `path` is not the first of an image whose first file is there: it is read with that one. A number beyond
    /// the channels is none of these.
    pub fn is_further(path: &Path, channels: &[String]) -> bool {
        let numbered = || {
            let numbers = numbers_of(channels)?;
            let Numbered { case, number, extension } = Numbered::of(path.file_name()?.to_str()?)?;
            let first = path.with_file_name(format!("{case}_{}{extension}", numbers.first()?));
            Some(numbers[1..].contains(&number) && first.is_file())
        };
        let foldered = || {
            let (around, folder, name) = in_folder(path)?;
            let names = folders_of(channels, folder)?;
            Some(names[1..].contains(&folder) && in_place(&around.join(names[0]), name).is_file())
        };
        numbered().or_else(foldered).unwrap_or(false)
    }

    /// A file beside these with the next number, which none of the channels has.
    pub(crate) fn beyond(files: &[Self]) -> Option<PathBuf> {
        let last = files.last().filter(|last| is_number(&last.name))?;
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

/// A file's place in two folders: the outer one, the name of the inner, and the file's.
fn in_folder(path: &Path) -> Option<(&Path, &str, &str)> {
    let folder = path.parent()?;
    Some((folder.parent()?, folder.file_name()?.to_str()?, path.file_name()?.to_str()?))
}

/// The file of the same name in another folder, whatever its format; where there is none, that of the same format, which is missing.
fn in_place(folder: &Path, name: &str) -> PathBuf {
    let stem = split_extension(name).0;
    let extensions = Format::DECODED.into_iter().flat_map(|format| format.extensions());
    let others = extensions.map(|extension| folder.join(format!("{stem}.{extension}")));
    let same = folder.join(name);
    [same.clone()].into_iter().chain(others).find(|path| path.is_file()).unwrap_or(same)
}

/// The folders that channels with these names come from, one of which is called `folder`, at least two. Of a file with several
/// channels, they are called `rgb_1` and so on.
fn folders_of<'a>(channels: &'a [String], folder: &str) -> Option<Vec<&'a str>> {
    let stem = |name: &'a str| {
        let (stem, number) = name.rsplit_once('_')?;
        number.bytes().all(|byte| byte.is_ascii_digit()).then_some(stem)
    };
    // Folders may be numbered, too: `band_1` and `band_2`.
    let is_file = |stem: &str| {
        let has = |number: u8| channels.iter().any(|name| *name == format!("{stem}_{number}"));
        has(1)
            && has(2)
            && !channels.iter().any(|name| name == folder && name.starts_with(&format!("{stem}_")))
    };
    let mut folders: Vec<&str> = Vec::new();
    for name in channels {
        let own = stem(name).filter(|stem| is_file(stem)).unwrap_or(name);
        if !folders.contains(&own) {
            folders.push(own);
        }
    }
    (folders.len() > 1 && folders.contains(&folder)).then_some(folders)
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

/// Brings the files of images together, if that is `asked` for or they lie in the folders of nnU-Net or of MVTec 3D-AD.
///
/// # Errors
/// A file that is not named so, or an image that has other files than the others.
pub(super) fn join_cases(images: Vec<Found>, asked: bool) -> Result<Joined> {
    if let Some(joined) = join_folders(&images, asked) {
        return joined;
    }
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

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::data(message).with_hint(
        "a file is missing, or is none of an image: move it away; or say in a manifest which files belong together",
    ))
}

/// Brings files of one name in folders beside each other together, if all lie in such folders: in those of MVTec 3D-AD, or in any where
/// that is `asked` for and files have no numbers of channels. `None` where they do not.
fn join_folders(images: &[Found], asked: bool) -> Option<Result<Joined>> {
    let mut files: BTreeMap<(&[String], &str), BTreeMap<&str, &Found>> = BTreeMap::new();
    let mut are_numbered = true;
    for file in images {
        let [around @ .., folder, name] = &file.parts[..] else { return None };
        files.entry((around, split_extension(name).0)).or_default().insert(folder, file);
        are_numbered &= Numbered::of(name).is_some();
    }
    let folders: BTreeSet<&str> = files.values().flat_map(BTreeMap::keys).copied().collect();
    let are_mvtec = folders.iter().map(|folder| folder.to_lowercase()).eq(MVTEC_3D);
    let share_names = files.values().any(|found| found.len() > 1);
    let are_wanted = asked && !are_numbered && share_names && folders.len() <= MAX_CHANNELS;
    if !are_mvtec && !are_wanted {
        return None;
    }
    let names: Vec<&str> = folders.iter().copied().collect();
    if let Some(((around, stem), found)) = files.iter().find(|(_, found)| found.len() != folders.len()) {
        let image = around.iter().map(String::as_str).chain([*stem]).collect::<Vec<_>>().join("/");
        let found: Vec<&str> = found.keys().copied().collect();
        return Some(refuse(format!(
            "expected a file of each image in the folders {}, found {} of {image}",
            names.join(", "),
            found.join(", ")
        )));
    }
    let mut joined = Joined { images: Vec::new(), channels: Vec::new(), note: None };
    for ((around, _), found) in &files {
        let channel = |(name, file): (&&str, &&Found)| ChannelFile {
            name: (*name).to_owned(),
            path: file.path.clone(),
        };
        let Some(first) = found.values().next() else { continue };
        let parts = around.iter().chain(first.parts.last()).cloned().collect();
        joined.images.push(Found { path: first.path.clone(), parts });
        joined.channels.push(found.iter().map(channel).collect());
    }
    joined.note =
        Some(format!("each image is {} files, one in each of the folders {}", names.len(), names.join(", ")));
    Some(Ok(joined))
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
    fn files_of_one_name_in_folders_of_their_channels_are_joined() {
        let mvtec = [
            "train/good/rgb/000.png",
            "train/good/xyz/000.tiff",
            "test/hole/rgb/000.png",
            "test/hole/xyz/000.tiff",
        ];
        let joined = join_cases(found(&mvtec), false).unwrap();
        assert_eq!(names(&joined), ["test/hole/000.png", "train/good/000.png"]);
        let channels: Vec<&str> = joined.channels[1].iter().map(|file| file.name.as_str()).collect();
        assert_eq!(channels, ["rgb", "xyz"]);
        assert!(joined.channels[1][1].path.ends_with("train/good/xyz/000.tiff"));
        assert!(joined.note.is_some_and(|note| note.contains("the folders rgb, xyz")));
        let error = join_cases(found(&mvtec[..3]), false).err().unwrap().to_string();
        assert!(error.contains("found rgb of test/hole/000"), "{error}");

        // Other folders are classes, unless it is asked for.
        let others = ["good/depth/a.tif", "good/grey/a.png", "good/depth/b.tif", "good/grey/b.png"];
        assert_eq!(join_cases(found(&others), false).unwrap().images.len(), 4);
        assert_eq!(names(&join_cases(found(&others), true).unwrap()), ["good/a.tif", "good/b.tif"]);
    }

    #[test]
    fn the_files_of_an_image_are_found_in_the_folders_beside_its_first() {
        let root = tempfile::tempdir().unwrap();
        for (folder, name) in [("rgb", "7.png"), ("xyz", "7.tiff"), ("band_1", "7.png"), ("band_2", "7.png")]
        {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
            std::fs::write(root.path().join(folder).join(name), "").unwrap();
        }
        let channels = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let of_mvtec = channels(&["rgb_1", "rgb_2", "rgb_3", "xyz_1", "xyz_2", "xyz_3"]);
        let files = ChannelFile::beside(&root.path().join("rgb/7.png"), &of_mvtec);
        assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["rgb", "xyz"]);
        assert_eq!(files[1].path, root.path().join("xyz/7.tiff"));
        assert!(ChannelFile::beside(&root.path().join("xyz/7.tiff"), &of_mvtec).is_empty());
        assert!(ChannelFile::is_further(&root.path().join("xyz/7.tiff"), &of_mvtec));
        assert!(!ChannelFile::is_further(&root.path().join("xyz/8.tiff"), &of_mvtec));
        assert!(!ChannelFile::is_further(&root.path().join("rgb/7.png"), &of_mvtec));
        let files = ChannelFile::beside(&root.path().join("band_1/7.png"), &channels(&["band_1", "band_2"]));
        assert_eq!(files[1].path, root.path().join("band_2/7.png"));
        assert!(ChannelFile::beyond(&files).is_none());
        assert!(ChannelFile::beside(&root.path().join("rgb/7.png"), &channels(&["rgb"])).is_empty());
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
