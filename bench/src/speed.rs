//! Speed beside PyTorch, ONNX Runtime and OpenVINO: the same work, in turn, in one run. Needs a Python with the packages
//! that `bench/peers/requirements.txt` lists; run it on a quiet machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};

use crate::grouped::{Result, note, result};
use crate::step::median;

/// Measure training, forward passes and scoring of a folder beside the peers.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The Python of the peers.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// The model: peer or reference (256 px).
    #[arg(long, default_value = "peer")]
    preset: String,
    /// Steps and passes that each program times in a round.
    #[arg(long, default_value_t = 11)]
    repeats: usize,
    /// Side of the network input.
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// Images of a step.
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Threads of every program.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Times that each program runs, in turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Peers to run.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "eager,channels_last,compile,bf16,channels_last_bf16,onnxruntime,openvino,openvino_bf16"
    )]
    peers: Vec<String>,
    /// A folder of JPEG files: scoring it is measured too.
    #[arg(long, requires_all = ["detector", "program"])]
    folder: Option<PathBuf>,
    /// The detector that scores the folder.
    #[arg(long)]
    detector: Option<PathBuf>,
    /// Peers that score the folder: `pillow` and `torchvision` beside the preset `peer`, `patchcore` and
    /// `patchcore_openvino` beside the default detector.
    #[arg(long, value_delimiter = ',', default_value = "pillow,torchvision")]
    folder_peers: Vec<String>,
    /// The program `aberra`, for the folder.
    #[arg(long)]
    program: Option<PathBuf>,
}

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");
const MEASURES: [&str; 3] = ["train_images_per_s", "forward_images_per_s", "memory_mb"];

/// name -> measure -> one value a round.
type Measured = BTreeMap<String, BTreeMap<&'static str, Vec<f64>>>;

/// Runs the measurement: a table of medians with what Aberra's is beside each, and a JSON line.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut measured = Measured::new();
    for round in 1..=arguments.rounds {
        note(&format!("round {round} of {}", arguments.rounds));
        let sizes = [
            ("--size", arguments.size),
            ("--batch", arguments.batch),
            ("--threads", arguments.threads),
            ("--repeats", arguments.repeats),
        ];
        let mut own = Command::new(std::env::current_exe()?);
        own.arg("step");
        let peers = arguments.peers.iter().map(|mode| {
            let mut command = Command::new(&arguments.python);
            command.arg(format!("{PEERS}/vae.py")).arg(mode);
            command
        });
        for mut command in std::iter::once(own).chain(peers) {
            command.args(["--preset", &arguments.preset]);
            command.args(sizes.iter().flat_map(|(name, value)| [(*name).to_owned(), value.to_string()]));
            let line = match last_line(&mut command) {
                Ok(line) => line,
                // A peer that cannot run here does not hide the others.
                Err(error) => {
                    note(&error.to_string());
                    continue;
                }
            };
            let name = line["name"].as_str().unwrap_or_default().to_owned();
            for measure in MEASURES {
                if let Some(value) = line[measure].as_f64() {
                    measured.entry(name.clone()).or_default().entry(measure).or_default().push(value);
                }
            }
        }
    }
    result(&format!(
        "{:<20} {:>12} {:>7} {:>14} {:>7} {:>11} {:>7}",
        "", "train img/s", "ratio", "forward img/s", "ratio", "memory MB", "ratio"
    ));
    let own = measured.get("aberra").cloned().unwrap_or_default();
    let median_of = |values: Option<&Vec<f64>>| values.map(|values| median(values.clone()));
    let mut names: Vec<&String> = measured.keys().collect();
    names.sort_by_key(|name| *name != "aberra");
    for name in names {
        let mut line = format!("{name:<20}");
        for (measure, width) in MEASURES.iter().zip([13, 15, 12]) {
            let (value, own) = (median_of(measured[name].get(measure)), median_of(own.get(measure)));
            let shown = value.map_or("-".to_owned(), |value| format!("{value:.1}"));
            let ratio = value.zip(own).map_or("-".to_owned(), |(value, own)| format!("{:.2}", own / value));
            line.push_str(&format!("{shown:>width$} {ratio:>7}"));
        }
        result(&line);
    }
    let folder = arguments.folder.as_ref().map(|folder| score(arguments, folder)).transpose()?;
    result(
        &json!({
            "preset": arguments.preset, "size": arguments.size, "batch": arguments.batch, "threads": arguments.threads,
            "rounds": arguments.rounds, "processor": processor(), "measured": measured, "folder": folder,
        })
        .to_string(),
    );
    Ok(())
}

/// Scores a folder with Aberra, its start included, and with each peer, in turn: medians of images per second.
fn score(arguments: &Arguments, folder: &PathBuf) -> Result<Value> {
    let mut rates = BTreeMap::<&str, Vec<f64>>::new();
    for _ in 0..arguments.rounds {
        let (Some(program), Some(detector)) = (&arguments.program, &arguments.detector) else { break };
        let started = Instant::now();
        let output = Command::new(program)
            .env("RAYON_NUM_THREADS", arguments.threads.to_string())
            .args(["score", "--csv"])
            .args([detector, folder])
            .output()?;
        let secs = started.elapsed().as_secs_f64();
        let images = output.stdout.iter().filter(|&&byte| byte == b'\n').count().saturating_sub(1);
        rates.entry("aberra").or_default().push(images as f64 / secs);
        for peer in &arguments.folder_peers {
            let mut command = Command::new(&arguments.python);
            command.arg(format!("{PEERS}/score_folder.py")).arg(peer).arg(folder);
            command.args(["--threads", &arguments.threads.to_string()]);
            match last_line(&mut command) {
                Ok(line) => {
                    rates.entry(peer).or_default().push(line["images_per_s"].as_f64().unwrap_or(f64::NAN));
                }
                Err(error) => note(&error.to_string()),
            }
        }
    }
    let rates: BTreeMap<&str, f64> = rates.into_iter().map(|(name, rates)| (name, median(rates))).collect();
    let own = rates.get("aberra").copied().unwrap_or(f64::NAN);
    for (name, rate) in &rates {
        result(&format!("scoring a folder: {name:<20} {rate:>7.1} images/s  ratio {:>6.2}", own / rate));
    }
    Ok(json!(rates))
}

/// The last line that a program prints, as JSON.
fn last_line(command: &mut Command) -> Result<Value> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().last().filter(|_| output.status.success()) {
        Some(line) => Ok(serde_json::from_str(line)?),
        None => {
            Err(format!("left out: {} (bench/peers/requirements.txt)", reason(command, &output.stderr))
                .into())
        }
    }
}

/// Why a program failed, in a line: which it was, and the last line that it wrote.
fn reason(command: &Command, stderr: &[u8]) -> String {
    let words: Vec<_> = command.get_args().take(2).map(|word| word.to_string_lossy()).collect();
    let last = String::from_utf8_lossy(stderr);
    format!("{}: {}", words.join(" "), last.trim_end().lines().last().unwrap_or("no message"))
}

/// The processor's name and what it can do, on Linux.
pub(crate) fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = |name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split_once(':'))
            .map_or("", |(_, value)| value.trim())
    };
    let flags: Vec<&str> = line("flags")
        .split(' ')
        .filter(|flag| ["avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16"].contains(flag))
        .collect();
    format!("{} ({})", line("model name"), flags.join(" "))
}
