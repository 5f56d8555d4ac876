//! `aberra import`: takes over a model that PyTorch has trained.

use std::path::{Path, PathBuf};

use aberra::ImportedModel;
use clap::Args;
use serde_json::json;

use crate::args::JsonArgs;
use crate::error::{CommandResult, ExitStatus};
use crate::output;
use crate::steps::card::bytes;

const EXAMPLES: &str = "\
Examples:
  aberra import model.pth --out model.aberra
  # normal images make it a detector; give none that it was trained on
  aberra calibrate model.aberra --data normals/ --normal '*' --rate 0.05 \\
      --out detector.aberra";

/// Takes over the weights of a model that PyTorch has trained: the residual VAE for 256 x 256 images (the preset `reference`)
/// from its state dictionary. Nothing in the file is run. It gives no verdict until `aberra calibrate` has seen normal images.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImportArgs {
    /// State dictionary of PyTorch: torch.save(model.state_dict(), "model.pth").
    #[arg(value_name = "MODEL.pth")]
    model: PathBuf,
    /// Write the imported model to this file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    json: JsonArgs,
}

pub(crate) fn run(args: &ImportArgs) -> CommandResult {
    output::target(&args.out, &[&args.model])?;
    let model = ImportedModel::read_pytorch(&args.model)?;
    let hash = model.save(&args.out)?;
    let (shape, parameters) = (model.shape(), model.parameter_count());
    let color = if shape.channels == 1 { "grey" } else { "rgb" };
    if args.json.json {
        output::json(&json!({
            "path": args.out.to_string_lossy(),
            "bytes": bytes(&args.out)?,
            "hash": hash,
            "made_from": model.made_from(),
            "input": shape,
            "parameters": parameters,
        }))?;
    } else {
        output::data(&output::aligned(&[
            ("model", args.out.display().to_string()),
            ("weights from", args.model.display().to_string()),
            ("input", format!("{} x {} px, {color}", shape.width, shape.height)),
            ("parameters", parameters.to_string()),
        ]))?;
        output::hint(&next(&args.out));
    }
    Ok(ExitStatus::Done)
}

/// The command that makes a detector of it.
fn next(model: &Path) -> String {
    format!("it gives no verdicts yet: aberra calibrate {} --data NORMALS --rate 0.05", output::typed(model))
}
