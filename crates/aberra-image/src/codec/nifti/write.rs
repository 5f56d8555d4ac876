//! Volumes of 32-bit floats -> compressed NIfTI files. The same values always give the same bytes.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::header::Header;
use crate::Error;
use crate::error::Kind;

/// Encodes a volume as a compressed NIfTI-1 file (`.nii.gz`) of 32-bit floats. `voxels` runs along the first of its `sides` fastest;
/// `affine` leads from indices to millimetres rightwards, forwards and upwards: three rows of four.
///
/// # Errors
/// `voxels` has another length than the sides say, a side is 0 or above 32767, or the affine is not finite.
pub fn encode_nifti(voxels: &[f32], sides: [usize; 3], affine: [[f64; 4]; 3]) -> Result<Vec<u8>, Error> {
    const LONGEST_SIDE: usize = i16::MAX as usize;
    if sides.iter().any(|side| !(1..=LONGEST_SIDE).contains(side)) {
        let [x, y, z] = sides;
        return Err(refusal(format!("expected sides of 1 to {LONGEST_SIDE} voxels, found {x} x {y} x {z}")));
    }
    if sides.iter().product::<usize>() != voxels.len() {
        let [x, y, z] = sides;
        return Err(refusal(format!("expected {x} x {y} x {z} voxels, found {}", voxels.len())));
    }
    if !affine.iter().flatten().all(|value| value.is_finite()) {
        return Err(refusal("expected an affine of finite numbers, found others".to_owned()));
    }
    file(&Header::of_grid(sides, affine), voxels)
}

/// A header and its values, compressed.
pub(super) fn file(header: &[u8], voxels: &[f32]) -> Result<Vec<u8>, Error> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let values: Vec<u8> = voxels.iter().flat_map(|value| value.to_le_bytes()).collect();
    let written = encoder.write_all(header).and_then(|()| encoder.write_all(&values));
    written
        .and_then(|()| encoder.finish())
        .map_err(|error| refusal(format!("cannot compress the volume: {error}")))
}

fn refusal(message: String) -> Error {
    Error::new(Kind::Pixels, message)
}
