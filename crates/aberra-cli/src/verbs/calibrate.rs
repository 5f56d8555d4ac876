//! `aberra calibrate`: moves a detector's threshold without training again.

use std::path::{Path, PathBuf};

use aberra::calibrate::{Criterion, Labelled};
use aberra::dataset::GroupBy;
use aberra::evaluate::ImageRow;
use aberra::image::{Limits, RelativeRegion};
use aberra::{Detector, ImportedModel, Recalibrated, RecalibratedVolumes};
use clap::{ArgGroup, Args, ValueEnum};

use crate::args::{DetectorArgs, JsonArgs, NormalArgs};
use crate::error::{CommandError, CommandResult, ExitStatus};
use crate::steps::card;
use crate::steps::evaluation::{measure, report_unusable};
use crate::{data, interrupt, output};

const EXAMPLES: &str = "\
Examples:
  # writes runs/first/detector-calibrated.aberra
  aberra calibrate runs/first/detector.aberra --rate 0.01
  aberra calibrate runs/first/detector.aberra --rate 0.05 --confidence 0.9 \\
      --out strict.aberra
  aberra calibrate runs/first/detector.aberra --rate 0.01 --in-place
  aberra calibrate runs/first/detector.aberra --rate 0.05 --data june/ \\
      --normal '*' --out june.aberra
  aberra calibrate runs/first/detector.aberra --rate 0.05 --data photos/ \\
      --ignore 0.7,0.9,0.3,0.1 --out without-date.aberra
  aberra calibrate runs/mri/detector.aberra --volumes --rate 0.05 \\
      --data normal-scans/ --out mri.aberra
  aberra calibrate runs/first/detector.aberra --percentile 70
  aberra calibrate runs/first/detector.aberra --labelled f1 --data photos/ \\
      --normal good

A model of `aberra import` becomes a detector: --data and --rate are needed.

The detector that is given stays as it is, unless --in-place is.";

/// What a detector's name gets where no other is given.
const CALIBRATED: &str = "-calibrated.aberra";

/// Recalibrates a detector: moves its threshold without training again, from its own calibration scores, from other normal
/// images, or with labelled images.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("criterion").required(true).args(["rate", "percentile", "threshold", "labelled"]))]
pub(crate) struct CalibrateArgs {
    #[command(flatten)]
    detector: DetectorArgs,
    /// Target false-alarm rate, such as 0.05: a coverage guarantee, from normals only.
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Guarantee the rate with this confidence, such as 0.9, instead of on average.
    #[arg(long, value_name = "C", allow_negative_numbers = true)]
    confidence: Option<f64>,
    /// Percentile of the normals' scores, 0 to 100; without a guarantee.
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    percentile: Option<f64>,
    /// Fixed threshold, in the units of the score; without a guarantee.
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// Threshold that is optimal on the labelled images of --data; without a guarantee.
    #[arg(long, value_name = "BY", requires = "data")]
    labelled: Option<LabelledBy>,
    /// Images to calibrate on in place of the detector's own calibration normals: their normals, one of each group of
    /// near-duplicates, or with --labelled all. Images that the detector learnt from are excluded.
    #[arg(long)]
    data: Option<PathBuf>,
    #[command(flatten)]
    normal: NormalArgs,
    /// With --volumes: the share of a volume's slices whose mean makes its score [default: the detector's, or 0.05].
    #[arg(
        long,
        value_name = "SHARE",
        requires = "volumes",
        requires = "data",
        allow_negative_numbers = true
    )]
    top: Option<f64>,
    /// With --data: ignore this part of every image from now on, such as a date beside what is shown: left, top, width and height as
    /// shares of its sides; repeatable.
    #[arg(
        long,
        value_name = "L,T,W,H",
        requires = "data",
        conflicts_with_all = ["labelled", "volumes"]
    )]
    ignore: Vec<RelativeRegion>,
    /// With --labelled: split of the data (split.json), of which only the test part is used.
    #[arg(long, value_name = "FILE.json")]
    split: Option<PathBuf>,
    /// With --labelled cost: cost of a false alarm [default: 1].
    #[arg(long, value_name = "COST", allow_negative_numbers = true)]
    cost_false_alarm: Option<f64>,
    /// With --labelled cost: cost of a missed anomaly (false negative) [default: 1].
    #[arg(long, value_name = "COST", allow_negative_numbers = true)]
    cost_miss: Option<f64>,
    /// Write the new detector to this file [default: the detector's name with -calibrated, beside it; must not exist].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the detector file itself.
    #[arg(long, conflicts_with = "out")]
    in_place: bool,
    #[command(flatten)]
    json: JsonArgs,
}

/// The objective of a labelled criterion.
#[derive(Clone, Copy, ValueEnum)]
enum LabelledBy {
    /// Maximise F1.
    F1,
    /// Maximise Youden's J: true-positive rate minus false-positive rate.
    Youden,
    /// Minimise total cost.
    Cost,
}

