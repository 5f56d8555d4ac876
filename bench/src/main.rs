//! Measurements. Of quality: `choose` compares recipes on synthetic anomalies, `detect` compares them on real ones and
//! `look` writes down what `aberra bench` measured on those, `promise` measures the realised false-alarm rate. Of speed:
//! `speed` compares with peers, `step` is Aberra's own part of that, `backbone` times the frozen features beside ONNX
//! Runtime. `serve` measures the server and attacks it, `soak` watches its memory for minutes. `worlds` measures nothing: it draws
//! what weights are learnt from. Run them from the repository's root, in release.

mod backbone;
mod choose;
mod detect;
mod disturb;
mod grouped;
mod look;
mod promise;
#[cfg(target_os = "linux")]
mod serve;
mod speed;
mod step;
mod worlds;

use clap::Parser;

/// Measure the quality and the speed of detectors.
#[derive(Parser)]
enum Measurement {
    /// Time the frozen backbone beside ONNX Runtime.
    Backbone(backbone::Arguments),
    /// Compare recipes on synthetic anomalies in held-out normals; sees no real anomaly.
    Choose(choose::Arguments),
    /// Measure on grouped folds against real anomalies; every run is written to bench/looks.jsonl.
    Detect(detect::Arguments),
    /// Write down in bench/looks.jsonl what `aberra bench` looked at.
    Look(look::Arguments),
    /// Measure the realised false-alarm rate over many divisions; sees normals alone.
    Promise(promise::Arguments),
    /// Measure `aberra serve`: start, latency, throughput, memory, attacks, the end.
    #[cfg(target_os = "linux")]
    Serve(serve::Arguments),
    /// Serve a mixture of good and bad clients for minutes, then attack: memory.
    #[cfg(target_os = "linux")]
    Soak(serve::soak::Arguments),
    /// Measure speed beside PyTorch, ONNX Runtime and OpenVINO.
    Speed(speed::Arguments),
    /// Time training steps and forward passes.
    Step(step::Arguments),
    /// Write generated images with anomalies to standard output, for `discriminator/make.py`.
    Worlds(worlds::Arguments),
}

fn main() -> grouped::Result<()> {
    match Measurement::parse() {
        Measurement::Backbone(arguments) => backbone::run(&arguments),
        Measurement::Choose(arguments) => choose::run(&arguments),
        Measurement::Detect(arguments) => detect::run(&arguments),
        Measurement::Look(arguments) => look::run(&arguments),
        Measurement::Promise(arguments) => promise::run(&arguments),
        #[cfg(target_os = "linux")]
        Measurement::Serve(arguments) => serve::run(&arguments),
        #[cfg(target_os = "linux")]
        Measurement::Soak(arguments) => serve::soak::run(&arguments),
        Measurement::Speed(arguments) => speed::run(&arguments),
        Measurement::Step(arguments) => step::run(&arguments),
        Measurement::Worlds(arguments) => worlds::run(&arguments),
    }
}
