//! The register tile: the micro-kernel under every matrix product of this crate, with its SIMD versions.
//!
//! A tile multiplies some rows of the left operand by one or two packed panels of [`LANES`] columns and adds the products
//! to accumulators. The rows need not form a matrix in memory: each starts at its own offset and consists of equally long
//! runs, which lets a convolution read its input in place (implicit im2col). Each accumulator is one chain of
//! multiply-adds in the order of the depth, whatever tile it falls into, so results depend neither on the tiling nor on
//! the number of threads. The loop is written once, in `registers`; each instruction set has a file of its own.
//!
//! Depthwise convolutions, the one layer that is no matrix product, run on the same registers: `lines` is their loop,
//! `depthwise` their dispatch.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod depthwise;
mod dispatch;
mod lines;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod registers;
mod shape;

pub(crate) use self::depthwise::filter_line;
pub(crate) use self::dispatch::{Multiply, multiply};
pub(crate) use self::lines::Taps;
pub(crate) use self::shape::{Begin, DEPTH_BLOCK, LANES, Left, PANELS, ROWS, Right, Runs, Sums};
