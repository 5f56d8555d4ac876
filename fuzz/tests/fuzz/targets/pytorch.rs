//! Files of PyTorch: what is read are tensors that the file holds, and nothing is run.

use aberra::ImportedModel;
use rand_chacha::ChaCha8Rng;

use crate::mutate::bytes;

const TOKENS: &[&str] = &[
    "PK\u{3}\u{4}",
    "PK\u{1}\u{2}",
    "PK\u{5}\u{6}",
    "data.pkl",
    "data/0",
    "byteorder",
    "little",
    "storage",
    "cpu",
    "ctorch\nFloatStorage\n",
    "ctorch\nHalfStorage\n",
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "ccollections\nOrderedDict\n",
    "cos\nsystem\n",
    "encoder.conv1.weight",
    "module.",
    "state_dict",
    "num_batches_tracked",
    "(",
    ")",
    "R",
    "Q",
    "t",
    "u",
    "}",
    "]",
    "h\u{0}",
    "q\u{0}",
    "K\u{1}",
    ".",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    // Its pickles have no checksums, so that mutations get through to the machine that reads them.
    let stream = include_bytes!("../../../../crates/aberra-models/tests/golden/residual-stream.pth");
    let archive = include_bytes!("../../../../crates/aberra-models/tests/golden/residual.pth");
    vec![stream.to_vec(), archive.to_vec(), stream[..12_000].to_vec(), b"\x89HDF\r\n\x1a\n".to_vec()]
}

pub(super) fn mutate(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    bytes(rng, input, other, TOKENS)
}

pub(super) fn run(input: &[u8]) -> String {
    match ImportedModel::from_pytorch("model.pth", input) {
        Ok(model) => {
            assert!(model.parameter_count() <= input.len(), "more weights than the file holds");
            "imported".to_owned()
        }
        Err(error) => {
            assert!(error.is_detector() && error.hint().is_some(), "{error}");
            error.to_string()
        }
    }
}
