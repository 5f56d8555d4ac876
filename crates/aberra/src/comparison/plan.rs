//! What is compared: recipes, folds and seeds, checked.

use std::fmt;

use crate::checked_config::CheckedConfig;
use crate::dataset::Fold;
use crate::{Error, Result};

/// Maximum length of a recipe's name.
const MOST_NAME_LETTERS: usize = 60;

/// Named settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Its name: letters, digits, `-`, `_`, `.` and `+`, the first a letter or digit.
    pub name: String,
    /// The settings.
    pub config: CheckedConfig,
}

/// The plan of a comparison: every recipe on every fold with every seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    recipes: Vec<Recipe>,
    folds: Vec<Fold>,
    seeds: Vec<u64>,
}

impl Comparison {
    /// Recipes on all of `folds` folds, with `seeds` seeds that count up from the settings' own. The seed of a cell
    /// decides its fit; the folds are those of the settings' own seed.
    ///
    /// # Errors
    /// No recipe, or two of the same name; settings out of their range, or that would divide the data otherwise than
    /// those of the first recipe; fewer than two folds, or no seed.
    pub fn new(recipes: Vec<Recipe>, folds: usize, seeds: usize) -> Result<Self> {
        let Some(first) = recipes.first() else {
            return Err(Error::settings("expected at least one recipe to compare, found none"));
        };
        for (at, recipe) in recipes.iter().enumerate() {
            check_name(&recipe.name)?;
            if recipes[..at].iter().any(|other| other.name == recipe.name) {
                return Err(Error::settings(format!(
                    "expected recipes whose names differ, found {:?} twice",
                    recipe.name
                )));
            }
            check_division(first, recipe)?;
        }
        if folds < 2 {
            return Err(Error::settings(format!("expected at least 2 folds, found {folds}")));
        }
        if seeds == 0 {
            return Err(Error::settings("expected at least 1 seed, found 0"));
        }
        let own = first.config.seed;
        Ok(Self {
            folds: (0..folds).map(|index| Fold { index, of: folds }).collect(),
            seeds: (0..seeds as u64).map(|more| own.wrapping_add(more)).collect(),
            recipes,
        })
    }

    /// The same on some of its folds, numbered from 0.
    ///
    /// # Errors
    /// None of them, or one that there is not.
    pub fn on_folds(self, indices: &[usize]) -> Result<Self> {
        let folds: Vec<Fold> =
            self.folds.iter().copied().filter(|fold| indices.contains(&fold.index)).collect();
        match indices.iter().find(|&&index| index >= self.folds.len()) {
            None if !folds.is_empty() => Ok(Self { folds, ..self }),
            strange => Err(Error::settings(format!(
                "expected folds from 0 to {}, found {}",
                self.folds.len() - 1,
                strange.map_or("none".to_owned(), usize::to_string)
            ))),
        }
    }

    /// The recipes, in order. The first is what the others are compared with.
    pub fn recipes(&self) -> &[Recipe] {
        &self.recipes
    }

    /// The folds.
    pub fn folds(&self) -> &[Fold] {
        &self.folds
    }

    /// The seeds.
    pub fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// The settings by which the data are divided: the same for every recipe.
    pub(super) fn common(&self) -> &CheckedConfig {
        &self.recipes[0].config
    }

    /// The cells in the order in which they are run: a fold is done by all recipes before the next one begins.
    pub(super) fn cells(&self) -> Vec<Cell<'_>> {
        let mut cells = Vec::new();
        for &seed in &self.seeds {
            for (number, &fold) in self.folds.iter().enumerate() {
                cells.extend(self.recipes.iter().map(|recipe| Cell { recipe, fold, number, seed }));
            }
        }
        cells
    }
}

/// A recipe on a fold with a seed.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) fold: Fold,
    /// The position of the fold among those that are run.
    pub(super) number: usize,
    pub(super) seed: u64,
}

impl Cell<'_> {
    /// The recipe's settings with the cell's seed. Members with seeds of their own are given others, none of which two
    /// seeds of a comparison have in common where a recipe's own seeds are consecutive.
    pub(super) fn config(&self) -> CheckedConfig {
        let config = &self.recipe.config;
        let step = self.seed.wrapping_sub(config.seed).wrapping_mul(config.members().len() as u64);
        config.reseeded(self.seed, |own| own.wrapping_add(step))
    }
}

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recipe, fold, seed, .. } = self;
        write!(f, "{}, fold {} of {}, seed {seed}", recipe.name, fold.index + 1, fold.of)
    }
}

