//! `aberra score --volumes`: a verdict on each volume as a whole, its map, and the rows of its slices.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aberra::dataset::{Case, Remarks, Volume, empty_left_out, find_cases};
use aberra::models::measure::Want;
use aberra::output::{file_name, printable, write};
use aberra::run::RunFolder;
use aberra::wire::{VerdictCard, VolumeCard};
use aberra::{Detector, VolumeMap, VolumeVerdict};
use clap::Args;
use serde::Serialize;

use crate::data::Listed;
use crate::error::{CommandError, CommandResult, ExitStatus, with_path};
use crate::rows::{Row, RowFormat, Rows, SliceOf, TableRow};
use crate::sources::Sources;
use crate::{data, output};

/// Of a map's file.
const MAP_EXTENSION: &str = ".nii.gz";

/// How volumes are judged.
#[derive(Args)]
pub(crate) struct VolumesArgs {
    /// Judge each volume as a whole: the slices of a NIfTI file, the frames of a DICOM file, the files of a DICOM series. The default
    /// for a detector that is calibrated on volumes.
    #[arg(long, conflicts_with = "pages")]
    pub(crate) volumes: bool,
    /// With --volumes: write the map of each volume to this folder, as NIfTI in the volume's own grid.
    #[arg(long, value_name = "DIR")]
    maps: Option<PathBuf>,
    /// With --maps: write the maps of DICOM series as DICOM objects too, a Segmentation (.seg.dcm) and a Parametric Map (.map.dcm).
    /// They bear the name and the identifiers of the patient.
    #[arg(long, requires = "maps")]
    dicom: bool,
    /// With --maps: write the slices of DICOM series in which something lies above the pixel threshold as pictures with the map over
    /// them, a Secondary Capture (.sc.dcm), which every viewer shows. It bears the name and the identifiers of the patient.
    #[arg(long, requires = "maps")]
    secondary_capture: bool,
    /// With --volumes: write a row for each slice to this file; the extension .csv, .json or .jsonl selects the format.
    #[arg(long, value_name = "FILE")]
    slices: Option<PathBuf>,
}

impl VolumesArgs {
    /// Rejects what only volumes have.
    pub(crate) fn refuse_without_volumes(&self) -> Result<(), CommandError> {
        let option = match (&self.maps, &self.slices) {
            (Some(_), _) => "--maps",
            (_, Some(_)) => "--slices",
            _ => return Ok(()),
        };
        Err(CommandError::new(format!("{option}: expected volumes to judge, found images"))
            .with_hint("add --volumes; --heatmaps DIR writes pictures of images"))
    }
}

/// What to score, and where to.
pub(crate) struct ScoreVolumes<'a> {
    pub(crate) detector: &'a Detector,
    pub(crate) volumes: &'a VolumesArgs,
    pub(crate) paths: &'a [PathBuf],
    pub(crate) is_null_separated: bool,
    pub(crate) format: RowFormat,
    pub(crate) out: Option<&'a Path>,
    pub(crate) fail_on_anomaly: bool,
}

/// The row of a volume, as in JSON.
#[derive(Serialize)]
struct VolumeRow {
    #[serde(flatten)]
    card: VolumeCard,
    /// None from a detector that is not calibrated on volumes.
    verdict: Option<&'static str>,
    path: String,
    /// Path of the map where maps are asked for; `Some(None)` is one that could not be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    map: Option<Option<String>>,
}

/// The row of what is judged: a volume, or an image that is none.
#[derive(Serialize)]
#[serde(untagged)]
enum CaseRow {
    Volume(VolumeRow),
    Image {
        #[serde(flatten)]
        row: Row,
        #[serde(skip)]
        has_map: bool,
    },
}

/// The columns of CSV.
#[derive(Default, Serialize)]
struct Columns<'a> {
    score: f64,
    p_value: Option<f64>,
    threshold: Option<f64>,
    verdict: Option<&'a str>,
    path: &'a str,
    slices: Option<usize>,
    empty: Option<usize>,
    worst_slice: Option<usize>,
    worst_path: Option<&'a str>,
    worst_page: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    map: Option<Option<&'a str>>,
}

