//! Groups -> train, fit, calibration and test. Normals only in the first three; no group in two of them.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::{Dataset, FolderSplit, GroupBy, Grouping, Inspection};
use crate::random::{Stream, generator};
use crate::{Error, Result};

/// Most groups that the fit part takes.
const FIT_GROUPS: usize = 39;
/// The share of the groups outside the test part that the fit part takes when they are few.
const FIT_SHARE: f64 = 1.0 / 6.0;
/// The share of the groups outside the test part that the calibration part comes near.
const CALIBRATION_SHARE: f64 = 0.25;
/// Fewest groups that the fit part takes, as scorers need, and that training is left with.
const LEAST_FIT_GROUPS: usize = 8;

/// How to divide a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SplitSettings {
    /// Of every draw; in a detector's settings, their own seed.
    #[serde(skip)]
    pub seed: u64,
    /// The false-alarm rate that the calibration part is to support, above 0 and at most 0.5; in a detector's settings,
    /// their own promise.
    #[serde(skip)]
    pub rate: f64,
    /// What must stay together.
    pub by: GroupBy,
    /// The share of the normals' groups that the test part takes, 0 to 0.9.
    pub test_share: f64,
    /// How the parts that folders or a manifest name are treated.
    pub policy: SplitPolicy,
}

/// How the parts that folders or a manifest name are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SplitPolicy {
    /// They are pooled, and the groups divided again.
    #[default]
    Pool,
    /// They are kept, and their leak is reported.
    Layout,
}

/// One of several divisions whose test parts together hold every group of normals once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Number of this fold, from 0.
    pub index: usize,
    /// Number of folds.
    pub of: usize,
}

/// Numbers of groups of normals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SplitSizes {
    /// In the train part.
    pub train: usize,
    /// In the fit part.
    pub fit: usize,
    /// In the calibration part.
    pub calibration: usize,
    /// In the test part.
    pub test: usize,
}

/// Images of the test part that have a copy (by the grouping used) among those the detector learns from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Leak {
    /// Normal images in the test folder.
    pub normal: usize,
    /// Of these, with a copy in the train, fit or calibration folder.
    pub normal_leaked: usize,
    /// Anomalous images in the test folder.
    pub anomalous: usize,
    /// Of these, with a copy in the train, fit or calibration folder.
    pub anomalous_leaked: usize,
}

/// A division of a data set: numbers of samples, each list sorted.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Of every draw.
    pub seed: u64,
    /// The false-alarm rate that the calibration part supports.
    pub rate: f64,
    /// What was kept together.
    pub by: GroupBy,
    /// How the parts that folders name were treated.
    pub policy: SplitPolicy,
    /// Which fold it is, if it is one.
    pub fold: Option<Fold>,
    /// Normals to train on: all members of their groups.
    pub train: Vec<usize>,
    /// Normals to fit the scorers on and to watch in training: all members of their groups.
    pub fit: Vec<usize>,
    /// Normals to draw the threshold from: one per group.
    pub calibration: Vec<usize>,
    /// Normals and anomalies to test on: all members of their groups.
    pub test: Vec<usize>,
    /// Samples left aside: further members of the calibration part's groups; anomalies whose group also holds normals that
    /// the detector learns from; with given folders, what lies in none of them.
    pub unused: Vec<usize>,
    /// Samples whose image cannot be read.
    pub unreadable: Vec<usize>,
    /// Sample -> group.
    pub group_of: Vec<usize>,
    /// What given folders leak; `None` when they were pooled.
    pub leak: Option<Leak>,
}

impl Default for SplitSettings {
    fn default() -> Self {
        Self { seed: 0, rate: 0.05, by: GroupBy::Near, test_share: 0.2, policy: SplitPolicy::Pool }
    }
}

impl SplitSettings {
    pub(super) fn check(&self) -> Result<()> {
        if !(self.rate > 0.0 && self.rate <= 0.5) {
            return Err(Error::settings(format!(
                "expected a false-alarm rate above 0 and at most 0.5, found {}",
                self.rate
            ))
            .with_hint("5 % is 0.05"));
        }
        if !(0.0..=0.9).contains(&self.test_share) {
            return Err(Error::settings(format!(
                "expected a test share of 0 to 0.9, found {}",
                self.test_share
            )));
        }
        Ok(())
    }
}

impl SplitSizes {
    /// How `groups` groups of normals are divided.
    ///
    /// # Errors
    /// They are too few for the rate. The message holds the smallest rate that they support and the number needed.
    pub fn of(groups: usize, settings: &SplitSettings) -> Result<Self> {
        settings.check()?;
        Self::with_test(groups, test_groups(groups, settings.test_share), settings)
    }

