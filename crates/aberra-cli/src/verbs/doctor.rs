//! `aberra doctor`: what a data set holds, before anything is learned from it.

use std::path::PathBuf;

use aberra::dataset::{GroupBy, Grouping};
use aberra::image::Limits;
use clap::Args;
use serde_json::json;

use crate::args::{JsonArgs, NormalArgs};
use crate::failure::{Outcome, Status};
use crate::{data, output};

/// Look at a data set: what is in it, what cannot be read, what is there twice.
#[derive(Args)]
#[command(after_help = "Example:\n  aberra doctor photos/ --normal good")]
pub(crate) struct DoctorArgs {
    /// A folder of images, or a manifest (.csv, .jsonl).
    data: PathBuf,
    #[command(flatten)]
    normal: NormalArgs,
    /// What counts as belonging together: near, exact, manifest or none.
    #[arg(long, value_name = "BY", default_value_t = GroupBy::Near)]
    group: GroupBy,
    #[command(flatten)]
    json: JsonArgs,
}

pub(crate) fn run(args: &DoctorArgs) -> Outcome {
    let dataset = data::open(&args.data, &args.normal.normal)?;
    let inspection = data::inspect(&dataset, &Limits::default())?;
    let grouping = Grouping::of(&dataset, &inspection, args.group)?;
    let (normal, anomalous) = dataset.counts();
    if args.json.json {
        output::json(&json!({
            "layout": dataset.layout,
            "normal": normal,
            "anomalous": anomalous,
            "unreadable": inspection.unreadable().len(),
            "groups": grouping.count,
            "exact_copies": grouping.exact.len(),
        }))?;
    } else {
        output::data(&output::aligned(&[
            ("layout", dataset.layout.to_string()),
            ("images", format!("{normal} normal, {anomalous} anomalous")),
            ("unreadable", inspection.unreadable().len().to_string()),
            ("groups", grouping.count.to_string()),
            ("exact copies", output::count(grouping.exact.len(), "set", "sets")),
        ]))?;
    }
    Ok(Status::Done)
}
