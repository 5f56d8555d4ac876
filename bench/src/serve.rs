//! Measures `aberra serve` from outside, as its clients see it: start, latency, throughput beside the library's own rate,
//! memory, what it does under attack, and how it ends. Clients and server share the machine's processor, which counts
//! against the server.

mod attacks;
mod client;
mod end;
mod findings;
mod hostile;
mod load;
mod mixture;
mod program;
mod questions;
pub(crate) mod soak;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use aberra::Detector;
use aberra::image::Limits;
use aberra::models::measure::Want;
use aberra::phantom::{PhantomDataset, write_dataset};
use clap::Args;
use serde_json::{Value, json};

use self::attacks::Outcome;
use self::findings::Findings;
use self::hostile::Aim;
use self::load::{Question, Until, load, rounded};
use self::program::{Program, own_cpu_secs};
use self::questions::{IMAGES, images, questions};
use crate::grouped::{Result, note, result};
use crate::speed::processor;
use crate::step::median;

/// Measure a server and attack it.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The detector that it serves.
    detector: PathBuf,
    /// A folder of JPEG and PNG files to ask about; built-in phantoms of 128 x 128 pixels otherwise.
    #[arg(long)]
    images: Option<PathBuf>,
    /// Of each round of throughput.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    #[command(flatten)]
    common: Common,
}

/// What every measurement of a server asks for.
#[derive(Args)]
struct Common {
    /// The program [default: `aberra` beside this one].
    #[arg(long)]
    program: Option<PathBuf>,
    /// Everything smaller, in about 20 seconds; writes no record.
    #[arg(long)]
    quick: bool,
    /// The date, written down.
    #[arg(long, required_unless_present = "quick")]
    date: Option<String>,
    /// More options of the server, after `--`.
    #[arg(last = true)]
    options: Vec<String>,
}

/// How much of everything.
struct Plan {
    starts: usize,
    latencies: usize,
    rounds: usize,
    round: Duration,
    load: Duration,
    vanishing: usize,
    hostile: usize,
    slow: usize,
    slow_time: Duration,
    burst: usize,
}

impl Plan {
    fn of(arguments: &Arguments) -> Self {
        let round = Duration::from_secs(arguments.seconds);
        if arguments.common.quick {
            return Self {
                starts: 2,
                latencies: 50,
                rounds: 1,
                round: round.min(Duration::from_secs(2)),
                load: Duration::from_secs(3),
                vanishing: 100,
                hostile: 200,
                slow: 128,
                slow_time: Duration::from_secs(3),
                burst: 600,
            };
        }
        Self {
            starts: 5,
            latencies: 300,
            rounds: 3,
            round,
            load: Duration::from_secs(60),
            vanishing: 1_000,
            hostile: 500,
            slow: 1_024,
            // Longer than a slow body is borne.
            slow_time: Duration::from_secs(36),
            burst: 2_000,
        }
    }
}

/// Side of the phantoms.
const PHANTOM_PX: usize = 128;
/// Clients of a round of throughput.
const MANY: usize = 64;
/// Clients under load.
const SOME: usize = 20;
/// Before memory is looked at, so that what is given back is given back.
const REST: Duration = Duration::from_secs(2);
/// Of load before memory is looked at for the first time: a server that has never worked holds less.
const WARM_UP: Duration = Duration::from_secs(2);

