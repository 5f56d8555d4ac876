//! The served detectors by name, each with its evaluation, its statistics and values that are computed on demand.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::SystemTime;

use aberra::dataset::Sample;
use aberra::explain::{EmbeddingMoments, EvidenceRanks, Pca, embedding_moments, principal_components};
use aberra::image::{Format, Images, Limits, RelativeRegion};
use aberra::output::printable;
use aberra::{Detector, NamedMember};
use bytes::Bytes;

use crate::statistics::DetectorStatistics;

/// A detector and what the server keeps beside it.
#[derive(Debug)]
pub(crate) struct ServedDetector {
    /// The name in requests: unique, and of any script.
    pub(crate) name: String,
    /// The detector.
    pub(crate) detector: Detector,
    /// For percentiles of evidence among the calibration normals.
    pub(crate) ranks: EvidenceRanks,
    /// For the statistics extension of the Open Inference Protocol.
    pub(crate) statistics: Arc<DetectorStatistics>,
    /// The content hash of its file; empty if it was never saved.
    hash: String,
    components: Arc<OnceLock<Option<Pca>>>,
    moments: OnceLock<Option<EmbeddingMoments>>,
    known: Arc<OnceLock<KnownNormals>>,
    evaluation: RwLock<EvaluationState>,
}

/// The state of a detector's evaluation.
#[derive(Clone, Debug, Default)]
pub(crate) enum EvaluationState {
    /// No evaluation was requested.
    #[default]
    None,
    /// The evaluation is running.
    Running {
        /// Number of images done.
        done: usize,
        /// Number of images in total; 0 until it is known.
        of: usize,
    },
    /// The evaluation failed, and why.
    Failed(String),
    /// It is done.
    Done(Evaluated),
}

/// A finished evaluation.
#[derive(Clone, Debug)]
pub(crate) struct Evaluated {
    /// The data of the report, as JSON.
    pub(crate) json: Bytes,
    /// The report's images, by their numbers; none whose files cannot be looked at.
    pub(crate) images: Arc<[Option<EvaluatedImage>]>,
}

/// An evaluated image, with its files as they were.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EvaluatedImage {
    sample: Sample,
    /// Length and time of each file.
    files: Vec<(u64, Option<SystemTime>)>,
}

/// What became of the files of an image that is not given.
const CHANGED: &str = "expected the file that was evaluated, found it changed or gone since";

/// What browsers are given of an evaluated image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EvaluatedContent {
    /// The content of its file, of a format that browsers show.
    File(Vec<u8>),
    /// It has to be drawn: it is a part of a file, comes from several, or has a format that browsers do not show and that may hold what
    /// is not to be given away, as a DICOM file names a person.
    Draw,
}

impl EvaluatedImage {
    /// An image whose files are as they are now; `None` if one cannot be looked at.
    pub(crate) fn of(sample: &Sample) -> Option<Self> {
        let look = |path: &Path| {
            let found = std::fs::metadata(path).ok()?;
            Some((found.len(), found.modified().ok()))
        };
        let files = match &sample.channels[..] {
            [] => vec![look(&sample.path)?],
            channels => channels.iter().map(|file| look(&file.path)).collect::<Option<_>>()?,
        };
        Some(Self { sample: sample.clone(), files })
    }

    pub(crate) fn sample(&self) -> &Sample {
        &self.sample
    }

