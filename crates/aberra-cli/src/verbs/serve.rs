//! `aberra serve`: serves detectors through the web app, REST and the Open Inference Protocol.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aberra::Detector;
use aberra_serve::{
    Batching, EvaluationSource, LogFormat, ServeLimits, ServeOptions, Server, TlsFiles, Webhook, log,
    read_key,
};
use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};

use crate::args::NormalArgs;
use crate::error::{CommandError, CommandResult, ExitStatus};
use crate::output;
use crate::steps::card::name_of;

const EXAMPLES: &str = "\
Examples:
  aberra serve runs/first/detector.aberra --open
  aberra serve runs/first/detector.aberra --data photos/ --normal good \\
      --split runs/first/split.json
  aberra serve left=one.aberra right=two.aberra --address 0.0.0.0:8765 \\
      --api-key-file key --tls-certificate cert.pem --tls-key key.pem
  curl --data-binary @scan.png \\
      http://127.0.0.1:8765/api/v1/detectors/first/score

Besides the web app there are a REST API (/api/v1, described by /api/v1/openapi.json), the Open Inference Protocol \
(/v2, and gRPC on the same port) and Prometheus metrics (/metrics). On Ctrl-C or SIGTERM the server shuts down \
gracefully: requests in flight are finished first.";

/// Serves detectors over HTTP and gRPC, with a web app.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// Detector files; NAME=FILE serves one under a name of its own, of any script [default: the file's name, or that
    /// of its folder if the file is called detector.aberra; demo for that of a demo].
    #[arg(value_name = "[NAME=]DETECTOR", required = true, value_parser = clap::builder::OsStringValueParser::new().map(NamedFile::of))]
    detectors: Vec<NamedFile>,
    /// Evaluate the detectors on this folder (one subfolder per class) or manifest, for the place Evaluate.
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
    #[command(flatten)]
    normal: NormalArgs,
    /// Split of the data (split.json), of which only the test part is evaluated. Not with --evaluation, which has settled
    /// what is shown.
    #[arg(long, value_name = "FILE.json", requires = "data", conflicts_with = "evaluation")]
    split: Option<PathBuf>,
    /// Saved evaluation of the detector on the data (evaluation.json), used instead of a new one; it is of the split that
    /// `aberra evaluate --split` was given.
    #[arg(long, value_name = "FILE.json", requires = "data")]
    evaluation: Option<PathBuf>,
    /// Run folder with the detector's training history [default: the detector's folder].
    #[arg(long, value_name = "DIR", requires = "data")]
    run: Option<PathBuf>,
    /// Address to listen on; port 0 selects any free port. Addresses other than loopback require --api-key-file.
    #[arg(long, value_name = "IP:PORT", default_value_t = ServeOptions::default().address)]
    address: SocketAddr,
    /// Open the web app in the browser.
    #[arg(long)]
    open: bool,
    /// File with the API key that requests must carry, on one line.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Certificate chain (PEM) for HTTPS.
    #[arg(long, value_name = "FILE.pem", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Private key of the certificate (PEM).
    #[arg(long, value_name = "FILE.pem", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Host name, besides localhost and IP addresses, by which clients address this server; repeatable.
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Where verdicts are sent that requests announce (`score?announce=NAME`, and the kiosk), each as a POST of its JSON; what does
    /// not arrive is sent again.
    #[arg(long, value_name = "http://HOST[:PORT][/PATH]", value_parser = Webhook::at)]
    webhook: Option<Webhook>,
    /// File with the key that the webhook is sent as `Authorization: Bearer KEY`, on one line.
    #[arg(long, value_name = "FILE", requires = "webhook")]
    webhook_key_file: Option<PathBuf>,
    /// Format of the log on standard error.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log: LogChoice,
    #[command(flatten)]
    limits: LimitArgs,
}

/// A detector file and the name under which it is served.
#[derive(Clone, Debug)]
struct NamedFile {
    name: String,
    path: PathBuf,
}

impl NamedFile {
    /// `NAME=FILE`, or a file alone: an argument that is a file is one, whatever its name.
    fn of(argument: OsString) -> Self {
        let whole = PathBuf::from(&argument);
        let split = argument.to_str().and_then(|text| text.split_once('=')).filter(|_| !whole.exists());
        match split {
            Some((name, file)) => Self { name: name.to_owned(), path: file.into() },
            None => Self { name: name_of(&whole), path: whole },
        }
    }
}

