//! Clients of a soak: those that ask on every route, and those that are slow or leave.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::client::{self, Connection, find, get, post};
use super::load::{Load, PAUSE, Question, ask, is_close, score};
use crate::grouped::Result;

/// A request that has to succeed.
pub(super) struct Asked {
    request: Vec<u8>,
    /// The score that the answer begins with, where it holds one.
    score: Option<f64>,
}

/// Images in a form.
const IMAGES: usize = 4;
/// Pieces in which a slow client sends a request, and the time between two.
const PIECES: usize = 20;
const PIECE_PAUSE: Duration = Duration::from_millis(150);

/// Requests to every route that a detector has: single images and forms, scored and explained, the Open Inference Protocol
/// in JSON, in binary and bare, and what can be looked at. What a detector does not offer is not asked.
///
/// # Errors
/// The server cannot be asked.
pub(super) fn mixture(address: SocketAddr, name: &str, questions: &[Question]) -> Result<Vec<Asked>> {
    let (rest, infer) = (format!("/api/v1/detectors/{name}"), format!("/v2/models/{name}/infer"));
    let mut all = Vec::new();
    for (index, question) in questions.iter().enumerate() {
        let body = body_of(&question.request);
        let several = questions.iter().cycle().skip(index).take(IMAGES);
        all.push(Asked { request: question.request.clone(), score: Some(question.score) });
        all.push(Asked {
            request: post(address, &format!("{rest}/explain"), "", body),
            score: Some(question.score),
        });
        all.push(Asked {
            request: form(address, &format!("{rest}/score"), several),
            score: Some(question.score),
        });
        let input = json!({ "inputs": [{ "name": "image", "shape": [1], "datatype": "BYTES", "data": [STANDARD.encode(body)] }] });
        let kind = "Content-Type: application/json\r\n";
        all.push(Asked { request: post(address, &infer, kind, input.to_string().as_bytes()), score: None });
        all.push(Asked { request: binary(address, &infer, body), score: None });
        let kind = "Content-Type: application/octet-stream\r\nInference-Header-Content-Length: 0\r\n";
        all.push(Asked { request: post(address, &infer, kind, body), score: None });
    }
    let kind = "Content-Type: application/json\r\n";
    let threshold = json!({ "criterion": { "kind": "fixed", "threshold": 1.0 } }).to_string();
    let decode = json!({ "prior": { "seed": 1, "count": 4 } }).to_string();
    let looks = [
        get(address, "/"),
        get(address, "/metrics"),
        get(address, "/v2/health/ready"),
        get(address, "/api/v1/detectors"),
        get(address, &rest),
        get(address, &format!("{rest}/latent")),
        get(address, &format!("/v2/models/{name}/stats")),
        post(address, &format!("{rest}/threshold"), kind, threshold.as_bytes()),
        post(address, &format!("{rest}/decode"), kind, decode.as_bytes()),
    ];
    for request in looks {
        if client::ask(address, &request)?.status == 200 {
            all.push(Asked { request, score: None });
        }
    }
    Ok(all)
}

fn body_of(request: &[u8]) -> &[u8] {
    &request[find(request, b"\r\n\r\n").map_or(0, |end| end + 4)..]
}

/// A form of the images of some questions.
pub(super) fn form<'a>(
    address: SocketAddr,
    path: &str,
    questions: impl Iterator<Item = &'a Question>,
) -> Vec<u8> {
    let mut body = Vec::new();
    for question in questions {
        body.extend(b"--edge\r\nContent-Disposition: form-data; name=\"image\"; filename=\"image\"\r\n\r\n");
        body.extend(body_of(&question.request));
        body.extend(b"\r\n");
    }
    body.extend(b"--edge--\r\n");
    post(address, path, "Content-Type: multipart/form-data; boundary=edge\r\n", &body)
}

/// An image as binary data behind its JSON.
fn binary(address: SocketAddr, path: &str, image: &[u8]) -> Vec<u8> {
    let size = image.len() + size_of::<u32>();
    let head = json!({
        "inputs": [{ "name": "image", "shape": [1], "datatype": "BYTES", "parameters": { "binary_data_size": size } }],
        "parameters": { "binary_data_output": true },
    })
    .to_string();
    let body = [head.as_bytes(), &(image.len() as u32).to_le_bytes(), image].concat();
    post(address, path, &format!("Inference-Header-Content-Length: {}\r\n", head.len()), &body)
}

/// Asks one after the other, from `first` on, until told to stop.
pub(super) fn ask_mixture(address: SocketAddr, all: &[Asked], first: usize, stop: &AtomicBool) -> Load {
    let (mut seen, mut connection) = (Load::default(), None);
    for asked in all.iter().cycle().skip(first) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let begun = Instant::now();
        let answer = ask(address, &mut connection, &asked.request);
        let took_ms = begun.elapsed().as_secs_f64() * 1e3;
        match answer {
            Ok(answer) if answer.status == 200 => {
                match (asked.score, asked.score.and_then(|_| score(&answer.body))) {
                    (None, _) => seen.latencies_ms.push(took_ms),
                    (Some(expected), Some(found)) if is_close(found, expected) => {
                        seen.latencies_ms.push(took_ms)
                    }
                    (Some(expected), found) => {
                        seen.fail(format!("expected the score {expected}, found {found:?}"))
                    }
                }
            }
            Ok(answer) => {
                seen.fail(format!("status {}: {}", answer.status, String::from_utf8_lossy(&answer.body)))
            }
            Err(error) => {
                seen.fail(error.to_string());
                connection = None;
                thread::sleep(PAUSE);
            }
        }
    }
    seen
}

/// Sends requests in pieces, slowly, and expects their answers none the less. What is under way when told to stop is dropped.
pub(super) fn slowly(address: SocketAddr, questions: &[Question], stop: &AtomicBool) -> Load {
    let mut seen = Load::default();
    'next: for question in questions.iter().cycle() {
        let Ok(mut connection) = Connection::open(address) else {
            seen.fail("a slow client cannot connect".to_owned());
            break;
        };
        for piece in question.request.chunks(question.request.len().div_ceil(PIECES)) {
            if stop.load(Ordering::Relaxed) {
                break 'next;
            }
            if connection.stream().write_all(piece).is_err() {
                seen.fail("a slow client was cut off".to_owned());
                continue 'next;
            }
            thread::sleep(PIECE_PAUSE);
        }
        match connection.answer() {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => seen.fail(format!("a slow client: status {}", answer.status)),
            Err(error) => seen.fail(format!("a slow client: {error}")),
        }
    }
    seen
}

/// Leaves inside the head, inside the body or before the answer, again and again until told to stop; how often.
pub(super) fn vanish(address: SocketAddr, questions: &[Question], stop: &AtomicBool) -> usize {
    let mut left = 0;
    for question in questions.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let sent = question.request.len() * (left % 11) / 10;
        let sent = sent.min(question.request.len());
        let gone =
            TcpStream::connect(address).and_then(|mut stream| stream.write_all(&question.request[..sent]));
        left += usize::from(gone.is_ok());
        thread::sleep(PAUSE);
    }
    left
}
