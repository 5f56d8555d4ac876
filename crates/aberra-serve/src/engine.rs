//! The inference engine: a bounded queue for the images of all requests, decoding on a few worker threads, and dynamic
//! batching in front of the model, which runs on one thread.
//!
//! In a batch, scores differ from those of single images by rounding only, within [`BATCH_TOLERANCE`]; with a batch
//! size of 1 they are bit-identical.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

use aberra::dataset::{Inspected, Sample};
use aberra::image::{Image, Input, decode, decode_grey, encode_png, header};
use aberra::models::measure::Want;
use aberra::{Verdict, image};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::detectors::ServedDetector;
use crate::metrics::Metrics;
use crate::options::{Batching, DECODING_BYTES_PER_PIXEL, ServeLimits};
use crate::priority;
use crate::problem::{ImageProblem, Problem};

/// Tolerance of scores under batching: how far a score may differ from the same image's score in a batch of its own,
/// relative to the larger of 1 and the score.
pub const BATCH_TOLERANCE: f64 = 1e-4;

/// An image of a request.
#[derive(Clone, Debug)]
pub(crate) enum ImageSource {
    /// The bytes of an image file.
    Encoded(Bytes),
    /// Those of several, each with the name of the channel that it shows, in the order of the detector's channels.
    Channels(Vec<(String, Bytes)>),
    /// Decoded pixels.
    Decoded(Image),
    /// An image of the operator's data set.
    Sample(Box<Sample>),
}

/// Why the engine rejects a request (backpressure).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The queue is full; the same request may succeed later.
    QueueFull,
    /// The request has more images than the queue has places; it can never succeed.
    ExceedsQueue,
}

impl From<Rejection> for Problem {
    fn from(refusal: Rejection) -> Self {
        match refusal {
            Rejection::QueueFull => Self::busy(),
            Rejection::ExceedsQueue => Self::too_large(
                "expected no more images than the queue has places, found more; send fewer at a time",
            ),
        }
    }
}

/// Scores images. Cheap to clone; clones share one queue.
#[derive(Clone)]
pub(crate) struct Engine {
    /// The places in the queue. An image holds one from its arrival to its verdict.
    places: Arc<Semaphore>,
    /// One permit per worker thread.
    workers: Arc<Semaphore>,
    /// Held while a large image is decoded: that takes hundreds of megabytes, so only one is decoded at a time.
    large: Arc<Semaphore>,
    /// Held while the volumes of a request are judged: they lie in memory, inflated.
    volumes: Arc<Semaphore>,
    /// A permit per KiB that decoding the other images may take together, however many workers there are.
    small_kib: Arc<Semaphore>,
    queue: Sender<QueuedImage>,
    limits: ServeLimits,
    metrics: Metrics,
}

/// A preprocessed image that waits for the model.
struct QueuedImage {
    served: Arc<ServedDetector>,
    input: Input,
    want: Want,
    reply: oneshot::Sender<Result<Verdict, ImageProblem>>,
    queued: Instant,
    place: OwnedSemaphorePermit,
}

