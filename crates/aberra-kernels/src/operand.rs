//! Storage formats of product operands: `f32`, `f32` rounded to bfloat16, or pairs of bfloat16.
//!
//! Kernels are generic over [`Operands`] and count lengths and offsets along the depth in stored values. The second
//! format serves processors without bfloat16 instructions, and odd depths.

use crate::bfloat16::{Pair, rounded};
use crate::instructions::InstructionSet;
use crate::pool::Pooled;
use crate::precision::OperandPrecision;
use crate::scratch::{Scratched, at_least};
use crate::signal::Signal;
use crate::tile::{LANES, Multiply};
use crate::wide::wide;

/// A stored value of an operand; all bits zero represent the number 0.
pub(crate) trait OperandValue: Multiply + Pooled + Scratched + Send + Sync {}

impl OperandValue for f32 {}
impl OperandValue for Pair {}

/// A storage format of operands.
pub(crate) trait Operands {
    /// The stored value.
    type Value: OperandValue;
    /// Elements along the depth per stored value.
    const DEPTH: usize;

    /// Converts a row, whose elements are adjacent along the depth; `target` is shorter by the factor
    /// [`DEPTH`](Self::DEPTH).
    fn write(row: Signal<'_>, target: &mut [Self::Value]);

    /// Converts a row into `buffer`, or borrows it where no conversion is needed.
    fn read<'b>(row: Signal<'b>, buffer: &'b mut Vec<Self::Value>) -> &'b [Self::Value];

    /// Packs `[depth][width]` elements, all of which `fill` writes, as `[depth / DEPTH][width]` values. `plain` is
    /// scratch.
    fn pack(target: &mut [Self::Value], width: usize, plain: &mut Vec<f32>, fill: impl FnOnce(&mut [f32]));
}

/// Single precision.
pub(crate) struct Single;
/// Single precision, rounded to bfloat16.
pub(crate) struct Rounded;
/// Pairs of bfloat16.
pub(crate) struct Pairs;

impl Operands for Single {
    type Value = f32;
    const DEPTH: usize = 1;

    #[inline]
    fn write(row: Signal<'_>, target: &mut [f32]) {
        row.write_to(target);
    }

    fn read<'b>(row: Signal<'b>, buffer: &'b mut Vec<f32>) -> &'b [f32] {
        row.read(buffer)
    }

    fn pack(target: &mut [f32], _width: usize, _plain: &mut Vec<f32>, fill: impl FnOnce(&mut [f32])) {
        fill(target);
    }
}

impl Operands for Rounded {
    type Value = f32;
    const DEPTH: usize = 1;

    fn write(row: Signal<'_>, target: &mut [f32]) {
        row.write_to(target);
        round(target);
    }

    fn read<'b>(row: Signal<'b>, buffer: &'b mut Vec<f32>) -> &'b [f32] {
        let target = at_least(buffer, row.len());
        Self::write(row, target);
        target
    }

    fn pack(target: &mut [f32], _width: usize, _plain: &mut Vec<f32>, fill: impl FnOnce(&mut [f32])) {
        fill(target);
        round(target);
    }
}

impl Operands for Pairs {
    type Value = Pair;
    const DEPTH: usize = 2;

    fn write(row: Signal<'_>, target: &mut [Pair]) {
        // In chunks that stay in the L1 cache, because a gated signal passes through single precision.
        const PIECE: usize = 512;
        let mut plain = [0.0; 2 * PIECE];
        for (number, target) in target.chunks_mut(PIECE).enumerate() {
            let row = row.part(number * 2 * PIECE, 2 * target.len());
            let plain = &mut plain[..2 * target.len()];
            row.write_to(plain);
            join(plain, target);
        }
    }

    fn read<'b>(row: Signal<'b>, buffer: &'b mut Vec<Pair>) -> &'b [Pair] {
        let target = at_least(buffer, row.len() / 2);
        Self::write(row, target);
        target
    }

    fn pack(target: &mut [Pair], width: usize, plain: &mut Vec<f32>, fill: impl FnOnce(&mut [f32])) {
        let plain = at_least(plain, 2 * target.len());
        fill(plain);
        match width {
            LANES => interleave(plain.as_chunks().0, target.as_chunks_mut().0),
            _ => {
                for (rows, target) in plain.chunks_exact(2 * width).zip(target.chunks_exact_mut(width)) {
                    let (first, second) = rows.split_at(width);
                    let pairs = target.iter_mut().zip(first.iter().zip(second));
                    pairs.for_each(|(target, (&first, &second))| *target = Pair::new([first, second]));
                }
            }
        }
    }
}

wide! {
    fn round(values: &mut [f32]) {
        values.iter_mut().for_each(|value| *value = rounded(*value));
    }

    /// Pairs adjacent elements.
    fn join(values: &[f32], target: &mut [Pair]) {
        let pairs = values.as_chunks::<2>().0;
        pairs.iter().zip(target).for_each(|(&pair, target)| *target = Pair::new(pair));
    }

    /// Pairs adjacent rows.
    fn interleave(values: &[[f32; LANES]], target: &mut [[Pair; LANES]]) {
        for ([first, second], target) in values.as_chunks::<2>().0.iter().zip(target) {
            for (target, (&first, &second)) in target.iter_mut().zip(first.iter().zip(second)) {
                *target = Pair::new([first, second]);
            }
        }
    }
}

/// Calls a generic function with the format for a precision on this processor:
/// `with_operands!(precision, depth, O => f::<O>())`. [`Pairs`] needs an even `depth`.
macro_rules! with_operands {
    ($precision:expr, $depth:expr, $operands:ident => $call:expr) => {
        match $crate::operand::Form::new($precision, $depth) {
            $crate::operand::Form::Single => {
                type $operands = $crate::operand::Single;
                $call
            }
            $crate::operand::Form::Rounded => {
                type $operands = $crate::operand::Rounded;
                $call
            }
            $crate::operand::Form::Pairs => {
                type $operands = $crate::operand::Pairs;
                $call
            }
        }
    };
}

pub(crate) use with_operands;

/// The formats as values, for dispatch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Single,
    Rounded,
    Pairs,
}

impl Form {
    /// The format for operands of which `depth` elements are adjacent.
    pub(crate) fn new(precision: OperandPrecision, depth: usize) -> Self {
        match (precision, InstructionSet::chosen()) {
            (OperandPrecision::F32, _) => Self::Single,
            // The portable version uses pairs, too, so that they are tested on every machine.
            (OperandPrecision::Bf16, InstructionSet::Avx512Bf16 | InstructionSet::Portable)
                if depth.is_multiple_of(Pairs::DEPTH) =>
            {
                Self::Pairs
            }
            (OperandPrecision::Bf16, _) => Self::Rounded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_joins_neighbours_along_the_depth() {
        let count = |values: &mut [f32]| {
            values.iter_mut().enumerate().for_each(|(index, value)| *value = index as f32);
        };
        for width in [6, LANES] {
            let mut target = vec![Pair::default(); 2 * width];
            Pairs::pack(&mut target, width, &mut Vec::new(), count);
            for (index, pair) in target.iter().enumerate() {
                let first = (index / width * 2 * width + index % width) as f32;
                assert_eq!(pair.parts(), [first, first + width as f32]);
            }
        }
        let mut row = vec![0.0; 2500];
        count(&mut row[..250]);
        let mut buffer = Vec::new();
        let read = Pairs::read(Signal::plain(&row), &mut buffer);
        let parts: Vec<f32> = read.iter().flat_map(|pair| pair.parts()).collect();
        assert_eq!(parts, row);
    }
}