/// Names become parts of file names.
fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    let begins = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    match begins && name.len() <= MOST_NAME_LETTERS && name.chars().all(fits) {
        true => Ok(()),
        false => Err(Error::settings(format!(
            "expected a recipe's name of up to {MOST_NAME_LETTERS} letters, digits and - _ . +, found {name:?}"
        ))),
    }
}

/// Rejects settings that would split or preprocess the data differently from the first recipe.
fn check_division(first: &Recipe, recipe: &Recipe) -> Result<()> {
    let (a, b) = (&first.config, &recipe.config);
    let differing = [
        ("seed", a.seed != b.seed),
        ("promise", a.promise != b.promise),
        ("split", a.split != b.split),
        ("limits", a.limits != b.limits),
    ];
    match differing.into_iter().find(|(_, differs)| *differs) {
        None => Ok(()),
        Some((name, _)) => Err(Error::settings(format!(
            "expected recipes with the same settings {name}, found others in {} than in {}",
            recipe.name, first.name
        ))
        .with_hint("recipes are compared on the same folds, which these settings decide")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TrainConfig;

    fn recipe(name: &str, settings: &str) -> Recipe {
        let layer = TrainConfig::parse_layer(settings).unwrap();
        Recipe { name: name.to_owned(), config: TrainConfig::from_layers(&[layer]).unwrap() }
    }

    #[test]
    fn every_recipe_meets_every_fold_and_seed() {
        let recipes =
            vec![recipe("a", "seed = 7"), recipe("b", "seed = 7\n[model]\nfamily = \"autoencoder\"")];
        let comparison = Comparison::new(recipes, 3, 2).unwrap().on_folds(&[2, 0]).unwrap();
        let cells: Vec<String> = comparison.cells().iter().map(Cell::to_string).collect();
        let expected = [
            "a, fold 1 of 3, seed 7",
            "b, fold 1 of 3, seed 7",
            "a, fold 3 of 3, seed 7",
            "b, fold 3 of 3, seed 7",
            "a, fold 1 of 3, seed 8",
            "b, fold 1 of 3, seed 8",
            "a, fold 3 of 3, seed 8",
            "b, fold 3 of 3, seed 8",
        ];
        assert_eq!(cells, expected);
        let own: Vec<u64> = comparison.cells().iter().map(|cell| cell.config().seed).collect();
        assert_eq!(own, [7, 7, 7, 7, 8, 8, 8, 8]);
    }

    #[test]
    fn members_with_seeds_of_their_own_follow_the_cells_seed() {
        let settings = "[[model]]\nname = \"one\"\nseed = 10\n[[model]]\nname = \"two\"\nseed = 11";
        let comparison = Comparison::new(vec![recipe("ensemble", settings)], 2, 3).unwrap();
        let seeds = |cell: &Cell<'_>| -> Vec<Option<u64>> {
            cell.config().members().iter().map(|member| member.seed).collect()
        };
        let on_first_fold = comparison.cells().into_iter().filter(|cell| cell.number == 0);
        let found: Vec<_> = on_first_fold.map(|cell| seeds(&cell)).collect();
        assert_eq!(found, [[Some(10), Some(11)], [Some(12), Some(13)], [Some(14), Some(15)]]);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let message = |recipes: Vec<Recipe>, folds, seeds| {
            Comparison::new(recipes, folds, seeds).unwrap_err().to_string()
        };
        let plain = || recipe("a", "");
        assert!(message(vec![], 5, 1).contains("at least one recipe"));
        assert!(message(vec![plain(), plain()], 5, 1).contains("\"a\" twice"));
        assert!(message(vec![plain()], 1, 1).contains("at least 2 folds"));
        assert!(message(vec![plain()], 5, 0).contains("at least 1 seed"));
        for name in ["", "../x", ".a", "a b", "<b>"] {
            assert!(message(vec![recipe(name, "")], 5, 1).contains("recipe's name"), "{name}");
        }
        for settings in ["seed = 1", "[promise]\nfalse_alarm_rate = 0.1", "[split]\nby = \"none\""] {
            let found = message(vec![plain(), recipe("b", settings)], 5, 1);
            assert!(found.contains("others in b than in a"), "{found}");
        }
        let comparison = || Comparison::new(vec![plain()], 5, 1).unwrap();
        assert!(comparison().on_folds(&[5]).unwrap_err().to_string().contains("found 5"));
        assert!(comparison().on_folds(&[]).unwrap_err().to_string().contains("found none"));
    }
}
