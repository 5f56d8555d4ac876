//! A comparison of recipes: each is fitted and tested on the same grouped folds with the same seeds.
//!
//! [`Comparison::run`] fits and tests one cell (a recipe on a fold with a seed) after another and sums them up in a table
//! ([`ComparisonData`](crate::wire::ComparisonData)): for people ([`Display`](std::fmt::Display)), for programs (JSON), and
//! as a page. With a run folder each finished cell is a file there, so that a comparison that was interrupted continues
//! where it stopped. It chooses nothing: no recipe, epoch or threshold depends on what a test part shows.

mod cell;
mod files;
mod identity;
mod page;
mod plan;
mod pool;
mod record;
mod run;
mod summary;
mod text;

pub use self::plan::{Comparison, Recipe};
pub use self::run::ComparisonOptions;
