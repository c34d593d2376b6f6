//! Writes ONNX: the few messages of `onnx.proto` that our networks need, by their field numbers.
//!
//! No schema compiler takes part, so that building needs nothing but Rust.

use prost::Message;

/// IR version 8 came with opset 17 (ONNX 1.12); both are read by every runtime of today.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;
const FLOAT: i32 = 1;
const INT64: i32 = 7;
const ATTRIBUTE_INT: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSet {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

/// A graph under construction.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Initializer>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<Value>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, optional, tag = "3")]
    i: Option<i64>,
    #[prost(int32, tag = "20")]
    r#type: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Initializer {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    param: Option<String>,
}

/// One axis of an input or output.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Axis {
    /// Of this length.
    Fixed(usize),
    /// Of any length, under a name.
    Free(&'static str),
}

impl Graph {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    pub(crate) fn input(&mut self, name: &str, shape: &[Axis]) {
        self.input.push(value(name, shape));
    }

    pub(crate) fn output(&mut self, name: &str, shape: &[Axis]) {
        self.output.push(value(name, shape));
    }

    /// A constant of 32-bit floats in row-major order.
    pub(crate) fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        let raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, dims, FLOAT, raw_data);
    }

    /// A list of integers.
    pub(crate) fn integers(&mut self, name: &str, values: &[i64]) {
        let raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, &[values.len()], INT64, raw_data);
    }

    /// A node named after its first output; an empty name skips an optional input or output.
    pub(crate) fn node(
        &mut self,
        op: &str,
        from: &[&str],
        to: &[&str],
        attributes: &[(&str, i64)],
    ) {
        let owned = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        let attribute = attributes
            .iter()
            .map(|&(name, i)| Attribute {
                name: name.to_owned(),
                i: Some(i),
                r#type: ATTRIBUTE_INT,
            })
            .collect();
        self.node.push(Node {
            input: owned(from),
            output: owned(to),
            name: format!("{op}_{}", self.node.len()),
            op_type: op.to_owned(),
            attribute,
        });
    }

    /// The finished file.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        Model {
            ir_version: IR_VERSION,
            producer_name: "attune".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self),
            opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
        }
        .encode_to_vec()
    }

    fn constant(&mut self, name: &str, dims: &[usize], data_type: i32, raw_data: Vec<u8>) {
        let dims = dims.iter().map(|&d| d as i64).collect();
        self.initializer.push(Initializer { dims, data_type, name: name.to_owned(), raw_data });
    }
}

fn value(name: &str, shape: &[Axis]) -> Value {
    let dim = shape.iter().map(|axis| match *axis {
        Axis::Fixed(n) => Dimension { value: Some(n as i64), param: None },
        Axis::Free(name) => Dimension { value: None, param: Some(name.to_owned()) },
    });
    let shape = Some(Shape { dim: dim.collect() });
    let tensor_type = Some(TensorType { elem_type: FLOAT, shape });
    Value { name: name.to_owned(), r#type: Some(Type { tensor_type }) }
}
