//! Runs one target: seeds, then mutations of whatever gave a new outcome; everything that goes wrong is a finding.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use aberra::random::{Stream, generator};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::MEMORY;

/// One input may take no longer.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);
/// The exit status of a process that an input held up.
pub(crate) const HELD_UP: i32 = 97;
/// Most inputs that are kept because their outcome was new.
const MOST_KEPT: usize = 3_000;
/// Most findings of one run.
const MOST_FINDINGS: usize = 20;
/// How long a finding is made smaller.
const MAKING_SMALLER: Duration = Duration::from_secs(3);
/// Characters of a finding that are printed.
const MOST_SAID: usize = 1_000;
/// Characters of an outcome by which it differs from others.
const DISTINCT: usize = 160;

/// A parser, and how it is tried.
pub(crate) struct Target {
    /// On the command line, and in reports.
    pub(crate) name: &'static str,
    /// Inputs to begin with. Makes what `run` needs, too.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// Another input, from one that is known and a second one to borrow from.
    pub(crate) mutate: fn(&mut ChaCha8Rng, &[u8], &[u8]) -> Vec<u8>,
    /// Gives the parser an input and says what came of it; panics where an invariant is broken.
    pub(crate) run: fn(&[u8]) -> String,
    /// What one execution may allocate at a time.
    pub(crate) memory_bytes: usize,
    /// How many there are in the test.
    pub(crate) executions_in_test: u64,
}

/// When to stop.
pub(crate) enum End {
    Executions(u64),
    After(Duration),
}

/// What came of a run.
pub(crate) struct Report {
    pub(crate) target: &'static str,
    pub(crate) executions: u64,
    pub(crate) outcomes: usize,
    pub(crate) findings: Vec<String>,
    elapsed: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, executions, outcomes, findings, elapsed } = self;
        let rate = *executions as f64 / elapsed.as_secs_f64().max(1e-9);
        let findings = findings.len();
        write!(
            f,
            "{target:16} {executions:9} executions {rate:9.0}/s {outcomes:6} outcomes {findings:3} findings"
        )
    }
}

/// Runs a target; hands each finding over at once, since the next input may end the process.
pub(crate) fn fuzz(target: &Target, seed: u64, end: End, mut found: impl FnMut(&str)) -> Report {
    let _alone = alone();
    let mut known = (target.seeds)();
    assert!(!known.is_empty());
    let seeds = known.len();
    // The first execution may set up what lasts, such as pools of threads.
    let _ = execute(target, &known[0], false);
    let begun = Instant::now();
    let (mut outcomes, mut kinds, mut findings) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let mut executions = 0;
    loop {
        let is_over = match end {
            End::Executions(most) => executions >= most,
            End::After(time) => begun.elapsed() >= time,
        };
        if is_over || findings.len() >= MOST_FINDINGS {
            break;
        }
        let input = match usize::try_from(executions).ok().filter(|&number| number < seeds) {
            Some(number) => known[number].clone(),
            None => {
                let mut rng = generator(seed, Stream::Corruption, executions);
                // Half of them from seeds, which later ones would soon outnumber.
                let among = if rng.random_bool(0.5) { seeds } else { known.len() };
                let (from, other) = (rng.random_range(0..among), rng.random_range(0..known.len()));
                (target.mutate)(&mut rng, &known[from], &known[other])
            }
        };
        executions += 1;
        let (outcome, is_wrong) = match execute(target, &input, true) {
            Ok(outcome) => (outcome, false),
            Err(outcome) => (outcome, true),
        };
        let kind = kind_of(&outcome);
        if is_wrong {
            if kinds.insert(kind.clone()) {
                let small = smaller(target, &input, &kind);
                let finding = finding(target, &outcome, &small);
                found(&finding);
                findings.push(finding);
            }
        } else if outcomes.insert(kind) && known.len() < MOST_KEPT {
            known.push(input);
        }
    }
    Report { target: target.name, executions, outcomes: outcomes.len(), findings, elapsed: begun.elapsed() }
}

/// Runs one input; says what went wrong, if anything did.
pub(crate) fn once(target: &Target, input: &[u8]) -> Result<String, String> {
    let _alone = alone();
    let seeds = (target.seeds)();
    let _ = execute(target, &seeds[0], false);
    execute(target, input, true)
}

