//! A soak: for minutes, clients of all routes beside clients that send what is broken, are slow or leave; attacks at the end.
//! What is looked at is memory, every second: that it does not grow, how far it rises, and that it is given back.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aberra::Detector;
use aberra::phantom::{PhantomDataset, write_dataset};
use clap::Args;
use serde_json::json;

use super::attacks;
use super::findings::Findings;
use super::hostile::{self, Aim, Hostile};
use super::load::{Load, Question, Until, load, rounded};
use super::mixture::{Asked, ask_mixture, mixture, slowly, vanish};
use super::program::Program;
use super::questions::{images, questions};
use super::{Common, Recorded, listed, program_or_beside, record};
use crate::grouped::{Result, note};
use crate::step::median;

/// Serve a mixture of good and bad clients for minutes, then attack, and watch memory.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The detectors that it serves; all are asked.
    #[arg(required = true)]
    detectors: Vec<PathBuf>,
    /// Of the mixture, before the attacks.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// At a time: two thirds of them ask well.
    #[arg(long, default_value_t = 20)]
    clients: usize,
    #[command(flatten)]
    common: Common,
}

/// How much of everything.
struct Plan {
    mixture: Duration,
    /// Before memory is looked at for the first time.
    warm_up: Duration,
    /// Over which memory is looked at, at the beginning and at the end: single moments are chance.
    window: Duration,
    vanishing: usize,
    hostile: usize,
    burst: usize,
}

/// Sides of the phantoms that are asked about.
const SIDES_PX: [usize; 2] = [128, 640];
/// Phantoms of each size.
const PHANTOMS: usize = 8;
/// Maximum growth of memory after the warm-up.
const GROWTH_MB: f64 = 50.0;
/// The most memory that may be held at any time, the largest picture that is read included.
const PEAK_MB: f64 = 600.0;
/// What may be held again after the attacks ...
const BACK_MB: f64 = 150.0;
/// ... within this time.
const BACK: Duration = Duration::from_secs(60);
/// The same for what the mixture took.
const REST: Duration = Duration::from_secs(20);
/// Beyond so many times a target of memory, on whatever machine, the soak fails; up to it the target is missed.
const FAILS_AT: f64 = 1.5;
/// Between two looks at memory.
const LOOK: Duration = Duration::from_secs(1);
/// Hostile requests that take much memory or time by themselves: they are attacks, and no part of the mixture.
const HEAVY: [&str; 3] = ["largest", "unpack", "gzip in gzip"];

/// Runs it: a table, and with a date a JSON line that is kept in `bench/serve.jsonl`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let plan = match arguments.common.quick {
        true => Plan {
            mixture: Duration::from_secs(8),
            warm_up: Duration::from_secs(3),
            window: Duration::from_secs(2),
            vanishing: 100,
            hostile: 250,
            burst: 600,
        },
        false => Plan {
            mixture: Duration::from_secs_f64(60.0 * arguments.minutes),
            warm_up: Duration::from_secs(60).min(Duration::from_secs_f64(30.0 * arguments.minutes)),
            window: Duration::from_secs(20).min(Duration::from_secs_f64(15.0 * arguments.minutes)),
            vanishing: 1_000,
            hostile: 500,
            burst: 2_000,
        },
    };
    let folder = tempfile::tempdir()?;
    let program = program_or_beside(arguments.common.program.as_deref())?;
    let mut server = Program::start(
        &program,
        &arguments.detectors,
        &arguments.common.options,
        &folder.path().join("log"),
    )?;
    let mut findings = Findings::new(arguments.common.quick);
    let idle = server.memory_mb();

    let mut files = Vec::new();
    for side in SIDES_PX {
        let drawn = PhantomDataset {
            seed: 11,
            size_px: side,
            train_normals: PHANTOMS,
            test_normals: 0,
            anomalies_per_kind: 0,
        };
        let phantoms = folder.path().join(side.to_string());
        write_dataset(&phantoms, &drawn)?;
        files.extend(images(&phantoms)?);
    }
    let (mut asked, mut scores, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    let (names, version) = listed(server.address)?;
    for (file, name) in arguments.detectors.iter().zip(&names) {
        let detector = Detector::load(file)?;
        let path = format!("/api/v1/detectors/{name}/score");
        let questions = questions(server.address, &path, &files, &detector)?;
        asked.extend(mixture(server.address, name, &questions)?);
        scores.extend(questions);
        let aim = Aim { address: server.address, detector: name };
        requests.extend(hostile::hostile(&aim, plan.hostile.div_ceil(arguments.detectors.len()))?);
    }

    measure_mixture(arguments, &plan, &server, (&asked, &scores, &requests), &mut findings)?;
    findings.ended("mixture", &mut server);
    attack(&plan, &server, &scores, &requests, &mut findings)?;
    findings.ended("attacks", &mut server);
    measure_return(&server, &mut findings);
    let seen = load(server.address, &scores, 1, Until::Requests(scores.len()))?;
    findings.failures("after the attacks", &seen);
    findings.ended("after the attacks", &mut server);
    findings.keep("detectors", json!(arguments.detectors.len()));
    findings.keep("idle_mb", json!(idle));
    findings.keep("peak_mb", json!(server.peak_memory_mb()));
    record(
        Recorded {
            date: arguments.common.date.as_deref(),
            is_kept: !arguments.common.quick,
            version: &version,
        },
        &findings,
    )?;
    findings.judged()
}

