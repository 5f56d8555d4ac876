//! Pixel-level metrics of error maps, in bounded memory for any number of pixels.
//!
//! Pixels are counted in bins of their order-preserving bit pattern: sign, exponent and the leading 12 bits of the
//! mantissa, so that a bin is at most 0.025 % wide. Pixels of one bin count as ties. What that can change at most is
//! computed from the counts themselves and returned with every number as its tolerance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bootstrap::{BootstrapSettings, GroupedLabels, bootstrap_band};
use crate::ranking::Confusion;
use crate::{Error, Result};

/// Leading bits of the ordered bit pattern that distinguish bins: 2^21 bins, 48 MiB for the three counts.
const BIN_BITS: u32 = 21;

/// Those of the bins in which an image's pixels are kept for intervals: at most 0.4 % wide.
const COARSE_BITS: u32 = 17;

/// The false-positive rate up to which AUPRO is usually integrated (Bergmann et al., *MVTec AD*, 2019).
pub const AUPRO_FPR_LIMIT: f64 = 0.3;

/// A number with its tolerance: a bound on the distance to the exact one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounded {
    /// The number with pixels of one bin as ties.
    pub value: f64,
    /// The exact number lies within `value` plus or minus this.
    pub tolerance: f64,
}

/// The maximum Dice that any threshold of the map reaches on the very pixels it is measured on: an oracle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OracleDice {
    /// Dice (the F1 of pixels) at `threshold`, exactly; the greatest of all thresholds exceeds it by at most the
    /// tolerance.
    pub dice: Bounded,
    /// Pixels above it are called anomalous.
    pub threshold: f32,
}

/// Counts of normal and anomalous pixels by their value in the error map, image by image.
#[derive(Clone, Debug)]
pub struct PixelTally {
    /// Leading bits that distinguish bins.
    bits: u32,
    normal: Vec<u64>,
    anomalous: Vec<u64>,
    /// Sum over anomalous pixels of 1 / size of their region.
    region_share: Vec<f64>,
    normals: u64,
    anomalies: u64,
    regions: u64,
}

impl Default for PixelTally {
    fn default() -> Self {
        Self::new()
    }
}