impl Engine {
    /// Starts the batching thread. It ends when the last clone of the engine is dropped.
    pub(crate) fn start(limits: ServeLimits, batching: Batching, metrics: Metrics) -> std::io::Result<Self> {
        let (queue, receiver) = channel();
        let places = Arc::new(Semaphore::new(limits.queue));
        let batcher = Batcher {
            queue: receiver,
            places: places.clone(),
            capacity: limits.queue,
            batching,
            metrics: metrics.clone(),
        };
        thread::Builder::new().name("model".to_owned()).spawn(move || batcher.run())?;
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            places,
            workers: Arc::new(Semaphore::new(workers)),
            large: Arc::new(Semaphore::new(1)),
            volumes: Arc::new(Semaphore::new(1)),
            small_kib: Arc::new(Semaphore::new(SMALL_KIB)),
            queue,
            limits,
            metrics,
        })
    }

    /// Whether the queue is full, so that a request must be rejected; such a request is counted.
    pub(crate) fn is_full(&self) -> bool {
        let is_full = self.places.available_permits() == 0;
        if is_full {
            self.metrics.record_rejection();
        }
        is_full
    }

    /// Number of images that are queued or being processed.
    pub(crate) fn in_flight(&self) -> usize {
        self.limits.queue.saturating_sub(self.places.available_permits())
    }

    /// Scores images with one detector: a verdict with at least what is wanted, or a problem, for each, in order. An
    /// image that cannot be used does not stop the others.
    ///
    /// # Errors
    /// The queue has no room for all of them; then none is scored.
    pub(crate) async fn score(
        &self,
        served: &Arc<ServedDetector>,
        images: Vec<ImageSource>,
        want: Want,
    ) -> Result<Vec<Result<Verdict, ImageProblem>>, Rejection> {
        let started = Instant::now();
        let mut places = self.places_for(images.len()).inspect_err(|rejection| {
            if *rejection == Rejection::QueueFull {
                served.statistics.fail.record(started.elapsed());
            }
        })?;
        let scoring = images.into_iter().filter_map(|image| {
            let place = places.split(1)?;
            Some(self.score_one(served.clone(), image, want, place))
        });
        let verdicts = futures_util::future::join_all(scoring).await;
        let succeeded = verdicts.iter().all(Result::is_ok);
        let outcome = if succeeded { &served.statistics.success } else { &served.statistics.fail };
        outcome.record(started.elapsed());
        Ok(verdicts)
    }

    /// Looks at images, to compare them with each other and with those that the detector learnt from: what was seen, or a
    /// problem, for each, in order.
    ///
    /// # Errors
    /// The queue has no room for all of them; then none is looked at.
    pub(crate) async fn inspect(
        &self,
        served: &Arc<ServedDetector>,
        images: Vec<ImageSource>,
    ) -> Result<Vec<Result<Inspected, ImageProblem>>, Rejection> {
        let mut places = self.places_for(images.len())?;
        let looking = images.into_iter().filter_map(|image| {
            let place = places.split(1)?;
            Some(self.with_decoded(served.clone(), image, sees_grey(served), move |_, image| {
                let _place = place;
                image::check(&image).map_err(aberra::of_image)?;
                Ok(Inspected::of(&image, Path::new("")))
            }))
        });
        Ok(futures_util::future::join_all(looking).await)
    }

    /// An image as a person is shown it by a detector's preprocessing, as a PNG at its own resolution.
    ///
    /// # Errors
    /// The queue is full; an image that cannot be used.
    pub(crate) async fn picture(
        &self,
        served: &Arc<ServedDetector>,
        image: ImageSource,
    ) -> Result<Result<Vec<u8>, ImageProblem>, Rejection> {
        let place = self.reserve()?;
        let drawn = self.with_decoded(served.clone(), image, false, move |served, image| {
            let _place = place;
            picture_of(served, &image)
        });
        Ok(drawn.await)
    }

    /// Places in the queue for so many images.
    fn places_for(&self, count: usize) -> Result<OwnedSemaphorePermit, Rejection> {
        if count > self.limits.queue {
            return Err(Rejection::ExceedsQueue);
        }
        let places = u32::try_from(count)
            .ok()
            .and_then(|count| self.places.clone().try_acquire_many_owned(count).ok());
        places.ok_or_else(|| {
            self.metrics.record_rejection();
            Rejection::QueueFull
        })
    }

    /// Reserves a place in the queue for other work than scoring an image.
    ///
    /// # Errors
    /// The queue is full.
    pub(crate) fn reserve(&self) -> Result<OwnedSemaphorePermit, Rejection> {
        self.places.clone().try_acquire_owned().map_err(|_| {
            self.metrics.record_rejection();
            Rejection::QueueFull
        })
    }

    /// Runs CPU-bound work on a worker thread, off the async runtime. A panic becomes an error.
    pub(crate) async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let worker = self.workers.clone().acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            priority::compute();
            let _worker = worker;
            work()
        });
        done.await.map_err(|_| Problem::internal())?
    }

    async fn score_one(
        &self,
        served: Arc<ServedDetector>,
        image: ImageSource,
        want: Want,
        place: OwnedSemaphorePermit,
    ) -> Result<Verdict, ImageProblem> {
        let preprocess = move |served: &ServedDetector, image: Image| {
            Ok((served.detector.preprocess_owned(image)?, place))
        };
        let (input, place) = self.with_decoded(served.clone(), image, sees_grey(&served), preprocess).await?;
        let (reply, verdict) = oneshot::channel();
        let queued = QueuedImage { served, input, want, reply, queued: Instant::now(), place };
        self.queue.send(queued).map_err(|_| ImageProblem::internal())?;
        verdict.await.map_err(|_| ImageProblem::internal())?
    }

    /// What decoding for a detector is limited to.
    pub(crate) fn decoding_limits(&self, served: &ServedDetector) -> image::Limits {
        let own = served.detector.config().limits;
        image::Limits {
            max_pixels: self.limits.pixels,
            max_alloc_bytes: own.max_alloc_bytes.min(self.limits.decoding_bytes()),
            ..own
        }
    }

    /// Waits until no other request holds volumes; a request that waits has a place in the queue.
    ///
    /// # Errors
    /// The queue is full.
    pub(crate) async fn turn_of_volumes(&self) -> Result<OwnedSemaphorePermit, Rejection> {
        let _place = self.reserve()?;
        self.volumes.clone().acquire_owned().await.map_err(|_| Rejection::QueueFull)
    }

    /// Does something with an image that is decoded, in grey if that is enough, on a worker thread, within the memory that decoding may
    /// take.
    async fn with_decoded<T: Send + 'static>(
        &self,
        served: Arc<ServedDetector>,
        image: ImageSource,
        in_grey: bool,
        work: impl FnOnce(&ServedDetector, Image) -> aberra::Result<T> + Send + 'static,
    ) -> Result<T, ImageProblem> {
        let limits = self.decoding_limits(&served);
        let memory = match pixels(&image, &limits) {
            0 => None,
            pixels if pixels > LARGE => Some(self.large.clone().acquire_owned().await),
            pixels => Some(self.small_kib.clone().acquire_many_owned(kib(pixels)).await),
        };
        let worker = self.workers.clone().acquire_owned().await;
        let started = Instant::now();
        let (done, served) = tokio::task::spawn_blocking(move || {
            priority::compute();
            let (_memory, _worker) = (memory, worker);
            let done = guarded(|| {
                let image = match image {
                    ImageSource::Encoded(bytes) => {
                        let decode = if in_grey { decode_grey } else { decode };
                        decode(&bytes, &limits).map_err(aberra::of_image)?
                    }
                    ImageSource::Channels(files) => joined(files, &limits)?,
                    ImageSource::Decoded(image) => image,
                    ImageSource::Sample(sample) => sample.read(&limits)?,
                };
                work(&served, image)
            });
            (done, served)
        })
        .await
        .map_err(|_| ImageProblem::internal())?;
        self.metrics.record_decoding(started.elapsed());
        served.statistics.compute_input.record(started.elapsed());
        done
    }
}

