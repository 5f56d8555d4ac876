//! Measures `aberra serve` from outside, as its clients see it: start, latency, throughput beside the library's own rate,
//! memory, what it does under attack, and how it ends. Clients and server share the machine's processor, which counts
//! against the server.

mod attacks;
mod client;
mod end;
mod hostile;
mod load;
mod program;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use aberra::Detector;
use aberra::image::Limits;
use aberra::phantom::{PhantomDataset, write_dataset};
use clap::Args;
use serde_json::{Map, Value, json};

use self::attacks::Outcome;
use self::hostile::Aim;
use self::load::{Load, Question, Until, load, rounded};
use self::program::Program;
use crate::grouped::{Result, note, result};
use crate::speed::processor;
use crate::step::median;

/// Measure a server and attack it.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The detector that it serves.
    detector: PathBuf,
    /// The program [default: `aberra` beside this one].
    #[arg(long)]
    program: Option<PathBuf>,
    /// A folder of JPEG and PNG files to ask about; built-in phantoms of 128 x 128 pixels otherwise.
    #[arg(long)]
    images: Option<PathBuf>,
    /// Of each round of throughput.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
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
        if arguments.quick {
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

/// Images asked about.
const IMAGES: usize = 256;
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

/// What was found.
#[derive(Default)]
struct Findings {
    json: Map<String, Value>,
    broken: Vec<String>,
}

impl Findings {
    /// A line of the table: what, how much, and what is aimed at.
    fn row(&self, what: &str, value: &str, target: &str, is_met: Option<bool>) {
        let mark = match is_met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        result(&format!("{what:<34} {value:<44} {target:>12} {mark}"));
    }

    fn keep(&mut self, name: &str, value: Value) {
        self.json.insert(name.to_owned(), value);
    }

    /// Failures that must not be.
    fn failures(&mut self, what: &str, load: &Load) {
        if load.failures > 0 {
            self.broken.push(format!("{what}: {} failures: {}", load.failures, load.told.join("; ")));
        }
    }

    fn outcome(&mut self, what: &str, outcome: Outcome) {
        self.row(what, &outcome.words, "", None);
        let behaved = &outcome.behaved;
        let words = format!(
            "{} answered, {} failures, {} refused, p99 {:.0} ms",
            behaved.latencies_ms.len(),
            behaved.failures,
            behaved.refused,
            behaved.percentile_ms(99.0)
        );
        self.row("    others meanwhile", &words, "0 failures", Some(behaved.failures == 0));
        self.failures(&format!("{what}, others meanwhile"), behaved);
        self.broken.extend(outcome.broken.iter().map(|broken| format!("{what}: {broken}")));
        self.keep(what, outcome.json);
    }

    fn ended(&mut self, what: &str, program: &mut Program) {
        if !program.is_alive() {
            self.broken.push(format!("{what}: the server died"));
        }
        self.broken.extend(program.panics().into_iter().map(|panic| format!("{what}: {panic}")));
    }
}

/// Runs the measurement: a table, and a JSON line that is kept in `bench/serve.jsonl`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let plan = Plan::of(arguments);
    let folder = tempfile::tempdir()?;
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("aberra"),
    };
    let detector = Detector::load(&arguments.detector)?;
    let phantoms = folder.path().join("phantoms");
    let train_normals = if arguments.quick { IMAGES / 4 } else { IMAGES };
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
    let start =
        || Program::start(&program, &arguments.detector, &arguments.options, &folder.path().join("log"));
    let mut findings = Findings::default();

    let mut server = measure_start(&plan, &phantoms[0], &start, &mut findings)?;
    let (name, version) = named(server.address)?;
    let path = format!("/api/v1/detectors/{name}/score");
    // The request names the server's address, and every server has its own.
    let questions = |address, files: &[PathBuf]| questions(address, &path, files, &detector);
    let small = questions(server.address, &phantoms)?;
    measure_latency(&plan, server.address, &small, &mut findings)?;
    let asked = questions(server.address, &files)?;
    measure_throughput(&plan, server.address, &asked, &detector, &files, &mut findings)?;
    findings.ended("throughput", &mut server);
    drop(server);

    let mut server = start()?;
    let asked = questions(server.address, &files)?;
    let small = questions(server.address, &phantoms)?;
    measure_load(&plan, &server, &asked, &mut findings)?;
    findings.ended("load", &mut server);
    attack(&plan, &mut server, &small, &name, &path, &mut findings)?;
    let end = end::end(&mut server, &small, &path)?;
    findings.row("end under load", &end.words, "<= 30 s", Some(end.broken.is_empty()));
    findings.broken.extend(end.broken.iter().map(|broken| format!("end: {broken}")));
    findings.broken.extend(server.panics().into_iter().map(|panic| format!("end: {panic}")));
    findings.keep("end", end.json);

    record(arguments, &version, &findings)?;
    if findings.broken.is_empty() {
        return Ok(());
    }
    Err(format!("broken promises:\n  {}", findings.broken.join("\n  ")).into())
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

