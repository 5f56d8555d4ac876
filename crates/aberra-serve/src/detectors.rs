//! The detectors that are served, each under its name, with what answers need beside the file.

use std::sync::{Arc, OnceLock};

use aberra::Detector;
use aberra::explain::{EvidenceRanks, Pca, principal_components};

/// A detector under the name that requests call it by.
#[derive(Debug)]
pub struct Served {
    /// Its name: unique, and safe in a URL.
    pub name: String,
    /// The detector.
    pub detector: Detector,
    pub(crate) ranks: EvidenceRanks,
    components: OnceLock<Option<Pca>>,
}

/// Principal components that are shown and that can be moved along.
const COMPONENTS: usize = 10;

impl Served {
    /// A detector to be served as `name`.
    pub fn new(name: String, detector: Detector) -> Self {
        let ranks = EvidenceRanks::of(detector.normals());
        Self { name, detector, ranks, components: OnceLock::new() }
    }

    /// The principal components of its training normals; `None` where the model puts them all in one place.
    pub(crate) fn components(&self) -> Option<&Pca> {
        self.components.get_or_init(|| principal_components(&self.detector, COMPONENTS).ok()).as_ref()
    }

    /// Its hash; empty for a detector that was never saved.
    pub(crate) fn hash(&self) -> &str {
        self.detector.hash().unwrap_or_default()
    }
}

/// All of them, in the order in which they were given.
#[derive(Clone, Debug)]
pub(crate) struct Detectors(Arc<[Arc<Served>]>);

impl Detectors {
    /// Gives each detector a name of its own: characters that a URL would have to escape become `-`, and a name that
    /// comes again gets a number.
    pub(crate) fn new(given: Vec<(String, Detector)>) -> Self {
        let mut served: Vec<Arc<Served>> = Vec::with_capacity(given.len());
        for (name, detector) in given {
            let plain = plain(&name);
            let mut unique = plain.clone();
            let mut number = 1;
            while served.iter().any(|other| other.name == unique) {
                number += 1;
                unique = format!("{plain}-{number}");
            }
            served.push(Arc::new(Served::new(unique, detector)));
        }
        Self(served.into())
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Served>> {
        self.0.iter().find(|served| served.name == name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Served>> {
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
