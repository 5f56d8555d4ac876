//! Times the layers of a VAE, by default that of the speed comparison: minimum of seven runs in milliseconds, and
//! GFLOP/s of the forward and backward passes, beside the product of two 2,048 x 2,048 matrices by the library under
//! Burn. Layers that use the Winograd algorithm may exceed that.
//!
//! `cargo run --release -p aberra-kernels --example layers -- [--bf16] [--instructions NAME] [batch] [threads]
//! [size_px] [channels ...]`; with one thread in processor time. `--bf16` rounds the operands, and `--instructions`
//! selects another instruction set than the widest.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use aberra_kernels::{
    ActivationFunction, AdamStep, BatchNormalization, Geometry, InstructionSet, Kernels, OperandPrecision,
    adam_step, conv_transpose2d, conv2d, linear, select,
};
use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::{Device, Tensor, TensorData};
use std::time::Instant;

/// Minimum time of seven runs. On one thread it is processor time, which is robust on a busy machine.
fn least_ms(mut work: impl FnMut()) -> f64 {
    work();
    let times = (0..7).map(|_| {
        let (start, used) = (Instant::now(), processor_ms());
        work();
        match (used, processor_ms()) {
            (Some(before), Some(after)) if rayon::current_num_threads() == 1 => after - before,
            _ => start.elapsed().as_secs_f64() * 1e3,
        }
    });
    times.min_by(f64::total_cmp).unwrap()
}

/// Processor time of this thread, on Linux.
fn processor_ms() -> Option<f64> {
    // The operating system updates the counter when the thread yields.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? / 1e6)
}

fn report(name: &str, gflop: f64, times: &[(&str, f64)]) -> f64 {
    print!("{name:<34}");
    for (what, ms) in times {
        match *what {
            _ if *ms == 0.0 => {}
            "bias" => print!("  {what} {ms:7.2} ms"),
            _ => print!("  {what} {ms:7.2} ms {:6.1} GFLOP/s", gflop / ms * 1e3),
        }
    }
    println!();
    times.iter().map(|(_, ms)| ms).sum()
}

/// Pseudo-random numbers from -0.1 to 0.1.
fn values(count: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 2_654_435_761) % 2_001) as f32 / 1e4 - 0.1).collect()
}

