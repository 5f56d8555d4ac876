//! The server: what listens, what is routed where, and how it ends.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use aberra::Detector;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use secrecy::SecretString;

use crate::detectors::Detectors;
use crate::engine::Engine;
use crate::evaluation::{self, EvaluationSource};
use crate::guard::{ConnectionLimit, SHORTEST_KEY, guarded};
use crate::metrics::Metrics;
use crate::options::{ServeLimits, ServeOptions, TlsFiles};
use crate::problem::Problem;
use crate::state::ServerState;
use crate::{api, assets, oip};

/// Why a server cannot start.
#[derive(Debug)]
pub struct ServeError {
    message: String,
    hint: Option<String>,
}

impl ServeError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// What to do.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ServeError {}

/// Detectors and everything that answers for them.
pub struct Server {
    options: ServeOptions,
    shared: ServerState,
}

/// A server that listens.
pub struct Listening {
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    limits: ServeLimits,
    shared: ServerState,
    router: Router,
}

/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;
/// Streams at a time on one connection of HTTP/2.
const STREAMS: u32 = 128;
/// A silent connection of HTTP/2 is asked for a sign of life after this time, and closed after as much again.
const ALIVE: Duration = Duration::from_secs(20);

impl Server {
    /// Gets everything ready. `detectors` have the names that they would like to be called by.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(detectors: Vec<(String, Detector)>, options: ServeOptions) -> Result<Self, ServeError> {
        let metrics = Metrics::new();
        let engine = Engine::start(options.limits, options.batching, metrics.clone())
            .map_err(|error| ServeError::new(format!("cannot start a thread: {error}")))?;
        let shared = ServerState::new(Detectors::new(detectors), engine, options.limits, metrics);
        Ok(Self { options, shared })
    }

    /// Starts to evaluate the detectors on data, while requests are answered.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn evaluate(&self, data: EvaluationSource) -> io::Result<()> {
        evaluation::start(&self.shared, data)
    }

    /// Everything that is answered, behind its guard: what a listener hands requests to.
    pub fn router(&self) -> Router {
        let router = Router::new()
            .merge(assets::router())
            .merge(api::router())
            .merge(oip::http::router())
            .route("/metrics", get(metrics))
            .fallback(any(|| async { Problem::not_found("there is nothing here") }))
            .method_not_allowed_fallback(|| async {
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this address answers other methods")
            })
            // The guard bounds bodies.
            .layer(DefaultBodyLimit::disable())
            .with_state(self.shared.clone())
            .merge(oip::grpc::router(self.shared.clone()));
        guarded(router, &self.shared, &self.options)
    }

    /// Binds the address.
    ///
    /// # Errors
    /// An address that needs an API key, or that cannot be bound; certificates that cannot be used.
    pub fn listen(self) -> Result<Listening, ServeError> {
        let Self { options, shared } = &self;
        if !options.address.ip().is_loopback() && options.api_key.is_none() {
            return Err(ServeError::new(format!(
                "expected an API key for the address {}, which others can reach, found none",
                options.address
            ))
            .with_hint("give --api-key-file FILE, or listen on 127.0.0.1"));
        }
        let tls = options.tls.as_ref().map(read_tls).transpose()?;
        let listener = TcpListener::bind(options.address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = listener.map_err(|error| {
            ServeError::new(format!("cannot listen on {}: {error}", options.address))
                .with_hint("give another --address; port 0 takes any that is free")
        })?;
        Ok(Listening { listener, tls, limits: options.limits, shared: shared.clone(), router: self.router() })
    }
}

impl Listening {
    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until the process is asked to end (SIGTERM, Ctrl-C): then readiness is off, no connection is
    /// accepted, and running requests have the drain time to finish. A second signal ends at once.
    ///
    /// # Errors
    /// The runtime cannot be started, or listening fails.
    pub fn run(self) -> io::Result<()> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("serve").build()?;
        let ended = runtime.block_on(self.answer());
        // Work for requests that are no longer there need not be waited for.
        runtime.shutdown_background();
        ended
    }

    async fn answer(self) -> io::Result<()> {
        let Self { listener, tls, limits, shared, router } = self;
        let handle = Handle::new();
        let connections = ConnectionLimit::at_most(connections(limits.connections));
        tokio::spawn(end_on_signal(handle.clone(), shared, limits.drain_time));
        let service = router.into_make_service();
        let mut server =
            axum_server::from_tcp(listener)?.handle(handle).first_request_timeout(limits.head_time);
        let builder = server.http_builder();
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_buf_size(HEAD_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(ALIVE)
            .keep_alive_timeout(ALIVE)
            .max_header_list_size(HEAD_BYTES as u32)
            .max_concurrent_streams(STREAMS);
        match tls {
            None => server.acceptor(connections).serve(service).await,
            Some(config) => {
                let acceptor = RustlsAcceptor::new(config).handshake_timeout(limits.head_time);
                server.acceptor(acceptor.acceptor(connections)).serve(service).await
            }
        }
    }
}

/// Counts for Prometheus.
async fn metrics(State(shared): State<ServerState>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shared.metrics.text(shared.engine.waiting()))
}

async fn end_on_signal(handle: Handle<SocketAddr>, shared: ServerState, drain: Duration) {
    if asked_to_end().await.is_err() {
        return;
    }
    tracing::info!(seconds = drain.as_secs(), "asked to end: running requests may finish");
    shared.set_unready();
    drop(shared);
    handle.graceful_shutdown(Some(drain));
    if asked_to_end().await.is_ok() {
        handle.shutdown();
    }
}

#[cfg(unix)]
async fn asked_to_end() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

#[cfg(not(unix))]
async fn asked_to_end() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// As many connections as wanted, or as the system lets this process have.
#[cfg(unix)]
fn connections(wanted: usize) -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    /// For everything but connections.
    const OTHERS: u64 = 64;
    let mut files = getrlimit(Resource::Nofile);
    let needed = wanted as u64 + OTHERS;
    if files.current.is_some_and(|current| current < needed) {
        let raised = rustix::process::Rlimit {
            current: Some(files.maximum.map_or(needed, |most| most.min(needed))),
            maximum: files.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            files = raised;
        }
    }
    let room = files.current.map_or(usize::MAX, |files| files.saturating_sub(OTHERS) as usize);
    wanted.min(room).max(1)
}

#[cfg(not(unix))]
fn connections(wanted: usize) -> usize {
    wanted
}

fn read_tls(files: &TlsFiles) -> Result<RustlsConfig, ServeError> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let unusable = |path: &Path, why: &dyn fmt::Display| {
        ServeError::new(format!("{}: {why}", path.display()))
            .with_hint("expected files in PEM format, as certbot writes them")
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(&files.certificates, &error))?;
    if certificates.is_empty() {
        return Err(unusable(&files.certificates, &"expected a certificate, found none"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, &error))?;
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ServeError::new(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| unusable(&files.certificates, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(std::sync::Arc::new(config)))
}

/// Reads an API key: a file of one line.
///
/// # Errors
/// The file cannot be read, or what it holds cannot be a key. The message never holds it.
pub fn read_key(path: &Path) -> Result<SecretString, ServeError> {
    let at = |why: &dyn fmt::Display| ServeError::new(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| at(&error))?;
    let key = text.trim_end_matches(['\r', '\n']);
    if key.len() < SHORTEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(at(&format!(
            "expected one line of at least {SHORTEST_KEY} visible ASCII characters without spaces, found something else"
        ))
        .with_hint("make one: openssl rand -hex 32 > key"));
    }
    Ok(SecretString::from(key))
}
