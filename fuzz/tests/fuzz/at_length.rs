//! Fuzzing at length, as `cargo xtask fuzz` asks for it through environment variables: each target in a process of its own,
//! so that one that ends is a finding and not the end.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::run::{End, HELD_UP, LONGEST, Target, current, finding, fuzz, once};
use crate::targets::TARGETS;

/// Seconds for each target; what asks for length at all.
const SECONDS: &str = "FUZZ_SECONDS";
/// The target to run; all if there is none.
const TARGET: &str = "FUZZ_TARGET";
/// A file with an input to repeat.
const INPUT: &str = "FUZZ_INPUT";
/// Of the inputs: other ones for another number.
const SEED: &str = "FUZZ_SEED";
/// Set for the process of one target.
const PROCESS: &str = "FUZZ_PROCESS";

/// How a process says what it found: one line each.
const FINDING: &str = "finding: ";
const NEXT_LINE: &str = "\u{b6}";

/// Whether the test is to run at length.
pub(crate) fn is_asked_for() -> bool {
    env::var_os(SECONDS).is_some()
}

/// Runs what is asked for; panics if there are findings.
pub(crate) fn run() {
    let chosen: Vec<&Target> = match env::var(TARGET) {
        Ok(name) => vec![named(&name)],
        Err(_) => TARGETS.iter().collect(),
    };
    if env::var_os(PROCESS).is_some() {
        return chosen.into_iter().for_each(in_this_process);
    }
    if let Some(path) = env::var_os(INPUT) {
        let [target] = chosen[..] else { panic!("expected the target of the input, found none") };
        match once(target, &fs::read(&path).unwrap()) {
            Ok(outcome) => return println!("{}: nothing is wrong: {outcome}", target.name),
            Err(wrong) => panic!("{}: {wrong}", target.name),
        }
    }
    println!();
    let findings: Vec<String> = chosen.iter().flat_map(|target| in_a_process(target)).collect();
    for finding in &findings {
        println!("\n{finding}");
    }
    println!("\n{} targets, {} findings", chosen.len(), findings.len());
    assert!(findings.is_empty(), "{} findings", findings.len());
}

fn in_this_process(target: &Target) {
    let time = Duration::from_secs(env::var(SECONDS).unwrap().parse().unwrap());
    let seed = env::var(SEED).map_or(crate::SEED, |text| text.parse().unwrap());
    println!();
    let say = |finding: &str| println!("{FINDING}{}", finding.replace('\n', NEXT_LINE));
    println!("{}", fuzz(target, seed, End::After(time), say));
}

fn named(name: &str) -> &'static Target {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("expected a target ({}), found {name:?}", names.join(", ")))
}

fn in_a_process(target: &Target) -> Vec<String> {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "no_parser_gives_way_to_mutated_inputs", "--nocapture"]);
    let output = command.env(TARGET, target.name).env(PROCESS, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let mut findings: Vec<String> = Vec::new();
    for line in said.lines() {
        match line.strip_prefix(FINDING) {
            Some(finding) => findings.push(finding.replace(NEXT_LINE, "\n")),
            None if line.starts_with(target.name) => println!("{line}"),
            None => {}
        }
    }
    if !output.status.success() {
        let what = match output.status.code() {
            Some(HELD_UP) => format!("took longer than {} s", LONGEST.as_secs()),
            _ => format!("ended the process ({})", output.status),
        };
        println!("{:16} {what}", target.name);
        findings.push(finding(target, &what, &fs::read(current(target.name)).unwrap_or_default()));
        println!("{}", String::from_utf8_lossy(&output.stderr));
    }
    findings
}