/// Many clients, and the library on the same files, in turn.
fn measure_throughput(
    plan: &Plan,
    address: SocketAddr,
    questions: &[Question],
    detector: &Detector,
    files: &[PathBuf],
    findings: &mut Findings,
) -> Result<()> {
    let (mut served, mut offline, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        note(&format!("throughput, round {round} of {}", plan.rounds));
        offline.push(offline_images_per_s(detector, files, plan.round));
        let seen = load(address, questions, MANY, Until::Time(plan.round))?;
        findings.failures("throughput", &seen);
        served.push(seen.images_per_s());
        latencies.push(seen.percentile_ms(99.0));
    }
    let (rate, library) = (median(served.clone()), median(offline.clone()));
    let ratio = rounded(rate / library);
    let words = format!("{rate:.0} images/s, library {library:.0}, ratio {ratio:.2}");
    findings.row(&format!("{MANY} clients"), &words, ">= 0.8", Some(ratio >= 0.8));
    findings.keep(
        "throughput",
        json!({
            "clients": MANY, "images_per_s": served, "library_images_per_s": offline, "ratio": ratio,
            "p99_ms": median(latencies),
        }),
    );
    Ok(())
}

/// What the library alone does with files: decoding and the model, on all cores.
fn offline_images_per_s(detector: &Detector, files: &[PathBuf], time: Duration) -> f64 {
    let (started, mut count) = (Instant::now(), 0);
    detector.score_files(
        files.iter().cycle().cloned(),
        &Limits::default(),
        aberra::FILES_CHUNK,
        |_, verdict| {
            count += usize::from(verdict.is_ok());
            if started.elapsed() < time { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        },
    );
    rounded(count as f64 / started.elapsed().as_secs_f64())
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
            return Err(format!("broken promises:\n  {}", findings.broken.join("\n  ")).into());
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

/// The detector's name on the server, and the program's version.
fn named(address: SocketAddr) -> Result<(String, String)> {
    let answer = client::ask(address, &client::get(address, "/api/v1/detectors"))?;
    let list: Value = serde_json::from_slice(&answer.body)?;
    let name = list["detectors"][0]["name"].as_str().ok_or("the server has no detector")?;
    Ok((name.to_owned(), list["aberra_version"].as_str().unwrap_or_default().to_owned()))
}

/// A request for each file, with the score that the library gives it alone, which has to be the server's bit for bit.
fn questions(
    address: SocketAddr,
    path: &str,
    files: &[PathBuf],
    detector: &Detector,
) -> Result<Vec<Question>> {
    let mut alone = Vec::new();
    detector.score_files(files.iter().cloned(), &Limits::default(), 1, |_, verdict| {
        alone.push(verdict.map(|verdict| verdict.score));
        ControlFlow::Continue(())
    });
    let mut connection = client::Connection::open(address)?;
    let mut questions = Vec::new();
    for (file, alone) in files.iter().zip(alone) {
        // What the library cannot read is not asked about.
        let Ok(score) = alone else { continue };
        let request = client::post(address, path, "", &fs::read(file)?);
        let served = load::score(&connection.ask(&request)?.body);
        if served != Some(score) {
            let file = file.file_name().unwrap_or_default().display();
            return Err(format!("{file}: expected the library's score {score}, found {served:?}").into());
        }
        questions.push(Question { request, score });
    }
    if questions.is_empty() { Err("no image can be read".into()) } else { Ok(questions) }
}

/// Images below a folder: at most [`IMAGES`], spread over all.
fn images(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let path = entry?.path();
            let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
            if path.is_dir() {
                folders.push(path);
            } else if ["jpg", "jpeg", "png"].iter().any(|image| ending == *image) {
                files.push(path);
            }
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(format!("{}: expected JPEG or PNG files, found none", folder.display()).into());
    }
    let step = files.len().div_ceil(IMAGES);
    Ok(files.into_iter().step_by(step).collect())
}

/// Prints what was found as a JSON line and keeps it.
fn record(arguments: &Arguments, version: &str, findings: &Findings) -> Result<()> {
    // Whose folders these are is nobody's business.
    let command: Vec<String> = std::env::args_os()
        .map(|argument| Path::new(&argument).file_name().unwrap_or(&argument).to_string_lossy().into_owned())
        .collect();
    let line = json!({
        "date": arguments.date, "command": command.join(" "), "aberra": version, "processor": processor(),
        "cores": thread::available_parallelism().map_or(0, usize::from), "measured": findings.json,
        "broken": findings.broken,
    });
    result(&line.to_string());
    if !arguments.quick {
        let mut file = OpenOptions::new().create(true).append(true).open("bench/serve.jsonl")?;
        writeln!(file, "{line}")?;
    }
    Ok(())
}
