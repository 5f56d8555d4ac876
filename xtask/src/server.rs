//! End-to-end checks of the server: the built program trains and serves a detector, and the web app in a browser, Triton's
//! own client, and a load of well-behaved and hostile clients use it.
//!
//! It needs what `cargo test` has built; and Node.js with Chromium, or Python, for the parts that use these. A part whose
//! requirements are missing is reported and counted as skipped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::command::succeeds;
use crate::python;
use crate::tally::{FAILED, PASSED, SKIPPED, Tally};
use crate::tree::target_folder;
use crate::web;

/// The API key of the server that needs one.
const KEY: &str = "a-key-for-tests-only";

/// Maximum time of a graceful shutdown.
const END: Duration = Duration::from_secs(30);

/// A running server.
struct Serving {
    child: Child,
    url: String,
}

/// Trains a detector, serves it and runs all clients.
pub(crate) fn check(root: &Path) -> Tally {
    let target = target_folder(root);
    let program = target.join("debug").join(if cfg!(windows) { "aberra.exe" } else { "aberra" });
    let folder = target.join("server");
    if !program.exists() {
        println!("server: expected {}, which `cargo test --workspace` builds", program.display());
        return FAILED;
    }
    if let Err(why) = learn(&program, &folder) {
        println!("server: {why}");
        return FAILED;
    }
    let mut tally = Tally::default();
    let key = folder.join("key");
    if let Err(error) = std::fs::write(&key, KEY) {
        println!("server: {}: {error}", key.display());
        return FAILED;
    }
    let (open, keyed) = (serve(&program, &folder, None), serve(&program, &folder, Some(&key)));
    match (open, keyed) {
        (Ok(open), Ok(keyed)) => {
            println!("-- the app in a browser");
            tally.add(web::app(root, &open.url, &keyed.url, KEY));
            println!("-- Triton's client");
            tally.add(triton(root, &program, &folder, &[(&open.url, None), (&keyed.url, Some(KEY))]));
            for serving in [open, keyed] {
                tally.add(serving.end());
            }
        }
        (open, keyed) => {
            for why in [open.err(), keyed.err()].into_iter().flatten() {
                println!("server: {why}");
            }
            tally.add(FAILED);
        }
    }
    println!("-- volumes in a browser");
    tally.add(volumes(root, &program, &folder));
    println!("-- a crowd");
    tally.add(crowd(root, &program, &folder));
    tally
}

/// Trains a small detector on volumes, serves it, and gives it volumes in the app.
fn volumes(root: &Path, program: &Path, folder: &Path) -> Tally {
    let demo = folder.join("volumes");
    let mut learning = Command::new(program);
    learning.args(["demo", "--volumes", "--epochs", "1", "--normals", "40", "--out"]).arg(&demo);
    if !succeeds(learning.stdout(Stdio::null()).stderr(Stdio::null())) {
        println!(
            "server: expected `aberra demo --volumes` to train a detector, but it failed; run it to see why"
        );
        return FAILED;
    }
    let mut command = Command::new(program);
    command.arg("serve").arg(demo.join("run").join("detector.aberra"));
    match started(command, &folder.join("volumes.log")) {
        Ok(serving) => {
            let mut tally = web::volumes(root, &serving.url, &demo.join("volumes").join("test"));
            tally.add(serving.end());
            tally
        }
        Err(why) => {
            println!("server: {why}");
            FAILED
        }
    }
}

/// Runs a small demo in `demo/`, and copies its detector to `second.aberra`.
fn learn(program: &Path, folder: &Path) -> Result<(), String> {
    let at = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(at)?;
    }
    std::fs::create_dir_all(folder).map_err(at)?;
    let mut demo = Command::new(program);
    demo.args(["demo", "--epochs", "12", "--normals", "160", "--out"]).arg(folder.join("demo"));
    if !succeeds(demo.stdout(Stdio::null()).stderr(Stdio::null())) {
        return Err("expected `aberra demo` to train a detector, but it failed; run it to see why".to_owned());
    }
    std::fs::copy(detector(folder), folder.join("second.aberra")).map_err(at)?;
    Ok(())
}

