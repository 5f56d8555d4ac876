//! Detector files that are cut off, damaged or made to do harm: each is refused with a reason, and none ends the program.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod detector_file;

use std::fs;
use std::path::PathBuf;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::{Detector, TrainConfig};
use safetensors::tensor::Dtype;
use serde_json::{Value, json};

use self::detector_file::{Parts, parts, with_right_hash};

const SETTINGS: &str = "preprocessing.size_px = 32
train.epochs = 1
split.by = 'none'
promise.false_alarm_rate = 0.1
scorer = 'mse'
[model]
family = 'vae'
channels = [4, 8]
latent = 4";

/// A small detector's file, its bytes, and where variants of it are written.
struct Fixture {
    _folder: tempfile::TempDir,
    variant: PathBuf,
    bytes: Vec<u8>,
    hash: String,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let normals = PhantomDataset {
            seed: 1,
            size_px: 32,
            train_normals: 60,
            test_normals: 0,
            anomalies_per_kind: 0,
        };
        write_dataset(&folder.path().join("data"), &normals).unwrap();
        let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(SETTINGS).unwrap()]).unwrap();
        let dataset = Dataset::open(&folder.path().join("data"), &OpenOptions::default()).unwrap();
        let file = folder.path().join("d.aberra");
        let hash = Detector::train(&dataset, &config).unwrap().save(&file).unwrap();
        let bytes = fs::read(&file).unwrap();
        Self { variant: folder.path().join("variant.aberra"), _folder: folder, bytes, hash }
    }

    fn load(&self, bytes: &[u8]) -> aberra::Result<Detector> {
        fs::write(&self.variant, bytes).unwrap();
        Detector::load(&self.variant)
    }

    #[track_caller]
    fn refusal(&self, bytes: &[u8]) -> String {
        let error = self.load(bytes).expect_err("it was taken for whole");
        assert_eq!(error.path(), Some(&*self.variant), "{error}");
        error.to_string()
    }

    /// The envelope and the tensors.
    fn parts(&self) -> Parts {
        parts(&self.bytes).unwrap()
    }

    /// A file of these parts with the hash that belongs to them.
    fn with_right_hash(&self, parts: Parts) -> Vec<u8> {
        with_right_hash(parts).unwrap()
    }
}

/// A file with a header of one's own.
fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn cuts_and_flipped_bits_of_a_detector_are_refused() {
    let fixture = Fixture::new();
    let length = fixture.bytes.len();
    // Half of the cuts lie in the header and in the first tensors, where there is most to go wrong.
    for index in 0..256 {
        let cut = if index < 128 { index * 64 } else { (index - 128) * length / 128 };
        fixture.refusal(&fixture.bytes[..cut.min(length - 1)]);
    }
    let mut position = 12_345_usize;
    for flip in 0..1_000 {
        position = position.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Every second one in the header.
        let header = 8 + u64::from_le_bytes(fixture.bytes[..8].try_into().unwrap()) as usize;
        let byte = (position >> 16) % if flip % 2 == 0 { header } else { length };
        let mut changed = fixture.bytes.clone();
        changed[byte] ^= 1 << (flip % 8);
        // A flip may turn one spelling of the same header into another; the content is then the same.
        if let Ok(detector) = fixture.load(&changed) {
            assert_eq!(detector.hash(), Some(&*fixture.hash), "byte {byte}");
        }
    }
}

#[test]
fn the_tests_own_writer_of_the_format_gives_a_file_that_loads() {
    let fixture = Fixture::new();
    let again = fixture.with_right_hash(fixture.parts());
    assert_eq!(fixture.load(&again).unwrap().hash(), Some(&*fixture.hash));
}

