//! Which images there are, what they show, which belong together, and how they are divided.
//!
//! [`Dataset::open`] lists samples without decoding any; [`Dataset::inspect`] decodes each image once and keeps what
//! grouping and the doctor need; [`Grouping`] says which samples must stay together; [`Split`] divides the groups.

mod channels;
mod closely;
mod doctor;
mod doctor_text;
mod empty;
mod fingerprint;
mod forest;
mod group;
mod held_files;
mod inspect;
mod kept_details;
mod kept_files;
mod layout;
mod likeness;
mod listed;
mod manifest;
mod near;
mod numbered;
mod pages;
mod reading;
mod remarks;
mod series;
mod shortcut;
mod sketch;
mod split;
mod split_file;
mod split_text;
mod union;
mod volumes;
mod walk;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use channels::ChannelFile;
pub use closely::CloseLook;
pub use doctor::{
    AcrossParts, Copies, Count, DoctorReport, Finding, Gravity, Masks, Named, Size, Support, doctor,
};
pub use fingerprint::Fingerprint;
pub use group::{DominatingGroup, GroupBy, Grouping};
pub use held_files::HeldFiles;
pub use inspect::{Inspected, Inspection};
pub use listed::listed_path;
pub use manifest::is_manifest;
pub use near::similarity_threshold;
pub(crate) use reading::read_for;
pub use reading::{read_channels, read_image};
pub use remarks::Remarks;
pub(crate) use series::UNEVEN;
pub use shortcut::{Property, Shortcut, ShortcutPart, shortcuts, shortcuts_of};
pub use sketch::Sketch;
pub(crate) use split::percent;
pub use split::{Fold, Leak, Split, SplitPolicy, SplitSettings, SplitSizes, smallest_rate};
pub use split_text::{LeftAside, Printed};
pub use volumes::{Case, Cases, Slice, Volume, empty_left_out, find_cases};
pub use walk::{ImageFiles, PassedOver, Skipped, Unsupported, describe_marked_folders, image_files};

use crate::{Error, Result};

/// The samples below a folder or in a manifest.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder, or the folder that holds the manifest.
    pub root: PathBuf,
    /// How the samples were found.
    pub layout: Layout,
    /// Sorted by name.
    pub samples: Vec<Sample>,
    /// What was passed over.
    pub skipped: Skipped,
    /// What was decided on the user's behalf or looks odd, in plain words.
    pub notes: Vec<String>,
}

/// The place of a slice in its volume.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct InVolume {
    /// The volume's name.
    pub name: String,
    /// Its number within the volume, from 0.
    pub slice: usize,
    /// All slices of the volume, those that show nothing but air included.
    pub slices: usize,
    /// Millimetres from slice to slice, where its files say and they are evenly spaced (DICOM, NIfTI).
    pub slice_spacing_mm: Option<f32>,
}

/// An image with its label, optional mask and optional group. It comes from a file, or from several of a channel each.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Where to open it: of several files the first.
    pub path: PathBuf,
    /// The files of its channels, where it comes from several: the first is that of `path`. Else empty.
    pub channels: Vec<ChannelFile>,
    /// Which page of full resolution of the file it is, from 0; `None` for the file's image.
    pub page: Option<u32>,
    /// Path relative to the root, `/` separated; for people, since it is lossy where a name is not UTF-8.
    pub name: String,
    /// What it shows.
    pub label: Label,
    /// The mask of its anomaly, when there is one.
    pub mask: Option<PathBuf>,
    /// The group that a manifest gives it.
    pub group: Option<String>,
    /// The volume that it is a slice of, where volumes are [taken apart](Dataset::by_volume).
    pub volume: Option<InVolume>,
    /// The part that folders or a manifest put it in.
    pub folder_split: Option<FolderSplit>,
}

/// What an image shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// Nothing abnormal.
    Normal,
    /// An anomaly.
    Anomalous {
        /// Of this kind: the class folder's name, or the manifest's word.
        kind: String,
    },
}

/// The part of a split that folders or a manifest name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FolderSplit {
    /// `train`, `training`.
    Train,
    /// `fit`, in a manifest.
    Fit,
    /// `calibration`, `val`, `valid`, `validation`.
    Calibration,
    /// `test`, `testing`.
    Test,
}