fn main() {
    let mut precision = OperandPrecision::F32;
    let mut sizes: Vec<usize> = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bf16" => precision = OperandPrecision::Bf16,
            "--instructions" => {
                select(InstructionSet::named(&arguments.next().unwrap()).unwrap()).unwrap();
            }
            size => sizes.push(size.parse().unwrap()),
        }
    }
    let mut sizes = sizes.into_iter();
    let (batch, threads) = (sizes.next().unwrap_or(32), sizes.next().unwrap_or(0));
    rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build_global().unwrap();
    let device = Device::flex();
    let tensor = |shape: [usize; 4]| {
        Tensor::<4>::from_data(TensorData::new(values(shape.iter().product()), shape), &device)
    };
    let side = 2048;
    let matrix = Tensor::<2>::from_data(TensorData::new(values(side * side), [side, side]), &device);
    let peak = least_ms(|| drop(matrix.clone().matmul(matrix.clone())));
    println!("matrix product of the library: {:.1} GFLOP/s", 2e-6 * (side * side * side) as f64 / peak);
    let geometry = Geometry { stride: 2, padding: 1 };
    let mut total = 0.0;
    let size_px = sizes.next().unwrap_or(128);
    let mut channels: Vec<usize> = sizes.collect();
    if channels.is_empty() {
        channels = vec![32, 64, 128, 256];
    }
    channels.insert(0, 1);
    for (stage, pair) in channels.windows(2).enumerate() {
        let (size, large, small) = (size_px >> stage, pair[0], pair[1]);
        let input = tensor([batch, size, size, large]);
        let weight = tensor([4, 4, large, small]);
        let output = tensor([batch, size / 2, size / 2, small]);
        let gflop = 2e-9 * (batch * size * size / 4 * small * 16 * large) as f64;
        let (a, w, b): (DispatchTensor, _, _) =
            (input.clone().into_dispatch(), weight.clone().into_dispatch(), output.clone().into_dispatch());
        let relu = ActivationFunction::Relu;
        let down = [
            (
                "forward",
                least_ms(|| drop(conv2d(input.clone(), weight.clone(), None, geometry, relu, precision))),
            ),
            (
                "input",
                if large == 1 {
                    0.0
                } else {
                    least_ms(|| {
                        drop(<Dispatch as Kernels>::convolution_input_gradient(
                            b.clone(),
                            b.clone(),
                            a.clone(),
                            w.clone(),
                            geometry,
                            relu,
                            precision,
                        ));
                    })
                },
            ),
            (
                "weight",
                least_ms(|| {
                    drop(<Dispatch as Kernels>::convolution_weight_gradient(
                        b.clone(),
                        b.clone(),
                        a.clone(),
                        w.clone(),
                        geometry,
                        relu,
                        precision,
                    ));
                }),
            ),
            ("bias", least_ms(|| drop(<Dispatch as Kernels>::bias_gradient(b.clone(), b.clone(), relu)))),
        ];
        let up = [
            (
                "forward",
                least_ms(|| {
                    drop(conv_transpose2d(output.clone(), weight.clone(), None, geometry, relu, precision))
                }),
            ),
            (
                "input",
                least_ms(|| {
                    drop(<Dispatch as Kernels>::transposed_convolution_input_gradient(
                        a.clone(),
                        a.clone(),
                        w.clone(),
                        geometry,
                        relu,
                        precision,
                    ));
                }),
            ),
            (
                "weight",
                least_ms(|| {
                    drop(<Dispatch as Kernels>::transposed_convolution_weight_gradient(
                        a.clone(),
                        a.clone(),
                        b.clone(),
                        w.clone(),
                        geometry,
                        relu,
                        precision,
                    ));
                }),
            ),
            ("bias", least_ms(|| drop(<Dispatch as Kernels>::bias_gradient(a.clone(), a.clone(), relu)))),
        ];
        total += report(&format!("convolution {size}px {large}->{small}"), gflop, &down)
            + report(&format!("transposed {}px {small}->{large}", size / 2), gflop, &up);
        let values = [small].map(|count| Tensor::<1>::ones([count], &device).into_dispatch());
        let settings = BatchNormalization { epsilon: 1e-5, activation: relu };
        let [ones] = values;
        let normalization = [
            (
                "forward",
                least_ms(|| {
                    drop(<Dispatch as Kernels>::normalization(
                        b.clone(),
                        ones.clone(),
                        ones.clone(),
                        settings,
                    ));
                }),
            ),
            (
                "gradients",
                least_ms(|| {
                    drop(<Dispatch as Kernels>::normalization_gradients(
                        b.clone(),
                        b.clone(),
                        b.clone(),
                        ones.clone(),
                        ones.clone(),
                        ones.clone(),
                        settings,
                    ));
                }),
            ),
        ];
        report(&format!("normalisation {}px {small}", size / 2), 0.0, &normalization);
    }
    let flat = (size_px >> (channels.len() - 1)).pow(2) * channels[channels.len() - 1];
    for (inputs, outputs) in [(flat, 256), (128, flat)] {
        let matrix = |shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(values(shape.iter().product()), shape), &device)
        };
        let (input, weight, output) =
            (matrix([batch, inputs]), matrix([inputs, outputs]), matrix([batch, outputs]));
        let gflop = 2e-9 * (batch * inputs * outputs) as f64;
        let identity = ActivationFunction::Identity;
        let (a, w, b) =
            (input.clone().into_dispatch(), weight.clone().into_dispatch(), output.clone().into_dispatch());
        let times = [
            ("forward", least_ms(|| drop(linear(input.clone(), weight.clone(), None, identity, precision)))),
            (
                "input",
                least_ms(|| {
                    drop(<Dispatch as Kernels>::dense_input_gradient(
                        b.clone(),
                        b.clone(),
                        w.clone(),
                        identity,
                        precision,
                    ));
                }),
            ),
            (
                "weight",
                least_ms(|| {
                    drop(<Dispatch as Kernels>::dense_weight_gradient(
                        b.clone(),
                        b.clone(),
                        a.clone(),
                        identity,
                        precision,
                    ));
                }),
            ),
        ];
        total += report(&format!("dense {inputs}->{outputs}"), gflop, &times);
    }
    let zeros = || Tensor::<1>::zeros([7_700_000], &device);
    let mut state = [zeros(), zeros(), zeros()];
    let gradient = zeros() + 0.5;
    let adam = least_ms(|| {
        let [parameter, first, second] =
            std::mem::replace(&mut state, [(); 3].map(|()| Tensor::zeros([1], &device)));
        state = adam_step(parameter, gradient.clone(), first, second, AdamStep::new(1e-3, 1));
    });
    println!("Adam, 7.7 M parameters: {adam:.2} ms");
    total += adam;
    println!("sum {total:.1} ms, {:.1} images per second", batch as f64 / total * 1e3);
}
