//! Operators that work on each element, and those that bring two values to one shape.

use aberra_kernels::ActivationFunction;

use super::{Attribute, Element, Graph, Value, ValueType};

/// As ONNX numbers the type.
const ONNX_FLOAT: i64 = 1;

impl Graph {
    /// `a + b`.
    pub fn add(&mut self, a: Value, b: Value) -> Value {
        self.pair("Add", a, b, Element::Float)
    }

    /// `a - b`.
    pub fn subtract(&mut self, a: Value, b: Value) -> Value {
        self.pair("Sub", a, b, Element::Float)
    }

    /// `a b`.
    pub fn multiply(&mut self, a: Value, b: Value) -> Value {
        self.pair("Mul", a, b, Element::Float)
    }

    /// `a / b`.
    pub fn divide(&mut self, a: Value, b: Value) -> Value {
        self.pair("Div", a, b, Element::Float)
    }

    /// The smaller of both.
    pub fn minimum(&mut self, a: Value, b: Value) -> Value {
        self.pair("Min", a, b, Element::Float)
    }

    /// The larger of both.
    pub fn maximum(&mut self, a: Value, b: Value) -> Value {
        self.pair("Max", a, b, Element::Float)
    }

    /// Whether `a > b`.
    pub fn greater(&mut self, a: Value, b: Value) -> Value {
        self.pair("Greater", a, b, Element::Bool)
    }

    /// `value + number`.
    pub fn plus(&mut self, value: Value, number: f64) -> Value {
        let number = self.number(number);
        self.add(value, number)
    }

    /// `value` times `factor`.
    pub fn times(&mut self, value: Value, factor: f64) -> Value {
        let factor = self.number(factor);
        self.multiply(value, factor)
    }

    /// The larger of `value` and `number`.
    pub fn at_least(&mut self, value: Value, number: f64) -> Value {
        let number = self.number(number);
        self.maximum(value, number)
    }

    /// `value^2`.
    pub fn square(&mut self, value: Value) -> Value {
        self.multiply(value, value)
    }

    /// e^x.
    pub fn exp(&mut self, value: Value) -> Value {
        self.each("Exp", value)
    }

    /// The natural logarithm.
    pub fn ln(&mut self, value: Value) -> Value {
        self.each("Log", value)
    }

    /// The square root.
    pub fn sqrt(&mut self, value: Value) -> Value {
        self.each("Sqrt", value)
    }

    /// The absolute value.
    pub fn abs(&mut self, value: Value) -> Value {
        self.each("Abs", value)
    }

    /// The largest whole number that is not larger.
    pub fn floor(&mut self, value: Value) -> Value {
        self.each("Floor", value)
    }

    /// `1 / (1 + exp(-x))`.
    pub fn sigmoid(&mut self, value: Value) -> Value {
        self.each("Sigmoid", value)
    }

    /// ln(1 + e^x), from terms that do not overflow: max(x, 0) + ln(1 + e^-|x|).
    pub fn softplus(&mut self, value: Value) -> Value {
        let (positive, size) = (self.at_least(value, 0.0), self.abs(value));
        let negative = self.times(size, -1.0);
        let share = self.exp(negative);
        let sum = self.plus(share, 1.0);
        let rest = self.ln(sum);
        self.add(positive, rest)
    }

    /// `value` no smaller than `low` and no larger than `high`.
    pub fn clamp(&mut self, value: Value, low: f32, high: f32) -> Value {
        let (low, high) = (self.constant(&[], &[low]), self.constant(&[], &[high]));
        let output = self.type_of(value).clone();
        self.node("Clip", &[value, low, high], Vec::new(), output)
    }

    /// An activation function of a layer.
    pub fn activation(&mut self, value: Value, function: ActivationFunction) -> Value {
        match function {
            ActivationFunction::Identity => value,
            ActivationFunction::Relu => self.each("Relu", value),
            ActivationFunction::LeakyRelu(slope) => {
                let output = self.type_of(value).clone();
                self.node("LeakyRelu", &[value], vec![("alpha", Attribute::Float(slope))], output)
            }
            ActivationFunction::Relu6 => self.clamp(value, 0.0, 6.0),
            ActivationFunction::Sigmoid => self.sigmoid(value),
            ActivationFunction::Tanh => self.each("Tanh", value),
        }
    }

    /// `yes` where `condition` holds, else `no`, which may be a constant number.
    pub fn select(&mut self, condition: Value, yes: Value, no: Value) -> Value {
        let output = self.type_of(yes).clone();
        let (of_condition, other) = (self.dims(condition), self.dims(no));
        if of_condition != output.dims || (other != output.dims && !other.is_empty()) {
            let expected = &output.dims;
            self.object(format!(
                "Where: expected three of {expected:?}, found {of_condition:?} and {other:?}"
            ));
        }
        self.node("Where", &[condition, yes, no], Vec::new(), output)
    }

    /// 1 where `condition` holds, else 0.
    pub fn share(&mut self, condition: Value) -> Value {
        let output = ValueType { element: Element::Float, ..self.type_of(condition).clone() };
        self.node("Cast", &[condition], vec![("to", Attribute::Int(ONNX_FLOAT))], output)
    }

    /// The nearest number that bfloat16 can hold, as the kernels round operands. Many runtimes lack the type, so that it is
    /// made of products in `f32` (Dekker, *A floating-point technique for extending the available precision*, 1971): of
    /// x (2^16 + 1) less what exceeds x, the upper 8 of 24 bits are left.
    pub fn rounded_to_bfloat16(&mut self, value: Value) -> Value {
        const SPLIT: f64 = 65_537.0;
        let large = self.times(value, SPLIT);
        let rest = self.subtract(large, value);
        self.subtract(large, rest)
    }

    fn each(&mut self, operator: &'static str, value: Value) -> Value {
        let output = self.type_of(value).clone();
        self.node(operator, &[value], Vec::new(), output)
    }

    fn pair(&mut self, operator: &'static str, a: Value, b: Value, element: Element) -> Value {
        let (first, second) = (self.type_of(a).clone(), self.type_of(b).clone());
        let of_batch = first.of_batch || second.of_batch;
        // A value of a batch is brought to another's axes by reshaping alone: its batch axis has to stay the first.
        let rank = |of: &ValueType| of.dims.len();
        let aligned = match (first.of_batch, second.of_batch) {
            (true, true) => rank(&first) == rank(&second),
            (true, false) => rank(&first) >= rank(&second),
            (false, true) => rank(&first) <= rank(&second),
            (false, false) => true,
        };
        let dims = broadcast(&first.dims, &second.dims).filter(|_| aligned);
        let dims = dims.unwrap_or_else(|| {
            self.object(format!(
                "{operator}: expected two shapes of which one goes into the other, found {:?} and {:?}",
                first.dims, second.dims
            ));
            first.dims.clone()
        });
        self.node(operator, &[a, b], Vec::new(), ValueType { element, of_batch, dims })
    }
}

/// The shape to which two are brought, their last axes beside each other; `None` if they do not fit.
pub(super) fn broadcast(first: &[usize], second: &[usize]) -> Option<Vec<usize>> {
    let rank = first.len().max(second.len());
    let length =
        |dims: &[usize], axis: usize| axis.checked_sub(rank - dims.len()).map_or(1, |axis| dims[axis]);
    let of_axis = |axis| match (length(first, axis), length(second, axis)) {
        (a, b) if a == b => Some(a),
        (1, b) => Some(b),
        (a, 1) => Some(a),
        _ => None,
    };
    (0..rank).map(of_axis).collect()
}
