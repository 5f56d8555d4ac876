//! `cargo xtask package`: what is released. An archive with the program, completions, manual pages, licences and a list of what is
//! inside (SBOM); the Python wheel; and checksums. On Linux both are linked against glibc 2.17 by zig, so that they run on any
//! distribution since 2014.
//!
//! Two runs on one commit give the same files: paths and times of the machine do not enter, the compiler runs without address space
//! layout randomisation where the system can (Linux), and [`compiler`] keeps it from what hangs on the timing of its threads.

pub(crate) mod compiler;
mod contents;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::python;
use crate::tree::target_folder;

/// The profile of the manifest by which it is built.
const PROFILE: &str = "dist";
/// The free-threaded Pythons for which there is a wheel: before 3.15 these have no stable interface that one wheel could be for.
const FREE_THREADED: [&str; 1] = ["3.14t"];

/// Makes the release below `out`.
///
/// # Errors
/// What is missing or failed, in words.
pub(crate) fn package(root: &Path, out: &Path) -> Result<(), String> {
    let machine = said(Command::new("rustc").args(["-vV"]))?;
    let field = |name: &str| machine.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let host = field("host:").ok_or("expected rustc to name its host")?;
    let folder = target_folder(root).join("package");
    let requirements = root.join("xtask").join("src").join("package").join("requirements.txt");
    let python = python::environment(&folder.join("environment"), &requirements)?;
    let build = Build { root, python: &python, host, target: folder.join("target") };
    let version = contents::version(root)?;
    let name = format!("aberra-{version}-{host}");
    fresh(out)?;

    let program = build.program()?;
    let within = folder.join(&name);
    fresh(&within)?;
    copy(&program, &within.join(if cfg!(windows) { "aberra.exe" } else { "aberra" }))?;
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        copy(&root.join(file), &within.join(file))?;
    }
    std::fs::create_dir_all(within.join("completions")).map_err(|error| error.to_string())?;
    for (shell, file) in
        [("bash", "aberra.bash"), ("zsh", "_aberra"), ("fish", "aberra.fish"), ("powershell", "_aberra.ps1")]
    {
        write(
            &within.join("completions").join(file),
            &said(Command::new(&program).args(["completions", shell]))?,
        )?;
    }
    succeed(
        Command::new(&program).arg("completions").arg("--man").arg(within.join("man")).stderr(Stdio::null()),
    )?;
    let packages = contents::packages(root)?;
    write(&within.join("THIRD-PARTY-LICENSES.txt"), &contents::licences(&packages))?;
    write(&within.join("sbom.cdx.json"), &contents::sbom(&version, &packages))?;
    archive(&folder, &name, &out.join(format!("{name}.tar.gz")))?;

    build.wheels(out)?;
    checksums(out)
}

struct Build<'a> {
    root: &'a Path,
    python: &'a Path,
    host: &'a str,
    target: PathBuf,
}

