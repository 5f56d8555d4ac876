//! From a data set to a detector: split, fit the members, fit the scorers, calibrate.

use std::time::Instant;

use aberra_metrics::calibrate::{Criterion, groups_needed};
use aberra_metrics::weights::group_weights;
use aberra_models::measure::Want;
use aberra_models::train::{
    Checkpoints, Observe, Plan, Progress, Schedule, SelectionCriterion, TrainSettings,
};
use aberra_models::{FitContext, Fitted, Inputs, Judge, Platform, Shape, SharedMember, Tensors};

use crate::calibrating::Calibrated;
use crate::canvas::Canvas;
use crate::checked_config::CheckedConfig;
use crate::compute::{self, AutoPrecision};
use crate::config::TrainConfig;
use crate::dataset::{Dataset, GroupBy, Grouping, Inspection, Sketch, Split, percent, similarity_threshold};
use crate::detector::{Detector, Document, MemberProvenance, Normal, Part, PartSize, Provenance};
use crate::job::{Event, Job};
use crate::judge::{SyntheticJudge, draw_training_anomaly, synthetic_evidence};
use crate::member_settings::MemberSettings;
use crate::members::{Measured, Members, NamedMember};
use crate::resume::{self, KeptMember};
use crate::run::{History, RunFolder, Snapshots};
use crate::score::{Evidence, FittedScorer, Normals};
use crate::thumbnail::shrink;
use crate::training_settled::{Settled, settle};
use crate::training_tiles::{Cache, Seen, TrainingTiles};
use crate::{Error, Result, output};

/// Options of training besides data and settings.
#[derive(Default)]
pub struct TrainOptions<'a> {
    /// An existing split; by default one is made according to the settings.
    pub split: Option<&'a Split>,
    /// An earlier inspection of the images, so that they are not read again.
    pub inspection: Option<&'a Inspection>,
    /// Weights from elsewhere, which the only member takes as they are in place of a fit.
    pub weights: Option<&'a Tensors>,
    /// The watcher, and where history, snapshots and checkpoints go.
    pub job: Job<'a>,
}

impl Detector {
    /// Fits a detector to the normals of a data set.
    ///
    /// # Errors
    /// Too few normals, files that cannot be read.
    pub fn train(dataset: &Dataset, config: &CheckedConfig) -> Result<Self> {
        Self::train_with(dataset, config, TrainOptions::default())
    }

