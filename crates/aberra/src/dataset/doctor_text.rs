//! The doctor's report as human-readable text.

use std::fmt;

use aberra_metrics::text::printable;

use super::doctor::{DoctorReport, Gravity, Named};
use super::split::percent;
use super::walk::{describe_marked_folders, describe_others};

/// Most names listed in the text; all are in the data.
const LISTED: usize = 10;

impl fmt::Display for DoctorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.root, self.layout)?;
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        self.write_images(f)?;
        write_named(f, "cannot be read", &self.unreadable)?;
        write_named(f, "content differs from name", &self.misnamed)?;
        write_named(f, "empty or tiny", &self.empty)?;
        self.write_copies(f)?;
        if !self.shortcuts.is_empty() {
            let part = self.shortcut_part.name();
            writeln!(
                f,
                "\nshortcuts: AUROC of file, frame and device alone on {part}, one image per group and label"
            )?;
        }
        for shortcut in &self.shortcuts {
            let value = shortcut.value.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
            let direction =
                if shortcut.is_higher_in_anomalies { "anomalies higher" } else { "anomalies lower" };
            let name = format!("{}{value}", shortcut.property.name());
            writeln!(f, "  {name:<28} {:.3}  {direction}", shortcut.auroc)?;
        }
        writeln!(f, "\nverdict")?;
        for finding in &self.findings {
            let mark = match finding.gravity {
                Gravity::Wrong => "WRONG  ",
                Gravity::Caution => "caution",
                Gravity::Fine => "fine   ",
            };
            writeln!(f, "  {mark}  {}", finding.text)?;
            if let Some(advice) = &finding.advice {
                writeln!(f, "           -> {advice}")?;
            }
        }
        Ok(())
    }
}

impl DoctorReport {
    fn write_images(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} images", self.images)?;
        for count in &self.counts {
            let part = count.folder_split.map(|part| part.to_string()).unwrap_or_default();
            writeln!(f, "  {:<20} {part:<12} {:>7} in {} groups", count.label, count.images, count.groups)?;
        }
        let list = |pairs: Vec<String>| pairs.join(", ");
        let formats =
            self.formats.iter().map(|(format, n)| format!("{} {n}", format!("{format:?}").to_uppercase()));
        let modes =
            self.color_modes.iter().map(|(mode, n)| format!("{} {n}", format!("{mode:?}").to_lowercase()));
        let depths = self.bit_depths.iter().map(|(depth, n)| format!("{depth} bits {n}"));
        let sizes =
            self.sizes.iter().map(|size| format!("{} x {} ({})", size.width, size.height, size.images));
        writeln!(f, "  formats      {}", list(formats.collect()))?;
        writeln!(f, "  colour modes {}; {}", list(modes.collect()), list(depths.collect()))?;
        writeln!(
            f,
            "  sizes        {} different, most often {}",
            self.distinct_sizes,
            list(sizes.collect())
        )?;
        writeln!(f, "  masks        {} of {} anomalies", self.masks.found, self.masks.anomalous)?;
        if !self.skipped.other.is_empty() {
            writeln!(f, "  passed over  {}", describe_others(&self.skipped.other))?;
        }
        for files in &self.skipped.unsupported {
            writeln!(f, "  passed over  {files}")?;
        }
        if let Some(folders) = describe_marked_folders(&self.skipped.marked_folders) {
            writeln!(f, "  passed over  {folders}")?;
        }
        for line in &self.skipped.unreachable {
            writeln!(f, "  not entered  {line}")?;
        }
        Ok(())
    }

    fn write_copies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let copies = &self.copies;
        writeln!(f, "\ncopies (grouped by {})", copies.by)?;
        if let Some(threshold) = copies.threshold {
            writeln!(
                f,
                "  thumbnails of this set more similar than {threshold:.3}, over flips and quarter turns, are compared closely"
            )?;
        }
        if copies.patients > 0 {
            writeln!(
                f,
                "  the images of each of {} patients of DICOM files are in one group",
                copies.patients
            )?;
        }
        writeln!(
            f,
            "  {} groups, {} of several images; {} hold normals",
            copies.groups, copies.groups_of_several, copies.normal_groups
        )?;
        let example = printable(copies.largest_group_example.as_deref().unwrap_or_default());
        writeln!(f, "  largest group: {} images (like {example})", copies.largest_group)?;
        writeln!(f, "  equal in every pixel: {} images in {} sets", copies.exact_images, copies.exact_sets)?;
        let across = &copies.across_parts;
        if across.leak.normal + across.leak.anomalous > 0 {
            writeln!(
                f,
                "  in the test part and another: {} groups, {} sets of equal images",
                across.groups, across.exact_sets
            )?;
        }
        for (kind, pairs) in
            [("equal", &copies.contradictory), ("near-duplicates", &copies.near_contradictory)]
        {
            for (normal, anomalous) in pairs.iter().take(LISTED) {
                writeln!(f, "  {kind}, labelled differently: {normal} (normal), {anomalous} (anomalous)")?;
            }
            write_more(f, pairs.len())?;
        }
        let support = &self.support;
        if let Some(rate) = support.smallest_rate_without_test {
            writeln!(f, "  smallest false-alarm rate without a test part: {}", percent(rate))?;
        }
        Ok(())
    }
}

fn write_named(f: &mut fmt::Formatter<'_>, title: &str, named: &[Named]) -> fmt::Result {
    if named.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}: {}", named.len())?;
    for Named { name, found } in named.iter().take(LISTED) {
        writeln!(f, "  {name}: {found}")?;
    }
    write_more(f, named.len())
}

fn write_more(f: &mut fmt::Formatter<'_>, count: usize) -> fmt::Result {
    if count > LISTED { writeln!(f, "  ... and {} more", count - LISTED) } else { Ok(()) }
}
