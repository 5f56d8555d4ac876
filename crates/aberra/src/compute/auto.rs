//! What the precision `auto` means on this machine: by a table of processors, or by a measurement that is taken once and kept
//! in a folder for caches, so that a machine always chooses alike.
//!
//! The folder is the one that the environment variable `ABERRA_CACHE` names, or `aberra` in the user's folder for caches. What is in
//! it may be deleted: the next run that needs a measurement takes another one.
//!
//! The cache is a line of JSON for each measurement, to which processes only ever append. The first line about a processor and
//! a version of Aberra counts, so that processes which measure at the same time agree in the end.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use aberra_kernels::{InstructionSet, OperandPrecision, Processor, peak_gflops};
use aberra_metrics::Result;
use aberra_models::network::Precision;
use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};

use super::instructions;
use crate::output::{self, LogFile, printable};

/// How much faster than products of `f32` those of bfloat16 have to be: rounding operands costs something, too.
const WORTHWHILE: f64 = 1.2;
/// The environment variable that names the folder of caches.
const VARIABLE: &str = "ABERRA_CACHE";
/// That folder's name in the one that the system has for caches.
const FOLDER: &str = "aberra";
/// The file of measurements in it.
const CACHE: &str = "peaks.jsonl";

/// What the precision `auto` means on this machine, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoPrecision {
    /// The precision: `f32` or `bf16`.
    pub precision: Precision,
    /// What it was chosen by.
    pub reason: Reason,
    /// What was wrong with the cache, where it was needed.
    pub remark: Option<String>,
}

/// What the precision was chosen by.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// What is known of the processor or of the instruction set.
    Known(&'static str),
    /// A measurement of this machine.
    Measured(MeasuredPeaks),
    /// Nothing is known, and a measurement could not be kept. Another one might turn out differently, so it is `f32`.
    NotKept,
}

/// The peaks of one core in matrix products.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasuredPeaks {
    /// The processor.
    pub processor: String,
    /// The instruction set.
    pub instructions: String,
    /// The version of Aberra that measured.
    pub aberra_version: String,
    /// When, in seconds since 1970.
    pub measured_at_secs: u64,
    /// The peak of `f32`, 10^9 operations a second.
    pub f32_gflops: f64,
    /// The peak of bfloat16.
    pub bf16_gflops: f64,
}

impl AutoPrecision {
    /// That of this machine, with the instruction set of this process. The first call settles it for the process.
    ///
    /// # Errors
    /// The environment names an instruction set that cannot be used.
    pub fn of_machine() -> Result<&'static Self> {
        static CHOSEN: OnceLock<AutoPrecision> = OnceLock::new();
        let instructions = instructions()?;
        Ok(CHOSEN.get_or_init(|| {
            let of_user = etcetera::choose_base_strategy().ok().map(|folders| folders.cache_dir());
            let cache = folder(std::env::var_os(VARIABLE), of_user).map(|folder| folder.join(CACHE));
            Self::choose(&Processor::this(), instructions, cache.as_deref(), &Peaks::measure)
        }))
    }

    fn choose(
        processor: &Processor,
        instructions: InstructionSet,
        cache: Option<&Path>,
        measure: &dyn Fn() -> Peaks,
    ) -> Self {
        if let Some(known) = processor.known_bf16(instructions) {
            let precision = if known.is_faster { Precision::Bf16 } else { Precision::F32 };
            return Self { precision, reason: Reason::Known(known.why), remark: None };
        }
        let not_kept =
            |remark| Self { precision: Precision::F32, reason: Reason::NotKept, remark: Some(remark) };
        let Some(path) = cache else {
            let text = format!(
                "expected a folder for caches, found no home folder, or one whose path is relative; {VARIABLE} names another"
            );
            return not_kept(text);
        };
        let subject = Subject { processor: processor.to_string(), instructions: instructions.name() };
        match Cache(path.to_owned()).first_of(&subject, measure) {
            Ok((measurement, remark)) => {
                let is_faster = measurement.bf16_gflops >= WORTHWHILE * measurement.f32_gflops;
                let precision = if is_faster { Precision::Bf16 } else { Precision::F32 };
                Self { precision, reason: Reason::Measured(measurement), remark }
            }
            Err(error) => not_kept(error.to_string()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(why) => f.write_str(why),
            Self::Measured(MeasuredPeaks { f32_gflops, bf16_gflops, aberra_version, .. }) => write!(
                f,
                "measured once by Aberra {aberra_version}: {f32_gflops:.0} GFLOP/s of f32, {bf16_gflops:.0} of bf16"
            ),
            Self::NotKept => {
                f.write_str("nothing is known of this processor, and a measurement cannot be kept")
            }
        }
    }
}

