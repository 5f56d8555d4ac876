//! Folder -> files that are, or claim to be, images: the one walk behind every listing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use aberra_image::{FileClaim, claim};
use serde::Serialize;
use walkdir::{DirEntry, WalkDir};

use super::words::{is_mask_folder, split_extension, without_mask_word};
use crate::run::RunFolder;
use crate::{Error, Result};

/// What was passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Skipped {
    /// Files that are neither named like an image nor have the content of one, counted by extension (`""` for none).
    pub other: BTreeMap<String, usize>,
    /// Images of formats that are not decoded: HEIC, JPEG XL, raw files of cameras and others.
    pub unsupported: Vec<Unsupported>,
    /// Folders that Aberra wrote (runs, heat maps, figures), relative to the root: what lies in them is no data.
    pub marked_folders: Vec<String>,
    /// What could not be entered or read while listing, symbolic link loops included: one line each.
    pub unreachable: Vec<String>,
}

/// Images of one format that is not decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unsupported {
    /// What they are: "a HEIC image".
    pub format: &'static str,
    /// How many.
    pub files: usize,
    /// One of them.
    pub example: String,
}

impl Unsupported {
    fn count(list: &mut Vec<Self>, format: &'static str, example: impl FnOnce() -> String) {
        match list.iter_mut().find(|one| one.format == format) {
            Some(one) => one.files += 1,
            None => list.push(Self { format, files: 1, example: example() }),
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, files, example } = self;
        match files {
            1 => write!(f, "1 file that is {format}, which is not supported ({example})"),
            _ => write!(
                f,
                "{files} files of which each is {format}, which is not supported (such as {example})"
            ),
        }
    }
}

/// What [`image_files`] passed over, and what it lists that may be no image of its own.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PassedOver {
    /// Folders that Aberra wrote.
    pub marked_folders: Vec<PathBuf>,
    /// Images of formats that are not decoded.
    pub unsupported: Vec<Unsupported>,
    /// Files that are neither named like an image nor have the content of one, counted by extension (`""` for none).
    pub other: BTreeMap<String, usize>,
    /// Links that lead back to a folder above them: how many, and one.
    pub loops: Option<(usize, PathBuf)>,
    /// Files that are named, or lie in a folder that is named, like masks: how many, and one. They are listed.
    pub like_masks: Option<(usize, PathBuf)>,
    /// Files that are read with the first of their case.
    pub further: usize,
}

impl PassedOver {
    /// What another listing passed over, too.
    pub fn extend(&mut self, other: Self) {
        self.marked_folders.extend(other.marked_folders);
        for Unsupported { format, files, example } in other.unsupported {
            match self.unsupported.iter_mut().find(|one| one.format == format) {
                Some(one) => one.files += files,
                None => self.unsupported.push(Unsupported { format, files, example }),
            }
        }
        for (extension, files) in other.other {
            *self.other.entry(extension).or_default() += files;
        }
        self.further += other.further;
        for (sum, more) in [(&mut self.loops, other.loops), (&mut self.like_masks, other.like_masks)] {
            if let Some((files, example)) = more {
                sum.get_or_insert((0, example)).0 += files;
            }
        }
    }

    /// What a user should be warned of, a line each.
    pub fn warnings(&self) -> Vec<String> {
        let unsupported = self.unsupported.iter();
        let mut lines: Vec<String> = unsupported
            .map(|files| format!("passed over {files}; convert them to PNG or TIFF first"))
            .collect();
        if let Some((files, example)) = &self.like_masks {
            let example = example.display();
            lines.push(match files {
                1 => format!("1 file looks like a mask ({example}); it is judged like an image"),
                _ => {
                    format!("{files} files look like masks (such as {example}); they are judged like images")
                }
            });
        }
        lines
    }

    /// What a user should know, a line each.
    pub fn notes(&self) -> Vec<String> {
        let mut lines: Vec<String> = describe_marked_folders(&self.marked_folders)
            .map(|text| format!("passed over {text}"))
            .into_iter()
            .collect();
        if !self.other.is_empty() {
            lines.push(format!("passed over {}, which are no images", describe_others(&self.other)));
        }
        if let Some((links, example)) = &self.loops {
            let example = example.display();
            lines.push(match links {
                1 => format!("passed over 1 link that leads in a circle ({example})"),
                _ => format!("passed over {links} links that lead in circles (such as {example})"),
            });
        }
        match self.further {
            0 => {}
            1 => lines
                .push("1 file is a further channel of the image whose first file lies beside it".to_owned()),
            files => lines.push(format!(
                "{files} files are further channels of the images whose first files lie beside them"
            )),
        }
        lines
    }
}

/// Files that are no images, for people: how many of each extension, "2 .pdf, 1 .txt".
pub(super) fn describe_others(files: &BTreeMap<String, usize>) -> String {
    let kinds: Vec<String> = files
        .iter()
        .map(|(extension, count)| match extension.as_str() {
            "" => format!("{count} without extension"),
            _ => format!("{count} .{extension}"),
        })
        .collect();
    kinds.join(", ")
}

/// The folders that Aberra wrote and a listing passed over, for people: how many, and one of them. `None` for no folder.
pub fn describe_marked_folders(folders: &[impl AsRef<Path>]) -> Option<String> {
    let example = folders.first()?.as_ref().display();
    Some(match folders.len() {
        1 => format!("1 folder that Aberra wrote ({example})"),
        count => format!("{count} folders that Aberra wrote (such as {example})"),
    })
}

/// A file that is, or claims to be, an image.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// Components relative to the root, lossy.
    pub(crate) parts: Vec<String>,
}

impl Found {
    /// The components, `/` separated.
    pub(crate) fn name(&self) -> String {
        self.parts.join("/")
    }
}