    /// Fits a detector to the normals of a data set, with a split, a run folder or an observer given.
    ///
    /// # Errors
    /// As [`train`](Self::train); also a run folder that cannot be written, and a stop on request.
    pub fn train_with(dataset: &Dataset, config: &CheckedConfig, options: TrainOptions<'_>) -> Result<Self> {
        let platform = config.platform(&compute::cpu())?;
        let TrainOptions { split, inspection, weights, mut job } = options;
        let inspected;
        let inspection = match inspection {
            Some(inspection) => inspection,
            None => {
                inspected = dataset.inspect(&config.limits);
                &inspected
            }
        };
        inspection.check_normals(dataset)?;
        let config = config.for_channels(&inspection.channels(dataset)?)?;
        let config = config.resolved(|| Ok(AutoPrecision::of_machine()?.precision))?;
        let divided;
        let split = match split {
            Some(split) => split,
            None => {
                let grouping = Grouping::of(dataset, inspection, config.split.by)?;
                divided = Split::of(dataset, inspection, &grouping, &config.split_settings())?;
                &divided
            }
        };
        check_promise(&config, split)?;
        let given = config.clone();
        let Settled { config, tiles_limited, colors } = &settle(config, dataset, &split.train)?;
        colors.map_or(Ok(()), |found| job.tell_in_training(Event::Colors(found)))?;
        let canvas = Canvas::of(&config.preprocessing)?;
        let cache = Cache::of(config, &canvas);
        let train = load(dataset, &split.group_of, &split.train, config, canvas.shape(), cache.images)?;
        let held_out = load(dataset, &split.group_of, &split.fit, config, canvas.shape(), cache.held_out)?;
        let calibration =
            load(dataset, &split.group_of, &split.calibration, config, canvas.shape(), cache.images)?;
        let train_tiles = TrainingTiles::of(&canvas, train.len(), config.seed);
        let held_out_tiles = TrainingTiles::held_out(&canvas, held_out.len(), config.seed);
        let (learnt, watched) =
            (train_tiles.cut(&train, cache.tiles)?, held_out_tiles.cut(&held_out, cache.tiles)?);
        if let Some(&tiling) = canvas.tiling() {
            job.tell_in_training(Event::Tiles { tiling, seen: train_tiles.seen, limited: *tiles_limited })?;
        }
        // Every check has passed once the checkpoints have: from here on the run folder changes.
        if let Some(folder) = job.folder {
            if job.resume {
                let before = resume::check(folder, config, &platform, learnt.get(), watched.get())?;
                before.map_or(Ok(()), |before| job.tell_in_training(longer(before, &config.train)))?;
            } else {
                resume::forget(folder, config)?;
            }
            output::write(&folder.settings(), given.to_toml()?.as_bytes())?;
            split.write(&folder.split(), dataset, inspection)?;
        }

        let mut members = Vec::new();
        let mut fitted_members = Vec::new();
        for settings in config.members() {
            let fitted = match weights {
                Some(weights) => adopt(settings, weights, &platform, learnt.get())?,
                None => fit_member(settings, config, &platform, learnt.get(), watched.get(), &mut job)?,
            };
            members.push(NamedMember {
                name: settings.name.clone(),
                family: settings.family.name().to_owned(),
                member: fitted.member.clone(),
            });
            fitted_members.push(MemberProvenance {
                parameters: fitted.member.parameter_count(),
                best_epoch: fitted.epoch,
                standardized_shift: fitted.standardized_shift,
            });
        }
        let members = Members::new(members, canvas.clone(), None).with_weighed_maps(&held_out)?;
        let held_out_measured = members.measure_all(&held_out, Want::MAP)?;
        let anomalies = synthetic_evidence(&members, &held_out, &held_out_measured, config.seed)?;
        let fit_weights = weights_of(split, &split.fit);
        let scorers = fit_scorers(config, &members, &held_out_measured, &fit_weights, &anomalies)?;
        let scorer = scorers
            .iter()
            .find(|scorer| scorer.name() == config.scorer)
            .ok_or_else(|| Error::settings(format!("there is no scorer {}", config.scorer)))?;
        drop((learnt, watched));
        let members = refit(members, config, &platform, dataset, split, &cache)?;
        let mut measured = members.measure_all(&train, Want::MEASUREMENTS)?;
        let held_out_measured = members.measure_all(&held_out, Want::MEASUREMENTS)?;
        let rate = config.promise.false_alarm_rate;
        let criterion = Criterion::Conformal { rate, confidence: config.promise.confidence };
        let calibrated = Calibrated::on(&calibration, &members, scorer, criterion, rate)?;

        let thumbnails =
            config.keep_thumbnails.then(|| thumbnails(&[&train, &held_out, &calibration])).transpose()?;
        measured.extend(held_out_measured);
        measured.extend(calibrated.measured);
        let parts =
            [(Part::Train, &split.train), (Part::Fit, &split.fit), (Part::Calibration, &split.calibration)];
        let samples = parts.iter().flat_map(|(part, samples)| samples.iter().map(|&index| (*part, index)));
        let normals = samples.zip(&measured).map(|((part, index), measured)| {
            let fingerprint = inspection.get(index).map(|seen| &seen.fingerprint).ok_or_else(|| {
                Error::data("an image of the split could not be read").with_path(&dataset.samples[index].path)
            })?;
            Ok(Normal { part, sketch: Sketch::of(fingerprint), evidence: measured.evidence.clone() })
        });
        let normals = normals.collect::<Result<Vec<_>>>()?;
        let embeddings = embeddings(measured, members.all().len());
        let size =
            |members: &[usize]| PartSize { images: members.len(), groups: split.groups_among(members) };
        let document = Document {
            config: config.with_backbone_named(),
            measurements: members.descriptors().iter().map(|one| one.name.clone().into_owned()).collect(),
            map_weights: members.map_weights().map(<[f64]>::to_vec),
            scorers,
            calibration: calibrated.calibration,
            pixel_threshold: calibrated.pixel_threshold,
            provenance: Provenance {
                aberra_version: env!("CARGO_PKG_VERSION").to_owned(),
                dataset: dataset.name(),
                train: size(&split.train),
                fit: size(&split.fit),
                calibration: size(&split.calibration),
                calibrated_on: None,
                imported_from: None,
                device: Some(compute::CPU.to_owned()),
                backbone: members.backbone().map(|backbone| backbone.hash().to_owned()),
                members: fitted_members,
            },
            normals,
            near_copy_similarity: similarity_threshold(
                inspection,
                &split.train,
                (split.by == GroupBy::Near).then_some(&split.group_of[..]),
            ),
            kl_per_dimension: calibrated.kl_per_dimension,
            volumes: None,
        };
        Self::assemble(document, members, embeddings, thumbnails).with_volumes_of(dataset, split, &mut job)
    }
}

