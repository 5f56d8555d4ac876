//! Verdicts that their clients announce: the last ones of each detector are kept for whoever watches, such as the kiosk, and all go
//! to the webhook, if there is one. What is not announced is kept nowhere.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aberra::Verdict;
use aberra::report::PictureFormat;
use aberra::wire::VerdictCard;
use serde::Serialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use utoipa::ToSchema;

use crate::detectors::ServedDetector;
use crate::metrics::Metrics;
use crate::problem::ImageProblem;
use crate::running::RunningRequest;

/// Announcements of a detector that are kept.
const KEPT: usize = 100;

/// Announcements that may wait for the webhook; further ones are lost, and counted.
const WAITING: usize = 1000;

/// Longest name of a source, in bytes.
pub(crate) const LONGEST_SOURCE: usize = 100;

/// An announced verdict, or why there is none.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Announcement {
    /// When it was judged, in microseconds since 1970; unique on this server and larger than those before it.
    pub(crate) id: u64,
    /// Who announced it, as the request said.
    pub(crate) source: String,
    /// Name of the detector.
    pub(crate) detector: String,
    /// Hash of the detector file's content.
    pub(crate) hash: String,
    /// The image's file name as sent by the client.
    pub(crate) name: Option<String>,
    pub(crate) error: Option<ImageProblem>,
    pub(crate) verdict: Option<VerdictCard>,
    /// The network input as a `data:` URL, where there is a verdict. The webhook does not get it.
    pub(crate) picture: Option<String>,
}

/// An announcement on its way to the webhook. The request counts as running until it has arrived, or been given up.
pub(crate) struct Outgoing {
    pub(crate) announcement: Arc<Announcement>,
    pub(crate) _running: RunningRequest,
}

/// The announcements of a server. Cheap to clone; clones share them.
#[derive(Clone)]
pub(crate) struct Announcements {
    kept: Arc<Mutex<Kept>>,
    webhook: Option<Sender<Outgoing>>,
    metrics: Metrics,
}

#[derive(Default)]
struct Kept {
    last: u64,
    of_detectors: BTreeMap<String, VecDeque<Arc<Announcement>>>,
}

impl Announcements {
    /// Announcements, and what takes them to the webhook, if there is one.
    pub(crate) fn new(has_webhook: bool, metrics: Metrics) -> (Self, Option<Receiver<Outgoing>>) {
        let (webhook, outgoing) = has_webhook.then(|| channel(WAITING)).unzip();
        (Self { kept: Arc::default(), webhook, metrics }, outgoing)
    }

    /// Announces the verdict on an image, or why there is none.
    pub(crate) fn announce(
        &self,
        served: &ServedDetector,
        source: &str,
        name: Option<String>,
        verdict: Result<(&Verdict, VerdictCard), ImageProblem>,
        running: RunningRequest,
    ) {
        let (picture, verdict, error) = match verdict {
            // A picture that cannot be drawn is no reason to lose a verdict.
            Ok((verdict, card)) => {
                (PictureFormat::of(&served.detector).picture(&verdict.input).ok(), Some(card), None)
            }
            Err(error) => (None, None, Some(error)),
        };
        let mut announcement = Announcement {
            id: 0,
            source: source.to_owned(),
            detector: served.name.clone(),
            hash: served.hash().to_owned(),
            name,
            error,
            verdict,
            picture,
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last = now().max(kept.last + 1);
        announcement.id = kept.last;
        let announcement = Arc::new(announcement);
        let of_detector = kept.of_detectors.entry(served.name.clone()).or_default();
        if of_detector.len() == KEPT {
            of_detector.pop_front();
        }
        of_detector.push_back(announcement.clone());
        // Sent while the list is locked, so that they leave in their order.
        if let Some(webhook) = &self.webhook
            && webhook.try_send(Outgoing { announcement, _running: running }).is_err()
        {
            self.metrics.record_webhook(false);
            tracing::warn!(waiting = WAITING, "a verdict is lost to the webhook: too many wait for it");
        }
    }

    /// The announcements of a detector that are kept and came after one of them, the oldest first.
    pub(crate) fn after(&self, detector: &str, id: u64) -> Vec<Announcement> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let of_detector = kept.of_detectors.get(detector).into_iter().flatten();
        of_detector.filter(|one| one.id > id).map(|one| Announcement::clone(one)).collect()
    }
}

/// Microseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
