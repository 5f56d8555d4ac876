//! Requests to the server: the Open Inference Protocol as JSON and with binary data, and forms of images. Each goes through
//! every layer of the server but the socket.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::fixture::{NAME, SIZE_PX, answer_in_words, fixture, grey, png};
use crate::mutate::{bytes, json_text};

const TOKENS: &[&str] = &[
    "id",
    "inputs",
    "outputs",
    "name",
    "shape",
    "datatype",
    "data",
    "parameters",
    "binary_data",
    "binary_data_size",
    "image",
    "pixels",
    "BYTES",
    "UINT8",
    "FP32",
    "FP64",
    "INT64",
    "BOOL",
    "score",
    "p_value",
    "threshold",
    "anomalous",
    "anomalous_share",
    "embedding",
    "error_map",
    "reconstruction",
    "classification",
    "shared_memory_region",
];

fn infer(headers: &[(&str, &[u8])], body: &[u8]) -> String {
    let answer = fixture().post(&format!("/v2/models/{NAME}/infer"), headers, body);
    if answer.0 == 200 && answer.1 == "application/json" {
        let outputs: Value = serde_json::from_slice(&answer.2).unwrap();
        for output in outputs["outputs"].as_array().unwrap() {
            let shape: u64 =
                output["shape"].as_array().unwrap().iter().map(|side| side.as_u64().unwrap()).product();
            let found = output["data"].as_array().map(Vec::len);
            assert_eq!(found.map(|found| found as u64), Some(shape), "{output}");
        }
    }
    answer_in_words(answer, "error")
}

fn requests() -> Vec<Value> {
    let image = |name: &str| json!({"name": name, "shape": [1], "datatype": "BYTES", "data": [STANDARD.encode(png(1, SIZE_PX))]});
    let grey = grey(1, SIZE_PX);
    let shares: Vec<f32> = grey.iter().map(|&value| f32::from(value) / 255.0).collect();
    let pixels = |shape: Value, datatype: &str, data: Value| json!({"inputs": [{"name": "pixels", "shape": shape, "datatype": datatype, "data": data}]});
    vec![
        json!({"id": "7", "inputs": [image("image")]}),
        json!({"inputs": [image("image")], "parameters": {"threshold": 0.5}, "outputs": [{"name": "score"}, {"name": "error_map"}]}),
        json!({"inputs": [image("image")], "outputs": [{"name": "score", "parameters": {"binary_data": true}}]}),
        json!({"inputs": [image("image")], "outputs": [{"name": "score", "parameters": {"classification": 1}}]}),
        json!({"inputs": [{"name": "image", "shape": [2], "datatype": "BYTES", "data": ["", "AAAA"]}]}),
        pixels(json!([SIZE_PX, SIZE_PX, 1]), "UINT8", json!(grey)),
        pixels(json!([1, SIZE_PX, SIZE_PX, 1]), "FP32", json!(shares)),
        pixels(json!([2, 2, 1]), "FP64", json!([[[0.0], [1.0]], [[0.5], [1e39]]])),
        pixels(json!([0]), "INT64", json!([])),
    ]
}

pub(super) fn json_seeds() -> Vec<Vec<u8>> {
    requests().iter().map(|request| request.to_string().into_bytes()).collect()
}

pub(super) fn mutate_json(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    json_text(rng, input, other, TOKENS)
}

pub(super) fn run_json(input: &[u8]) -> String {
    infer(&[], input)
}

