//! Options of the server and their defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use axum::http::uri::Scheme;
use secrecy::SecretString;

/// The default port.
pub const PORT: u16 = 8765;

/// Options of a [`Server`](crate::Server).
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The address to listen on. Any address other than loopback requires an API key.
    pub address: SocketAddr,
    /// The API key that requests must carry; `None` disables authentication.
    pub api_key: Option<SecretString>,
    /// Certificate chain and private key for TLS; `None` serves plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Host names, besides `localhost` and IP addresses, that are accepted in `Host`.
    pub hosts: Vec<String>,
    /// Upper bounds on requests.
    pub limits: ServeLimits,
    /// Dynamic batching.
    pub batching: Batching,
    /// Where verdicts are sent that requests announce.
    pub webhook: Option<Webhook>,
}

/// Certificate and key files in PEM format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, starting with the server's own certificate.
    pub certificates: PathBuf,
    /// The private key of the server's certificate.
    pub key: PathBuf,
}

/// Where announced verdicts are sent.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) uri: Uri,
    /// Sent as `Authorization: Bearer KEY`.
    pub(crate) key: Option<SecretString>,
}

impl Webhook {
    /// A webhook at this address, `http://HOST[:PORT][/PATH]`.
    ///
    /// # Errors
    /// An address of another form, in words.
    pub fn at(address: &str) -> Result<Self, String> {
        let wrong = |found: &str| format!("expected http://HOST[:PORT][/PATH], found {found}");
        let uri: Uri = address.parse().map_err(|_| wrong(&format!("{address:?}")))?;
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => {}
            Some(scheme) if *scheme == Scheme::HTTPS => {
                return Err(wrong("https; give the address of a proxy that passes it on"));
            }
            _ => return Err(wrong(&format!("{address:?}"))),
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("a name or password in it; give a key of its own"));
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(wrong(&format!("{address:?}")));
        }
        Ok(Self { host, port: uri.port_u16().unwrap_or(80), uri, key: None })
    }

    /// The same with a key, or none.
    #[must_use]
    pub fn with_key(self, key: Option<SecretString>) -> Self {
        Self { key, ..self }
    }
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            api_key: None,
            tls: None,
            hosts: Vec::new(),
            limits: ServeLimits::default(),
            batching: Batching::default(),
            webhook: None,
        }
    }
}

/// Upper bounds on requests and connections. Requests beyond them are rejected (backpressure) rather than queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeLimits {
    /// Bytes of a request body, both as sent and after decompression.
    pub body_bytes: usize,
    /// Bytes of all request bodies held at a time; and of the volumes of a request, once they are inflated.
    pub held_bytes: usize,
    /// Pixels of an image (height x width).
    pub pixels: u64,
    /// Images per request.
    pub images: usize,
    /// Images in the server at a time, queued or being processed; requests beyond get status 503.
    pub queue: usize,
    /// Concurrent connections; further ones are closed at once.
    pub connections: usize,
    /// Timeout for receiving a request's head.
    pub head_time: Duration,
    /// Timeout for receiving a request's body.
    pub body_time: Duration,
    /// Timeout from a request's head to its response.
    pub request_time: Duration,
    /// Time that in-flight requests have to finish during graceful shutdown.
    pub drain_time: Duration,
}

/// Slices, and files, of a request of volumes.
pub(crate) const MOST_SLICES: usize = 1024;

/// Memory for decoding an image, as bytes for each pixel that it may have: enough for all but rare kinds of TIFF and WebP, of
/// which fewer pixels are read.
pub(crate) const DECODING_BYTES_PER_PIXEL: u64 = 15;

impl ServeLimits {
    /// Bytes that decoding an image may take; small images of every kind are read.
    pub(crate) fn decoding_bytes(&self) -> u64 {
        const AT_LEAST: u64 = 64 << 20;
        self.pixels.saturating_mul(DECODING_BYTES_PER_PIXEL).max(AT_LEAST)
    }
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 20,
            held_bytes: 256 << 20,
            pixels: 40_000_000,
            images: 64,
            queue: 256,
            connections: 2048,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            request_time: Duration::from_secs(60),
            drain_time: Duration::from_secs(25),
        }
    }
}

/// Dynamic batching: images of concurrent requests are scored together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Maximum batch size. 1 disables batching: scores are then bit-identical to those of the library and the command
    /// line.
    pub most: usize,
    /// Maximum time that an image waits for others that have arrived and are still being decoded.
    pub delay: Duration,
}

impl Default for Batching {
    fn default() -> Self {
        Self { most: 16, delay: Duration::from_millis(2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_another_form_are_refused_in_words() {
        let webhook = Webhook::at("http://[::1]:9000/verdicts?line=3").unwrap();
        assert_eq!((webhook.host.as_str(), webhook.port), ("::1", 9000));
        assert_eq!(Webhook::at("http://plant.example").unwrap().port, 80);
        for (address, found) in [
            ("plant.example:80/verdicts", "found \"plant"),
            ("ftp://plant.example", "found \"ftp"),
            ("https://plant.example", "found https"),
            ("http://me:secret@plant.example", "a name or password"),
            ("http:///verdicts", "found \"http"),
            ("", "found \"\""),
        ] {
            let refused = Webhook::at(address).unwrap_err();
            assert!(
                refused.contains("expected http://HOST") && refused.contains(found),
                "{address}: {refused}"
            );
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