pub(crate) fn run(args: &CalibrateArgs) -> CommandResult {
    let criterion = criterion(args)?;
    criterion.check()?;
    let path = &args.detector.detector;
    if ImportedModel::is_one(path) {
        return first(args, criterion);
    }
    let before = Detector::load(path)?;
    let calibrated = if args.ignore.is_empty() { before.clone() } else { before.ignoring(&args.ignore)? };
    let out = &out(args)?;
    let own = (!args.in_place).then_some(path);
    let inputs: Vec<&Path> = args.data.iter().chain(&args.split).chain(own).map(PathBuf::as_path).collect();
    output::target(out, &inputs)?;
    interrupt::listen();
    let mut status = ExitStatus::Done;
    let of_volumes = args.normal.volumes;
    if of_volumes && criterion.needs_labels() {
        return Err(CommandError::new(
            "--volumes: expected --rate, --percentile or --threshold, found --labelled",
        )
        .with_hint("volumes are calibrated on normal ones"));
    }
    let after = match &args.data {
        None if of_volumes => before.calibrate_volumes(criterion)?,
        Some(data) if of_volumes => {
            let (recalibrated, skipped) = on_volumes(&before, data, args, criterion)?;
            status = skipped;
            recalibrated
        }
        None => before.calibrate(None, criterion)?,
        Some(data) if args.labelled.is_none() => {
            if before.volume_calibration().is_some() && !args.ignore.is_empty() {
                output::warning(
                    "the threshold of volumes is gone: calibrate the new detector with --volumes, too",
                );
            }
            let (recalibrated, skipped) = on_other_normals(&calibrated, data, &args.normal, criterion)?;
            status = skipped;
            recalibrated
        }
        Some(data) => {
            let evaluation = measure(&before, data, &args.normal, args.split.as_deref(), false)?;
            status = report_unusable(&evaluation);
            let scored = |row: &ImageRow| Some((row.scored()?.score, !row.label.is_normal()));
            let (scores, anomalous): (Vec<f64>, Vec<bool>) =
                evaluation.images.iter().filter_map(scored).unzip();
            before.calibrate(Some(Labelled { scores: &scores, anomalous: &anomalous }), criterion)?
        }
    };
    after.save(out)?;
    // What was written into a pipe or a device cannot be read back.
    let after = if out.is_file() { Detector::load(out)? } else { after };
    if args.json.json {
        output::json(&card::describe(out, &after)?)?;
    } else {
        let moved = |before: Option<f64>, after: Option<f64>| {
            let number = |threshold: Option<f64>| threshold.map_or("none".to_owned(), output::number);
            format!("{} (was {})", number(after), number(before))
        };
        let [(before, _), (after, promise)] =
            [&before, &after].map(|detector| judged_by(detector, of_volumes));
        let what = if of_volumes { "threshold of volumes" } else { "threshold" };
        output::data(&output::aligned(&[
            (what, moved(before, after)),
            ("promise", promise),
            ("detector", out.display().to_string()),
        ]))?;
    }
    Ok(status)
}

/// Makes a detector of an imported model.
fn first(args: &CalibrateArgs, criterion: Criterion) -> CommandResult {
    let path = &args.detector.detector;
    let model = ImportedModel::load(path)?;
    let Some(data) = args.data.as_deref().filter(|_| !args.normal.volumes) else {
        return Err(CommandError::at(
            path,
            "expected --data with normal images for an imported model, found none",
        )
        .with_hint("it has seen no images yet: aberra calibrate MODEL --data NORMALS --rate 0.05"));
    };
    if !args.ignore.is_empty() {
        return Err(CommandError::new("--ignore: expected a detector, found an imported model")
            .with_hint("calibrate it without --ignore first, and what comes of it with --ignore"));
    }
    let out = &out(args)?;
    output::target(out, &[data])?;
    interrupt::listen();
    let dataset = data::open(data, &args.normal)?;
    let inspection = data::inspect(&dataset, &Limits::default())?;
    output::note(
        "which images the weights were trained on is not known here: normals among them would make the threshold too low",
    );
    let detector = model.calibrate(&dataset, &inspection, criterion)?;
    detector.save(out)?;
    let detector = if out.is_file() { Detector::load(out)? } else { detector };
    if args.json.json {
        output::json(&card::describe(out, &detector)?)?;
    } else {
        let (threshold, promise) = judged_by(&detector, false);
        output::data(&output::aligned(&[
            ("threshold", threshold.map_or_else(String::new, output::number)),
            ("promise", promise),
            ("weights from", model.made_from().to_owned()),
            ("detector", out.display().to_string()),
        ]))?;
    }
    Ok(if inspection.unreadable().is_empty() { ExitStatus::Done } else { ExitStatus::SomeFailed })
}

