//! Detector files by the description of their format alone, for tests of the library and the fuzz targets: taken apart,
//! and put together with the hash that belongs to the parts.

use std::collections::{BTreeMap, HashMap};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

/// The envelope, and the tensors by name: type, shape, data.
pub(crate) type Parts = (Value, BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>);

/// The parts of a file, if it has them.
pub(crate) fn parts(bytes: &[u8]) -> Option<Parts> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let envelope = serde_json::from_str(header.metadata().as_ref()?.get("aberra")?).ok()?;
    let tensors = SafeTensors::deserialize(bytes).ok()?;
    let tensors = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec())));
    Some((envelope, tensors.collect()))
}

/// The hash that belongs to the parts, if their envelope is one.
pub(crate) fn hash((envelope, tensors): &Parts) -> Option<String> {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(envelope.get("kind")?.as_str()?.as_bytes());
    part(&u32::try_from(envelope.get("version")?.as_u64()?).ok()?.to_le_bytes());
    part(envelope.get("document")?.to_string().as_bytes());
    for (name, (_, shape, data)) in tensors {
        part(name.as_bytes());
        shape.iter().for_each(|side| part(&(*side as u64).to_le_bytes()));
        part(data);
    }
    Some(hasher.finalize().to_hex().to_string())
}

/// A file of these parts with the hash that belongs to them, if tensors of these shapes can be written.
pub(crate) fn with_right_hash(mut parts: Parts) -> Option<Vec<u8>> {
    parts.0["hash"] = hash(&parts)?.into();
    let (envelope, tensors) = parts;
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, data))| Some((name, TensorView::new(*dtype, shape.clone(), data).ok()?)));
    let metadata = HashMap::from([("aberra".to_owned(), envelope.to_string())]);
    safetensors::serialize(views.collect::<Option<Vec<_>>>()?, Some(metadata)).ok()
}
