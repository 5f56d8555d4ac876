//! Times the blocks of EfficientNet-Lite0 up to block 10 with made-up weights: minimum of some runs in milliseconds an
//! image, and GFLOP/s.
//!
//! `cargo run --release -p aberra-kernels --example inverted_residuals [size_px] [batch] [threads] [runs]`;
//! `ABERRA_KERNELS` names an instruction set in place of the widest.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use aberra_kernels::{Convolution, InstructionSet, InvertedResidual, select};
use burn::tensor::{Device, Tensor, TensorData};
use std::time::Instant;

/// Kernel of the expansion, inputs, expanded channels, kernel and stride of the depthwise convolution, outputs.
const BLOCKS: [[usize; 6]; 11] = [
    [3, 3, 32, 3, 1, 16],
    [1, 16, 96, 3, 2, 24],
    [1, 24, 144, 3, 1, 24],
    [1, 24, 144, 5, 2, 40],
    [1, 40, 240, 5, 1, 40],
    [1, 40, 240, 3, 2, 80],
    [1, 80, 480, 3, 1, 80],
    [1, 80, 480, 3, 1, 80],
    [1, 80, 480, 5, 1, 112],
    [1, 112, 672, 5, 1, 112],
    [1, 112, 672, 5, 1, 112],
];

fn main() {
    let argument = |number: usize, other: usize| {
        std::env::args().nth(number).map_or(other, |text| text.parse().unwrap())
    };
    let (size_px, batch, threads, runs) = (argument(1, 256), argument(2, 1), argument(3, 1), argument(4, 30));
    rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build_global().unwrap();
    if let Ok(name) = std::env::var("ABERRA_KERNELS") {
        select(InstructionSet::named(&name).unwrap()).unwrap();
    }
    let device = Device::flex();
    let tensor = |shape: [usize; 4]| {
        let value = |index: usize| ((index * 2_654_435_761) % 2_001) as f32 / 1e4 - 0.1;
        let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
        Tensor::<4>::from_data(TensorData::new(values, shape), &device)
    };
    let convolution = |shape: [usize; 4], stride: usize| Convolution {
        weight: tensor(shape),
        bias: tensor([1, 1, 1, shape[3]]).reshape([shape[3]]),
        stride,
    };
    let mut images = tensor([batch, size_px, size_px, 3]);
    let input = images.clone();
    let (mut blocks, mut total, mut total_gflop) = (Vec::new(), 0.0, 0.0);
    for [expand, inputs, hidden, kernel, stride, outputs] in BLOCKS {
        let block = InvertedResidual::new(
            convolution([expand, expand, inputs, hidden], if expand > 1 { 2 } else { 1 }),
            convolution([kernel, kernel, 1, hidden], stride),
            convolution([1, 1, hidden, outputs], 1),
            expand == 1 && stride == 1 && inputs == outputs,
        );
        let output = block.forward(images.clone());
        let (small, large) = (output.dims(), (output.dims()[1] * output.dims()[2] * stride * stride) as f64);
        let (outside, inside) =
            (expand * expand * inputs * hidden, kernel * kernel * hidden + hidden * outputs);
        let gflop = 2e-9 * (large * outside as f64 + (small[1] * small[2] * inside) as f64);
        let ms = least_ms(runs, || drop(block.forward(images.clone()))) / batch as f64;
        println!(
            "block {:2} {expand}x{expand} {inputs:3} -> {hidden:3}, {kernel}x{kernel}/{stride} -> {outputs:3} at {:3} x {:3}: {ms:6.3} ms {:6.1} GFLOP/s",
            blocks.len(),
            small[1],
            small[2],
            gflop / ms * 1e3
        );
        (total, total_gflop) = (total + ms, total_gflop + gflop);
        images = output;
        blocks.push(block);
    }
    let forward = || drop(blocks.iter().fold(input.clone(), |images, block| block.forward(images)));
    let ms = least_ms(4 * runs, forward) / batch as f64;
    println!("sum {total:.3} ms; in sequence {ms:.3} ms {:.1} GFLOP/s", total_gflop / ms * 1e3);
}

/// Minimum time of some runs in milliseconds.
fn least_ms(runs: usize, mut work: impl FnMut()) -> f64 {
    work();
    let times = (0..runs).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e3
    });
    times.min_by(f64::total_cmp).unwrap()
}
