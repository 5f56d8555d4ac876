//! What a server may be told, and its defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// The port where none is given.
pub const PORT: u16 = 8765;

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where to listen. Any other than a loopback address needs an API key.
    pub address: SocketAddr,
    /// What a request has to bring; `None` asks for nothing.
    pub api_key: Option<SecretString>,
    /// Certificate chain and private key; `None` speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Names, beside `localhost` and IP addresses, that a request may address this server by.
    pub hosts: Vec<String>,
    /// What is refused.
    pub limits: ServeLimits,
    /// How concurrent requests are put together.
    pub batching: Batching,
}

/// Files in PEM format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, the server's own first.
    pub certificates: PathBuf,
    /// The private key.
    pub key: PathBuf,
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
        }
    }
}

/// Upper bounds on what clients may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeLimits {
    /// Bytes of one request's body, as sent and after decompression.
    pub body_bytes: usize,
    /// Bytes of all bodies held at a time.
    pub held_bytes: usize,
    /// Rows x columns of an image.
    pub pixels: u64,
    /// Images in one request.
    pub images: usize,
    /// Images in the server at a time, waiting or in work: more are refused with status 503.
    pub queue: usize,
    /// Connections at a time: more wait to be accepted.
    pub connections: usize,
    /// To send a request's head.
    pub head_time: Duration,
    /// To send a request's body.
    pub body_time: Duration,
    /// From a request's head to its answer.
    pub request_time: Duration,
    /// For running requests to finish after the request to terminate.
    pub drain_time: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 20,
            held_bytes: 256 << 20,
            pixels: 32 << 20,
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

/// How images of concurrent requests are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Images that the model looks at together, at most. 1 turns batching off: scores are then those of the other doors
    /// bit for bit.
    pub most: usize,
    /// How long an image waits for others that have arrived and are being decoded.
    pub delay: Duration,
}

impl Default for Batching {
    fn default() -> Self {
        Self { most: 16, delay: Duration::from_millis(2) }
    }
}
