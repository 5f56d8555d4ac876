//! A training as a user asks for it: settings, a folder of images, perhaps a run folder. What lies between these and the
//! detector's file stands here once for all doors; the fit itself is `Detector::train_with`.

use std::path::PathBuf;

use aberra_image::Limits;

use crate::checked_config::CheckedConfig;
use crate::compute::{AutoPrecision, instructions};
use crate::dataset::{Dataset, DominatingGroup, Fold, Grouping, Inspection, Split};
use crate::fit::TrainOptions;
use crate::job::{Job, Watch};
use crate::run::{Claim, Reservation, RunFolder};
use crate::training_invalid::{FoundInvalid, found_invalid};
use crate::{Detector, Result};

/// Where the result of a training goes, and what it goes on from.
#[derive(Clone, Debug)]
pub struct TrainingRequest {
    /// The run folder; `None` keeps nothing.
    pub out: Option<PathBuf>,
    /// How what the run folder holds already is treated.
    pub claim: Claim,
    /// A split that was written before; by default that of the run which is resumed, or else one is made by the settings.
    pub split: Option<PathBuf>,
    /// The fold of a cross-validation to test on, where a split is made.
    pub fold: Option<Fold>,
}

/// A door's part in a training: it reads the images its own way, with progress, and passes on what a user should know.
pub trait TrainingImages {
    /// Lists the samples.
    ///
    /// # Errors
    /// The data cannot be understood.
    fn open(&mut self) -> Result<Dataset>;

    /// Inspects every image.
    ///
    /// # Errors
    /// No image can be used, or a request to stop.
    fn inspect(&mut self, dataset: &Dataset, limits: &Limits) -> Result<Inspection>;

    /// Hears what a user should know, in the order in which it is found.
    fn hear(&mut self, message: Message);
}

/// What a user should know of the data and their split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// How the images were divided: a table.
    Split(String),
    /// What was decided on the user's behalf.
    Note(String),
    /// What weakens the result.
    Warning {
        /// What it is.
        text: String,
        /// What to do about it.
        hint: Option<&'static str>,
    },
}

/// A training that is ready to run: settings are checked, images inspected and divided. Nothing has been written yet.
#[derive(Debug)]
pub struct Training {
    config: CheckedConfig,
    dataset: Dataset,
    inspection: Inspection,
    split: Split,
    reservation: Option<Reservation>,
    resume: bool,
}

/// What a training has made, and of what.
#[derive(Debug)]
#[non_exhaustive]
pub struct TrainedDetector {
    /// The detector, as its file holds it.
    pub detector: Detector,
    /// The data.
    pub dataset: Dataset,
    /// How they were divided.
    pub split: Split,
    /// The run folder, locked until it is dropped.
    pub folder: Option<RunFolder>,
}

impl TrainingRequest {
    /// A new run in the run folder `out`.
    pub fn new(out: PathBuf) -> Self {
        Self { out: Some(out), claim: Claim::New, split: None, fold: None }
    }

    /// The file with the settings of the run that is resumed, which lie below all that are given.
    pub fn kept_settings(&self) -> Option<PathBuf> {
        self.resumed().map(|folder| folder.settings()).filter(|file| file.is_file())
    }

    fn resumed(&self) -> Option<RunFolder> {
        self.out.as_deref().filter(|_| self.claim == Claim::Resume).map(RunFolder::at)
    }

    fn divide(
        &self,
        config: &CheckedConfig,
        dataset: &Dataset,
        inspection: &Inspection,
        data: &mut dyn TrainingImages,
    ) -> Result<Split> {
        if let Some(file) = self.split.clone().or_else(|| self.resumed().map(|folder| folder.split())) {
            return Split::read(&file, dataset, inspection);
        }
        let grouping = Grouping::of(dataset, inspection, config.split.by)?;
        if let Some(group) = grouping.dominating() {
            data.hear(Message::Warning { text: group.text(dataset), hint: Some(DominatingGroup::HINT) });
        }
        let settings = config.split_settings();
        match self.fold {
            Some(fold) => Split::fold(dataset, inspection, &grouping, &settings, fold),
            None => Split::of(dataset, inspection, &grouping, &settings),
        }
    }
}

