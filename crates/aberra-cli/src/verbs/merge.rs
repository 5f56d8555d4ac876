//! `aberra merge`: joins the rows of shards, and refuses shards of which something is missing or there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::args::JsonArgs;
use crate::error::{CommandError, CommandResult, ExitStatus};
use crate::output;
use crate::row_keys::{Row, read_rows};
use crate::rows::RowFormat;
use crate::shard::{Shard, ShardRecord};

const EXAMPLES: &str = "\
Examples:
  # four shards, here one after another
  for i in 1 2 3 4; do
      aberra score detector.aberra images/ --shard $i/4 --out rows-$i.csv
  done
  aberra merge rows-*.csv --out rows.csv

The rows are sorted by path: those of one folder are then the rows that scoring it at once writes.

Exit status: 0 the shards are complete; 1 error, nothing was written; 2 complete, but some images could not be scored.";

/// Joins the rows of the shards of `aberra score --shard`, after checking that every image is there once.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MergeArgs {
    /// Files of rows, one of each shard (.csv, .jsonl), each with its record (FILE.shard.json) beside it.
    #[arg(required = true, value_name = "ROWS")]
    shards: Vec<PathBuf>,
    /// Write all rows to this file, in the format of the shards.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    json: JsonArgs,
}

pub(crate) fn run(args: &MergeArgs) -> CommandResult {
    let inputs: Vec<&Path> = args.shards.iter().map(PathBuf::as_path).collect();
    output::target(&args.out, &inputs)?;
    let records = args.shards.iter().map(|rows| ShardRecord::read(rows)).collect::<Result<Vec<_>, _>>()?;
    check(&args.shards, &records)?;
    let format = format(&args.shards, &args.out)?;

    let (mut sorted, mut header) = (BTreeMap::new(), Vec::new());
    for (path, record) in args.shards.iter().zip(&records) {
        let bytes = fs::read(path).map_err(|error| CommandError::at(path, error))?;
        let (found, rows) = read_rows(path, &bytes, format)?;
        if rows.len() as u64 != record.rows {
            let text =
                format!("expected the {} rows that its record tells of, found {}", record.rows, rows.len());
            return Err(CommandError::at(path, text).with_hint("run the shard again"));
        }
        header = if header.is_empty() { found.to_vec() } else { header };
        let shard = Shard { number: record.shard, of: record.of };
        for Row { path: image, page, line } in rows {
            if !shard.has(&image) {
                let text = format!(
                    "expected images of shard {} of {}, found {image} of another",
                    shard.number, shard.of
                );
                return Err(CommandError::at(path, text));
            }
            if sorted.insert((PathBuf::from(&image), page), line.to_vec()).is_some() {
                return Err(CommandError::at(
                    path,
                    format!("expected one row for each image, found two of {image}"),
                )
                .with_hint("was it named twice, as a file and as one of a folder?"));
            }
        }
    }
    let rows = sorted.len();
    let text: Vec<u8> = [header].into_iter().chain(sorted.into_values()).flatten().collect();
    aberra::output::write(&args.out, &text)?;

    let failed: u64 = records.iter().map(|record| record.failed).sum();
    if args.json.json {
        let (shards, files) = (records.len(), records[0].listing.files);
        output::json(
            &json!({ "out": args.out.to_string_lossy(), "shards": shards, "files": files, "rows": rows, "failed": failed }),
        )?;
    } else {
        let shards = output::count(records.len(), "shard", "shards");
        output::note(&format!(
            "{} of {shards}, {failed} images not scored",
            output::count(rows, "row", "rows")
        ));
    }
    Ok(if failed > 0 { ExitStatus::SomeFailed } else { ExitStatus::Done })
}

/// Whether the shards are all of one scoring, each of them once.
fn check(paths: &[PathBuf], records: &[ShardRecord]) -> Result<(), CommandError> {
    let first = &records[0];
    let mut seen = BTreeSet::new();
    for (path, record) in paths.iter().zip(records) {
        let differs = |what: &str, expected: &dyn std::fmt::Display, found: &dyn std::fmt::Display| {
            let text = format!(
                "expected a shard of the same {what} as {} ({expected}), found {found}",
                paths[0].display()
            );
            Err(CommandError::at(path, text)
                .with_hint("score every shard with the same detector and the same images"))
        };
        let detector = |record: &ShardRecord| record.detector.clone().unwrap_or_default();
        if record.of != first.of {
            return differs("number of shards", &first.of, &record.of);
        }
        if record.detector != first.detector {
            return differs("detector", &detector(first), &detector(record));
        }
        if record.listing.files != first.listing.files {
            return differs("number of images", &first.listing.files, &record.listing.files);
        }
        if record.listing != first.listing {
            return differs("images", &"by the hash of their paths", &"others");
        }
        if !seen.insert(record.shard) {
            return Err(CommandError::at(
                path,
                format!("expected each shard once, found shard {} twice", record.shard),
            ));
        }
    }
    let missing: Vec<String> =
        (1..=first.of).filter(|number| !seen.contains(number)).map(|number| number.to_string()).collect();
    if !missing.is_empty() {
        let text = format!(
            "expected all {} shards, found {} of them: missing {}",
            first.of,
            seen.len(),
            missing.join(", ")
        );
        return Err(CommandError::new(text)
            .with_hint(format!("score --shard {}/{} --out FILE", missing[0], first.of)));
    }
    let own: u64 = records.iter().map(|record| record.own_files).sum();
    if own != first.listing.files {
        return Err(CommandError::new(format!(
            "expected {} images in all shards, found {own}",
            first.listing.files
        )));
    }
    Ok(())
}

/// The format that all files have, by their extensions.
fn format(shards: &[PathBuf], out: &Path) -> Result<RowFormat, CommandError> {
    let first = RowFormat::of_extension(&shards[0]);
    for path in shards.iter().map(PathBuf::as_path).chain([out]) {
        let found = RowFormat::of_extension(path);
        if found.is_none() || found != first {
            return Err(CommandError::at(
                path,
                "expected files of one format, .csv or .jsonl, found another extension",
            ));
        }
    }
    first.ok_or_else(|| CommandError::at(&shards[0], "expected a file .csv or .jsonl"))
}
