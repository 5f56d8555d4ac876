//! Split files: what is read fits the data set, and says the same when it is written and read again.

use std::fs;
use std::sync::OnceLock;

use aberra::dataset::{GroupBy, SplitPolicy};
use aberra::dataset::{Grouping, Inspection, Split, SplitSettings};
use rand_chacha::ChaCha8Rng;

use crate::fixture::fixture;
use crate::mutate::json_text;

const TOKENS: &[&str] = &[
    "train",
    "fit",
    "calibration",
    "test",
    "unused",
    "unreadable",
    "name",
    "group",
    "hash",
    "aberra split",
    "near",
    "exact",
    "none",
    "pool",
    "layout",
    "fold",
    "leak",
    "index",
    "of",
    "rate",
    "seed",
];

fn inspection() -> &'static Inspection {
    static SEEN: OnceLock<Inspection> = OnceLock::new();
    SEEN.get_or_init(|| fixture().dataset.inspect(&fixture().detector.config().limits))
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let dataset = &fixture().dataset;
    let seed = |settings: SplitSettings| {
        let grouping = Grouping::of(dataset, inspection(), settings.by).unwrap();
        let split = Split::of(dataset, inspection(), &grouping, &settings).unwrap();
        let path = fixture().folder.join("seed.json");
        split.write(&path, dataset, inspection()).unwrap();
        fs::read(path).unwrap()
    };
    let settings = SplitSettings { rate: 0.1, by: GroupBy::Exact, ..SplitSettings::default() };
    vec![
        seed(settings.clone()),
        seed(SplitSettings { policy: SplitPolicy::Layout, test_share: 0.0, ..settings }),
    ]
}

pub(super) fn mutate(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    json_text(rng, input, other, TOKENS)
}

pub(super) fn run(input: &[u8]) -> String {
    let dataset = &fixture().dataset;
    let path = fixture().written("split.json", input);
    let split = match Split::read(&path, dataset, inspection()) {
        Ok(split) => split,
        Err(error) => {
            assert_eq!(error.path(), Some(&*path));
            return error.to_string().replace(&*path.to_string_lossy(), "");
        }
    };
    let parts = [&split.train, &split.fit, &split.calibration, &split.test, &split.unused, &split.unreadable];
    let mut all: Vec<usize> = parts.into_iter().flatten().copied().collect();
    all.sort_unstable();
    assert_eq!(all, (0..dataset.samples.len()).collect::<Vec<_>>(), "not every sample once");
    let learned = [&split.train, &split.fit, &split.calibration];
    assert!(learned.into_iter().flatten().all(|&at| dataset.samples[at].label.is_normal()));
    assert!(split.rate > 0.0 && split.rate <= 0.5, "a rate of {}", split.rate);
    assert!(split.fold.is_none_or(|fold| fold.index < fold.of), "fold {:?}", split.fold);
    assert!(split.leak.is_none_or(|leak| leak.normal_leaked <= leak.normal), "leak {:?}", split.leak);
    let again = fixture().folder.join("again.json");
    split.write(&again, dataset, inspection()).unwrap();
    assert_eq!(Split::read(&again, dataset, inspection()).unwrap(), split);
    let sizes = split.sizes(dataset);
    format!("{:?} {:?} fold {:?} leak {:?} {sizes:?}", split.by, split.policy, split.fold, split.leak)
}
