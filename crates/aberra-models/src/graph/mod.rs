//! A forward pass as a graph of ONNX operators (opset 17): what members and scorers write themselves into, beside the code that
//! computes the same, so that another runtime can run a detector.
//!
//! It is no file format and computes nothing. Images are `[channels, height, width]` here, as ONNX has its convolutions; the
//! batch axis before them is not written down and stays free. Everything is `f32`.
//!
//! A graph is written without a `?` behind each operator: shapes that do not fit are kept as the graph's problem, which
//! [`Graph::check`] returns.

mod convolution;
mod elementwise;
mod shaping;

use std::collections::BTreeMap;

use aberra_metrics::{Error, Result};

pub use self::convolution::{ConvolutionLayer, Pads};

/// A value of a [`Graph`]: what goes into operators and comes out of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(usize);

impl Value {
    /// Its number within the graph.
    pub fn number(self) -> usize {
        self.0
    }
}

/// The type of a value's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Single precision.
    Float,
    /// 64-bit integers.
    Int64,
    /// Booleans.
    Bool,
}

/// Type and shape of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueType {
    /// Of its elements.
    pub element: Element,
    /// Whether a batch axis, whose length is free, comes before its axes.
    pub of_batch: bool,
    /// Lengths of its axes, those of one image where there is a batch axis.
    pub dims: Vec<usize>,
}

/// An operator with its inputs and outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operator's name in ONNX.
    pub operator: &'static str,
    /// In the operator's order.
    pub inputs: Vec<Value>,
    /// In the operator's order.
    pub outputs: Vec<Value>,
    /// By name.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// An attribute of an operator.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A list of integers.
    Ints(Vec<i64>),
    /// A number.
    Float(f32),
}

/// The values of a constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Single precision.
    Floats(Vec<f32>),
    /// Integers.
    Integers(Vec<i64>),
}

/// A member's or several members' inference in a graph.
#[derive(Clone, Debug, Default)]
pub struct GraphInference {
    /// One value for each of the descriptors, in their order: a number for each image.
    pub measurements: Vec<Value>,
    /// Where the image is unusual, `[height, width]`, filtered as it is thresholded.
    pub map: Option<Value>,
    /// The same of each channel by itself, `[channels, height, width]`.
    pub channel_maps: Option<Value>,
    /// The reconstruction, `[channels, height, width]`, 0 to 1.
    pub reconstruction: Option<Value>,
}

/// Constants of at most so many numbers are written once, however often they are used.
const SHARED_NUMBERS: usize = 16;

/// A graph of operators that grows by being written.
#[derive(Debug, Default)]
pub struct Graph {
    types: Vec<ValueType>,
    nodes: Vec<Node>,
    constants: Vec<(Value, Numbers)>,
    /// Small constants by element type, shape and bits.
    known: BTreeMap<(bool, Vec<usize>, Vec<i64>), Value>,
    /// What several members compute alike, by a name for it.
    shared: BTreeMap<String, Vec<Value>>,
    problem: Option<String>,
}

impl Graph {
    /// The value of this type that is given from outside.
    pub fn input(&mut self, dims: &[usize]) -> Value {
        self.value(ValueType { element: Element::Float, of_batch: true, dims: dims.to_vec() })
    }

    /// A constant of these dimensions, row-major.
    pub fn constant(&mut self, dims: &[usize], values: &[f32]) -> Value {
        let bits = |values: &[f32]| values.iter().map(|value| i64::from(value.to_bits())).collect();
        let key = (values.len() <= SHARED_NUMBERS).then(|| (true, dims.to_vec(), bits(values)));
        self.fixed(key, Element::Float, dims, values.len(), || Numbers::Floats(values.to_vec()))
    }

    /// A constant number.
    pub fn number(&mut self, value: f64) -> Value {
        self.constant(&[], &[value as f32])
    }

    /// A constant list of integers.
    pub fn integers(&mut self, values: &[i64]) -> Value {
        let key = (values.len() <= SHARED_NUMBERS).then(|| (false, vec![values.len()], values.to_vec()));
        let dims = [values.len()];
        self.fixed(key, Element::Int64, &dims, values.len(), || Numbers::Integers(values.to_vec()))
    }