/// Rejects before training a guarantee that calibration would reject after it.
fn check_promise(config: &CheckedConfig, split: &Split) -> Result<()> {
    let promise = config.promise;
    let needed = groups_needed(promise.false_alarm_rate, promise.confidence)?;
    let found = split.calibration.len();
    if found >= needed {
        return Ok(());
    }
    let with = promise.confidence.map(|confidence| format!(" with {} confidence", percent(confidence)));
    let text = format!(
        "a false-alarm rate of {}{} needs {needed} groups of normal images to calibrate on, found {found}",
        percent(promise.false_alarm_rate),
        with.unwrap_or_default()
    );
    Err(Error::data(text).with_hint("add normal images, raise --rate, or leave out --confidence"))
}

/// That a training which had ended goes on, and what that makes different.
fn longer(before: usize, train: &TrainSettings) -> Event<'static> {
    Event::Longer {
        before,
        is_as_at_once: train.schedule == Schedule::Constant
            && before.is_multiple_of(train.check_every_epochs),
    }
}

/// Some samples, preprocessed.
pub(crate) fn load<'a>(
    dataset: &'a Dataset,
    group_of: &[usize],
    samples: &'a [usize],
    config: &'a TrainConfig,
    shape: Shape,
    cache_bytes: usize,
) -> Result<Inputs<'a>> {
    let read = move |index: usize| {
        let sample = &dataset.samples[samples[index]];
        Ok(sample.preprocessed(&config.preprocessing, &config.limits)?.pixels)
    };
    let groups = samples.iter().map(|&sample| group_of[sample]).collect();
    Ok(Inputs::new(samples.len(), shape, cache_bytes, read)?.with_groups(groups))
}

/// A member with weights from elsewhere.
fn adopt(
    settings: &MemberSettings,
    weights: &Tensors,
    platform: &Platform,
    normals: &Inputs<'_>,
) -> Result<Fitted> {
    let outer = normals.shape();
    let normals = Seen::by(normals, settings)?;
    let fitted = settings.family.adopt(&settings.settings, weights.clone(), platform, normals.get())?;
    Ok(Fitted { member: settings.within(fitted.member, outer), ..fitted })
}

