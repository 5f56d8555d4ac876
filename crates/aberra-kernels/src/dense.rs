//! Dense layers: `[rows, inputs] x [inputs, outputs]` and the gradients.
//!
//! The weights are read once, in blocks that do not depend on the number of rows, so the result of a row is
//! bit-identical in any batch.

use crate::activation::ActivationFunction;
use crate::epilogue::Epilogue;
use crate::operand::{Operands, with_operands};
use crate::pool;
use crate::precision::OperandPrecision;
use crate::product::{Panels, Product, RowBlocks};
use crate::scratch::{Scratched, at_least};
use crate::signal::Signal;
use crate::tile::{DEPTH_BLOCK, LANES, Left, PANELS, ROWS, Right, Runs, Sums, multiply};
use rayon::prelude::*;

/// Inputs per task (split-K); partial sums are added in order.
const INPUT_CHUNK: usize = 1024;
/// Outputs per task.
const OUTPUT_CHUNK: usize = 512;
/// Inputs that the forward pass packs at a time: with all outputs of a task 256 KiB, for the L2 cache.
const FORWARD_BLOCK: usize = 128;
/// Weight rows per task in the gradients.
const GRADIENT_CHUNK: usize = 16 * ROWS;

/// `activation(bias + input weight)`, `[rows, outputs]`.
pub(crate) fn forward(
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    inputs: usize,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> Vec<f32> {
    with_operands!(precision, inputs, O => forward_operands::<O>(input, weight, bias, inputs, activation))
}

fn forward_operands<O: Operands>(
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    inputs: usize,
    activation: ActivationFunction,
) -> Vec<f32> {
    let outputs = bias.len();
    let rows = input.len() / inputs.max(1);
    if rows == 0 {
        return Vec::new();
    }
    let mut buffer = Vec::new();
    let input = O::read(Signal::plain(input), &mut buffer);
    let starts: Vec<usize> = (0..rows).map(|row| row * (inputs / O::DEPTH)).collect();
    let places: Vec<usize> = (0..rows).map(|row| row * LANES).collect();
    let (input_chunks, output_chunks) = (inputs.div_ceil(INPUT_CHUNK), outputs.div_ceil(OUTPUT_CHUNK));
    let pieces: Vec<Vec<f32>> = (0..input_chunks * output_chunks)
        .into_par_iter()
        .map(|piece| {
            let first_input = piece / output_chunks * INPUT_CHUNK;
            let first_output = piece % output_chunks * OUTPUT_CHUNK;
            let depth = INPUT_CHUNK.min(inputs - first_input);
            let columns = OUTPUT_CHUNK.min(outputs - first_output);
            let mut sums = pool::take(rows * columns.div_ceil(LANES) * LANES);
            O::Value::with_scratch(|scratch| {
                for from in (0..depth).step_by(FORWARD_BLOCK) {
                    let block = FORWARD_BLOCK.min(depth - from);
                    let begin = (from == 0).then_some(&[[0.0; LANES]; PANELS]);
                    let matrix = weight[(first_input + from) * outputs..].chunks_exact(outputs).take(block);
                    let matrix = matrix.map(|row| &row[first_output..first_output + columns]);
                    let runs = Runs::one(block / O::DEPTH);
                    let length = columns.div_ceil(LANES) * runs.length * LANES;
                    let packed = at_least(&mut scratch.packed, length);
                    O::pack(packed, LANES, &mut scratch.plain, |packed| pack_rows(matrix, block, packed));
                    let apart = runs.length * LANES;
                    let offset = (first_input + from) / O::DEPTH;
                    for (values, sums) in
                        packed.chunks(PANELS * apart).zip(sums.chunks_mut(PANELS * rows * LANES))
                    {
                        let left = Left { values: input, starts: &starts, offset, runs };
                        let right = Right { values, count: values.len() / apart, apart };
                        let sums = Sums { values: sums, places: &places, offset: 0, apart: rows * LANES };
                        multiply(left, right, begin, Epilogue::Identity, sums);
                    }
                }
            });
            sums
        })
        .collect();
    let mut output = pool::take(rows * outputs);
    output.par_chunks_mut(outputs.max(1)).enumerate().for_each(|(row, output)| {
        output.copy_from_slice(bias);
        for (number, piece) in pieces.iter().enumerate() {
            let first_output = number % output_chunks * OUTPUT_CHUNK;
            let columns = OUTPUT_CHUNK.min(outputs - first_output);
            let output = &mut output[first_output..first_output + columns];
            for (panel, output) in output.chunks_mut(LANES).enumerate() {
                let sums = &piece[(panel * rows + row) * LANES..];
                for (output, &sum) in output.iter_mut().zip(sums) {
                    *output += sum;
                }
            }
        }
        activation.apply_all(output);
    });
    pieces.into_iter().for_each(pool::give);
    output
}

/// Packs `[depth, columns]` as `[panel][depth][LANES]`, row by row so that the source is read sequentially; lanes
/// beyond the columns are zero.
fn pack_rows<'a>(matrix: impl Iterator<Item = &'a [f32]>, depth: usize, packed: &mut [f32]) {
    for (number, row) in matrix.enumerate() {
        let (full, rest) = row.as_chunks::<LANES>();
        let mut begin = number * LANES;
        for source in full {
            packed[begin..begin + LANES].copy_from_slice(source);
            begin += depth * LANES;
        }
        if !rest.is_empty() {
            let target = &mut packed[begin..begin + LANES];
            target[..rest.len()].copy_from_slice(rest);
            target[rest.len()..].fill(0.0);
        }
    }
}

