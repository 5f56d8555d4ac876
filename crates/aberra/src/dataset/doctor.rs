//! What is fine, what is wrong and what to do about a data set: the data of the report. Its text is in `doctor_text`.

use std::collections::{BTreeMap, BTreeSet};

use aberra_image::{ColorMode, Format};
use serde::Serialize;

use super::shortcut::{Shortcut, ShortcutPart, shortcuts};
use super::split::percent;
use super::{
    CloseLook, Dataset, DominatingGroup, FolderSplit, GroupBy, Grouping, Inspection, Leak, Skipped,
    SplitSettings, SplitSizes, smallest_rate,
};

/// Images with a shorter side are too small to say anything.
const SMALL_PX: usize = 8;

/// The doctor's report on a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DoctorReport {
    /// The folder.
    pub root: String,
    /// The layout, in words.
    pub layout: String,
    /// What was decided on the user's behalf when listing and decoding.
    pub notes: Vec<String>,
    /// What was passed over.
    pub skipped: Skipped,
    /// Number of samples.
    pub images: usize,
    /// Per label and given part.
    pub counts: Vec<Count>,
    /// Formats by content.
    pub formats: BTreeMap<Format, usize>,
    /// Colour modes.
    pub color_modes: BTreeMap<ColorMode, usize>,
    /// Bits per channel.
    pub bit_depths: BTreeMap<u8, usize>,
    /// Number of different sizes.
    pub distinct_sizes: usize,
    /// The most frequent sizes, up to five.
    pub sizes: Vec<Size>,
    /// Files that cannot be used, with the reason.
    pub unreadable: Vec<Named>,
    /// Files whose content is not what their name says, with what it is.
    pub misnamed: Vec<Named>,
    /// Images of one value throughout, or smaller than 8 pixels.
    pub empty: Vec<Named>,
    /// Copies within and across parts and labels.
    pub copies: Copies,
    /// How well properties of file, frame and device alone separate normals from anomalies, best first.
    pub shortcuts: Vec<Shortcut>,
    /// What they were measured on.
    pub shortcut_part: ShortcutPart,
    /// Masks of the anomalies.
    pub masks: Masks,
    /// What splits the normals support.
    pub support: Support,
    /// The verdict, the worst first.
    pub findings: Vec<Finding>,
}

/// Number of images of one label in one given part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// `normal`, or the kind of anomaly.
    pub label: String,
    /// The part that folders or a manifest name.
    pub folder_split: Option<FolderSplit>,
    /// Images.
    pub images: usize,
    /// Groups.
    pub groups: usize,
}

/// A size and how often it occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Images.
    pub images: usize,
}

/// A file and what is the matter with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The sample's name.
    pub name: String,
    /// What was found.
    pub found: String,
}

/// Copies of images.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Copies {
    /// What groups were made by.
    pub by: GroupBy,
    /// Similarity above which images counted as near-duplicates.
    pub threshold: Option<f32>,
    /// What comparing look-alikes closely found.
    pub close_look: Option<CloseLook>,
    /// Patients of DICOM files, the images of each of which are in one group.
    pub patients: usize,
    /// Groups.
    pub groups: usize,
    /// Groups that hold normals.
    pub normal_groups: usize,
    /// Groups of two or more images.
    pub groups_of_several: usize,
    /// Images in the largest group.
    pub largest_group: usize,
    /// The first image of the largest group.
    pub largest_group_example: Option<String>,
    /// Sets of images equal in every pixel.
    pub exact_sets: usize,
    /// Images in these sets.
    pub exact_images: usize,
    /// Groups, and sets of exact copies, that lie in both a given train and test part.
    pub across_parts: AcrossParts,
    /// Images equal in every pixel, one labelled normal and one anomalous: pairs of names.
    pub contradictory: Vec<(String, String)>,
    /// Near-duplicates of which one is labelled normal and one anomalous: pairs of names.
    pub near_contradictory: Vec<(String, String)>,
}

/// Copies across the parts that folders or a manifest name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AcrossParts {
    /// Groups in the test part and another.
    pub groups: usize,
    /// Sets of exact copies in the test part and another.
    pub exact_sets: usize,
    /// Test images with a copy in another part.
    pub leak: Leak,
}

/// Masks of the anomalies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Masks {
    /// Anomalous images.
    pub anomalous: usize,
    /// Of these, with a mask.
    pub found: usize,
}