/// Fits one member, with what a run folder keeps of it.
fn fit_member(
    settings: &MemberSettings,
    config: &CheckedConfig,
    platform: &Platform,
    train: &Inputs<'_>,
    held_out: &Inputs<'_>,
    job: &mut Job<'_>,
) -> Result<Fitted> {
    let family = settings.family;
    let (folder, resume) = (job.folder, job.resume);
    let seed = settings.seed.unwrap_or(config.seed);
    let outer = train.shape();
    let (train, held_out) = (Seen::by(train, settings)?, Seen::by(held_out, settings)?);
    let (train, held_out) = (train.get(), held_out.get());
    let kept = folder.map(|folder| KeptMember::of(folder, settings, config, platform, train, held_out));
    let finished = kept.as_ref().and_then(KeptMember::finished);
    if let (Some(finished), true) = (&finished, resume)
        && let Some(fitted) = finished.read(|tensors| settings.load(outer, tensors, platform))?
    {
        return Ok(fitted);
    }
    let judged = config.train.criterion == SelectionCriterion::Synthetic;
    let judge = judged.then(|| SyntheticJudge::new(held_out, config.own_scorer(), seed)).transpose()?;
    let judge =
        judge.map(|judge| move |member: SharedMember| judge.shift(&settings.name, family.name(), member));
    let mut checkpoints = kept.as_ref().map(KeptMember::checkpoint);
    let mut keeper = kept.as_ref().map(|kept| Keeper::new(kept, config, held_out));
    let mut epoch_started: Option<Instant> = None;
    let (mut steps, mut steps_per_epoch) = ((0, 0), 0);
    let mut observe = |progress: Progress<'_>| {
        let progress = match progress {
            Progress::Start(plan) => {
                if let Some(keeper) = &mut keeper {
                    tell_unless_kept(keeper.start(&plan), job);
                }
                epoch_started = Some(Instant::now());
                steps = (plan.steps_done, plan.steps_done);
                steps_per_epoch = plan.steps_per_epoch;
                Progress::Start(plan)
            }
            Progress::Step { epoch, step, loss } => {
                steps.1 = step;
                Progress::Step { epoch, step, loss }
            }
            Progress::Epoch { record, replaced, preview } => {
                let elapsed = epoch_started.replace(Instant::now()).map(|started| started.elapsed());
                let images = train.len() * (steps.1 - steps.0) / steps_per_epoch.max(1);
                steps.0 = steps.1;
                let mut record = record.clone();
                record.images_per_s = elapsed.map(|elapsed| images as f64 / elapsed.as_secs_f64());
                if let Some(keeper) = &mut keeper {
                    tell_unless_kept(keeper.keep(&record, replaced, preview), job);
                }
                let told = Progress::Epoch { record: &record, replaced, preview };
                return Ok(job.tell(Event::Fit { member: &settings.name, progress: told }));
            }
            other => other,
        };
        Ok(job.tell(Event::Fit { member: &settings.name, progress }))
    };
    let observe: &mut Observe<'_> = &mut observe;
    let mut context = FitContext {
        seed,
        device: platform.device.clone(),
        backbone: platform.backbone.clone(),
        instructions: compute::instructions()?,
        train: config.training().clone(),
        observe,
        checkpoints: checkpoints.as_mut().map(|file| file as &mut dyn Checkpoints),
        resume,
        judge: judge.as_ref().map(|judge| judge as &Judge<'_>),
        draw_anomaly: Some(draw_training_anomaly),
    };
    let fitted = family.fit(&settings.settings, &mut context, train, held_out)?;
    let fitted = Fitted { member: settings.within(fitted.member, outer), ..fitted };
    if let Some(finished) = finished {
        finished.write(&fitted)?;
    }
    Ok(fitted)
}

/// The members, those that ignore held-out normals fitted again to the normals of the fit split too: the more normals, the
/// better they describe what is normal. The scorers have been fitted by then, to evidence on images that no member had seen.
fn refit(
    members: Members,
    config: &CheckedConfig,
    platform: &Platform,
    dataset: &Dataset,
    split: &Split,
    cache: &Cache,
) -> Result<Members> {
    if !config.members().iter().any(|settings| settings.family.ignores_held_out()) {
        return Ok(members);
    }
    let samples = [&split.train[..], &split.fit[..]].concat();
    let canvas = members.canvas().clone();
    let normals = load(dataset, &split.group_of, &samples, config, canvas.shape(), cache.images)?;
    let seen = TrainingTiles::of(&canvas, normals.len(), config.seed).cut(&normals, cache.tiles)?;
    let normals = seen.get();
    let again = |(named, settings): (&NamedMember, &MemberSettings)| {
        if !settings.family.ignores_held_out() {
            return Ok(named.clone());
        }
        let mut observe = |_: Progress<'_>| Ok(std::ops::ControlFlow::Continue(()));
        let mut context = FitContext {
            seed: settings.seed.unwrap_or(config.seed),
            device: platform.device.clone(),
            backbone: platform.backbone.clone(),
            instructions: compute::instructions()?,
            train: config.training().clone(),
            observe: &mut observe,
            checkpoints: None,
            resume: false,
            judge: None,
            draw_anomaly: Some(draw_training_anomaly),
        };
        let outer = normals.shape();
        let normals = Seen::by(normals, settings)?;
        let normals = normals.get();
        let member = settings.family.fit(&settings.settings, &mut context, normals, normals)?.member;
        Ok(NamedMember { member: settings.within(member, outer), ..named.clone() })
    };
    let refitted = members.all().iter().zip(config.members()).map(again).collect::<Result<_>>()?;
    let map_weights = members.map_weights().map(<[f64]>::to_vec);
    Ok(Members::new(refitted, canvas.clone(), map_weights))
}

/// The records of a member's training in a run folder: epochs and snapshots.
struct Keeper<'a> {
    folder: &'a RunFolder,
    member: Option<&'a str>,
    history: Option<History>,
    snapshots: Snapshots,
    held_out: &'a Inputs<'a>,
}

