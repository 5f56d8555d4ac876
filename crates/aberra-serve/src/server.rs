//! The server: routing, listening, TLS, and graceful shutdown.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

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
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use crate::announce::{Announcements, Outgoing};
use crate::detectors::Detectors;
use crate::engine::Engine;
use crate::evaluation::{self, EvaluationSource};
use crate::guard::{ConnectionLimit, SHORTEST_KEY, guarded};
use crate::metrics::Metrics;
use crate::options::{ServeLimits, ServeOptions, TlsFiles, Webhook};
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

    /// What to do about it, if there is something to suggest.
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

/// A server of detectors that does not listen yet.
pub struct Server {
    options: ServeOptions,
    shared: ServerState,
    /// What the webhook is to be sent.
    outgoing: Option<Receiver<Outgoing>>,
}

/// A server that is bound to its address.
pub struct Listening {
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    limits: ServeLimits,
    shared: ServerState,
    router: Router,
    webhook: Option<(Webhook, Receiver<Outgoing>)>,
}

/// Maximum size of a request's head in bytes.
const HEAD_BYTES: usize = 64 << 10;
/// Maximum number of concurrent streams on an HTTP/2 connection.
const STREAMS: u32 = 128;
/// Interval of HTTP/2 keep-alive pings on an idle connection, and how long their acknowledgement may take.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

impl Server {
    /// Starts the engine. Each detector is served under its name, unchanged.
    ///
    /// # Errors
    /// A name that requests could not use or that two detectors share; the batching thread cannot be started.
    pub fn new(detectors: Vec<(String, Detector)>, options: ServeOptions) -> Result<Self, ServeError> {
        let metrics = Metrics::new();
        let engine = Engine::start(options.limits, options.batching, metrics.clone())
            .map_err(|error| ServeError::new(format!("cannot start a thread: {error}")))?;
        let detectors = Detectors::new(detectors)
            .map_err(|message| ServeError::new(message).with_hint("name each: NAME=FILE"))?;
        let (announcements, outgoing) = Announcements::new(options.webhook.is_some(), metrics.clone());
        let shared = ServerState::new(detectors, engine, options.limits, metrics, announcements);
        Ok(Self { options, shared, outgoing })
    }

    /// Starts evaluating the detectors on `data` in the background.
    ///
    /// # Errors
    /// The evaluation thread cannot be started.
    pub fn evaluate(&self, data: EvaluationSource) -> io::Result<()> {
        evaluation::start(&self.shared, data)
    }

    /// All routes, wrapped in the middleware of the guard.
    pub fn router(&self) -> Router {
        let router = Router::new()
            .merge(assets::router())
            .merge(api::router())
            .merge(oip::http::router())
            .route("/metrics", get(metrics))
            .fallback(any(|| async { Problem::not_found("no such route") }))
            .method_not_allowed_fallback(|| async {
                Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "this route does not support the request's method",
                )
            })
            // The guard limits the size of bodies.
            .layer(DefaultBodyLimit::disable())
            .with_state(self.shared.clone())
            .merge(oip::grpc::router(self.shared.clone()));
        guarded(router, &self.shared, &self.options)
    }

    /// Binds the address and loads the TLS certificate.
    ///
    /// # Errors
    /// The address requires an API key or cannot be bound, or the certificate cannot be used.
    pub fn listen(self) -> Result<Listening, ServeError> {
        let Self { options, shared, .. } = &self;
        if !options.address.ip().is_loopback() && options.api_key.is_none() {
            return Err(ServeError::new(format!(
                "expected an API key for the address {}, which other machines can reach, found none",
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
                .with_hint("give another --address; port 0 selects any free port")
        })?;
        let (limits, shared, router) = (options.limits, shared.clone(), self.router());
        let webhook = self.options.webhook.zip(self.outgoing);
        Ok(Listening { listener, tls, limits, shared, router, webhook })
    }
}

impl Listening {
    /// The address that the server listens on.
    ///
    /// # Errors
    /// The operating system does not report it.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves requests until SIGTERM or Ctrl-C, then shuts down gracefully: in-flight requests have the drain time to
    /// finish; meanwhile probes are answered, the readiness probe with 503, and so is new work. A second signal ends the
    /// server at once.
    ///
    /// # Errors
    /// The runtime cannot be started, or listening fails.
    pub fn run(self) -> io::Result<()> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("serve").build()?;
        let ended = runtime.block_on(self.serve());
        // Blocking work whose request has ended need not be waited for.
        runtime.shutdown_background();
        ended
    }

    async fn serve(self) -> io::Result<()> {
        let Self { listener, tls, limits, shared, router, webhook } = self;
        if let Some((webhook, outgoing)) = webhook {
            tokio::spawn(webhook.deliver(outgoing, shared.metrics.clone()));
        }
        let handle = Handle::new();
        let connections = ConnectionLimit::at_most(connections(limits.connections));
        tokio::spawn(shut_down_on_signal(handle.clone(), shared, limits.drain_time));
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
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
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

/// Metrics in the OpenMetrics format.
async fn metrics(State(shared): State<ServerState>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shared.metrics.text(shared.engine.in_flight()))
}

async fn shut_down_on_signal(handle: Handle<SocketAddr>, shared: ServerState, drain: Duration) {
    if termination_signal().await.is_err() {
        return;
    }
    tracing::info!(seconds = drain.as_secs(), "shutting down: in-flight requests may finish");
    shared.begin_shutdown();
    let (began, mut running) = (Instant::now(), shared.running());
    drop(shared);
    let ended = async {
        // Connections are accepted meanwhile: a probe that cannot connect learns nothing.
        let _ = timeout(drain, running.wait_for(|&running| running == 0)).await;
        // What is left of connections: responses under way, and streams.
        handle.graceful_shutdown(Some(drain.saturating_sub(began.elapsed())));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = ended => {}
        again = termination_signal() => if again.is_ok() { handle.shutdown() },
    }
}

#[cfg(unix)]
async fn termination_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

#[cfg(not(unix))]
async fn termination_signal() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// The number of connections wanted, or as many as the limit on open files allows; the limit is raised if possible.
#[cfg(unix)]
fn connections(wanted: usize) -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    /// Files other than connections.
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

/// Reads an API key from a file of one line.
///
/// # Errors
/// The file cannot be read, or its content is not a valid key. The message never contains the key.
pub fn read_key(path: &Path) -> Result<SecretString, ServeError> {
    let at = |why: &dyn fmt::Display| ServeError::new(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| at(&error))?;
    let key = text.trim_end_matches(['\r', '\n']);
    if key.len() < SHORTEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(at(&format!(
            "expected one line of at least {SHORTEST_KEY} visible ASCII characters without spaces, found something else"
        ))
        .with_hint("generate one: openssl rand -hex 32 > key"));
    }
    Ok(SecretString::from(key))
}
