//! `aberra score`: images in, a row each out, as they are done.

use std::path::{Path, PathBuf};

use aberra::Detector;
use aberra::image::{Image, Limits};
use clap::Args;
use rayon::prelude::*;

use crate::args::{DetectorArgs, JsonArgs};
use crate::failure::{Failure, Outcome, Status};
use crate::output;
use crate::rows::{Format, Row, Rows};
use crate::sources::{Source, Sources};

const EXAMPLES: &str = "\
Examples:
  aberra score runs/first/detector.aberra new/                     # a table
  aberra score runs/first/detector.aberra a.png b.png --json       # one JSON object a line
  find new/ -name '*.jpg' -print0 | aberra score runs/first/detector.aberra -0 - --csv

Exit status: 0 all images were scored; 1 nothing was done; 2 some could not be read; with --fail-on-anomaly 3 where any
is anomalous and none failed.";

/// Score images: a row each with score, p-value, threshold and verdict.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ScoreArgs {
    #[command(flatten)]
    detector: DetectorArgs,
    /// Files and folders; `-` for a list of files on standard input, one a line.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The list on standard input is separated by NUL instead of line ends.
    #[arg(short = '0', long = "null")]
    null: bool,
    #[command(flatten)]
    json: JsonArgs,
    /// Print CSV.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Write the rows to a file instead of standard output; .csv, .json and .jsonl say the format.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 3 where any image is anomalous and none failed.
    #[arg(long)]
    fail_on_anomaly: bool,
}

/// Images decoded and scored at once; memory is for so many, however many there are.
const CHUNK: usize = 32;

/// How it went, counted.
#[derive(Default)]
struct Tally {
    scored: usize,
    failed: usize,
    anomalous: usize,
}

pub(crate) fn run(args: &ScoreArgs) -> Outcome {
    let detector = Detector::load(&args.detector.detector)?;
    let mut rows = Rows::open(format(args), args.out.as_deref())?;
    let mut tally = Tally::default();
    let mut sources = Sources::new(&args.paths, args.null);
    loop {
        let chunk: Vec<Source> = sources.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            break;
        }
        score_chunk(&detector, chunk, &mut rows, &mut tally)?;
    }
    rows.finish()?;
    conclude(args, &tally)
}

fn score_chunk(
    detector: &Detector,
    chunk: Vec<Source>,
    rows: &mut Rows,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let limits: &Limits = &detector.config().limits;
    let decoded: Vec<Result<(PathBuf, Image), String>> = chunk
        .into_par_iter()
        .map(|source| {
            let path = source?;
            aberra::image::read(&path, limits).map(|image| (path, image)).map_err(|error| error.to_string())
        })
        .collect();
    let mut images = Vec::with_capacity(decoded.len());
    let paths: Vec<Result<PathBuf, String>> = decoded
        .into_iter()
        .map(|decoded| {
            let (path, image) = decoded?;
            images.push(image);
            Ok(path)
        })
        .collect();
    let mut verdicts = detector.score(&images).into_iter();
    for path in paths {
        let scored = path.and_then(|path| match verdicts.next() {
            Some(Ok(verdict)) => Ok((path, verdict)),
            Some(Err(error)) => Err(format!("{}: {error}", path.display())),
            None => Err(format!("{}: the detector gave no verdict", path.display())),
        });
        match scored {
            Ok((path, verdict)) => {
                tally.scored += 1;
                tally.anomalous += usize::from(verdict.anomalous);
                rows.write(&Row::new(&path, &verdict))?;
            }
            Err(reason) => {
                tally.failed += 1;
                output::warning(&format!("skipped {reason}"));
            }
        }
    }
    rows.flush()
}

/// `--out` may say the format by its name; a flag says it first.
fn format(args: &ScoreArgs) -> Format {
    let extension = args.out.as_deref().and_then(Path::extension).and_then(|extension| extension.to_str());
    match extension {
        _ if args.json.json => Format::Json,
        _ if args.csv => Format::Csv,
        Some("json" | "jsonl") => Format::Json,
        Some("csv") => Format::Csv,
        _ => Format::Table,
    }
}

fn conclude(args: &ScoreArgs, tally: &Tally) -> Outcome {
    let Tally { scored, failed, anomalous } = *tally;
    if scored + failed == 0 {
        return Err(Failure::new("expected images, found none"));
    }
    if scored == 0 {
        return Err(Failure::new(format!(
            "none of the {} could be scored",
            output::count(failed, "file", "files")
        )));
    }
    let skipped = if failed > 0 { format!(", {failed} skipped") } else { String::new() };
    let images = output::count(scored, "image", "images");
    output::note(&format!("{images} scored, {anomalous} anomalous{skipped}"));
    Ok(match () {
        () if failed > 0 => Status::SomeFailed,
        () if args.fail_on_anomaly && anomalous > 0 => Status::Anomalous,
        () => Status::Done,
    })
}
