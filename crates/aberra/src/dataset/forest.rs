//! Which images look most like each other, for more images than can all be compared: random projection trees (Dasgupta and
//! Freund 2008, <https://doi.org/10.1145/1374376.1374452>) over small thumbnails in all eight orientations. A tree divides
//! the images by the direction from one of them to another until few are left, which are compared; images that are alike
//! end in the same leaf of one tree or another. The work grows as n log n.

use std::ops::Range;

use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::fingerprint::oriented;
use crate::random::{Stream, generator};

/// Flips and quarter turns.
pub(super) const ORIENTATIONS: usize = 8;
/// At most so many oriented thumbnails are compared with each other.
const LEAF: usize = 192;
/// Trees for each kind of thumbnail. A copy whose direction from the mean differs by 10 degrees is missed by all in one of
/// some thousand cases.
const TREES: usize = 16;

/// What trees that grow at the same time may find, in bytes: a large set has fewer of them at a time.
const MOST_BYTES_FOUND: usize = 128 << 20;

/// An image's most similar others, the most similar first: similarity and number.
pub(super) type Neighbours = Vec<(f32, u32)>;

/// For each image at most `count` others whose thumbnails correlate by more than `least` in some orientation. `kinds` holds, for
/// each kind of thumbnail, those of all images, `[side, side]` values of mean 0 and length 1 (or all 0); the similarity of two
/// images is that of the more similar kind.
pub(super) fn neighbours(kinds: &[Vec<Vec<f32>>], side: usize, least: f32, count: usize) -> Vec<Neighbours> {
    let images = kinds.first().map_or(0, Vec::len);
    let mut lists: Vec<Neighbours> = vec![Vec::new(); images];
    let trees: Vec<(usize, u64)> =
        (0..TREES as u64).flat_map(|seed| (0..kinds.len()).map(move |kind| (kind, seed))).collect();
    let at_a_time = MOST_BYTES_FOUND / (images * count * size_of::<(f32, u32)>()).max(1);
    // As many trees at a time as there are threads, so that what they found does not pile up.
    for trees in trees.chunks(at_a_time.clamp(1, rayon::current_num_threads().max(1))) {
        let found: Vec<Found> = trees
            .par_iter()
            .map(|&(kind, seed)| {
                Tree::new(&kinds[kind], side, generator(0, Stream::Neighbours, seed)).neighbours(least, count)
            })
            .collect();
        lists.par_iter_mut().enumerate().for_each(|(image, list)| {
            for new in found.iter().map(|found| found.of(image)).filter(|new| !new.is_empty()) {
                list.reserve_exact(new.len());
                list.extend(new);
                keep_best(list, count);
            }
        });
    }
    lists
}

/// What one tree finds.
struct Found {
    /// Similarities and numbers, those of an image after each other.
    others: Vec<(f32, u32)>,
    /// Image -> where its own lie: its upright thumbnail is in one leaf.
    of_image: Vec<Range<u32>>,
}

impl Found {
    fn of(&self, image: usize) -> &[(f32, u32)] {
        let Range { start, end } = self.of_image[image];
        &self.others[start as usize..end as usize]
    }
}

/// Sorts, removes what is named twice and keeps the first.
fn keep_best(list: &mut Neighbours, count: usize) {
    list.sort_unstable_by(|(s, a), (t, b)| a.cmp(b).then(t.total_cmp(s)));
    list.dedup_by_key(|(_, other)| *other);
    list.sort_unstable_by(|(s, a), (t, b)| t.total_cmp(s).then(a.cmp(b)));
    list.truncate(count);
}

/// A tree over the thumbnails of one kind.
struct Tree<'a, R> {
    thumbnails: &'a [Vec<f32>],
    /// For each orientation: where its values come from.
    sources: [Vec<usize>; ORIENTATIONS],
    random: R,
}

impl<'a, R: Rng> Tree<'a, R> {
    fn new(thumbnails: &'a [Vec<f32>], side: usize, random: R) -> Self {
        let places: Vec<f32> = (0..side * side).map(|at| at as f32).collect();
        let sources = std::array::from_fn(|orientation| {
            oriented(&places, side, orientation).into_iter().map(|at| at as usize).collect()
        });
        Self { thumbnails, sources, random }
    }

