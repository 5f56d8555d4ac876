//! The latent space: images on the first two principal components, and what each dimension is used for.

use plotters::prelude::*;

use super::SIZE;
use crate::Result;
use crate::figure::{ANOMALOUS, FAINT, INK, NORMAL, axes, figure, legend, range};
use crate::wire::{EllipseData, LatentData, ReportData};

/// Test images on the first two components, with the calibration normals and the ellipse that holds 95 % of them.
pub(super) fn components(data: &ReportData, latent: &LatentData) -> Result<Vec<u8>> {
    let point = |pca: &[f64]| (pca[0], pca[1]);
    let images = |anomalous: bool| {
        let of_class = data.images.iter().filter(move |image| image.kind.is_some() == anomalous);
        of_class.filter(|image| image.pca.len() >= 2).map(|image| point(&image.pca)).collect::<Vec<_>>()
    };
    let (normal, anomalous) = (images(false), images(true));
    let cloud: Vec<(f64, f64)> = latent.calibration.iter().map(|pca| point(pca)).collect();
    let outline = latent.ellipse.as_ref().map(points_of).unwrap_or_default();
    let all = || normal.iter().chain(&anomalous).chain(&cloud).chain(&outline);
    let ranges = [range(all().map(|(x, _)| *x)), range(all().map(|(_, y)| *y))];
    let names = [0, 1].map(|axis| {
        format!("component {} ({:.1} % of the variance)", axis + 1, latent.explained[axis] * 100.0)
    });
    figure(SIZE.0, SIZE.1, |area| {
        let mut chart = axes(area, ranges, [&names[0], &names[1]])?;
        chart
            .draw_series(cloud.iter().map(|&at| Cross::new(at, 5, FAINT.stroke_width(1))))?
            .label("calibration normals")
            .legend(|(x, y)| Cross::new((x + 18, y), 6, FAINT.stroke_width(2)));
        if !outline.is_empty() {
            chart
                .draw_series(LineSeries::new(outline.clone(), INK.stroke_width(2)))?
                .label("95 % of them")
                .legend(|(x, y)| PathElement::new([(x, y), (x + 36, y)], INK.stroke_width(2)));
        }
        chart
            .draw_series(normal.iter().map(|&at| Circle::new(at, 6, NORMAL.stroke_width(2))))?
            .label("normal")
            .legend(|(x, y)| Circle::new((x + 18, y), 7, NORMAL.stroke_width(2)));
        if !anomalous.is_empty() {
            chart
                .draw_series(
                    anomalous.iter().map(|&at| TriangleMarker::new(at, 7, ANOMALOUS.mix(0.55).filled())),
                )?
                .label("anomalous")
                .legend(|(x, y)| TriangleMarker::new((x + 18, y), 9, ANOMALOUS.filled()));
        }
        legend(&mut chart, SeriesLabelPosition::UpperRight)
    })
}

/// The KL divergence of each latent dimension, by falling size.
pub(super) fn kl(latent: &LatentData) -> Result<Vec<u8>> {
    let mut sorted = latent.kl_per_dimension.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let top = sorted.first().copied().unwrap_or(0.0).max(1e-6) * 1.08;
    let count = sorted.len() as f64;
    figure(SIZE.0, SIZE.1, |area| {
        let names = ["latent dimensions, the most used first", "mean KL divergence, nats"];
        let mut chart = axes(area, [0.0..count, 0.0..top], names)?;
        let bars = sorted.iter().enumerate().map(|(at, &kl)| {
            Rectangle::new([(at as f64 + 0.1, 0.0), (at as f64 + 0.9, kl)], NORMAL.filled())
        });
        chart.draw_series(bars)?;
        Ok(())
    })
}

/// Points of the ellipse (x - mean)' covariance^-1 (x - mean) = chi square, by the Cholesky factor of the covariance.
fn points_of(ellipse: &EllipseData) -> Vec<(f64, f64)> {
    const POINTS: u32 = 120;
    let [[xx, xy], [_, yy]] = ellipse.covariance;
    let radius = ellipse.chi_square.sqrt();
    let down = xx.max(0.0).sqrt();
    let across = if down > 0.0 { xy / down } else { 0.0 };
    let rest = (yy - across * across).max(0.0).sqrt();
    let at = |step: u32| {
        let (sine, cosine) = (f64::from(step) / f64::from(POINTS) * std::f64::consts::TAU).sin_cos();
        let (x, y) = (down * cosine, across * cosine + rest * sine);
        (ellipse.mean[0] + radius * x, ellipse.mean[1] + radius * y)
    };
    (0..=POINTS).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_the_ellipse_lie_at_its_distance() {
        let ellipse =
            EllipseData { mean: [1.0, -2.0], covariance: [[2.0, 0.6], [0.6, 0.5]], chi_square: 5.991 };
        let determinant = 2.0 * 0.5 - 0.36;
        for (x, y) in points_of(&ellipse) {
            let (dx, dy) = (x - 1.0, y + 2.0);
            let distance = (0.5 * dx * dx - 1.2 * dx * dy + 2.0 * dy * dy) / determinant;
            assert!((distance - 5.991).abs() < 1e-9);
        }
    }
}
