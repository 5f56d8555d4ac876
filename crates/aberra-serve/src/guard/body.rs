//! Middleware that buffers request bodies before handlers see them, with limits on their size (as sent and after
//! decompression), on time, and on the memory of all bodies together.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use futures_util::StreamExt;
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tonic::Status;

use super::ending::closing;
use crate::engine::Engine;
use crate::options::ServeLimits;
use crate::problem::Problem;
use crate::problem::oip::is_grpc;

/// The limits on bodies, and the memory that is left for them.
#[derive(Clone)]
pub(super) struct BodyBudget {
    limits: ServeLimits,
    engine: Engine,
    held: Arc<Semaphore>,
    /// Bodies that may be decompressed at a time: each may become as large as a body may be.
    decompressing: Arc<Semaphore>,
}

/// A buffered body. Dropping it returns its memory to the budget.
struct HeldBody {
    bytes: Bytes,
    _budget: Option<OwnedSemaphorePermit>,
}

impl BodyBudget {
    pub(super) fn new(limits: ServeLimits, engine: Engine) -> Self {
        /// More would only take more memory: it is work for a processor.
        const DECOMPRESSING: usize = 2;
        let held = Arc::new(Semaphore::new(limits.held_bytes));
        Self { limits, engine, held, decompressing: Arc::new(Semaphore::new(DECOMPRESSING)) }
    }

    /// Takes `more` bytes from the memory budget of all bodies.
    fn reserve(&self, held: &mut Option<OwnedSemaphorePermit>, more: usize) -> Result<(), Problem> {
        let more = u32::try_from(more).map_err(|_| self.too_large())?;
        let taken = self.held.clone().try_acquire_many_owned(more).map_err(|_| Problem::busy())?;
        match held {
            Some(held) => held.merge(taken),
            None => *held = Some(taken),
        }
        Ok(())
    }

    fn too_large(&self) -> Problem {
        Problem::too_large(format!(
            "expected a body of at most {} bytes, found a larger one",
            self.limits.body_bytes
        ))
        .with_hint("send fewer or smaller images, or start the server with a larger --max-body-bytes")
    }

    async fn read(&self, mut body: Body) -> Result<HeldBody, Problem> {
        let mut held = None;
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Problem::bad_request("the body ended early"))?;
            let Ok(data) = frame.into_data() else { continue };
            if read.len() + data.len() > self.limits.body_bytes {
                return Err(self.too_large());
            }
            self.reserve(&mut held, data.len())?;
            read.extend_from_slice(&data);
        }
        Ok(HeldBody { bytes: read.freeze(), _budget: held })
    }

    /// Decompresses chunk by chunk, so that a decompression bomb is stopped at the limit.
    fn decompress(&self, sent: &[u8], encoding: Encoding) -> Result<HeldBody, Problem> {
        let mut reader: Box<dyn Read + '_> = match encoding {
            Encoding::Gzip => Box::new(MultiGzDecoder::new(sent)),
            Encoding::Deflate => Box::new(ZlibDecoder::new(sent)),
        };
        let (mut held, mut read, mut chunk) = (None, Vec::new(), vec![0; 64 << 10]);
        loop {
            let count = reader.read(&mut chunk).map_err(|error| {
                Problem::bad_request(format!(
                    "the body cannot be decompressed as Content-Encoding says: {error}"
                ))
            })?;
            if count == 0 {
                return Ok(HeldBody { bytes: read.into(), _budget: held });
            }
            if read.len() + count > self.limits.body_bytes {
                return Err(self.too_large());
            }
            self.reserve(&mut held, count)?;
            read.extend_from_slice(&chunk[..count]);
        }
    }

    /// Reads and decompresses a body within the time limit.
    async fn buffer(&self, body: Body, headers: &HeaderMap) -> Result<HeldBody, Problem> {
        let encoding = Encoding::of(headers)?;
        let sent = timeout(self.limits.body_time, self.read(body)).await.map_err(|_| {
            let seconds = self.limits.body_time.as_secs();
            Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("expected the whole body within {seconds} s, found it incomplete"),
            )
        })??;
        let Some(encoding) = encoding else { return Ok(sent) };
        let bodies = self.clone();
        let permit = self.decompressing.clone().acquire_owned().await;
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            bodies.decompress(&sent.bytes, encoding)
        });
        work.await.map_err(|_| Problem::internal())?
    }
}

/// The memory of messages that a gRPC stream has sent and that are not yet answered. A request extension, released
/// by the handler that answers the messages.
#[derive(Clone, Default)]
pub(crate) struct UnansweredBytes(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl UnansweredBytes {
    /// Returns the memory to the budget: everything that was sent is answered.
    pub(crate) fn release(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl BodyBudget {
    /// Meters a stream: its frames take memory from the budget as they arrive, and the extension [`UnansweredBytes`]
    /// returns it.
    fn metered(&self, request: Request) -> Request {
        let (mut parts, body) = request.into_parts();
        let unanswered = UnansweredBytes::default();
        parts.extensions.insert(unanswered.clone());
        let bodies = self.clone();
        let body = body.into_data_stream().map(move |data| {
            let data = data?;
            let mut held = unanswered.0.lock().unwrap_or_else(PoisonError::into_inner);
            bodies.reserve(&mut held, data.len()).map_err(|problem| Status::unavailable(problem.detail))?;
            Ok::<Bytes, axum::BoxError>(data)
        });
        Request::from_parts(parts, Body::from_stream(body))
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    Gzip,
    Deflate,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
        match value.as_bytes() {
            b"gzip" | b"x-gzip" => Ok(Some(Self::Gzip)),
            b"deflate" => Ok(Some(Self::Deflate)),
            b"identity" | b"" => Ok(None),
            _ => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "expected the Content-Encoding gzip, deflate or none, found another",
            )),
        }
    }
}

/// Buffers the request's body, and limits the time until the response. A gRPC stream has no end to wait for, so only
/// its unanswered messages count towards the memory budget.
pub(super) async fn buffer_bodies(
    State(bodies): State<BodyBudget>,
    request: Request,
    next: Next,
) -> Response {
    let limit = bodies.limits.request_time;
    let is_http1 = request.version() < Version::HTTP_2;
    if is_grpc(request.headers()) && request.uri().path().ends_with("/ModelStreamInfer") {
        return within(limit, next.run(bodies.metered(request))).await;
    }
    let (mut parts, body) = request.into_parts();
    let expected = body.size_hint();
    if expected.lower() > bodies.limits.body_bytes as u64 {
        return closing(bodies.too_large().into_response(), is_http1);
    }
    let held = if expected.exact() == Some(0) {
        Ok(HeldBody { bytes: Bytes::new(), _budget: None })
    } else if bodies.engine.is_full() {
        // Reject before reading the body: there would be no place in the queue for its images.
        Err(Problem::busy())
    } else {
        bodies.buffer(body, &parts.headers).await
    };
    let held = match held {
        Ok(held) => held,
        Err(problem) => return closing(problem.into_response(), is_http1),
    };
    parts.headers.remove(header::CONTENT_ENCODING);
    parts.headers.insert(header::CONTENT_LENGTH, held.bytes.len().into());
    let request = Request::from_parts(parts, Body::from(held.bytes.clone()));
    within(limit, next.run(request)).await
}

async fn within(limit: Duration, answer: impl Future<Output = Response>) -> Response {
    timeout(limit, answer).await.unwrap_or_else(|_| {
        Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            format!("expected a response within {} s, found none", limit.as_secs()),
        )
        .into_response()
    })
}