    fn with_test(groups: usize, test: usize, settings: &SplitSettings) -> Result<Self> {
        let rest = groups - test;
        if least_calibration(settings.rate) > most_calibration(rest) {
            return Err(too_few(groups, test, settings));
        }
        let calibration = calibration_groups(rest, settings.rate);
        let fit = fit_groups(rest);
        Ok(Self { train: rest - calibration - fit, fit, calibration, test })
    }
}

/// The smallest false-alarm rate that `groups` groups of normals can support; `None` if they cannot be divided.
pub fn smallest_rate(groups: usize, test_share: f64) -> Option<f64> {
    let rest = groups - test_groups(groups, test_share.clamp(0.0, 0.9));
    let most = most_calibration(rest);
    (most > 0).then(|| 1.0 / (most + 1) as f64)
}

impl Split {
    /// Divides the groups of `grouping`, as `settings` say; `grouping` must have been made by `settings.by`.
    ///
    /// # Errors
    /// A setting is out of range, there are too few groups of normals for the rate, or given folders were to be kept
    /// and there are none.
    pub fn of(
        dataset: &Dataset,
        inspection: &Inspection,
        grouping: &Grouping,
        settings: &SplitSettings,
    ) -> Result<Self> {
        settings.check()?;
        match settings.policy {
            SplitPolicy::Pool => {
                let pool = Pool::new(dataset, inspection, grouping);
                let groups = pool.shuffled(settings.seed);
                let test = test_groups(groups.len(), settings.test_share);
                pool.divide(grouping, settings, &groups, 0..test, None)
            }
            SplitPolicy::Layout => by_layout(dataset, inspection, grouping, settings),
        }
    }

    /// Fold `fold.index` of `fold.of`: its normals are one of `fold.of` equal shares of the groups; the rest is
    /// divided as usual. Folders are pooled.
    ///
    /// # Errors
    /// As [`of`](Self::of), or there is no such fold.
    pub fn fold(
        dataset: &Dataset,
        inspection: &Inspection,
        grouping: &Grouping,
        settings: &SplitSettings,
        fold: Fold,
    ) -> Result<Self> {
        settings.check()?;
        if fold.of < 2 || fold.index >= fold.of {
            return Err(Error::settings(format!(
                "expected fold 0 to {} of at least 2, found {}",
                fold.of.max(2) - 1,
                fold.index
            )));
        }
        let pool = Pool::new(dataset, inspection, grouping);
        let groups = pool.shuffled(settings.seed);
        let bound = |index: usize| index * groups.len() / fold.of;
        pool.divide(grouping, settings, &groups, bound(fold.index)..bound(fold.index + 1), Some(fold))
    }

    /// Number of groups that some samples are from.
    pub fn groups_among(&self, samples: &[usize]) -> usize {
        samples.iter().filter_map(|&sample| self.group_of.get(sample)).collect::<BTreeSet<_>>().len()
    }

    /// Numbers of groups of normals in each part.
    pub fn sizes(&self, dataset: &Dataset) -> SplitSizes {
        let groups = |part: &[usize]| {
            let normal = part.iter().filter(|&&index| dataset.samples[index].label.is_normal());
            normal.map(|&index| self.group_of[index]).collect::<BTreeSet<_>>().len()
        };
        SplitSizes {
            train: groups(&self.train),
            fit: groups(&self.fit),
            calibration: groups(&self.calibration),
            test: groups(&self.test),
        }
    }

    fn empty(grouping: &Grouping, inspection: &Inspection, settings: &SplitSettings) -> Self {
        Self {
            seed: settings.seed,
            rate: settings.rate,
            by: grouping.by,
            policy: settings.policy,
            fold: None,
            train: Vec::new(),
            fit: Vec::new(),
            calibration: Vec::new(),
            test: Vec::new(),
            unused: Vec::new(),
            unreadable: inspection.unreadable(),
            group_of: grouping.group_of.clone(),
            leak: None,
        }
    }

    /// Sorts the lists and puts whatever is in none of them with the unused.
    fn finish(mut self) -> Self {
        let mut placed = vec![false; self.group_of.len()];
        for part in
            [&mut self.train, &mut self.fit, &mut self.calibration, &mut self.test, &mut self.unreadable]
        {
            part.sort_unstable();
            part.iter().for_each(|&index| placed[index] = true);
        }
        self.unused = (0..placed.len()).filter(|&index| !placed[index]).collect();
        self
    }
}

/// Readable members of a group, by label.
#[derive(Default)]
struct Members {
    normal: Vec<usize>,
    anomalous: Vec<usize>,
}

/// Groups -> members, of the samples that may be used.
struct Pool<'a> {
    members: BTreeMap<usize, Members>,
    inspection: &'a Inspection,
}

