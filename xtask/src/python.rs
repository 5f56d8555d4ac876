//! The Python package: a wheel built, installed into an environment of its own, and used there as people use it.
//!
//! It needs Python with its module venv, and packages from PyPI; what is missing is said and counted as skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::succeeds;
use crate::tally::{FAILED, PASSED, SKIPPED, Tally};
use crate::tree::target_folder;

/// The oldest Python that the wheel is for, in its second number.
const OLDEST_MINOR: u32 = 11;

/// An environment with the packages of a file of requirements: the path of its Python.
///
/// # Errors
/// What is missing, in words.
pub(crate) fn environment(folder: &Path, requirements: &Path) -> Result<PathBuf, String> {
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    if !python.exists() && !succeeds(Command::new("python3").args(["-m", "venv"]).arg(folder)) {
        return Err(
            "expected Python 3 with its module venv (on Debian: apt-get install python3-venv)".to_owned()
        );
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(requirements);
    if succeeds(&mut pip) { Ok(python) } else { Err("pip could not install what it needs".to_owned()) }
}

/// Builds the wheel and runs its tests, the examples in its docs, its types and the notebooks.
pub(crate) fn check(root: &Path) -> Tally {
    let package = root.join("crates").join("aberra-python");
    if let Err(why) = new_enough() {
        println!("skipped: the Python package was not tried; {why}");
        return SKIPPED;
    }
    let folder = target_folder(root).join("python");
    let python =
        match environment(&folder.join("environment"), &package.join("tests").join("requirements.txt")) {
            Ok(python) => python,
            Err(why) => {
                println!("skipped: the Python package was not tried; {why}");
                return SKIPPED;
            }
        };
    println!("-- the wheel");
    if let Err(why) = install_wheel(root, &package, &python, &folder.join("wheels")) {
        println!("python: {why}");
        return FAILED;
    }
    let mut tally = PASSED;
    tally.add(with_runtimes(&python, &package));
    let steps: [(&str, &[&str]); 4] = [
        ("types", &["-m", "mypy", "--strict", "--no-incremental", "-p", "aberra"]),
        ("stubs", &["-m", "mypy.stubtest", "aberra._aberra"]),
        ("tests", &["-m", "pytest", "tests"]),
        ("examples in the docs", &["-m", "pytest", "--doctest-modules", "--pyargs", "aberra"]),
    ];
    for (name, arguments) in steps {
        println!("-- {name}");
        tally.add(of(succeeds(Command::new(&python).args(arguments).current_dir(&package))));
    }
    println!("-- notebooks");
    let notebooks = root.join("docs").join("notebooks").join("run.py");
    tally.add(of(succeeds(Command::new(&python).arg(notebooks).arg(folder.join("notebooks")))));
    tally
}

/// Installs what runs exported models; without it their tests say so and are skipped.
fn with_runtimes(python: &Path, package: &Path) -> Tally {
    let requirements = package.join("tests").join("onnx-requirements.txt");
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&requirements);
    if succeeds(&mut pip) {
        return PASSED;
    }
    println!(
        "skipped: exported models were not run by onnxruntime and OpenVINO, nor looked at by onnx's checker; pip could not \
         install {}",
        requirements.display()
    );
    SKIPPED
}

/// Builds the wheel with the profile of the tests, whose dependencies are built already, and installs it.
fn install_wheel(root: &Path, package: &Path, python: &Path, wheels: &Path) -> Result<(), String> {
    let _ = std::fs::remove_dir_all(wheels);
    let mut build = Command::new(python);
    build.args([
        "-m",
        "maturin",
        "build",
        "--quiet",
        "--profile",
        "dev",
        "--locked",
        "--compatibility",
        "off",
    ]);
    build.arg("--manifest-path").arg(package.join("Cargo.toml")).arg("--out").arg(wheels).current_dir(root);
    if !succeeds(&mut build) {
        return Err("the wheel could not be built".to_owned());
    }
    let found = std::fs::read_dir(wheels).ok().and_then(|mut files| files.next()?.ok());
    let wheel = found.ok_or("expected a wheel, found none")?.path();
    let mut pip = Command::new(python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--force-reinstall",
        "--no-deps",
    ]);
    if succeeds(pip.arg(wheel)) { Ok(()) } else { Err("the wheel could not be installed".to_owned()) }
}

/// Whether there is a Python that the wheel is for.
fn new_enough() -> Result<(), String> {
    let expected = format!("expected Python 3.{OLDEST_MINOR} or later");
    let said =
        Command::new("python3").arg("--version").output().map_err(|_| format!("{expected}, found none"))?;
    let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let minor = said.strip_prefix("Python 3.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
    if minor.is_some_and(|minor| minor >= OLDEST_MINOR) {
        Ok(())
    } else {
        Err(format!("{expected}, found {said}"))
    }
}

fn of(succeeded: bool) -> Tally {
    if succeeded { PASSED } else { FAILED }
}
