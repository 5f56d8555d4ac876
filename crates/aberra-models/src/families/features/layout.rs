//! How an image's parts are laid out, and how much of that no combination of the normals' layouts explains: the principal
//! components of the normals' coarse grids of features, each grid taken as one point, and what an image has beyond them (Ahuja et
//! al., *Probabilistic modeling of deep features for out-of-distribution and adversarial detection*, 2019), whitened by what
//! normals have beyond them. Patches are compared with patches wherever they lie; here a part that is usual elsewhere, or beside
//! others, is unusual.

use aberra_kernels::{ActivationFunction, OperandPrecision, linear};
use aberra_metrics::Result;
use aberra_metrics::pca::pca;
use burn::tensor::{Device, Tensor, TensorData};

use super::means_and_factors;
use crate::features::{LAYOUT_CHANNELS, layout_shape};
use crate::graph::{Graph, Value};
use crate::measure::pooling::{mean_of_largest, mean_of_largest_graph};
use crate::shape::Shape;
use crate::tensors::{Tensors, Weight, half, take};
use crate::whitening::Whitening;

/// Of the names of its tensors.
const PREFIX: &str = "layout";

/// Of the names of the tensors that whiten what the components leave.
const REST: &str = "layout.rest";

/// Share of the normals' variance that the components explain, if [`MOST`] are enough for it.
const EXPLAINED: f64 = 0.95;

/// Components at most: they are most of what the family adds to a detector's file.
const MOST: usize = 112;

/// Images at most from which the components are learnt: ten seconds of one core; twice as many take seven times as long.
pub(super) const IMAGES: usize = 512;

/// Numbers that are measured: peak, top and mean.
pub(super) const MEASUREMENTS: usize = 3;

/// Shares of the cells, the most unusual ones, whose means are measured.
const SHARES: [f64; MEASUREMENTS] = [0.01, 0.1, 1.0];

/// Principal components of layouts.
#[derive(Debug)]
pub(super) struct Layout {
    /// `[cells, LAYOUT_CHANNELS]`.
    mean: Vec<f32>,
    /// One over each channel's deviation; 0 for a channel that does not vary.
    factor: Vec<f32>,
    /// `[components, cells x LAYOUT_CHANNELS]`.
    components: Vec<f32>,
    /// Of what the components leave of a cell; none where they leave nothing of the normals they are learnt from, or in
    /// detectors of before.
    rest: Option<Whitening>,
    /// The components transposed and as they are.
    product: (Tensor<2>, Tensor<2>),
    device: Device,
}

impl Layout {
    /// Learns from `layouts`, each `[cells, LAYOUT_CHANNELS]`.
    ///
    /// # Errors
    /// Values that are not finite.
    pub(super) fn fit(layouts: &[Vec<f32>], device: &Device) -> Result<Self> {
        let length = layouts.first().map_or(0, Vec::len);
        let (mean, _) = means_and_factors(layouts.iter().map(Vec::as_slice), length);
        // Of each channel over all cells: places where normals hardly differ from each other count no more than others.
        let places = layouts.iter().flat_map(|layout| cells(layout));
        let (_, factor) = means_and_factors(places, LAYOUT_CHANNELS);
        let scaled: Vec<Vec<f32>> = layouts.iter().map(|layout| scale(layout, &mean, &factor)).collect();
        let mut components = Vec::new();
        if scaled.len() > 1 && scaled.iter().flatten().any(|&value| value != 0.0) {
            let found = pca(&scaled, MOST)?;
            let mut explained = 0.0;
            for (component, share) in found.components.iter().zip(&found.explained) {
                components.extend(component.iter().map(|&value| half(value as f32)));
                explained += share;
                if explained >= EXPLAINED {
                    break;
                }
            }
        }
        let layout = Self::new(mean, factor, components, device);
        let cells: Vec<Vec<f32>> = scaled
            .into_iter()
            .flat_map(|scaled| cells(&layout.unexplained(scaled)).map(<[f32]>::to_vec).collect::<Vec<_>>())
            .collect();
        // The layouts are finite, so all that can be wrong is that nothing is left of them.
        let rest = Whitening::fit(&cells, LAYOUT_CHANNELS, device).ok();
        Ok(Self { rest, ..layout })
    }

    fn new(mean: Vec<f32>, factor: Vec<f32>, components: Vec<f32>, device: &Device) -> Self {
        let (length, count) = (mean.len(), components.len() / mean.len().max(1));
        let mut transposed = vec![0.0; components.len()];
        for (at, component) in components.chunks_exact(length.max(1)).enumerate() {
            component.iter().enumerate().for_each(|(value, &of)| transposed[value * count + at] = of);
        }
        let product = (
            Tensor::from_data(TensorData::new(transposed, [length, count]), device),
            Tensor::from_data(TensorData::new(components.clone(), [count, length]), device),
        );
        Self { mean, factor, components, rest: None, product, device: device.clone() }
    }

