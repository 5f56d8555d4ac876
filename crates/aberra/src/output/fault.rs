//! Fault points: in tests the n-th operation of a kind fails, or ends the process, as a full or broken disk or a power cut
//! would. In the program that users get there are none.
//!
//! `ABERRA_FAULT=write:3:ENOSPC` fails the third write of a process, `rename:1+:EIO` every rename, `sync:2:abort` ends the
//! process before its second synchronisation, and `any:17:kill` kills it (SIGKILL) at its 17th operation of whatever kind.
//! A write that fails has written half of its bytes; `write:1@3/8:kill` has written three eighths.

use std::fs::File;
use std::io;

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    #[cfg_attr(
        not(any(test, feature = "testing")),
        expect(dead_code, reason = "named by planned faults alone")
    )]
    Write,
    Synchronise,
    Rename,
    SynchroniseFolder,
    Append,
}

/// The error that is due at this operation, if any.
#[cfg(not(any(test, feature = "testing")))]
#[inline]
pub(super) fn check(_: Operation) -> io::Result<()> {
    Ok(())
}

/// The error that is due at this write, if any.
#[cfg(not(any(test, feature = "testing")))]
#[inline]
pub(super) fn check_write(_: &mut File, _: &[u8]) -> io::Result<()> {
    Ok(())
}

#[cfg(any(test, feature = "testing"))]
pub(super) use self::planned::{check, check_write};

#[cfg(test)]
pub(super) use self::planned::during;

#[cfg(any(test, feature = "testing"))]
mod planned {
    #![allow(clippy::unwrap_used, reason = "a plan of a test that cannot be read ends the test")]

    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, OnceLock};

    use super::{File, Operation, io};

    /// The environment variable with the plan of a process.
    const VARIABLE: &str = "ABERRA_FAULT";

    pub(crate) struct Plan {
        /// Of any kind if it is `None`.
        operation: Option<Operation>,
        number: usize,
        /// Share of a write's bytes that are written before it fails, as numerator and denominator.
        written: (usize, usize),
        /// Whether all later ones fail as well.
        and_later: bool,
        outcome: Outcome,
        seen: AtomicUsize,
    }

    #[derive(Clone, Copy)]
    enum Outcome {
        Errno(i32),
        Abort,
        Kill,
    }

    thread_local! {
        static OF_THREAD: std::cell::RefCell<Option<Arc<Plan>>> = const { std::cell::RefCell::new(None) };
    }

    impl Plan {
        fn parse(text: &str) -> Option<Self> {
            let mut parts = text.split(':');
            let operation = match parts.next()? {
                "any" => None,
                "create" => Some(Operation::Create),
                "write" => Some(Operation::Write),
                "sync" => Some(Operation::Synchronise),
                "rename" => Some(Operation::Rename),
                "sync-folder" => Some(Operation::SynchroniseFolder),
                "append" => Some(Operation::Append),
                _ => return None,
            };
            let (number, written) = match parts.next()?.split_once('@') {
                Some((number, share)) => {
                    let (part, of) = share.split_once('/')?;
                    (number, (part.parse().ok()?, of.parse().ok()?))
                }
                None => (text.split(':').nth(1)?, (1, 2)),
            };
            let outcome = match parts.next()? {
                "ENOSPC" => Outcome::Errno(28),
                "EIO" => Outcome::Errno(5),
                "EACCES" => Outcome::Errno(13),
                "abort" => Outcome::Abort,
                "kill" => Outcome::Kill,
                _ => return None,
            };
            Some(Self {
                operation,
                written,
                number: number.trim_end_matches('+').parse().ok()?,
                and_later: number.ends_with('+'),
                outcome,
                seen: AtomicUsize::new(0),
            })
        }

        /// Counts an operation; what happens to it, if it is not done.
        fn next(&self, operation: Operation) -> Option<Outcome> {
            if self.operation.is_some_and(|planned| planned != operation) {
                return None;
            }
            let seen = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
            let is_due = seen == self.number || (self.and_later && seen > self.number);
            is_due.then_some(self.outcome)
        }
    }

    /// What is due at this operation, and how much of a write is written before it.
    fn due(operation: Operation) -> Option<(Outcome, (usize, usize))> {
        static OF_PROCESS: OnceLock<Option<Plan>> = OnceLock::new();
        let of_thread = OF_THREAD.with_borrow(Clone::clone);
        if let Some(plan) = of_thread {
            return plan.next(operation).map(|outcome| (outcome, plan.written));
        }
        let plan = OF_PROCESS.get_or_init(|| {
            std::env::var(VARIABLE)
                .ok()
                .map(|text| Plan::parse(&text).expect("a plan such as write:3:ENOSPC"))
        });
        let plan = plan.as_ref()?;
        plan.next(operation).map(|outcome| (outcome, plan.written))
    }

    fn end(outcome: Outcome) -> io::Error {
        match outcome {
            Outcome::Errno(code) => io::Error::from_raw_os_error(code),
            Outcome::Abort => std::process::abort(),
            Outcome::Kill => {
                let own = std::process::id().to_string();
                std::process::Command::new("kill").args(["-KILL", &own]).status().unwrap();
                // The signal may take a moment.
                loop {
                    std::thread::park();
                }
            }
        }
    }

    /// The error that is due at this operation, if any.
    pub(crate) fn check(operation: Operation) -> io::Result<()> {
        due(operation).map_or(Ok(()), |(outcome, _)| Err(end(outcome)))
    }

    /// The error that is due at this write, if any; some of the bytes are written before it.
    pub(crate) fn check_write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let Some((outcome, (part, of))) = due(Operation::Write) else { return Ok(()) };
        file.write_all(&bytes[..bytes.len() * part / of])?;
        Err(end(outcome))
    }

    /// Follows a plan while `act` runs on this thread; returns its result and how many operations of the kind there were.
    #[cfg(test)]
    pub(crate) fn during<T>(plan: &str, act: impl FnOnce() -> T) -> (T, usize) {
        let plan = Arc::new(Plan::parse(plan).unwrap());
        OF_THREAD.set(Some(plan.clone()));
        let result = act();
        OF_THREAD.set(None);
        (result, plan.seen.load(Ordering::SeqCst))
    }
}
