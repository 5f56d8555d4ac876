//! Weights from a file of PyTorch, read without running any code: the tensors of a state dictionary, and the one model that
//! they are known to be of.
//!
//! An archive (`torch.save` since PyTorch 1.6) and the stream of pickles before it are read from bytes in memory. Every length
//! in a file is compared with what it holds before memory is taken.

mod archive;
mod pickle;
mod residual;

use std::collections::BTreeMap;

use aberra_metrics::Result;
use burn::tensor::{bf16, f16};

use self::pickle::{Element, Pickle, Value, View, refuse};
use crate::tensors::{Tensors, Weight};

pub use self::residual::{ResidualWeights, residual_vae};

/// Keys of a checkpoint under which the state dictionary lies.
const NESTED: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];
/// What is put before every name by training on several devices, and by compiling.
const PREFIXES: [&str; 2] = ["module.", "_orig_mod."];
/// The ending of counters that mean nothing for inference.
const COUNTERS: &str = "num_batches_tracked";
/// The largest pickle that is read; that of a thousand tensors has 100 kB.
const MOST_PICKLE_BYTES: usize = 16 << 20;
/// How often the bytes of a file may be part of a tensor.
const MOST_SHARED: usize = 2;
/// The number that a stream of pickles begins with, as a pickle of protocol 2.
const STREAM: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// Storages by key.
type Storages<'a> = BTreeMap<String, &'a [u8]>;

/// The tensors of a file that `torch.save` wrote of a state dictionary, alone or in a checkpoint, in single precision. Names
/// are without what parallel training and compiling put before them.
///
/// # Errors
/// Another file, one that is cut off or damaged, or one that names anything but tensors: nothing in it is run.
pub fn read_state(file: &[u8]) -> Result<Tensors> {
    if archive::is_one(file) {
        let entries = archive::entries(file)?;
        let Some(pickle) = entries.get("data.pkl") else {
            return Err(refuse("an archive without data.pkl, such as a model of Keras"));
        };
        if entries.contains_key("constants.pkl") {
            return Err(refuse("a program of TorchScript, which is code"));
        }
        if entries.get("byteorder").is_some_and(|order| *order != b"little") {
            return Err(refuse("one of a machine with the high byte first"));
        }
        if pickle.len() > MOST_PICKLE_BYTES {
            return Err(refuse("a pickle of more bytes than a state dictionary has"));
        }
        let (pickle, _) = pickle::read(pickle)?;
        let storages =
            entries.iter().filter_map(|(name, data)| Some((name.strip_prefix("data/")?.to_owned(), *data)));
        return state(&pickle, &storages.collect());
    }
    if file.starts_with(STREAM) {
        let (pickle, storages) = stream(file)?;
        return state(&pickle, &storages);
    }
    Err(refuse(match file {
        [] => "an empty file",
        [0x89, b'H', b'D', b'F', ..] => "a file of HDF5, such as a model of Keras",
        [0x80, ..] => "a pickle that torch.save did not write",
        _ => "another file",
    }))
}

/// A stream: magic number, version and system, each a pickle, then that of the state, then the keys of the storages, then of each
/// the number of its elements and these.
fn stream(file: &[u8]) -> Result<(Pickle, Storages<'_>)> {
    let mut rest = file;
    let mut next = || {
        let (pickle, used) = pickle::read(&rest[..rest.len().min(MOST_PICKLE_BYTES)])?;
        rest = &rest[used..];
        Ok(pickle)
    };
    let [_, _, system] = [next()?, next()?, next()?];
    let is_little = |&(key, value): &(Value, Value)| {
        system.text(key) == Some("little_endian") && value == Value::Truth(true)
    };
    if !system.dict(system.root).is_some_and(|pairs| pairs.iter().any(is_little)) {
        return Err(refuse("one of a machine that does not put the low byte first"));
    }
    let state = next()?;
    let keys = next()?;
    let cut_off = || refuse("a stream of storages that is cut off");
    let sizes: BTreeMap<&str, Element> =
        state.storages().map(|storage| (storage.key.as_str(), storage.element)).collect();
    let mut storages = Storages::new();
    for &key in keys.list(keys.root).ok_or_else(cut_off)? {
        let key = keys.text(key).ok_or_else(cut_off)?;
        let element = sizes.get(key).ok_or_else(cut_off)?;
        let (count, after) = rest.split_first_chunk().ok_or_else(cut_off)?;
        let count = usize::try_from(i64::from_le_bytes(*count)).map_err(|_| cut_off())?;
        let bytes = count.checked_mul(element.bytes()).ok_or_else(cut_off)?;
        let (data, after) = after.split_at_checked(bytes).ok_or_else(cut_off)?;
        rest = after;
        storages.insert(key.to_owned(), data);
    }
    Ok((state, storages))
}

