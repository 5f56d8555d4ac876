//! Which messages the bounded codec accepts, and which it rejects.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use crate::oip::codec::fits;
use crate::oip::generated::model_infer_request::InferInputTensor;
use crate::oip::generated::{InferTensorContents, ModelInferRequest};

fn request(contents: InferTensorContents) -> Bytes {
    let input = InferInputTensor {
        name: "pixels".to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![1, 128, 128, 3],
        contents: Some(contents),
        ..Default::default()
    };
    let request =
        ModelInferRequest { model_name: "first".to_owned(), inputs: vec![input], ..Default::default() };
    request.encode_to_vec().into()
}

#[test]
fn images_fit() {
    let count = 128 * 128 * 3;
    assert!(fits(&request(InferTensorContents { fp32_contents: vec![0.5; count], ..Default::default() })));
    assert!(fits(&request(InferTensorContents { uint_contents: vec![7; count], ..Default::default() })));
    let images = vec![Bytes::from_static(&[1; 100]); 64];
    assert!(fits(&request(InferTensorContents { bytes_contents: images.clone(), ..Default::default() })));
    let raw = ModelInferRequest { raw_input_contents: images, ..Default::default() };
    assert!(fits(&raw.encode_to_vec().into()));
}

#[test]
fn what_would_swell_does_not() {
    let many = 1 << 20;
    for pair in [[0x2a, 0], [0x32, 0], [0x3a, 0], [0x22, 0]] {
        assert!(!fits(&pair.repeat(many).into()), "{pair:?}");
    }
    assert!(!fits(&request(InferTensorContents { int64_contents: vec![0; many], ..Default::default() })));
    assert!(!fits(&request(InferTensorContents {
        bytes_contents: vec![Bytes::new(); many],
        ..Default::default()
    })));
    let input = InferInputTensor { shape: vec![0; many], ..Default::default() };
    let request = ModelInferRequest { inputs: vec![input], ..Default::default() };
    assert!(!fits(&request.encode_to_vec().into()));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = fits(&bytes.into());
    }
}
