//! Generated images of many kinds, without and with an anomaly, as a stream of bytes: what `discriminator/make.py` of the models
//! learns from.

use std::io::{self, BufWriter, ErrorKind, Write};

use aberra::phantom::{SyntheticKind, World, draw_anomaly};
use clap::Args;

use crate::grouped::Result;

/// Pixels from one place of the masks to the next.
const STRIDE_PX: usize = 8;

const CHANNELS: usize = 3;

/// What to draw. The stream ends when its reader does.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Seed of everything drawn.
    seed: u64,
    /// Number of the first kind of images.
    first: u64,
    /// From the number of a kind to that of the next.
    step: usize,
    /// Images of each kind.
    images: u64,
    /// Height and width, a multiple of 8.
    side: usize,
}

/// For each image: its pixels, `[side, side, 3]`; the same with an anomaly of a kind that families train on; and of each place of
/// 8 x 8 pixels the share that the anomaly covers, of 255.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    for kind in (arguments.first..).step_by(arguments.step.max(1)) {
        let world = World::draw(arguments.seed, kind);
        for number in 0..arguments.images {
            let index = kind.wrapping_mul(arguments.images).wrapping_add(number);
            match out.write_all(&record(&world, number, index, arguments)) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                written => written?,
            }
        }
    }
    Ok(())
}

fn record(world: &World, number: u64, index: u64, arguments: &Arguments) -> Vec<u8> {
    let side = arguments.side;
    let mut pixels = world.image(number, side);
    let mut bytes: Vec<u8> = pixels.iter().map(|&value| byte(value)).collect();
    let kinds = SyntheticKind::TRAINING;
    let kind = kinds[(index % kinds.len() as u64) as usize];
    let mask = draw_anomaly(&mut pixels, side, CHANNELS, arguments.seed, index, kind);
    bytes.extend(pixels.iter().map(|&value| byte(value)));
    let places = side / STRIDE_PX;
    let mut covered = vec![0.0; places * places];
    for (at, _) in mask.iter().enumerate().filter(|(_, drawn)| **drawn) {
        covered[at / side / STRIDE_PX * places + at % side / STRIDE_PX] += 1.0;
    }
    bytes.extend(covered.iter().map(|count| byte(count / (STRIDE_PX * STRIDE_PX) as f32)));
    bytes
}

fn byte(value: f32) -> u8 {
    (value * 255.0).round() as u8
}
