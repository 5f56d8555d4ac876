//! Times the layers of the peer VAE at batch 32: milliseconds and GFLOP/s of each direction.
//!
//! `cargo run --release -p aberra-kernels --example layers [batch]`
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use aberra_kernels::{Activation, AdamStep, Geometry, Kernels, adam_step, conv_transpose2d, conv2d, linear};
use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::{Device, Distribution, Tensor};
use std::time::Instant;

fn median_ms(mut work: impl FnMut()) -> f64 {
    work();
    let mut times: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[3]
}

fn report(name: &str, gflop: f64, times: &[(&str, f64)]) -> f64 {
    print!("{name:<34}");
    for (what, ms) in times {
        print!("  {what} {ms:7.2} ms {:6.1} GFLOP/s", gflop / ms * 1e3);
    }
    println!();
    times.iter().map(|(_, ms)| ms).sum()
}

fn main() {
    let batch: usize = std::env::args().nth(1).map_or(32, |batch| batch.parse().unwrap());
    let device = Device::flex();
    let random = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Uniform(-0.1, 0.1), &device);
    let geometry = Geometry { stride: 2, padding: 1 };
    let mut total = 0.0;
    for (size, large, small) in
        [(128, 1, 32), (64, 32, 64), (32, 64, 128), (16, 128, 256), (128, 1, 16), (64, 16, 32)]
    {
        let input = random([batch, size, size, large]);
        let weight = random([4, 4, large, small]);
        let output = random([batch, size / 2, size / 2, small]);
        let gflop = 2e-9 * (batch * size * size / 4 * small * 16 * large) as f64;
        let (a, w, b): (DispatchTensor, _, _) =
            (input.clone().into_dispatch(), weight.clone().into_dispatch(), output.clone().into_dispatch());
        let relu = Activation::Relu;
        let down = [
            ("forward", median_ms(|| drop(conv2d(input.clone(), weight.clone(), None, geometry, relu)))),
            (
                "input",
                if large == 1 {
                    0.0
                } else {
                    median_ms(|| {
                        drop(<Dispatch as Kernels>::convolution_input_gradient(
                            b.clone(),
                            b.clone(),
                            a.clone(),
                            w.clone(),
                            geometry,
                            relu,
                        ));
                    })
                },
            ),
            (
                "weight",
                median_ms(|| {
                    drop(<Dispatch as Kernels>::convolution_weight_gradient(
                        b.clone(),
                        b.clone(),
                        a.clone(),
                        w.clone(),
                        geometry,
                        relu,
                    ));
                }),
            ),
            ("bias", median_ms(|| drop(<Dispatch as Kernels>::bias_gradient(b.clone(), b.clone(), relu)))),
        ];
        let up = [
            (
                "forward",
                median_ms(|| drop(conv_transpose2d(output.clone(), weight.clone(), None, geometry, relu))),
            ),
            (
                "input",
                median_ms(|| {
                    drop(<Dispatch as Kernels>::transposed_convolution_input_gradient(
                        a.clone(),
                        a.clone(),
                        w.clone(),
                        geometry,
                        relu,
                    ));
                }),
            ),
            (
                "weight",
                median_ms(|| {
                    drop(<Dispatch as Kernels>::transposed_convolution_weight_gradient(
                        a.clone(),
                        a.clone(),
                        b.clone(),
                        w.clone(),
                        geometry,
                        relu,
                    ));
                }),
            ),
            ("bias", median_ms(|| drop(<Dispatch as Kernels>::bias_gradient(a.clone(), a.clone(), relu)))),
        ];
        let sum = report(&format!("convolution {size}px {large}->{small}"), gflop, &down)
            + report(&format!("transposed {}px {small}->{large}", size / 2), gflop, &up);
        if small != 16 && large != 16 {
            total += sum;
        }
    }
    for (inputs, outputs) in [(16384, 256), (128, 16384)] {
        let matrix =
            |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Uniform(-0.1, 0.1), &device);
        let (input, weight, output) =
            (matrix([batch, inputs]), matrix([inputs, outputs]), matrix([batch, outputs]));
        let gflop = 2e-9 * (batch * inputs * outputs) as f64;
        let identity = Activation::Identity;
        let (a, w, b) =
            (input.clone().into_dispatch(), weight.clone().into_dispatch(), output.clone().into_dispatch());
        let times = [
            ("forward", median_ms(|| drop(linear(input.clone(), weight.clone(), None, identity)))),
            (
                "input",
                median_ms(|| {
                    drop(<Dispatch as Kernels>::dense_input_gradient(
                        b.clone(),
                        b.clone(),
                        w.clone(),
                        identity,
                    ));
                }),
            ),
            (
                "weight",
                median_ms(|| {
                    drop(<Dispatch as Kernels>::dense_weight_gradient(
                        b.clone(),
                        b.clone(),
                        a.clone(),
                        identity,
                    ));
                }),
            ),
        ];
        total += report(&format!("dense {inputs}->{outputs}"), gflop, &times);
    }
    let zeros = || Tensor::<1>::zeros([7_700_000], &device);
    let mut state = [zeros(), zeros(), zeros()];
    let gradient = zeros() + 0.5;
    let adam = median_ms(|| {
        let [parameter, first, second] =
            std::mem::replace(&mut state, [(); 3].map(|()| Tensor::zeros([1], &device)));
        state = adam_step(parameter, gradient.clone(), first, second, AdamStep::new(1e-3, 1));
    });
    println!("Adam, 7.7 M parameters: {adam:.2} ms");
    total += adam;
    println!("sum {total:.1} ms, {:.1} images per second", batch as f64 / total * 1e3);
}
