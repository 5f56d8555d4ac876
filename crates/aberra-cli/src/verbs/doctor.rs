//! `aberra doctor`: checks a data set before anything is trained on it.

use std::ops::ControlFlow;
use std::path::PathBuf;

use aberra::dataset::{Dataset, GroupBy, Grouping, OpenOptions, SplitSettings, SplitSizes, doctor};
use aberra::image::Limits;
use aberra::models::measure::Want;
use aberra::wire::VerdictCard;
use aberra::{Detector, FILES_CHUNK};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{JsonArgs, NormalArgs};
use crate::error::{CommandError, CommandResult, ExitStatus, named};
use crate::progress::Counter;
use crate::{data, output};

const EXAMPLES: &str = "\
Examples:
  aberra doctor photos/
  aberra doctor brain-mri/ --normal notumor --rate 0.01
  aberra doctor photos/ --detector runs/first/detector.aberra    # which normals look least normal?";

/// Checks a data set: what it holds, what cannot be read, duplicates, and shortcuts that give the label away.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// A folder of images, or a manifest (.csv, .jsonl).
    data: PathBuf,
    #[command(flatten)]
    normal: NormalArgs,
    /// What counts as one group: near, exact, manifest or none.
    #[arg(long, value_name = "BY", default_value_t = GroupBy::Near)]
    group: GroupBy,
    /// A false-alarm rate to check: do the normals support it?
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    rate: Option<f64>,
    /// A detector, to name the normals that look least normal.
    #[arg(long, value_name = "FILE")]
    detector: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArgs,
}

/// Normals named as the least normal.
const NAMED: usize = 10;

/// A normal image that a detector finds unusual.
#[derive(Serialize)]
struct Suspect {
    name: String,
    #[serde(flatten)]
    card: VerdictCard,
    verdict: &'static str,
}

pub(crate) fn run(args: &DoctorArgs) -> CommandResult {
    let detector = args.detector.as_deref().map(Detector::load).transpose()?;
    let dataset = Dataset::open(&args.data, &OpenOptions { normal: args.normal.normal.clone() })?;
    let limits = detector.as_ref().map_or_else(Limits::default, |detector| detector.config().limits);
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
    let suspects = detector.as_ref().map(|detector| suspects(detector, &dataset, &limits));

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

/// The normals with the highest scores, highest first.
fn suspects(detector: &Detector, dataset: &Dataset, limits: &Limits) -> Vec<Suspect> {
    let normals: Vec<_> = dataset.samples.iter().filter(|sample| sample.label.is_normal()).collect();
    let counter = Counter::new("scoring the normals", normals.len());
    let mut suspects = Vec::new();
    let mut names = normals.iter().map(|sample| sample.name.clone());
    let paths = normals.iter().map(|sample| sample.path.clone());
    detector.score_files(paths, limits, FILES_CHUNK, Want::MEASUREMENTS, |path, verdict| {
        counter.advance();
        let name = names.next().unwrap_or_default();
        match verdict.map(|verdict| VerdictCard::of(detector, &verdict, verdict.threshold)) {
            Ok(card) => suspects.push(Suspect { name, verdict: output::verdict(card.anomalous), card }),
            // Files that cannot be read are in the report; images that can be read but not used are not.
            Err(error) => output::warning(&format!("skipped {}", named(&path, &error))),
        }
        ControlFlow::Continue(())
    });
    counter.finish();
    suspects.sort_by(|a, b| b.card.score.total_cmp(&a.card.score));
    suspects.truncate(NAMED);
    suspects
}
