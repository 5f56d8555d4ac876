//! `volumes`: a verdict on each volume of a request, from the scores of its slices, with the pictures to scroll through them.

use std::collections::HashSet;
use std::sync::Arc;

use aberra::SliceScores;
use aberra::dataset::{Cases, HeldFiles, Slice, Volume};
use aberra::models::measure::Want;
use aberra::report::{PictureFormat, error_scale_max};
use aberra::wire::{SliceData, VolumeCard, VolumesCard};
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::request::{ApiResult, find};
use super::score::answer;
use super::upload::{ImageFile, ImageForm, SHOWN, Upload, uploads};
use crate::detectors::ServedDetector;
use crate::engine::ImageSource;
use crate::options::{MOST_SLICES, ServeLimits};
use crate::problem::{ImageProblem, Problem, ProblemWith};
use crate::state::ServerState;

/// Most slices that are decoded, scored and drawn at a time; fewer of large ones.
const CHUNK: usize = 16;
/// Characters of the pictures of a response, about; slices beyond have none.
const MOST_PICTURES: usize = 48 << 20;

/// Verdicts on volumes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VolumesResponse {
    /// Name of the detector.
    detector: String,
    /// Hash of the detector file's content.
    hash: String,
    /// How the detector judges volumes; null where it is not calibrated on any: then there are scores and no verdicts.
    judged_by: Option<VolumesCard>,
    /// One result per volume, in the order of their first files, and one per file that is none.
    volumes: Vec<VolumeResult>,
    /// What was put together, dropped or left out, in plain words.
    notes: Vec<String>,
}

/// Result for one volume: a verdict with its slices, or an error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VolumeResult {
    /// The file, or the folder that the names of the files of a series have in common; without one, the first and how many more.
    name: String,
    /// Whether the file holds a single image: `explain` judges it.
    is_image: bool,
    error: Option<ImageProblem>,
    volume: Option<VolumeCard>,
    /// For each slice, in their order, what was found; null where it shows nothing but air, or cannot be read.
    slices: Vec<Option<SliceData>>,
}

impl VolumeResult {
    fn failed(name: String, error: ImageProblem) -> Self {
        Self { name, is_image: false, error: Some(error), volume: None, slices: Vec::new() }
    }
}

