//! The register tile: the one inner loop under every kernel of this crate, with its SIMD versions.
//!
//! A tile multiplies some rows of a matrix by a panel of [`LANES`] columns and adds the product to an accumulator. The
//! rows need not lie in memory as a matrix: each starts at its own offset and consists of equally long runs, which is
//! what lets a convolution read its input in place. Every element of the accumulator is one chain of multiply-adds in
//! the order of the depth, whatever tile it falls in; so results depend neither on how work is cut into tiles nor on
//! the number of threads. The loop is written once, in `registers`; each instruction set has a file of its own here.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dispatch;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod registers;
mod shape;

pub(crate) use self::dispatch::{Multiply, multiply};
pub(crate) use self::shape::{DEPTH_BLOCK, LANES, Left, ROWS, Runs, Sums};
