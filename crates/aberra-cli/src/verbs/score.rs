//! `aberra score`: scores images and prints a row for each as soon as it is done.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use aberra::dataset::Remarks;
use aberra::explain::heat_map_png;
use aberra::image::{Format, Limits, count_pages};
use aberra::models::measure::Want;
use aberra::output::{file_name, write};
use aberra::run::RunFolder;
use aberra::wire::VerdictCard;
use aberra::{Detector, FILES_CHUNK, Verdict};
use clap::Args;

use crate::args::{DetectorArgs, JsonArgs};
use crate::data::Listed;
use crate::error::{CommandError, CommandResult, ExitStatus, with_path};
use crate::row_keys::RowKeys;
use crate::rows::{Row, RowFormat, Rows, columns};
use crate::shard::{Listing, Shard, ShardRecord};
use crate::sources::Sources;
use crate::verbs::score_volumes::{ScoreVolumes, VolumesArgs};
use crate::{data, interrupt, output};

const EXAMPLES: &str = "\
Examples:
  # a table
  aberra score runs/first/detector.aberra new/
  # one JSON object per line, with the evidence
  aberra score runs/first/detector.aberra a.png b.png --json
  # the images that a manifest names
  aberra score runs/first/detector.aberra batch.csv --csv
  # a heat map of each image
  aberra score runs/first/detector.aberra new/ --heatmaps maps/
  find new/ -name '*.jpg' -print0 \\
      | aberra score runs/first/detector.aberra -0 - --csv
  # goes on where it was interrupted
  aberra score runs/first/detector.aberra new/ --out rows.csv --resume
  # on the third of eight machines
  aberra score runs/first/detector.aberra new/ --shard 3/8 --out rows-3.csv
  # a verdict on each NIfTI volume and DICOM series
  aberra score runs/mri/detector.aberra scans/ --volumes --maps maps/

Exit status: 0 all images were scored; 1 error, none was scored; 2 some could not be read, or a heat map not written; 3 with \
--fail-on-anomaly, any is anomalous and none failed.";

/// Scores images for anomalies: score, p-value, threshold and verdict for each.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ScoreArgs {
    #[command(flatten)]
    detector: DetectorArgs,
    /// Image files, folders and manifests (.csv, .jsonl); `-` reads a list of paths from standard input, one per line.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Paths on standard input are separated by NUL characters instead of newlines.
    #[arg(short = '0', long = "null")]
    null: bool,
    /// Score every page of a TIFF, frame of a GIF or DICOM file and slice of a NIfTI volume as an image of its own; by default
    /// the first of full resolution is read.
    #[arg(long)]
    pages: bool,
    #[command(flatten)]
    volumes: VolumesArgs,
    #[command(flatten)]
    json: JsonArgs,
    /// Print CSV instead of a table.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Write the rows to a file; the extension .csv, .json or .jsonl selects the format.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Append to --out instead of replacing it, row by row, and skip the images that it has rows of: for many images, whose
    /// scoring may be interrupted and goes on with the same command.
    #[arg(long, requires = "out", conflicts_with = "heatmaps")]
    resume: bool,
    /// Score shard I of N, counted from 1: the images whose paths hash to it; `aberra merge` joins the rows of all. For many
    /// machines, which must name the images alike.
    #[arg(long, value_name = "I/N", requires = "out")]
    shard: Option<Shard>,
    /// Write a heat map of the error of each image to this folder; pixels above the pixel threshold are bright.
    #[arg(long, value_name = "DIR")]
    heatmaps: Option<PathBuf>,
    /// Exit with status 3 if any image is anomalous and none failed.
    #[arg(long)]
    fail_on_anomaly: bool,
}