/// What splits the normals support.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Support {
    /// Groups of readable normals.
    pub normal_groups: usize,
    /// Groups per part at a false-alarm rate of 5 % with a fifth for testing, if supported.
    pub sizes: Option<SplitSizes>,
    /// The smallest false-alarm rate with a fifth for testing.
    pub smallest_rate: Option<f64>,
    /// The smallest false-alarm rate when no normals are kept for testing.
    pub smallest_rate_without_test: Option<f64>,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// Results would be wrong or there would be none.
    Wrong,
    /// Worth knowing.
    Caution,
    /// As it should be.
    Fine,
}

/// A sentence of the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How grave.
    pub gravity: Gravity,
    /// What was found.
    pub text: String,
    /// What to do.
    pub advice: Option<String>,
}

/// Examines a data set. `grouping` is best made by near-duplicates.
pub fn doctor(dataset: &Dataset, inspection: &Inspection, grouping: &Grouping) -> DoctorReport {
    let samples = &dataset.samples;
    let seen = || (0..samples.len()).filter_map(|index| Some((index, inspection.get(index)?)));
    let name = |index: usize| samples[index].name.clone();
    let (mut formats, mut color_modes, mut bit_depths) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut size_counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (_, seen) in seen() {
        *formats.entry(seen.format).or_default() += 1;
        *color_modes.entry(seen.color_mode).or_default() += 1;
        *bit_depths.entry(seen.bit_depth).or_default() += 1;
        *size_counts.entry((seen.width, seen.height)).or_default() += 1;
    }
    let mut sizes: Vec<Size> =
        size_counts.iter().map(|(&(width, height), &images)| Size { width, height, images }).collect();
    sizes.sort_by_key(|size| std::cmp::Reverse(size.images));
    sizes.truncate(5);
    let unreadable = inspection.images.iter().enumerate();
    let unreadable = unreadable.filter_map(|(index, seen)| Some((index, seen.as_ref().err()?)));
    let misnamed = seen().filter(|(_, seen)| seen.is_misnamed);
    let empty = seen().filter_map(|(index, seen)| {
        let small = seen.width.min(seen.height) < SMALL_PX;
        let found = match (small, seen.is_constant()) {
            (true, _) => format!("{} x {} pixels", seen.width, seen.height),
            (_, true) => "the same value in every pixel".to_owned(),
            _ => return None,
        };
        Some(Named { name: name(index), found })
    });
    let normal_groups: BTreeSet<usize> = seen()
        .filter(|(index, _)| samples[*index].label.is_normal())
        .map(|(index, _)| grouping.group_of[index])
        .collect();
    let settings = SplitSettings::default();
    let support = Support {
        normal_groups: normal_groups.len(),
        sizes: SplitSizes::of(normal_groups.len(), &settings).ok(),
        smallest_rate: smallest_rate(normal_groups.len(), settings.test_share),
        smallest_rate_without_test: smallest_rate(normal_groups.len(), 0.0),
    };
    let anomalous = samples.iter().filter(|sample| !sample.label.is_normal());
    let masks = Masks {
        anomalous: anomalous.clone().count(),
        found: anomalous.filter(|sample| sample.mask.as_ref().is_some_and(|mask| mask.is_file())).count(),
    };
    let mut report = DoctorReport {
        root: dataset.root.display().to_string(),
        layout: dataset.layout.to_string(),
        notes: dataset.notes.iter().cloned().chain(inspection.remarks(dataset).lines()).collect(),
        skipped: dataset.skipped.clone(),
        images: samples.len(),
        counts: counts(dataset, grouping),
        formats,
        color_modes,
        bit_depths,
        distinct_sizes: size_counts.len(),
        sizes,
        unreadable: unreadable.map(|(index, why)| Named { name: name(index), found: why.clone() }).collect(),
        misnamed: misnamed
            .map(|(index, seen)| Named {
                name: name(index),
                found: format!("{:?}", seen.format).to_uppercase(),
            })
            .collect(),
        empty: empty.collect(),
        copies: copies(dataset, inspection, grouping, normal_groups.len()),
        shortcuts: shortcuts(dataset, inspection, grouping),
        shortcut_part: ShortcutPart::of(dataset),
        masks,
        support,
        findings: Vec::new(),
    };
    report.findings = findings(&report, grouping.dominating().map(|group| group.text(dataset)));
    report
}