/// Whether a detector sees images in grey alone.
fn sees_grey(served: &ServedDetector) -> bool {
    served.detector.config().preprocessing.sees_grey_alone()
}

/// An image as a person is shown it by a detector's preprocessing, as a PNG.
fn picture_of(served: &ServedDetector, image: &Image) -> aberra::Result<Vec<u8>> {
    let shown = served.detector.config().preprocessing.shown(image).map_err(aberra::of_image)?;
    encode_png(&shown.pixels, shown.height, shown.width, shown.color).map_err(aberra::of_image)
}

/// An image of more pixels is decoded alone.
const LARGE: usize = 4 << 20;
/// Memory for decoding the others at a time: 128 MiB, twice what the largest of them takes.
const SMALL_KIB: usize = 2 * LARGE * DECODING_BYTES_PER_PIXEL as usize / 1024;

/// Pixels that have to be decoded; none of an image whose header cannot be read.
fn pixels(image: &ImageSource, limits: &image::Limits) -> usize {
    let of_file =
        |bytes: &Bytes| header(bytes, limits).map_or(0, |header| header.height.saturating_mul(header.width));
    match image {
        ImageSource::Encoded(bytes) => of_file(bytes),
        // They lie in memory beside each other.
        ImageSource::Channels(files) => files.iter().map(|(_, bytes)| of_file(bytes)).sum(),
        ImageSource::Decoded(_) => 0,
        // Not known before it is read.
        ImageSource::Sample(_) => LARGE + 1,
    }
}