/// The value of the header that says where the binary data begin, a line feed, and the body.
pub(super) fn binary_seeds() -> Vec<Vec<u8>> {
    let of = |request: &Value, behind: &[u8]| with_length(request.to_string().as_bytes(), behind);
    let tensor = |name: &str, shape: Value, datatype: &str, size: usize| json!({"inputs": [{"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}]});
    let (png, grey) = (png(1, SIZE_PX), grey(1, SIZE_PX));
    let framed = [&u32::try_from(png.len()).unwrap().to_le_bytes(), &png[..]].concat();
    let two = [framed.clone(), framed.clone()].concat();
    let raw: Vec<u8> = grey.iter().flat_map(|&value| (f32::from(value) / 255.0).to_le_bytes()).collect();
    let mut seeds = vec![
        of(&tensor("image", json!([1]), "BYTES", framed.len()), &framed),
        of(&tensor("image", json!([2]), "BYTES", two.len()), &two),
        of(&tensor("pixels", json!([SIZE_PX, SIZE_PX, 1]), "UINT8", grey.len()), &grey),
        of(&tensor("pixels", json!([1, SIZE_PX, SIZE_PX, 1]), "FP32", raw.len()), &raw),
        [&b"0\n"[..], &png[..]].concat(),
        [&b"\n"[..], &png[..]].concat(),
    ];
    seeds.extend(requests().iter().map(|request| of(request, &[])));
    seeds
}

fn with_length(head: &[u8], behind: &[u8]) -> Vec<u8> {
    [format!("{}\n", head.len()).as_bytes(), head, behind].concat()
}

pub(super) fn mutate_binary(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let (length, body) = first_line(input);
    let length = std::str::from_utf8(length).ok().and_then(|text| text.parse::<usize>().ok());
    match length.and_then(|length| body.split_at_checked(length)) {
        Some((head, behind)) if !head.is_empty() && rng.random_bool(0.8) => {
            let head = if rng.random_bool(0.6) { json_text(rng, head, other, TOKENS) } else { head.to_vec() };
            let behind = if rng.random_bool(0.6) { bytes(rng, behind, other, &[]) } else { behind.to_vec() };
            with_length(&head, &behind)
        }
        _ => bytes(rng, input, other, TOKENS),
    }
}

fn first_line(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}

pub(super) fn run_binary(input: &[u8]) -> String {
    let (length, body) = first_line(input);
    match length.is_empty() {
        true => infer(&[("content-type", b"application/octet-stream")], body),
        false => infer(&[("inference-header-content-length", length)], body),
    }
}

/// The value of Content-Type, a line feed, and the body.
pub(super) fn form_seeds() -> Vec<Vec<u8>> {
    let file = |name: &str, bytes: &[u8]| part(&format!("name=\"image\"; filename=\"{name}\""), bytes);
    let threshold = part("name=\"threshold\"", b"0.5");
    let png = png(1, SIZE_PX);
    let form = |parts: &[Vec<u8>]| {
        [&b"multipart/form-data; boundary=edge\n"[..], &parts.concat()[..], b"--edge--\r\n"].concat()
    };
    vec![
        form(&[file("a.png", &png)]),
        form(&[file("a.png", &png), file("b.png", b"no image")]),
        form(&[threshold.clone(), file("\u{fc}.png", &png)]),
        form(&[threshold]),
        form(&[part("name=\"colour\"", b"red"), file("a.png", &png)]),
        form(&[]),
        [&b"image/png\n"[..], &png[..]].concat(),
        [&b"application/x-www-form-urlencoded\n"[..], &png[..]].concat(),
    ]
}

fn part(disposition: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--edge\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

pub(super) fn mutate_form(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let tokens = [
        "--edge",
        "--edge--",
        "\r\n",
        "\r\n\r\n",
        "boundary=",
        "multipart/form-data",
        "multipart/mixed",
        "Content-Disposition: form-data; ",
        "Content-Type: image/png",
        "name=\"threshold\"",
        "name=\"image\"",
        "filename=\"x\"",
        "filename*=UTF-8''%ff",
        "filename=\"\"",
        "\"",
        ";",
        "nan",
        "1e999",
        "-inf",
    ];
    bytes(rng, input, other, &tokens)
}

pub(super) fn run_form(input: &[u8]) -> String {
    let (kind, body) = first_line(input);
    let answer = fixture().post(&format!("/api/v1/detectors/{NAME}/score"), &[("content-type", kind)], body);
    if answer.0 == 200 {
        let scored: Value = serde_json::from_slice(&answer.2).unwrap();
        for image in scored["images"].as_array().unwrap() {
            assert_ne!(image["error"].is_null(), image["verdict"].is_null(), "{image}");
        }
    }
    answer_in_words(answer, "detail")
}
