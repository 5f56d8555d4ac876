//! Weights that come from nowhere: random filters of the backbone's architecture, always the same ones.
//!
//! Random filters followed by rectification and pooling keep most of what tells patches apart (Jarrett et al., *What is the best
//! multi-stage architecture for object recognition?*, 2009); statistics of the normals do the rest. Filters of pixels and of
//! channels mostly ignore what is constant over their window, so that brightness alone does not decide every feature.

use aberra_metrics::random::{Stream, generator};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::architecture::{BLOCKS, STEM};
use crate::tensors::{Tensors, Weight};

/// The seed of all weights.
const SEED: u64 = 0;

/// Share of the filters that ignore what is constant over their window.
const DIFFERENCES: f64 = 0.75;

/// What a block adds to its input is multiplied by it: otherwise values grow from block to block.
const RESIDUAL: f32 = 0.5;

/// All weights, by the names of the file of trained ones.
pub(super) fn weights() -> Tensors {
    let mut tensors = Tensors::new();
    let mut layer = 0;
    let mut add = |name: String, shape: Vec<usize>, outputs: usize, gain: f32, differences: bool| {
        let mut random = generator(SEED, Stream::Weights, layer);
        layer += 1;
        let length: usize = shape.iter().product();
        let fan_in = length / outputs;
        let mut values: Vec<f32> = StandardNormal.sample_iter(&mut random).take(length).collect();
        for output in 0..outputs {
            let ignores_constants = differences && random.random_bool(DIFFERENCES);
            let own = || (0..fan_in).map(|at| at * outputs + output);
            let mean = own().map(|at| values[at]).sum::<f32>() / fan_in as f32;
            if ignores_constants {
                own().for_each(|at| values[at] -= mean);
            }
            let square: f32 = own().map(|at| values[at] * values[at]).sum();
            let factor = gain / square.sqrt().max(f32::MIN_POSITIVE);
            own().for_each(|at| values[at] *= factor);
        }
        tensors.insert(format!("{name}.weight"), Weight { shape, values });
        tensors.insert(format!("{name}.bias"), Weight { shape: vec![outputs], values: vec![0.0; outputs] });
    };
    // Rectification halves the mean square, which filters of this length restore (He et al., 2015).
    let rectified = 2.0_f32.sqrt();
    for (number, block) in BLOCKS.iter().enumerate() {
        let name = |layer: &str| format!("blocks.{number}.{layer}");
        if number == 0 {
            let shape = vec![STEM.kernel, STEM.kernel, block.inputs, block.expanded];
            add("stem".to_owned(), shape, block.expanded, 1.0, true);
        } else {
            add(name("expand"), vec![block.inputs, block.expanded], block.expanded, 1.0, false);
        }
        let shape = vec![block.kernel, block.kernel, block.expanded];
        add(name("depthwise"), shape, block.expanded, rectified, true);
        let gain = if number > 0 && block.keeps_shape() { RESIDUAL * rectified } else { rectified };
        add(name("project"), vec![block.expanded, block.outputs], block.outputs, gain, false);
    }
    tensors
}
