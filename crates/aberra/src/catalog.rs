//! The families and scorers that settings and detector files may name: those of the library, and a caller's own.

use std::fmt;

use aberra_models::Family;
use aberra_models::families::FAMILIES;

use crate::score::{SCORERS, Scorer};

/// The families and scorers that settings and detector files may name. The default holds those of the library.
///
/// ```
/// # use aberra::models::{Family, families::FAMILIES};
/// # fn of(family: &'static dyn Family) {
/// let catalog = aberra::Catalog::default().with_family(family);
/// assert!(catalog.families().iter().any(|one| one.name() == family.name()));
/// # }
/// # of(FAMILIES[0]);
/// ```
#[derive(Clone)]
pub struct Catalog {
    families: Vec<&'static dyn Family>,
    scorers: Vec<&'static dyn Scorer>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self { families: FAMILIES.to_vec(), scorers: SCORERS.to_vec() }
    }
}

impl Catalog {
    /// The same with one more family, in the place of one of the same name.
    pub fn with_family(mut self, family: &'static dyn Family) -> Self {
        self.families.retain(|other| other.name() != family.name());
        self.families.push(family);
        self
    }

    /// The same with one more scorer, in the place of one of the same name.
    pub fn with_scorer(mut self, scorer: &'static dyn Scorer) -> Self {
        self.scorers.retain(|other| other.name() != scorer.name());
        self.scorers.push(scorer);
        self
    }

    /// The families, in order.
    pub fn families(&self) -> &[&'static dyn Family] {
        &self.families
    }

    /// The scorers, in order.
    pub fn scorers(&self) -> &[&'static dyn Scorer] {
        &self.scorers
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let families: Vec<&str> = self.families.iter().map(|family| family.name()).collect();
        let scorers: Vec<&str> = self.scorers.iter().map(|scorer| scorer.name()).collect();
        f.debug_struct("Catalog").field("families", &families).field("scorers", &scorers).finish()
    }
}
