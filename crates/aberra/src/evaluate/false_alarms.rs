//! False alarms among normals, over all of them and over one of each group.

use std::collections::BTreeMap;

use aberra_metrics::binomial::clopper_pearson;
use aberra_metrics::bootstrap::BootstrapSettings;
use aberra_metrics::random::{Stream, generator};
use rand::RngExt;

use super::evaluation::{FalseAlarms, Metric};

/// The false alarms among normals, each with its group and whether it is called anomalous.
pub(super) fn false_alarms(
    normals: impl Iterator<Item = (usize, bool)>,
    promised: Option<f64>,
    settings: BootstrapSettings,
    reason: &str,
) -> FalseAlarms {
    let mut groups: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
    normals.for_each(|(group, alarm)| groups.entry(group).or_default().push(alarm));
    let verdicts = || groups.values().flatten();
    let alarms = verdicts().filter(|&&alarm| alarm).count();
    let of_group = |(&group, alarms): (&usize, &Vec<bool>)| {
        let mut random = generator(settings.seed, Stream::Representative, group as u64);
        alarms[random.random_range(0..alarms.len() as u64) as usize]
    };
    let group_alarms = groups.iter().map(of_group).filter(|&alarm| alarm).count();
    let over_images = (!groups.is_empty()).then(|| alarms as f64 / verdicts().count() as f64);
    let interval = clopper_pearson(group_alarms as u64, groups.len() as u64, settings.confidence);
    FalseAlarms {
        promised,
        over_images: Metric::new(over_images, reason),
        over_groups: Metric::new(interval, reason),
        groups: groups.len(),
    }
}
