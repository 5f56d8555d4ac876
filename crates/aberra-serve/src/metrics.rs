//! Prometheus metrics of the server.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// All metrics. Cheap to clone; clones share the counters.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_time: Family<RouteLabels, Histogram, fn() -> Histogram>,
    decode_time: Histogram,
    queue_time: Histogram,
    model_time: Histogram,
    batch_size: Histogram,
    in_server: Gauge,
    refused: Counter,
    verdicts: Family<VerdictLabels, Counter>,
    webhook: Family<WebhookLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    detector: String,
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabels {
    outcome: &'static str,
}

/// A histogram of durations from 1 ms to about 33 s.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("aberra");
        let requests = Family::default();
        let request_time: Family<RouteLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(times);
        let [decode_time, queue_time, model_time] = [times(), times(), times()];
        let batch_size = Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
        let (in_server, refused, verdicts) = (Gauge::default(), Counter::default(), Family::default());
        registry.register("requests", "HTTP requests by route and status code", Family::clone(&requests));
        let mut time = |name: &str, help: &str, histogram: &Histogram| {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        };
        time("decode", "Time to decode and preprocess one image", &decode_time);
        time("queue", "Time one preprocessed image waits for the model", &queue_time);
        time("model", "Time to score one batch", &model_time);
        registry.register_with_unit(
            "request",
            "Time from the request head to the response",
            Unit::Seconds,
            request_time.clone(),
        );
        registry.register("batch_images", "Batch sizes of the model", batch_size.clone());
        registry.register("images_in_server", "Images queued or being processed", in_server.clone());
        registry.register("images_refused", "Requests rejected because the queue was full", refused.clone());
        registry.register("verdicts", "Verdicts, by detector", Family::clone(&verdicts));
        let webhook = Family::default();
        registry.register(
            "webhook",
            "Announced verdicts, by whether the webhook has them",
            Family::clone(&webhook),
        );
        Self(Arc::new(Counted {
            registry,
            requests,
            request_time,
            decode_time,
            queue_time,
            model_time,
            batch_size,
            in_server,
            refused,
            verdicts,
            webhook,
        }))
    }

    /// Records a response. `route` is the route's pattern, never text from the client, which bounds the label's values.
    pub(crate) fn record_request(&self, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        self.0.request_time.get_or_create(&RouteLabels { route: route.clone() }).observe(took.as_secs_f64());
        self.0.requests.get_or_create(&RequestLabels { route, status }).inc();
    }

    /// Records that an image was decoded and preprocessed.
    pub(crate) fn record_decoding(&self, took: Duration) {
        self.0.decode_time.observe(took.as_secs_f64());
    }

    /// Records how long an image was queued.
    pub(crate) fn record_waiting(&self, took: Duration) {
        self.0.queue_time.observe(took.as_secs_f64());
    }

    /// Records that the model scored a batch.
    pub(crate) fn record_batch(&self, images: usize, took: Duration) {
        self.0.model_time.observe(took.as_secs_f64());
        self.0.batch_size.observe(images as f64);
    }

    /// Records that a request was rejected because the queue was full.
    pub(crate) fn record_rejection(&self) {
        self.0.refused.inc();
    }

    /// Records a verdict by the detector's own threshold.
    pub(crate) fn record_verdict(&self, detector: &str, anomalous: bool) {
        let verdict = if anomalous { "anomalous" } else { "normal" };
        self.0.verdicts.get_or_create(&VerdictLabels { detector: detector.to_owned(), verdict }).inc();
    }

    /// Records that the webhook accepted an announced verdict, or that the verdict is lost to it.
    pub(crate) fn record_webhook(&self, accepted: bool) {
        let outcome = if accepted { "accepted" } else { "lost" };
        self.0.webhook.get_or_create(&WebhookLabels { outcome }).inc();
    }

    /// All metrics in the OpenMetrics text format.
    pub(crate) fn text(&self, in_server: usize) -> String {
        self.0.in_server.set(i64::try_from(in_server).unwrap_or(i64::MAX));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }
}