#[test]
fn tensors_that_do_harm_are_refused() {
    let fixture = Fixture::new();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let (envelope, mut tensors) = fixture.parts();
        let (name, (_, _, data)) = tensors.iter_mut().next_back().unwrap();
        data[..4].copy_from_slice(&bad.to_le_bytes());
        let name = name.clone();
        let said = fixture.refusal(&fixture.with_right_hash((envelope, tensors)));
        assert!(said.contains("NaN or infinity") && said.contains(&name), "{said}");
    }
    let (envelope, tensors) = fixture.parts();
    for name in tensors.keys() {
        let mut missing = tensors.clone();
        missing.remove(name);
        fixture.refusal(&fixture.with_right_hash((envelope.clone(), missing)));
        let mut longer = tensors.clone();
        let (_, shape, data) = longer.get_mut(name).unwrap();
        *shape = vec![data.len() / 4 + 1];
        data.extend([0; 4]);
        fixture.refusal(&fixture.with_right_hash((envelope.clone(), longer)));
        let mut empty = tensors.clone();
        *empty.get_mut(name).unwrap() = (Dtype::F32, vec![0], Vec::new());
        fixture.refusal(&fixture.with_right_hash((envelope.clone(), empty)));
        let mut halves = tensors.clone();
        let (dtype, shape, data) = halves.get_mut(name).unwrap();
        (*dtype, *shape) = (Dtype::F16, vec![data.len() / 2]);
        fixture.refusal(&fixture.with_right_hash((envelope.clone(), halves)));
    }
    let mut more = tensors;
    more.insert("more".to_owned(), (Dtype::F32, vec![1], vec![0; 4]));
    let said = fixture.refusal(&fixture.with_right_hash((envelope, more)));
    assert!(said.contains("unexpected tensor more"), "{said}");
}

#[test]
fn headers_that_do_harm_are_refused_before_memory_is_taken() {
    let fixture = Fixture::new();
    let envelope = json!({ "kind": "detector", "version": 4, "hash": "", "document": {} }).to_string();
    let tensor = |name: &str, shape: &str, range: [u64; 2]| {
        format!(
            "\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{},{}]}}",
            range[0], range[1]
        )
    };
    let metadata = format!("\"__metadata__\":{{\"aberra\":{}}}", Value::from(envelope));
    let with = |tensors: &[String]| with_header(&format!("{{{metadata},{}}}", tensors.join(",")), &[0; 16]);
    let mut gigabyte = fixture.bytes.clone();
    gigabyte[..8].copy_from_slice(&(1_u64 << 30).to_le_bytes());
    let mut everything = fixture.bytes.clone();
    everything[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let deep = format!("{{\"__metadata__\":{}}}", "[".repeat(200_000));
    let deep_document = json!({ "__metadata__": { "aberra": "[".repeat(200_000) } }).to_string();
    for (what, bytes) in [
        ("a header of a gigabyte", gigabyte),
        ("a header of everything", everything),
        ("overlapping tensors", with(&[tensor("a", "[3]", [0, 12]), tensor("b", "[2]", [8, 16])])),
        ("a gap between tensors", with(&[tensor("a", "[1]", [0, 4]), tensor("b", "[2]", [8, 16])])),
        ("a tensor beyond the end", with(&[tensor("a", "[1000]", [0, 4000])])),
        ("a tensor that ends before it begins", with(&[tensor("a", "[4]", [16, 0])])),
        ("a shape that overflows", with(&[tensor("a", "[4294967296,4294967296,4294967296]", [0, 16])])),
        ("a tensor twice", with(&[tensor("a", "[2]", [0, 8]), tensor("a", "[2]", [8, 16])])),
        ("brackets without end", with_header(&deep, &[])),
        ("brackets without end in the document", with_header(&deep_document, &[])),
        ("nothing", Vec::new()),
        ("zeros", vec![0; 4096]),
    ] {
        let said = fixture.refusal(&bytes);
        assert!(said.contains("expected a detector file") || said.contains("its hash"), "{what}: {said}");
    }
}

/// With a right hash: whoever can write the file can write that.
#[test]
fn documents_that_do_harm_end_in_a_reason_and_not_in_a_panic() {
    let fixture = Fixture::new();
    let (envelope, tensors) = fixture.parts();
    let mut pointers = Vec::new();
    collect(&envelope["document"], String::new(), &mut pointers);
    assert!(pointers.len() > 60, "{pointers:?}");
    let mut refused = 0;
    for pointer in &pointers {
        for value in [json!(0), json!(-1), json!(1e300), json!(u32::MAX), json!("x"), json!([]), json!(null)]
        {
            let mut changed = envelope.clone();
            *changed["document"].pointer_mut(pointer).unwrap() = value;
            refused +=
                usize::from(fixture.load(&fixture.with_right_hash((changed, tensors.clone()))).is_err());
        }
    }
    assert!(refused > pointers.len(), "{refused}");
}

/// Pointers to the values in a document; of a list, those of its first element.
fn collect(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| collect(value, format!("{at}/{name}"), pointers));
        }
        Value::Array(items) => {
            items.iter().take(1).for_each(|value| collect(value, format!("{at}/0"), pointers))
        }
        _ => {}
    }
    if !at.is_empty() {
        pointers.push(at);
    }
}
