//! Lesion or source: whether maps are higher on anomalous images even beside their anomalies. Where they are, the detector tells
//! apart where images come from (another scanner, another lamp), not what is wrong with them.

use std::collections::BTreeMap;

use aberra_models::measure::mean_of_largest;

/// The ways in which a map is pooled: what each is called, and the share of the pixels that are averaged, the highest first.
pub(super) const POOLINGS: [(&str, f64); 3] =
    [("highest 1 % of the map", 0.01), ("highest 10 % of the map", 0.1), ("mean of the map", 1.0)];

/// A mask grows by this share of the longer side before it is left out: maps are smooth, and masks are drawn tightly.
const MARGIN: f64 = 0.05;

/// Least share of the pixels that must remain.
const LEAST_REST: f64 = 0.1;

/// A map pooled by each of [`POOLINGS`]: over all pixels, and beside the mask.
pub(super) type Pooled = [[f64; 2]; POOLINGS.len()];

/// Of each image with a usable mask, and of each normal image, by name.
pub(super) type PooledMaps = BTreeMap<String, Pooled>;

/// Pools a map of so many `columns`; `None` where the mask, grown, leaves too little.
pub(super) fn pooled(map: &[f32], mask: &[bool], columns: usize) -> Option<Pooled> {
    let grown = grow(mask, columns);
    let rest: Vec<f32> =
        map.iter().zip(&grown).filter(|(_, masked)| !**masked).map(|(value, _)| *value).collect();
    let enough = rest.len() as f64 >= LEAST_REST * map.len() as f64;
    let pool = |(_, share)| [mean_of_largest(map, share), mean_of_largest(&rest, share)];
    enough.then(|| POOLINGS.map(pool))
}

/// The mask with a square margin around it.
fn grow(mask: &[bool], columns: usize) -> Vec<bool> {
    if !mask.contains(&true) {
        return mask.to_vec();
    }
    let rows = mask.len() / columns.max(1);
    let margin = (MARGIN * rows.max(columns) as f64).ceil() as usize;
    let around = |at: usize, side: usize| at.saturating_sub(margin)..(at + margin + 1).min(side);
    let mut wide = vec![false; mask.len()];
    for (row, wide) in mask.chunks_exact(columns).zip(wide.chunks_exact_mut(columns)) {
        for column in (0..columns).filter(|&column| row[column]) {
            wide[around(column, columns)].fill(true);
        }
    }
    let mut grown = vec![false; mask.len()];
    for (at, row) in wide.chunks_exact(columns).enumerate() {
        for target in around(at, rows) {
            let grown = &mut grown[target * columns..][..columns];
            grown.iter_mut().zip(row).for_each(|(grown, &wide)| *grown |= wide);
        }
    }
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_the_mask_is_pooled_alone() {
        let columns = 40;
        let mut map: Vec<f32> = (0..40 * 30).map(|at| (at % 7) as f32 / 10.0).collect();
        let mut mask = vec![false; map.len()];
        // A bright pixel in the mask, and one just beside it, within the margin of two.
        mask[10 * columns + 10] = true;
        map[10 * columns + 10] = 50.0;
        map[12 * columns + 12] = 40.0;
        let pooled = pooled(&map, &mask, columns).unwrap();
        assert!(pooled[0][0] > 7.0 && pooled[0][1] <= 0.6 + 1e-6, "{pooled:?}");
        assert!(pooled[2][0] > pooled[2][1]);
        assert_eq!(grow(&mask, columns).iter().filter(|&&masked| masked).count(), 25);
        // At the edge, the margin ends.
        mask[10 * columns + 10] = false;
        mask[0] = true;
        assert_eq!(grow(&mask, columns).iter().filter(|&&masked| masked).count(), 9);
    }

    #[test]
    fn an_image_that_is_all_mask_says_nothing_and_one_without_is_whole() {
        let map = vec![1.0; 400];
        assert!(pooled(&map, &[true; 400], 20).is_none());
        assert_eq!(pooled(&map, &[false; 400], 20), Some([[1.0; 2]; 3]));
    }
}