pub(crate) fn run(args: &ScoreArgs) -> CommandResult {
    let detector = Detector::load(&args.detector.detector)?;
    if let Some(folder) = &args.heatmaps {
        if !detector.gives().map {
            return Err(CommandError::new(
                "--heatmaps: expected a detector that makes maps, found one without",
            )
            .with_hint("score without --heatmaps"));
        }
        RunFolder::check_mark(folder)?;
    }
    if let Some(out) = &args.out {
        let listed = args.paths.iter().map(PathBuf::as_path).filter(|path| path.as_os_str() != "-");
        let inputs: Vec<&Path> = std::iter::once(&*args.detector.detector).chain(listed).collect();
        output::target(out, &inputs)?;
        if let Some(folder) = &args.heatmaps {
            output::apart(out, folder)?;
        }
        if args.shard.is_some() && RowFormat::of_extension(out).is_none() {
            return Err(CommandError::at(
                out,
                "expected a file of rows of a shard, .csv or .jsonl, found another extension",
            ));
        }
        if args.shard.is_some() {
            ShardRecord::forget(out)?;
        }
    }
    interrupt::listen();
    if let Some(volumes) = judged_as_volumes(args, &detector)? {
        return volumes.run();
    }
    let (mut rows, done) = match (&args.out, args.resume) {
        (Some(out), true) => {
            let threshold = detector.calibration().threshold;
            let columns = columns(args.pages, !detector.channels().is_empty());
            let (keys, length) = RowKeys::read(out, format(args), columns, threshold)?;
            (Rows::append(format(args), out, length)?, keys)
        }
        (out, _) => (Rows::open(format(args), out.as_deref())?, RowKeys::default()),
    };
    let passed = Cell::new(0usize);
    let tally = RefCell::new(Tally::default());
    let skip = |reason: &dyn std::fmt::Display| {
        tally.borrow_mut().failed += 1;
        output::warning(&format!("skipped {reason}"));
    };
    let mut sources = Sources::new(&args.paths, args.null, &detector);
    let (listing, own_files) = (Cell::new(Listing::default()), Cell::new(0));
    let is_own = |image: &Listed| {
        let Some(shard) = args.shard else { return true };
        let path = image.path.to_string_lossy();
        let mut all = listing.get();
        all.add(&path);
        listing.set(all);
        own_files.set(own_files.get() + u64::from(shard.has(&path)));
        shard.has(&path)
    };
    let files = sources.by_ref().filter_map(|source| source.inspect_err(|reason| skip(reason)).ok());
    let files = files.filter(is_own);
    let want = if args.heatmaps.is_some() { Want::MAP } else { Want::MEASUREMENTS };
    let mut failure = None;
    let limits = &detector.config().limits;
    let images = files.flat_map(|image| pages(image, args.pages, limits)).filter(|(image, page)| {
        let is_new = !done.has(&image.path, *page);
        passed.set(passed.get() + usize::from(!is_new));
        is_new
    });
    let read = |(image, page): &(Listed, Option<u32>)| {
        detector.read_input(&image.path, &image.channels, *page, limits)
    };
    detector.score_each(images, read, FILES_CHUNK, want, |(Listed { path, .. }, page), verdict| {
        let written = match verdict {
            Ok(verdict) => {
                let number = tally.borrow_mut().count(&verdict, &path);
                let heatmap = args.heatmaps.as_deref().map(|folder| {
                    let file = heatmap_path(folder, number, &path);
                    let written = write_heatmap(&detector, folder, &file, &verdict);
                    written.inspect_err(|reason| tally.borrow_mut().miss(reason)).ok().map(|()| file)
                });
                let card = VerdictCard::of(&detector, &verdict, verdict.threshold);
                let row = Row::new(&path, card, heatmap.as_ref().map(Option::as_deref));
                let row = row.with_evidence(evidence(&detector, &verdict));
                rows.write(&if args.pages { row.with_page(page) } else { row })
            }
            Err(error) => {
                skip(&with_path(&path, &error));
                Ok(())
            }
        };
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    data::passed_over(&sources.passed_over());
    let tally = Tally { done: passed.get(), ..tally.into_inner() };
    data::remark(&tally.remarks);
    let record = args.shard.filter(|_| listing.get().files > 0).map(|shard| {
        let mut record = ShardRecord::new(shard, detector.hash(), listing.get());
        (record.own_files, record.rows) = (own_files.get(), (tally.scored + tally.done) as u64);
        record.failed = tally.failed as u64;
        record
    });
    let status = tally.conclude(rows, record.is_some(), args.fail_on_anomaly)?;
    if let (Some(record), Some(out)) = (record, &args.out) {
        record.write(out)?;
    }
    Ok(status)
}

/// The measurements of a verdict, by full name.
fn evidence(detector: &Detector, verdict: &Verdict) -> BTreeMap<String, f64> {
    let names = detector.descriptors().iter().map(|descriptor| descriptor.name.to_string());
    names.zip(verdict.evidence.0.iter().copied()).collect()
}

/// Scoring of volumes, where that is asked for, or is what the detector is calibrated for.
///
/// # Errors
/// Options that volumes do not go together with.
fn judged_as_volumes<'a>(
    args: &'a ScoreArgs,
    detector: &'a Detector,
) -> Result<Option<ScoreVolumes<'a>>, CommandError> {
    let is_calibrated = detector.volume_calibration().is_some();
    if !args.volumes.volumes && (args.pages || !is_calibrated) {
        return args.volumes.refuse_without_volumes().map(|()| None);
    }
    let refused = [
        (args.resume, "--resume"),
        (args.heatmaps.is_some(), "--heatmaps"),
        (args.shard.is_some(), "--shard"),
    ];
    if let Some((_, option)) = refused.iter().find(|(is_given, _)| *is_given) {
        let text = format!("{option}: expected images, found that volumes are judged");
        return Err(CommandError::new(text)
            .with_hint("--pages judges their slices, --maps DIR writes maps of volumes"));
    }
    if !args.volumes.volumes {
        output::note(
            "the detector is calibrated on volumes, which are judged as a whole; --pages judges images alone",
        );
    }
    Ok(Some(ScoreVolumes {
        detector,
        volumes: &args.volumes,
        paths: &args.paths,
        is_null_separated: args.null,
        format: format(args),
        out: args.out.as_deref(),
        fail_on_anomaly: args.fail_on_anomaly,
    }))
}

