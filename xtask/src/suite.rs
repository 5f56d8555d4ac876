//! The checks one after another: each named, timed and counted; one that fails does not hide those after it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::command::succeeds;
use crate::dependencies;
use crate::examples;
use crate::python;
use crate::server;
use crate::tally::{FAILED, PASSED, Reader, SKIPPED, Tally};
use crate::tidy::{RULES, Severity, crates};
use crate::tree::Tree;
use crate::unified;
use crate::web;

/// What cargo-deny prints when it cannot reach its database.
const NO_ADVISORY_DATABASE: &str = "failed to fetch advisory database";

/// Everything that continuous integration runs. Clippy, docs and tests share one profile and one target folder, so that
/// the dependencies are checked once and built once. Returns whether all passed.
pub(crate) fn test(root: &Path) -> bool {
    let mut report = Report::default();
    report.check("format", || cargo(root, &["fmt", "--all", "--check"]));
    tidy_rules(root, &mut report);
    if installed(root, "deny") {
        report.check("licences, bans, sources", || {
            cargo(root, &["deny", "--locked", "--log-level=error", "check", "licenses", "bans", "sources"])
        });
    } else {
        report.check("licences, bans, sources", || dependency_rules(root));
    }
    report.check("advisories", || advisories(root));
    report.check("features", || unified_features(root));
    report.check("web", || web::check(root));
    report.check("clippy", || {
        cargo(root, &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
    });
    report.check("docs", || {
        let mut command = cargo_command(root, &["doc", "--workspace", "--lib", "--no-deps", "--locked"]);
        one(succeeds(command.env("RUSTDOCFLAGS", "-D warnings")))
    });
    report.check("tests", || cargo_test(root, &["--lib", "--bins", "--tests", "--examples"]));
    report.check("server", || server::check(root));
    report.check("Python package", || python::check(root));
    report.check("doc tests", || doc_tests(root));
    report.check("examples", || examples::check(root, &mut cargo_command(root, &[])));
    report.close()
}

/// Only the checks of the server in use, on what `cargo test` builds. Returns whether all passed.
pub(crate) fn server(root: &Path) -> bool {
    let mut report = Report::default();
    report.check("build", || cargo(root, &["test", "--workspace", "--locked", "--no-run", "--quiet"]));
    report.check("server", || server::check(root));
    report.close()
}

/// Only the checks of the Python package. Returns whether all passed.
pub(crate) fn python(root: &Path) -> bool {
    let mut report = Report::default();
    report.check("Python package", || python::check(root));
    report.close()
}

/// Only the project's own rules. Returns whether all passed.
pub(crate) fn tidy(root: &Path) -> bool {
    let mut report = Report::default();
    tidy_rules(root, &mut report);
    report.close()
}

/// What was run so far.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    total: Tally,
}

impl Report {
    fn check(&mut self, name: &str, run: impl FnOnce() -> Tally) {
        println!("\n== {name}");
        let start = Instant::now();
        let tally = run();
        let verdict = if tally.failed > 0 {
            "FAILED"
        } else if tally.passed == 0 && tally.skipped > 0 {
            "skipped"
        } else {
            "ok"
        };
        let counts =
            if tally.passed + tally.failed + tally.skipped == 1 { String::new() } else { tally.to_string() };
        let line = format!("{verdict:8} {:7.1} s  {name:44} {counts}", start.elapsed().as_secs_f64());
        println!("{}", line.trim_end());
        self.lines.push(line.trim_end().to_owned());
        self.total.add(tally);
    }

    /// Prints every check again with its time, and the counts alone on the last line.
    fn close(self) -> bool {
        println!("\n== all checks");
        for line in &self.lines {
            println!("{line}");
        }
        println!("\n{}", self.total);
        self.total.failed == 0
    }
}

fn tidy_rules(root: &Path, report: &mut Report) {
    let tree = match Tree::read(root) {
        Ok(tree) => tree,
        Err(error) => return report.check("tidy", || list(&[error])),
    };
    for rule in RULES {
        let broken = || (rule.broken)(&tree);
        match rule.severity {
            Severity::Error => report.check(rule.name, || list(&broken())),
            Severity::Note => broken().iter().for_each(|line| println!("note: {}: {line}", rule.name)),
        }
    }
}