/// The target's seeds, made while no other target is measured.
pub(crate) fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let _alone = alone();
    (target.seeds)()
}

/// The file that holds the input that is being run, for whoever finds the process ended.
pub(crate) fn current(target: &str) -> PathBuf {
    folder().join(format!("{target}.current"))
}

/// Keeps an input; names it, and the command that repeats it.
pub(crate) fn finding(target: &Target, what: &str, input: &[u8]) -> String {
    let hash = blake3::hash(input).to_hex();
    let path = folder().join(format!("{}-{}.input", target.name, &hash[..12]));
    fs::write(&path, input).unwrap();
    let (name, shown) = (target.name, path.display());
    let what: String = what.chars().take(MOST_SAID).collect();
    format!("{name}: {what}\n  repeat: cargo xtask fuzz {name} --input {shown}")
}

/// Memory and panics are those of the process, so targets run one after another.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn folder() -> &'static Path {
    let folder = Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/fuzz"));
    fs::create_dir_all(folder).unwrap();
    folder
}

/// Where and why the last panic was, while a target runs.
static PANIC: Mutex<Option<String>> = Mutex::new(None);
/// Since when which target runs.
static RUNNING: Mutex<Option<(Instant, &'static str)>> = Mutex::new(None);

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn execute(target: &Target, input: &[u8], is_bounded: bool) -> Result<String, String> {
    watch();
    fs::write(current(target.name), input).unwrap();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    *locked(&RUNNING) = Some((Instant::now(), target.name));
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let begun = locked(&RUNNING).take();
    let bytes = MEMORY.peak_usage().saturating_sub(before);
    let outcome = result.map_err(|_| {
        let panic = locked(&PANIC).take();
        panic.unwrap_or_else(|| "panicked without a word".to_owned())
    })?;
    if is_bounded && bytes > target.memory_bytes {
        return Err(format!("took {} MB of memory ({outcome})", bytes >> 20));
    }
    if begun.is_some_and(|(begun, _)| begun.elapsed() > LONGEST) {
        return Err(format!("took longer than {} s ({outcome})", LONGEST.as_secs()));
    }
    Ok(outcome)
}

/// Remembers panics instead of printing them, and ends the process when an input holds it up.
fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match *locked(&RUNNING) {
            Some(_) => *locked(&PANIC) = Some(panic.to_string()),
            None => usual(panic),
        }));
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(200));
                if let Some((begun, name)) = *locked(&RUNNING)
                    && begun.elapsed() > 2 * LONGEST
                {
                    println!(
                        "{name}: still running after {:?}: {}",
                        begun.elapsed(),
                        current(name).display()
                    );
                    std::process::exit(HELD_UP);
                }
            }
        });
    });
}

/// By what outcomes differ: without numbers and names.
fn kind_of(outcome: &str) -> String {
    let mut kind = String::new();
    let mut quote = None;
    for character in outcome.chars().take(4 * DISTINCT) {
        match (quote, character) {
            (Some(mark), found) if mark == found => quote = None,
            (Some(_), _) => {}
            (None, '`' | '"') => quote = Some(character),
            (None, digit) if digit.is_ascii_digit() => {
                if !kind.ends_with('#') {
                    kind.push('#');
                }
            }
            (None, other) => kind.push(other),
        }
    }
    kind.chars().take(DISTINCT).collect()
}

/// The input without whatever the finding does not need, as far as that is found soon.
fn smaller(target: &Target, input: &[u8], kind: &str) -> Vec<u8> {
    let begun = Instant::now();
    let mut small = input.to_vec();
    let is_same = |input: &[u8]| execute(target, input, true).is_err_and(|found| kind_of(&found) == kind);
    let mut length = small.len() / 2;
    while length > 0 {
        let mut at = 0;
        while at < small.len() {
            if begun.elapsed() > MAKING_SMALLER {
                return small;
            }
            let mut without = small.clone();
            without.drain(at..(at + length).min(small.len()));
            if is_same(&without) {
                small = without;
            } else {
                at += length;
            }
        }
        length /= 2;
    }
    small
}
