//! The dataset room against the development data; skipped, saying so, where it is absent.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use aberra::dataset::{Dataset, GroupBy, Grouping, Inspection, OpenOptions, Split, SplitSettings, doctor};
use aberra::image::Limits;

/// The folder `name` of the development data, in `ABERRA_DATA` or beside the repository.
fn development_data(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("ABERRA_DATA").map_or_else(beside, PathBuf::from).join(name);
    let there = folder.is_dir();
    if !there {
        println!("skipped: no development data at {}", folder.display());
    }
    there.then_some(folder)
}

fn open(name: &str) -> Option<(Dataset, Inspection, Grouping)> {
    let dataset = Dataset::open(&development_data(name)?, &OpenOptions::default()).unwrap();
    let start = Instant::now();
    let inspection = dataset.inspect(&Limits::default());
    let decoded = start.elapsed();
    let grouping = Grouping::of(&dataset, &inspection, GroupBy::Near).unwrap();
    println!(
        "{name}: {} images, decoded in {decoded:.1?}, grouped in {:.1?}, threshold {:?}, {} groups",
        dataset.samples.len(),
        start.elapsed() - decoded,
        grouping.threshold,
        grouping.count
    );
    Some((dataset, inspection, grouping))
}

/// Pairwise precision and recall of `found` against `reference`, both sample -> group.
fn pairwise(found: &[usize], reference: &[usize]) -> (f64, f64) {
    let (mut both, mut in_found, mut in_reference) = (0u64, 0u64, 0u64);
    for a in 0..found.len() {
        for b in a + 1..found.len() {
            let (f, r) = (found[a] == found[b], reference[a] == reference[b]);
            both += u64::from(f && r);
            in_found += u64::from(f);
            in_reference += u64::from(r);
        }
    }
    (both as f64 / in_found as f64, both as f64 / in_reference as f64)
}

#[test]
fn brain_near_copies_match_the_reference() {
    let Some((dataset, inspection, grouping)) = open("brain-tumor-mri") else { return };
    let text = std::fs::read_to_string(dataset.root.join("groups.csv")).unwrap();
    let reference: HashMap<&str, usize> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.rsplit_once(','))
        .map(|(path, group)| (path, group.parse().unwrap()))
        .collect();
    assert!(inspection.unreadable().is_empty());
    let check = |wanted: &dyn Fn(usize) -> bool| {
        let samples: Vec<usize> = (0..dataset.samples.len()).filter(|&index| wanted(index)).collect();
        let found: Vec<usize> = samples.iter().map(|&index| grouping.group_of[index]).collect();
        let expected: Vec<usize> =
            samples.iter().map(|&index| reference[dataset.samples[index].name.as_str()]).collect();
        pairwise(&found, &expected)
    };
    let normals = check(&|index| dataset.samples[index].label.is_normal());
    let all = check(&|_| true);
    println!("precision, recall: normals {normals:.4?}, all {all:.4?}");
    let masks = dataset.samples.iter().filter(|sample| sample.mask.is_some()).count();
    println!("{masks} masks of {} anomalies", dataset.counts().1);
    let split = Split::of(&dataset, &inspection, &grouping, &SplitSettings::default()).unwrap();
    println!("{}", split.display(&dataset));
    let report = doctor(&dataset, &inspection, &grouping);
    println!("{report}");
    let leak = report.copies.across_parts.leak;
    assert!(leak.normal_leaked as f64 > 0.95 * leak.normal as f64, "{leak:?}");
    assert!(report.shortcuts[0].is_suspicious(), "{:?}", report.shortcuts[0]);
    assert!(normals.0 > 0.945 && normals.1 > 0.95, "{normals:?}");
    assert!(all.0 > 0.94 && all.1 > 0.95, "{all:?}");
    assert_eq!(masks, 928);
}

#[test]
fn tiles_do_not_collapse_into_one_group() {
    let Some((dataset, inspection, grouping)) = open("magnetic-tile") else { return };
    println!("{}", doctor(&dataset, &inspection, &grouping));
    let mut sizes: Vec<usize> = grouping.members().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    println!("largest groups {:?}", &sizes[sizes.len().saturating_sub(10)..]);
    assert!(sizes[sizes.len() - 1] * 20 < dataset.samples.len());
    assert_eq!(dataset.samples.iter().filter(|sample| sample.mask.is_some()).count(), dataset.counts().1);
}