/// The tensors of the state dictionary that a pickle is, or that lies in it.
fn state(pickle: &Pickle, storages: &Storages<'_>) -> Result<Tensors> {
    let not_one = || refuse("a pickle of something else");
    let root = pickle.dict(pickle.root).ok_or_else(not_one)?;
    let nested = root.iter().find_map(|&(key, value)| {
        let is_nested = pickle.text(key).is_some_and(|key| NESTED.contains(&key));
        pickle.dict(value).filter(|_| is_nested)
    });
    let mut tensors = Tensors::new();
    // Tensors may share a storage, but not so many of them that memory grows without the file.
    let mut left: usize = MOST_SHARED * storages.values().map(|data| data.len()).sum::<usize>();
    for &(key, value) in nested.unwrap_or(root) {
        let (Some(mut name), Value::Tensor(_)) = (pickle.text(key), value) else { continue };
        while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
            name = rest;
        }
        let Some(view) = pickle.tensor(value).filter(|_| !name.ends_with(COUNTERS)) else { continue };
        let weight = weight(view, storages, &mut left)
            .ok_or_else(|| refuse(&format!("the tensor {name:?}, whose elements the file does not hold")))?;
        if tensors.insert(name.to_owned(), weight).is_some() {
            return Err(refuse(&format!("two tensors called {name:?}")));
        }
    }
    if tensors.is_empty() { Err(refuse("one without tensors")) } else { Ok(tensors) }
}

/// The elements of a view, in the order of its axes; `None` where they do not lie in its storage, are no fractions, or are more
/// bytes than are `left`.
fn weight(view: &View, storages: &Storages<'_>, left: &mut usize) -> Option<Weight> {
    let data = *storages.get(&view.storage.key)?;
    let size = view.storage.element.bytes();
    let held = data.len() / size;
    let count = view.shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length))?;
    // A view that repeats elements could be of any length.
    if held < view.storage.count || count > held || view.shape.len() != view.strides.len() {
        return None;
    }
    *left = left.checked_sub(count * size)?;
    let steps = view.shape.iter().zip(&view.strides);
    let reach = steps.clone().try_fold(view.offset, |reach, (&length, &stride)| {
        reach.checked_add(length.saturating_sub(1).checked_mul(stride)?)
    })?;
    if count > 0 && reach >= held {
        return None;
    }
    let element = |at: usize| {
        let bytes = &data[at * size..][..size];
        match view.storage.element {
            Element::F16 => Some(f16::from_le_bytes(*bytes.first_chunk()?).to_f32()),
            Element::Bf16 => Some(bf16::from_le_bytes(*bytes.first_chunk()?).to_f32()),
            Element::F32 => Some(f32::from_le_bytes(*bytes.first_chunk()?)),
            Element::F64 => Some(f64::from_le_bytes(*bytes.first_chunk()?) as f32),
            Element::Whole(_) => None,
        }
    };
    let values = (0..count).map(|index| {
        let (mut rest, mut at) = (index, view.offset);
        for (&length, &stride) in steps.clone().rev() {
            at += rest % length * stride;
            rest /= length;
        }
        element(at)
    });
    Some(Weight { shape: view.shape.clone(), values: values.collect::<Option<_>>()? })
}