impl PixelTally {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::with_bits(BIN_BITS)
    }

    fn with_bits(bits: u32) -> Self {
        let bins = 1 << bits;
        Self {
            bits,
            normal: vec![0; bins],
            anomalous: vec![0; bins],
            region_share: vec![0.0; bins],
            normals: 0,
            anomalies: 0,
            regions: 0,
        }
    }

    /// Counts the pixels of one image: its error map and its mask (`true` = anomalous), both `[height, width]`. A normal
    /// image has a mask without anomalous pixels; an image whose mask is missing does not belong here. Returns its own counts,
    /// for [`pixel_intervals`].
    ///
    /// Add images in a fixed order: the overlap of regions is a sum of fractions, and its last bits depend on it.
    ///
    /// # Errors
    /// A data error where the sizes differ or a pixel is not finite; nothing is counted then.
    pub fn add(&mut self, map: &[f32], mask: &[bool], width: usize) -> Result<ImageTally> {
        if width == 0 || map.len() != mask.len() || !map.len().is_multiple_of(width) {
            return Err(Error::data(format!(
                "expected an error map and a mask of the same size in rows of {width} pixels, found {} and {} pixels",
                map.len(),
                mask.len()
            )));
        }
        if let Some(index) = map.iter().position(|value| !value.is_finite()) {
            return Err(Error::data(format!(
                "expected a finite error map, found {} in row {}, column {}",
                map[index],
                index / width,
                index % width
            )));
        }
        let regions = connected_regions(mask, width);
        self.regions += regions.sizes.len() as u64;
        let mut coarse: BTreeMap<u32, Counts> = BTreeMap::new();
        for (&value, &region) in map.iter().zip(&regions.of_pixel) {
            let bin = bin_of(value, self.bits);
            let counts = coarse.entry((bin >> (self.bits - COARSE_BITS)) as u32).or_default();
            if region == BACKGROUND {
                self.normal[bin] += 1;
                self.normals += 1;
                counts.normal += 1;
            } else {
                let share = 1.0 / regions.sizes[region as usize] as f64;
                self.anomalous[bin] += 1;
                self.anomalies += 1;
                self.region_share[bin] += share;
                counts.anomalous += 1;
                counts.region_share += share;
            }
        }
        Ok(ImageTally { bins: coarse.into_iter().collect(), regions: regions.sizes.len() as u32 })
    }

    /// Counts what was counted of one image; for tallies of the image's bins.
    fn add_counted(&mut self, image: &ImageTally) {
        for &(bin, Counts { normal, anomalous, region_share }) in &image.bins {
            let bin = bin as usize;
            self.normal[bin] += u64::from(normal);
            self.anomalous[bin] += u64::from(anomalous);
            self.region_share[bin] += region_share;
            self.normals += u64::from(normal);
            self.anomalies += u64::from(anomalous);
        }
        self.regions += u64::from(image.regions);
    }

    /// Number of normal pixels.
    pub fn normals(&self) -> u64 {
        self.normals
    }

    /// Number of anomalous pixels.
    pub fn anomalies(&self) -> u64 {
        self.anomalies
    }

    /// Number of anomalous regions: sets of anomalous pixels of one image that touch at sides or corners.
    pub fn regions(&self) -> u64 {
        self.regions
    }

    /// Area under the pixels' ROC curve. `None` without normal or without anomalous pixels.
    pub fn auroc(&self) -> Option<Bounded> {
        self.both_classes()?;
        let pairs = self.anomalies as f64 * self.normals as f64;
        // Twice the pairs in the right order, and the pairs within a bin, in whole numbers.
        let (mut twice_won, mut within, mut hits) = (0_u128, 0_u128, 0_u64);
        for (_, normal, anomalous) in self.falling() {
            twice_won += u128::from(normal) * u128::from(2 * hits + anomalous);
            within += u128::from(normal) * u128::from(anomalous);
            hits += anomalous;
        }
        Some(Bounded { value: twice_won as f64 / 2.0 / pairs, tolerance: within as f64 / 2.0 / pairs })
    }

    /// Average precision of the pixels. `None` without normal or without anomalous pixels.
    pub fn average_precision(&self) -> Option<Bounded> {
        self.both_classes()?;
        let (mut value, mut least, mut most) = (0.0, 0.0, 0.0);
        let (mut hits, mut alarms) = (0.0, 0.0);
        for (_, normal, anomalous) in self.falling() {
            let (normal, anomalous) = (normal as f64, anomalous as f64);
            if anomalous > 0.0 {
                value += anomalous * (hits + anomalous) / (hits + alarms + anomalous + normal);
                // At best all its anomalous pixels tie above all its normal ones ...
                most += anomalous * (hits + anomalous) / (hits + alarms + anomalous);
                // ... and at worst each lies alone below them: the integral of (hits + x) / (before + x) over x = 0..anomalous.
                let before = hits + alarms + normal;
                let above = alarms + normal;
                least += anomalous - if above > 0.0 { above * (anomalous / before).ln_1p() } else { 0.0 };
            }
            hits += anomalous;
            alarms += normal;
        }
        Some(bounded(value, least, most, hits))
    }

    /// Area under the per-region overlap curve, up to a false-positive rate of `fpr_limit` and divided by it, so that 1
    /// is perfect (Bergmann et al., 2019 and 2021: overlap averaged over all regions of all images, false-positive rate
    /// over all normal pixels of all images, linear interpolation at the limit).
    ///
    /// `None` without regions, without normal pixels, or for a limit that is not above 0 and at most 1.
    pub fn aupro(&self, fpr_limit: f64) -> Option<Bounded> {
        self.both_classes()?;
        if !(fpr_limit > 0.0 && fpr_limit <= 1.0) {
            return None;
        }
        let (mut area, mut doubt) = (0.0, 0.0);
        let (mut alarms, mut rate, mut overlap) = (0_u64, 0.0, 0.0);
        for (bin, normal, _) in self.falling() {
            alarms += normal;
            let next_rate = alarms as f64 / self.normals as f64;
            let next_overlap = overlap + self.region_share[bin] / self.regions as f64;
            let (rise, run) = (next_overlap - overlap, next_rate - rate);
            if next_rate >= fpr_limit {
                let part = if run > 0.0 { (fpr_limit - rate) / run } else { 0.0 };
                area += part * run * (overlap + rise * part / 2.0);
                doubt += part * run * rise;
                break;
            }
            area += run * (overlap + rise / 2.0);
            doubt += run * rise / 2.0;
            (rate, overlap) = (next_rate, next_overlap);
        }
        Some(Bounded { value: area / fpr_limit, tolerance: doubt / fpr_limit })
    }

    /// The maximum Dice over all thresholds, chosen with the masks. `None` without normal or anomalous pixels.
    pub fn best_dice(&self) -> Option<OracleDice> {
        self.both_classes()?;
        let (mut best, mut most) = ((0.0, f32::NAN), 0.0_f64);
        let (mut hits, mut alarms) = (0_u64, 0_u64);
        let dice = |hits: u64, alarms: u64| 2.0 * hits as f64 / (hits + alarms + self.anomalies) as f64;
        for (bin, normal, anomalous) in self.falling() {
            // Within a bin no threshold does better than to take all its anomalous pixels and no normal one.
            most = most.max(dice(hits + anomalous, alarms));
            hits += anomalous;
            alarms += normal;
            let value = dice(hits, alarms);
            if best.1.is_nan() || value > best.0 {
                best = (value, largest_below(bin, self.bits));
            }
        }
        Some(OracleDice {
            dice: Bounded { value: best.0, tolerance: (most - best.0).max(0.0) },
            threshold: best.1,
        })
    }

    fn both_classes(&self) -> Option<()> {
        (self.normals > 0 && self.anomalies > 0).then_some(())
    }

    /// Bin, normal and anomalous pixels of the bins that have any, from the highest value down.
    fn falling(&self) -> impl Iterator<Item = (usize, u64, u64)> + '_ {
        let counts = self.normal.iter().zip(&self.anomalous).enumerate().rev();
        counts.map(|(bin, (&normal, &anomalous))| (bin, normal, anomalous)).filter(|bin| bin.1 + bin.2 > 0)
    }
}

