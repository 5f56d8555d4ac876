//! From a graph to the bytes of an ONNX file: what its outputs need, under names.

use std::collections::BTreeSet;

use aberra_models::graph::{Attribute, Element, Graph, Node, Numbers, Value, ValueType};
use prost::Message;

use super::message::{
    AttributeMessage, BOOL, Dimension, Entry, FLOAT, FLOAT_ATTRIBUTE, GraphMessage, INT_ATTRIBUTE, INT64,
    INTS_ATTRIBUTE, Model, NodeMessage, OperatorSet, TensorMessage, TensorShape, TensorType, TypeMessage,
    ValueInfo,
};

/// Version of the operators.
pub(super) const OPSET: i64 = 17;

/// Version of the file's layout: runtimes of the opset read it.
const IR_VERSION: i64 = 8;

/// How the length of the batch axis is called.
pub(super) const BATCH: &str = "batch";

/// A value that goes in or comes out, with its name and what it is.
pub(super) struct Port {
    pub(super) name: &'static str,
    pub(super) value: Value,
    pub(super) about: &'static str,
}

/// The file of a graph.
pub(super) fn encode(
    graph: &Graph,
    input: &Port,
    outputs: &[Port],
    about: &str,
    metadata: String,
) -> Vec<u8> {
    let needed = needed(graph, outputs.iter().map(|output| output.value));
    let name = |value: Value| match value == input.value {
        true => input.name.to_owned(),
        false => format!("v{}", value.number()),
    };
    let is_needed = |values: &[Value]| values.iter().any(|value| needed.contains(value));
    let kept: Vec<&Node> = graph.nodes().iter().filter(|node| is_needed(&node.outputs)).collect();
    let inner = kept.iter().flat_map(|node| &node.outputs);
    let value_info = inner.map(|&value| info(name(value), graph.type_of(value), None)).collect();
    let mut node: Vec<NodeMessage> =
        kept.iter().enumerate().map(|(number, node)| node_message(node, number, name)).collect();
    // Under its own name, whatever else takes the value.
    node.extend(outputs.iter().map(|output| NodeMessage {
        input: vec![name(output.value)],
        output: vec![output.name.to_owned()],
        name: Some(format!("Identity_{}", output.name)),
        op_type: Some("Identity".to_owned()),
        attribute: Vec::new(),
    }));
    let constants = graph.constants().iter().filter(|(value, _)| needed.contains(value));
    let initializer =
        constants.map(|(value, numbers)| tensor(name(*value), graph.type_of(*value), numbers)).collect();
    let port = |port: &Port| info(port.name.to_owned(), graph.type_of(port.value), Some(port.about));
    let model = Model {
        ir_version: Some(IR_VERSION),
        producer_name: Some("aberra".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        doc_string: Some(about.to_owned()),
        graph: Some(GraphMessage {
            node,
            name: Some("detector".to_owned()),
            initializer,
            input: vec![port(input)],
            output: outputs.iter().map(port).collect(),
            value_info,
        }),
        opset_import: vec![OperatorSet { domain: Some(String::new()), version: Some(OPSET) }],
        metadata_props: vec![Entry { key: Some("aberra".to_owned()), value: Some(metadata) }],
    };
    model.encode_to_vec()
}

/// The values that some others are computed from, and those themselves.
fn needed(graph: &Graph, outputs: impl Iterator<Item = Value>) -> BTreeSet<Value> {
    let mut needed: BTreeSet<Value> = outputs.collect();
    for node in graph.nodes().iter().rev() {
        if node.outputs.iter().any(|output| needed.contains(output)) {
            needed.extend(&node.inputs);
        }
    }
    needed
}

fn node_message(node: &Node, number: usize, name: impl Fn(Value) -> String) -> NodeMessage {
    NodeMessage {
        input: node.inputs.iter().copied().map(&name).collect(),
        output: node.outputs.iter().copied().map(&name).collect(),
        name: Some(format!("{}_{number}", node.operator)),
        op_type: Some(node.operator.to_owned()),
        attribute: node.attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
    }
}

fn attribute(name: &str, value: &Attribute) -> AttributeMessage {
    let empty = AttributeMessage { name: Some(name.to_owned()), ..AttributeMessage::default() };
    match value {
        Attribute::Float(value) => {
            AttributeMessage { f: Some(*value), r#type: Some(FLOAT_ATTRIBUTE), ..empty }
        }
        Attribute::Int(value) => AttributeMessage { i: Some(*value), r#type: Some(INT_ATTRIBUTE), ..empty },
        Attribute::Ints(values) => {
            AttributeMessage { ints: values.clone(), r#type: Some(INTS_ATTRIBUTE), ..empty }
        }
    }
}

fn tensor(name: String, of: &ValueType, numbers: &Numbers) -> TensorMessage {
    let bytes = match numbers {
        Numbers::Floats(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Numbers::Integers(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    TensorMessage {
        dims: of.dims.iter().map(|&length| length as i64).collect(),
        data_type: Some(element(of.element)),
        name: Some(name),
        raw_data: Some(bytes),
    }
}

fn info(name: String, of: &ValueType, about: Option<&str>) -> ValueInfo {
    let batch = of.of_batch.then(|| Dimension { dim_param: Some(BATCH.to_owned()), ..Dimension::default() });
    let of_image =
        of.dims.iter().map(|&length| Dimension { dim_value: Some(length as i64), ..Dimension::default() });
    let shape = TensorShape { dim: batch.into_iter().chain(of_image).collect() };
    let tensor_type = TensorType { elem_type: Some(element(of.element)), shape: Some(shape) };
    ValueInfo {
        name: Some(name),
        r#type: Some(TypeMessage { tensor_type: Some(tensor_type) }),
        doc_string: about.map(str::to_owned),
    }
}

fn element(element: Element) -> i32 {
    match element {
        Element::Float => FLOAT,
        Element::Int64 => INT64,
        Element::Bool => BOOL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_what_its_outputs_need_each_value_before_it_is_used() {
        let mut graph = Graph::default();
        let input = graph.input(&[4, 6]);
        let weight = graph.constant(&[6, 2], &[0.5; 12]);
        let product = graph.matmul(input, weight);
        let unused = graph.constant(&[4, 2], &[3.0; 8]);
        graph.add(product, unused);
        let mean = graph.mean(product, &[0, 1]);
        let flag = graph.greater(mean, weight);
        let port = |name, value| Port { name, value, about: "" };
        let graph_of = |outputs: &[Port]| {
            let file = encode(&graph, &port("input", input), outputs, "", "{}".to_owned());
            let model = Model::decode(&file[..]).unwrap();
            assert_eq!((model.ir_version, model.opset_import[0].version), (Some(8), Some(17)));
            model.graph.unwrap()
        };
        let written = graph_of(&[port("score", mean), port("again", mean)]);
        let operators: Vec<_> = written.node.iter().filter_map(|node| node.op_type.clone()).collect();
        assert_eq!(operators, ["MatMul", "ReduceMean", "Identity", "Identity"]);
        let mut known: Vec<String> = written.initializer.iter().filter_map(|one| one.name.clone()).collect();
        assert_eq!(known.len(), 1);
        known.push("input".to_owned());
        for node in &written.node {
            assert!(node.input.iter().all(|name| known.contains(name)), "{node:?}");
            assert!(node.output.iter().all(|name| !known.contains(name)), "{node:?}");
            known.extend(node.output.iter().cloned());
        }
        let bytes = written.initializer[0].raw_data.as_ref().map(Vec::len);
        assert_eq!((bytes, &written.initializer[0].dims[..]), (Some(48), &[6, 2][..]));
        assert!(written.output.iter().all(|output| known.contains(output.name.as_ref().unwrap())));
        // What does not fit is said by the graph, and never written by an export.
        assert!(flag != mean && graph.check().is_err());
    }
}