/// Judges volumes as a whole: NIfTI files, DICOM files of several frames, TIFF files of several pages, and the files of DICOM series,
/// which are brought together by what they say of themselves. An image that is no slice is an error: `explain` judges it.
#[utoipa::path(
    post, path = "/api/v1/detectors/{detector}/volumes", tag = "aberra", params(("detector" = String, Path)),
    request_body(content(
        (ImageFile = "application/octet-stream"), (ImageForm = "multipart/form-data")
    ), description = "A file that holds a volume, or a form of such files and of those of DICOM series; without a threshold, and with at most `max_slices` files and slices."),
    responses(
        (status = 200, description = "At least one volume was judged", body = VolumesResponse),
        (status = 422, description = "No volume could be judged; each result has the reason", body = ProblemWith<VolumesResponse>, content_type = "application/problem+json"),
        (status = "4XX", description = "Invalid request", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue is full; retry after Retry-After", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn volumes(
    shared: State<ServerState>,
    Path(detector): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<Response> {
    let served = find(&shared, &detector)?;
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        let shown: String = query.chars().take(SHOWN).collect();
        return Err(refused(&format!("expected no query parameters, found {shown:?}")));
    }
    let limits = ServeLimits { images: MOST_SLICES, ..shared.limits };
    let uploads = uploads(&headers, body, &limits).await?;
    if uploads.threshold.is_some() {
        return Err(refused("expected files alone in the form, found a threshold"));
    }
    // Before anything is inflated, and until the answer is there: volumes are large.
    let _turn = shared.engine.turn_of_volumes().await?;
    let limits = shared.engine.decoding_limits(&served);
    let most_bytes = shared.limits.held_bytes as u64;
    let opened = shared.engine.run_blocking(move || {
        let (files, refused) = HeldFiles::open(named(uploads.images), limits, most_bytes);
        let cases = files.cases();
        Ok((Arc::new(files), cases, refused))
    });
    let (files, Cases { cases, notes, .. }, refused) = opened.await?;
    let (volumes, others) = HeldFiles::volumes(cases);
    let slices: usize = volumes.iter().map(|volume| volume.slices.len()).sum();
    if slices > MOST_SLICES {
        return Err(Problem::too_large(format!(
            "expected at most {MOST_SLICES} slices in a request, found {slices}"
        ))
        .with_hint("send fewer volumes at a time; `aberra score --volumes` judges any number"));
    }
    let mut room = MOST_PICTURES;
    let mut results = Vec::with_capacity(volumes.len());
    for volume in volumes {
        results.push(judge(&shared, &served, &files, volume, &mut room).await?);
    }
    results.extend(others.into_iter().map(|name| {
        let detail = "expected a volume, found a single image".to_owned();
        let hint = Some("`explain` judges single images".to_owned());
        VolumeResult { is_image: true, ..VolumeResult::failed(name, ImageProblem { detail, hint }) }
    }));
    results.extend(
        refused.iter().map(|(name, error)| VolumeResult::failed(name.clone(), ImageProblem::of(error))),
    );
    let any = results.iter().any(|result| result.volume.is_some());
    let judged_by = served.detector.volume_calibration().map(VolumesCard::of);
    let (detector, hash) = (served.name.clone(), served.hash().to_owned());
    let hint = "`volumes` says why of each";
    Ok(answer(
        any,
        "a volume that can be judged",
        hint,
        VolumesResponse { detector, hash, judged_by, volumes: results, notes },
    ))
}

/// What would have no effect, and nobody would notice.
fn refused(what: &str) -> Problem {
    Problem::bad_request(what).with_hint(
        "volumes are judged by the detector's own threshold of volumes; `aberra calibrate --volumes` gives it another one",
    )
}

/// Files under names of their own: a client may send several of one name, or without any.
fn named(uploads: Vec<Upload>) -> Vec<(String, Vec<u8>)> {
    let mut taken = HashSet::new();
    let mut named = Vec::with_capacity(uploads.len());
    for Upload { name, bytes, .. } in uploads {
        let base = name.unwrap_or_else(|| "the volume".to_owned());
        let numbered = (2..).map(|number| format!("{base} ({number})"));
        let name = std::iter::once(base.clone()).chain(numbered).find(|name| !taken.contains(name));
        let name = name.unwrap_or(base);
        taken.insert(name.clone());
        named.push((name, bytes.to_vec()));
    }
    named
}

/// Judges a volume, a few slices at a time. `room` is what is left for pictures.
async fn judge(
    shared: &ServerState,
    served: &Arc<ServedDetector>,
    files: &Arc<HeldFiles>,
    volume: Volume,
    room: &mut usize,
) -> ApiResult<VolumeResult> {
    let volume = Arc::new(volume);
    let (looking, of) = (files.clone(), volume.clone());
    let is_empty = shared.engine.run_blocking(move || Ok(looking.empty_slices(&of))).await?;
    let mut scores: SliceScores<ImageProblem> = SliceScores::of(&volume, is_empty);
    let mut slices: Vec<Option<SliceData>> = (0..volume.slices.len()).map(|_| None).collect();
    let numbers = scores.wanted();
    let wanted: Vec<Slice> = numbers.iter().map(|&number| volume.slices[number].clone()).collect();
    let (looking, of) = (files.clone(), wanted.clone());
    let runs = shared.engine.run_blocking(move || Ok(looking.runs(&of, CHUNK))).await?;
    for run in runs {
        let (chunk, wanted) = (&numbers[run.clone()], wanted[run].to_vec());
        let reading = files.clone();
        let read = shared
            .engine
            .run_blocking(move || Ok(wanted.iter().map(|slice| reading.read(slice)).collect::<Vec<_>>()));
        let (mut read_numbers, mut images) = (Vec::new(), Vec::new());
        for (&number, image) in chunk.iter().zip(read.await?) {
            match image {
                Ok(image) => {
                    read_numbers.push(number);
                    images.push(ImageSource::Decoded(image));
                }
                Err(error) => scores.put(number, Err(ImageProblem::of(&error))),
            }
        }
        if images.is_empty() {
            continue;
        }
        let verdicts = shared.engine.score(served, images, Want::MAP).await?;
        let drawing = served.clone();
        let has_room = *room > 0;
        let drawn = shared.engine.run_blocking(move || {
            let detector = &drawing.detector;
            let (format, largest) = (PictureFormat::of(detector), error_scale_max(detector));
            let draw = |verdict: Result<aberra::Verdict, ImageProblem>| {
                let verdict = verdict?;
                let pictures = has_room.then(|| format.slice(&verdict, largest)).transpose();
                let pictures = pictures.map_err(|error| ImageProblem::of(&error))?;
                Ok(SliceData::of(detector, &verdict, pictures))
            };
            Ok(verdicts.into_iter().map(draw).collect::<Vec<Result<SliceData, ImageProblem>>>())
        });
        for (number, drawn) in read_numbers.into_iter().zip(drawn.await?) {
            match drawn {
                Ok(slice) => {
                    *room = room.saturating_sub(slice.picture_characters());
                    scores.put(number, Ok(slice.verdict.score));
                    slices[number] = Some(slice);
                }
                Err(problem) => scores.put(number, Err(problem)),
            }
        }
    }
    Ok(match scores.judged_by(&served.detector) {
        Ok(verdict) => VolumeResult {
            name: volume.name.clone(),
            is_image: false,
            error: None,
            volume: Some(VolumeCard::of(&volume, &verdict)),
            slices,
        },
        Err(problem) => VolumeResult::failed(volume.name.clone(), problem),
    })
}
