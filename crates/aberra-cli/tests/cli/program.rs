//! Runs the program, and trains the detector that the tests share.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::pictures;

/// A temporary working directory for commands.
pub(crate) struct Room(TempDir);

/// The exit code and both streams of a finished run.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program in this folder, without the caller's environment variables for settings.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aberra"));
        command.current_dir(self.0.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name != "ABERRA_CACHE" && name.to_string_lossy().starts_with("ABERRA_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Every file in this folder with its content, and every folder; links and pipes by their kind alone.
    pub(crate) fn everything(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let (kind, path) = entry.map(|entry| (entry.file_type().unwrap(), entry.path())).unwrap();
                let content = if kind.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                if kind.is_dir() {
                    folders.push(path.clone());
                }
                found.insert(path, content);
            }
        }
        found
    }

    /// Runs the program, which refuses, and asserts that not a byte has changed; returns standard error.
    #[track_caller]
    pub(crate) fn refused_unchanged(&self, words: &str) -> String {
        let before = self.everything();
        let said = self.run(words).refusal(self);
        let changed: Vec<PathBuf> = {
            let after = self.everything();
            let names = before.keys().chain(after.keys()).cloned();
            names.filter(|path| before.get(path) != after.get(path)).collect()
        };
        assert!(changed.is_empty(), "{words} changed {changed:?}: {said}");
        said
    }

    /// Runs the program with a fault: see `ABERRA_FAULT` in `aberra::output`. Returns its exit code, if it has one, and
    /// standard error.
    pub(crate) fn run_with_fault(&self, fault: &str, words: &str) -> (Option<i32>, String) {
        let mut command = self.command();
        let output = command.args(words.split_whitespace()).env("ABERRA_FAULT", fault).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// Runs the program with arguments separated by spaces.
    pub(crate) fn run(&self, words: &str) -> Ended {
        self.run_with(words.split_whitespace())
    }

    pub(crate) fn run_with(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
        end(self.command().args(arguments))
    }

    /// Runs the program with `input` on standard input.
    pub(crate) fn run_fed(&self, words: &str, input: &[u8]) -> Ended {
        let mut command = self.command();
        command.args(words.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        ended(child.wait_with_output().unwrap())
    }
}

/// Runs a command to its end.
pub(crate) fn end(command: &mut Command) -> Ended {
    ended(command.output().unwrap())
}

/// Decodes the output of a finished process.
pub(crate) fn ended(output: std::process::Output) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ended = Ended {
        code: output.status.code().expect("an exit code, not a signal"),
        out: text(output.stdout),
        err: text(output.stderr),
    };
    assert!(
        !ended.out.contains('\u{1b}') && !ended.err.contains('\u{1b}'),
        "escape codes without a terminal"
    );
    ended
}

impl Ended {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }

    /// The JSON objects on standard output, one per line.
    pub(crate) fn json_lines(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self
    }

    /// Asserts exit code 1 and an empty standard output; returns standard error with this run's folders replaced.
    #[track_caller]
    pub(crate) fn refusal(self, room: &Room) -> String {
        assert_eq!((self.code, self.out.as_str()), (1, ""), "{}", self.err);
        let shared = shared_folder();
        self.err
            .replace(&*room.0.path().to_string_lossy(), "ROOM")
            .replace(&*shared.to_string_lossy(), "SHARED")
    }
}

/// Settings of the shared run: small and fast.
pub(crate) const QUICK: &str = "--preset small --size 32 --batch-size 8 --scorer mse --group exact \
                                --set train.criterion=last --set train.learning_rate=0.005";

/// A data set of `pictures::blobs` in `normal/` and of stripes in `stripes/`.
pub(crate) const NORMALS: usize = 60;

/// The folder with `data/` and the shared run `run/`, created by the first test that needs it.
pub(crate) fn shared() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = shared_folder();
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        pictures::write_data_set(&folder.join("data"), NORMALS, 6);
        let room = Room::new();
        let (data, run) = (folder.join("data"), folder.join("run"));
        let ended = room.run(&format!("train {} --out {} {QUICK} --epochs 8", data.display(), run.display()));
        ended.done();
        folder
    })
}

/// The shared detector.
pub(crate) fn detector() -> PathBuf {
    shared().join("run").join("detector.aberra")
}

/// An image with stripes, which the shared detector finds anomalous.
pub(crate) fn stripes() -> PathBuf {
    shared().join("data").join("stripes").join("0.png")
}

fn shared_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("aberra-cli")
}
