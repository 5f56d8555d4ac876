//! The detectors that are served, each under its name, with what answers need beside the file.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use aberra::explain::{EmbeddingMoments, EvidenceRanks, Pca, embedding_moments, principal_components};
use aberra::{Detector, NamedMember};
use bytes::Bytes;

use crate::statistics::DetectorStatistics;

/// A detector under the name that requests call it by.
#[derive(Debug)]
pub(crate) struct ServedDetector {
    /// Its name: unique, and safe in a URL.
    pub(crate) name: String,
    /// The detector.
    pub(crate) detector: Detector,
    pub(crate) ranks: EvidenceRanks,
    pub(crate) statistics: DetectorStatistics,
    components: OnceLock<Option<Pca>>,
    moments: OnceLock<Option<EmbeddingMoments>>,
    known: OnceLock<KnownNormals>,
    evaluation: RwLock<EvaluationState>,
}

/// What there is of a detector's evaluation.
#[derive(Clone, Debug, Default)]
pub(crate) enum EvaluationState {
    /// Nothing, and nothing on its way.
    #[default]
    None,
    /// It is being made.
    Running {
        /// Images done.
        done: usize,
        /// Images in all; 0 before it is known.
        of: usize,
    },
    /// It could not be made, and why.
    Failed(String),
    /// A report's data, as JSON.
    Done(Bytes),
}

impl EvaluationState {
    /// Whether there is one, or one on its way.
    pub(crate) fn exists(&self) -> bool {
        matches!(self, Self::Running { .. } | Self::Done(_))
    }
}

/// Names and small pictures (`data:` addresses) of a detector's normals, by number, where a data set holds them.
pub(crate) type KnownNormals = BTreeMap<usize, (Option<String>, Option<String>)>;

/// Principal components that are shown and that can be moved along.
const COMPONENTS: usize = 10;

impl ServedDetector {
    /// A detector to be served as `name`.
    pub(crate) fn new(name: String, detector: Detector) -> Self {
        let ranks = EvidenceRanks::of(detector.normals());
        Self {
            name,
            detector,
            ranks,
            statistics: DetectorStatistics::default(),
            components: OnceLock::new(),
            moments: OnceLock::new(),
            known: OnceLock::new(),
            evaluation: RwLock::new(EvaluationState::None),
        }
    }

    /// The member whose embedding space is shown; `None` where no member has one.
    pub(crate) fn embedding_member(&self) -> Option<&NamedMember> {
        self.detector.members().get(self.detector.embedding_member()?)
    }

    /// The principal components of its training normals; `None` without an embedding space, or where they all lie in one
    /// place.
    pub(crate) fn components(&self) -> Option<&Pca> {
        self.components.get_or_init(|| principal_components(&self.detector, COMPONENTS).ok()).as_ref()
    }

    /// Where its training normals lie in each dimension of the embedding space; `None` without one.
    pub(crate) fn moments(&self) -> Option<&EmbeddingMoments> {
        self.moments.get_or_init(|| embedding_moments(&self.detector).ok()).as_ref()
    }

    /// Name and small picture of one of its normals, where a data set holds it.
    pub(crate) fn known_normal(&self, normal: usize) -> (Option<String>, Option<String>) {
        self.known.get().and_then(|known| known.get(&normal)).cloned().unwrap_or_default()
    }

    /// Remembers names and pictures of its normals, once.
    pub(crate) fn set_known_normals(&self, known: KnownNormals) {
        // The first answer is as good as the second.
        let _ = self.known.set(known);
    }

    /// What there is of its evaluation.
    pub(crate) fn evaluation(&self) -> EvaluationState {
        self.evaluation.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_evaluation(&self, evaluated: EvaluationState) {
        *self.evaluation.write().unwrap_or_else(PoisonError::into_inner) = evaluated;
    }

    /// Its hash; empty for a detector that was never saved.
    pub(crate) fn hash(&self) -> &str {
        self.detector.hash().unwrap_or_default()
    }
}

/// All of them, in the order in which they were given.
#[derive(Clone, Debug)]
pub(crate) struct Detectors(Arc<[Arc<ServedDetector>]>);

impl Detectors {
    /// Gives each detector a name of its own: characters that a URL would have to escape become `-`, and a name that
    /// comes again gets a number.
    pub(crate) fn new(given: Vec<(String, Detector)>) -> Self {
        let mut served: Vec<Arc<ServedDetector>> = Vec::with_capacity(given.len());
        for (name, detector) in given {
            let plain = plain(&name);
            let mut unique = plain.clone();
            let mut number = 1;
            while served.iter().any(|other| other.name == unique) {
                number += 1;
                unique = format!("{plain}-{number}");
            }
            served.push(Arc::new(ServedDetector::new(unique, detector)));
        }
        Self(served.into())
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Arc<ServedDetector>> {
        self.0.iter().find(|served| served.name == name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<ServedDetector>> {
        self.0.iter()
    }
}

fn plain(name: &str) -> String {
    let allowed = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    let plain: String = name.chars().map(|char| if allowed(char) { char } else { '-' }).collect();
    // A name of dots alone would be a way in a URL.
    if plain.trim_matches('.').is_empty() { "detector".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_a_url() {
        for (given, expected) in
            [("first", "first"), ("my run/2", "my-run-2"), ("..", "detector"), ("é.b_c", "-.b_c")]
        {
            assert_eq!(plain(given), expected);
        }
    }
}