    fn fixed(
        &mut self,
        key: Option<(bool, Vec<usize>, Vec<i64>)>,
        element: Element,
        dims: &[usize],
        count: usize,
        numbers: impl FnOnce() -> Numbers,
    ) -> Value {
        if let Some(value) = key.as_ref().and_then(|key| self.known.get(key)) {
            return *value;
        }
        if dims.iter().product::<usize>() != count {
            self.object(format!(
                "a constant: expected as many numbers as {dims:?} has places, found {count}"
            ));
        }
        let value = self.value(ValueType { element, of_batch: false, dims: dims.to_vec() });
        self.constants.push((value, numbers()));
        if let Some(key) = key {
            self.known.insert(key, value);
        }
        value
    }

    /// What `write` gives, written once for each `name`, and the same values afterwards.
    ///
    /// # Errors
    /// As `write`.
    pub fn once(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Self) -> Result<Vec<Value>>,
    ) -> Result<Vec<Value>> {
        if let Some(values) = self.shared.get(name) {
            return Ok(values.clone());
        }
        let values = write(self)?;
        self.shared.insert(name.to_owned(), values.clone());
        Ok(values)
    }

    /// The type of a value.
    pub fn type_of(&self, value: Value) -> &ValueType {
        &self.types[value.0]
    }

    /// Lengths of a value's axes, those of one image where there is a batch axis.
    pub fn dims(&self, value: Value) -> Vec<usize> {
        self.types[value.0].dims.clone()
    }

    /// The operators, each after those whose outputs it takes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The constants.
    pub fn constants(&self) -> &[(Value, Numbers)] {
        &self.constants
    }

    /// That everything written so far fits together.
    ///
    /// # Errors
    /// What does not: the first of it.
    pub fn check(&self) -> Result<()> {
        self.problem.as_ref().map_or(Ok(()), |problem| Err(Error::settings(format!("the graph: {problem}"))))
    }

    fn value(&mut self, of: ValueType) -> Value {
        self.types.push(of);
        Value(self.types.len() - 1)
    }

    fn object(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }

    /// Writes an operator with one output.
    fn node(
        &mut self,
        operator: &'static str,
        inputs: &[Value],
        attributes: Vec<(&'static str, Attribute)>,
        output: ValueType,
    ) -> Value {
        let output = self.value(output);
        self.nodes.push(Node { operator, inputs: inputs.to_vec(), outputs: vec![output], attributes });
        output
    }

    /// The number of an axis of one image as ONNX counts: the batch axis comes first.
    fn axis(&self, value: Value, axis: usize) -> i64 {
        (axis + usize::from(self.types[value.0].of_batch)) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_do_not_fit_are_said_and_the_first_of_them() {
        let mut graph = Graph::default();
        let image = graph.input(&[3, 4, 6]);
        assert_eq!(graph.dims(image), [3, 4, 6]);
        let of_rows = graph.constant(&[6, 2], &[0.5; 12]);
        let narrow = graph.matmul(image, of_rows);
        assert_eq!(graph.dims(narrow), [3, 4, 2]);
        graph.check().unwrap();
        let wrong = graph.add(image, narrow);
        graph.matmul(wrong, of_rows);
        let problem = graph.check().unwrap_err();
        assert!(problem.to_string().contains("Add"), "{problem}");
    }

    #[test]
    fn small_constants_and_shared_parts_are_written_once() {
        let mut graph = Graph::default();
        let (one, two, again) = (graph.number(1.0), graph.number(2.0), graph.number(1.0));
        assert!(one == again && one != two);
        assert_eq!(graph.integers(&[1]), graph.integers(&[1]));
        let mut written = 0;
        for _ in 0..2 {
            let values = graph.once("sum", |graph| {
                written += 1;
                Ok(vec![graph.add(one, two)])
            });
            assert_eq!(values.unwrap().len(), 1);
        }
        assert_eq!((written, graph.nodes().len()), (1, 1));
    }
}
