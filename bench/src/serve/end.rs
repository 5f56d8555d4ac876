//! Graceful shutdown under load: the server receives SIGTERM while clients send requests, and has to finish those in
//! flight.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{self, Connection};
use super::load::{Question, rounded};
use super::mixture::form;
use super::program::Program;
use crate::grouped::Result;

/// Clients at the time.
const CLIENTS: usize = 16;
/// Images in each request of every second client, so that requests are under way for a while.
const IMAGES: usize = 16;
/// Of load before the end.
const BEFORE: Duration = Duration::from_secs(1);
/// A request that was sent in this time before the signal may not have been read by then.
const RACE: Duration = Duration::from_millis(50);
/// The longest that an end may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of the end.
pub(super) struct End {
    pub(super) json: Value,
    pub(super) words: String,
    pub(super) broken: Vec<String>,
}

/// A request: when it was sent, when its answer was there, and the status or what went wrong.
type Told = (Instant, Instant, Result<u16, String>);

/// Asks the server to end while clients ask.
///
/// # Errors
/// The server is gone before.
pub(super) fn end(program: &mut Program, questions: &[Question], path: &str) -> Result<End> {
    let address = program.address;
    let form = form(address, path, questions.iter().cycle().take(IMAGES));
    let over = AtomicBool::new(false);
    let mut broken = Vec::new();
    let ready = client::get(address, "/v2/health/ready");
    let is_ready = || client::ask(address, &ready).is_ok_and(|answer| answer.status == 200);
    let (at, ready_off, status, told) = thread::scope(|scope| -> Result<_> {
        let over = &over;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let request =
                    if client % 2 == 0 { &form } else { &questions[client % questions.len()].request };
                scope.spawn(move || asking(address, request, over))
            })
            .collect();
        thread::sleep(BEFORE);
        if !is_ready() {
            broken.push("/v2/health/ready did not answer 200 before the end".to_owned());
        }
        over.store(true, Ordering::Relaxed);
        let at = Instant::now();
        program.terminate()?;
        let ready_off = thread::spawn({
            let ready = ready.clone();
            move || {
                loop {
                    let status = client::ask(address, &ready).ok().map(|answer| answer.status);
                    if status != Some(200) {
                        return (at.elapsed(), status);
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let status = program.wait(PATIENCE)?;
        let secs = at.elapsed();
        let mut told = Vec::new();
        for client in clients {
            told.extend(client.join().map_err(|_| "a client panicked")?);
        }
        let ready_off = ready_off.join().map_err(|_| "the probe panicked")?;
        Ok((at, ready_off, status.map(|status| (status, secs)), told))
    })?;
    let running: Vec<&Told> = told.iter().filter(|(sent, done, _)| *sent + RACE < at && *done > at).collect();
    let lost = running.iter().filter(|(_, _, result)| !matches!(result, Ok(200))).count();
    for (_, _, result) in running.iter().filter(|(_, _, result)| !matches!(result, Ok(200))).take(3) {
        broken.push(format!("a running request came to {result:?}"));
    }
    let late = told.iter().filter(|(sent, _, _)| *sent + RACE >= at).count();
    match &status {
        None => broken.push(format!("it did not end within {} s", PATIENCE.as_secs())),
        Some((status, _)) if status.code() != Some(0) => broken.push(format!("it ended with {status}")),
        Some(_) => {}
    }
    let secs = status.map_or(f64::NAN, |(_, secs)| secs.as_secs_f64());
    let running = running.len();
    let (ready_off, probed) = ready_off;
    let ready_off_ms = ready_off.as_secs_f64() * 1e3;
    if running > 0 && probed != Some(503) {
        broken.push(format!("while requests ran, /v2/health/ready came to {probed:?}, not 503"));
    }
    Ok(End {
        json: json!({
            "secs": rounded(secs), "exit_code": status.and_then(|(status, _)| status.code()), "running": running,
            "lost": lost, "sent_later": late, "ready_off_ms": rounded(ready_off_ms), "ready_status": probed,
        }),
        words: format!(
            "{secs:.2} s, {running} requests running, {lost} lost, not ready after {ready_off_ms:.0} ms"
        ),
        broken,
    })
}

/// Asks again and again until the server is gone.
fn asking(address: SocketAddr, request: &[u8], over: &AtomicBool) -> Vec<Told> {
    let mut told = Vec::new();
    loop {
        let Ok(mut connection) = Connection::open(address) else { return told };
        loop {
            use std::io::Write;
            let written = connection.stream().write_all(request);
            let sent = Instant::now();
            let answer = written.and_then(|()| connection.answer());
            let closes = answer.as_ref().map_or(true, |answer| answer.closes);
            told.push((
                sent,
                Instant::now(),
                answer.map(|answer| answer.status).map_err(|error| error.to_string()),
            ));
            if closes && over.load(Ordering::Relaxed) {
                return told;
            }
            if closes {
                break;
            }
        }
    }
}
