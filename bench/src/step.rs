//! Times whole training steps of a preset, and forward passes, on generated images. Everything of a step is in it:
//! augmentation, forward, loss, backward, optimiser; the held-out images are left out.

use std::ops::ControlFlow;
use std::time::Instant;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::job::{Event, Job};
use aberra::models::families::{VaeSettings, VariationalAutoencoder};
use aberra::models::train::Progress;
use aberra::models::{Shape, parse};
use aberra::phantom::{PhantomDataset, slice, write_dataset};
use aberra::{CheckedConfig, Detector, TrainConfig, TrainOptions};
use burn::tensor::{Tensor, TensorData};
use clap::Args;

use crate::grouped::{Result, result};

/// Time training steps and forward passes of a preset.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The model.
    #[arg(long, default_value = "peer")]
    preset: String,
    /// Side of the network input.
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// Images of a step.
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Threads; 0 takes all there are.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Steps and passes timed.
    #[arg(long, default_value_t = 30)]
    repeats: usize,
    /// Another setting, as section.name=value.
    #[arg(long)]
    set: Vec<String>,
}

/// Steps before the clock starts.
const WARM_UP: usize = 3;
/// Steps in an epoch.
const STEPS: usize = 8;

/// Runs the measurement and prints one JSON line in the shape that the peers print.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build_global()?;
    let mut layers = vec![TrainConfig::parse_layer(&format!(
        "[preprocessing]\nsize_px = {}\n[model]\npreset = \"{}\"\nvariance_warmup_epochs = 0\n[train]\nepochs = 100000\nbatch_size = {}\n\
         check_every_epochs = 100000\n[split]\ntest_share = 0.0\n\
         [promise]\nfalse_alarm_rate = 0.3",
        arguments.size, arguments.preset, arguments.batch
    ))?];
    for setting in &arguments.set {
        layers.push(TrainConfig::assignment_layer(setting)?);
    }
    let config = TrainConfig::from_layers(&layers)?;
    let train = median(train_secs(arguments, &config)?);
    let training_memory = memory_mb();
    let forward = median(forward_secs(arguments, &config)?);
    let rate = |secs: f64| (arguments.batch as f64 / secs * 10.0).round() / 10.0;
    result(
        &serde_json::json!({
            "name": "aberra", "train_images_per_s": rate(train), "forward_images_per_s": rate(forward),
            "memory_mb": training_memory,
        })
        .to_string(),
    );
    Ok(())
}

/// Seconds of each step.
fn train_secs(arguments: &Arguments, config: &CheckedConfig) -> Result<Vec<f64>> {
    let folder = tempfile::tempdir()?;
    let phantoms = PhantomDataset {
        seed: 1,
        size_px: arguments.size.clamp(32, 128),
        train_normals: STEPS * arguments.batch.max(8),
        test_normals: 0,
        anomalies_per_kind: 0,
    };
    write_dataset(folder.path(), &phantoms)?;
    let dataset = Dataset::open(folder.path(), &OpenOptions::default())?;
    let (mut started, mut secs, mut steps_per_epoch) = (Instant::now(), Vec::new(), 1);
    let mut watch = |event: Event<'_>| {
        let Event::Fit { progress, .. } = event else { return ControlFlow::Continue(()) };
        match progress {
            Progress::Start(plan) => steps_per_epoch = plan.steps_per_epoch,
            Progress::Step { step, .. } => {
                // The first step of an epoch has held-out images in it, and the last batch may be small.
                if step > WARM_UP && step % steps_per_epoch > 1 {
                    secs.push(started.elapsed().as_secs_f64());
                }
                started = Instant::now();
            }
            _ => {}
        }
        if secs.len() >= arguments.repeats { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = TrainOptions { job: Job::watched(&mut watch), ..TrainOptions::default() };
    match Detector::train_with(&dataset, config, options) {
        Err(error) if error.is_interrupted() => Ok(secs),
        Err(error) => Err(error.into()),
        Ok(_) => Err("training ended before enough steps were timed".into()),
    }
}

/// Seconds of each forward pass: encoder, decoder, and the reconstruction copied out.
fn forward_secs(arguments: &Arguments, config: &CheckedConfig) -> Result<Vec<f64>> {
    let (device, shape) = (aberra::compute::cpu(), Shape::square(arguments.size, 1));
    let config = config.resolved(|| Ok(aberra::compute::AutoPrecision::of_machine()?.precision))?;
    let settings: VaeSettings = parse(&config.members()[0].settings)?;
    let model = VariationalAutoencoder::new(&settings, shape, 0, &device)?;
    let inputs: Vec<Vec<f32>> =
        (0..arguments.batch as u64).map(|index| slice(1, index, arguments.size).pixels).collect();
    let slices: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let data = TensorData::new(slices.concat(), [slices.len(), arguments.size, arguments.size, 1]);
    let batch = Tensor::<4>::from_data(data, &device);
    let mut secs = Vec::new();
    for repeat in 0..WARM_UP + arguments.repeats {
        let started = Instant::now();
        let reconstruction = model.reproduce(batch.clone()).into_data();
        assert_eq!(reconstruction.num_elements(), batch.shape().num_elements());
        if repeat >= WARM_UP {
            secs.push(started.elapsed().as_secs_f64());
        }
    }
    Ok(secs)
}

/// The middle value, the upper of two; NaN of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The most memory that the process has held, on Linux.
fn memory_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1024)
}
