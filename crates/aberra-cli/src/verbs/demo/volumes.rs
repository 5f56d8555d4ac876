//! The demonstration on volumes: trains on the slices of normal heads, then judges new heads as a whole and finds the slices of their
//! lesions.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use aberra::dataset::{Case, Volume, find_cases};
use aberra::models::measure::Want;
use aberra::output::{make_folder, write};
use aberra::phantom::{LesionKind, PhantomVolumes, VolumeShape, volume, write_volumes};
use aberra::run::RunFolder;
use aberra::wire::VolumeCard;
use aberra::{Detector, Training, TrainingRequest, VolumeMap};
use serde::Serialize;
use serde_json::json;

use super::setup::{DemoArgs, folder, settings};
use crate::args::NormalArgs;
use crate::data::Shown;
use crate::error::{CommandError, CommandResult};
use crate::steps::{card, training};
use crate::{interrupt, output};

/// Width and height of the slices, and their number.
const SHAPE: VolumeShape = VolumeShape { size_px: 96, slices: 22 };
/// Number of training volumes, unless another is given.
const NORMALS: usize = 60;
/// Number of new volumes without a lesion.
const NEW_NORMALS: usize = 8;
/// Slices within which the worst one counts as found.
const NEAR: usize = 2;

/// A new volume, what it shows and what was found.
#[derive(Serialize)]
struct Judged {
    path: String,
    /// The kind of its lesion; none for a normal.
    lesion: Option<&'static str>,
    /// The first and the last slice of the lesion, from 1.
    lesion_slices: Option<[usize; 2]>,
    /// Whether the slice with the largest score is within two of the lesion.
    slice_found: Option<bool>,
    #[serde(flatten)]
    card: VolumeCard,
    map: String,
}

pub(super) fn run(args: &DemoArgs) -> CommandResult {
    interrupt::listen();
    let started = Instant::now();
    // New volumes are drawn to test on.
    let config = settings(args, SHAPE.size_px, 0.0)?;
    let folder = folder(args)?;
    let phantoms = PhantomVolumes {
        seed: args.seed,
        shape: SHAPE,
        train_normals: args.normals.unwrap_or(NORMALS),
        test_normals: NEW_NORMALS,
        anomalies_per_kind: 1,
    };
    let volumes = folder.join("volumes");
    output::note(&format!("generating volumes in {}", volumes.display()));
    RunFolder::mark(&folder)?;
    write_volumes(&volumes, &phantoms)?;

    let how = NormalArgs { volumes: true, normal: vec!["*".to_owned()], ..NormalArgs::default() };
    let run = RunFolder::at(&folder.join("run"));
    let request = TrainingRequest::new(run.path().to_owned());
    let training = Training::prepare(&request, &config, &mut Shown(&volumes.join("train"), &how))?;
    let (trained, status) = training::watched(&config, |watch| training.run(watch))?;
    let detector = &trained.detector;

    let maps = folder.join("maps");
    make_folder(&maps)?;
    let judging = Instant::now();
    let judged = judge(detector, &volumes, &maps, &phantoms)?;
    let per_volume = judging.elapsed().as_secs_f64() / judged.len().max(1) as f64;
    let seconds = started.elapsed().as_secs_f64();
    if args.json.json {
        output::json(&json!({
            "folder": folder.to_string_lossy(),
            "volumes": volumes.to_string_lossy(),
            "maps": maps.to_string_lossy(),
            "detector": run.detector().to_string_lossy(),
            "duration_secs": seconds,
            "duration_secs_per_volume": per_volume,
            "info": card::describe(&run.detector(), detector)?,
            "judged": judged,
        }))?;
        return Ok(status);
    }
    output::data(&table(&judged))?;
    output::data("")?;
    output::data(&summary(&judged))?;
    output::data("")?;
    let mut rows = vec![
        ("duration", format!("{}, {per_volume:.2} s a volume", output::duration(seconds))),
        ("volumes", format!("{} (NIfTI, with masks in ground_truth/)", volumes.join("test").display())),
        ("maps", format!("{} (NIfTI on the grids of the volumes)", maps.display())),
        ("detector", run.detector().display().to_string()),
    ];
    rows.extend(card::volumes(detector).map(|volumes| ("judged by", volumes)));
    output::data(&output::aligned(&rows))?;
    output::hint(
        "continue with your own volumes: aberra train FOLDER --volumes --out runs/first, then aberra score \
         runs/first/detector.aberra NEW --maps maps/",
    );
    Ok(status)
}

