//! Attacks: clients that vanish, hostile requests, slow sockets, more requests than the queue holds. Two clients that
//! behave are served meanwhile, and what they see is part of each result.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use super::client::{Answer, Connection, PATIENCE, parse};
use super::hostile::{Allowed, Hostile};
use super::load::{Load, Question, Until, load, percentile_of, rounded};
use crate::grouped::Result;

/// Clients that behave while others do not.
const BEHAVED: usize = 2;
/// Threads of those who do not.
const ATTACKERS: usize = 16;
/// Connections of this process beside those of an attack.
const OTHERS: u64 = 256;
/// Maximum number of unexpected results that are described.
const TOLD: usize = 20;

/// What came of an attack.
pub(super) struct Outcome {
    /// For the record.
    pub(super) json: Value,
    /// For people: what happened.
    pub(super) words: String,
    /// What must not happen and did.
    pub(super) broken: Vec<String>,
    /// What the clients that behave saw.
    pub(super) behaved: Load,
}

/// Allows this process the sockets of an attack; how many it may have of those `wanted`.
pub(super) fn sockets(wanted: usize) -> usize {
    let mut files = getrlimit(Resource::Nofile);
    let needed = wanted as u64 + OTHERS;
    if files.current.is_some_and(|current| current < needed) {
        let current = files.maximum.map_or(needed, |most| most.min(needed));
        let raised = Rlimit { current: Some(current), maximum: files.maximum };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            files = raised;
        }
    }
    files.current.map_or(wanted, |current| wanted.min(current.saturating_sub(OTHERS) as usize))
}

/// Attacks while others are served.
fn beside<T>(
    address: SocketAddr,
    questions: &[Question],
    attack: impl FnOnce() -> Result<T>,
) -> Result<(T, Load)> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let behaved = scope.spawn(|| {
            load(address, questions, BEHAVED, Until::Told(&stop)).map_err(|error| error.to_string())
        });
        let done = attack();
        stop.store(true, Ordering::Relaxed);
        let behaved = behaved.join().map_err(|_| "the clients that behave panicked")??;
        Ok((done?, behaved))
    })
}

/// Gives the numbers below `count` to several threads.
fn each(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..ATTACKERS.min(count) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    work(index);
                }
            });
        }
    });
}

