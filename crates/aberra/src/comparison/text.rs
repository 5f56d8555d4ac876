//! A comparison as human-readable text: aligned tables, notes last.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use crate::evaluate::Metric;
use crate::text_table::{Grid, wrapped};
use crate::wire::{ComparisonData, Interval};

/// Shown instead of a number that cannot be computed.
const NONE: &str = "-";

impl Display for ComparisonData {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.images_section(f)?;
        self.ranking_section(f)?;
        self.differences_section(f)?;
        self.scorers_section(f)?;
        self.costs_section(f)?;
        let failures: Vec<&String> = self.rows.iter().flat_map(|row| &row.failures).collect();
        if !failures.is_empty() {
            writeln!(f, "\nCells without a result")?;
            failures.into_iter().try_for_each(|failure| wrapped(f, "  ", "    ", failure))?;
        }
        if !self.notes.is_empty() {
            writeln!(f, "\nNotes")?;
            self.notes.iter().try_for_each(|note| wrapped(f, "  ! ", "    ", note))?;
        }
        Ok(())
    }
}

impl ComparisonData {
    fn images_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "Comparison on {}: {}", self.data_name, self.design())?;
        let mut grid = Grid::new(["", "test images", "groups"]);
        for (name, size) in [("normal", self.normals), ("anomalous", self.anomalies)] {
            grid.row([name.to_owned(), size.images.to_string(), size.groups.to_string()]);
        }
        grid.write(f)
    }

    /// Folds and seeds in words.
    pub(super) fn design(&self) -> String {
        let of = self.folds.first().map_or(0, |fold| fold.of);
        let folds = match self.folds.len() == of {
            true => format!("{of} folds"),
            false => {
                let numbers: Vec<String> =
                    self.folds.iter().map(|fold| (fold.index + 1).to_string()).collect();
                format!("fold {} of {of}", numbers.join(", "))
            }
        };
        let seeds: Vec<String> = self.seeds.iter().map(u64::to_string).collect();
        format!("{folds}, seed {}", seeds.join(", "))
    }

    /// The heading of an interval's column.
    pub(super) fn level(&self) -> String {
        format!("{} % interval", (self.bootstrap.level * 1e4).round() / 1e2)
    }

    fn ranking_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nHow well the scores tell anomalous from normal, mean over cells")?;
        let level = self.level();
        let mut grid = Grid::new([
            "",
            "AUROC",
            &level,
            "average precision",
            &level,
            "pixel AP",
            "true positives at 5 % false positives",
        ]);
        for row in &self.rows {
            grid.row([
                row.recipe.clone(),
                estimate(&row.auroc),
                ends(&row.auroc),
                estimate(&row.average_precision),
                ends(&row.average_precision),
                number(&row.pixel_average_precision, 3),
                percent(&row.tpr_at_5_fpr),
            ]);
        }
        grid.write(f)?;
        let reasons: BTreeSet<&str> = self.rows.iter().filter_map(|row| row.auroc.reason()).collect();
        reasons.into_iter().try_for_each(|reason| writeln!(f, "  {NONE}: {reason}."))
    }

    fn differences_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(first) = self.rows.first() else { return Ok(()) };
        writeln!(f, "\nDifferences of AUROC, on the same resamples")?;
        let (level, to_first) = (self.level(), format!("minus {}", first.recipe));
        let to_classic = format!("minus its own {}", self.classic_scorer);
        let mut grid = Grid::new(["", &to_first, &level, &to_classic, &level]);
        for row in &self.rows {
            let difference = row.auroc_difference.as_ref();
            grid.row([
                row.recipe.clone(),
                difference.map_or(String::new(), signed),
                difference.map_or(String::new(), signed_ends),
                signed(&row.auroc_minus_classic),
                signed_ends(&row.auroc_minus_classic),
            ]);
        }
        grid.write(f)
    }

    fn scorers_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nAUROC of each scorer")?;
        let mut grid = Grid::new([""].into_iter().chain(self.rows.iter().map(|row| row.recipe.as_str())));
        for scorer in self.scorer_names() {
            let of = |row: &crate::wire::ComparisonRow| {
                row.scorers.get(scorer).map_or(NONE.to_owned(), |value| number(value, 3))
            };
            grid.row([scorer.to_owned()].into_iter().chain(self.rows.iter().map(of)));
        }
        grid.write(f)
    }

    /// Names of the scorers that any recipe has.
    pub(super) fn scorer_names(&self) -> BTreeSet<&str> {
        self.rows.iter().flat_map(|row| row.scorers.keys()).map(String::as_str).collect()
    }

    fn costs_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let promised = self.promised_false_alarm_rate * 100.0;
        writeln!(f, "\nFalse alarms ({promised} % promised) and cost, mean over cells")?;
        let mut grid =
            Grid::new(["", "false alarms", "seconds to train", "milliseconds an image", "parameters"]);
        for row in &self.rows {
            grid.row([
                row.recipe.clone(),
                percent(&row.false_alarm_rate),
                number(&row.training_secs, 1),
                number(&row.ms_per_image, 2),
                row.parameters.value().map_or(NONE.to_owned(), usize::to_string),
            ]);
        }
        grid.write(f)
    }
}

pub(super) fn number(metric: &Metric<f64>, decimals: usize) -> String {
    metric.value().map_or(NONE.to_owned(), |value| format!("{value:.decimals$}"))
}

pub(super) fn percent(metric: &Metric<f64>) -> String {
    metric.value().map_or(NONE.to_owned(), |value| format!("{:.1} %", value * 100.0))
}

pub(super) fn estimate(metric: &Metric<Interval>) -> String {
    metric.value().map_or(NONE.to_owned(), |one| format!("{:.3}", one.value))
}

pub(super) fn ends(metric: &Metric<Interval>) -> String {
    metric.value().map_or(String::new(), |one| format!("{:.3} to {:.3}", one.low, one.high))
}

pub(super) fn signed(metric: &Metric<Interval>) -> String {
    metric.value().map_or(NONE.to_owned(), |one| format!("{:+.3}", one.value))
}

pub(super) fn signed_ends(metric: &Metric<Interval>) -> String {
    metric.value().map_or(String::new(), |one| format!("{:+.3} to {:+.3}", one.low, one.high))
}