/// Runs the measurement: a table, and a JSON line that is kept in `bench/serve.jsonl`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let plan = Plan::of(arguments);
    let folder = tempfile::tempdir()?;
    let program = program_or_beside(arguments.common.program.as_deref())?;
    let detector = Detector::load(&arguments.detector)?;
    let phantoms = folder.path().join("phantoms");
    let train_normals = if arguments.common.quick { IMAGES / 4 } else { IMAGES };
    let drawn = PhantomDataset {
        seed: 11,
        size_px: PHANTOM_PX,
        train_normals,
        test_normals: 0,
        anomalies_per_kind: 0,
    };
    write_dataset(&phantoms, &drawn)?;
    let phantoms = images(&phantoms)?;
    let files = arguments.images.as_deref().map_or_else(|| Ok(phantoms.clone()), images)?;
    let served = std::slice::from_ref(&arguments.detector);
    let start = || Program::start(&program, served, &arguments.common.options, &folder.path().join("log"));
    let mut findings = Findings::new(arguments.common.quick);

    let mut server = measure_start(&plan, &phantoms[0], &start, &mut findings)?;
    let (name, version) = named(server.address)?;
    let path = format!("/api/v1/detectors/{name}/score");
    // The request names the server's address, and every server has its own.
    let ask_about = |address, files: &[PathBuf]| questions(address, &path, files, &detector);
    let small = ask_about(server.address, &phantoms)?;
    measure_latency(&plan, server.address, &small, &mut findings)?;
    let asked = ask_about(server.address, &files)?;
    measure_throughput(&plan, &server, &asked, &detector, &files, &mut findings)?;
    findings.ended("throughput", &mut server);
    drop(server);

    let mut server = start()?;
    let asked = ask_about(server.address, &files)?;
    let small = ask_about(server.address, &phantoms)?;
    measure_load(&plan, &server, &asked, &mut findings)?;
    findings.ended("load", &mut server);
    attack(&plan, &mut server, &small, &name, &path, &mut findings)?;
    let end = end::end(&mut server, &small, &path)?;
    findings.row("end under load", &end.words, "<= 30 s", Some(end.broken.is_empty()));
    findings.broken.extend(end.broken.iter().map(|broken| format!("end: {broken}")));
    findings.broken.extend(server.panics().into_iter().map(|panic| format!("end: {panic}")));
    findings.keep("end", end.json);

    let recorded = Recorded {
        date: arguments.common.date.as_deref(),
        is_kept: !arguments.common.quick,
        version: &version,
    };
    record(recorded, &findings)?;
    findings.judged()
}

/// The program under measurement: `given`, or `aberra` beside this one.
fn program_or_beside(given: Option<&Path>) -> Result<PathBuf> {
    Ok(match given {
        Some(program) => program.to_owned(),
        None => std::env::current_exe()?.with_file_name("aberra"),
    })
}

/// From the program's start to its first score; leaves the last server running.
fn measure_start(
    plan: &Plan,
    image: &Path,
    start: &dyn Fn() -> Result<Program>,
    findings: &mut Findings,
) -> Result<Program> {
    note("start");
    let (name, _) = named(start()?.address)?;
    let body = fs::read(image)?;
    let (mut starts, mut idle) = (Vec::new(), Vec::new());
    loop {
        let server = start()?;
        let request = client::post(server.address, &format!("/api/v1/detectors/{name}/score"), "", &body);
        let answer = client::ask(server.address, &request)?;
        starts.push(server.started.elapsed().as_secs_f64() * 1e3);
        if answer.status != 200 {
            return Err(format!("the first request: status {}", answer.status).into());
        }
        drop(server);
        let server = start()?;
        thread::sleep(REST / 4);
        idle.push(server.memory_mb());
        if starts.len() == plan.starts {
            let (start, idle) = (rounded(median(starts)), rounded(median(idle)));
            findings.row(
                "start to the first score",
                &format!("{start:.0} ms"),
                "<= 300 ms",
                Some(start <= 300.0),
            );
            findings.row("memory, idle", &format!("{idle:.0} MB"), "<= 120 MB", Some(idle <= 120.0));
            findings.keep("start_ms", json!(start));
            findings.keep("idle_mb", json!(idle));
            return Ok(server);
        }
    }
}

fn measure_latency(
    plan: &Plan,
    address: SocketAddr,
    questions: &[Question],
    findings: &mut Findings,
) -> Result<()> {
    note("latency");
    let seen = load(address, questions, 1, Until::Requests(plan.latencies))?;
    let [p50, p95, p99] = [50.0, 95.0, 99.0].map(|percentile| seen.percentile_ms(percentile));
    let words = format!("p50 {p50:.1}, p95 {p95:.1}, p99 {p99:.1} ms");
    findings.row("one image at a time, 128 x 128 PNG", &words, "p50 <= 15 ms", Some(p50 <= 15.0));
    findings.failures("latency", &seen);
    findings.keep("latency", seen.json());
    Ok(())
}

