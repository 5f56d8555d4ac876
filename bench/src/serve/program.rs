//! The program under measurement: started, observed from outside, and stopped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::grouped::Result;

/// How often an end is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// A running server. It is killed when dropped.
pub(super) struct Program {
    child: Child,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// When it was started.
    pub(super) started: Instant,
    log: PathBuf,
    // Kept open: a program that prints into a closed pipe may end.
    _output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts the server on any free port and waits until it says where it listens. Its log goes to the file `log`.
    ///
    /// # Errors
    /// It cannot be started, or does not say where it listens.
    pub(super) fn start(
        program: &Path,
        detectors: &[PathBuf],
        options: &[String],
        log: &Path,
    ) -> Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(program)
            .arg("serve")
            .args(detectors)
            .args(["--address", "127.0.0.1:0"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://").and_then(|text| text.parse().ok());
        match address {
            Some(address) => Ok(Self { child, address, started, log: log.to_owned(), _output: output }),
            None => {
                let ended = child.kill().and_then(|()| child.wait());
                let said = fs::read_to_string(log)?;
                let said = said.trim();
                Err(format!("expected `listening on http://IP:PORT`, found {line:?} ({ended:?}): {said}")
                    .into())
            }
        }
    }

    /// Memory that it holds now, in MB; NaN where the system does not say.
    pub(super) fn memory_mb(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most memory that it has held, in MB.
    pub(super) fn peak_memory_mb(&self) -> f64 {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kilobytes.map_or(f64::NAN, |kilobytes| (kilobytes / 102.4).round() / 10.0)
    }

    /// Processor time that it has taken, in seconds of one core.
    pub(super) fn cpu_secs(&self) -> f64 {
        cpu_secs(&self.child.id().to_string())
    }

    /// Whether it runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Lines of its log that report a panic.
    pub(super) fn panics(&self) -> Vec<String> {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        log.lines().filter(|line| line.contains("panicked")).map(str::to_owned).collect()
    }

    /// Asks it to end, as a service manager does.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn terminate(&self) -> Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).ok_or("no process id")?;
        Ok(kill_process(id, Signal::TERM)?)
    }

    /// Waits for its end; `None` where it does not come in time.
    ///
    /// # Errors
    /// The system does not say.
    pub(super) fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            std::thread::sleep(LOOK);
        }
        Ok(None)
    }
}

/// Processor time that this program has taken, in seconds of one core.
pub(super) fn own_cpu_secs() -> f64 {
    cpu_secs("self")
}

fn cpu_secs(process: &str) -> f64 {
    /// Of the times that Linux tells.
    const TICKS_PER_S: f64 = 100.0;
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The second field is a name, which may hold spaces, in brackets; the 14th and the 15th are the times.
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = fields.split(' ').skip(11).take(2).map_while(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_S
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
