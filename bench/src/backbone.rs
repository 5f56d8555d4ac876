//! Times the frozen backbone on generated images, in turn with ONNX Runtime on the same graph where a Python that has it
//! is named. Everything is in it: normalisation, all blocks, and the features copied out.

use std::process::{Command, Stdio};
use std::time::Instant;

use aberra::models::{Backbone, Shape};
use aberra::phantom::slice;
use clap::Args;

use crate::grouped::{Result, result};
use crate::step::median;

/// Time the backbone's features, beside ONNX Runtime.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Side of the images.
    #[arg(long, default_value_t = 256)]
    size: usize,
    /// Images at a time.
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Threads; 0 takes all there are.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Passes timed in a round.
    #[arg(long, default_value_t = 40)]
    repeats: usize,
    /// Rounds, in each of which both are timed.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// A Python with onnxruntime, onnx, safetensors and numpy.
    #[arg(long)]
    python: Option<String>,
}

/// Passes before the clock starts.
const WARM_UP: usize = 5;
const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/backbone.py");
const WEIGHTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/aberra-models/backbone/efficientnet-lite0-10.safetensors"
);

/// Runs the measurement and prints one JSON line for each program and round: milliseconds an image.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).use_current_thread().build_global()?;
    aberra::compute::instructions()?;
    let backbone = Backbone::embedded(&aberra::compute::cpu())?;
    let shape = Shape::square(arguments.size, 3);
    let coloured = |grey: Vec<f32>| grey.into_iter().flat_map(|value| [value; 3]).collect();
    let images: Vec<Vec<f32>> =
        (0..arguments.batch as u64).map(|index| coloured(slice(1, index, arguments.size).pixels)).collect();
    let images: Vec<&[f32]> = images.iter().map(Vec::as_slice).collect();
    for round in 0..arguments.rounds {
        let mut times = Vec::new();
        for repeat in 0..WARM_UP + arguments.repeats {
            let started = Instant::now();
            for features in backbone.features_of(&images, shape)? {
                assert_eq!(features.dims()[0], arguments.batch);
                drop(features.into_data());
            }
            if repeat >= WARM_UP {
                times.push(started.elapsed().as_secs_f64() * 1e3 / arguments.batch as f64);
            }
        }
        let least = times.iter().copied().fold(f64::INFINITY, f64::min);
        let line = serde_json::json!({
            "name": "aberra", "round": round, "least_ms": least, "median_ms": median(times),
        });
        result(&line.to_string());
        if let Some(python) = &arguments.python {
            let numbers =
                [arguments.size, arguments.batch, rayon::current_num_threads(), arguments.repeats, round];
            let peer = Command::new(python)
                .args([PEER, WEIGHTS])
                .args(numbers.map(|number| number.to_string()))
                .stderr(Stdio::inherit())
                .output()?;
            if !peer.status.success() {
                return Err(format!("the peer failed: {}", peer.status).into());
            }
            result(String::from_utf8_lossy(&peer.stdout).trim());
        }
    }
    Ok(())
}