/// Many clients, and the library on the same files, in turn. The processor time of each is reported beside the rates:
/// if clients and server share a machine, the ratio of rates counts the clients' share against the server.
fn measure_throughput(
    plan: &Plan,
    server: &Program,
    questions: &[Question],
    detector: &Detector,
    files: &[PathBuf],
    findings: &mut Findings,
) -> Result<()> {
    let (mut served, mut offline, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
    let (mut server_cpu, mut clients_cpu, mut library_cpu) = (Vec::new(), Vec::new(), Vec::new());
    let cpu_ms = |secs: f64, count: f64| rounded(secs * 1e3 / count);
    for round in 1..=plan.rounds {
        note(&format!("throughput, round {round} of {}", plan.rounds));
        let before = own_cpu_secs();
        let (count, secs) = offline_images(detector, files, plan.round);
        offline.push(rounded(count as f64 / secs));
        library_cpu.push(cpu_ms(own_cpu_secs() - before, count as f64));
        let before = (server.cpu_secs(), own_cpu_secs());
        let seen = load(server.address, questions, MANY, Until::Time(plan.round))?;
        let count = seen.latencies_ms.len() as f64;
        server_cpu.push(cpu_ms(server.cpu_secs() - before.0, count));
        clients_cpu.push(cpu_ms(own_cpu_secs() - before.1, count));
        findings.failures("throughput", &seen);
        served.push(seen.images_per_s());
        latencies.push(seen.percentile_ms(99.0));
    }
    let (rate, library) = (median(served.clone()), median(offline.clone()));
    let ratio = rounded(rate / library);
    let words = format!("{rate:.0} images/s, library {library:.0}, ratio {ratio:.2}");
    findings.row(&format!("{MANY} clients"), &words, ">= 0.8", Some(ratio >= 0.8));
    let [server_ms, clients_ms, library_ms] =
        [&server_cpu, &clients_cpu, &library_cpu].map(|ms| median(ms.clone()));
    let words = format!("server {server_ms:.2}, clients {clients_ms:.2}, library {library_ms:.2} ms");
    findings.row("    processor time an image", &words, "", None);
    findings.keep(
        "throughput",
        json!({
            "clients": MANY, "images_per_s": served, "library_images_per_s": offline, "ratio": ratio,
            "p99_ms": median(latencies), "server_cpu_ms": server_cpu, "clients_cpu_ms": clients_cpu,
            "library_cpu_ms": library_cpu,
        }),
    );
    Ok(())
}

/// What the library alone does with files, decoding and the model, on all cores: how many, in how many seconds.
fn offline_images(detector: &Detector, files: &[PathBuf], time: Duration) -> (usize, f64) {
    let (started, mut count) = (Instant::now(), 0);
    detector.score_files(
        files.iter().cycle().cloned(),
        &Limits::default(),
        aberra::FILES_CHUNK,
        Want::MEASUREMENTS,
        |_, verdict| {
            count += usize::from(verdict.is_ok());
            if started.elapsed() < time { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        },
    );
    (count, started.elapsed().as_secs_f64())
}

/// Some clients for a while, and the memory that it takes.
fn measure_load(
    plan: &Plan,
    server: &Program,
    questions: &[Question],
    findings: &mut Findings,
) -> Result<()> {
    note("load");
    let warm = load(server.address, questions, SOME, Until::Time(WARM_UP))?;
    findings.failures("load", &warm);
    thread::sleep(REST);
    let before = server.memory_mb();
    let seen = load(server.address, questions, SOME, Until::Time(plan.load))?;
    thread::sleep(REST);
    let (after, peak) = (server.memory_mb(), server.peak_memory_mb());
    let growth = rounded(after - before);
    let words = format!(
        "{} failures, p50 {:.1}, p99 {:.1} ms, {:.0} images/s",
        seen.failures,
        seen.percentile_ms(50.0),
        seen.percentile_ms(99.0),
        seen.images_per_s()
    );
    let what = format!("{SOME} clients for {} s", plan.load.as_secs());
    findings.row(&what, &words, "0 failures", Some(seen.failures == 0));
    let words = format!("{before:.0} MB to {after:.0} MB, at most {peak:.0} MB");
    findings.row("    memory", &words, "< 50 MB more", Some(growth < 50.0));
    findings.failures("load", &seen);
    let mut json = seen.json();
    json["memory_mb"] = json!({ "before": before, "after": after, "peak": peak });
    findings.keep("load", json);
    Ok(())
}

fn attack(
    plan: &Plan,
    server: &mut Program,
    questions: &[Question],
    name: &str,
    path: &str,
    findings: &mut Findings,
) -> Result<()> {
    let address = server.address;
    let before = server.memory_mb();
    let requests = hostile::hostile(&Aim { address, detector: name }, plan.hostile)?;
    let slow = || attacks::slow(address, questions, plan.slow, plan.slow_time, path);
    let attacks: [(&str, &dyn Fn() -> Result<Outcome>); 4] = [
        ("vanishing clients", &|| attacks::vanish(address, questions, plan.vanishing)),
        ("hostile requests", &|| attacks::send_hostile(address, questions, &requests)),
        ("slow sockets", &slow),
        ("burst", &|| attacks::burst(address, questions, plan.burst)),
    ];
    for (what, attack) in attacks {
        note(what);
        let mut outcome = attack()?;
        let refusal = outcome.json["refusal_p99_ms"].as_f64();
        thread::sleep(REST);
        outcome.json["memory_mb"] = json!(server.memory_mb());
        findings.outcome(what, outcome);
        if let Some(refusal) = refusal {
            findings.row(
                "    time to a refusal",
                &format!("p99 {refusal:.0} ms"),
                "< 50 ms",
                Some(refusal < 50.0),
            );
        }
        findings.ended(what, server);
        if !server.is_alive() {
            return findings.judged();
        }
    }
    let seen = load(address, questions, 1, Until::Requests(questions.len()))?;
    findings.failures("after the attacks", &seen);
    let (after, peak) = (server.memory_mb(), server.peak_memory_mb());
    let words = format!("{before:.0} MB to {after:.0} MB, at most {peak:.0} MB");
    findings.row("memory, after all attacks", &words, "", None);
    findings.keep("attacks_memory_mb", json!({ "before": before, "after": after, "peak": peak }));
    Ok(())
}

/// The first detector's name on the server, and the program's version.
fn named(address: SocketAddr) -> Result<(String, String)> {
    let (mut names, version) = listed(address)?;
    Ok((names.swap_remove(0), version))
}

/// The detectors' names on the server, at least one, and the program's version.
fn listed(address: SocketAddr) -> Result<(Vec<String>, String)> {
    let answer = client::ask(address, &client::get(address, "/api/v1/detectors"))?;
    let list: Value = serde_json::from_slice(&answer.body)?;
    let detectors = list["detectors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<String> =
        detectors.iter().filter_map(|one| Some(one["name"].as_str()?.to_owned())).collect();
    if names.is_empty() {
        return Err("the server has no detector".into());
    }
    Ok((names, list["aberra_version"].as_str().unwrap_or_default().to_owned()))
}

/// What is written down beside what was found.
struct Recorded<'a> {
    date: Option<&'a str>,
    version: &'a str,
    /// Whether the line is kept.
    is_kept: bool,
}

/// Prints what was found as a JSON line and keeps it.
fn record(Recorded { date, version, is_kept }: Recorded<'_>, findings: &Findings) -> Result<()> {
    // Paths of the machine are not recorded.
    let command: Vec<String> = std::env::args_os()
        .map(|argument| Path::new(&argument).file_name().unwrap_or(&argument).to_string_lossy().into_owned())
        .collect();
    let line = json!({
        "date": date, "command": command.join(" "), "aberra": version, "processor": processor(),
        "cores": thread::available_parallelism().map_or(0, usize::from), "measured": findings.json,
        "broken": findings.broken,
    });
    result(&line.to_string());
    if is_kept {
        let mut file = OpenOptions::new().create(true).append(true).open("bench/serve.jsonl")?;
        writeln!(file, "{line}")?;
    }
    Ok(())
}