fn detector(folder: &Path) -> PathBuf {
    folder.join("demo").join("run").join("detector.aberra")
}

fn serve(program: &Path, folder: &Path, key: Option<&Path>) -> Result<Serving, String> {
    let (demo, log) =
        (folder.join("demo"), folder.join(if key.is_some() { "keyed.log" } else { "open.log" }));
    let mut command = Command::new(program);
    command.arg("serve").args([detector(folder), folder.join("second.aberra")]);
    command.arg("--data").arg(demo.join("phantoms")).arg("--split").arg(demo.join("run").join("split.json"));
    if let Some(key) = key {
        command.arg("--api-key-file").arg(key);
    }
    started(command, &log)
}

/// Starts a server on any free port; what it logs goes to a file.
fn started(mut command: Command, log: &Path) -> Result<Serving, String> {
    let log = std::fs::File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
    command.args(["--address", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().map_err(|error| error.to_string())?;
    let mut line = String::new();
    if let Some(out) = child.stdout.as_mut() {
        BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
    }
    match line.trim().strip_prefix("listening on ") {
        Some(url) => Ok(Serving { url: url.to_owned(), child }),
        None => Err(format!("expected `listening on URL` from `aberra serve`, found {line:?}")),
    }
}

impl Serving {
    /// Sends SIGTERM; the server has to exit with success and in time.
    fn end(mut self) -> Tally {
        if cfg!(windows) {
            // There is no SIGTERM: the process is killed when this is dropped.
            return SKIPPED;
        }
        succeeds(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        let started = Instant::now();
        while started.elapsed() < END {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Ok(Some(status)) if status.success() => return PASSED,
                ended => {
                    println!("server: expected it to end with 0, found {ended:?}");
                    return FAILED;
                }
            }
        }
        println!("server: expected it to end within {} s of SIGTERM", END.as_secs());
        FAILED
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
    }
}

/// Triton's client from PyPI, in a virtual environment below the target folder.
fn triton(root: &Path, program: &Path, folder: &Path, servers: &[(&str, Option<&str>)]) -> Tally {
    let clients = root.join("crates").join("aberra-serve").join("clients");
    let environment = target_folder(root).join("clients");
    let python = match python::environment(&environment, &clients.join("requirements.txt")) {
        Ok(python) => python,
        Err(why) => {
            println!("skipped: Triton's client was not tried; {why}");
            return SKIPPED;
        }
    };
    let picture = folder.join("demo").join("phantoms").join("test").join("good").join("000.png");
    let Some(score) = score(program, &detector(folder), &picture) else {
        println!("server: expected a score of {} from `aberra score`", picture.display());
        return FAILED;
    };
    let mut tally = Tally::default();
    for (url, key) in servers {
        let address = url.trim_start_matches("http://");
        let mut command = Command::new(&python);
        command
            .arg(clients.join("triton.py"))
            .arg(address)
            .arg(&picture)
            .args(["--model", "demo", "--score", &score]);
        command.args(key.iter().flat_map(|key| ["--api-key", key]));
        tally.add(if succeeds(&mut command) { PASSED } else { FAILED });
    }
    tally
}

/// The score that `aberra score` prints, with all digits.
fn score(program: &Path, detector: &Path, picture: &Path) -> Option<String> {
    let mut command = Command::new(program);
    let output = command.arg("score").args([detector, picture]).arg("--json").output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, rest) = line.split_once("\"score\":")?;
    Some(rest.split([',', '}']).next()?.trim().to_owned())
}

/// Well-behaved, vanishing, hostile and slow clients, in short runs of the benchmark and of the soak.
fn crowd(root: &Path, program: &Path, folder: &Path) -> Tally {
    let bench = program.with_file_name(if cfg!(windows) { "aberra-bench.exe" } else { "aberra-bench" });
    let mut tally = Tally::default();
    for measurement in ["serve", "soak"] {
        let mut command = Command::new(&bench);
        command.arg(measurement).arg(detector(folder)).arg("--program").arg(program).arg("--quick");
        tally.add(if succeeds(command.current_dir(root)) { PASSED } else { FAILED });
    }
    tally
}
