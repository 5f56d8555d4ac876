//! What is measured on inputs of any height, width and number of channels: turning an image on its side changes no number
//! but by rounding, turns the map with it, and every number is that of a plain loop.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

use aberra_metrics::random::{Stream, generator};
use aberra_models::Shape;
use aberra_models::measure::context;
use aberra_models::measure::reconstruction::{Errors, Reconstruction, error_map};
use proptest::prelude::*;
use rand::RngExt;

/// An image, its reconstruction and log-variances, `[height, width, channels]`.
#[derive(Clone, Debug)]
struct Case {
    shape: Shape,
    input: Vec<f32>,
    mean: Vec<f32>,
    log_variance: Option<Vec<f32>>,
}

impl Case {
    fn draw(seed: u64, shape: Shape, predicts_variance: bool) -> Self {
        let mut random = generator(seed, Stream::Phantom, 0);
        let mut values = |low: f32, high: f32| -> Vec<f32> {
            (0..shape.len()).map(|_| random.random_range(low..high)).collect()
        };
        let (input, mean) = (values(0.0, 1.0), values(0.0, 1.0));
        let log_variance = predicts_variance.then(|| values(-4.0, 1.0));
        Self { shape, input, mean, log_variance }
    }

    fn turned(&self) -> Self {
        let turn = |values: &[f32]| turned(values, self.shape, self.shape.channels);
        Self {
            shape: Shape { height: self.shape.width, width: self.shape.height, ..self.shape },
            input: turn(&self.input),
            mean: turn(&self.mean),
            log_variance: self.log_variance.as_deref().map(turn),
        }
    }

    fn reconstruction(&self) -> Reconstruction<'_> {
        Reconstruction { mean: &self.mean, log_variance: self.log_variance.as_deref() }
    }

    fn errors(&self) -> Errors {
        Errors::measure(&self.input, self.shape, self.reconstruction()).unwrap()
    }

    fn map(&self) -> Vec<f32> {
        error_map(&self.input, self.shape, self.reconstruction()).unwrap()
    }

    /// The mean over the values of the image.
    fn mean_of(&self, value: impl Fn(f64, f64, f64) -> f64) -> f64 {
        let of = |at: usize| {
            let log_variance = self.log_variance.as_ref().map_or(0.0, |values| values[at]);
            value(f64::from(self.input[at]), f64::from(self.mean[at]), f64::from(log_variance))
        };
        (0..self.shape.len()).map(of).sum::<f64>() / self.shape.len() as f64
    }
}

/// Rows as columns.
fn turned(values: &[f32], shape: Shape, channels: usize) -> Vec<f32> {
    let Shape { height, width, .. } = shape;
    let mut turned = Vec::with_capacity(values.len());
    for (column, row) in (0..width).flat_map(|column| (0..height).map(move |row| (column, row))) {
        turned.extend(&values[(row * width + column) * channels..][..channels]);
    }
    turned
}

fn shapes() -> impl Strategy<Value = Shape> {
    let sides = (1_usize..40, 1_usize..40, 1_usize..5);
    prop_oneof![
        sides.prop_map(|(height, width, channels)| Shape { height, width, channels }),
        Just(Shape { height: 16, width: 48, channels: 1 }),
        Just(Shape { height: 48, width: 16, channels: 3 }),
    ]
}

fn close(a: f64, b: f64) -> bool {
    // Pixels are summed in another order, in the filters as f32.
    (a - b).abs() <= 2e-5 * a.abs().max(b.abs()).max(1e-3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn turning_an_image_on_its_side_changes_no_error(
        seed: u64, shape in shapes(), predicts_variance: bool
    ) {
        let case = Case::draw(seed, shape, predicts_variance);
        let (upright, turned) = (case.errors(), case.turned().errors());
        for (name, a, b) in [
            ("squared", upright.squared, turned.squared),
            ("absolute", upright.absolute, turned.absolute),
            ("ssim", upright.ssim, turned.ssim),
            ("weighted", upright.weighted, turned.weighted),
            ("expected", upright.expected, turned.expected),
            ("peak", upright.peak, turned.peak),
        ] {
            prop_assert!(close(a, b), "{name} {shape}: {a} {b}");
        }
        let measure = |case: &Case| context::measure(&case.input, case.shape).unwrap();
        for (a, b) in measure(&case).into_iter().zip(measure(&case.turned())) {
            prop_assert!(close(a, b), "{shape}: {a} {b}");
        }
    }

    #[test]
    fn the_map_turns_with_the_image(seed: u64, shape in shapes(), predicts_variance: bool) {
        let case = Case::draw(seed, shape, predicts_variance);
        let map = case.map();
        prop_assert_eq!(map.len(), shape.area());
        prop_assert_eq!(turned(&map, shape, 1), case.turned().map());
    }

    #[test]
    fn errors_are_those_of_plain_loops(seed: u64, shape in shapes(), predicts_variance: bool) {
        let case = Case::draw(seed, shape, predicts_variance);
        let errors = case.errors();
        prop_assert!(close(errors.squared, case.mean_of(|x, m, _| (x - m) * (x - m))));
        prop_assert!(close(errors.absolute, case.mean_of(|x, m, _| (x - m).abs())));
        prop_assert!(close(errors.weighted, case.mean_of(|x, m, s| (-s).exp() * (x - m) * (x - m))));
        let expected = case.mean_of(|_, _, s| s.exp());
        let expected = if predicts_variance { expected } else { 0.0 };
        prop_assert!(close(errors.expected, expected));
        // The peak of a part of the image is at least the mean of all smoothed errors, and at most the largest error.
        let largest = (0..shape.len()).map(|at| {
            let s = case.log_variance.as_ref().map_or(0.0, |values| values[at]);
            f64::from((-s).exp()) * f64::from(case.input[at] - case.mean[at]).powi(2)
        });
        prop_assert!(errors.peak <= largest.fold(0.0, f64::max) * 1.000_01);
    }

    #[test]
    fn an_image_of_another_length_is_refused(seed: u64, shape in shapes()) {
        let case = Case::draw(seed, shape, false);
        let other = Shape { width: shape.width + 1, ..shape };
        prop_assert!(other.check(&case.input).is_err() && shape.check(&case.input).is_ok());
        prop_assert!(context::measure(&case.input, other).is_err());
        prop_assert!(error_map(&case.input, other, case.reconstruction()).is_err());
        prop_assert!(Errors::measure(&case.input, other, case.reconstruction()).is_err());
    }
}