    /// What is compared in the leaves: for each image the `count` most similar that it shares one with.
    fn neighbours(self, least: f32, count: usize) -> Found {
        let mut found = Found { others: Vec::new(), of_image: vec![0..0; self.thumbnails.len()] };
        self.divide(|tree, points| tree.compare(points, least, count, &mut found));
        found
    }

    /// Calls `leaf` with the oriented thumbnails of every leaf.
    fn divide(mut self, mut leaf: impl FnMut(&Self, &[u32])) {
        let oriented = self.thumbnails.len() * ORIENTATIONS;
        let mut points: Vec<u32> = (0..oriented as u32).collect();
        let mut keyed: Vec<(f32, u32)> = Vec::new();
        let mut open: Vec<Range<usize>> = std::iter::once(0..points.len()).collect();
        while let Some(range) = open.pop() {
            let points = &mut points[range.clone()];
            if points.len() <= LEAF {
                leaf(&self, points);
                continue;
            }
            let Some(directions) = self.direction(points) else {
                points.chunks(LEAF).for_each(|points| leaf(&self, points));
                continue;
            };
            keyed.clear();
            keyed.extend(points.iter().map(|&point| (self.along(&directions, point), point)));
            let half = keyed.len() / 2;
            keyed.select_nth_unstable_by(half, |(a, p), (b, q)| a.total_cmp(b).then(p.cmp(q)));
            points.iter_mut().zip(&keyed).for_each(|(point, &(_, keyed))| *point = keyed);
            let middle = range.start + half;
            open.extend([range.start..middle, middle..range.end]);
        }
    }

    /// The direction from one of the points to another, turned back by each orientation; `None` if all that were tried are
    /// equal.
    fn direction(&mut self, points: &[u32]) -> Option<[Vec<f32>; ORIENTATIONS]> {
        const TRIES: usize = 8;
        for _ in 0..TRIES {
            let [first, second] = [(); 2].map(|()| self.random.random_range(0..points.len()));
            let (first, second) = (self.values(points[first]), self.values(points[second]));
            let direction: Vec<f32> = first.iter().zip(&second).map(|(a, b)| a - b).collect();
            if direction.iter().any(|value| value.abs() > 1e-6) {
                return Some(std::array::from_fn(|orientation| {
                    let mut turned = vec![0.0; direction.len()];
                    let sources = self.sources[orientation].iter();
                    sources.zip(&direction).for_each(|(&from, &value)| turned[from] = value);
                    turned
                }));
            }
        }
        None
    }

    fn along(&self, directions: &[Vec<f32>; ORIENTATIONS], point: u32) -> f32 {
        let (image, orientation) = parts(point);
        dot(&directions[orientation], &self.thumbnails[image])
    }

    /// An image's values in an orientation.
    fn values(&self, point: u32) -> Vec<f32> {
        let (image, orientation) = parts(point);
        self.sources[orientation].iter().map(|&from| self.thumbnails[image][from]).collect()
    }

    /// Compares the upright images of a leaf with all that lie in it.
    fn compare(&self, points: &[u32], least: f32, count: usize, found: &mut Found) {
        let values: Vec<Vec<f32>> = points.iter().map(|&point| self.values(point)).collect();
        for (point, upright) in points.iter().zip(&values) {
            let (image, orientation) = parts(*point);
            if orientation != 0 {
                continue;
            }
            let mut list: Neighbours = points
                .iter()
                .zip(&values)
                .filter(|&(&other, _)| parts(other).0 != image)
                .map(|(&other, values)| (dot(upright, values), parts(other).0 as u32))
                .filter(|&(similarity, _)| similarity > least)
                .collect();
            keep_best(&mut list, count);
            let start = found.others.len() as u32;
            found.others.extend(list);
            found.of_image[image] = start..found.others.len() as u32;
        }
    }
}

/// Image and orientation.
fn parts(point: u32) -> (usize, usize) {
    (point as usize / ORIENTATIONS, point as usize % ORIENTATIONS)
}

