//! The webhook: a place that receives every announced verdict by a POST of its JSON. What does not arrive is sent again, in the same
//! order, until it does or is refused.

use std::time::Duration;

use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};

use crate::announce::{Announcement, Outgoing};
use crate::metrics::Metrics;
use crate::options::Webhook;

/// Time for an attempt, from looking up the host to the end of the answer.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Pauses between attempts: twice the one before, up to the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(60)];
/// Bytes of an answer that are read.
const ANSWER_BYTES: usize = 64 << 10;

impl Webhook {
    /// Sends what is announced, one after the other, until nothing more can be.
    pub(crate) async fn deliver(self, mut outgoing: Receiver<Outgoing>, metrics: Metrics) {
        while let Some(next) = outgoing.recv().await {
            metrics.record_webhook(self.sent(&next.announcement).await);
        }
    }

    /// Whether an announcement arrived; it is sent until it does, or is refused.
    async fn sent(&self, announcement: &Announcement) -> bool {
        let body = Bytes::from(body(announcement));
        let [mut pause, longest] = PAUSES;
        loop {
            let trouble = match timeout(ATTEMPT, self.attempt(body.clone())).await {
                Ok(Ok(status)) if status.is_success() => return true,
                Ok(Ok(status)) if is_final(status) => {
                    tracing::warn!(
                        status = status.as_u16(),
                        "the webhook refuses a verdict, which is lost to it"
                    );
                    return false;
                }
                Ok(Ok(status)) => format!("it answers {}", status.as_u16()),
                Ok(Err(error)) => error,
                Err(_) => format!("it does not answer within {} s", ATTEMPT.as_secs()),
            };
            tracing::warn!(trouble, again_in_ms = pause.as_millis(), "the webhook cannot be reached");
            sleep(pause).await;
            pause = longest.min(2 * pause);
        }
    }

    /// One attempt: the status of the answer.
    async fn attempt(&self, body: Bytes) -> Result<StatusCode, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let stream =
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| words(&error))?;
        let (mut sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| words(&error))?;
        let connection = tokio::spawn(connection);
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close");
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", key.expose_secret()));
        }
        let request = request.body(Full::new(body)).map_err(|error| words(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| words(&error))?;
        let status = answer.status();
        // Read to its end, so that nobody finds the connection cut; what it says does not matter.
        let _ = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
        connection.abort();
        Ok(status)
    }
}

/// The JSON of an announcement, without its picture.
fn body(announcement: &Announcement) -> Vec<u8> {
    // Serialising to memory can fail only for maps with keys that are not strings; there are none.
    serde_json::to_vec(&Announcement { picture: None, ..announcement.clone() }).unwrap_or_default()
}

/// Whether a status says that the same request will never be accepted here; redirections are not followed.
fn is_final(status: StatusCode) -> bool {
    (status.is_client_error() || status.is_redirection())
        && ![StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_will_never_be_accepted_is_given_up() {
        let codes = [200, 301, 400, 401, 404, 408, 422, 429, 500, 503];
        let given_up: Vec<u16> =
            codes.into_iter().filter(|&code| is_final(StatusCode::from_u16(code).unwrap())).collect();
        assert_eq!(given_up, [301, 400, 401, 404, 422]);
    }
}
