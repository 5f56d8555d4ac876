//! JSON requests and responses, with tensors as JSON or as binary data after it.
//!
//! Lists are limited while they are parsed, so that a short text cannot take much memory.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::infer::{
    InferAnswer, InferRequest, Parameter, Parameters, REMARKS, check_is_sent, default_outputs, output,
    threshold,
};
use super::model::{IMAGE, Output, VERSION};
use super::tensors::{Datatype, MOST_STRINGS, Tensor, Values, shape};
use crate::problem::Problem;

/// A parsed request.
#[derive(Debug)]
pub(super) struct ParsedRequest {
    /// Returned with the response.
    pub(super) id: Option<String>,
    pub(super) request: InferRequest,
    /// Whether each output is requested as binary data.
    pub(super) is_binary: Vec<bool>,
}

/// Parses a request to a detector with the outputs `of`: JSON, followed by the binary data of tensors.
///
/// # Errors
/// The request does not follow the protocol.
pub(super) fn read(head: &[u8], mut binary: Bytes, of: &[Output]) -> Result<ParsedRequest, Problem> {
    let request: JsonRequest = serde_json::from_slice(head)
        .map_err(|error| Problem::bad_request(format!("the body is not a request for inference: {error}")))?;
    let inputs = request.inputs.0.into_iter().map(|input| input.tensor(&mut binary));
    let inputs = inputs.collect::<Result<_, _>>()?;
    if !binary.is_empty() {
        return Err(Problem::bad_request(format!(
            "expected nothing after the inputs' binary data, found {} bytes",
            binary.len()
        )));
    }
    let all_binary = flag(&request.parameters.0, "binary_data_output")?.unwrap_or(false);
    let outputs = request.outputs.0.iter().map(|requested| {
        let is_binary = flag(&requested.parameters.0, "binary_data")?.unwrap_or(all_binary);
        Ok((output(&requested.name, &requested.parameters.0, of)?, is_binary))
    });
    let mut outputs = outputs.collect::<Result<Vec<_>, Problem>>()?;
    if outputs.is_empty() {
        outputs = default_outputs(of).into_iter().map(|output| (output, all_binary)).collect();
    }
    let (outputs, is_binary) = outputs.into_iter().unzip();
    let threshold = threshold(&request.parameters.0)?;
    Ok(ParsedRequest {
        id: request.id.filter(|id| !id.is_empty()),
        request: InferRequest { inputs, outputs, threshold },
        is_binary,
    })
}

/// The request for a body that is a bare encoded image.
pub(super) fn image(bytes: Bytes, of: &[Output]) -> ParsedRequest {
    let input = Tensor { name: IMAGE.to_owned(), shape: vec![1], values: Values::Bytes(vec![bytes]) };
    let outputs = default_outputs(of);
    let is_binary = vec![false; outputs.len()];
    let request = InferRequest { inputs: vec![input], outputs, threshold: None };
    ParsedRequest { id: None, request, is_binary }
}

/// Formats a response: JSON, and the binary data that follows it, if any output is binary.
///
/// # Errors
/// Serialisation fails, which no request can cause.
pub(super) fn write(
    model: &str,
    id: Option<&str>,
    answer: &InferAnswer,
    is_binary: &[bool],
) -> Result<(Vec<u8>, Option<Vec<u8>>), Problem> {
    let mut behind = Vec::new();
    let outputs = answer.tensors.iter().zip(is_binary).map(|(tensor, &is_binary)| {
        let mut size = None;
        if is_binary {
            let raw = tensor.values.to_raw();
            behind.extend_from_slice(&raw);
            size = Some(BinarySize { binary_data_size: raw.len() });
        }
        OutputTensor {
            name: &tensor.name,
            datatype: tensor.values.datatype().name(),
            shape: &tensor.shape,
            data: (!is_binary).then_some(&tensor.values),
            parameters: size,
        }
    });
    let outputs = outputs.collect();
    let parameters = answer.remarks.as_deref().map(|remarks| BTreeMap::from([(REMARKS, remarks)]));
    let answer = JsonResponse { id, model_name: model, model_version: VERSION, parameters, outputs };
    let head = serde_json::to_vec(&answer).map_err(|_| Problem::internal())?;
    Ok((head, is_binary.contains(&true).then_some(behind)))
}

#[derive(Deserialize)]
struct JsonRequest {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    parameters: Few<Parameters>,
    inputs: Few<Vec<InputTensor>>,
    #[serde(default)]
    outputs: Few<Vec<RequestedOutput>>,
}

#[derive(Deserialize)]
struct InputTensor {
    name: String,
    shape: Few<Vec<i64>>,
    datatype: String,
    #[serde(default)]
    parameters: Few<Parameters>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct RequestedOutput {
    name: String,
    #[serde(default)]
    parameters: Few<Parameters>,
}

#[derive(Serialize)]
struct JsonResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BTreeMap<&'static str, &'a str>>,
    outputs: Vec<OutputTensor<'a>>,
}