/// The folder of caches: `named` as it is, or within the user's. Relative ones of the user's do not count, as the XDG Base Directory
/// Specification has it: each working folder would have measurements of its own.
fn folder(named: Option<OsString>, of_user: Option<PathBuf>) -> Option<PathBuf> {
    let of_user = of_user.filter(|folder| folder.is_absolute()).map(|folder| folder.join(FOLDER));
    named.filter(|named| !named.is_empty()).map(PathBuf::from).or(of_user)
}

/// Peaks of `f32` and bfloat16.
#[derive(Clone, Copy)]
struct Peaks(f64, f64);

impl Peaks {
    fn measure() -> Self {
        Self(peak_gflops(OperandPrecision::F32), peak_gflops(OperandPrecision::Bf16))
    }
}

/// What a measurement is of.
struct Subject {
    processor: String,
    instructions: &'static str,
}

impl Subject {
    fn is_of(&self, one: &MeasuredPeaks) -> bool {
        let Self { processor, instructions } = self;
        let is_sound = |peak: f64| peak.is_finite() && peak > 0.0;
        (&one.processor, one.instructions.as_str()) == (processor, *instructions)
            && one.aberra_version == env!("CARGO_PKG_VERSION")
            && is_sound(one.f32_gflops)
            && is_sound(one.bf16_gflops)
    }

    fn measured(&self, Peaks(f32_gflops, bf16_gflops): Peaks) -> MeasuredPeaks {
        MeasuredPeaks {
            processor: self.processor.clone(),
            instructions: self.instructions.to_owned(),
            aberra_version: env!("CARGO_PKG_VERSION").to_owned(),
            measured_at_secs: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            f32_gflops,
            bf16_gflops,
        }
    }
}

struct Cache(PathBuf);

impl Cache {
    /// The first measurement of `subject`, which is taken now if there is none, and what was passed over.
    fn first_of(
        &self,
        subject: &Subject,
        measure: &dyn Fn() -> Peaks,
    ) -> Result<(MeasuredPeaks, Option<String>)> {
        if let (Some(measurement), remark) = self.read(subject)? {
            return Ok((measurement, remark));
        }
        let measured = subject.measured(measure());
        self.append(&measured)?;
        let (first, remark) = self.read(subject)?;
        Ok((first.unwrap_or(measured), remark))
    }