impl<'a> Keeper<'a> {
    fn new(kept: &KeptMember<'a>, config: &TrainConfig, held_out: &'a Inputs<'a>) -> Self {
        let (folder, member) = (kept.folder, kept.name);
        let color = config.preprocessing.shown_as();
        let (wanted, epochs) = (config.train.snapshots, config.train.epochs);
        let snapshots = Snapshots { folder: folder.samples(member), wanted, epochs, color };
        Self { folder, member, history: None, snapshots, held_out }
    }

    /// Opens the records, and drops what follows the finished epochs.
    fn start(&mut self, plan: &Plan) -> Result<()> {
        let epochs_done = plan.epochs_done;
        self.snapshots.epochs = plan.epochs;
        let (path, events) = (self.folder.history(self.member), self.folder.events(self.member));
        self.history = Some(History::open(path, &events, epochs_done)?);
        self.snapshots.forget_after(epochs_done)
    }

    fn keep(
        &mut self,
        record: &aberra_models::train::EpochRecord,
        replaced: Option<usize>,
        preview: &aberra_models::train::Preview<'_>,
    ) -> Result<()> {
        let written = self.history.as_mut().map_or(Ok(()), |history| history.write(record));
        self.snapshots.keep(record.epoch, record.best, replaced, preview, self.held_out).and(written)
    }
}

/// Training goes on without records and snapshots that cannot be written; the observer receives each.
fn tell_unless_kept(kept: Result<()>, job: &mut Job<'_>) {
    if let Err(error) = kept {
        // Whether to stop is asked after every step.
        let _asked = job.tell(Event::NotKept { error: &error });
    }
}

/// The weights of normals: those of a group share a weight of 1.
fn weights_of(split: &Split, normals: &[usize]) -> Vec<f64> {
    let groups: Vec<u64> = normals.iter().map(|&index| split.group_of[index] as u64).collect();
    group_weights(&groups, &vec![false; normals.len()])
}

/// Every scorer that the fit split's normals support; the detector's own must be among them.
fn fit_scorers(
    config: &CheckedConfig,
    members: &Members,
    normals: &[Measured],
    weights: &[f64],
    anomalies: &[Evidence],
) -> Result<Vec<FittedScorer>> {
    let evidence: Vec<_> = normals.iter().map(|one| one.evidence.clone()).collect();
    let maps: Vec<Vec<f32>> = match config.scorers().iter().any(|scorer| scorer.needs_map()) {
        true => normals.iter().map(|one| one.map.clone().unwrap_or_default()).collect(),
        false => Vec::new(),
    };
    let normals = Normals {
        maps: &maps,
        weights: Some(weights),
        anomalies,
        ..Normals::new(members.descriptors(), &evidence)
    };
    let mut fitted = Vec::new();
    for &scorer in config.scorers() {
        match FittedScorer::fit(scorer, &normals) {
            Ok(scorer) => fitted.push(scorer),
            Err(error) if scorer.name() == config.scorer => return Err(error),
            Err(_) => {}
        }
    }
    Ok(fitted)
}

/// For each member the embeddings of all images, where it has an embedding space.
pub(crate) fn embeddings(measured: Vec<Measured>, members: usize) -> Vec<Option<Vec<Vec<f32>>>> {
    let mut embeddings: Vec<Option<Vec<Vec<f32>>>> = vec![Some(Vec::with_capacity(measured.len())); members];
    for image in measured {
        for (all, inference) in embeddings.iter_mut().zip(image.inferences) {
            match (all.as_mut(), inference.embedding) {
                (Some(rows), Some(embedding)) => rows.push(embedding.mean),
                _ => *all = None,
            }
        }
    }
    embeddings
}

/// Thumbnails of all images, one after another.
pub(crate) fn thumbnails(parts: &[&Inputs<'_>]) -> Result<Vec<f32>> {
    /// Images held in memory at once.
    const CHUNK: usize = 64;
    let mut thumbnails = Vec::new();
    for inputs in parts {
        let shape: Shape = inputs.shape();
        inputs.chunks(CHUNK, |pixels| {
            thumbnails.extend(pixels.iter().flat_map(|pixels| shrink(pixels, shape)));
            Ok(())
        })?;
    }
    Ok(thumbnails)
}