impl<'a> Pool<'a> {
    fn new(dataset: &Dataset, inspection: &'a Inspection, grouping: &Grouping) -> Self {
        Self::filtered(dataset, inspection, grouping, |_| true)
    }

    fn filtered(
        dataset: &Dataset,
        inspection: &'a Inspection,
        grouping: &Grouping,
        wanted: impl Fn(Option<FolderSplit>) -> bool,
    ) -> Self {
        let mut members: BTreeMap<usize, Members> = BTreeMap::new();
        for (index, sample) in dataset.samples.iter().enumerate() {
            if inspection.get(index).is_some() && wanted(sample.folder_split) {
                let of = members.entry(grouping.group_of[index]).or_default();
                if sample.label.is_normal() { of.normal.push(index) } else { of.anomalous.push(index) }
            }
        }
        Self { members, inspection }
    }

    /// The groups that hold normals, in the seed's order.
    fn shuffled(&self, seed: u64) -> Vec<usize> {
        let mut groups: Vec<usize> = self
            .members
            .iter()
            .filter(|(_, members)| !members.normal.is_empty())
            .map(|(&group, _)| group)
            .collect();
        groups.shuffle(&mut generator(seed, Stream::Split, 0));
        groups
    }

    /// All normals of `groups`.
    fn all(&self, groups: &[usize]) -> Vec<usize> {
        groups
            .iter()
            .filter_map(|group| self.members.get(group))
            .flat_map(|members| members.normal.clone())
            .collect()
    }

    /// All members of a group.
    fn whole(&self, group: usize) -> Vec<usize> {
        self.members
            .get(&group)
            .map_or_else(Vec::new, |members| [&members.normal[..], &members.anomalous].concat())
    }

    /// A random normal of each of `groups`.
    fn normals(&self, groups: &[usize], seed: u64) -> Vec<usize> {
        groups.iter().filter_map(|&group| self.representative(group, seed)).collect()
    }

    /// A random normal of a group.
    fn representative(&self, group: usize, seed: u64) -> Option<usize> {
        let normals = &self.members.get(&group)?.normal;
        let mut random = generator(seed, Stream::Representative, group as u64);
        (!normals.is_empty()).then(|| normals[random.random_range(0..normals.len() as u64) as usize])
    }

    /// Gives the groups at `test` of `groups` to the test part, with every group of anomalies only, and divides the rest.
    fn divide(
        &self,
        grouping: &Grouping,
        settings: &SplitSettings,
        groups: &[usize],
        test: std::ops::Range<usize>,
        fold: Option<Fold>,
    ) -> Result<Split> {
        let sizes = SplitSizes::with_test(groups.len(), test.len(), settings)?;
        let rest: Vec<usize> = [&groups[test.end..], &groups[..test.start]].concat();
        let (calibration, rest) = rest.split_at(sizes.calibration);
        let (fit, train) = rest.split_at(sizes.fit);
        let mut split = Split::empty(grouping, self.inspection, settings);
        split.policy = SplitPolicy::Pool;
        split.fold = fold;
        split.train = self.all(train);
        split.fit = self.all(fit);
        split.calibration = self.normals(calibration, settings.seed);
        let only_anomalies =
            self.members.iter().filter(|(_, members)| members.normal.is_empty()).map(|(&group, _)| group);
        for group in groups[test].iter().copied().chain(only_anomalies) {
            split.test.extend(self.whole(group));
        }
        Ok(split.finish())
    }
}