    fn count(&self) -> usize {
        self.components.len() / self.mean.len().max(1)
    }

    /// Peak, top and mean of what the components leave of a layout, `[cells, LAYOUT_CHANNELS]`.
    pub(super) fn measure(&self, layout: &[f32]) -> [f64; MEASUREMENTS] {
        let left = self.unexplained(scale(layout, &self.mean, &self.factor));
        let left = match &self.rest {
            Some(rest) => rest.project(&left),
            None => left,
        };
        let of_cell = |cell: &[f32]| cell.iter().map(|value| value * value).sum::<f32>() / cell.len() as f32;
        let of_cells: Vec<f32> = cells(&left).map(of_cell).collect();
        SHARES.map(|share| mean_of_largest(&of_cells, share))
    }

    /// What is left of a scaled layout beyond the components.
    fn unexplained(&self, scaled: Vec<f32>) -> Vec<f32> {
        if self.count() == 0 {
            return scaled;
        }
        let product = |input: Vec<f32>, matrix: &Tensor<2>| {
            let length = input.len();
            let input = Tensor::from_data(TensorData::new(input, [1, length]), &self.device);
            let output =
                linear(input, matrix.clone(), None, ActivationFunction::Identity, OperandPrecision::F32);
            output.into_data().try_into_vec::<f32>().unwrap_or_default()
        };
        let explained = product(product(scaled.clone(), &self.product.0), &self.product.1);
        scaled.into_iter().zip(explained).map(|(value, explained)| value - explained).collect()
    }

    /// [`measure`](Self::measure) of `[cells, LAYOUT_CHANNELS]` in a graph.
    pub(super) fn measure_graph(&self, graph: &mut Graph, layout: Value) -> [Value; MEASUREMENTS] {
        let (length, count) = (self.mean.len(), self.count());
        let cells = length / LAYOUT_CHANNELS;
        let mean = graph.constant(&[cells, LAYOUT_CHANNELS], &self.mean);
        let factor = graph.constant(&[LAYOUT_CHANNELS], &self.factor);
        let centered = graph.subtract(layout, mean);
        let mut left = graph.multiply(centered, factor);
        if count > 0 {
            let components = graph.constant(&[count, length], &self.components);
            let row = graph.reshape(left, &[length, 1]);
            let along = graph.matmul(components, row);
            let along = graph.reshape(along, &[1, count]);
            let explained = graph.matmul(along, components);
            let explained = graph.reshape(explained, &[cells, LAYOUT_CHANNELS]);
            left = graph.subtract(left, explained);
        }
        if let Some(rest) = &self.rest {
            left = rest.project_graph(graph, left);
        }
        let squares = graph.square(left);
        let cells = graph.mean(squares, &[1]);
        SHARES.map(|share| mean_of_largest_graph(graph, cells, share))
    }

    pub(super) fn write(&self, tensors: &mut Tensors) {
        let parts = [
            ("mean", vec![self.mean.len() / LAYOUT_CHANNELS, LAYOUT_CHANNELS], &self.mean),
            ("factor", vec![LAYOUT_CHANNELS], &self.factor),
            ("components", vec![self.count(), self.mean.len()], &self.components),
        ];
        for (name, shape, values) in parts {
            tensors.insert(format!("{PREFIX}.{name}"), Weight { shape, values: values.clone() });
        }
        if let Some(rest) = &self.rest {
            rest.write(tensors, REST);
        }
    }

    /// Takes its tensors; `None` where there are none, as in detectors of versions before it.
    ///
    /// # Errors
    /// Some of its tensors are missing, of another shape or not finite.
    pub(super) fn read(tensors: &mut Tensors, shape: Shape, device: &Device) -> Result<Option<Self>> {
        let name = |part: &str| format!("{PREFIX}.{part}");
        if !tensors.keys().any(|name| name.starts_with(PREFIX)) {
            return Ok(None);
        }
        let cells = layout_shape(shape).area();
        let mean = take(tensors, &name("mean"), &[cells, LAYOUT_CHANNELS])?;
        let factor = take(tensors, &name("factor"), &[LAYOUT_CHANNELS])?;
        let components = tensors.get(&name("components"));
        let count = components.map_or(0, |weight| weight.values.len() / mean.len());
        let components = take(tensors, &name("components"), &[count, mean.len()])?;
        let rest = tensors
            .keys()
            .any(|name| name.starts_with(REST))
            .then(|| Whitening::read(tensors, REST, LAYOUT_CHANNELS, LAYOUT_CHANNELS, device));
        Ok(Some(Self { rest: rest.transpose()?, ..Self::new(mean, factor, components, device) }))
    }
}

/// The cells of `[cells, LAYOUT_CHANNELS]`.
fn cells(layout: &[f32]) -> std::slice::ChunksExact<'_, f32> {
    layout.chunks_exact(LAYOUT_CHANNELS)
}

