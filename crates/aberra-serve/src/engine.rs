//! From encoded images to verdicts for many requests at once: a bounded number of images in the server, decoding on a
//! few threads, and one thread that hands the model what has arrived, in batches.
//!
//! Scores of a batch differ from those of one image at a time by rounding alone, within [`BATCH_TOLERANCE`]; with
//! batches of 1 they are the same bit for bit.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

use aberra::image::{Image, Input, decode, header};
use aberra::models::measure::Want;
use aberra::{Verdict, image};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::detectors::ServedDetector;
use crate::metrics::Metrics;
use crate::options::{Batching, ServeLimits};
use crate::problem::{ImageProblem, Problem};

/// How far a score of a batch may lie from the same image's score alone, as a share of the larger of 1 and the score.
pub const BATCH_TOLERANCE: f64 = 1e-4;

/// An image as a request brings it.
#[derive(Clone, Debug)]
pub(crate) enum ImageSource {
    /// A file's bytes.
    Encoded(Bytes),
    /// Pixels.
    Decoded(Image),
}

/// The server cannot take these images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// Not now: the queue is full.
    QueueFull,
    /// Never: more images than the queue holds.
    ExceedsQueue,
}

impl From<Rejection> for Problem {
    fn from(refusal: Rejection) -> Self {
        match refusal {
            Rejection::QueueFull => Self::busy(),
            Rejection::ExceedsQueue => {
                Self::too_large("expected no more images than the queue holds; send fewer at a time")
            }
        }
    }
}

/// Judges images. Clones share one queue.
#[derive(Clone)]
pub(crate) struct Engine {
    room: Arc<Semaphore>,
    workers: Arc<Semaphore>,
    /// Held by a large image while it is decoded: one takes hundreds of megabytes, and a second would hold up the rest.
    large: Arc<Semaphore>,
    queue: Sender<QueuedImage>,
    limits: ServeLimits,
    metrics: Metrics,
}

/// A preprocessed image on its way to the model.
struct QueuedImage {
    served: Arc<ServedDetector>,
    input: Input,
    want: Want,
    reply: oneshot::Sender<Result<Verdict, ImageProblem>>,
    queued: Instant,
    room: OwnedSemaphorePermit,
}

impl Engine {
    /// Starts the thread that asks the model. It ends when the last clone is gone.
    pub(crate) fn start(limits: ServeLimits, batching: Batching, metrics: Metrics) -> std::io::Result<Self> {
        let (queue, jobs) = channel();
        let room = Arc::new(Semaphore::new(limits.queue));
        let batcher =
            Batcher { jobs, room: room.clone(), capacity: limits.queue, batching, metrics: metrics.clone() };
        thread::Builder::new().name("model".to_owned()).spawn(move || batcher.run())?;
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            room,
            workers: Arc::new(Semaphore::new(workers)),
            large: Arc::new(Semaphore::new(1)),
            queue,
            limits,
            metrics,
        })
    }

    /// Whether a request with a body would be turned away now. Counts it as such.
    pub(crate) fn refuses(&self) -> bool {
        let is_full = self.room.available_permits() == 0;
        if is_full {
            self.metrics.refused();
        }
        is_full
    }

    /// Images that are waiting or in work.
    pub(crate) fn waiting(&self) -> usize {
        self.limits.queue.saturating_sub(self.room.available_permits())
    }

    /// Verdicts of one detector on images, one each, in order, with at least what is wanted. An image that cannot be used
    /// does not stop the others.
    ///
    /// # Errors
    /// The queue has no room for them; nothing was done then.
    pub(crate) async fn judge(
        &self,
        served: &Arc<ServedDetector>,
        images: Vec<ImageSource>,
        want: Want,
    ) -> Result<Vec<Result<Verdict, ImageProblem>>, Rejection> {
        let count = images.len();
        if count > self.limits.queue {
            return Err(Rejection::ExceedsQueue);
        }
        let room =
            u32::try_from(count).ok().and_then(|count| self.room.clone().try_acquire_many_owned(count).ok());
        let started = Instant::now();
        let Some(mut room) = room else {
            self.metrics.refused();
            served.statistics.fail.add(started.elapsed());
            return Err(Rejection::QueueFull);
        };
        let judging = images.into_iter().filter_map(|image| {
            let room = room.split(1)?;
            Some(self.judge_one(served.clone(), image, want, room))
        });
        let verdicts = futures_util::future::join_all(judging).await;
        let all = verdicts.iter().all(Result::is_ok);
        let counted = if all { &served.statistics.success } else { &served.statistics.fail };
        counted.add(started.elapsed());
        Ok(verdicts)
    }

    /// A place in the queue for work that brings no image.
    ///
    /// # Errors
    /// The queue is full.
    pub(crate) fn room(&self) -> Result<OwnedSemaphorePermit, Rejection> {
        self.room.clone().try_acquire_owned().map_err(|_| {
            self.metrics.refused();
            Rejection::QueueFull
        })
    }

    /// Does work that takes the processor, beside the handlers, when a thread is free for it. A panic is an error.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let worker = self.workers.clone().acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let _worker = worker;
            work()
        });
        done.await.map_err(|_| Problem::internal())?
    }

    async fn judge_one(
        &self,
        served: Arc<ServedDetector>,
        image: ImageSource,
        want: Want,
        room: OwnedSemaphorePermit,
    ) -> Result<Verdict, ImageProblem> {
        let limits = image::Limits { max_pixels: self.limits.pixels, ..served.detector.config().limits };
        let large = match is_large(&image, &limits) {
            true => Some(self.large.clone().acquire_owned().await),
            false => None,
        };
        let worker = self.workers.clone().acquire_owned().await;
        let started = Instant::now();
        let (input, served, room) = tokio::task::spawn_blocking(move || {
            let (_large, _worker) = (large, worker);
            let input = guarded(|| {
                let image = match image {
                    ImageSource::Encoded(bytes) => decode(&bytes, &limits).map_err(aberra::of_image)?,
                    ImageSource::Decoded(image) => image,
                };
                served.detector.preprocess(&image)
            });
            (input, served, room)
        })
        .await
        .map_err(|_| ImageProblem::internal())?;
        self.metrics.decoded(started.elapsed());
        served.statistics.compute_input.add(started.elapsed());
        let (reply, verdict) = oneshot::channel();
        let job = QueuedImage { served, input: input?, want, reply, queued: Instant::now(), room };
        self.queue.send(job).map_err(|_| ImageProblem::internal())?;
        verdict.await.map_err(|_| ImageProblem::internal())?
    }
}