/// Limits on requests (backpressure), and dynamic batching.
#[derive(Args)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Maximum size of a request body in bytes, both as sent and after decompression.
    #[arg(long, value_name = "N", default_value_t = ServeLimits::default().body_bytes)]
    max_body_bytes: usize,
    /// Maximum number of pixels of an image (height x width).
    #[arg(long, value_name = "N", default_value_t = ServeLimits::default().pixels)]
    max_pixels: u64,
    /// Maximum number of images per request.
    #[arg(long, value_name = "N", default_value_t = ServeLimits::default().images, value_parser = at_least_one)]
    max_images: usize,
    /// Maximum number of images in the server at a time; requests beyond are rejected with status 503.
    #[arg(long, value_name = "N", default_value_t = ServeLimits::default().queue, value_parser = at_least_one)]
    queue: usize,
    /// Maximum number of concurrent connections; further ones are closed at once.
    #[arg(long, value_name = "N", default_value_t = ServeLimits::default().connections, value_parser = at_least_one)]
    connections: usize,
    /// Maximum batch size (dynamic batching); with 1, scores are bit-identical to those of `aberra score`.
    #[arg(long, value_name = "N", default_value_t = Batching::default().most, value_parser = at_least_one)]
    batch: usize,
    /// Maximum time that a batch waits for images that are being decoded, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = Batching::default().delay.as_millis() as u64)]
    batch_delay: u64,
    /// Time that requests in flight have to finish during graceful shutdown, in seconds.
    #[arg(long, value_name = "SECS", default_value_t = ServeLimits::default().drain_time.as_secs())]
    drain: u64,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogChoice {
    /// Human-readable text.
    Text,
    /// One JSON object per line.
    Json,
    /// No log.
    Off,
}

pub(crate) fn run(args: &ServeArgs) -> CommandResult {
    if args.evaluation.is_some() && args.detectors.len() > 1 {
        return Err(CommandError::new("expected one detector with --evaluation, found several").with_hint(
            "an evaluation belongs to one detector; leave out --evaluation to evaluate all of them",
        ));
    }
    match args.log {
        LogChoice::Text => log(LogFormat::Text),
        LogChoice::Json => log(LogFormat::Json),
        LogChoice::Off => {}
    }
    let load = |file: &NamedFile| Ok((file.name.clone(), Detector::load(&file.path)?));
    let detectors = args.detectors.iter().map(load).collect::<Result<Vec<_>, CommandError>>()?;
    let server = Server::new(detectors, options(args)?)?;
    if let Some(data) = &args.data {
        // Report a missing folder now, not in the web app.
        crate::data::list(data, &args.normal)?;
        server.evaluate(evaluation_data(args, data))?;
    }
    let server = server.listen()?;
    let scheme = if args.tls_certificate.is_some() { "https" } else { "http" };
    let address = format!("{scheme}://{}", server.address()?);
    output::data(&format!("listening on {address}"))?;
    for NamedFile { name, path } in &args.detectors {
        output::data(&format!("{name} = {}", path.display()))?;
    }
    if args.open
        && let Err(error) = open::that_detached(&address)
    {
        output::warning(&format!("cannot open the browser: {error}; open {address} yourself"));
    }
    server.run()?;
    Ok(ExitStatus::Done)
}

fn options(args: &ServeArgs) -> Result<ServeOptions, CommandError> {
    let LimitArgs { max_body_bytes, max_pixels, max_images, queue, connections, batch, batch_delay, drain } =
        args.limits;
    let held_bytes = ServeLimits::default().held_bytes.max(2 * max_body_bytes);
    let tls = args.tls_certificate.clone().zip(args.tls_key.clone());
    let key = args.webhook_key_file.as_deref().map(read_key).transpose()?;
    let webhook = args.webhook.clone().map(|webhook| webhook.with_key(key));
    Ok(ServeOptions {
        address: args.address,
        api_key: args.api_key_file.as_deref().map(read_key).transpose()?,
        tls: tls.map(|(certificates, key)| TlsFiles { certificates, key }),
        hosts: args.allow_host.clone(),
        limits: ServeLimits {
            body_bytes: max_body_bytes,
            held_bytes,
            pixels: max_pixels,
            images: max_images.min(queue),
            queue,
            connections,
            drain_time: Duration::from_secs(drain),
            ..ServeLimits::default()
        },
        batching: Batching { most: batch, delay: Duration::from_millis(batch_delay) },
        webhook,
    })
}

fn evaluation_data(args: &ServeArgs, data: &Path) -> EvaluationSource {
    let beside = |path: &PathBuf| path.parent().unwrap_or(Path::new("")).join(".");
    EvaluationSource {
        data: data.to_owned(),
        normal: args.normal.normal.clone(),
        pages: args.normal.pages,
        volumes: args.normal.volumes,
        cases: args.normal.cases,
        split: args.split.clone(),
        evaluation: args.evaluation.clone(),
        runs: args
            .detectors
            .iter()
            .map(|file| args.run.clone().unwrap_or_else(|| beside(&file.path)))
            .collect(),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number of at least 1".to_owned()),
        Ok(count) => Ok(count),
    }
}
