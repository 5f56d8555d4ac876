//! Made-up normals for the tests of scorers.

use aberra_metrics::Result;
use aberra_metrics::random::{Stream, generator};
use aberra_models::measure::Descriptor;
use rand::RngExt;

use super::evidence::{Evidence, Normals, ScorerInput};
use super::scorer::ScorerKind;

/// The measurements of a variational autoencoder that scorers use.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    pub(super) squared_error: f64,
    pub(super) weighted_error: f64,
    pub(super) expected_error: f64,
    pub(super) peak_error: f64,
    pub(super) kl: f64,
    pub(super) neighbour_distance: f64,
    pub(super) gradient_energy: f64,
    pub(super) standard_deviation: f64,
}

pub(super) const DESCRIPTORS: [Descriptor; 8] = [
    Descriptor::unusual("vae.squared_error", "", ""),
    Descriptor::unusual("vae.weighted_error", "", ""),
    Descriptor::context("vae.expected_error", "", ""),
    Descriptor::unusual("vae.peak_error", "", ""),
    Descriptor::unusual("vae.kl", "nats", ""),
    Descriptor::unusual("vae.neighbour_distance", "", ""),
    Descriptor::context("image.gradient_energy", "", ""),
    Descriptor::context("image.standard_deviation", "", ""),
];

impl Measured {
    fn evidence(&self) -> Evidence {
        Evidence(vec![
            self.squared_error,
            self.weighted_error,
            self.expected_error,
            self.peak_error,
            self.kl,
            self.neighbour_distance,
            self.gradient_energy,
            self.standard_deviation,
        ])
    }
}

/// 40 normals; `draw` gives numbers from 0.5 to 1.5.
pub(super) fn normals(seed: u64, of: impl Fn(&mut dyn FnMut() -> f64) -> Measured) -> Vec<Measured> {
    let mut random = generator(seed, Stream::Phantom, 0);
    let mut draw = || 0.5 + random.random::<f64>();
    (0..40).map(|_| of(&mut draw)).collect()
}

pub(super) fn fit<K: ScorerKind>(normals: &[Measured]) -> K::Parameters {
    K::fit(&Normals::new(&DESCRIPTORS, &evidence(normals))).unwrap()
}

pub(super) fn evidence(images: &[Measured]) -> Vec<Evidence> {
    images.iter().map(Measured::evidence).collect()
}

/// Fits on normals and synthetic anomalies of each.
pub(super) fn try_fit_with<K: ScorerKind>(
    normals: &[Measured],
    anomalies: &[Measured],
) -> Result<K::Parameters> {
    let anomalies = evidence(anomalies);
    K::fit(&Normals { anomalies: &anomalies, ..Normals::new(&DESCRIPTORS, &evidence(normals)) })
}

/// As [`try_fit_with`], where it succeeds.
pub(super) fn fit_with<K: ScorerKind>(normals: &[Measured], anomalies: &[Measured]) -> K::Parameters {
    try_fit_with::<K>(normals, anomalies).unwrap()
}

pub(super) fn score<K: ScorerKind>(parameters: &K::Parameters, measured: &Measured) -> f64 {
    K::score(parameters, &ScorerInput::new(&DESCRIPTORS, &measured.evidence()))
}