/// Judges the new volumes, and writes their maps.
fn judge(
    detector: &Detector,
    volumes: &Path,
    maps: &Path,
    phantoms: &PhantomVolumes,
) -> Result<Vec<Judged>, CommandError> {
    let new = (0..phantoms.test_normals).map(|name| ("good", name, None));
    let with_lesion = LesionKind::ALL.iter().map(|&kind| (kind.name(), 0, Some(kind)));
    let files: Vec<(PathBuf, Option<LesionKind>)> = new
        .chain(with_lesion)
        .map(|(folder, name, kind)| {
            (volumes.join("test").join(folder).join(format!("{name:03}.nii.gz")), kind)
        })
        .collect();
    let limits = &detector.config().limits;
    let paths = files.iter().map(|(path, _)| path.clone()).collect();
    let found = find_cases(paths, limits);
    found.notes.iter().for_each(|note| output::note(note));
    let mut judged = Vec::new();
    for (index, (case, (path, kind))) in (phantoms.train_normals as u64..).zip(found.cases.iter().zip(&files))
    {
        let Case::Volume(found) = case else {
            return Err(CommandError::at(path, "expected a volume, found an image"));
        };
        let lesion = volume(phantoms.seed, index, phantoms.shape, *kind).lesion();
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let map = maps.join(format!("{folder}-{}", path.file_name().unwrap_or_default().to_string_lossy()));
        judged.push(judge_one(detector, found, kind.map(LesionKind::name).zip(Some(lesion)), &map)?);
    }
    Ok(judged)
}

fn judge_one(
    detector: &Detector,
    volume: &Volume,
    lesion: Option<(&'static str, Range<usize>)>,
    file: &Path,
) -> Result<Judged, CommandError> {
    let mut map = VolumeMap::new(volume);
    let mut put = Ok(());
    let verdict = detector.score_volume(volume, Want::MAP, |number, slice| {
        if let Ok(slice) = slice {
            put = std::mem::replace(&mut put, Ok(())).and_then(|()| map.put(number, slice));
        }
        std::ops::ControlFlow::Continue(())
    })?;
    put?;
    write(file, &map.to_nifti(&detector.config().limits)?)?;
    let slices = lesion.as_ref().map(|(_, slices)| slices.clone());
    let near = |slices: &Range<usize>| {
        (slices.start.saturating_sub(NEAR)..slices.end + NEAR).contains(&verdict.worst)
    };
    Ok(Judged {
        path: volume.name.clone(),
        lesion: lesion.map(|(kind, _)| kind),
        slice_found: slices.as_ref().map(near),
        lesion_slices: slices.map(|slices| [slices.start + 1, slices.end]),
        card: VolumeCard::of(volume, &verdict),
        map: file.to_string_lossy().into_owned(),
    })
}

fn table(judged: &[Judged]) -> String {
    let line = |cells: [&str; 6]| {
        let [shows, score, p_value, verdict, worst, lesion] = cells;
        format!("{shows:<18}  {score:>10}  {p_value:>7}  {verdict:<9}  {worst:>11}  {lesion:<12}")
            .trim_end()
            .to_owned()
    };
    let mut lines = vec![line(["shows", "score", "p-value", "verdict", "worst slice", "lesion on"])];
    lines.extend(judged.iter().map(|one| {
        line([
            one.lesion.unwrap_or("normal"),
            &output::number(one.card.score),
            &output::p_value(one.card.p_value),
            one.card.anomalous.map_or("-", output::verdict),
            &one.card.worst.slice.to_string(),
            &one.lesion_slices.map_or(String::new(), |[first, last]| format!("{first} to {last}")),
        ])
    }));
    lines.join("\n")
}

fn summary(judged: &[Judged]) -> String {
    let count = |which: &dyn Fn(&&Judged) -> bool| judged.iter().filter(which).count();
    let is_called = |one: &&Judged| one.card.anomalous == Some(true);
    let lesions = count(&|one| one.lesion.is_some());
    format!(
        "{} of {lesions} volumes with a lesion are called anomalous, {} of {} without one\n\
         the worst slice is within {NEAR} slices of the lesion in {} of {lesions}",
        count(&|one| one.lesion.is_some() && is_called(one)),
        count(&|one| one.lesion.is_none() && is_called(one)),
        judged.len() - lesions,
        count(&|one| one.slice_found == Some(true)),
    )
}