/// The pixels of one image, counted in coarse bins: some ten kilobytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageTally {
    /// The bins that have any pixel, rising.
    bins: Vec<(u32, Counts)>,
    regions: u32,
}

/// Pixels of one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    normal: u32,
    anomalous: u32,
    region_share: f64,
}

/// Ends, low and high, of the confidence intervals of pixel-level metrics.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelIntervals {
    /// Of the area under the pixels' ROC curve.
    pub auroc: [f64; 2],
    /// Of the average precision of the pixels.
    pub average_precision: [f64; 2],
    /// Of the area under the per-region overlap curve, up to [`AUPRO_FPR_LIMIT`].
    pub aupro: [f64; 2],
    /// Of Dice at a threshold.
    pub dice: [f64; 2],
}

/// Intervals of the metrics over resampled groups of images: the pixels of one image are no independent evidence. `images` (their
/// pixels, and the same against the threshold) and `labels` have one entry each per image; all pixels weigh alike.
///
/// `None` as for [`bootstrap_band`].
pub fn pixel_intervals(
    images: &[(ImageTally, Confusion)],
    labels: GroupedLabels<'_>,
    settings: BootstrapSettings,
) -> Option<PixelIntervals> {
    let figures = |drawn: &[f64], _: &[bool], _: Option<&[f64]>| {
        let (mut tally, mut confusion) = (PixelTally::with_bits(COARSE_BITS), Confusion::default());
        for (image, at_threshold) in drawn.iter().map(|&number| &images[number as usize]) {
            tally.add_counted(image);
            confusion += *at_threshold;
        }
        let bounded = [tally.auroc()?, tally.average_precision()?, tally.aupro(AUPRO_FPR_LIMIT)?];
        Some(bounded.map(|figure| figure.value).into_iter().chain([confusion.f1()?]).collect())
    };
    // What is drawn is the images' numbers.
    let numbers: Vec<f64> = (0..images.len()).map(|image| image as f64).collect();
    match bootstrap_band(&numbers, labels, settings, figures)?[..] {
        [auroc, average_precision, aupro, dice] => {
            Some(PixelIntervals { auroc, average_precision, aupro, dice })
        }
        _ => None,
    }
}