/// Everything below `root` that is named like an image or has the content of one, sorted by path. Hidden files and
/// folders that Aberra wrote are passed over, links followed, loops reported.
pub(crate) fn walk(root: &Path) -> Result<(Vec<Found>, Skipped)> {
    let (mut found, mut skipped) = (Vec::new(), Skipped::default());
    let mut walk = Walk::new(root);
    let parts = |path: &Path| -> Vec<String> {
        let relative = path.strip_prefix(root).unwrap_or(path);
        relative.iter().map(|part| part.to_string_lossy().into_owned()).collect()
    };
    for entry in walk.by_ref() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if error.depth() == 0 => {
                let error = error.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links"));
                return Err(Error::io(root, &error));
            }
            Err(error) => {
                skipped.unreachable.push(error.to_string());
                continue;
            }
        };
        if !entry.file_type().is_file() {
            continue;
        }
        let path = entry.path();
        match claim(path) {
            FileClaim::Image => found.push(Found { path: path.to_owned(), parts: parts(path) }),
            FileClaim::Unsupported(format) => {
                Unsupported::count(&mut skipped.unsupported, format, || parts(path).join("/"));
            }
            FileClaim::Other => *skipped.other.entry(extension(path)).or_default() += 1,
        }
    }
    skipped.marked_folders = walk.marked_folders.iter().map(|path| parts(path).join("/")).collect();
    Ok((found, skipped))
}

/// The image files at `path`, listed as they are asked for: the path itself if it is a file, whatever its name, else
/// everything below it that is named like an image or has the content of one, in the order of names. Hidden files and
/// folders that Aberra wrote are passed over, unless `path` itself is such a folder; links are followed, but not in
/// circles. What cannot be entered is an error among the others.
pub fn image_files(path: &Path) -> ImageFiles {
    ImageFiles { walk: Walk::new(path), passed_over: PassedOver::default() }
}

/// The image files of [`image_files`].
#[derive(Debug)]
pub struct ImageFiles {
    walk: Walk,
    passed_over: PassedOver,
}

impl ImageFiles {
    /// What was passed over.
    pub fn passed_over(mut self) -> PassedOver {
        self.passed_over.marked_folders = self.walk.marked_folders;
        self.passed_over
    }

    /// Whether a file's name, or that of a folder below the root in which it lies, says mask.
    fn is_like_mask(&self, path: &Path) -> bool {
        let folders = path.parent().and_then(|folder| folder.strip_prefix(&self.walk.root).ok());
        if folders.into_iter().flatten().any(|folder| is_mask_folder(&folder.to_string_lossy())) {
            return true;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (stem, own) = split_extension(&name);
        let Some(image) = without_mask_word(stem) else { return false };
        let mut beside =
            [own].into_iter().chain(IMAGE_EXTENSIONS).map(|extension| format!("{image}.{extension}"));
        beside.any(|name| path.with_file_name(name).is_file())
    }
}

/// What images beside their masks are usually called.
const IMAGE_EXTENSIONS: [&str; 8] = ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "JPG", "PNG"];

impl Iterator for ImageFiles {
    type Item = Result<PathBuf>;

    fn next(&mut self) -> Option<Result<PathBuf>> {
        loop {
            match self.walk.next()? {
                Ok(entry) if entry.depth() == 0 && !entry.file_type().is_dir() => {
                    return Some(Ok(entry.into_path()));
                }
                Ok(entry) if entry.file_type().is_file() => match claim(entry.path()) {
                    FileClaim::Image => {
                        if self.is_like_mask(entry.path()) {
                            self.passed_over.like_masks.get_or_insert((0, entry.path().to_owned())).0 += 1;
                        }
                        return Some(Ok(entry.into_path()));
                    }
                    FileClaim::Unsupported(format) => {
                        let example = || entry.path().display().to_string();
                        Unsupported::count(&mut self.passed_over.unsupported, format, example);
                    }
                    FileClaim::Other => {
                        *self.passed_over.other.entry(extension(entry.path())).or_default() += 1;
                    }
                },
                Ok(_) => {}
                // What a loop leads back to is listed where it lies.
                Err(error) if error.loop_ancestor().is_some() => {
                    let path = error.path().unwrap_or(&self.walk.root).to_owned();
                    self.passed_over.loops.get_or_insert((0, path)).0 += 1;
                }
                Err(error) => {
                    let path = error.path().unwrap_or(&self.walk.root).to_owned();
                    let error =
                        error.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links"));
                    return Some(Err(Error::io(&path, &error)));
                }
            }
        }
    }
}

/// Lower-case extension, `""` for none.
pub(crate) fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// What lies below a root, and the root itself, in the order of names, without what is hidden and without folders that
/// Aberra wrote. The root is entered whatever it is.
#[derive(Debug)]
struct Walk {
    root: PathBuf,
    entries: walkdir::IntoIter,
    marked_folders: Vec<PathBuf>,
}

impl Walk {
    fn new(root: &Path) -> Self {
        let entries = WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter();
        Self { root: root.to_owned(), entries, marked_folders: Vec::new() }
    }
}

impl Iterator for Walk {
    type Item = walkdir::Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.entries.next()? {
                Ok(entry) if entry.depth() > 0 => entry,
                other => return Some(other),
            };
            let (is_folder, is_hidden) =
                (entry.file_type().is_dir(), entry.file_name().as_encoded_bytes().starts_with(b"."));
            let is_marked = is_folder && !is_hidden && RunFolder::is_one(entry.path());
            if !is_hidden && !is_marked {
                return Some(Ok(entry));
            }
            if is_folder {
                self.entries.skip_current_dir();
            }
            if is_marked {
                self.marked_folders.push(entry.into_path());
            }
        }
    }
}