fn counts(dataset: &Dataset, grouping: &Grouping) -> Vec<Count> {
    let mut counts: BTreeMap<_, (usize, BTreeSet<usize>)> = BTreeMap::new();
    for (sample, &group) in dataset.samples.iter().zip(&grouping.group_of) {
        let (images, groups) = counts.entry((&sample.label, sample.folder_split)).or_default();
        *images += 1;
        groups.insert(group);
    }
    counts
        .into_iter()
        .map(|((label, folder_split), (images, groups))| Count {
            label: label.to_string(),
            folder_split,
            images,
            groups: groups.len(),
        })
        .collect()
}

fn copies(dataset: &Dataset, inspection: &Inspection, grouping: &Grouping, normal_groups: usize) -> Copies {
    let samples = &dataset.samples;
    let is_test = |index: usize| samples[index].folder_split == Some(FolderSplit::Test);
    let is_learned = |index: usize| samples[index].folder_split.is_some() && !is_test(index);
    let straddles =
        |set: &[usize]| set.iter().any(|&index| is_test(index)) && set.iter().any(|&index| is_learned(index));
    let members = grouping.members();
    let largest = members.iter().rev().max_by_key(|members| members.len());
    let mut across = AcrossParts {
        groups: members.iter().filter(|members| straddles(members)).count(),
        exact_sets: grouping.exact.iter().filter(|set| straddles(set)).count(),
        leak: Leak::default(),
    };
    for members in &members {
        let leaked = usize::from(straddles(members));
        for &index in members.iter().filter(|&&index| is_test(index) && inspection.get(index).is_some()) {
            let leak = &mut across.leak;
            let (all, of_these) = if samples[index].label.is_normal() {
                (&mut leak.normal, &mut leak.normal_leaked)
            } else {
                (&mut leak.anomalous, &mut leak.anomalous_leaked)
            };
            *all += 1;
            *of_these += leaked;
        }
    }
    let pair = |a: usize, b: usize| {
        let (normal, anomalous) = if samples[a].label.is_normal() { (a, b) } else { (b, a) };
        (samples[normal].name.clone(), samples[anomalous].name.clone())
    };
    let differ = |a: usize, b: usize| samples[a].label.is_normal() != samples[b].label.is_normal();
    let contradictory = grouping.exact.iter().filter_map(|set| {
        let other = set.iter().find(|&&other| differ(set[0], other))?;
        Some(pair(set[0], *other))
    });
    let pixels = |index: usize| inspection.get(index).map(|seen| seen.fingerprint.pixels);
    let near = grouping.near.iter().filter(|&&(a, b)| differ(a, b) && pixels(a) != pixels(b));
    Copies {
        by: grouping.by,
        threshold: grouping.threshold,
        close_look: grouping.close_look,
        patients: grouping.patients,
        groups: grouping.count,
        normal_groups,
        groups_of_several: members.iter().filter(|members| members.len() > 1).count(),
        largest_group: largest.map_or(0, Vec::len),
        largest_group_example: largest.and_then(|members| Some(samples[*members.first()?].name.clone())),
        exact_sets: grouping.exact.len(),
        exact_images: grouping.exact.iter().map(Vec::len).sum(),
        across_parts: across,
        contradictory: contradictory.collect(),
        near_contradictory: near.map(|&(a, b)| pair(a, b)).collect(),
    }
}