/// Where the new detector goes: a file beside the old one unless the user says otherwise.
fn out(args: &CalibrateArgs) -> Result<PathBuf, CommandError> {
    let path = &args.detector.detector;
    if let Some(out) = args.out.as_ref().or(args.in_place.then_some(path)) {
        return Ok(out.clone());
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(CALIBRATED);
    let beside = path.with_file_name(name);
    if beside.exists() {
        return Err(CommandError::at(&beside, "expected no file of this name yet, found one").with_hint(
            "--out FILE writes another file or replaces this one, --in-place replaces the detector",
        ));
    }
    Ok(beside)
}

/// The threshold of images, or of volumes, and its promise.
fn judged_by(detector: &Detector, of_volumes: bool) -> (Option<f64>, String) {
    let images = detector.calibration();
    match detector.volume_calibration() {
        _ if !of_volumes => (Some(images.threshold), images.promise.to_string()),
        Some(volumes) => (Some(volumes.calibration.threshold), volumes.calibration.promise.of_volumes()),
        None => (None, String::new()),
    }
}

/// Calibrates on the normal volumes of a data set, and says what was left out.
fn on_volumes(
    detector: &Detector,
    path: &Path,
    args: &CalibrateArgs,
    criterion: Criterion,
) -> Result<(Detector, ExitStatus), CommandError> {
    let dataset = data::open(path, &data::for_detector(&args.normal, detector))?;
    let inspection = data::inspect(&dataset, &detector.config().limits)?;
    let RecalibratedVolumes { detector, groups, volumes, learnt_from, anomalous, .. } =
        detector.recalibrate_volumes(&dataset, &inspection, GroupBy::Near, criterion, args.top)?;
    output::note(&format!(
        "calibrated on {} of {}",
        output::count(groups, "group", "groups"),
        output::count(volumes, "normal volume", "normal volumes")
    ));
    if let Some(example) = learnt_from.first() {
        output::warning(&format!(
            "left out {} with slices that the detector learnt from, or near-duplicates of such (like {example})",
            output::count(learnt_from.len(), "volume", "volumes"),
        ));
    }
    if anomalous > 0 {
        let volumes = output::count(anomalous, "volume", "volumes");
        output::note(&format!("ignored {volumes} with an anomalous slice"));
    }
    Ok((detector, if inspection.unreadable().is_empty() { ExitStatus::Done } else { ExitStatus::SomeFailed }))
}

/// Calibrates on the normals of a data set, and says what was left out.
fn on_other_normals(
    detector: &Detector,
    path: &Path,
    how: &NormalArgs,
    criterion: Criterion,
) -> Result<(Detector, ExitStatus), CommandError> {
    let dataset = data::open(path, &data::for_detector(how, detector))?;
    let inspection = data::inspect(&dataset, &detector.config().limits)?;
    let Recalibrated { detector, groups, images, learnt_from, anomalous, .. } =
        detector.recalibrate(&dataset, &inspection, GroupBy::Near, criterion)?;
    output::note(&format!(
        "calibrated on {} of {}",
        output::count(groups, "group", "groups"),
        output::count(images, "normal image", "normal images")
    ));
    if let Some(&example) = learnt_from.first() {
        output::warning(&format!(
            "left out {} that the detector learnt from, or that are near-duplicates of such (like {})",
            output::count(learnt_from.len(), "image", "images"),
            dataset.samples[example].name
        ));
    }
    if anomalous > 0 {
        output::note(&format!("ignored {}", output::count(anomalous, "anomalous image", "anomalous images")));
    }
    let status = match inspection.unreadable().len() {
        0 => ExitStatus::Done,
        _ => ExitStatus::SomeFailed,
    };
    Ok((detector, status))
}

fn criterion(args: &CalibrateArgs) -> Result<Criterion, CommandError> {
    // Of a group of which one must be given, clap requires no member for another argument.
    let is_cost = matches!(args.labelled, Some(LabelledBy::Cost));
    for (is_given, option, is_of_use, wanted) in [
        (args.confidence.is_some(), "--confidence", args.rate.is_some(), "--rate"),
        (args.split.is_some(), "--split", args.labelled.is_some(), "--labelled"),
        (args.cost_false_alarm.is_some(), "--cost-false-alarm", is_cost, "--labelled cost"),
        (args.cost_miss.is_some(), "--cost-miss", is_cost, "--labelled cost"),
    ] {
        if is_given && !is_of_use {
            return Err(CommandError::new(format!("{option}: expected {wanted} beside it, found none"))
                .with_hint(format!("it changes nothing without {wanted}: leave it out")));
        }
    }
    match (args.rate, args.percentile, args.threshold, args.labelled) {
        (Some(rate), ..) => Ok(Criterion::Conformal { rate, confidence: args.confidence }),
        (_, Some(percentile), ..) => Ok(Criterion::Percentile { percentile }),
        (_, _, Some(threshold), _) => Ok(Criterion::Fixed { threshold }),
        (.., Some(LabelledBy::F1)) => Ok(Criterion::LabelledF1Max),
        (.., Some(LabelledBy::Youden)) => Ok(Criterion::LabelledYouden),
        (.., Some(LabelledBy::Cost)) => {
            let (false_alarm, miss) = (args.cost_false_alarm.unwrap_or(1.0), args.cost_miss.unwrap_or(1.0));
            Ok(Criterion::LabelledCost { false_alarm, miss })
        }
        (None, None, None, None) => Err(CommandError::new(
            "expected one of --rate, --percentile, --threshold and --labelled, found none",
        )),
    }
}
