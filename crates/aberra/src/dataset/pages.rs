//! Takes the pages of a file, or the slices of volumes, as samples of their own, where that is asked for.

use std::collections::HashMap;
use std::path::PathBuf;

use aberra_image::{Limits, count_pages};
use rayon::prelude::*;

use super::remarks::counted;
use super::series::At;
use super::volumes::{Volume, empty_left_out, find};
use super::{Dataset, InVolume, Sample};

impl Dataset {
    /// The same data with a sample for every page of full resolution of every file. The pages of a file are a group, where it
    /// has none; a mask counts if it has as many pages. A file that cannot be read stays as it is.
    pub fn by_page(mut self, limits: &Limits) -> Self {
        let pages = |sample: &Sample| count_pages(&sample.path, limits).unwrap_or(1);
        let counts: Vec<u32> = self.samples.par_iter().map(pages).collect();
        let (mut samples, mut several, mut without_masks) = (Vec::new(), Vec::new(), Vec::new());
        for (sample, count) in self.samples.into_iter().zip(counts) {
            if count < 2 {
                samples.push(sample);
                continue;
            }
            let pages = PagesOf::of(&sample, count, limits, &mut without_masks);
            samples.extend((0..count).map(|page| pages.page(page)));
            several.push(sample.name);
        }
        self.samples = samples;
        self.note(
            &several,
            "file of several pages, each an image of its own",
            "files of several pages, each an image of its own",
        );
        self.note_masks(&without_masks);
        self
    }

    /// The same data with a sample for every slice of every volume, in the order in which the slices lie, without those that show
    /// nothing but air: the images of a file of several, and the files of a DICOM series, whose overviews are dropped. The
    /// slices of a volume are a group, where they have none. A file that cannot be read stays as it is.
    pub fn by_volume(mut self, limits: &Limits) -> Self {
        let names: Vec<String> = self.samples.iter().map(|sample| sample.name.clone()).collect();
        let paths: Vec<PathBuf> = self.samples.iter().map(|sample| sample.path.clone()).collect();
        let found = find(&names, &paths, limits);
        let mut without_masks = Vec::new();
        let alone = |at: &At| match at.page {
            None => self.samples[at.file].clone(),
            // A page that is no slice of the others' volume.
            Some(page) => PagesOf(self.samples[at.file].clone()).page(page),
        };
        let mut cases: Vec<(usize, Vec<Sample>)> =
            found.alone.iter().map(|at| (at.file, vec![alone(at)])).collect();
        let (mut slices, mut empty) = (0, 0);
        for ((first, volume), files) in found.volumes.iter().zip(&found.files) {
            let samples = self.slices(volume, files, limits, &mut without_masks);
            slices += volume.slices.len();
            empty += volume.slices.len() - samples.len();
            cases.push((*first, samples));
        }
        cases.sort_by_key(|(first, _)| *first);
        self.samples = cases.into_iter().flat_map(|(_, samples)| samples).collect();
        self.notes.extend(found.notes);
        if slices > 0 {
            self.notes.push(empty_left_out(empty, slices));
        }
        self.note_masks(&without_masks);
        self
    }

    /// The samples of a volume's slices that are not empty, each of which lies in one of the files.
    fn slices(
        &self,
        volume: &Volume,
        files: &[usize],
        limits: &Limits,
        without_masks: &mut Vec<String>,
    ) -> Vec<Sample> {
        let mut pages_of: HashMap<usize, PagesOf> = HashMap::new();
        let is_empty = volume.empty_slices(limits);
        let scored = volume.slices.iter().enumerate().filter(|(number, _)| !is_empty[*number]);
        let scored = scored.map(|(number, slice)| {
            let file = files[number];
            let sample = &self.samples[file];
            let mut one = match slice.page {
                None => sample.clone(),
                Some(page) => {
                    let pages = pages_of.entry(file).or_insert_with(|| {
                        let count = count_pages(&sample.path, limits).unwrap_or(1);
                        PagesOf::of(sample, count, limits, without_masks)
                    });
                    pages.page(page)
                }
            };
            one.group = sample.group.clone().or_else(|| Some(volume.name.clone()));
            one.volume = Some(InVolume {
                name: volume.name.clone(),
                slice: number,
                slices: volume.slices.len(),
                slice_spacing_mm: volume.slice_spacing_mm,
            });
            one
        });
        scored.collect()
    }

    /// The volumes whose slices are samples, in order: the name and the numbers of the samples of each.
    pub fn volumes(&self) -> Vec<(&str, Vec<usize>)> {
        let mut volumes: Vec<(&str, Vec<usize>)> = Vec::new();
        for (index, sample) in self.samples.iter().enumerate() {
            let Some(InVolume { name, .. }) = &sample.volume else { continue };
            match volumes.last_mut() {
                Some((last, samples)) if *last == name => samples.push(index),
                _ => volumes.push((name, vec![index])),
            }
        }
        volumes
    }

    fn note_masks(&mut self, without_masks: &[String]) {
        self.note(
            without_masks,
            "file of several pages has a mask of another number of pages, which is not used",
            "files of several pages have masks of another number of pages, which are not used",
        );
    }

    fn note(&mut self, names: &[String], one: &str, many: &str) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if !names.is_empty() {
            self.notes.push(counted(&names, one, many));
        }
    }
}

/// What the pages of a file have in common.
struct PagesOf(Sample);

impl PagesOf {
    /// Of a file of `count` pages; where its mask has another number, that is noted, and it is not used.
    fn of(sample: &Sample, count: u32, limits: &Limits, without_masks: &mut Vec<String>) -> Self {
        let fits = |mask: &PathBuf| count_pages(mask, limits).is_ok_and(|pages| pages == count);
        let mask = sample.mask.clone().filter(fits);
        if sample.mask.is_some() && mask.is_none() {
            without_masks.push(sample.name.clone());
        }
        let group = sample.group.clone().or_else(|| Some(sample.name.clone()));
        Self(Sample { mask, group, ..sample.clone() })
    }

    /// The sample of one of its pages, from 0.
    fn page(&self, page: u32) -> Sample {
        let name = format!("{}, page {}", self.0.name, page + 1);
        Sample { name, page: Some(page), ..self.0.clone() }
    }
}