/// Whether decoding an image takes much memory and time; an image that cannot be read takes none.
fn is_large(image: &ImageSource, limits: &image::Limits) -> bool {
    /// Rows x columns.
    const LARGE: usize = 4 << 20;
    match image {
        ImageSource::Encoded(bytes) => {
            header(bytes, limits).is_ok_and(|header| header.height.saturating_mul(header.width) > LARGE)
        }
        ImageSource::Decoded(_) => false,
    }
}

/// Runs work whose panic is this image's failure and no other's.
fn guarded<T>(work: impl FnOnce() -> aberra::Result<T>) -> Result<T, ImageProblem> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| ImageProblem::of(&error)),
        Err(_) => Err(ImageProblem::internal()),
    }
}

/// The thread that asks the model.
struct Batcher {
    jobs: Receiver<QueuedImage>,
    room: Arc<Semaphore>,
    capacity: usize,
    batching: Batching,
    metrics: Metrics,
}

impl Batcher {
    fn run(self) {
        while let Ok(first) = self.jobs.recv() {
            let mut batch = self.gather(first);
            // Whoever has left wants no answer.
            batch.retain(|job| !job.reply.is_closed());
            while !batch.is_empty() {
                let served = batch[0].served.clone();
                let (same, others) = batch.into_iter().partition(|job| Arc::ptr_eq(&job.served, &served));
                batch = others;
                self.ask(&served, same);
            }
        }
    }

    /// What has arrived, and what arrives within the delay where more is known to be on its way.
    fn gather(&self, first: QueuedImage) -> Vec<QueuedImage> {
        let until = Instant::now() + self.batching.delay;
        let mut batch = vec![first];
        while batch.len() < self.batching.most {
            let job = match self.jobs.try_recv() {
                Ok(job) => Ok(job),
                Err(_) if self.capacity - self.room.available_permits() <= batch.len() => break,
                Err(_) => self.jobs.recv_timeout(until.saturating_duration_since(Instant::now())),
            };
            match job {
                Ok(job) => batch.push(job),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        batch
    }

    fn ask(&self, served: &ServedDetector, jobs: Vec<QueuedImage>) {
        let started = Instant::now();
        let want = jobs.iter().fold(Want::MEASUREMENTS, |all, job| all.or(job.want));
        let (inputs, replies): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .map(|job| {
                let waited = started.duration_since(job.queued);
                self.metrics.waited(waited);
                served.statistics.queue.add(waited);
                (Ok(job.input), (job.reply, job.room))
            })
            .unzip();
        let count = inputs.len();
        let verdicts = catch_unwind(AssertUnwindSafe(|| served.detector.score_inputs(inputs, want)));
        self.metrics.judged(count, started.elapsed());
        served.statistics.judged(count, started.elapsed());
        let mut verdicts = verdicts.unwrap_or_default().into_iter();
        for (reply, room) in replies {
            let verdict = match verdicts.next() {
                Some(verdict) => verdict.map_err(|error| ImageProblem::of(&error)),
                None => Err(ImageProblem::internal()),
            };
            if let Ok(verdict) = &verdict {
                self.metrics.verdict(&served.name, verdict.anomalous);
            }
            // First, so that a client which has its answer never finds its own place taken.
            drop(room);
            // Whoever has left wants no answer.
            let _ = reply.send(verdict);
        }
    }
}