impl Training {
    /// Checks that the run folder can be written, reads the images, and divides them. `auto` in the settings is resolved here, so
    /// that a run which is resumed on another machine uses the same precision.
    ///
    /// # Errors
    /// A run folder that the claim does not fit or that holds images, those of `data`, too few normal images, a split that is not
    /// of these images.
    pub fn prepare(
        request: &TrainingRequest,
        config: &CheckedConfig,
        data: &mut dyn TrainingImages,
    ) -> Result<Self> {
        instructions()?;
        let reserve = |out: &PathBuf| RunFolder::reserve(out, request.claim);
        let reservation = request.out.as_ref().map(reserve).transpose()?;
        let dataset = data.open()?;
        let inspection = data.inspect(&dataset, &config.limits)?;
        for text in inspection.check_normals(&dataset)?.lines() {
            data.hear(Message::Warning { text, hint: None });
        }
        let channels = inspection.channels(&dataset)?;
        let config = config.for_channels(&channels)?.resolved(|| {
            let auto = AutoPrecision::of_machine()?;
            if let Some(remark) = &auto.remark {
                let text =
                    format!("the precision auto is {}: {}; {remark}", auto.precision.name(), auto.reason);
                data.hear(Message::Warning { text, hint: Some("set model.precision to choose it yourself") });
            }
            Ok(auto.precision)
        })?;
        if let Some(text) = config.preprocessing.shown_in_words() {
            data.hear(Message::Note(text));
        }
        let split = request.divide(&config, &dataset, &inspection, data)?;
        data.hear(Message::Split(split.display(&dataset).to_string()));
        if let Some(FoundInvalid { text, hint }) = found_invalid(&dataset, &split.train, &config)? {
            data.hear(match hint {
                None => Message::Note(text),
                Some(_) => Message::Warning { text, hint },
            });
        }
        let aside = split.left_aside(&dataset);
        if aside.is_much {
            let (images, reasons) = (aside.images, aside.reasons.join("; "));
            let text = format!("{images} of {} images are left aside: {reasons}", dataset.samples.len());
            data.hear(Message::Warning { text, hint: aside.hint });
        }
        let resume = request.claim == Claim::Resume;
        Ok(Self { config, dataset, inspection, split, reservation, resume })
    }

    /// Trains the detector, and saves it where there is a run folder; it is the one that the file holds.
    ///
    /// # Errors
    /// As [`Detector::train_with`]; a run folder in which nothing was written yet is gone again. A detector that cannot be
    /// written.
    pub fn run(self, watch: &mut Watch<'_>) -> Result<TrainedDetector> {
        let Self { config, dataset, inspection, split, reservation, resume } = self;
        let folder = reservation.map(Reservation::open).transpose()?;
        let options = TrainOptions {
            split: Some(&split),
            inspection: Some(&inspection),
            weights: None,
            job: Job { folder: folder.as_ref(), resume, ..Job::watched(watch) },
        };
        let trained = match Detector::train_with(&dataset, &config, options) {
            Ok(trained) => trained,
            Err(error) => {
                folder.into_iter().for_each(RunFolder::give_back);
                return Err(error);
            }
        };
        let detector = match &folder {
            None => Detector::from_bytes(&trained.to_bytes()?)?,
            Some(folder) => {
                let file = folder.detector();
                trained.save(&file).map_err(|error| match error.hint() {
                    Some(_) => error.with_hint("the training is kept: make room, and --resume finishes it"),
                    None => error,
                })?;
                Detector::load(&file)?
            }
        };
        Ok(TrainedDetector { detector, dataset, split, folder })
    }
}