/// The mixture, and memory meanwhile.
fn measure_mixture(
    arguments: &Arguments,
    plan: &Plan,
    server: &Program,
    (asked, scores, requests): (&[Asked], &[Question], &[Hostile]),
    findings: &mut Findings,
) -> Result<()> {
    note("mixture");
    let (address, stop) = (server.address, AtomicBool::new(false));
    let mild: Vec<&Hostile> =
        requests.iter().filter(|one| !HEAVY.iter().any(|kind| one.name.contains(kind))).collect();
    let good = (arguments.clients * 2 / 3).max(1);
    let bad = arguments.clients.saturating_sub(good).max(3);
    let (seen, broken) = (Mutex::new(Load::default()), Mutex::new(Vec::new()));
    let (sent, left) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let started = Instant::now();
    let mut samples: Vec<(f64, f64)> = Vec::new();
    thread::scope(|scope| {
        for client in 0..good {
            let first = client * asked.len() / good;
            let (seen, stop) = (&seen, &stop);
            scope.spawn(move || {
                let own = ask_mixture(address, asked, first, stop);
                if let Ok(mut seen) = seen.lock() {
                    seen.add(own);
                }
            });
        }
        for client in 0..bad {
            let (seen, stop, broken, sent, left, mild) = (&seen, &stop, &broken, &sent, &left, &mild);
            scope.spawn(move || match client % 3 {
                0 => {
                    for one in mild.iter().cycle().skip(client * 37) {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let found = attacks::send_one(address, one);
                        sent.fetch_add(1, Ordering::Relaxed);
                        if let (Some(found), Ok(mut broken)) = (found, broken.lock())
                            && broken.len() < 20
                        {
                            broken.push(found);
                        }
                    }
                }
                1 => {
                    left.fetch_add(vanish(address, scores, stop), Ordering::Relaxed);
                }
                _ => {
                    let own = slowly(address, scores, stop);
                    if let Ok(mut seen) = seen.lock() {
                        seen.add(own);
                    }
                }
            });
        }
        while started.elapsed() < plan.mixture {
            thread::sleep(LOOK);
            samples.push((started.elapsed().as_secs_f64(), server.memory_mb()));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let secs = started.elapsed().as_secs_f64();
    let mut seen = seen.into_inner().map_err(|_| "a client panicked")?;
    seen.secs = secs;
    let window = |from: f64| -> f64 {
        let within = samples.iter().filter(|(at, _)| (from..=from + plan.window.as_secs_f64()).contains(at));
        median(within.map(|(_, mb)| *mb).collect())
    };
    let first = window(plan.warm_up.as_secs_f64());
    let last = window(plan.mixture.as_secs_f64() - plan.window.as_secs_f64());
    let highest = samples.iter().map(|(_, mb)| *mb).fold(0.0, f64::max);
    let growth = rounded(last - first);
    let what = format!("{good} good and {bad} bad clients, {:.0} s", secs);
    let words = format!(
        "{} answered, {} failures, p50 {:.1}, p99 {:.1} ms; {} hostile",
        seen.latencies_ms.len(),
        seen.failures,
        seen.percentile_ms(50.0),
        seen.percentile_ms(99.0),
        sent.load(Ordering::Relaxed)
    );
    findings.row(&what, &words, "0 failures", Some(seen.failures == 0));
    findings.failures("mixture", &seen);
    let at_rest = rested(server, first + GROWTH_MB, REST);
    let words = format!("{first:.0} MB to {last:.0} MB, at most {highest:.0} MB, {at_rest:.0} MB at rest");
    findings.row("    memory after the warm-up", &words, "< 50 MB more", Some(growth < GROWTH_MB));
    if at_rest >= first + GROWTH_MB {
        findings
            .broken
            .push(format!("mixture: memory grew from {first} MB, and {at_rest} MB are held at rest"));
    }
    let broken = broken.into_inner().map_err(|_| "a client panicked")?;
    findings.broken.extend(broken.into_iter().map(|broken| format!("mixture: {broken}")));
    let mut json = seen.json();
    json["clients"] = json!({ "good": good, "bad": bad });
    json["hostile"] = json!(sent.into_inner());
    json["left"] = json!(left.into_inner());
    let every = samples.len().div_ceil(60).max(1);
    let series: Vec<f64> = samples.iter().step_by(every).map(|(_, mb)| *mb).collect();
    json["memory_mb"] = json!({
        "after_warm_up": first, "at_the_end": last, "growth": growth, "at_rest": at_rest, "highest": highest,
        "every_s": every, "series": series,
    });
    findings.keep("mixture", json);
    Ok(())
}

fn attack(
    plan: &Plan,
    server: &Program,
    scores: &[Question],
    requests: &[Hostile],
    findings: &mut Findings,
) -> Result<()> {
    let address = server.address;
    for (what, attack) in [
        (
            "vanishing clients",
            &(|| attacks::vanish(address, scores, plan.vanishing)) as &dyn Fn() -> Result<_>,
        ),
        ("hostile requests", &|| attacks::send_hostile(address, scores, requests)),
        ("burst", &|| attacks::burst(address, scores, plan.burst)),
    ] {
        note(what);
        findings.outcome(what, attack()?);
    }
    let peak = server.peak_memory_mb();
    findings.row("memory, at most", &format!("{peak:.0} MB"), "< 600 MB", Some(peak < PEAK_MB));
    if peak >= FAILS_AT * PEAK_MB {
        findings.broken.push(format!("attacks: memory rose to {peak} MB"));
    }
    Ok(())
}

/// Memory without load: once it is below a target, or after `patience`. What requests in progress hold is given back by
/// then, what is lost is not.
fn rested(server: &Program, target_mb: f64, patience: Duration) -> f64 {
    let started = Instant::now();
    let mut held = server.memory_mb();
    while held >= target_mb && started.elapsed() < patience {
        thread::sleep(LOOK / 4);
        held = server.memory_mb();
    }
    held
}

/// How soon memory is given back.
fn measure_return(server: &Program, findings: &mut Findings) {
    note("memory after the attacks");
    let (started, at_first) = (Instant::now(), server.memory_mb());
    let held = rested(server, BACK_MB, BACK);
    let secs = rounded(started.elapsed().as_secs_f64());
    let is_back = held < BACK_MB;
    let words = format!("{at_first:.0} MB, {held:.0} MB after {secs:.0} s");
    findings.row("memory after the attacks", &words, "< 150 MB", Some(is_back));
    if held >= FAILS_AT * BACK_MB {
        findings.broken.push(format!("attacks: {held} MB are still held after {secs} s"));
    }
    findings.keep("after_attacks_mb", json!({ "at_first": at_first, "then": held, "secs": secs }));
}