/// Gradient of the input: `gradient weight^T`, `[rows, inputs]`.
pub(crate) fn input_gradient(
    gradient: &[f32],
    weight: &[f32],
    inputs: usize,
    outputs: usize,
    precision: OperandPrecision,
) -> Vec<f32> {
    with_operands!(precision, outputs, O => input_gradient_operands::<O>(gradient, weight, inputs, outputs))
}

fn input_gradient_operands<O: Operands>(
    gradient: &[f32],
    weight: &[f32],
    inputs: usize,
    outputs: usize,
) -> Vec<f32> {
    let rows = gradient.len() / outputs.max(1);
    let row_panels = rows.div_ceil(LANES);
    let depth = outputs / O::DEPTH;
    // The gradient transposed.
    let panels = Panels::pack::<O>(outputs, rows, |first, values| {
        let part = &gradient[first * outputs..rows.min(first + LANES) * outputs];
        for (lane, row) in part.chunks_exact(outputs).enumerate() {
            for (target, &value) in values.iter_mut().skip(lane).step_by(LANES).zip(row) {
                *target = value;
            }
        }
    });
    // Result of each task: `[panel of rows][input of the chunk][LANES]`.
    let chunk = if inputs > 2 * SMALL_INPUTS { GRADIENT_CHUNK } else { 4 * ROWS };
    let pieces: Vec<Vec<f32>> = (0..inputs.div_ceil(chunk))
        .into_par_iter()
        .map(|piece| {
            let first = piece * chunk;
            let count = chunk.min(inputs - first);
            let starts: Vec<usize> = (0..count).map(|input| input * depth).collect();
            let places: Vec<usize> = (0..count).map(|input| input * LANES).collect();
            let mut sums = pool::take_zeros(row_panels * count * LANES);
            O::Value::with_scratch(|scratch| {
                let weight = Signal::plain(&weight[first * outputs..(first + count) * outputs]);
                let values = O::read(weight, &mut scratch.window);
                for from in (0..depth).step_by(DEPTH_BLOCK) {
                    let runs = Runs::one(DEPTH_BLOCK.min(depth - from));
                    let sums = sums.chunks_mut(PANELS * count * LANES);
                    for ((_, right), sums) in panels.view().groups().zip(sums) {
                        let left = Left { values, starts: &starts, offset: from, runs };
                        let right = Right { values: &right.values[from * LANES..], ..right };
                        let sums = Sums { values: sums, places: &places, offset: 0, apart: count * LANES };
                        multiply(left, right, None, Epilogue::Identity, sums);
                    }
                }
            });
            sums
        })
        .collect();
    let mut result = pool::take(rows * inputs);
    result.par_chunks_mut(inputs.max(1)).enumerate().for_each(|(row, result)| {
        for (piece, result) in pieces.iter().zip(result.chunks_mut(chunk)) {
            let sums = piece[row / LANES * result.len() * LANES..].iter().skip(row % LANES).step_by(LANES);
            for (target, &sum) in result.iter_mut().zip(sums) {
                *target = sum;
            }
        }
    });
    pieces.into_iter().for_each(pool::give);
    result
}

/// Gradient of the weights: `input^T gradient`, `[inputs, outputs]`.
pub(crate) fn weight_gradient(
    input: &[f32],
    gradient: &[f32],
    inputs: usize,
    outputs: usize,
    precision: OperandPrecision,
) -> Vec<f32> {
    let rows = input.len() / inputs.max(1);
    with_operands!(precision, rows, O => weight_gradient_operands::<O>(input, gradient, inputs, outputs))
}

fn weight_gradient_operands<O: Operands>(
    input: &[f32],
    gradient: &[f32],
    inputs: usize,
    outputs: usize,
) -> Vec<f32> {
    let rows = input.len() / inputs.max(1);
    let depth = rows / O::DEPTH;
    let panels = Panels::from_rows::<O>(gradient, outputs);
    let depth_rows = RowBlocks::new(Runs::one(depth));
    let mut result = pool::take(inputs * outputs);
    if result.is_empty() {
        return result;
    }
    let chunk = if inputs > 2 * SMALL_INPUTS { GRADIENT_CHUNK } else { 2 * ROWS };
    result.par_chunks_mut(chunk * outputs).enumerate().for_each(|(piece, result)| {
        O::Value::with_scratch(|scratch| {
            let first = piece * chunk;
            let count = result.len() / outputs;
            // The chunk's inputs transposed, `[inputs of the chunk][rows]`.
            let transposed = at_least(&mut scratch.line, count * rows);
            for (row, values) in input.chunks_exact(inputs).enumerate() {
                let targets = transposed.iter_mut().skip(row).step_by(rows);
                for (target, &value) in targets.zip(&values[first..first + count]) {
                    *target = value;
                }
            }
            scratch.starts.clear();
            scratch.starts.extend((0..count).map(|number| number * depth));
            scratch.places.clear();
            scratch.places.extend((0..count).map(|number| number * outputs));
            let product = Product {
                values: O::read(Signal::plain(transposed), &mut scratch.window),
                starts: &scratch.starts,
                rows: &depth_rows,
                panels: panels.view(),
                bias: None,
                epilogue: Epilogue::Identity,
            };
            product.write_to(result, &scratch.places, &mut scratch.sums);
        });
    });
    result
}

/// Up to twice this many inputs, the gradients are cut into smaller tasks, so that there is one for every thread.
const SMALL_INPUTS: usize = 512;
