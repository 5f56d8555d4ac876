//! The histogram of scores with the threshold.

use plotters::prelude::*;

use super::SIZE;
use crate::Result;
use crate::figure::{ANOMALOUS, INK, NORMAL, axes, figure, legend, range};
use crate::wire::ReportData;

const BINS: usize = 40;

/// Normal images as bars, anomalous ones as an outline: shares of their own class.
pub(super) fn histogram(data: &ReportData) -> Result<Vec<u8>> {
    let threshold = data.detector.threshold;
    let x = range(data.images.iter().map(|image| image.score).chain([threshold]));
    let width = (x.end - x.start).max(f64::MIN_POSITIVE) / BINS as f64;
    let shares = |anomalous: bool| {
        let mut counts = [0.0; BINS];
        let of_class = data.images.iter().filter(|image| image.kind.is_some() == anomalous);
        let total = of_class.clone().count().max(1) as f64;
        of_class.for_each(|image| {
            counts[(((image.score - x.start) / width) as usize).min(BINS - 1)] += 100.0 / total;
        });
        counts
    };
    let (normal, anomalous) = (shares(false), shares(true));
    let top = normal.iter().chain(&anomalous).fold(1.0_f64, |top, &share| top.max(share)) * 1.4;
    let edge = |bin: usize| x.start + bin as f64 * width;
    let names = [format!("score ({})", data.detector.scorer), "images of the class, %".to_owned()];
    figure(SIZE.0, SIZE.1, |area| {
        let mut chart = axes(area, [x.clone(), 0.0..top], [&names[0], &names[1]])?;
        let bars = normal.iter().enumerate().filter(|(_, share)| **share > 0.0);
        let bars = bars.map(|(bin, &share)| {
            Rectangle::new([(edge(bin), 0.0), (edge(bin + 1), share)], NORMAL.mix(0.55).filled())
        });
        chart
            .draw_series(bars)?
            .label(format!("normal ({})", data.images.iter().filter(|image| image.kind.is_none()).count()))
            .legend(|(x, y)| Rectangle::new([(x, y - 10), (x + 36, y + 10)], NORMAL.mix(0.55).filled()));
        let count = data.images.iter().filter(|image| image.kind.is_some()).count();
        if count > 0 {
            let outline = anomalous
                .iter()
                .enumerate()
                .flat_map(|(bin, &share)| [(edge(bin), share), (edge(bin + 1), share)]);
            let outline: Vec<(f64, f64)> =
                std::iter::once((x.start, 0.0)).chain(outline).chain([(x.end, 0.0)]).collect();
            chart
                .draw_series(LineSeries::new(outline, ANOMALOUS.stroke_width(4)))?
                .label(format!("anomalous ({count})"))
                .legend(|(x, y)| PathElement::new([(x, y), (x + 36, y)], ANOMALOUS.stroke_width(4)));
        }
        chart
            .draw_series(DashedLineSeries::new(
                [(threshold, 0.0), (threshold, top)],
                10,
                7,
                INK.stroke_width(3),
            ))?
            .label("threshold: anomalous to the right")
            .legend(|(x, y)| PathElement::new([(x + 18, y - 12), (x + 18, y + 12)], INK.stroke_width(3)));
        legend(&mut chart, SeriesLabelPosition::UpperRight)
    })
}