/// Keeps given parts; what is missing of fit and calibration comes out of the train folder's normals.
fn by_layout(
    dataset: &Dataset,
    inspection: &Inspection,
    grouping: &Grouping,
    settings: &SplitSettings,
) -> Result<Split> {
    let part = |wanted: FolderSplit| {
        Pool::filtered(dataset, inspection, grouping, move |given| given == Some(wanted))
    };
    let (train, fit, calibration, test) = (
        part(FolderSplit::Train),
        part(FolderSplit::Fit),
        part(FolderSplit::Calibration),
        part(FolderSplit::Test),
    );
    let groups = train.shuffled(settings.seed);
    if groups.is_empty() || test.members.is_empty() {
        let missing = if groups.is_empty() { "train folder with normal images" } else { "test folder" };
        return Err(Error::data(format!("expected to keep the given split, found no {missing}"))
            .with_path(&dataset.root)
            .with_hint("leave out `--split layout`, and the images are divided by group"));
    }
    let seed = settings.seed;
    let (given_fit, given_calibration) = (fit.shuffled(seed), calibration.shuffled(seed));
    let sizes = if given_calibration.is_empty() {
        SplitSizes::with_test(groups.len(), 0, settings)?
    } else if given_calibration.len() < least_calibration(settings.rate) {
        return Err(Error::data(format!(
            "a false-alarm rate of {} needs {} groups of normal images to calibrate on, found {}",
            percent(settings.rate),
            least_calibration(settings.rate),
            given_calibration.len()
        ))
        .with_hint(format!(
            "the smallest rate they support is {}",
            percent(1.0 / (given_calibration.len() + 1) as f64)
        )));
    } else {
        let fit = fit_groups(groups.len());
        SplitSizes { train: groups.len() - fit, fit, calibration: 0, test: 0 }
    };
    let mut split = Split::empty(grouping, inspection, settings);
    let (drawn_calibration, rest) = groups.split_at(sizes.calibration);
    let (drawn_fit, rest) = rest.split_at(if given_fit.is_empty() { sizes.fit } else { 0 });
    split.train = train.all(rest);
    split.fit = if given_fit.is_empty() { train.all(drawn_fit) } else { fit.all(&given_fit) };
    split.calibration = if given_calibration.is_empty() {
        train.normals(drawn_calibration, seed)
    } else {
        calibration.normals(&given_calibration, seed)
    };
    let learned: BTreeSet<usize> =
        [&groups, &given_fit, &given_calibration].into_iter().flatten().copied().collect();
    let mut leak = Leak::default();
    for (&group, members) in &test.members {
        split.test.extend(test.whole(group));
        let leaked = usize::from(learned.contains(&group));
        leak.normal += members.normal.len();
        leak.normal_leaked += members.normal.len() * leaked;
        leak.anomalous += members.anomalous.len();
        leak.anomalous_leaked += members.anomalous.len() * leaked;
    }
    split.leak = Some(leak);
    Ok(split.finish())
}

fn test_groups(groups: usize, share: f64) -> usize {
    let test = (groups as f64 * share).round() as usize;
    if share > 0.0 { test.max(1).min(groups) } else { 0 }
}

/// Fewest calibration scores from which a threshold for `rate` can be drawn: ceil(1 / rate) - 1.
pub(super) fn least_calibration(rate: f64) -> usize {
    ((1.0 / rate - 1e-9).ceil() as usize).saturating_sub(1).max(1)
}

/// Most groups that the calibration part may take of `rest`: half of them, and not those that fitting and training need.
fn most_calibration(rest: usize) -> usize {
    (rest / 2).min(rest.saturating_sub(2 * LEAST_FIT_GROUPS))
}

fn fit_groups(rest: usize) -> usize {
    ((rest as f64 * FIT_SHARE).ceil() as usize).clamp(LEAST_FIT_GROUPS, FIT_GROUPS)
}

/// The number n nearest a quarter of `rest` for which (n + 1) x rate is a whole number, so that no part of the promise
/// is lost to rounding; where there is none up to half of `rest`, the n that loses least.
fn calibration_groups(rest: usize, rate: f64) -> usize {
    let kept = |n: usize| {
        let alarms = (n + 1) as f64 * rate;
        let kept = (alarms + 1e-9).floor() / alarms;
        if kept > 1.0 - 1e-6 { 1.0 } else { kept }
    };
    let distance = |n: usize| (n as f64 - rest as f64 * CALIBRATION_SHARE).abs();
    (least_calibration(rate)..=most_calibration(rest))
        .min_by(|&a, &b| kept(b).total_cmp(&kept(a)).then(distance(a).total_cmp(&distance(b))))
        .unwrap_or(most_calibration(rest))
}

fn too_few(groups: usize, test: usize, settings: &SplitSettings) -> Error {
    // A share of all of them would leave none, however many groups there were.
    let share = if test < groups { test as f64 / groups as f64 } else { settings.test_share };
    let calibration = least_calibration(settings.rate);
    let least = (2 * calibration).max(calibration + 2 * LEAST_FIT_GROUPS);
    let needed =
        (least..).find(|&groups| groups - (groups as f64 * share).round() as usize >= least).unwrap_or(least);
    let rest = groups - test;
    let most = most_calibration(rest);
    let smallest = if most > 0 {
        format!("the smallest rate that {groups} groups support is {}", percent(1.0 / (most + 1) as f64))
    } else {
        "so few support no rate at all".to_owned()
    };
    Error::data(format!(
        "too few normal images: a false-alarm rate of {} needs {needed} groups of normal images that are not copies of each other, found {groups}",
        percent(settings.rate)
    ))
    .with_hint(match most {
        0 => format!("{smallest}; add normal images"),
        _ => format!("{smallest}; add normal images or raise the rate"),
    })
}

/// A share as a percentage, with as few digits as needed.
pub(crate) fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}