fn findings(report: &DoctorReport, dominating: Option<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |gravity: Gravity, text: String, advice: &str| {
        let advice = (!advice.is_empty()).then(|| advice.to_owned());
        findings.push(Finding { gravity, text, advice });
    };
    use Gravity::{Caution, Fine, Wrong};
    let (copies, support) = (&report.copies, &report.support);
    if report.unreadable.len() == report.images {
        find(Wrong, "none of the images can be read".into(), "see the reasons above");
    } else if !report.unreadable.is_empty() {
        let text = format!(
            "{} of {} images cannot be read; they are left out",
            report.unreadable.len(),
            report.images
        );
        find(Caution, text, "replace or remove them");
    } else {
        find(Fine, format!("all {} images can be read", report.images), "");
    }
    if !report.misnamed.is_empty() {
        let text =
            format!("{} files are not what their names say; they are read by content", report.misnamed.len());
        find(Caution, text, "rename them if other programs are to read them");
    }
    if !report.empty.is_empty() {
        let text = format!("{} images are empty or too small to show anything", report.empty.len());
        find(Caution, text, "remove them: a detector would learn or flag emptiness");
    }
    if !report.skipped.unreachable.is_empty() {
        let text = format!(
            "{} places could not be entered (loops of links, permissions)",
            report.skipped.unreachable.len()
        );
        find(Caution, text, "see the list above");
    }

    if !copies.contradictory.is_empty() {
        let text = format!("{} images are labelled both normal and anomalous", copies.contradictory.len());
        find(Wrong, text, "decide which label is right and remove the other file");
    }
    if !copies.near_contradictory.is_empty() {
        let text = format!(
            "{} pairs of near-duplicates are labelled one normal, one anomalous",
            copies.near_contradictory.len()
        );
        find(Caution, text, "look at them: small anomalies are possible, wrong labels too");
    }
    let leak = copies.across_parts.leak;
    if leak.normal_leaked + leak.anomalous_leaked > 0 {
        let share = leak.normal_leaked as f64 / leak.normal.max(1) as f64;
        let gravity = if share > 0.01 { Wrong } else { Caution };
        let text = format!(
            "the given parts leak: {} of {} normal and {} of {} anomalous test images have a copy in another part",
            leak.normal_leaked, leak.normal, leak.anomalous_leaked, leak.anomalous
        );
        find(gravity, text, "do not keep these parts: the default split pools them and divides by group");
    } else if leak.normal + leak.anomalous > 0 {
        find(Fine, "no test image has a copy in another part".into(), "");
    }
    let multiple = copies.groups_of_several;
    if multiple > 0 {
        let text = format!(
            "the {} images are {} groups of copies; each group counts once",
            report.images, copies.groups
        );
        find(Fine, text, "");
    }
    if let Some(look) = copies.close_look.filter(|look| look.look_alikes + look.matched > 0) {
        let text = format!(
            "{} look-alikes compared closely: {} are copies; so are {} others",
            look.look_alikes, look.confirmed, look.matched
        );
        find(Fine, text, "");
    }
    if let Some(group) = dominating {
        find(Caution, group, DominatingGroup::HINT);
    }

    match (support.sizes, support.smallest_rate) {
        (Some(sizes), Some(smallest)) => {
            let text = format!(
                "{} groups of normals support a false-alarm rate of 5 % (train {}, fit {}, calibration {}, test {}); at the least {}",
                support.normal_groups,
                sizes.train,
                sizes.fit,
                sizes.calibration,
                sizes.test,
                percent(smallest)
            );
            find(Fine, text, "");
        }
        (_, Some(smallest)) => {
            let text = format!(
                "{} groups of normals are too few for a false-alarm rate of 5 %; the smallest they support is {}",
                support.normal_groups,
                percent(smallest)
            );
            find(Wrong, text, "add normal images, or accept that rate");
        }
        (_, None) => {
            let text = format!("{} groups of normals are too few to divide", support.normal_groups);
            find(Wrong, text, "add normal images");
        }
    }
    let suspicious: Vec<&Shortcut> =
        report.shortcuts.iter().filter(|shortcut| shortcut.is_suspicious()).collect();
    if let Some(worst) = suspicious.first() {
        let value = worst.value.as_ref().map(|value| format!(" {value}")).unwrap_or_default();
        let text = format!(
            "{} of {} shortcuts tell normals from anomalies without looking at the content; the best, {}{value}, has AUROC {:.2}",
            suspicious.len(),
            report.shortcuts.len(),
            worst.property.name(),
            worst.auroc
        );
        find(
            Caution,
            text,
            "keep foreground crop, square pad and intensity scaling on, and read every AUROC beside these",
        );
    } else if !report.shortcuts.is_empty() {
        find(Fine, "no property of file or frame tells normals from anomalies".into(), "");
    }
    if report.masks.anomalous == 0 {
        find(
            Caution,
            "there are no anomalies: a detector can be trained and calibrated, but not evaluated".into(),
            "",
        );
    } else if report.masks.found == 0 {
        find(Caution, "no masks were found: there will be no pixel metrics".into(), "");
    } else if report.masks.found < report.masks.anomalous {
        let text = format!(
            "{} of {} anomalies have a mask; pixel metrics use these",
            report.masks.found, report.masks.anomalous
        );
        find(Fine, text, "");
    } else {
        find(Fine, format!("all {} anomalies have a mask", report.masks.anomalous), "");
    }
    findings.sort_by_key(|finding| finding.gravity);
    findings
}
