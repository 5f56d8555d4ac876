//! `aberra report`: writes a self-contained HTML report, and figures.

use std::path::{Path, PathBuf};

use aberra::Detector;
use aberra::evaluate::Evaluation;
use aberra::report::{Report, RunSource};
use aberra::run::RunFolder;
use clap::Args;
use serde_json::json;

use crate::args::{DetectorArgs, JsonArgs, NormalArgs};
use crate::error::{CommandError, CommandResult, ExitStatus};
use crate::steps::card::name_of;
use crate::steps::evaluation::{measure, report_unusable};
use crate::steps::reporting::make;
use crate::{data, interrupt, output};

const EXAMPLES: &str = "\
Examples:
  aberra report runs/first/detector.aberra photos/ \\
      --split runs/first/split.json --out report.html
  aberra report runs/first/detector.aberra photos/ \\
      --evaluation evaluation/evaluation.json --out report.html
  aberra report runs/first/detector.aberra photos/ \\
      --compare runs/second/detector.aberra --png figures/ --out report.html

The report is self-contained: it opens from disk in any browser, without a network. It contains images of the data \
set, so share it only with people who may see them.";

/// Writes a self-contained HTML report: metrics, training, threshold, images, embedding space, comparison.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    detector: DetectorArgs,
    /// Folder with one subfolder per class, or manifest (.csv, .jsonl).
    data: PathBuf,
    #[command(flatten)]
    normal: NormalArgs,
    /// Write the report to this file.
    #[arg(long, value_name = "FILE.html")]
    out: PathBuf,
    /// Split of the data (split.json), of which only the test part is evaluated and reported. Not with --evaluation, which has
    /// settled what is reported.
    #[arg(long, value_name = "FILE.json", conflicts_with = "evaluation")]
    split: Option<PathBuf>,
    /// Saved evaluation of this detector on this data (evaluation.json), used instead of a new one; it is of the split that
    /// `aberra evaluate --split` was given.
    #[arg(long, value_name = "FILE.json")]
    evaluation: Option<PathBuf>,
    /// Run folder with the detector's training history [default: the detector's folder].
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Detector to compare with on the same images; repeatable.
    #[arg(long, value_name = "DETECTOR")]
    compare: Vec<PathBuf>,
    /// Write publication figures as PNG files to this folder.
    #[arg(long, value_name = "DIR")]
    png: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArgs,
}

pub(crate) fn run(args: &ReportArgs) -> CommandResult {
    let path = &args.detector.detector;
    let detector = Detector::load(path)?;
    let others = load_others(&args.compare)?;
    let read = args.split.iter().chain(&args.evaluation).chain(&args.compare).map(PathBuf::as_path);
    let inputs: Vec<&Path> = [&**path, &args.data].into_iter().chain(read).collect();
    output::target(&args.out, &inputs)?;
    if let Some(folder) = &args.png {
        output::apart(&args.out, folder)?;
        RunFolder::check_mark(folder)?;
    }
    interrupt::listen();
    let evaluation = match &args.evaluation {
        Some(file) => Evaluation::load(file)?,
        None => measure(&detector, &args.data, &args.normal, args.split.as_deref(), true)?,
    };
    let status = report_unusable(&evaluation);
    let beside = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let run = args.run.as_deref().map_or(RunSource::Perhaps(beside), RunSource::Given);
    let report = make(&detector, path, &args.data, &args.normal, &evaluation, run, &others)?;
    if args.evaluation.is_some() {
        // A new evaluation has said what the data are.
        data::open(&args.data, &data::for_detector(&args.normal, &detector))?;
    }
    let bytes = report.save(&args.out)?;
    let (figures, missed) = match &args.png {
        Some(folder) => write_figures(&report, folder)?,
        None => (Vec::new(), 0),
    };
    let status = if missed > 0 { ExitStatus::SomeFailed } else { status };

    let found = report.data();
    if args.json.json {
        output::json(&json!({
            "report": args.out.to_string_lossy(),
            "bytes": bytes,
            "images": found.images.len(),
            "images_in_full": found.images.iter().filter(|image| image.pictures.is_some()).count(),
            "figures": figures.iter().map(|file| file.to_string_lossy()).collect::<Vec<_>>(),
            "summary": found.summary,
            "warnings": found.warnings,
        }))?;
    } else {
        for line in &found.summary {
            output::data(line)?;
        }
        for warning in &found.warnings {
            output::warning(warning);
        }
        output::data("")?;
        let mut rows = vec![("report", format!("{} ({})", args.out.display(), output::size(bytes)))];
        if let Some(folder) = &args.png {
            let count = output::count(figures.len(), "figure", "figures");
            rows.push(("figures", format!("{count} in {}", folder.display())));
        }
        output::data(&output::aligned(&rows))?;
    }
    Ok(status)
}

fn load_others(paths: &[PathBuf]) -> Result<Vec<(String, Detector)>, CommandError> {
    paths.iter().map(|path| Ok((name_of(path), Detector::load(path)?))).collect()
}

/// Writes the figures; returns their files, and how many could not be written.
fn write_figures(report: &Report, folder: &Path) -> Result<(Vec<PathBuf>, usize), CommandError> {
    let (mut written, mut missed) = (Vec::new(), 0);
    for (name, png) in report.figures()? {
        let file = folder.join(format!("{name}.png"));
        match RunFolder::mark(folder).and_then(|()| aberra::output::write(&file, &png)) {
            Ok(()) => written.push(file),
            Err(error) => {
                missed += 1;
                output::warning(&format!("no figure: {error}"));
            }
        }
    }
    Ok((written, missed))
}
