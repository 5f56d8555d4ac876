//! The residual VAE for 256 x 256 images as its weights are called in PyTorch, and what they are called here.
//!
//! Its images go from -1 to 1, and its last layer is a hyperbolic tangent. Here they go from 0 to 1: the network takes
//! `2 x - 1`, and since `(tanh(y) + 1) / 2` is `sigmoid(2 y)`, the last layer's weights are doubled.

use aberra_metrics::{Error, Result};

use crate::families::{InputRange, Likelihood, VaeSettings};
use crate::family::{Settings, to_settings};
use crate::network::{Activation, Architecture, NetworkSettings, Precision};
use crate::shape::Shape;
use crate::tensors::{Tensors, Weight};

/// Side of the images.
const SIDE_PX: usize = 256;
/// What to do with other models.
const OTHERS: &str = "other models are not imported: train one of the families with `aberra train`";
/// Names of weights that are repeated in errors.
const SHOWN: usize = 4;

/// A model of the family `vae` from elsewhere: everything but what normal images tell.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ResidualWeights {
    /// The name of the family.
    pub family: &'static str,
    /// Its settings.
    pub settings: Settings,
    /// Of the network input.
    pub shape: Shape,
    /// Its weights, as the family's network calls them.
    pub weights: Tensors,
}

/// A convolution: names there and here, channels in and out, side of the kernel.
struct Layer {
    there: String,
    here: String,
    ins: usize,
    outs: usize,
    kernel: usize,
    /// Transposed: the weight's first axis is that of the channels in.
    is_up: bool,
    /// The name of the batch normalisation after it.
    norm: Option<String>,
    /// What weights and bias are multiplied by.
    scale: f32,
}

/// The known residual VAE with these weights, whatever its widths.
///
/// # Errors
/// The weights of another model, or of other shapes; what was expected and found is said.
pub fn residual_vae(mut state: Tensors) -> Result<ResidualWeights> {
    let axes = |name: &str| match state.get(name).map(|weight| weight.shape.as_slice()) {
        Some(&[outs, ins, ..]) => Ok((outs, ins)),
        _ => Err(another_model(&state, name)),
    };
    let (first, channels) = axes("encoder.conv1.weight")?;
    let width = |block: usize| axes(&format!("encoder.block{block}.layer1.0.weight")).map(|(outs, _)| outs);
    let (one, two, three) = (width(1)?, width(2)?, width(3)?);
    let (latent, _) = axes("encoder.conv_mu.weight")?;
    if first != one || !matches!(channels, 1 | 3) || first % 8 != 0 {
        return Err(Error::detector(format!(
            "encoder.conv1.weight: expected 1 or 3 channels in and a multiple of 8 out, as many as \
             encoder.block1.layer1.0.weight has ({one}), found {channels} and {first}"
        ))
        .with_hint(OTHERS));
    }
    let mut weights = Tensors::new();
    for layer in layers(channels, [one, two, three], latent) {
        layer.take(&mut state, &mut weights)?;
    }
    if let Some(name) = state.keys().next() {
        return Err(another(&format!("one with the weight {name} beside those")));
    }
    let network = NetworkSettings {
        architecture: Architecture::Residual,
        channels: vec![one, two, three],
        latent,
        activation: Activation::LeakyRelu,
        precision: Precision::F32,
        ..NetworkSettings::default()
    };
    let likelihood = Likelihood::Gaussian { variance: 0.5 };
    let settings =
        VaeSettings { network, likelihood, input_range: InputRange::Symmetric, ..VaeSettings::default() };
    let shape = Shape { height: SIDE_PX, width: SIDE_PX, channels };
    Ok(ResidualWeights { family: "vae", settings: to_settings(&settings), shape, weights })
}