#[derive(Serialize)]
struct OutputTensor<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [usize],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BinarySize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Values>,
}

#[derive(Serialize)]
struct BinarySize {
    binary_data_size: usize,
}

impl InputTensor {
    /// The tensor from its JSON data, or from the binary data that comes next.
    fn tensor(self, binary: &mut Bytes) -> Result<Tensor, Problem> {
        let Self { name, shape: axes, datatype, parameters, data } = self;
        check_is_sent(&parameters.0)?;
        let known = Datatype::of(&datatype).ok_or_else(|| {
            Problem::bad_request("expected the datatype BYTES, FP32 or UINT8, found another")
        })?;
        let (shape, count) = shape(&axes.0)?;
        let size = match parameters.0.get("binary_data_size") {
            None => None,
            Some(Parameter::Integer(size)) => Some(usize::try_from(*size).unwrap_or(usize::MAX)),
            Some(_) => {
                return Err(Problem::bad_request("binary_data_size: expected a whole number, found another"));
            }
        };
        let values = match (data, size) {
            (Some(data), None) => data.values(known, count)?,
            (None, Some(size)) if size <= binary.len() => {
                Values::from_raw(known, count, binary.split_to(size))?
            }
            (None, Some(size)) => {
                return Err(Problem::bad_request(format!(
                    "expected {size} bytes of binary data, as binary_data_size says, found {}",
                    binary.len()
                )));
            }
            (None, None) => return Err(Problem::bad_request("expected each input to have data, found none")),
            (Some(_), Some(_)) => {
                return Err(Problem::bad_request("expected data or binary data of an input, found both"));
            }
        };
        Ok(Tensor { name, shape, values })
    }
}

fn flag(parameters: &Parameters, name: &str) -> Result<Option<bool>, Problem> {
    match parameters.get(name) {
        None => Ok(None),
        Some(Parameter::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(Problem::bad_request(format!("{name}: expected true or false, found another"))),
    }
}

/// A tensor's values in JSON; nested lists are flattened.
#[derive(Debug, Default, PartialEq)]
struct Data {
    numbers: Vec<f32>,
    strings: Vec<String>,
}

/// Maximum numbers in a JSON tensor: 64 images of 512 x 512 pixels. Larger tensors must be sent as binary data.
const MOST_NUMBERS: usize = 1 << 24;

impl Data {
    fn values(self, datatype: Datatype, count: usize) -> Result<Values, Problem> {
        let Self { numbers, strings } = self;
        let values = match datatype {
            Datatype::Bytes if numbers.is_empty() => {
                Values::Bytes(strings.iter().map(|text| from_base64(text)).collect::<Result<_, _>>()?)
            }
            Datatype::Fp32 if strings.is_empty() => Values::Fp32(numbers),
            Datatype::Uint8 if strings.is_empty() => {
                let bytes = numbers
                    .into_iter()
                    .map(|value| Some(value as u8).filter(|&byte| f32::from(byte) == value));
                let bytes = bytes.collect::<Option<Vec<u8>>>();
                let problem =
                    || Problem::bad_request("expected whole numbers from 0 to 255 as UINT8, found others");
                Values::Uint8(bytes.ok_or_else(problem)?.into())
            }
            Datatype::Bytes | Datatype::Fp32 | Datatype::Uint8 => {
                return Err(Problem::bad_request("expected numbers as FP32 or UINT8, or strings as BYTES"));
            }
            other => {
                let name = other.name();
                return Err(Problem::bad_request(format!(
                    "expected the datatype BYTES, FP32 or UINT8, found {name}"
                )));
            }
        };
        if values.len() != count {
            let found = values.len();
            return Err(Problem::bad_request(format!(
                "expected {count} elements, as the shape says, found {found}"
            )));
        }
        Ok(values)
    }
}

/// Decodes an image in JSON, which is base64 because JSON has no byte strings.
fn from_base64(text: &str) -> Result<Bytes, Problem> {
    STANDARD.decode(text).map(Bytes::from).map_err(|error| {
        Problem::bad_request(format!("expected images in JSON as base64, found something else: {error}"))
            .with_hint("send them as binary data")
    })
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut data = Self::default();
        Elements(&mut data).deserialize(from)?;
        Ok(data)
    }
}

/// Appends the elements of (nested) lists to the data.
struct Elements<'a>(&'a mut Data);

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers, strings, or lists of them")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if self.0.numbers.len() == MOST_NUMBERS {
            return Err(E::custom(format!(
                "expected at most {MOST_NUMBERS} numbers; send more as binary data"
            )));
        }
        self.0.numbers.push(value as f32);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.visit_f64(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.visit_f64(value as f64)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        if self.0.strings.len() == MOST_STRINGS {
            return Err(E::custom(format!("expected at most {MOST_STRINGS} strings")));
        }
        self.0.strings.push(value.to_owned());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Elements(self.0))?.is_some() {}
        Ok(())
    }
}

/// A short list or map; longer ones are rejected while parsing.
#[derive(Debug, Default)]
struct Few<T>(T);