/// Sum of products, in sixteen interleaved sums so that the order does not depend on the machine.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 16];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 8;

    fn normalised(mut values: Vec<f32>) -> Vec<f32> {
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        values.iter_mut().for_each(|value| *value -= mean);
        let length = dot(&values, &values).sqrt();
        values.iter_mut().for_each(|value| *value /= length);
        values
    }

    /// Thumbnails that share most of what they show, and after them turned copies of the first with some noise.
    fn thumbnails(count: usize, copies: usize, noise: f32) -> Vec<Vec<f32>> {
        let mut random = generator(3, Stream::Phantom, 0);
        let mut draw = |scale: f32| -> Vec<f32> {
            (0..SIDE * SIDE).map(|_| scale * (random.random_range(-1.0..1.0f32))).collect()
        };
        let common = draw(1.5);
        let sum = |a: &[f32], b: Vec<f32>| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<f32>>();
        let mut all: Vec<Vec<f32>> = (0..count).map(|_| normalised(sum(&common, draw(1.0)))).collect();
        for index in 0..copies {
            let turned = oriented(&all[index], SIDE, index % ORIENTATIONS);
            all.push(normalised(sum(&turned, draw(noise))));
        }
        all
    }

    #[test]
    fn turned_copies_are_found_among_many() {
        let (count, copies) = (6_000, 300);
        let thumbnails = thumbnails(count, copies, 0.04);
        let lists = neighbours(&[thumbnails], SIDE, 0.9, 16);
        let is_found =
            |copy: &usize| lists[count + copy].first().is_some_and(|&(_, other)| other as usize == *copy);
        let found = (0..copies).filter(is_found).count();
        assert!(found >= copies * 98 / 100, "{found} of {copies}");
    }

    #[test]
    fn lists_are_sorted_and_name_nothing_twice_nor_the_image_itself() {
        let thumbnails = thumbnails(2_000, 40, 0.1);
        let lists = neighbours(&[thumbnails.clone(), thumbnails], SIDE, 0.5, 5);
        for (image, list) in lists.iter().enumerate() {
            assert!(list.len() <= 5 && list.is_sorted_by(|a, b| a.0 >= b.0));
            let mut others: Vec<u32> = list.iter().map(|&(_, other)| other).collect();
            others.sort_unstable();
            others.dedup();
            assert!(others.len() == list.len() && !others.contains(&(image as u32)));
        }
    }

    #[test]
    fn comparisons_grow_as_the_number_of_images() {
        // Those of one tree, of which there are as many for any number of images; of different images, of photographs of like parts
        // and of copies of one image.
        let compared = |thumbnails: &[Vec<f32>]| {
            let mut compared = 0;
            Tree::new(thumbnails, SIDE, generator(0, Stream::Neighbours, 0)).divide(|_, points| {
                let upright = points.iter().filter(|&&point| parts(point).1 == 0).count();
                compared += upright * points.len();
            });
            compared
        };
        let different = thumbnails(16_000, 0, 0.0);
        let alike: Vec<Vec<f32>> = different
            .iter()
            .map(|one| normalised(one.iter().zip(&different[0]).map(|(a, b)| 0.02 * a + b).collect()))
            .collect();
        let equal = vec![different[0].clone(); different.len()];
        for thumbnails in [different, alike, equal] {
            let [few, many] = [1_000, 16_000].map(|count| compared(&thumbnails[..count]));
            assert!(many <= 20 * few && many <= 16_000 * LEAF, "{few} {many}");
        }
    }

    #[test]
    fn equal_and_flat_thumbnails_end_the_division() {
        let flat = vec![vec![0.0; SIDE * SIDE]; 1_000];
        assert!(neighbours(&[flat], SIDE, 0.5, 5).iter().all(Vec::is_empty));
        let equal = vec![normalised((0..SIDE * SIDE).map(|at| at as f32).collect()); 1_000];
        let lists = neighbours(&[equal], SIDE, 0.5, 5);
        assert!(lists.iter().all(|list| list.len() == 5));
    }
}
