//! Times whole training steps and forward passes of a preset on generated images: images per second, and the median and
//! least processor milliseconds, which a busy machine disturbs less.
//!
//! `cargo run --release -p aberra --example step -- [preset] [size_px] [batch] [threads] [section.name=value ...]`
//!
//! Everything of a step is in it: augmentation, forward, loss, backward, optimiser. Held-out images are left out.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use aberra::dataset::{Dataset, OpenOptions};
use aberra::model::Model;
use aberra::phantom::{PhantomDataset, slice, write_dataset};
use aberra::train::Progress;
use aberra::{Detector, TrainConfig, TrainOptions};
use burn::tensor::Device;
use std::ops::ControlFlow;
use std::time::Instant;

/// Steps before the clock starts, and steps timed.
const WARM_UP: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: usize| {
        arguments.get(index).map_or(default, |text| text.parse::<usize>().unwrap())
    };
    let preset = arguments.first().map_or("small", String::as_str);
    let (size_px, batch, threads) = (number(1, 64), number(2, 32), number(3, 0));
    let steps = if preset == "reference" { 4 } else { 100 };
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();

    let folder = tempfile::tempdir().unwrap();
    let images = 8 * batch;
    let phantoms = PhantomDataset {
        seed: 1,
        size_px: size_px.clamp(32, 128),
        train_normals: images,
        test_normals: 0,
        anomalies_per_kind: 0,
    };
    write_dataset(folder.path(), &phantoms).unwrap();
    let dataset = Dataset::open(folder.path(), &OpenOptions::default()).unwrap();
    let mut layers = vec![
        TrainConfig::parse_layer(&format!(
            "[preprocessing]\nsize_px = {size_px}\n[model]\npreset = \"{preset}\"\n[train]\nepochs = 1000\n\
             batch_size = {batch}\nvariance_warmup_epochs = 0\ncheck_every_epochs = 1000\n[split]\ntest_share = 0.0\n\
             [promise]\nfalse_alarm_rate = 0.3"
        ))
        .unwrap(),
    ];
    layers.extend(arguments.iter().skip(4).map(|text| TrainConfig::assignment_layer(text).unwrap()));
    let config = TrainConfig::from_layers(&layers).unwrap();

    // Time of whole epochs only: the last batch of an epoch may be smaller.
    let mut started = (Instant::now(), processor_ms());
    let (mut seconds, mut processor) = (Vec::new(), Vec::new());
    let mut batches = 0;
    let mut observe = |progress: Progress<'_>| {
        match progress {
            Progress::Start(plan) => batches = plan.steps_per_epoch,
            Progress::Step { step, .. } => {
                let now = (Instant::now(), processor_ms());
                // A step after an epoch's end also has the held-out images in it; a last batch may be small.
                if step > WARM_UP && step % batches > 1 {
                    seconds.push((now.0 - started.0).as_secs_f64());
                    processor.push(now.1 - started.1);
                }
                started = now;
            }
            Progress::Epoch(_) => {}
        }
        if seconds.len() >= steps { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = TrainOptions { observe: Some(&mut observe), ..Default::default() };
    let stopped = Detector::train_with(&dataset, &config, options).unwrap_err();
    assert!(stopped.is_interrupted(), "{stopped}");
    seconds.sort_by(f64::total_cmp);
    processor.sort_by(f64::total_cmp);
    let median = seconds.len() / 2;
    println!(
        "{preset}, {size_px} px, batch {batch}: {:.0} images/s, {:.2} ms a step; processor time {:.2} ms, at least {:.2}",
        batch as f64 / seconds[median],
        seconds[median] * 1e3,
        processor[median],
        processor[0],
    );

    let model = Model::new(&config.model, size_px, 1, 0, &Device::flex()).unwrap();
    let inputs: Vec<Vec<f32>> = (0..batch as u64).map(|index| slice(1, index, size_px).pixels).collect();
    let input = model.batch(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    let mut processor = Vec::new();
    for pass in 0..WARM_UP + steps {
        let started = processor_ms();
        let posterior = model.posterior(input.clone());
        let reconstruction = model.reconstruction(posterior.mean).mean().into_data();
        assert_eq!(reconstruction.num_elements(), batch * size_px * size_px);
        if pass >= WARM_UP {
            processor.push(processor_ms() - started);
        }
    }
    processor.sort_by(f64::total_cmp);
    println!("forward: processor time {:.2} ms, at least {:.2}", processor[steps / 2], processor[0]);
}

/// Processor time of all threads, on Linux; elsewhere 0.
fn processor_ms() -> f64 {
    // The kernel brings the number of a running thread up to date when it gives way.
    std::thread::yield_now();
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanoseconds = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e6
}