/// The bin of a finite value: the leading `bits` of its bit pattern, turned so that larger values have larger patterns.
fn bin_of(value: f32, bits: u32) -> usize {
    // Adding 0.0 makes -0.0 and 0.0 one value.
    let pattern = (value + 0.0).to_bits();
    let ordered = if pattern >> 31 == 1 { !pattern } else { pattern | 1 << 31 };
    (ordered >> (32 - bits)) as usize
}

/// The largest value below all values of a bin.
fn largest_below(bin: usize, bits: u32) -> f32 {
    let ordered = ((bin as u32) << (32 - bits)).wrapping_sub(1);
    let bits = if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered };
    let value = f32::from_bits(bits);
    // Below the bin of 0.0 lies -0.0, which equals it.
    if value == 0.0 { 0.0_f32.next_down() } else { value }
}

fn bounded(value: f64, least: f64, most: f64, count: f64) -> Bounded {
    Bounded { value: value / count, tolerance: (most - value).max(value - least).max(0.0) / count }
}

const BACKGROUND: u32 = u32::MAX;

struct Regions {
    /// The region of each pixel, or [`BACKGROUND`].
    of_pixel: Vec<u32>,
    /// Pixels of each region.
    sizes: Vec<u32>,
}

/// Sets of `true` pixels that touch at sides or corners, numbered in reading order.
fn connected_regions(mask: &[bool], width: usize) -> Regions {
    let height = mask.len() / width;
    let mut regions = Regions { of_pixel: vec![BACKGROUND; mask.len()], sizes: vec![] };
    let mut waiting = vec![];
    for start in 0..mask.len() {
        if !mask[start] || regions.of_pixel[start] != BACKGROUND {
            continue;
        }
        let region = regions.sizes.len() as u32;
        let mut size = 0;
        regions.of_pixel[start] = region;
        waiting.push(start);
        while let Some(pixel) = waiting.pop() {
            size += 1;
            let (row, column) = (pixel / width, pixel % width);
            for row in row.saturating_sub(1)..(row + 2).min(height) {
                for column in column.saturating_sub(1)..(column + 2).min(width) {
                    let neighbour = row * width + column;
                    if mask[neighbour] && regions.of_pixel[neighbour] == BACKGROUND {
                        regions.of_pixel[neighbour] = region;
                        waiting.push(neighbour);
                    }
                }
            }
        }
        regions.sizes.push(size);
    }
    regions
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::random::{Stream, generator};
    use crate::ranking;

    #[test]
    fn bins_keep_the_order_of_values() {
        let values = [
            f32::MIN,
            -1e30,
            -2.0,
            -1.0,
            -1e-30,
            0.0,
            f32::MIN_POSITIVE,
            1e-30,
            0.5,
            1.0,
            1.01,
            2.0,
            f32::MAX,
        ];
        let bin_of = |value| bin_of(value, BIN_BITS);
        assert!(values.windows(2).all(|pair| bin_of(pair[0]) < bin_of(pair[1])));
        assert_eq!(bin_of(0.0), bin_of(-0.0));
        for value in values {
            let below = largest_below(bin_of(value), BIN_BITS);
            assert!(below < value && (value == f32::MIN || bin_of(below) < bin_of(value)), "{value} {below}");
        }
    }

    #[test]
    fn touching_corners_are_one_region() {
        #[rustfmt::skip]
        let mask = [
            true,  false, false, true,
            false, true,  false, true,
            false, false, false, false,
            true,  true,  false, true,
        ];
        let regions = connected_regions(&mask, 4);
        assert_eq!(regions.sizes, [2, 2, 2, 1]);
        assert_eq!(regions.of_pixel[0], regions.of_pixel[5]);
        assert_eq!(regions.of_pixel[11], BACKGROUND);
    }

    #[test]
    fn a_hand_computed_case() {
        // One row: region of one pixel at 4, region of two pixels at 3 and 1, two normal pixels at 2 and 0.
        let mut tally = PixelTally::new();
        tally.add(&[4.0, 2.0, 3.0, 1.0, 0.0], &[true, false, true, true, false], 5).unwrap();
        assert_eq!((tally.regions(), tally.normals(), tally.anomalies()), (2, 2, 3));
        let auroc = tally.auroc().unwrap();
        assert!((auroc.value - 5.0 / 6.0).abs() < 1e-15 && auroc.tolerance == 0.0);
        let precision = tally.average_precision().unwrap();
        assert!((precision.value - (1.0 + 1.0 + 0.75) / 3.0).abs() < 1e-15);
        // Overlap 1/2 at 4, 3/4 at 3, rate 1/2 at 2; then 1 at 1. Up to 0.5: 3/8; up to 1: 3/8 + 1/2.
        assert!((tally.aupro(0.5).unwrap().value - 0.75).abs() < 1e-15);
        assert!((tally.aupro(1.0).unwrap().value - 0.875).abs() < 1e-15);
        assert!((tally.aupro(0.3).unwrap().value - 0.75).abs() < 1e-15);
        let best = tally.best_dice().unwrap();
        assert!((best.dice.value - 6.0 / 7.0).abs() < 1e-15);
        assert!(best.threshold < 1.0 && best.threshold > 0.0);
    }

    #[test]
    fn tolerances_hold_the_exact_numbers() {
        for (case, spread) in [(0, 1.0_f32), (1, 1e-3), (2, 1e-5), (3, 0.0)] {
            let mut random = generator(5, Stream::Lesion, case);
            let (mut tally, mut scores, mut truth) = (PixelTally::new(), vec![], vec![]);
            for _ in 0..4 {
                let mask: Vec<bool> = (0..900).map(|_| random.random_range(0..10_u32) == 0).collect();
                let map: Vec<f32> = mask
                    .iter()
                    .map(|&anomalous| {
                        1.0 + spread * (random.random::<f32>() + if anomalous { 0.3 } else { 0.0 })
                    })
                    .collect();
                tally.add(&map, &mask, 30).unwrap();
                scores.extend(map.iter().map(|&value| f64::from(value)));
                truth.extend(mask);
            }
            let within = |bounded: Bounded, exact: f64| {
                assert!(
                    (bounded.value - exact).abs() <= bounded.tolerance + 1e-12,
                    "{spread}: {bounded:?} {exact}"
                );
            };
            within(tally.auroc().unwrap(), ranking::auroc(&scores, &truth, None).unwrap());
            within(
                tally.average_precision().unwrap(),
                ranking::average_precision(&scores, &truth, None).unwrap(),
            );
            let best = tally.best_dice().unwrap();
            within(best.dice, ranking::f1_max(&scores, &truth, None).unwrap().f1);
            let at = ranking::Confusion::at(&scores, &truth, f64::from(best.threshold)).unwrap();
            assert!((at.f1().unwrap() - best.dice.value).abs() < 1e-15);
            if spread == 1.0 {
                assert!(tally.auroc().unwrap().tolerance < 1e-3);
                assert!(tally.average_precision().unwrap().tolerance < 1e-2);
                assert!(tally.aupro(AUPRO_FPR_LIMIT).unwrap().tolerance < 1e-3);
            }
        }
    }

    struct MadeUp {
        tally: PixelTally,
        images: Vec<(ImageTally, Confusion)>,
        anomalous: Vec<bool>,
        groups: Vec<u64>,
    }

    /// Images of 400 pixels, every second one with a region of a tenth of them, whose values are `shift` above the others'.
    /// The threshold is 2.
    fn made_up(images: usize, shift: f32, seed: u64) -> MadeUp {
        let mut tally = PixelTally::new();
        let mut random = generator(seed, Stream::Lesion, 1);
        let image = |number: usize| {
            let mask: Vec<bool> = (0..400).map(|at| number % 2 == 1 && at < 40).collect();
            // Images differ more than pixels do.
            let level = random.random::<f32>();
            let value = |&anomalous: &bool| {
                1.0 + level + 0.3 * random.random::<f32>() + if anomalous { shift } else { 0.0 }
            };
            let map: Vec<f32> = mask.iter().map(value).collect();
            let mut confusion = Confusion::default();
            map.iter().zip(&mask).for_each(|(&value, &anomalous)| confusion.count(value > 2.0, anomalous));
            (tally.add(&map, &mask, 20).unwrap(), confusion)
        };
        let counted = (0..images).map(image).collect();
        MadeUp {
            tally,
            images: counted,
            anomalous: (0..images).map(|image| image % 2 == 1).collect(),
            groups: (0..images as u64).collect(),
        }
    }

    #[test]
    fn intervals_hold_what_other_images_give_as_often_as_they_say() {
        let settings = BootstrapSettings { resamples: 200, confidence: 0.9, ..BootstrapSettings::default() };
        let MadeUp { tally: truth, images, .. } = made_up(4_000, 0.4, 1_000);
        let mut all = Confusion::default();
        images.iter().for_each(|(_, confusion)| all += *confusion);
        let truth = [truth.auroc(), truth.average_precision(), truth.aupro(AUPRO_FPR_LIMIT)];
        let truth = truth.map(|figure| figure.unwrap().value);
        let truth = [truth[0], truth[1], truth[2], all.f1().unwrap()];
        let mut held = [0; 4];
        for seed in 0..60 {
            let MadeUp { tally, images, anomalous, groups } = made_up(60, 0.4, seed);
            let labels = GroupedLabels { anomalous: &anomalous, groups: &groups, weights: None };
            let found = pixel_intervals(&images, labels, settings).unwrap();
            let own = tally.auroc().unwrap().value;
            assert!(found.auroc[0] < own && own < found.auroc[1]);
            assert_eq!(pixel_intervals(&images, labels, settings), Some(found));
            let ends = [found.auroc, found.average_precision, found.aupro, found.dice];
            for ((held, [low, high]), truth) in held.iter_mut().zip(ends).zip(truth) {
                *held += u32::from((low..=high).contains(&truth));
            }
        }
        assert!(held.iter().all(|held| (46..=59).contains(held)), "of 60 at 90 %: {held:?}");
    }

    #[test]
    fn groups_are_drawn_whole_and_coarse_bins_change_little() {
        let settings = BootstrapSettings { resamples: 300, ..BootstrapSettings::default() };
        let MadeUp { tally, images, anomalous, groups } = made_up(80, 0.2, 3);
        let width = |groups: &[u64]| {
            let labels = GroupedLabels { anomalous: &anomalous, groups, weights: None };
            let [low, high] = pixel_intervals(&images, labels, settings).unwrap().auroc;
            high - low
        };
        // Forty images alike are one piece of evidence.
        let halves: Vec<u64> = groups.iter().map(|group| group % 2).collect();
        assert!(width(&groups) > 0.02 && width(&halves) == 0.0);
        let mut coarse = PixelTally::with_bits(COARSE_BITS);
        images.iter().for_each(|(image, _)| coarse.add_counted(image));
        assert_eq!((coarse.normals(), coarse.regions()), (tally.normals(), tally.regions()));
        let near =
            |a: Option<Bounded>, b: Option<Bounded>| (a.unwrap().value - b.unwrap().value).abs() < 0.005;
        assert!(near(coarse.auroc(), tally.auroc()) && near(coarse.aupro(0.3), tally.aupro(0.3)));
        assert!(near(coarse.average_precision(), tally.average_precision()));
    }

    #[test]
    fn what_cannot_be_computed_is_none_or_refused() {
        let mut tally = PixelTally::new();
        assert!(tally.add(&[1.0, f32::NAN], &[true, false], 2).is_err_and(|error| error.is_data()));
        assert!(tally.add(&[1.0, 2.0], &[true], 1).is_err());
        assert!(tally.add(&[1.0, 2.0], &[true, false], 0).is_err());
        assert!(tally.add(&[1.0, 2.0, 3.0], &[true, false, true], 2).is_err());
        assert_eq!(tally.normals() + tally.anomalies(), 0);
        tally.add(&[1.0, 2.0], &[false, false], 2).unwrap();
        assert!(tally.auroc().is_none() && tally.average_precision().is_none());
        assert!(tally.aupro(0.3).is_none() && tally.best_dice().is_none());
        tally.add(&[1.0, 2.0], &[true, false], 2).unwrap();
        assert!(tally.aupro(0.0).is_none() && tally.aupro(f64::NAN).is_none());
    }
}