/// How the samples of a data set are laid out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layout {
    /// A folder of normal images, at any depth.
    Plain,
    /// `<class>/...`, or `<split>/<class>/...` as Kaggle sets have it.
    ClassFolders {
        /// Classes taken as normal.
        normal: Vec<String>,
        /// All other classes.
        kinds: Vec<String>,
    },
    /// `train/good`, `test/<kind>`, `ground_truth/<kind>`: MVTec AD and anomalib.
    Mvtec,
    /// A CSV or JSONL file with a row per sample.
    Manifest,
}

/// How to read a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Class folders that are normal. Empty: a class with a usual name is taken (`good`, `normal`, `notumor`, `healthy`,
    /// `ok`, `no_crack`, `defect-free`; if there is none, `negative`, `clean` and the like). The one name `*` takes every image as normal, whatever its folder.
    pub normal: Vec<String>,
    /// Takes files named `case_0000`, `case_0001`, or of one name in folders beside each other, as the channels of one image. In folders
    /// called `imagesTr`, `imagesTs` and `imagesVal`, as nnU-Net has them, and in `rgb` beside `xyz` of MVTec 3D-AD they are that anyway.
    pub cases: bool,
}

impl Dataset {
    /// Lists the samples below the folder or in the manifest (`.csv`, `.jsonl`) at `path`. Decodes nothing.
    ///
    /// # Errors
    /// The path cannot be read, holds no image, has class folders none of which is known to be normal, or a manifest
    /// does not parse.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|error| Error::io(path, &error))?;
        let mut dataset = if metadata.is_dir() {
            match ["manifest.csv", "manifest.jsonl"]
                .map(|name| path.join(name))
                .into_iter()
                .find(|file| file.is_file())
            {
                Some(file) if options.normal.is_empty() => manifest::open(&file)?,
                _ => layout::open(path, options)?,
            }
        } else {
            if !options.normal.is_empty() {
                return Err(Error::settings("normal class names were given together with a manifest")
                    .with_hint(
                        "a manifest says itself what is normal, in its column `label`; leave the names out",
                    ));
            }
            manifest::open(path)?
        };
        if let (0, anomalous) = dataset.counts() {
            let are = if anomalous == 1 { "the only image is anomalous" } else { "all images are anomalous" };
            dataset.notes.push(format!("found no normal image: {are}"));
        }
        dataset.samples.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
        Ok(dataset)
    }

    /// The name of the folder, also where it was given as `.`; empty for the root of the file system.
    pub fn name(&self) -> String {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let real = || name(&std::fs::canonicalize(&self.root).ok()?);
        name(&self.root).or_else(real).unwrap_or_default()
    }

    /// Names of the files of which each sample has one; empty where a sample is one file.
    pub fn channel_files(&self) -> Vec<&str> {
        let first = self.samples.first().map_or(&[][..], |sample| &sample.channels);
        first.iter().map(|file| file.name.as_str()).collect()
    }

    /// Numbers of normal and of anomalous samples.
    pub fn counts(&self) -> (usize, usize) {
        let normal = self.samples.iter().filter(|sample| sample.label.is_normal()).count();
        (normal, self.samples.len() - normal)
    }
}

impl Label {
    /// Nothing abnormal.
    pub fn is_normal(&self) -> bool {
        *self == Self::Normal
    }

    /// The kind of the anomaly, if it is one.
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::Normal => None,
            Self::Anomalous { kind } => Some(kind),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().unwrap_or("normal"))
    }
}

impl FolderSplit {
    /// The part that a folder's or a manifest's word means.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word.to_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "fit" => Some(Self::Fit),
            "calibration" | "val" | "valid" | "validation" => Some(Self::Calibration),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }
}

impl fmt::Display for FolderSplit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Fit => "fit",
            Self::Calibration => "calibration",
            Self::Test => "test",
        })
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => f.write_str("a folder of normal images"),
            Self::ClassFolders { normal, kinds } if normal.is_empty() => {
                write!(f, "class folders (none normal; anomalous: {})", kinds.join(", "))
            }
            Self::ClassFolders { normal, kinds } if kinds.is_empty() => {
                write!(f, "class folders (normal: {})", normal.join(", "))
            }
            Self::ClassFolders { normal, kinds } => {
                write!(f, "class folders (normal: {}; anomalous: {})", normal.join(", "), kinds.join(", "))
            }
            Self::Mvtec => f.write_str("MVTec (train/good, test/<kind>, ground_truth/<kind>)"),
            Self::Manifest => f.write_str("a manifest"),
        }
    }
}
