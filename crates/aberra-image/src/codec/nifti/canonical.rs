//! Stored axes -> rightwards, forwards and upwards (RAS+): the permutation and the flips that come nearest to a volume's affine.

use super::header::Header;

/// For each of the axes rightwards, forwards and upwards: which stored axis it is, and whether that runs the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Canonical {
    axes: [Axis; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axis {
    stored: usize,
    is_flipped: bool,
    length: usize,
    stride: usize,
}

impl Canonical {
    pub(super) fn of(header: &Header) -> Self {
        // Cosines between the stored axes and the directions.
        let spacing = header.spacing();
        let cosine = |direction: usize, stored: usize| {
            let cosine = header.affine[direction][stored] / spacing[stored];
            if cosine.is_finite() { cosine } else { 0.0 }
        };
        let strongest = |stored: usize| {
            [0, 1, 2].map(|direction| cosine(direction, stored).abs()).into_iter().fold(0.0, f64::max)
        };
        // The stored axis that points most clearly chooses first.
        let mut order = [0, 1, 2];
        order.sort_by(|&one, &other| strongest(other).total_cmp(&strongest(one)));
        let mut chosen: [Option<(usize, bool)>; 3] = [None; 3];
        for stored in order {
            let mut free = (0..3).filter(|&direction| chosen[direction].is_none());
            let Some(first) = free.next() else { continue };
            let nearest = free.fold(first, |best, direction| {
                if cosine(direction, stored).abs() > cosine(best, stored).abs() { direction } else { best }
            });
            chosen[nearest] = Some((stored, cosine(nearest, stored) < 0.0));
        }
        let strides = [1, header.sides[0], header.sides[0] * header.sides[1]];
        let axis = |direction: usize| {
            let (stored, is_flipped) = chosen[direction].unwrap_or((direction, false));
            Axis { stored, is_flipped, length: header.sides[stored], stride: strides[stored] }
        };
        Self { axes: [axis(0), axis(1), axis(2)] }
    }

    /// Voxels rightwards, forwards and upwards.
    pub(super) fn lengths(&self) -> [usize; 3] {
        self.axes.map(|axis| axis.length)
    }

    /// Of distances along the stored axes, those rightwards, forwards and upwards.
    pub(super) fn arranged(&self, distances: [f64; 3]) -> [f64; 3] {
        self.axes.map(|axis| distances[axis.stored])
    }

    /// The stored numbers of a slice's voxels, row by row from the front to the back, each from left to right.
    pub(super) fn slice(&self, number: usize) -> impl Iterator<Item = usize> {
        let [across, along, up] = self.axes;
        let base = up.at(number);
        (0..along.length).rev().flat_map(move |y| {
            let row = base + along.at(y);
            (0..across.length).map(move |x| row + across.at(x))
        })
    }

    /// The values of slices, each in the order of [`slice`](Self::slice), in the order in which voxels are stored; 0 in the slices
    /// that there are none of.
    pub(super) fn stored(&self, planes: &[Option<Vec<f32>>]) -> Vec<f32> {
        let mut voxels = vec![0.0; self.lengths().iter().product()];
        for (number, plane) in planes.iter().enumerate().take(self.axes[2].length) {
            let values = plane.iter().flatten();
            self.slice(number).zip(values).for_each(|(voxel, &value)| voxels[voxel] = value);
        }
        voxels
    }
}

impl Axis {
    fn at(&self, index: usize) -> usize {
        self.stride * if self.is_flipped { self.length - 1 - index } else { index }
    }
}

impl Header {
    /// Distances between voxels along the stored axes, in the file's unit.
    pub(super) fn spacing(&self) -> [f64; 3] {
        [0, 1, 2].map(|stored| {
            let squares = self.affine.iter().map(|row| row[stored] * row[stored]);
            squares.sum::<f64>().sqrt()
        })
    }
}