    /// Whether its files are as they were.
    ///
    /// # Errors
    /// They are not, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        if Self::of(&self.sample).as_ref() == Some(self) { Ok(()) } else { Err(CHANGED.to_owned()) }
    }

    /// # Errors
    /// It is larger than `most` bytes, no image, or not the same any more; in words.
    pub(crate) fn content(&self, most: u64) -> Result<EvaluatedContent, String> {
        let bytes: u64 = self.files.iter().map(|(bytes, _)| bytes).sum();
        if bytes > most {
            return Err(format!("expected a file of up to {most} bytes, found {bytes}"));
        }
        self.check()?;
        if self.sample.page.is_some() || !self.sample.channels.is_empty() {
            return Ok(EvaluatedContent::Draw);
        }
        let content = std::fs::read(&self.sample.path).ok();
        let content = content.filter(|content| content.len() as u64 == bytes).ok_or(CHANGED)?;
        self.check()?;
        match Images::open(&content, &Limits::default()).map(|images| images.format()) {
            Ok(Format::Png | Format::Jpeg | Format::Bmp | Format::Webp | Format::Gif) => {
                Ok(EvaluatedContent::File(content))
            }
            Ok(_) => Ok(EvaluatedContent::Draw),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl EvaluationState {
    /// Whether there is a result or will be one.
    pub(crate) fn exists(&self) -> bool {
        matches!(self, Self::Running { .. } | Self::Done(_))
    }
}

/// Names and thumbnails (`data:` URLs) of a detector's normals that were found in a data set, by the normal's index.
pub(crate) type KnownNormals = BTreeMap<usize, (Option<String>, Option<String>)>;

/// Number of principal components that clients are given.
const COMPONENTS: usize = 10;

impl ServedDetector {
    /// Serves `detector` under `name`.
    pub(crate) fn new(name: String, detector: Detector) -> Self {
        Self {
            name,
            ranks: EvidenceRanks::of(detector.normals()),
            statistics: Arc::default(),
            hash: detector.hash().unwrap_or_default().to_owned(),
            components: Arc::default(),
            moments: OnceLock::new(),
            known: Arc::default(),
            evaluation: RwLock::new(EvaluationState::None),
            detector,
        }
    }

    /// The same as it is for one request, which ignores further areas of its images.
    ///
    /// # Errors
    /// As [`Detector::ignoring`].
    pub(crate) fn ignoring(&self, areas: &[RelativeRegion]) -> aberra::Result<Self> {
        let detector = self.detector.ignoring(areas)?;
        Ok(Self {
            statistics: self.statistics.clone(),
            hash: self.hash.clone(),
            components: self.components.clone(),
            known: self.known.clone(),
            ..Self::new(self.name.clone(), detector)
        })
    }

    /// The member whose embedding space is shown; `None` if no member has one.
    pub(crate) fn embedding_member(&self) -> Option<&NamedMember> {
        self.detector.members().get(self.detector.embedding_member()?)
    }

    /// The principal components of the training normals' embeddings; `None` without an embedding space, or if the
    /// embeddings do not vary. Computed once.
    pub(crate) fn components(&self) -> Option<&Pca> {
        self.components.get_or_init(|| principal_components(&self.detector, COMPONENTS).ok()).as_ref()
    }

    /// Mean and standard deviation of the training normals in each dimension of the embedding space; `None` without
    /// one. Computed once.
    pub(crate) fn moments(&self) -> Option<&EmbeddingMoments> {
        self.moments.get_or_init(|| embedding_moments(&self.detector).ok()).as_ref()
    }

    /// Name and thumbnail of a normal, if it was found in a data set.
    pub(crate) fn known_normal(&self, normal: usize) -> (Option<String>, Option<String>) {
        self.known.get().and_then(|known| known.get(&normal)).cloned().unwrap_or_default()
    }

    /// Sets names and thumbnails of the normals.
    pub(crate) fn set_known_normals(&self, known: KnownNormals) {
        // A second call would set the same values.
        let _ = self.known.set(known);
    }

    /// The state of the evaluation.
    pub(crate) fn evaluation(&self) -> EvaluationState {
        self.evaluation.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the state of the evaluation.
    pub(crate) fn set_evaluation(&self, evaluated: EvaluationState) {
        *self.evaluation.write().unwrap_or_else(PoisonError::into_inner) = evaluated;
    }

    /// The content hash of the detector's file; empty if it was never saved.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }
}

/// All served detectors, in the order in which they were given.
#[derive(Clone, Debug)]
pub(crate) struct Detectors(Arc<[Arc<ServedDetector>]>);

impl Detectors {
    /// Serves each detector under its own name, unchanged.
    ///
    /// # Errors
    /// A name that requests could not use, or that two detectors share.
    pub(crate) fn new(given: Vec<(String, Detector)>) -> Result<Self, String> {
        let mut served: Vec<Arc<ServedDetector>> = Vec::with_capacity(given.len());
        for (name, detector) in given {
            check_name(&name)?;
            if served.iter().any(|other| other.name == name) {
                return Err(format!("expected detectors with names of their own, found two called {name:?}"));
            }
            served.push(Arc::new(ServedDetector::new(name, detector)));
        }
        Ok(Self(served.into()))
    }

    /// The detector of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<ServedDetector>> {
        self.0.iter().find(|served| served.name == name)
    }

    /// The detectors in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<ServedDetector>> {
        self.0.iter()
    }
}

/// Letters of any script stay as they are, percent-encoded in a URL.
fn check_name(name: &str) -> Result<(), String> {
    let refuse = |what: &str| Err(format!("expected a name for requests to use, found {what}"));
    match name {
        "" => refuse("an empty one"),
        // In a URL, these are relative paths.
        "." | ".." => refuse(&format!("{name:?}, which is a relative path in a URL")),
        _ if name.contains(['/', '\\']) => refuse(&format!("{name:?}, which has a slash in it")),
        _ if name.contains(char::REPLACEMENT_CHARACTER) => refuse(&format!("{name:?}, which is not text")),
        _ if printable(name) != name => refuse(&format!("{name:?}, which has characters without a shape")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use aberra::dataset::{Dataset, OpenOptions};

    use super::*;

    #[test]
    fn a_file_is_given_as_long_as_it_is_the_one_that_was_evaluated() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("good")).unwrap();
        let path = folder.path().join("good/a.png");
        let picture = crate::testing::png(0);
        std::fs::write(&path, &picture).unwrap();
        let sample = Dataset::open(folder.path(), &OpenOptions::default()).unwrap().samples.remove(0);
        let (image, bytes) = (EvaluatedImage::of(&sample).unwrap(), picture.len() as u64);
        assert_eq!(image.content(bytes).unwrap(), EvaluatedContent::File(picture.to_vec()));
        assert!(image.content(bytes - 1).unwrap_err().contains(&format!("found {bytes}")));
        let page = Sample { page: Some(0), ..sample.clone() };
        assert_eq!(EvaluatedImage::of(&page).unwrap().content(bytes).unwrap(), EvaluatedContent::Draw);
        std::fs::write(&path, b"another one").unwrap();
        assert!(image.content(bytes).unwrap_err().contains("changed"));
        std::fs::remove_file(&path).unwrap();
        assert!(image.content(bytes).unwrap_err().contains("gone"));
        assert_eq!(EvaluatedImage::of(&sample), None);
        // What a browser does not show may say whose it is.
        let header = format!("{:117}\n", "{'descr': '|u1', 'fortran_order': False, 'shape': (16, 16), }");
        let array = [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), &[7; 256]].concat();
        std::fs::write(&path, &array).unwrap();
        assert_eq!(EvaluatedImage::of(&sample).unwrap().content(1 << 20).unwrap(), EvaluatedContent::Draw);
    }

    #[test]
    fn names_of_any_script_stay_and_those_that_no_request_could_use_are_refused() {
        for name in ["first", "my run 2", "断層.v2", "é+b&c", "100 %", "..a"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a\\b", "a\nb", "\u{1b}[31m", "a\u{202e}b", "\u{fffd}"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
