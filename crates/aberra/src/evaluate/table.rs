//! An evaluation as human-readable text: short sections, aligned columns, warnings last.

use std::fmt::{self, Display, Formatter};

use super::evaluation::{Evaluation, FalseAlarms, Metric, Pixels};
use super::summary::CLASSIC_SCORER;
use crate::dataset::Label;
use crate::text_table::{Grid, wrapped};
use aberra_metrics::bootstrap::BootstrapInterval;
use aberra_metrics::pixel::{Bounded, PixelIntervals};

impl Display for Evaluation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.images_section(f)?;
        self.volumes_section(f)?;
        self.ranking_section(f)?;
        self.verdicts_section(f)?;
        self.false_alarms_section(f)?;
        self.without_leaked_section(f)?;
        self.kinds_section(f)?;
        self.scorers_section(f)?;
        self.shortcuts_section(f)?;
        self.pixels_section(f)?;
        if !self.warnings.is_empty() {
            writeln!(f, "\nWarnings")?;
            for warning in &self.warnings {
                wrapped(f, "  ! ", "    ", warning)?;
            }
        }
        Ok(())
    }
}

impl Evaluation {
    fn images_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let part = match &self.data.split {
            Some(split) => match split.fold {
                Some(fold) => format!("the test part of fold {} of {} of ", fold.index, fold.of),
                None => "the test part of ".to_owned(),
            },
            None => String::new(),
        };
        writeln!(f, "Images: {part}{}", self.data.name)?;
        let mut grid = Grid::new(["", "images", "groups"]);
        for count in &self.data.labels {
            grid.row([count.label.to_string(), count.images.to_string(), count.groups.to_string()]);
        }
        for label in [self.normals() == 0, self.anomalies() == 0].into_iter().zip(["normal", "anomalous"]) {
            if let (true, name) = label {
                grid.row([name.to_owned(), "none".to_owned(), String::new()]);
            }
        }
        grid.write(f)?;
        let own = self.data.own;
        if own.total() > 0 {
            let text = format!(
                "Left out: {} that the detector was made from ({} train, {} fit, {} calibration).",
                images(own.total()),
                own.train,
                own.fit,
                own.calibration
            );
            wrapped(f, "  ", "  ", &text)?;
        }
        for (count, why) in [
            (self.data.beside_own, "of volumes that the detector was made from other slices of"),
            (
                self.data.unmarked,
                "of anomalous volumes, whose masks mark nothing in them: they count for volumes and pixels",
            ),
        ] {
            if count > 0 {
                wrapped(f, "  ", "  ", &format!("Left out: {} {why}.", slices(count)))?;
            }
        }
        if self.data.unusable > 0 {
            wrapped(f, "  ", "  ", &format!("Could not be used: {}.", images(self.data.unusable)))?;
        }
        Ok(())
    }

    fn volumes_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(found) = &self.volumes else { return Ok(()) };
        writeln!(f, "\nVolumes, each judged as a whole (all figures below are of single slices)")?;
        let (normals, anomalies) = found.counts();
        let mut text = format!(
            "{}: {normals} normal, {anomalies} anomalous. A volume's score is the mean of the largest {} % of its slices' scores.",
            volumes(found.volumes.len()),
            trimmed(found.top_share * 100.0)
        );
        for (count, why) in [
            (found.own, "left out: the detector was made from slices of theirs"),
            (found.unusable, "could not be read"),
            (
                found.volumes.iter().filter(|row| row.leaked).count(),
                "with near-duplicates of its normals among their slices",
            ),
        ] {
            if count > 0 {
                text += &format!(" {} {why}.", volumes(count));
            }
        }
        wrapped(f, "  ", "  ", &text)?;
        let mut grid = Grid::new(["", "", &self.interval_heading()]);
        let precision = &found.average_precision;
        grid.row(["AUROC".to_owned(), estimate(&found.auroc), ends(&found.auroc)]);
        grid.row(["average precision".to_owned(), estimate(precision), ends(precision)]);
        grid.row([
            "  of random scores".to_owned(),
            number(&found.average_precision_of_chance),
            String::new(),
        ]);
        if let Metric::Known(recall) = &found.recall {
            let ends = format!("{:.1} to {:.1} %", recall.low * 100.0, recall.high * 100.0);
            grid.row(["recall at the threshold".to_owned(), format!("{:.1} %", recall.rate * 100.0), ends]);
        }
        grid.write(f)?;
        reason(f, &found.auroc)?;
        let Metric::Known(confusion) = &found.confusion else {
            return reason(f, &found.confusion);
        };
        let mut grid = Grid::new(["", "not flagged", "flagged"]);
        let row = |name: &str, passed: u64, flagged: u64| {
            [name.to_owned(), passed.to_string(), flagged.to_string()]
        };
        grid.row(row("normal", confusion.true_negatives, confusion.false_positives));
        grid.row(row("anomalous", confusion.false_negatives, confusion.true_positives));
        grid.write(f)?;
        if let Some(promise) = found.promise {
            wrapped(f, "  Promised: ", "            ", &format!("{}.", promise.of_volumes()))?;
        }
        wrapped(f, "  Realised: ", "            ", &realised(&found.false_alarms, "volume"))
    }

    fn ranking_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ranking = &self.ranking;
        writeln!(f, "\nHow well the scores tell anomalous from normal (scorer {})", self.detector.scorer)?;
        let mut grid = Grid::new(["", "", &self.interval_heading()]);
        grid.row(["AUROC".to_owned(), estimate(&ranking.auroc), ends(&ranking.auroc)]);
        let precision = &ranking.average_precision;
        grid.row(["average precision".to_owned(), estimate(precision), ends(precision)]);
        let chance = &ranking.average_precision_of_chance;
        grid.row(["  of random scores".to_owned(), number(chance), String::new()]);
        for at in &ranking.tpr_at_fpr {
            let name = format!("true positives at {} % false positives", at.rate * 100.0);
            grid.row([name, percent(&at.value), String::new()]);
        }
        let fpr = percent(&ranking.fpr_at_95_tpr);
        grid.row(["false positives at 95 % true positives".to_owned(), fpr, String::new()]);
        let oracle = match &ranking.oracle_f1 {
            Metric::Known(oracle) => format!("{:.3}", oracle.f1),
            Metric::Unavailable { .. } => NONE.to_owned(),
        };
        grid.row(["greatest F1 (oracle, chosen with these labels)".to_owned(), oracle, String::new()]);
        grid.write(f)?;
        reason(f, &ranking.auroc)
    }

    fn verdicts_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verdicts = &self.verdicts;
        let confusion = &verdicts.confusion;
        writeln!(f, "\nVerdicts at the detector's threshold, {}", significant(self.detector.threshold))?;
        let mut grid = Grid::new(["", "called normal", "called anomalous"]);
        let row = |name: &str, normal: u64, anomalous: u64| {
            [name.to_owned(), normal.to_string(), anomalous.to_string()]
        };
        grid.row(row("normal", confusion.true_negatives, confusion.false_positives));
        grid.row(row("anomalous", confusion.false_negatives, confusion.true_positives));
        grid.write(f)?;
        let mut grid = Grid::new(["precision", "recall", "specificity", "F1", "balanced accuracy"]);
        grid.row(
            [
                &verdicts.precision,
                &verdicts.recall,
                &verdicts.specificity,
                &verdicts.f1,
                &verdicts.balanced_accuracy,
            ]
            .map(number),
        );
        grid.write(f)?;
        if self.data.labels.iter().any(|count| count.groups < count.images) {
            wrapped(
                f,
                "  ",
                "  ",
                "The matrix counts images; these rates, and recall by kind, count each group once.",
            )?;
        }
        reason(f, &verdicts.precision)
    }

    fn false_alarms_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nFalse alarms")?;
        wrapped(f, "  Promised: ", "            ", &format!("{}.", self.detector.promise))?;
        wrapped(f, "  Realised: ", "            ", &realised(&self.false_alarms, "image"))
    }

    fn without_leaked_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(without) = &self.without_leaked else { return Ok(()) };
        writeln!(f, "\nWithout near-duplicates of the detector's own normals")?;
        let mut grid =
            Grid::new(["", "normal", "anomalous", "AUROC", &self.interval_heading(), "false alarms"]);
        let row = |name: &str, normals: usize, anomalies: usize, auroc, alarms: &FalseAlarms| {
            let alarms = percent(&alarms.over_images);
            let counts = [name.to_owned(), normals.to_string(), anomalies.to_string()];
            let [name, normals, anomalies] = counts;
            [name, normals, anomalies, estimate(auroc), ends(auroc), alarms]
        };
        let as_is = (self.normals(), self.anomalies());
        grid.row(row("as is", as_is.0, as_is.1, &self.ranking.auroc, &self.false_alarms));
        grid.row(row("without", without.normals, without.anomalies, &without.auroc, &without.false_alarms));
        grid.write(f)?;
        wrapped(f, "  Realised without them: ", "  ", &realised(&without.false_alarms, "image"))
    }

    fn kinds_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.kinds.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nBy kind of anomaly")?;
        let interval = self.interval_heading();
        let mut grid = Grid::new(["kind", "images", "groups", "AUROC", &interval, "recall", &interval]);
        for row in &self.kinds {
            let counts = [row.images.to_string(), row.groups.to_string()];
            let [images, groups] = counts;
            grid.row([
                row.kind.clone(),
                images,
                groups,
                estimate(&row.auroc),
                ends(&row.auroc),
                percent(&row.recall),
                row.recall_interval.map_or_else(String::new, |interval| {
                    format!("{:.1} to {:.1} %", interval.low * 100.0, interval.high * 100.0)
                }),
            ]);
        }
        grid.write(f)
    }

    fn scorers_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nScorers on the same images")?;
        let own_minus = format!("{} minus it", self.detector.scorer);
        let interval = self.interval_heading();
        let mut grid = Grid::new(["scorer", "AUROC", &interval, &own_minus, &interval]);
        for row in &self.scorers {
            let note = match (row.is_own, row.name == CLASSIC_SCORER) {
                (true, _) => " (the detector's)",
                (false, true) => " (the classic)",
                _ => "",
            };
            let difference = &row.own_minus_this;
            let (minus, minus_ends) = match difference {
                Metric::Known(interval) => (
                    format!("{:+.3}", interval.estimate),
                    format!("{:+.3} to {:+.3}", interval.low, interval.high),
                ),
                Metric::Unavailable { .. } => (String::new(), String::new()),
            };
            grid.row([
                format!("{}{note}", row.name),
                estimate(&row.auroc),
                ends(&row.auroc),
                minus,
                minus_ends,
            ]);
        }
        grid.write(f)
    }

    fn shortcuts_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.shortcuts.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nShortcuts: what file, frame and device alone give away")?;
        let mut grid = Grid::new(["property", "AUROC"]);
        let (telling, idle): (Vec<_>, Vec<_>) = self.shortcuts.iter().partition(|row| row.auroc > 0.5);
        for row in telling {
            grid.row([row.property.clone(), format!("{:.3}", row.auroc)]);
        }
        if let Some(row) = idle.first() {
            grid.row([format!("{} others, each", idle.len()), format!("{:.3}", row.auroc)]);
        }
        grid.write(f)
    }

    fn pixels_section(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhere: error maps against masks")?;
        let pixels = match &self.pixels {
            Metric::Known(pixels) => pixels,
            Metric::Unavailable { unavailable } => return writeln!(f, "  Not available: {unavailable}."),
        };
        let Pixels { input, masked, normals, without_mask, regions, .. } = pixels;
        let left_out = match without_mask {
            0 => String::new(),
            count => format!(" {} without a mask left out.", images(*count)),
        };
        let text = format!(
            "At {} x {} pixels, 5 x 5-median filtered; {masked} masks with {regions} regions \
             ({:.2} % of the pixels), {normals} normal images.{left_out}",
            input.height,
            input.width,
            pixels.anomalous_share * 100.0
        );
        wrapped(f, "  ", "  ", &text)?;
        let heading = self.interval_heading();
        let mut grid = Grid::new(["", "", &heading]);
        let span = |of: fn(&PixelIntervals) -> [f64; 2]| match pixels.intervals.as_ref().map(of) {
            Some([low, high]) => format!("{low:.3} to {high:.3}"),
            None => NONE.to_owned(),
        };
        let bounded = |figure: &Metric<Bounded>| {
            figure.value().map_or(NONE.to_owned(), |bounded| format!("{:.3}", bounded.value))
        };
        for (name, value, span) in [
            ("pixel AUROC", bounded(&pixels.auroc), span(|of| of.auroc)),
            ("pixel average precision", bounded(&pixels.average_precision), span(|of| of.average_precision)),
            ("AUPRO to 30 % false positives", bounded(&pixels.aupro), span(|of| of.aupro)),
            ("Dice at the pixel threshold", number(&pixels.dice), span(|of| of.dice)),
        ] {
            grid.row([name.to_owned(), value, span]);
        }
        let oracle =
            pixels.oracle_dice.value().map_or(NONE.to_owned(), |oracle| format!("{:.3}", oracle.dice.value));
        grid.row(["best Dice (oracle, chosen with these masks)".to_owned(), oracle, NONE.to_owned()]);
        grid.write(f)?;
        reason(f, &pixels.auroc)?;
        if pixels.beside.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nLesion or source: AUROC of the pooled maps, also with the masks left out")?;
        let heading = self.interval_heading();
        let mut grid = Grid::new(["", "whole", &heading, "beside", &heading]);
        for row in &pixels.beside {
            let (whole, beside) = (&row.auroc, &row.beside_auroc);
            grid.row([row.pooling.clone(), estimate(whole), ends(whole), estimate(beside), ends(beside)]);
        }
        grid.write(f)
    }

    fn interval_heading(&self) -> String {
        format!("{} % interval", trimmed(self.bootstrap.confidence * 100.0))
    }

    fn normals(&self) -> usize {
        self.verdicts.confusion.normals() as usize
    }

    fn anomalies(&self) -> usize {
        let anomalous = self.data.labels.iter().filter(|count| count.label != Label::Normal);
        anomalous.map(|count| count.images).sum()
    }
}

