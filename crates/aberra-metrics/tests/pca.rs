//! Principal components against scikit-learn: `golden/pca.py` made `golden/pca.json`.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

use aberra_metrics::pca::pca;
use serde_json::Value;

/// Knuth's 64-bit linear congruential generator, as in the script.
struct Draws(u64);

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 24)
    }
}

fn points(seed: u64, count: usize, dimensions: usize) -> Vec<Vec<f32>> {
    let mut draws = Draws(seed);
    let point = |_| {
        let mut point: Vec<f32> = Vec::new();
        for column in 0..dimensions {
            let value = draws.uniform() * (1 + column) as f64;
            let follows = column % 3 == 2;
            point.push(if follows { value / 8.0 + f64::from(point[column - 1]) } else { value } as f32);
        }
        point
    };
    (0..count).map(point).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn close(found: &[f64], expected: &[f64]) -> bool {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * b.abs().max(1.0);
    found.len() == expected.len() && found.iter().zip(expected).all(near)
}

#[test]
fn principal_components_are_those_of_scikit_learn() {
    let golden: Value = serde_json::from_str(include_str!("golden/pca.json")).unwrap();
    let cases = golden["pca"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let [seed, count, dimensions] = numbers(&case["case"])[..] else { panic!("{case}") };
        let points = points(seed as u64, count as usize, dimensions as usize);
        let found = pca(&points, 4).unwrap();
        assert!(close(&found.mean, &numbers(&case["mean"])), "{seed}: mean");
        // scikit-learn divides by n - 1.
        let variances =
            numbers(&case["variances"]).iter().map(|one| one * (count - 1.0) / count).collect::<Vec<_>>();
        assert!(close(&found.variances, &variances), "{seed}: variances");
        assert!(close(&found.explained, &numbers(&case["explained"])), "{seed}: explained");
        assert!(close(&found.project(&points[0]).unwrap(), &numbers(&case["first"])), "{seed}: coordinates");
        let expected = case["components"].as_array().unwrap();
        assert_eq!(found.components.len(), expected.len(), "{seed}");
        for (component, expected) in found.components.iter().zip(expected) {
            assert!(close(component, &numbers(expected)), "{seed}: {component:?} against {expected}");
        }
    }
}