impl Build<'_> {
    fn is_linux(&self) -> bool {
        self.host.ends_with("-unknown-linux-gnu")
    }

    /// The program, built for release: by maturin, too, so that what it has in common with the wheel is built once.
    fn program(&self) -> Result<PathBuf, String> {
        let wheels = self.target.join("program");
        self.built("aberra-cli", &["--bindings", "bin"], &wheels)?;
        let name = if cfg!(windows) { "aberra.exe" } else { "aberra" };
        Ok(self.target.join(self.host).join(PROFILE).join(name))
    }

    /// The wheel for every Python from the oldest that it supports, and one for each free-threaded Python: on Linux maturin knows what
    /// these need, elsewhere they have to be installed.
    fn wheels(&self, out: &Path) -> Result<(), String> {
        self.wheel(out, None)?;
        for python in FREE_THREADED {
            if self.is_linux() || is_there(&format!("python{python}")) {
                self.wheel(out, Some(python))?;
            } else {
                println!("no wheel for the free-threaded Python {python}: python{python} is not installed");
            }
        }
        Ok(())
    }

    fn wheel(&self, out: &Path, interpreter: Option<&str>) -> Result<(), String> {
        match interpreter {
            Some(interpreter) => self.built("aberra-python", &["--interpreter", interpreter], out),
            None => self.built("aberra-python", &[], out),
        }
    }

    /// Builds a crate, with a wheel of it in `out`.
    fn built(&self, name: &str, options: &[&str], out: &Path) -> Result<(), String> {
        let mut command = at_fixed_addresses(self.python);
        command.args(["-m", "maturin", "build", "--profile", PROFILE, "--locked", "--target", self.host]);
        command.args(options).arg("--out").arg(out);
        if self.is_linux() {
            command.args(["--zig", "--compatibility", "manylinux2014"]);
        }
        command.arg("--manifest-path").arg(self.root.join("crates").join(name).join("Cargo.toml"));
        succeed(self.reproducible(&mut command))
    }

    /// Without paths and times of this machine.
    fn reproducible<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let home = std::env::var("CARGO_HOME").ok().or_else(|| Some(std::env::var("HOME").ok()? + "/.cargo"));
        let remaps =
            [(home.unwrap_or_default(), "cargo"), (self.root.to_string_lossy().into_owned(), "aberra")];
        let flags: Vec<String> = remaps
            .iter()
            .filter(|(from, _)| !from.is_empty())
            .map(|(from, to)| format!("--remap-path-prefix={from}={to}"))
            .collect();
        let own = self.python.parent().map(Path::to_path_buf).unwrap_or_default();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let joined = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path)));
        command
            .current_dir(self.root)
            .env("PATH", joined.unwrap_or(path))
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env("RUSTC_WRAPPER", std::env::current_exe().unwrap_or_default())
            .env("SOURCE_DATE_EPOCH", "0")
            .env("PYTHONHASHSEED", "0")
    }
}

/// A command whose program, and what that starts, has its memory at the same addresses in every run, where the system can: on Linux,
/// by `setarch` of util-linux, if the kernel lets it.
fn at_fixed_addresses(program: &Path) -> Command {
    let mut fixed = Command::new("setarch");
    fixed.args([std::env::consts::ARCH, "--addr-no-randomize"]);
    let mut trial = Command::new("setarch");
    trial.args(fixed.get_args()).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    if trial.status().is_ok_and(|status| status.success()) {
        fixed.arg(program);
        return fixed;
    }
    println!("setarch --addr-no-randomize does not run here: a second build may differ by some bytes");
    Command::new(program)
}

/// A `.tar.gz` of a folder, whose bytes depend on its content alone.
fn archive(parent: &Path, name: &str, out: &Path) -> Result<(), String> {
    let tar = out.with_extension("");
    let fixed =
        ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+rw,go=rX"];
    succeed(Command::new("tar").args(fixed).arg("-C").arg(parent).arg("-cf").arg(&tar).arg(name))?;
    succeed(Command::new("gzip").args(["-n", "-9", "-f"]).arg(&tar))
}

/// Writes `SHA256SUMS` of all files, as `sha256sum --check` reads it.
fn checksums(out: &Path) -> Result<(), String> {
    let mut names: Vec<String> = std::fs::read_dir(out)
        .map_err(|error| error.to_string())?
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    let sums = said(Command::new("sha256sum").args(&names).current_dir(out))?;
    write(&out.join("SHA256SUMS"), &sums)?;
    print!("{sums}");
    Ok(())
}

/// Whether a program can be started.
fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// An empty folder.
fn fresh(folder: &Path) -> Result<(), String> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    std::fs::copy(from, to).map(drop).map_err(|error| format!("{}: {error}", from.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Runs a command.
fn succeed(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{} failed: {status}", command.get_program().to_string_lossy())),
        Err(error) => Err(format!("{}: {error}", command.get_program().to_string_lossy())),
    }
}

/// What a command prints.
fn said(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| format!("{name}: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{name} failed: {}", output.status)),
    }
}
