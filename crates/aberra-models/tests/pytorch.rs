//! Files of PyTorch: the residual VAE gives what PyTorch computes with it (`golden/make_residual.py`), and a file that is damaged,
//! of something else, or meant to do harm is refused without being run.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

use aberra_metrics::random::{Stream, generator};
use aberra_models::families::FAMILIES;
use aberra_models::measure::Want;
use aberra_models::pytorch::{ResidualWeights, read_state, residual_vae};
use aberra_models::{Inputs, Platform, Tensors, Weight, find};
use burn::tensor::Device;
use rand::RngExt;
use serde_json::Value;

const ARCHIVE: &[u8] = include_bytes!("golden/residual.pth");
const STREAM: &[u8] = include_bytes!("golden/residual-stream.pth");
const GOLDEN: &str = include_str!("golden/residual.json");
/// How far an output may be from PyTorch's.
const TOLERANCE: f64 = 1e-5;

fn imported(file: &[u8]) -> ResidualWeights {
    residual_vae(read_state(file).unwrap()).unwrap()
}

fn refusal(file: &[u8]) -> String {
    let error = read_state(file).and_then(residual_vae).unwrap_err();
    assert!(error.is_detector() && error.hint().is_some(), "{error}");
    error.to_string()
}

/// The image of the script.
fn image() -> Vec<f32> {
    let pixel = |at: usize| {
        let (y, x) = ((at / 256) as f32, (at % 256) as f32);
        0.5 + 0.4 * (0.05 * y + 0.11 * x).sin() * (0.03 * x).cos()
    };
    (0..256 * 256).map(pixel).collect()
}

fn assert_near(found: &[f32], golden: &Value, what: &str) {
    let golden = golden.as_array().unwrap();
    assert_eq!(found.len(), golden.len(), "{what}");
    for (at, (found, golden)) in found.iter().zip(golden).enumerate() {
        let difference = (f64::from(*found) - golden.as_f64().unwrap()).abs();
        assert!(difference <= TOLERANCE, "{what} {at}: {found}, PyTorch has {golden}");
    }
}

#[test]
fn outputs_are_those_of_pytorch() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let vae = find(FAMILIES, "vae").unwrap();
    let image = image();
    for file in [ARCHIVE, STREAM] {
        let model = imported(file);
        // What they are does not matter to the outputs, but the embeddings have to vary.
        let mut random = generator(1, Stream::Weights, 0);
        let normals = [(); 12].map(|()| (0..256 * 256).map(|_| random.random::<f32>()).collect());
        let normals = Inputs::of_pixels(model.shape, &normals).unwrap();
        let platform = Platform::new(Device::flex());
        let member = vae.adopt(&model.settings, model.weights, &platform, &normals).unwrap().member;
        let inference = member.infer(&[&image], Want::ALL).unwrap().remove(0);
        let embedding = inference.embedding.unwrap();
        assert_near(&embedding.mean, &golden["mean"], "mean");
        assert_near(&embedding.log_variance.unwrap(), &golden["log_variance"], "log-variance");
        let reconstruction: Vec<f32> = inference.reconstruction.unwrap().into_iter().step_by(37).collect();
        assert_near(&reconstruction, &golden["every_37th"], "reconstruction");
    }
}

#[test]
fn an_archive_that_was_changed_is_refused_or_changes_nothing() {
    let whole = read_state(ARCHIVE).unwrap();
    let mut random = generator(3, Stream::Weights, 0);
    let mut refused = 0;
    for _ in 0..200 {
        let mut changed = ARCHIVE.to_vec();
        let at = random.random_range(0..changed.len());
        changed[at] ^= 1 << random.random_range(0..8);
        match read_state(&changed) {
            Err(error) => {
                assert!(error.is_detector(), "{error}");
                refused += 1;
            }
            // What no checksum covers, such as a date.
            Ok(state) => assert_eq!(state, whole, "byte {at}"),
        }
    }
    assert!(refused > 100, "{refused}");
    for length in (0..ARCHIVE.len()).step_by(1_009) {
        assert!(read_state(&ARCHIVE[..length]).is_err(), "cut to {length} bytes");
    }
}

#[test]
fn pickles_that_were_changed_are_refused_or_are_still_tensors() {
    // Its pickles have no checksum: what a change leaves whole is read, and nothing else comes of it.
    let pickles = 20_000.min(STREAM.len());
    let mut random = generator(5, Stream::Weights, 0);
    let mut refused = 0;
    for _ in 0..300 {
        let mut changed = STREAM.to_vec();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..pickles);
            changed[at] = random.random();
        }
        match read_state(&changed).and_then(residual_vae) {
            Err(error) => {
                assert!(error.is_detector(), "{error}");
                refused += 1;
            }
            Ok(model) => assert_eq!(model.weights.len(), imported(STREAM).weights.len()),
        }
    }
    assert!(refused > 100, "{refused}");
}

/// An archive of entries as they are.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let mut checksum = flate2::Crc::new();
        checksum.update(data);
        let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        fields.extend(checksum.sum().to_le_bytes());
        for length in [data.len(), data.len()] {
            fields.extend((length as u32).to_le_bytes());
        }
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend((file.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&fields);
        file.extend(name.as_bytes());
        file.extend_from_slice(data);
    }
    let (at, length) = (file.len() as u32, directory.len() as u32);
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    let count = (entries.len() as u16).to_le_bytes();
    file.extend(count);
    file.extend(count);
    file.extend(length.to_le_bytes());
    file.extend(at.to_le_bytes());
    file.extend([0, 0]);
    file
}