/// `[cells, LAYOUT_CHANNELS]` around the mean, in the channels' deviations.
fn scale(layout: &[f32], mean: &[f32], factor: &[f32]) -> Vec<f32> {
    let channels = factor.iter().cycle();
    layout.iter().zip(mean).zip(channels).map(|((value, mean), factor)| (value - mean) * factor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Layouts of 2 x 2 cells that are mixtures of two, and one of another kind.
    fn layouts() -> Vec<Vec<f32>> {
        let base = |phase: f32| -> Vec<f32> {
            (0..4 * LAYOUT_CHANNELS).map(|at| (at as f32 * phase).sin()).collect()
        };
        let (first, second) = (base(0.37), base(0.91));
        let mix = |share: f32| {
            first.iter().zip(&second).map(|(a, b)| share * a + (1.0 - share) * share * b).collect()
        };
        (0..12).map(|at| mix(at as f32 / 11.0)).collect()
    }

    #[test]
    fn mixtures_of_normal_layouts_are_explained_and_a_change_of_one_cell_is_not() {
        let layouts = layouts();
        let layout = Layout::fit(&layouts[..10], &Device::flex()).unwrap();
        assert!((1..=2).contains(&layout.count()), "{}", layout.count());
        let usual = layout.measure(&layouts[10]);
        let mut changed = layouts[10].clone();
        changed[LAYOUT_CHANNELS..2 * LAYOUT_CHANNELS].iter_mut().for_each(|value| *value += 1.0);
        let unusual = layout.measure(&changed);
        assert!(unusual[0] > 10.0 * usual[0] && unusual[2] > 5.0 * usual[2], "{usual:?} {unusual:?}");
        // The same parts at other places are unusual, too.
        let mut moved = layouts[10].clone();
        moved.rotate_left(LAYOUT_CHANNELS);
        assert!(layout.measure(&moved)[2] > 5.0 * usual[2]);
    }

    /// As `tests/golden/make_layout.py` makes them.
    fn golden_layout(image: usize) -> Vec<f32> {
        let (first, second) = ((image * 7 % 13) as f64 / 13.0, (image * 5 % 11) as f64 / 11.0);
        let value = |at: usize| {
            let part = |step: usize| ((at * step % 101) as f64 - 50.0) / 50.0;
            let own = (((at * 31 + image * 17 + at * image) % 89) as f64 - 44.0) / 440.0;
            let scale = 1.0 + (at % LAYOUT_CHANNELS) as f64 / 50.0;
            (scale * (first * part(37) + second * part(53) + own)) as f32
        };
        (0..4 * LAYOUT_CHANNELS).map(value).collect()
    }

    #[test]
    fn what_is_left_is_what_the_components_of_scikit_learn_leave() {
        #[derive(serde::Deserialize)]
        struct Golden {
            components: usize,
            largest: f64,
            mean: f64,
        }
        let golden: Golden = serde_json::from_str(include_str!("../../../tests/golden/layout.json")).unwrap();
        let layouts: Vec<Vec<f32>> = (0..24).map(golden_layout).collect();
        let layout = Layout::fit(&layouts, &Device::flex()).unwrap();
        assert_eq!(layout.count(), golden.components);
        let mut new = golden_layout(40);
        new[LAYOUT_CHANNELS..2 * LAYOUT_CHANNELS].iter_mut().for_each(|value| *value += 0.5);
        // Of four cells the highest hundredth and tenth are one cell. Components are of half precision, and what they leave of
        // these layouts is small.
        for (found, expected) in
            layout.measure(&new).into_iter().zip([golden.largest, golden.largest, golden.mean])
        {
            assert!((found / expected - 1.0).abs() < 4e-3, "{found}, {expected}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_where_nothing_was() {
        let layout = Layout::fit(&layouts(), &Device::flex()).unwrap();
        let mut tensors = Tensors::new();
        layout.write(&mut tensors);
        let shape = Shape { height: 64, width: 64, channels: 1 };
        let read = Layout::read(&mut tensors, shape, &Device::flex()).unwrap().unwrap();
        assert!(tensors.is_empty());
        assert_eq!(read.measure(&layouts()[3]), layout.measure(&layouts()[3]));
        assert!(Layout::read(&mut tensors, shape, &Device::flex()).unwrap().is_none());
        layout.write(&mut tensors);
        tensors.remove("layout.factor");
        assert!(Layout::read(&mut tensors, shape, &Device::flex()).is_err());
    }

    #[test]
    fn layouts_that_are_all_alike_leave_all_unexplained() {
        let alike = vec![layouts()[0].clone(); 4];
        let layout = Layout::fit(&alike, &Device::flex()).unwrap();
        assert_eq!((layout.count(), layout.measure(&alike[0])), (0, [0.0; 3]));
    }
}
