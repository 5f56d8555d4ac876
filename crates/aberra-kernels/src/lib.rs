//! Fast CPU kernels behind Burn operations: convolution, transposed convolution, dense layers, optimiser step.
#![allow(missing_docs)]
use burn::tensor::{
    Tensor, activation, module,
    ops::{ConvOptions, ConvTransposeOptions},
};
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    Identity,
    Relu,
    LeakyRelu(f32),
    Sigmoid,
    Tanh,
}
fn act<const D: usize>(x: Tensor<D>, a: Activation) -> Tensor<D> {
    match a {
        Activation::Identity => x,
        Activation::Relu => activation::relu(x),
        Activation::LeakyRelu(s) => activation::leaky_relu(x, s as f64),
        Activation::Sigmoid => activation::sigmoid(x),
        Activation::Tanh => activation::tanh(x),
    }
}
pub fn conv2d(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
    a: Activation,
) -> Tensor<4> {
    let y = module::conv2d(
        input.permute([0, 3, 1, 2]),
        weight.permute([3, 2, 0, 1]),
        bias,
        ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1),
    );
    act(y, a).permute([0, 2, 3, 1])
}
pub fn conv_transpose2d(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
    a: Activation,
) -> Tensor<4> {
    let y = module::conv_transpose2d(
        input.permute([0, 3, 1, 2]),
        weight.permute([3, 2, 0, 1]),
        bias,
        ConvTransposeOptions::new([stride; 2], [padding; 2], [0, 0], [1, 1], 1),
    );
    act(y, a).permute([0, 2, 3, 1])
}
pub fn linear(input: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>, a: Activation) -> Tensor<2> {
    let y = input.matmul(weight);
    let y = match bias {
        Some(b) => y + b.unsqueeze(),
        None => y,
    };
    act(y, a)
}
pub struct AdamStep {
    pub step: u64,
    pub learning_rate: f32,
    pub beta_1: f32,
    pub beta_2: f32,
    pub epsilon: f32,
    pub weight_decay: f32,
    pub gradient_scale: f32,
}
pub fn adam_step(
    w: Tensor<1>,
    g: Tensor<1>,
    m: Tensor<1>,
    v: Tensor<1>,
    s: &AdamStep,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    let g = g * s.gradient_scale;
    let m = m * s.beta_1 + g.clone() * (1.0 - s.beta_1);
    let v = v * s.beta_2 + g.clone() * g * (1.0 - s.beta_2);
    let c1 = 1.0 - (s.beta_1 as f64).powi(s.step as i32);
    let c2 = 1.0 - (s.beta_2 as f64).powi(s.step as i32);
    let u = (m.clone() / c1) / ((v.clone() / c2).sqrt() + s.epsilon);
    let w = w * (1.0 - s.learning_rate * s.weight_decay) - u * s.learning_rate;
    (w, m, v)
}
pub fn sum_of_squares<const D: usize>(t: Tensor<D>) -> f64 {
    let d = t.into_data();
    d.iter::<f32>().map(|v| (v as f64).powi(2)).sum()
}
