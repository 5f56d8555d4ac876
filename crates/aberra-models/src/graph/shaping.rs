//! Products of matrices, sums over axes, and everything that moves elements without changing them.

use super::elementwise::broadcast;
use super::{Attribute, Element, Graph, Node, Value, ValueType};

impl Graph {
    /// The matrix product over the last two axes: `[.., m, k]` and `[.., k, n]` -> `[.., m, n]`. A vector of each image, `[k]`,
    /// counts as a row.
    pub fn matmul(&mut self, a: Value, b: Value) -> Value {
        let (first, second) = (self.type_of(a).clone(), self.type_of(b).clone());
        let of_batch = first.of_batch || second.of_batch;
        let dims = match (&first.dims[..], &second.dims[..]) {
            ([inner], [other, columns]) if first.of_batch && !second.of_batch && inner == other => {
                Some(vec![*columns])
            }
            ([outer @ .., rows, inner], [others @ .., other, columns]) if inner == other => {
                broadcast(outer, others).map(|outer| [&outer[..], &[*rows, *columns]].concat())
            }
            _ => None,
        };
        let dims = dims.unwrap_or_else(|| {
            let (first, second) = (&first.dims, &second.dims);
            self.object(format!("MatMul: expected matrices that fit, found {first:?} and {second:?}"));
            vec![1]
        });
        self.node("MatMul", &[a, b], Vec::new(), ValueType { element: Element::Float, of_batch, dims })
    }

    /// An affine map of the last axis: `weight` is `[inputs, outputs]`.
    pub fn affine(&mut self, value: Value, weight: &[f32], bias: &[f32]) -> Value {
        let outputs = bias.len();
        let weight = self.constant(&[weight.len() / outputs.max(1), outputs], weight);
        let bias = self.constant(&[outputs], bias);
        let product = self.matmul(value, weight);
        self.add(product, bias)
    }

    /// The same elements, row-major, with other axes.
    pub fn reshape(&mut self, value: Value, dims: &[usize]) -> Value {
        let of = self.type_of(value).clone();
        if of.dims == dims {
            return value;
        }
        if of.dims.iter().product::<usize>() != dims.iter().product::<usize>() {
            self.object(format!("Reshape: expected as many elements as {:?} has, found {dims:?}", of.dims));
        }
        // 0 stands for the length that the axis has.
        let batch: &[i64] = if of.of_batch { &[0] } else { &[] };
        let target: Vec<i64> =
            batch.iter().copied().chain(dims.iter().map(|&length| length as i64)).collect();
        let target = self.integers(&target);
        self.node("Reshape", &[value, target], Vec::new(), ValueType { dims: dims.to_vec(), ..of })
    }

    /// All elements of each image in a row.
    pub fn flatten(&mut self, value: Value) -> Value {
        let length = self.dims(value).iter().product();
        self.reshape(value, &[length])
    }