/// The images of a file: one, or its pages where each is one and there are several.
fn pages(image: Listed, are_images: bool, limits: &Limits) -> Vec<(Listed, Option<u32>)> {
    // What cannot be read says so when it is scored.
    match are_images.then(|| count_pages(&image.path, limits)) {
        Some(Ok(count)) if count > 1 => (0..count).map(|page| (image.clone(), Some(page))).collect(),
        _ => vec![(image, None)],
    }
}

/// Counts of results.
#[derive(Default)]
struct Tally {
    scored: usize,
    /// Images with a row of an earlier run.
    done: usize,
    failed: usize,
    anomalous: usize,
    /// Heat maps that could not be written.
    missed: usize,
    remarks: Remarks,
}

impl Tally {
    /// Counts a heat map that could not be written.
    fn miss(&mut self, reason: &aberra::Error) {
        self.missed += 1;
        output::warning(&format!("no heat map: {reason}"));
    }

    /// Counts a verdict; returns its number, starting from 1.
    fn count(&mut self, verdict: &Verdict, path: &Path) -> usize {
        for remark in &verdict.remarks {
            self.remarks.add(remark, &path.to_string_lossy());
        }
        self.scored += 1;
        self.anomalous += usize::from(verdict.anomalous);
        self.scored
    }

    /// Finishes the output, and returns the exit code. A shard may have no image, or none that can be used.
    fn conclude(&self, rows: Rows, is_shard: bool, fail_on_anomaly: bool) -> CommandResult {
        let Self { scored, done, failed, anomalous, missed, .. } = *self;
        if scored + done == 0 && !is_shard {
            return Err(match failed {
                0 => CommandError::new("expected images, found none")
                    .with_hint(format!("images are {} files, at any depth below a folder", Format::names())),
                _ => CommandError::new(format!(
                    "expected images, found {} that cannot be used",
                    output::count(failed, "file", "files")
                )),
            });
        }
        rows.finish()?;
        let earlier = if done > 0 { format!(", {done} had rows already") } else { String::new() };
        let skipped = if failed > 0 { format!(", {failed} skipped") } else { String::new() };
        let missed_maps = match missed {
            0 => String::new(),
            _ => format!(", {} not written", output::count(missed, "heat map", "heat maps")),
        };
        let images = output::count(scored, "image", "images");
        output::note(&format!("{images} scored, {anomalous} anomalous{earlier}{skipped}{missed_maps}"));
        Ok(match () {
            () if failed + missed > 0 => ExitStatus::SomeFailed,
            () if fail_on_anomaly && anomalous > 0 => ExitStatus::Anomalous,
            () => ExitStatus::Done,
        })
    }
}

fn write_heatmap(
    detector: &Detector,
    folder: &Path,
    file: &Path,
    verdict: &Verdict,
) -> Result<(), aberra::Error> {
    RunFolder::mark(folder)?;
    write(file, &heat_map_png(verdict, detector.pixel_threshold())?)
}

/// Heat maps are numbered, because images in different folders may have the same name.
fn heatmap_path(folder: &Path, number: usize, image: &Path) -> PathBuf {
    folder.join(file_name(&format!("{number:06}-"), image.file_stem().unwrap_or_default(), ".png"))
}

/// The format by a flag, or else by the extension of `--out`.
fn format(args: &ScoreArgs) -> RowFormat {
    match &args.out {
        _ if args.json.json => RowFormat::Json,
        _ if args.csv => RowFormat::Csv,
        Some(out) => RowFormat::of_extension(out).unwrap_or(RowFormat::Table),
        None => RowFormat::Table,
    }
}
