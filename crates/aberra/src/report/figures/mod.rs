//! A report's figures for a paper, as PNG files.

mod curves;
mod latent;
mod scores;
mod triples;

use super::Report;
use crate::Result;
use crate::evaluate::Metric;

/// Width and height of a figure.
const SIZE: (u32, u32) = (1200, 900);

impl Report {
    /// The figures that its data can fill: names without extension, and PNG files.
    ///
    /// `roc` and `precision-recall` with their bands, `scores` with the threshold, `training`, `latent` (the first two
    /// principal components), `kl` (of each latent dimension) and `triples` (input, reconstruction and error map of the
    /// images shown in full that score highest, and of the normal ones nearest below the threshold).
    ///
    /// # Errors
    /// A figure that cannot be drawn.
    pub fn figures(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let data = self.data();
        let mut figures = Vec::new();
        if !data.evaluation.figures.roc.fpr.is_empty() {
            figures.push(("roc", curves::roc(data)?));
            figures.push(("precision-recall", curves::precision_recall(data)?));
        }
        figures.push(("scores", scores::histogram(data)?));
        if let Metric::Known(training) = &data.training
            && let Some(first) = training.first()
        {
            figures.push(("training", curves::training(first)?));
        }
        if let Metric::Known(latent) = &data.latent {
            if latent.components >= 2 {
                figures.push(("latent", latent::components(data, latent)?));
            }
            if !latent.kl_per_dimension.is_empty() {
                figures.push(("kl", latent::kl(latent)?));
            }
        }
        if let Some(sheet) = triples::triples(data)? {
            figures.push(("triples", sheet));
        }
        Ok(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_drawn_and_has_more_than_axes() {
        let report = Report { data: super::super::example::report() };
        let figures = report.figures().unwrap();
        let names: Vec<&str> = figures.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["roc", "precision-recall", "scores", "training", "latent", "kl"]);
        for (name, png) in figures {
            let image = aberra_image::decode(&png, &Default::default()).unwrap();
            let coloured = image.pixels.chunks_exact(3).filter(|pixel| pixel[0] != pixel[2]).count();
            assert!(coloured > 200, "{name}: {coloured} coloured pixels");
        }
    }
}