    /// The axes in another order: `order[0]` becomes the first.
    pub fn transpose(&mut self, value: Value, order: &[usize]) -> Value {
        let of = self.type_of(value).clone();
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..of.dims.len()) {
            self.object(format!(
                "Transpose: expected an order of the axes of {:?}, found {order:?}",
                of.dims
            ));
            return value;
        }
        let batch: &[i64] = if of.of_batch { &[0] } else { &[] };
        let axes = order.iter().map(|&axis| self.axis(value, axis));
        let order_of_onnx = batch.iter().copied().chain(axes).collect();
        let dims = order.iter().map(|&axis| of.dims[axis]).collect();
        let attributes = vec![("perm", Attribute::Ints(order_of_onnx))];
        self.node("Transpose", &[value], attributes, ValueType { dims, ..of })
    }

    /// `[channels, height, width]` as `[height x width, channels]`.
    pub fn places(&mut self, image: Value) -> Value {
        let last = self.transpose(image, &[1, 2, 0]);
        match self.dims(last)[..] {
            [height, width, channels] => self.reshape(last, &[height * width, channels]),
            _ => last,
        }
    }

    /// `[height x width, channels]` as `[channels, height, width]`.
    pub fn image_of_places(&mut self, places: Value, height: usize, width: usize) -> Value {
        let channels = self.dims(places).last().copied().unwrap_or(1);
        let grid = self.reshape(places, &[height, width, channels]);
        self.transpose(grid, &[2, 0, 1])
    }

    /// The elements `from..to` along an axis.
    pub fn slice(&mut self, value: Value, axis: usize, from: usize, to: usize) -> Value {
        let mut of = self.type_of(value).clone();
        match of.dims.get_mut(axis) {
            Some(length) if from < to && to <= *length => *length = to - from,
            _ => {
                let dims = self.dims(value);
                self.object(format!("Slice: expected {from}..{to} to lie within axis {axis} of {dims:?}"));
            }
        }
        let axis = self.axis(value, axis);
        let parts = [[from as i64], [to as i64], [axis]].map(|part| self.integers(&part));
        self.node("Slice", &[value, parts[0], parts[1], parts[2]], Vec::new(), of)
    }

    /// The elements at these positions along an axis.
    pub fn pick(&mut self, value: Value, axis: usize, positions: &[usize]) -> Value {
        let mut of = self.type_of(value).clone();
        match of.dims.get_mut(axis) {
            Some(length) if positions.iter().all(|position| *position < *length) => *length = positions.len(),
            _ => {
                let dims = self.dims(value);
                self.object(format!("Gather: expected positions within axis {axis} of {dims:?}"));
            }
        }
        let positions: Vec<i64> = positions.iter().map(|&position| position as i64).collect();
        let (axis, positions) = (self.axis(value, axis), self.integers(&positions));
        self.node("Gather", &[value, positions], vec![("axis", Attribute::Int(axis))], of)
    }

    /// The rows of a constant, `[rows, ...]`, at positions that are computed: the axes of `positions`, then those of a row.
    pub fn rows_at(&mut self, table: Value, positions: Value) -> Value {
        let (table_type, of) = (self.type_of(table).clone(), self.type_of(positions).clone());
        if table_type.of_batch || of.element != Element::Int64 || table_type.dims.is_empty() {
            self.object("Gather: expected a constant with rows, and whole positions".to_owned());
        }
        let dims = of.dims.iter().chain(table_type.dims.iter().skip(1)).copied().collect();
        let output = ValueType { element: table_type.element, of_batch: of.of_batch, dims };
        self.node("Gather", &[table, positions], vec![("axis", Attribute::Int(0))], output)
    }

    /// Values one after the other along an axis.
    pub fn concat(&mut self, values: &[Value], axis: usize) -> Value {
        let Some(mut of) = values.first().map(|&value| self.type_of(value).clone()) else {
            self.object("Concat: expected values, found none".to_owned());
            return self.number(0.0);
        };
        let others = values.iter().map(|&value| self.type_of(value).clone()).collect::<Vec<_>>();
        let without = |of: &ValueType| {
            let mut dims = of.dims.clone();
            if axis < dims.len() {
                dims.remove(axis);
            }
            (of.of_batch, of.dims.len(), dims)
        };
        if axis >= of.dims.len() || others.iter().any(|other| without(other) != without(&of)) {
            let dims: Vec<_> = others.iter().map(|other| &other.dims).collect();
            self.object(format!("Concat: expected shapes that fit along axis {axis}, found {dims:?}"));
        } else {
            of.dims[axis] = others.iter().map(|other| other.dims[axis]).sum();
        }
        let axis = self.axis(values[0], axis);
        self.node("Concat", values, vec![("axis", Attribute::Int(axis))], of)
    }

    /// The mean over axes, which are gone afterwards.
    pub fn mean(&mut self, value: Value, axes: &[usize]) -> Value {
        let axes_of_onnx = axes.iter().map(|&axis| self.axis(value, axis)).collect();
        let attributes = vec![("axes", Attribute::Ints(axes_of_onnx)), ("keepdims", Attribute::Int(0))];
        let output = self.without_axes("ReduceMean", value, axes);
        self.node("ReduceMean", &[value], attributes, output)
    }

    /// The sum over axes, which are gone afterwards.
    pub fn sum(&mut self, value: Value, axes: &[usize]) -> Value {
        let axes_of_onnx: Vec<i64> = axes.iter().map(|&axis| self.axis(value, axis)).collect();
        let list = self.integers(&axes_of_onnx);
        let output = self.without_axes("ReduceSum", value, axes);
        self.node("ReduceSum", &[value, list], vec![("keepdims", Attribute::Int(0))], output)
    }

    fn without_axes(&mut self, operator: &str, value: Value, axes: &[usize]) -> ValueType {
        let of = self.type_of(value).clone();
        if axes.iter().any(|axis| *axis >= of.dims.len()) {
            self.object(format!("{operator}: expected axes of {:?}, found {axes:?}", of.dims));
        }
        let kept = of.dims.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
        ValueType { dims: kept.map(|(_, length)| *length).collect(), ..of }
    }

    /// The `count` largest along the last axis, the largest first.
    pub fn largest(&mut self, value: Value, count: usize) -> Value {
        self.top(value, count, true).0
    }

    /// Positions of the `count` smallest along the last axis, the smallest first.
    pub fn positions_of_smallest(&mut self, value: Value, count: usize) -> Value {
        self.top(value, count, false).1
    }

    fn top(&mut self, value: Value, count: usize, largest: bool) -> (Value, Value) {
        let mut of = self.type_of(value).clone();
        let last = of.dims.len().saturating_sub(1);
        match of.dims.get_mut(last) {
            Some(length) if (1..=*length).contains(&count) => *length = count,
            _ => {
                let dims = self.dims(value);
                self.object(format!(
                    "TopK: expected 1 to as many as the last axis of {dims:?} has, found {count}"
                ));
            }
        }
        let attributes = vec![
            ("axis", Attribute::Int(self.axis(value, last))),
            ("largest", Attribute::Int(i64::from(largest))),
            ("sorted", Attribute::Int(1)),
        ];
        let count = self.integers(&[count as i64]);
        let values = self.value(of.clone());
        let positions = self.value(ValueType { element: Element::Int64, ..of });
        let outputs = vec![values, positions];
        self.nodes.push(Node { operator: "TopK", inputs: vec![value, count], outputs, attributes });
        (values, positions)
    }

    /// The position of the smallest along the last axis, the first of equal ones.
    pub fn position_of_smallest(&mut self, value: Value) -> Value {
        let last = self.dims(value).len().saturating_sub(1);
        let attributes = vec![
            ("axis", Attribute::Int(self.axis(value, last))),
            ("keepdims", Attribute::Int(0)),
            ("select_last_index", Attribute::Int(0)),
        ];
        let output = ValueType { element: Element::Int64, ..self.without_axes("ArgMin", value, &[last]) };
        self.node("ArgMin", &[value], attributes, output)
    }

    /// `rows` and `columns` applied to the last two axes, `[.., height, width]`: each a matrix `[new length, length]`.
    pub fn separable(&mut self, value: Value, rows: &[f32], columns: &[f32]) -> Value {
        let (height, width) = match self.dims(value)[..] {
            [.., height, width] => (height, width),
            _ => (1, 1),
        };
        let (tall, wide) = (rows.len() / height.max(1), columns.len() / width.max(1));
        let mut transposed = vec![0.0; columns.len()];
        for (at, value) in columns.iter().enumerate() {
            transposed[at % width * wide + at / width] = *value;
        }
        let columns = self.constant(&[width, wide], &transposed);
        let rows = self.constant(&[tall, height], rows);
        let across = self.matmul(value, columns);
        self.matmul(rows, across)
    }
}