/// Counts of results.
#[derive(Default)]
struct Tally {
    volumes: usize,
    images: usize,
    anomalous: usize,
    failed: usize,
    slices: usize,
    empty: usize,
    unreadable: usize,
    missed_maps: usize,
    remarks: Remarks,
}

impl ScoreVolumes<'_> {
    /// Scores, and returns the exit code.
    pub(crate) fn run(&self) -> CommandResult {
        self.check()?;
        let mut tally = Tally::default();
        let mut sources = Sources::new(self.paths, self.is_null_separated, self.detector);
        let mut files = Vec::new();
        for source in sources.by_ref() {
            match source {
                Ok(Listed { path, channels }) if channels.is_empty() => files.push(path),
                Ok(Listed { path, .. }) => tally.skip(&format!(
                    "{}: volumes are not read from several columns of a manifest; name the files case_0000, case_0001",
                    path.display()
                )),
                Err(reason) => tally.skip(&reason),
            }
        }
        data::passed_over(&sources.passed_over());
        let found = find_cases(files, &self.detector.config().limits);
        found.notes.iter().for_each(|note| output::note(note));
        let mut rows = Rows::open(self.format, self.out)?;
        let slices = self.volumes.slices.as_deref();
        let format = |file: &Path| RowFormat::of_extension(file).unwrap_or(RowFormat::Table);
        let mut slices = slices.map(|file| Rows::open(format(file), Some(file))).transpose()?;
        for case in &found.cases {
            match case {
                Case::Volume(volume) => {
                    if let Some(row) = self.volume(volume, slices.as_mut(), &mut tally)? {
                        rows.write(&CaseRow::Volume(row))?;
                    }
                }
                Case::Image { path, page } => {
                    if let Some(row) = self.image(path, *page, &mut tally) {
                        rows.write(&row)?;
                    }
                }
            }
        }
        data::remark(&tally.remarks);
        self.conclude(&tally, rows, slices)
    }

    /// Checks, before the work, what is written to.
    fn check(&self) -> Result<(), CommandError> {
        let inputs: Vec<&Path> =
            self.paths.iter().map(PathBuf::as_path).filter(|path| path.as_os_str() != "-").collect();
        if let Some(file) = &self.volumes.slices {
            output::target(file, &inputs)?;
        }
        if let Some(folder) = &self.volumes.maps {
            if !self.detector.gives().map {
                let text = "--maps: expected a detector that makes maps, found one without";
                return Err(CommandError::new(text).with_hint("score without --maps"));
            }
            RunFolder::check_mark(folder)?;
        }
        if self.detector.volume_calibration().is_none() {
            output::warning("the detector is not calibrated on volumes: they get scores, but no verdicts");
            output::hint("aberra calibrate DETECTOR --volumes --rate 0.05 --data NORMAL_VOLUMES");
        }
        Ok(())
    }

    fn volume(
        &self,
        volume: &Volume,
        mut slices: Option<&mut Rows>,
        tally: &mut Tally,
    ) -> Result<Option<VolumeRow>, CommandError> {
        let has_map = self.volumes.maps.is_some();
        let mut map = VolumeMap::new(volume);
        let (mut failure, mut map_failure, mut unreadable) = (None, None, None);
        let want = if has_map { Want::MAP } else { Want::MEASUREMENTS };
        let scored = self.detector.score_volume(volume, want, |number, verdict| {
            let slice = &volume.slices[number];
            match verdict {
                Ok(verdict) => {
                    verdict.remarks.iter().for_each(|remark| tally.remarks.add(remark, &volume.name));
                    if has_map && let Err(error) = map.put(number, verdict) {
                        map_failure.get_or_insert(error);
                    }
                    let card = VerdictCard::of(self.detector, verdict, verdict.threshold);
                    let of = SliceOf { volume: volume.name.clone(), slice: number + 1 };
                    let row = Row::new(&slice.path, card, None).with_page(slice.page).with_slice(of);
                    if let Some(Err(error)) = slices.as_mut().map(|rows| rows.write(&row)) {
                        failure = Some(error);
                    }
                }
                Err(error) => {
                    unreadable.get_or_insert_with(|| with_path(&slice.path, error));
                }
            }
            match failure.is_some() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        let verdict = match (failure, scored) {
            (Some(failure), _) => return Err(failure),
            (None, Err(error)) => {
                tally.skip(&error);
                return Ok(None);
            }
            (None, Ok(verdict)) => verdict,
        };
        if let Some(reason) = unreadable {
            let slices = output::count(verdict.unreadable, "slice", "slices");
            output::warning(&format!("{}: skipped {slices}, such as {reason}", volume.name));
        }
        tally.unreadable += verdict.unreadable;
        tally.volumes += 1;
        tally.slices += volume.slices.len();
        tally.empty += verdict.empty;
        tally.anomalous += usize::from(verdict.anomalous() == Some(true));
        let written = self.volumes.maps.as_deref().map(|folder| {
            let file = map_path(folder, tally.volumes, &volume.name);
            let written = map_failure.map_or(Ok(()), Err).and_then(|()| self.write_map(folder, &file, &map));
            written.inspect_err(|reason| tally.miss(reason)).ok().map(|()| file)
        });
        Ok(Some(VolumeRow::new(volume, &verdict, written)))
    }

    fn write_map(&self, folder: &Path, file: &Path, map: &VolumeMap<'_>) -> Result<(), aberra::Error> {
        let limits = &self.detector.config().limits;
        RunFolder::mark(folder)?;
        let (threshold, name) = (self.detector.pixel_threshold(), file.to_string_lossy());
        let stem = name.strip_suffix(MAP_EXTENSION).unwrap_or(&name);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.volumes.dicom
            && let Some(objects) = map.to_dicom(threshold, now, limits)?
        {
            write(Path::new(&format!("{stem}.seg.dcm")), &objects.segmentation)?;
            write(Path::new(&format!("{stem}.map.dcm")), &objects.parametric_map)?;
        }
        if self.volumes.secondary_capture
            && let Some(capture) = map.to_secondary_capture(threshold, now, limits)?
        {
            write(Path::new(&format!("{stem}.sc.dcm")), &capture)?;
        }
        write(file, &map.to_nifti(limits)?)
    }

    /// The row of an image that is no slice, judged by the calibration of images.
    fn image(&self, path: &Path, page: Option<u32>, tally: &mut Tally) -> Option<CaseRow> {
        let (mut row, limits) = (None, self.detector.config().limits);
        let one = std::iter::once((path.to_owned(), page));
        self.detector.score_pages(one, &limits, 1, Want::MEASUREMENTS, |_, verdict| {
            match verdict {
                Ok(verdict) => {
                    verdict
                        .remarks
                        .iter()
                        .for_each(|remark| tally.remarks.add(remark, &path.to_string_lossy()));
                    tally.images += 1;
                    tally.anomalous += usize::from(verdict.anomalous);
                    let card = VerdictCard::of(self.detector, &verdict, verdict.threshold);
                    row = Some(Row::new(path, card, None));
                }
                Err(error) => tally.skip(&with_path(path, &error)),
            }
            ControlFlow::Continue(())
        });
        let has_map = self.volumes.maps.is_some();
        let paged = |row: Row| if page.is_some() { row.with_page(page) } else { row };
        row.map(|row| CaseRow::Image { row: paged(row), has_map })
    }

    /// Finishes the output, and returns the exit code.
    fn conclude(&self, tally: &Tally, rows: Rows, slices: Option<Rows>) -> CommandResult {
        let Tally { volumes, images, anomalous, failed, unreadable, missed_maps, .. } = *tally;
        if volumes + images == 0 {
            return Err(CommandError::new(match failed {
                0 => "expected volumes, found none".to_owned(),
                _ => format!(
                    "expected volumes, found {} that cannot be used",
                    output::count(failed, "file", "files")
                ),
            })
            .with_hint(
                "volumes are NIfTI files, DICOM files of several frames, and the files of a DICOM series",
            ));
        }
        rows.finish()?;
        slices.map_or(Ok(()), Rows::finish)?;
        if volumes > 0 {
            output::note(&empty_left_out(tally.empty, tally.slices));
        }
        let mut words = vec![
            format!("{} scored", output::count(volumes, "volume", "volumes")),
            format!("{anomalous} anomalous"),
        ];
        let counts = [
            (images, "image by itself", "images by themselves"),
            (failed, "skipped", "skipped"),
            (unreadable, "slice skipped", "slices skipped"),
            (missed_maps, "map not written", "maps not written"),
        ];
        let counted = counts.iter().filter(|(count, ..)| *count > 0);
        words.extend(counted.map(|(count, one, many)| output::count(*count, one, many)));
        output::note(&words.join(", "));
        Ok(match () {
            () if failed + unreadable + missed_maps > 0 => ExitStatus::SomeFailed,
            () if self.fail_on_anomaly && anomalous > 0 => ExitStatus::Anomalous,
            () => ExitStatus::Done,
        })
    }
}

impl Tally {
    fn skip(&mut self, reason: &dyn std::fmt::Display) {
        self.failed += 1;
        output::warning(&format!("skipped {reason}"));
    }

    fn miss(&mut self, reason: &aberra::Error) {
        self.missed_maps += 1;
        output::warning(&format!("no map: {reason}"));
    }
}

impl VolumeRow {
    fn new(volume: &Volume, verdict: &VolumeVerdict, map: Option<Option<PathBuf>>) -> Self {
        Self {
            card: VolumeCard::of(volume, verdict),
            verdict: verdict.anomalous().map(output::verdict),
            path: volume.name.clone(),
            map: map.map(|file| file.map(|file| file.to_string_lossy().into_owned())),
        }
    }
}

impl TableRow for CaseRow {
    fn columns(&self) -> impl Serialize {
        match self {
            Self::Volume(VolumeRow { card, verdict, path, map }) => Columns {
                score: card.score,
                p_value: card.p_value,
                threshold: card.threshold,
                verdict: *verdict,
                path,
                slices: Some(card.slices),
                empty: Some(card.empty),
                worst_slice: Some(card.worst.slice),
                worst_path: Some(&card.worst.path),
                worst_page: card.worst.page,
                map: map.as_ref().map(Option::as_deref),
            },
            Self::Image { row, has_map } => {
                let (card, verdict, path) = row.parts();
                Columns {
                    score: card.score,
                    p_value: card.p_value,
                    threshold: Some(card.threshold),
                    verdict: Some(verdict),
                    path,
                    map: has_map.then_some(None),
                    ..Columns::default()
                }
            }
        }
    }

    fn line(&self, is_first: bool) -> String {
        let cells = |cells: [&str; 7]| {
            let [score, p_value, threshold, verdict, slices, worst, path] = cells;
            format!(
                "{score:>12}  {p_value:>8}  {threshold:>12}  {verdict:<9}  {slices:>6}  {worst:>5}  {path}\n"
            )
        };
        let line = match self {
            Self::Volume(VolumeRow { card, verdict, path, .. }) => cells([
                &output::number(card.score),
                &output::p_value(card.p_value),
                &card.threshold.map_or("-".to_owned(), output::number),
                verdict.unwrap_or("-"),
                &(card.slices - card.empty - card.unreadable).to_string(),
                &card.worst.slice.to_string(),
                &printable(path),
            ]),
            Self::Image { row, .. } => {
                let (card, verdict, path) = row.parts();
                cells([
                    &output::number(card.score),
                    &output::p_value(card.p_value),
                    &output::number(card.threshold),
                    verdict,
                    "-",
                    "-",
                    &printable(path),
                ])
            }
        };
        let heading = cells(["score", "p-value", "threshold", "verdict", "slices", "worst", "path"]);
        if is_first { heading + &line } else { line }
    }
}

/// Maps are numbered, because volumes in different folders may have the same name.
fn map_path(folder: &Path, number: usize, volume: &str) -> PathBuf {
    // "scan/, series 2": the folder, and the number of the series.
    let volume = volume.replace("/, ", ", ");
    let name = Path::new(&volume).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = Path::new(stem).file_stem().unwrap_or_default();
    folder.join(file_name(&format!("{number:06}-"), stem, MAP_EXTENSION))
}