/// One image of the files of its channels; an error names the channel.
fn joined(files: Vec<(String, Bytes)>, limits: &image::Limits) -> aberra::Result<Image> {
    let part = |(name, bytes): (String, Bytes)| {
        let decoded = decode(&bytes, limits).map_err(|error| error.with_path(Path::new(&name)));
        Ok((name, decoded.map_err(aberra::of_image)?))
    };
    let parts = files.into_iter().map(part).collect::<aberra::Result<Vec<_>>>()?;
    Image::of_channels(parts).map_err(aberra::of_image)
}

/// Memory for decoding an image that is not large.
fn kib(pixels: usize) -> u32 {
    (pixels.min(LARGE) * DECODING_BYTES_PER_PIXEL as usize).div_ceil(1024) as u32
}

/// Runs the work on one image; a panic becomes the problem of that image alone.
fn guarded<T>(work: impl FnOnce() -> aberra::Result<T>) -> Result<T, ImageProblem> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| ImageProblem::of(&error)),
        Err(_) => Err(ImageProblem::internal()),
    }
}

/// The thread that collects batches and runs the model.
struct Batcher {
    queue: Receiver<QueuedImage>,
    places: Arc<Semaphore>,
    capacity: usize,
    batching: Batching,
    metrics: Metrics,
}

impl Batcher {
    fn run(self) {
        priority::compute();
        priority::compute_side_by_side();
        while let Ok(first) = self.queue.recv() {
            let mut batch = self.collect_batch(first);
            // Skip the images of clients that have disconnected.
            batch.retain(|image| !image.reply.is_closed());
            while !batch.is_empty() {
                let served = batch[0].served.clone();
                let (same, others) = batch.into_iter().partition(|image| Arc::ptr_eq(&image.served, &served));
                batch = others;
                self.score_batch(&served, same);
            }
        }
    }

    /// Collects what has arrived, and waits up to the delay for images that are still being decoded.
    fn collect_batch(&self, first: QueuedImage) -> Vec<QueuedImage> {
        let until = Instant::now() + self.batching.delay;
        let mut batch = vec![first];
        while batch.len() < self.batching.most {
            let image = match self.queue.try_recv() {
                Ok(image) => Ok(image),
                Err(_) if self.capacity - self.places.available_permits() <= batch.len() => break,
                Err(_) => self.queue.recv_timeout(until.saturating_duration_since(Instant::now())),
            };
            match image {
                Ok(image) => batch.push(image),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        batch
    }

    /// Scores the images of one detector together, and sends each verdict to its request.
    fn score_batch(&self, served: &ServedDetector, images: Vec<QueuedImage>) {
        let started = Instant::now();
        let want = images.iter().fold(Want::MEASUREMENTS, |all, image| all.or(image.want));
        let (inputs, replies): (Vec<_>, Vec<_>) = images
            .into_iter()
            .map(|image| {
                let waited = started.duration_since(image.queued);
                self.metrics.record_waiting(waited);
                served.statistics.queue.record(waited);
                (Ok(image.input), (image.reply, image.place))
            })
            .unzip();
        let count = inputs.len();
        let verdicts = catch_unwind(AssertUnwindSafe(|| served.detector.score_inputs(inputs, want)));
        self.metrics.record_batch(count, started.elapsed());
        served.statistics.record_batch(count, started.elapsed());
        let mut verdicts = verdicts.unwrap_or_default().into_iter();
        for (reply, place) in replies {
            let verdict = match verdicts.next() {
                Some(verdict) => verdict.map_err(|error| ImageProblem::of(&error)),
                None => Err(ImageProblem::internal()),
            };
            if let Ok(verdict) = &verdict {
                self.metrics.record_verdict(&served.name, verdict.anomalous);
            }
            // Before the reply, so that a client that has its response never finds its own place still occupied.
            drop(place);
            // Sending fails if the client has disconnected.
            let _ = reply.send(verdict);
        }
    }
}
