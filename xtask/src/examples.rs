//! The examples of the library, run as a reader would run them: each in an empty folder, and each has to end well.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::tally::{FAILED, PASSED, SKIPPED, Tally};
use crate::tree::target_folder;

/// Where the examples are. Those of `aberra-kernels` measure speed and are only built.
const FOLDER: &str = "crates/aberra/examples";

/// How long one example may take without optimisation of its own code.
const LIMIT: Duration = Duration::from_secs(120);

/// Builds the examples with `cargo` and runs each; counts those that exit with 0.
///
/// The whole workspace is built, as for the tests: one package alone would be built with other features, and all that it
/// depends on again.
pub(crate) fn check(root: &Path, cargo: &mut Command) -> Tally {
    let names = match names(&root.join(FOLDER)) {
        Ok(Some(names)) => names,
        Ok(None) => {
            println!("skipped: there is no folder {FOLDER}");
            return SKIPPED;
        }
        Err(why) => {
            println!("examples: {why}");
            return FAILED;
        }
    };
    match cargo.args(["build", "--workspace", "--examples", "--locked"]).status() {
        Ok(status) if status.success() => {}
        Ok(_) => return FAILED,
        Err(error) => {
            println!("examples: cargo: {error}");
            return FAILED;
        }
    }
    let target = target_folder(root);
    let mut tally = Tally::default();
    for name in names {
        println!("-- {name}");
        let program =
            target.join("debug").join("examples").join(&name).with_extension(std::env::consts::EXE_EXTENSION);
        let folder = target.join("examples").join(&name);
        tally.add(match run(&mut Command::new(program), &folder, LIMIT) {
            Ok(()) => PASSED,
            Err(why) => {
                println!("example {name}: {why}");
                FAILED
            }
        });
    }
    tally
}

/// The examples of a folder, which are files or folders with a `main.rs`; none where there is no folder.
fn names(folder: &Path) -> Result<Option<Vec<String>>, String> {
    if !folder.exists() {
        return Ok(None);
    }
    let at = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(at)? {
        let path = entry.map_err(at)?.path();
        let is_example = path.extension().is_some_and(|end| end == "rs") || path.join("main.rs").exists();
        if let Some(name) = path.file_stem().filter(|_| is_example) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    if names.is_empty() {
        return Err(format!(
            "expected examples in {}, found none; add one or remove the folder",
            folder.display()
        ));
    }
    Ok(Some(names))
}

/// Runs a program in `folder`, which is recreated, and ends it after `limit`.
fn run(program: &mut Command, folder: &Path, limit: Duration) -> Result<(), String> {
    let at = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(at)?;
    }
    std::fs::create_dir_all(folder).map_err(at)?;
    let shown = program.get_program().to_string_lossy().into_owned();
    let child = program.current_dir(folder).stdin(Stdio::null()).spawn();
    let result = ended(child.map_err(|error| format!("{shown}: {error}"))?, limit);
    std::fs::remove_dir_all(folder).map_err(at)?;
    result
}

fn ended(mut child: Child, limit: Duration) -> Result<(), String> {
    let started = Instant::now();
    while started.elapsed() < limit {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("expected it to exit with 0, found {status}")),
            Err(error) => return Err(error.to_string()),
        }
    }
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
    Err(format!("expected it to end within {} s", limit.as_secs()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A folder of this test alone, below the one in which cargo builds.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("aberra-xtask-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn without_the_folder_there_is_nothing_to_run_and_an_empty_one_is_found() {
        let folder = folder("names");
        assert_eq!(names(&folder), Ok(None));
        std::fs::create_dir_all(folder.join("data")).unwrap();
        std::fs::write(folder.join("README.md"), "no example").unwrap();
        assert!(names(&folder).unwrap_err().contains("found none"));
        std::fs::write(folder.join("b.rs"), "").unwrap();
        std::fs::create_dir_all(folder.join("a")).unwrap();
        std::fs::write(folder.join("a").join("main.rs"), "").unwrap();
        assert_eq!(names(&folder), Ok(Some(vec!["a".to_owned(), "b".to_owned()])));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn an_example_that_fails_or_hangs_or_is_not_there_is_found() {
        let shell = |script: &str, limit: Duration| {
            run(Command::new("sh").args(["-c", script]), &folder(&format!("run {}", script.len())), limit)
        };
        let long = Duration::from_secs(60);
        assert_eq!(shell("exit 0", long), Ok(()));
        assert!(shell("exit 3", long).unwrap_err().contains("exit with 0"));
        assert!(shell("exec sleep 60", Duration::from_millis(100)).unwrap_err().contains("within"));
        assert!(run(&mut Command::new("no-such-program"), &folder("none"), long).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn an_example_starts_in_an_empty_folder_of_its_own() {
        let folder = folder("empty");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("left"), "by an earlier run").unwrap();
        let script = "test ! -e left && touch made";
        let ran = run(Command::new("sh").args(["-c", script]), &folder, Duration::from_secs(60));
        assert_eq!((ran, folder.exists()), (Ok(()), false));
    }
}
