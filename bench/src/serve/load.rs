//! Well-behaved clients: each sends a request, waits for the response and sends the next, until stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Answer, Connection, find};
use crate::grouped::Result;

/// A request for one image's score, and what the answer has to hold.
pub(super) struct Question {
    /// The whole request.
    pub(super) request: Vec<u8>,
    /// The image's score when nothing else is asked.
    pub(super) score: f64,
}

/// How far a score in a batch may lie from the score alone, as a share of the larger of 1 and the score: the tolerance
/// that the server promises.
pub(super) const TOLERANCE: f64 = 1e-4;
/// What a thread of a client needs.
const STACK_BYTES: usize = 128 << 10;
/// Before a client whose connection failed opens another.
pub(super) const PAUSE: Duration = Duration::from_millis(20);
/// Maximum number of failures that are described.
const TOLD: usize = 3;

/// What some clients saw.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Of each answered request.
    pub(super) latencies_ms: Vec<f64>,
    /// Requests that got no answer, a wrong one, or an error.
    pub(super) failures: usize,
    /// Requests rejected with status 503 and a Retry-After, where that is allowed.
    pub(super) refused: usize,
    /// The first failures, in words.
    pub(super) told: Vec<String>,
    /// From the first request to the last answer.
    pub(super) secs: f64,
}

impl Load {
    /// Answers a second.
    pub(super) fn images_per_s(&self) -> f64 {
        rounded(self.latencies_ms.len() as f64 / self.secs)
    }

    /// Percentile 0 to 100 of the time to an answer, by nearest rank.
    pub(super) fn percentile_ms(&self, percentile: f64) -> f64 {
        percentile_of(&self.latencies_ms, percentile)
    }

    /// The numbers, for the record.
    pub(super) fn json(&self) -> Value {
        json!({
            "answered": self.latencies_ms.len(), "failures": self.failures, "refused": self.refused,
            "p50_ms": self.percentile_ms(50.0), "p95_ms": self.percentile_ms(95.0), "p99_ms": self.percentile_ms(99.0),
            "images_per_s": self.images_per_s(), "told": self.told,
        })
    }

    pub(super) fn fail(&mut self, why: String) {
        self.failures += 1;
        if self.told.len() < TOLD {
            self.told.push(why);
        }
    }

    /// Puts what another client saw to this.
    pub(super) fn add(&mut self, other: Self) {
        self.latencies_ms.extend(other.latencies_ms);
        self.failures += other.failures;
        self.refused += other.refused;
        self.told.extend(other.told);
        self.told.truncate(TOLD);
    }
}

/// When clients stop, and what they put up with.
#[derive(Clone, Copy)]
pub(super) enum Until<'a> {
    /// After this time; a refusal is a failure.
    Time(Duration),
    /// After so many requests each; a refusal is a failure.
    Requests(usize),
    /// When told; a refusal is none, because others fill the queue.
    Told(&'a AtomicBool),
}

/// Lets `clients` ask at the same time, each on a connection that it keeps.
///
/// # Errors
/// No thread can be started.
pub(super) fn load(
    address: SocketAddr,
    questions: &[Question],
    clients: usize,
    until: Until<'_>,
) -> Result<Load> {
    let started = Instant::now();
    let mut total = Load::default();
    thread::scope(|scope| -> Result<()> {
        let running = (0..clients).map(|client| {
            let asking = move || one(address, questions, client * questions.len() / clients, until);
            thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, asking)
        });
        for client in running.collect::<io::Result<Vec<_>>>()? {
            total.add(client.join().map_err(|_| "a client panicked")?);
        }
        Ok(())
    })?;
    total.secs = started.elapsed().as_secs_f64();
    Ok(total)
}

fn one(address: SocketAddr, questions: &[Question], first: usize, until: Until<'_>) -> Load {
    let (started, mut seen, mut asked) = (Instant::now(), Load::default(), 0);
    let mut connection = None;
    for question in questions.iter().cycle().skip(first) {
        let is_over = match until {
            Until::Time(time) => started.elapsed() >= time,
            Until::Requests(count) => asked >= count,
            Until::Told(stop) => stop.load(Ordering::Relaxed),
        };
        if is_over {
            break;
        }
        asked += 1;
        let begun = Instant::now();
        let answer = ask(address, &mut connection, &question.request);
        let took_ms = begun.elapsed().as_secs_f64() * 1e3;
        match answer {
            Ok(answer) if answer.status == 200 => match score(&answer.body) {
                Some(score) if is_close(score, question.score) => seen.latencies_ms.push(took_ms),
                score => seen.fail(format!("expected the score {}, found {score:?}", question.score)),
            },
            Ok(Answer { status: 503, has_retry_after: true, .. }) if matches!(until, Until::Told(_)) => {
                seen.refused += 1;
                thread::sleep(PAUSE);
            }
            Ok(answer) => seen.fail(format!("status {}", answer.status)),
            Err(error) => {
                seen.fail(error.to_string());
                connection = None;
                thread::sleep(PAUSE);
            }
        }
    }
    seen
}

/// Asks on a connection, which is opened where there is none and closed where the answer says so.
///
/// # Errors
/// As for [`Connection::ask`].
pub(super) fn ask(
    address: SocketAddr,
    connection: &mut Option<Connection>,
    request: &[u8],
) -> io::Result<Answer> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(Connection::open(address)?),
    };
    let answer = open.ask(request)?;
    if answer.closes {
        *connection = None;
    }
    Ok(answer)
}

/// Whether a score is another's but for rounding in a batch.
pub(super) fn is_close(score: f64, alone: f64) -> bool {
    (score - alone).abs() <= TOLERANCE * alone.abs().max(1.0)
}

/// The first score in an answer. Searched, not parsed: the clients share the processor with the server.
pub(super) fn score(body: &[u8]) -> Option<f64> {
    const NAME: &[u8] = b"\"score\":";
    let rest = &body[find(body, NAME)? + NAME.len()..];
    let end = rest.iter().position(|byte| matches!(byte, b',' | b'}'))?;
    std::str::from_utf8(&rest[..end]).ok()?.trim().parse().ok()
}

/// Percentile 0 to 100 of some values, by nearest rank; NaN of none.
pub(super) fn percentile_of(values: &[f64], percentile: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percentile / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().map_or(f64::NAN, rounded)
}

/// To two places: no clock is better than that.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for percentile in [1.0, 50.0, 99.0, 100.0] {
            assert_eq!(percentile_of(&values, percentile), percentile);
        }
        assert_eq!(percentile_of(&values, 0.0), 1.0);
        assert_eq!(percentile_of(&[7.0], 99.0), 7.0);
        assert!(percentile_of(&[], 50.0).is_nan());
    }

    #[test]
    fn a_score_is_found_in_an_answer() {
        let body = br#"{"images":[{"name":null,"error":null,"verdict":{"score":-1.25e1,"p_value":1.0}}]}"#;
        assert_eq!(score(body), Some(-12.5));
        assert_eq!(score(br#"{"images":[{"verdict":null}]}"#), None);
        assert!(is_close(100.005, 100.0) && !is_close(100.02, 100.0) && !is_close(f64::NAN, 100.0));
    }
}