/// Shown where there is no number.
const NONE: &str = "n/a";

/// What became of normal images, or of what else is judged.
fn realised(false_alarms: &FalseAlarms, what: &str) -> String {
    let (Some(over_images), Some(over_groups)) =
        (false_alarms.over_images.value(), false_alarms.over_groups.value())
    else {
        return format!("not available: {}.", false_alarms.over_images.reason().unwrap_or("nothing normal"));
    };
    let judged = match false_alarms.promised {
        None => "there is no promise to compare it with",
        Some(promised) if over_groups.low > promised => "more than promised",
        Some(promised) if over_groups.high < promised => "less than promised",
        Some(_) => "in keeping with the promise",
    };
    format!(
        "{:.1} % of the normal {what}s; {:.1} % of {} groups, one {what} each, {} % interval {:.1} to {:.1} %: {judged}.",
        over_images * 100.0,
        over_groups.rate * 100.0,
        false_alarms.groups,
        trimmed(over_groups.confidence * 100.0),
        over_groups.low * 100.0,
        over_groups.high * 100.0,
    )
}

fn estimate(figure: &Metric<BootstrapInterval>) -> String {
    figure.value().map_or(NONE.to_owned(), |interval| format!("{:.3}", interval.estimate))
}

fn ends(figure: &Metric<BootstrapInterval>) -> String {
    figure.value().map_or(String::new(), |interval| format!("{:.3} to {:.3}", interval.low, interval.high))
}

fn number(figure: &Metric<f64>) -> String {
    figure.value().map_or(NONE.to_owned(), |value| format!("{value:.3}"))
}

fn percent(figure: &Metric<f64>) -> String {
    figure.value().map_or(NONE.to_owned(), |value| format!("{:.1} %", value * 100.0))
}

fn reason<T>(f: &mut Formatter<'_>, figure: &Metric<T>) -> fmt::Result {
    figure.reason().map_or(Ok(()), |reason| writeln!(f, "  {NONE}: {reason}."))
}

/// Four significant digits.
fn significant(value: f64) -> String {
    let decimals = (3.0 - value.abs().log10().floor()).clamp(0.0, 12.0);
    if value == 0.0 || !decimals.is_finite() {
        return value.to_string();
    }
    format!("{value:.*}", decimals as usize)
}

/// A number without trailing zeros: 95, 99.9.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn slices(count: usize) -> String {
    if count == 1 { "1 slice".to_owned() } else { format!("{count} slices") }
}

fn volumes(count: usize) -> String {
    if count == 1 { "1 volume".to_owned() } else { format!("{count} volumes") }
}

fn images(count: usize) -> String {
    if count == 1 { "1 image".to_owned() } else { format!("{count} images") }
}