fn layers(channels: usize, [one, two, three]: [usize; 3], latent: usize) -> Vec<Layer> {
    let layer = |there: &str, here: &str, (ins, outs): (usize, usize), kernel: usize| Layer {
        there: there.to_owned(),
        here: here.to_owned(),
        ins,
        outs,
        kernel,
        is_up: false,
        norm: None,
        scale: 1.0,
    };
    let mut layers = vec![layer("encoder.conv1", "stem", (channels, one), 3)];
    for (index, (ins, outs)) in [(one, one), (one, two), (two, three)].into_iter().enumerate() {
        let parts = [("layer1", "first", ins), ("layer2", "second", outs), ("shortcut", "shortcut", ins)];
        layers.extend(parts.map(|(there, here, ins)| {
            let there = format!("encoder.block{}.{there}", index + 1);
            let norm = Some(format!("{there}.1"));
            Layer { norm, ..layer(&format!("{there}.0"), &format!("blocks.{index}.{here}"), (ins, outs), 3) }
        }));
    }
    layers.push(layer("encoder.conv_mu", "mean", (three, latent), 1));
    layers.push(layer("encoder.conv_logvar", "log_variance", (three, latent), 1));
    let ups = [latent, 4 * one, 2 * one, one, one / 2, one / 4, one / 8];
    layers.extend(ups.windows(2).enumerate().map(|(index, pair)| {
        let there = format!("decoder.block{}.block", index + 1);
        let norm = Some(format!("{there}.1"));
        let layer = layer(&format!("{there}.0"), &format!("decoder.{index}"), (pair[0], pair[1]), 4);
        Layer { is_up: true, norm, ..layer }
    }));
    layers.push(Layer { scale: 2.0, ..layer("decoder.out.0", "head", (one / 8, channels), 3) });
    layers
}

impl Layer {
    /// Moves the layer's weights from `state` to `weights`.
    fn take(&self, state: &mut Tensors, weights: &mut Tensors) -> Result<()> {
        let Self { here, ins, outs, kernel, .. } = self;
        let here = format!("{NETWORK}{here}");
        let (first, second) = if self.is_up { (*ins, *outs) } else { (*outs, *ins) };
        let weight = take(state, &format!("{}.weight", self.there), &[first, second, *kernel, *kernel])?;
        let area = kernel * kernel;
        let mut values = Vec::with_capacity(weight.len());
        for place in 0..area {
            for b in 0..second {
                values.extend((0..first).map(|a| weight[(a * second + b) * area + place] * self.scale));
            }
        }
        weights.insert(
            format!("{here}.weight"),
            Weight { shape: vec![*kernel, *kernel, second, first], values },
        );
        let bias = format!("{}.bias", self.there);
        let bias = match self.norm.is_some() && !state.contains_key(&bias) {
            // A bias before a normalisation has no effect, and is often left out.
            true => vec![0.0; *outs],
            false => take(state, &bias, &[*outs])?,
        };
        let bias = bias.into_iter().map(|value| value * self.scale).collect();
        weights.insert(format!("{here}.bias"), Weight { shape: vec![*outs], values: bias });
        if let Some(norm) = &self.norm {
            let names = [
                ("weight", "scale"),
                ("bias", "shift"),
                ("running_mean", "running_mean"),
                ("running_var", "running_variance"),
            ];
            for (there, own) in names {
                let values = take(state, &format!("{norm}.{there}"), &[*outs])?;
                weights.insert(format!("{here}.norm.{own}"), Weight { shape: vec![*outs], values });
            }
        }
        Ok(())
    }
}

/// What the names of the network's weights begin with.
const NETWORK: &str = "network.Residual.";

fn take(state: &mut Tensors, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let Some(weight) = state.remove(name) else { return Err(another_model(state, name)) };
    if weight.shape != shape {
        return Err(another(&format!("{name} of the shape {:?} in place of {shape:?}", weight.shape)));
    }
    if weight.values.iter().any(|value| !value.is_finite()) {
        return Err(Error::detector(format!("{name}: expected finite values, found NaN or infinity"))
            .with_hint("save the weights of an epoch before training diverged"));
    }
    Ok(weight.values)
}

fn another_model(state: &Tensors, missing: &str) -> Error {
    let names: Vec<&str> = state.keys().take(SHOWN).map(String::as_str).collect();
    another(&format!("a model without {missing}, but with {}", names.join(", ")))
}

fn another(found: &str) -> Error {
    Error::detector(format!(
        "expected the weights of the residual VAE for 256 x 256 images (encoder.conv1, encoder.block1 to 3, encoder.conv_mu, \
         encoder.conv_logvar, decoder.block1 to 6, decoder.out), found {found}"
    ))
    .with_hint(OTHERS)
}