/// The rules of deny.toml without cargo-deny.
fn dependency_rules(root: &Path) -> Tally {
    let read =
        |name: &str| std::fs::read_to_string(root.join(name)).map_err(|error| format!("{name}: {error}"));
    let tree = dependency_tree(root, dependencies::TREE_ARGUMENTS);
    match (read("deny.toml"), tree, read("Cargo.lock")) {
        (Ok(deny), Ok(tree), Ok(lock)) => list(&dependencies::broken(&deny, &tree, &lock)),
        (deny, tree, lock) => {
            list(&[deny, tree, lock].into_iter().filter_map(Result::err).collect::<Vec<_>>())
        }
    }
}

/// Whether every crate is built with the dependencies of all.
fn unified_features(root: &Path) -> Tally {
    let compared = || {
        let members = crates::members(&Tree::read(root)?)?;
        let tree = |words: &Vec<String>| {
            dependency_tree(root, &words.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let mut broken = BTreeSet::new();
        for unified::Comparison { whole, choices } in unified::comparisons(&members) {
            let whole = tree(&whole)?;
            for choice in choices {
                broken.extend(unified::differ(&tree(&choice)?, &whole));
            }
        }
        Ok(broken.into_iter().collect())
    };
    list(&compared().unwrap_or_else(|error: String| vec![error]))
}

/// What `cargo tree` prints.
fn dependency_tree(root: &Path, arguments: &[&str]) -> Result<String, String> {
    match cargo_command(root, arguments).stderr(Stdio::inherit()).output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(_) => Err("cargo tree failed; is Cargo.lock up to date?".to_owned()),
        Err(error) => Err(format!("cargo tree: {error}")),
    }
}

/// Known vulnerabilities, where cargo-deny and the network are there.
fn advisories(root: &Path) -> Tally {
    if !installed(root, "deny") {
        println!("skipped: advisories were not checked; `cargo install --locked cargo-deny` and run again");
        return SKIPPED;
    }
    let output = match cargo_command(root, &["deny", "--locked", "check", "advisories"]).output() {
        Ok(output) => output,
        Err(error) => return list(&[format!("cargo deny: {error}")]),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && said.contains(NO_ADVISORY_DATABASE) {
        println!("skipped: advisories were not checked; cargo-deny cannot reach its database on github.com");
        return SKIPPED;
    }
    eprint!("{said}");
    one(output.status.success())
}

/// Runs the tests that `which` selects and counts them.
fn cargo_test(root: &Path, which: &[&str]) -> Tally {
    let mut command = cargo_command(root, &["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.args(which).args(["--", "--show-output"]).stdout(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return list(&[format!("cargo test: {error}")]),
    };
    let mut reader = Reader::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            if let Some(shown) = reader.line(&String::from_utf8_lossy(&line)) {
                println!("{shown}");
            }
        }
    }
    reader.end(child.wait().is_ok_and(|status| status.success()))
}

/// Runs the examples in the docs; a library that shows none has not been documented.
fn doc_tests(root: &Path) -> Tally {
    let tally = cargo_test(root, &["--doc"]);
    if tally.passed + tally.failed == 0 {
        println!("expected at least one example in the docs of a crate that runs, found none");
    }
    tally.at_least_one()
}

fn cargo(root: &Path, arguments: &[&str]) -> Tally {
    one(succeeds(&mut cargo_command(root, arguments)))
}

fn cargo_command(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root);
    command
}

fn installed(root: &Path, subcommand: &str) -> bool {
    let mut command = cargo_command(root, &[subcommand, "--version"]);
    succeeds(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Prints what is broken; nothing broken has passed.
fn list(broken: &[String]) -> Tally {
    for line in broken {
        println!("{line}");
    }
    one(broken.is_empty())
}

fn one(succeeded: bool) -> Tally {
    if succeeded { PASSED } else { FAILED }
}
