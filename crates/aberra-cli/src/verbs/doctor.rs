//! `aberra doctor`: checks a data set before anything is trained on it.

use std::ops::ControlFlow;
use std::path::PathBuf;

use aberra::dataset::{Dataset, GroupBy, Grouping, Sample, SplitSettings, SplitSizes, doctor};
use aberra::image::Limits;
use aberra::models::measure::Want;
use aberra::wire::VerdictCard;
use aberra::{Detector, FILES_CHUNK};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{JsonArgs, NormalArgs};
use crate::error::{CommandError, CommandResult, ExitStatus, with_path};
use crate::progress::Counter;
use crate::{data, output};

const EXAMPLES: &str = "\
Examples:
  aberra doctor photos/
  aberra doctor brain-mri/ --normal notumor --rate 0.01
  # normals that score highest
  aberra doctor photos/ --detector runs/first/detector.aberra";

/// Checks a data set for unreadable files, duplicates, leakage and shortcuts that give the label away.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// Folder of images, or manifest (.csv, .jsonl).
    data: PathBuf,
    #[command(flatten)]
    normal: NormalArgs,
    /// Which images form a group: near (near-duplicates), exact (duplicates), manifest (its groups) or none.
    #[arg(long, value_name = "BY", default_value_t = GroupBy::Near)]
    group: GroupBy,
    /// Check whether there are enough normals to guarantee this false-alarm rate.
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Detector with which to list the normal images that score highest.
    #[arg(long, value_name = "FILE")]
    detector: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArgs,
}

/// Number of highest-scoring normals that are listed.
const NAMED: usize = 10;

/// A normal image with a high score.
#[derive(Serialize)]
struct Suspect {
    name: String,
    #[serde(flatten)]
    card: VerdictCard,
    verdict: &'static str,
}

pub(crate) fn run(args: &DoctorArgs) -> CommandResult {
    let detector = args.detector.as_deref().map(Detector::load).transpose()?;
    let how = detector.as_ref().map(|detector| data::for_detector(&args.normal, detector));
    let dataset = data::list(&args.data, how.as_ref().unwrap_or(&args.normal))?;
    let limits = detector.as_ref().map_or_else(
        // What was not measured is said, and is no reason not to look at the rest.
        || Limits { not_finite: true, ..Limits::default() },
        |detector| detector.config().limits,
    );
    let inspection = data::look(&dataset, &limits);
    let grouping = Grouping::of(&dataset, &inspection, args.group)?;
    let report = doctor(&dataset, &inspection, &grouping);
    let support = args.rate.map(|rate| {
        let settings = SplitSettings { rate, ..SplitSettings::default() };
        (rate, SplitSizes::of(report.support.normal_groups, &settings))
    });
    if let Some((_, Err(error))) = &support
        && error.is_settings()
    {
        return Err(CommandError::new(error.to_string()).with_hint("5 % is 0.05"));
    }
    let suspects = detector.as_ref().map(|detector| suspects(detector, &dataset));

    if args.json.json {
        let mut value =
            serde_json::to_value(&report).map_err(|error| CommandError::new(error.to_string()))?;
        if let Value::Object(fields) = &mut value {
            if let Some((rate, sizes)) = &support {
                let reason = sizes.as_ref().err().map(ToString::to_string);
                fields.insert(
                    "rate".to_owned(),
                    json!({ "rate": rate, "sizes": sizes.as_ref().ok(), "reason": reason }),
                );
            }
            if let Some(suspects) = &suspects {
                fields.insert("least_normal".to_owned(), json!(suspects));
            }
        }
        output::json(&value)?;
        return Ok(ExitStatus::Done);
    }
    output::data(report.to_string().trim_end())?;
    match support {
        None => {}
        Some((rate, Ok(SplitSizes { train, fit, calibration, test }))) => output::data(&format!(
            "\na false-alarm rate of {}: supported, with groups of normals train {train}, fit {fit}, calibration \
             {calibration}, test {test}",
            output::percent(rate)
        ))?,
        Some((rate, Err(error))) => {
            output::data(&format!("\na false-alarm rate of {}: not supported", output::percent(rate)))?;
            output::data(&format!("  {error}"))?;
        }
    }
    if let Some(suspects) = suspects {
        output::data("\nthe normals that look least normal to the detector")?;
        for Suspect { name, card, verdict } in suspects {
            let (score, p_value) = (output::number(card.score), output::p_value(card.p_value));
            output::data(&format!("  {score:>12}  p {p_value:<6}  {verdict:<9}  {name}"))?;
        }
    }
    Ok(ExitStatus::Done)
}

/// The normals with the highest scores, in descending order.
fn suspects(detector: &Detector, dataset: &Dataset) -> Vec<Suspect> {
    let normals: Vec<_> = dataset.samples.iter().filter(|sample| sample.label.is_normal()).collect();
    let counter = Counter::new("scoring normal images", normals.len());
    let mut suspects = Vec::new();
    let read = |sample: &&Sample| detector.read_sample(sample);
    detector.score_each(normals.iter().copied(), read, FILES_CHUNK, Want::MEASUREMENTS, |sample, verdict| {
        counter.advance();
        let name = sample.name.clone();
        match verdict.map(|verdict| VerdictCard::of(detector, &verdict, verdict.threshold)) {
            Ok(card) => suspects.push(Suspect { name, verdict: output::verdict(card.anomalous), card }),
            // Files that cannot be read are in the report; images that can be read but not used are not.
            Err(error) => output::warning(&format!("skipped {}", with_path(&sample.path, &error))),
        }
        ControlFlow::Continue(())
    });
    counter.finish();
    suspects.sort_by(|a, b| b.card.score.total_cmp(&a.card.score));
    suspects.truncate(NAMED);
    suspects
}