/// An archive whose pickle is this, after its protocol.
fn pickled(pickle: &[u8]) -> Vec<u8> {
    archive(&[("m/data.pkl", &[&b"\x80\x02"[..], pickle].concat()), ("m/data/0", &[0; 64])])
}

#[test]
fn what_would_run_code_is_named_and_not_run() {
    let harmful: [(&[u8], &str); 5] = [
        (b"cos\nsystem\n(X\x04\x00\x00\x00ls -tR.", "os.system"),
        (b"cbuiltins\neval\n.", "builtins.eval"),
        (b"\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"ctorch.nn.modules.container\nSequential\n)\x81.", "Sequential"),
        (b"cnumpy.core.multiarray\nscalar\n.", "numpy.core.multiarray.scalar"),
    ];
    for (pickle, named) in harmful {
        let text = refusal(&pickled(pickle));
        assert!(text.contains(named) && text.contains("not run"), "{text}");
    }
    // An extension code, an instance, a module's state.
    for pickle in [&b"\x82\x01."[..], b"(ios\nsystem\n.", b"}}b}X\x01\x00\x00\x00a}sb."] {
        refusal(&pickled(pickle));
    }
}

#[test]
fn hostile_pickles_cost_neither_stack_nor_memory() {
    // Depth, a memo at the last place, lengths that are not there, marks that were never set.
    let deep = [vec![b']'; 500_000], vec![b'a'; 499_999], b".".to_vec()].concat();
    let pickles: [&[u8]; 8] = [
        &deep,
        b"}r\xff\xff\xff\xffj\xff\xff\xff\xff.",
        b"X\xff\xff\xff\xff.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"t.",
        b"(\x85.",
        b"]q\x00h\x00ah\x00a.",
        b"",
    ];
    for pickle in pickles {
        refusal(&pickled(pickle));
    }
    // A tensor of more elements than its storage has.
    let view = |count: &[u8]| {
        let reference =
            b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x10tQ";
        [
            &b"}X\x01\x00\x00\x00a"[..],
            b"ctorch._utils\n_rebuild_tensor_v2\n(",
            reference,
            b"K\x00",
            count,
            b"\x85K\x00\x85\x89}tRs.",
        ]
        .concat()
    };
    assert!(refusal(&pickled(&view(b"J\xff\xff\xff\x7f"))).contains("does not hold"));
    // Many tensors of one storage.
    let many: Vec<u8> = (0..40u8)
        .flat_map(|number| {
            let one = view(b"K\x10");
            [&b"X\x01\x00\x00\x00"[..], &[number + 48][..], &one[7..one.len() - 2], b"s"].concat()
        })
        .collect();
    assert!(refusal(&pickled(&[&b"}"[..], &many, b"."].concat())).contains("does not hold"));
    assert!(refusal(&pickled(&view(b"K\x10"))).contains("without encoder.conv1.weight, but with a"));
}

#[test]
fn other_files_and_other_models_are_told_apart() {
    let files: [(&[u8], &str); 7] = [
        (b"", "empty"),
        (b"\x89HDF\r\n\x1a\n", "Keras"),
        (b"\x80\x04K\x01.", "torch.save did not write"),
        (b"GIF89a", "another file"),
        (&archive(&[("config.json", b"{}"), ("model.weights.h5", b"x")]), "Keras"),
        (&archive(&[("m/data.pkl", b"\x80\x02}."), ("m/constants.pkl", b"")]), "TorchScript"),
        (&archive(&[("m/data.pkl", b"\x80\x02}."), ("m/byteorder", b"big")]), "high byte"),
    ];
    for (file, expected) in files {
        let text = refusal(file);
        assert!(text.contains(expected), "{text}");
    }
    let whole = read_state(ARCHIVE).unwrap();
    let changed = |change: &dyn Fn(&mut Tensors)| {
        let mut state = whole.clone();
        change(&mut state);
        residual_vae(state).unwrap_err().to_string()
    };
    let plain = Tensors::from([(
        "encoder.0.weight".to_owned(),
        Weight { shape: vec![16, 1, 3, 3], values: vec![0.0; 144] },
    )]);
    let text = residual_vae(plain).unwrap_err().to_string();
    assert!(text.contains("without encoder.conv1.weight, but with encoder.0.weight"), "{text}");
    let text = changed(&|state| drop(state.remove("decoder.block4.block.1.running_var")));
    assert!(text.contains("without decoder.block4.block.1.running_var"), "{text}");
    let text = changed(&|state| {
        drop(state.insert("classifier.weight".to_owned(), state["encoder.conv_mu.bias"].clone()))
    });
    assert!(text.contains("classifier.weight beside those"), "{text}");
    let text = changed(&|state| state.get_mut("encoder.block2.layer2.0.weight").unwrap().shape[0] = 4);
    assert!(text.contains("encoder.block2.layer2.0.weight of the shape [4, 12, 3, 3]"), "{text}");
    let text = changed(&|state| state.get_mut("decoder.out.0.bias").unwrap().values[0] = f32::NAN);
    assert!(text.contains("NaN"), "{text}");
}