/// Maximum length of a short list or map.
const MOST: usize = 64;

/// Visitor for [`Few`].
struct FewOf<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<Vec<T>> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(FewOf(PhantomData::<Vec<T>>))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for FewOf<Vec<T>> {
    type Value = Few<Vec<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut few = Vec::new();
        while let Some(element) = list.next_element()? {
            if few.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            few.push(element);
        }
        Ok(Few(few))
    }
}

impl<'de> Deserialize<'de> for Few<Parameters> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(FewOf(PhantomData::<Parameters>))
    }
}

impl<'de> Visitor<'de> for FewOf<Parameters> {
    type Value = Few<Parameters>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {MOST} parameters")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut few = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Parameter>()? {
            if few.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            few.insert(name, value);
        }
        Ok(Few(few))
    }
}

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ParameterVisitor)
    }
}

struct ParameterVisitor;

impl Visitor<'_> for ParameterVisitor {
    type Value = Parameter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, a number or a string")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Parameter, E> {
        Ok(Parameter::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Parameter, E> {
        Ok(Parameter::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Parameter, E> {
        Ok(i64::try_from(value).map_or(Parameter::Number(value as f64), Parameter::Integer))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Parameter, E> {
        Ok(Parameter::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Parameter, E> {
        Ok(Parameter::Text(value.to_owned()))
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(values) => to.collect_seq(values),
            Self::Uint8(values) => to.collect_seq(values.iter()),
            Self::Fp32(values) => to.collect_seq(values),
            Self::Fp64(values) => to.collect_seq(values),
            Self::Bytes(values) => to.collect_seq(values.iter().map(|value| STANDARD.encode(value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn request(input: &str) -> Result<ParsedRequest, Problem> {
        read(format!(r#"{{"inputs":[{{"name":"x",{input}}}]}}"#).as_bytes(), Bytes::new(), &Output::ALL)
    }

    fn values(read: ParsedRequest) -> Values {
        read.request.inputs.into_iter().next().unwrap().values
    }

    proptest! {
        #[test]
        fn numbers_come_back_from_json(numbers in vec(any::<f32>(), 0..40)) {
            let text = serde_json::to_string(&numbers).unwrap();
            let read = request(&format!(r#""datatype":"FP32","shape":[{}],"data":{text}"#, numbers.len()));
            prop_assert_eq!(values(read.unwrap()), Values::Fp32(numbers));
        }

        #[test]
        fn no_text_makes_it_panic(text in r#"[\[\]{}",:0-9a-z]{0,60}"#) {
            let _ = read(text.as_bytes(), Bytes::new(), &Output::ALL);
            let _ = request(&text);
        }
    }

    #[test]
    fn nested_lists_are_as_good_as_one() {
        let flat = request(r#""datatype":"UINT8","shape":[2,2],"data":[1,2,3,255]"#).unwrap();
        let nested = request(r#""datatype":"UINT8","shape":[2,2],"data":[[1,2],[3,255]]"#).unwrap();
        assert_eq!(values(flat), values(nested));
    }

    #[test]
    fn outputs_are_those_that_the_detector_has() {
        let of = [Output::Score, Output::Anomalous, Output::Embedding];
        let ask = |outputs: &str| {
            let input = r#"{"name":"x","datatype":"FP32","shape":[0],"data":[]}"#;
            let text = format!(r#"{{"inputs":[{input}],"outputs":[{outputs}]}}"#);
            read(text.as_bytes(), Bytes::new(), &of).map(|read| (read.request.outputs, read.is_binary.len()))
        };
        assert_eq!(ask("").unwrap(), (vec![Output::Score, Output::Anomalous], 2));
        assert_eq!(ask(r#"{"name":"embedding"}"#).unwrap(), (vec![Output::Embedding], 1));
        assert_eq!(image(Bytes::new(), &of).request.outputs, [Output::Score, Output::Anomalous]);
        for other in ["reconstruction", "p_value", "mu"] {
            let refused = ask(&format!(r#"{{"name":"{other}"}}"#)).unwrap_err();
            assert_eq!(refused.status, 400);
            assert!(refused.detail.contains("score, anomalous, embedding"), "{}", refused.detail);
        }
    }

    #[test]
    fn lists_are_bounded() {
        let long = "0,".repeat(1 << 20) + "0";
        assert!(request(&format!(r#""datatype":"FP32","shape":[{long}],"data":[]"#)).is_err());
        let strings = r#""","#.repeat(1 << 20) + r#""""#;
        assert!(request(&format!(r#""datatype":"BYTES","shape":[1],"data":[{strings}]"#)).is_err());
        let deep = "[".repeat(1 << 20);
        assert!(request(&format!(r#""datatype":"FP32","shape":[1],"data":{deep}"#)).is_err());
        assert!(
            request(&format!(r#""datatype":"FP32","shape":[1],"data":[1],"parameters":{{"a":{deep}"#))
                .is_err()
        );
    }
}