/// `count` clients leave after the head or inside the body, and a fifth more before the answer.
///
/// # Errors
/// The clients that behave cannot be started.
pub(super) fn vanish(address: SocketAddr, questions: &[Question], count: usize) -> Result<Outcome> {
    let (clients, unsent) = (count + count / 5, AtomicUsize::new(0));
    let attack = || {
        let started = Instant::now();
        each(clients, |client| {
            let request = &questions[client % questions.len()].request;
            let body = super::client::find(request, b"\r\n\r\n").map_or(0, |end| end + 4);
            let sent = match client {
                client if client >= count => request.len(),
                client if client % 2 == 0 => body,
                client => body + (request.len() - body) * (client % 97 + 1) / 100,
            };
            let done = TcpStream::connect(address).and_then(|mut stream| stream.write_all(&request[..sent]));
            if done.is_err() {
                unsent.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(started.elapsed().as_secs_f64())
    };
    let (secs, behaved) = beside(address, questions, attack)?;
    let unsent = unsent.into_inner();
    let broken = if unsent > 0 { vec![format!("{unsent} clients could not connect")] } else { Vec::new() };
    Ok(Outcome {
        json: json!({ "clients": clients, "not_connected": unsent, "secs": rounded(secs), "behaved": behaved.json() }),
        words: format!("{clients} clients left in {secs:.1} s"),
        broken,
        behaved,
    })
}

/// What a server did with a hostile request.
enum Fate {
    Answered(Answer),
    Closed,
    Silent,
}

fn fate(address: SocketAddr, Hostile { bytes, allowed, .. }: &Hostile) -> Fate {
    let Ok(mut connection) = Connection::open(address) else { return Fate::Closed };
    // A server may answer before it has read everything.
    let _ = connection.stream().write_all(bytes);
    // An incomplete request ends here. For a complete one, closing would mean that the client does not wait.
    if *allowed == Allowed::Close {
        let _ = connection.stream().shutdown(Shutdown::Write);
    }
    match connection.answer() {
        Ok(answer) => Fate::Answered(answer),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Fate::Silent,
        Err(_) => Fate::Closed,
    }
}

/// Sends hostile requests. None may fail inside the server, be accepted where it has to be refused, or hang.
///
/// # Errors
/// The clients that behave cannot be started.
pub(super) fn send_hostile(
    address: SocketAddr,
    questions: &[Question],
    requests: &[Hostile],
) -> Result<Outcome> {
    let fates = Mutex::new((BTreeMap::<String, usize>::new(), Vec::new(), (0.0, "")));
    let attack = || {
        each(requests.len(), |index| {
            let Hostile { name, .. } = &requests[index];
            let started = Instant::now();
            let (told, is_allowed) = told(address, &requests[index]);
            let took = started.elapsed().as_secs_f64();
            let Ok(mut fates) = fates.lock() else { return };
            if !is_allowed && fates.1.len() < TOLD {
                fates.1.push(format!("{name}: {told}"));
            }
            if took > fates.2.0 {
                fates.2 = (took, *name);
            }
            *fates.0.entry(told).or_default() += 1;
        });
        Ok(())
    };
    let ((), behaved) = beside(address, questions, attack)?;
    let (fates, mut broken, (slowest, name)) = fates.into_inner().map_err(|_| "an attacker panicked")?;
    broken.sort();
    broken.dedup();
    let words: Vec<String> = fates.iter().map(|(fate, count)| format!("{count} x {fate}")).collect();
    Ok(Outcome {
        json: json!({
            "requests": requests.len(), "fates": fates, "not_allowed": broken, "slowest_s": rounded(slowest),
            "slowest": name, "behaved": behaved.json(),
        }),
        words: format!("{}; slowest {slowest:.1} s ({name})", words.join(", ")),
        broken,
        behaved,
    })
}

/// Sends one hostile request; what must not happen and did.
pub(super) fn send_one(address: SocketAddr, request: &Hostile) -> Option<String> {
    let (told, is_allowed) = told(address, request);
    (!is_allowed).then(|| format!("{}: {told}", request.name))
}

/// What came of a request in words, and whether it may.
fn told(address: SocketAddr, request: &Hostile) -> (String, bool) {
    match fate(address, request) {
        Fate::Answered(answer) => (answer.status.to_string(), is_allowed(&answer, request.allowed)),
        Fate::Closed => ("closed".to_owned(), request.allowed == Allowed::Close),
        Fate::Silent => ("silent".to_owned(), false),
    }
}

fn is_allowed(answer: &Answer, allowed: Allowed) -> bool {
    match answer.status {
        503 => answer.has_retry_after,
        501 | 505 => true,
        status => status < 500 && (status >= 400 || allowed != Allowed::Refusal),
    }
}

/// `count` sockets send a byte a second, half of them a head and half a body, for `time`.
///
/// # Errors
/// The clients that behave cannot be started.
pub(super) fn slow(
    address: SocketAddr,
    questions: &[Question],
    count: usize,
    time: Duration,
    path: &str,
) -> Result<Outcome> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 100000\r\n");
    let allowed = sockets(count);
    let attack = || {
        let mut open = Vec::new();
        for index in 0..allowed {
            let Ok(mut stream) = TcpStream::connect_timeout(&address, PATIENCE) else { continue };
            stream.set_nonblocking(true)?;
            let in_body = index % 2 == 1;
            if in_body && stream.write_all(format!("{head}\r\n").as_bytes()).is_err() {
                continue;
            }
            open.push((stream, in_body, 0));
        }
        let (started, opened, mut closed_s) = (Instant::now(), open.len(), Vec::new());
        while started.elapsed() < time && !open.is_empty() {
            open.retain_mut(|(stream, in_body, sent)| {
                let byte = if *in_body { b"x"[0] } else { head.as_bytes()[*sent % head.len()] };
                *sent += 1;
                // A response is the end, too: the rest is not awaited.
                let still = stream.write_all(&[byte]).is_ok()
                    && matches!(stream.read(&mut [0; 512]), Err(error) if error.kind() == ErrorKind::WouldBlock);
                if !still {
                    closed_s.push(started.elapsed().as_secs_f64());
                }
                still
            });
            thread::sleep(Duration::from_secs(1));
        }
        Ok((opened, open.len(), percentile_of(&closed_s, 50.0), percentile_of(&closed_s, 100.0)))
    };
    let ((opened, left, median_s, last_s), behaved) = beside(address, questions, attack)?;
    let mut broken = Vec::new();
    if opened < allowed {
        broken.push(format!("{} slow sockets were not accepted", allowed - opened));
    }
    let less =
        if allowed < count { format!(" (this system allows no more than {allowed})") } else { String::new() };
    let ended = opened - left;
    Ok(Outcome {
        json: json!({
            "wanted": count, "opened": opened, "ended_by_server": ended, "ended_median_s": median_s, "ended_last_s": last_s,
            "still_open": left, "secs": time.as_secs(), "behaved": behaved.json(),
        }),
        words: match ended {
            0 => format!("{opened} sockets{less}, none ended by the server"),
            _ => format!("{opened} sockets{less}, {ended} ended by the server, the last after {last_s:.0} s"),
        },
        broken,
        behaved,
    })
}

/// One request of a burst.
struct Sent {
    stream: TcpStream,
    at: Option<Instant>,
    unread: Vec<u8>,
    is_done: bool,
}

/// `count` requests at the same moment, each on its own connection. Every answer is a score or a refusal that says when to
/// try again. One thread sends and reads them all: so many threads would measure the system's scheduler.
///
/// # Errors
/// The system has no sockets, or the clients that behave cannot be started.
pub(super) fn burst(address: SocketAddr, questions: &[Question], count: usize) -> Result<Outcome> {
    let count = sockets(count);
    let attack = || {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut sent = Vec::new();
        for _ in 0..count {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&poll, &stream, epoll::EventData::new_u64(sent.len() as u64), epoll::EventFlags::IN)?;
            sent.push(Sent { stream, at: None, unread: Vec::new(), is_done: false });
        }
        let mut seen = Burst::default();
        let (started, mut events) = (Instant::now(), Vec::with_capacity(64));
        let (mut next, mut waiting) = (0, count);
        while waiting > 0 && started.elapsed() < PATIENCE {
            // A few at a time, so that an answer is seen when it comes.
            for _ in 0..8 {
                let Some(one) = sent.get_mut(next) else { break };
                if one.is_done {
                    next += 1;
                    continue;
                }
                let whole = one.stream.write_all(&questions[next % questions.len()].request);
                one.at = Some(Instant::now());
                next += 1;
                if let Err(error) = whole {
                    seen.fail(&poll, one, &mut waiting, error.to_string())?;
                }
            }
            let nanoseconds = if next < count { 0 } else { 100_000_000 };
            let patience = rustix::event::Timespec { tv_sec: 0, tv_nsec: nanoseconds };
            epoll::wait(&poll, spare_capacity(&mut events), Some(&patience))?;
            for event in events.drain(..) {
                let data = event.data;
                if let Some(one) = sent.get_mut(data.u64() as usize) {
                    seen.read(&poll, one, &mut waiting)?;
                }
            }
        }
        seen.silent = waiting;
        Ok((seen, started.elapsed().as_secs_f64()))
    };
    let ((seen, secs), behaved) = beside(address, questions, attack)?;
    let mut broken = seen.told.clone();
    if seen.silent > 0 {
        broken.push(format!("{} requests got no answer", seen.silent));
    }
    let (refused, answered) = (seen.refused_ms.len(), seen.answered_ms.len());
    let refusal_p99 = percentile_of(&seen.refused_ms, 99.0);
    Ok(Outcome {
        json: json!({
            "requests": count, "answered": answered, "refused": refused, "failed": seen.failed, "silent": seen.silent,
            "refusal_p50_ms": percentile_of(&seen.refused_ms, 50.0), "refusal_p99_ms": refusal_p99,
            "answer_p99_ms": percentile_of(&seen.answered_ms, 99.0), "secs": rounded(secs), "behaved": behaved.json(),
        }),
        words: format!(
            "{count} requests at once: {answered} answered, {refused} refused (p50 {:.0} ms, p99 {refusal_p99:.0} ms)",
            percentile_of(&seen.refused_ms, 50.0)
        ),
        broken,
        behaved,
    })
}

/// The outcome of a burst.
#[derive(Default)]
struct Burst {
    answered_ms: Vec<f64>,
    refused_ms: Vec<f64>,
    failed: usize,
    silent: usize,
    told: Vec<String>,
}

impl Burst {
    fn read(&mut self, poll: &impl AsFd, one: &mut Sent, waiting: &mut usize) -> Result<()> {
        let mut chunk = [0; 4096];
        match one.stream.read(&mut chunk) {
            Ok(0) => return self.fail(poll, one, waiting, "closed without an answer".to_owned()),
            Ok(count) => one.unread.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return self.fail(poll, one, waiting, error.to_string()),
        }
        let answer = match parse(&one.unread) {
            Ok(None) => return Ok(()),
            Ok(Some((answer, _))) => answer,
            Err(error) => return self.fail(poll, one, waiting, error.to_string()),
        };
        let took_ms = one.at.map_or(f64::NAN, |at| at.elapsed().as_secs_f64() * 1e3);
        match answer {
            Answer { status: 200, .. } => self.answered_ms.push(took_ms),
            Answer { status: 503, has_retry_after: true, .. } => self.refused_ms.push(took_ms),
            Answer { status, has_retry_after, .. } => {
                return self.fail(
                    poll,
                    one,
                    waiting,
                    format!("status {status}, Retry-After {has_retry_after}"),
                );
            }
        }
        self.done(poll, one, waiting)
    }

    fn fail(&mut self, poll: &impl AsFd, one: &mut Sent, waiting: &mut usize, why: String) -> Result<()> {
        self.failed += 1;
        if self.told.len() < TOLD && !self.told.contains(&why) {
            self.told.push(why);
        }
        self.done(poll, one, waiting)
    }

    fn done(&self, poll: &impl AsFd, one: &mut Sent, waiting: &mut usize) -> Result<()> {
        *waiting -= 1;
        one.is_done = true;
        Ok(epoll::delete(poll, &one.stream)?)
    }
}