    fn read(&self, subject: &Subject) -> Result<(Option<MeasuredPeaks>, Option<String>)> {
        let bytes = match fs::read(&self.0) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((None, None)),
            Err(error) => return Err(aberra_metrics::Error::io(&self.0, &error)),
        };
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let parsed: Vec<MeasuredPeaks> =
            lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let example = lines.iter().find(|line| serde_json::from_str::<MeasuredPeaks>(line).is_err());
        let remark = example.map(|line| {
            let (path, start): (_, String) = (self.0.display(), line.chars().take(40).collect());
            let count = lines.len() - parsed.len();
            format!(
                "{path}: {count} of {} lines are no measurements, as `{}`",
                lines.len(),
                printable(&start)
            )
        });
        Ok((parsed.into_iter().find(|one| subject.is_of(one)), remark))
    }

    /// Adds a line, whatever the end of the file is.
    fn append(&self, measurement: &MeasuredPeaks) -> Result<()> {
        let failed = |error: std::io::Error| aberra_metrics::Error::io(&self.0, &error);
        self.0.parent().map_or(Ok(()), output::make_folder)?;
        let line = serde_json::to_string(measurement).unwrap_or_default();
        LogFile::open(&self.0)
            .and_then(|mut file| file.write_all(format!("\n{line}\n").as_bytes()))
            .map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A processor of which nothing is known.
    fn unknown() -> Processor {
        Processor { maker: "Somebody".to_owned(), family: 1, model: 2, stepping: 3 }
    }

    fn choose(cache: Option<&Path>, peaks: Peaks, measured: &Cell<usize>) -> AutoPrecision {
        let measure = || {
            measured.set(measured.get() + 1);
            peaks
        };
        AutoPrecision::choose(&unknown(), InstructionSet::Avx512Bf16, cache, &measure)
    }

    #[test]
    fn an_unknown_processor_is_measured_once() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join(CACHE);
        let measured = Cell::new(0);
        let first = choose(Some(&cache), Peaks(100.0, 121.0), &measured);
        assert_eq!((first.precision, &first.remark), (Precision::Bf16, &None));
        // A later run would measure otherwise, and does not.
        assert_eq!(choose(Some(&cache), Peaks(100.0, 50.0), &measured), first);
        assert_eq!(measured.get(), 1);
        // Another processor in the same home folder has a measurement of its own.
        let other = Processor { model: 9, ..unknown() };
        let slow =
            AutoPrecision::choose(&other, InstructionSet::Avx512Bf16, Some(&cache), &|| Peaks(100.0, 119.0));
        assert_eq!(slow.precision, Precision::F32);
        assert_eq!(choose(Some(&cache), Peaks(100.0, 50.0), &measured), first);
    }

    #[test]
    fn of_processes_that_measure_at_once_the_first_counts() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join(CACHE);
        let (path, measured) = (cache.clone(), Cell::new(0));
        let other_is_first = || {
            choose(Some(&path), Peaks(100.0, 200.0), &measured);
            Peaks(100.0, 50.0)
        };
        let chosen =
            AutoPrecision::choose(&unknown(), InstructionSet::Avx512Bf16, Some(&cache), &other_is_first);
        assert_eq!((chosen.precision, measured.get()), (Precision::Bf16, 1));
    }

    #[test]
    fn what_cannot_be_read_is_measured_anew_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join(CACHE);
        // A line that was cut, bytes that are no text, another version, a peak that is none.
        let stale = |version: &str, peak: &str| {
            format!(
                r#"{{"processor":"{}","instructions":"avx512-bf16","aberra_version":"{version}","measured_at_secs":1,"f32_gflops":1,"bf16_gflops":{peak}}}"#,
                unknown()
            )
        };
        let now = env!("CARGO_PKG_VERSION");
        let text = [stale("0.0.1", "9"), stale(now, "-9"), stale(now, "9")[..60].to_owned()].join("\n");
        std::fs::write(&cache, [text.as_bytes(), b"\xff"].concat()).unwrap();
        let measured = Cell::new(0);
        let chosen = choose(Some(&cache), Peaks(100.0, 300.0), &measured);
        assert_eq!((chosen.precision, measured.get()), (Precision::Bf16, 1));
        assert!(chosen.remark.as_ref().unwrap().contains("1 of 4 lines are no measurements"), "{chosen:?}");
        assert_eq!(choose(Some(&cache), Peaks(100.0, 50.0), &measured), chosen);
        assert_eq!(measured.get(), 1);
    }

    #[test]
    fn what_cannot_be_kept_is_f32_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let measured = Cell::new(0);
        let is_file = folder.path().join("file");
        std::fs::write(&is_file, "").unwrap();
        for cache in [None, Some(folder.path()), Some(&*is_file.join(CACHE))] {
            let chosen = choose(cache, Peaks(100.0, 300.0), &measured);
            assert_eq!((chosen.precision, chosen.reason), (Precision::F32, Reason::NotKept), "{cache:?}");
            assert!(chosen.remark.is_some());
        }
    }

    #[test]
    fn a_known_processor_is_not_measured() {
        let zen_4 = Processor { maker: "AuthenticAMD".to_owned(), family: 0x19, model: 0x11, stepping: 1 };
        for (set, precision) in
            [(InstructionSet::Avx512Bf16, Precision::Bf16), (InstructionSet::Avx512, Precision::F32)]
        {
            let chosen = AutoPrecision::choose(&zen_4, set, None, &|| unreachable!());
            assert_eq!((chosen.precision, chosen.remark), (precision, None));
        }
    }

    #[test]
    fn the_cache_lies_in_the_named_folder_or_in_an_absolute_one_of_the_user() {
        let user = std::env::temp_dir();
        let named = || Some(OsString::from("named"));
        assert_eq!(folder(named(), Some(user.clone())), Some("named".into()));
        assert_eq!(folder(named(), None), Some("named".into()));
        for unnamed in [None, Some(OsString::new())] {
            assert_eq!(folder(unnamed.clone(), Some(user.clone())), Some(user.join("aberra")));
            for none in [None, Some(PathBuf::new()), Some("caches".into()), Some("./caches".into())] {
                assert_eq!(folder(unnamed.clone(), none), None);
            }
        }
    }

    #[test]
    fn tests_measure_into_no_folder_of_the_user() {
        // .cargo/config.toml names another, also for the programs that tests start.
        assert!(std::env::var_os(VARIABLE).is_some_and(|folder| !folder.is_empty()), "run it through cargo");
    }
}
