//! The only reader and writer of detector files, and of the checkpoints of training: safetensors with one metadata
//! entry that holds everything but the tensors as JSON, and a BLAKE3 hash over all of it. Tensors whose values all are numbers
//! of half precision are stored in it; the others in single precision.
//!
//! A file is replaced atomically and durably; a file that does not verify is rejected.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use burn::tensor::f16;
use safetensors::tensor::{Metadata, TensorInfo, TensorView};
use safetensors::{Dtype, SafeTensorError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use aberra_models::{Tensors, Weight};

use crate::{Error, Result, output};

/// The metadata entry.
const ENTRY: &str = "aberra";

/// The kind of a model that was imported and is no detector yet.
pub(crate) const UNCALIBRATED: &str = "imported model";

/// Larger files are rejected.
const MAX_FILE_BYTES: u64 = 8 << 30;

/// Named tensors and a document of `kind`, at `version` of its layout.
pub(crate) struct Stored<T> {
    /// Of the layout.
    pub(crate) version: u32,
    pub(crate) document: T,
    pub(crate) tensors: Tensors,
    /// Hash of the content, hexadecimal.
    pub(crate) hash: String,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    kind: String,
    version: u32,
    hash: String,
    document: serde_json::Value,
}

/// The content of a file, and the layout versions that this program writes and reads.
#[derive(Clone, Copy)]
pub(crate) struct FileKind {
    pub(crate) name: &'static str,
    /// Written, and the latest that is read.
    pub(crate) version: u32,
    /// The oldest that is read.
    pub(crate) oldest: u32,
}

/// Writes document and tensors to `path`; returns the content's hash.
///
/// # Errors
/// The file cannot be written; an older file at `path` is then still whole.
pub(crate) fn write<T: Serialize>(
    path: &Path,
    kind: FileKind,
    document: &T,
    tensors: &Tensors,
) -> Result<String> {
    let (file, hash) = encode(kind, document, tensors).map_err(|error| error.with_path(path))?;
    output::write(path, &file)?;
    Ok(hash)
}

/// The file that [`write`] writes, and the content's hash.
///
/// # Errors
/// Values that JSON or safetensors cannot hold.
pub(crate) fn encode<T: Serialize>(
    kind: FileKind,
    document: &T,
    tensors: &Tensors,
) -> Result<(Vec<u8>, String)> {
    let document = serde_json::to_value(document)
        .map_err(|error| Error::detector(format!("cannot be written: {error}")))?;
    let of_tensor = |(name, weight): (_, &Weight)| (name, (weight.shape.clone(), bytes_of(&weight.values)));
    let bytes: BTreeMap<&String, _> = tensors.iter().map(of_tensor).collect();
    let mut hasher = ContentHasher::new(kind.name, kind.version, &document);
    bytes.iter().for_each(|(name, (shape, (_, data)))| hasher.tensor(name, shape, data));
    let hash = hasher.finish();
    let envelope =
        Envelope { kind: kind.name.to_owned(), version: kind.version, hash: hash.clone(), document };
    let views = bytes
        .iter()
        .map(|(name, (shape, (dtype, data)))| Ok((*name, TensorView::new(*dtype, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, SafeTensorError>>();
    let metadata = HashMap::from([(ENTRY.to_owned(), serde_json::to_string(&envelope).unwrap_or_default())]);
    let file = views
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|error| Error::detector(format!("cannot be written: {error}")))?;
    Ok((file, hash))
}

/// Reads and verifies the file at `path`.
///
/// # Errors
/// The file is missing, of another kind or a later version, cut off, changed, or holds values that are not finite.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, kind: FileKind) -> Result<Stored<T>> {
    let io = |error: std::io::Error| Error::io(path, &error);
    let file = fs::File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let refuse = |message: String| Error::detector(message).with_path(path);
    if length > MAX_FILE_BYTES {
        return Err(refuse(format!("expected at most {MAX_FILE_BYTES} bytes, found {length}")));
    }
    parse(file, length, kind).map_err(refuse)
}

/// Verifies a file held in memory.
///
/// # Errors
/// As [`read`], less the reading.
pub(crate) fn decode<T: DeserializeOwned>(file: &[u8], kind: FileKind) -> Result<Stored<T>> {
    parse(Cursor::new(file), file.len() as u64, kind).map_err(Error::detector)
}

/// The kind of the file at `path`, if it is one of Aberra; its content is not looked at.
pub(crate) fn kind_of(path: &Path) -> Option<String> {
    let mut file = fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let (_, header) = header(&mut file, length).ok()?;
    let envelope: Envelope = serde_json::from_str(header.metadata().as_ref()?.get(ENTRY)?).ok()?;
    Some(envelope.kind)
}

/// The header of a safetensors file of `length` bytes: where each tensor lies after it.
fn header(file: &mut impl Read, length: u64) -> Result<(u64, Metadata), SafeTensorError> {
    /// The most that safetensors takes itself.
    const MOST_HEADER_BYTES: u64 = 100_000_000;
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(|_| SafeTensorError::HeaderTooSmall)?;
    let size = u64::from_le_bytes(size);
    if size > MOST_HEADER_BYTES {
        return Err(SafeTensorError::HeaderTooLarge);
    }
    let start = size + 8;
    if start > length {
        return Err(SafeTensorError::InvalidHeaderLength);
    }
    let mut bytes = vec![0; size as usize];
    file.read_exact(&mut bytes)?;
    let text = std::str::from_utf8(&bytes).map_err(SafeTensorError::InvalidHeader)?;
    let header: Metadata =
        serde_json::from_str(text).map_err(SafeTensorError::InvalidHeaderDeserialization)?;
    match start.checked_add(header.data_len() as u64) {
        Some(end) if end == length => Ok((start, header)),
        _ => Err(SafeTensorError::MetadataIncompleteBuffer),
    }
}

/// Verifies a file of `length` bytes. Each tensor is read into its own memory, so that a large detector is there but once.
fn parse<T: DeserializeOwned>(
    mut file: impl Read + Seek,
    length: u64,
    kind: FileKind,
) -> Result<Stored<T>, String> {
    let name = kind.name;
    let broken = |error: SafeTensorError| {
        format!("expected a {name} file, found one that is cut off, changed or of another format ({error})")
    };
    let (start, header) = header(&mut file, length).map_err(broken)?;
    let entry = header.metadata().as_ref().and_then(|metadata| metadata.get(ENTRY));
    let entry =
        entry.ok_or_else(|| format!("expected a {name} file of Aberra, found another safetensors file"))?;
    let envelope: Envelope = serde_json::from_str(entry)
        .map_err(|error| format!("expected a {name} file, found metadata that does not parse ({error})"))?;
    if envelope.kind == UNCALIBRATED && envelope.kind != name {
        return Err(format!(
            "expected a {name} file, found an imported model without a calibration, which gives no verdicts; \
             `aberra calibrate FILE --data NORMALS --rate 0.05` makes a detector of it"
        ));
    }
    if envelope.kind != name {
        return Err(format!("expected a {name} file, found a {} file", envelope.kind));
    }
    if !(kind.oldest..=kind.version).contains(&envelope.version) {
        let expected = match kind.oldest == kind.version {
            true => kind.version.to_string(),
            false => format!("{} to {}", kind.oldest, kind.version),
        };
        return Err(format!(
            "expected version {expected} of the {name} file, found version {}; {}",
            envelope.version,
            if envelope.version > kind.version { "a newer Aberra wrote it: update" } else { "train again" }
        ));
    }
    let mut hasher = ContentHasher::new(name, envelope.version, &envelope.document);
    let mut tensors = BTreeMap::new();
    let sorted: BTreeMap<String, &TensorInfo> = header.tensors().into_iter().collect();
    for (name, info) in sorted {
        let (from, to) = info.data_offsets;
        file.seek(SeekFrom::Start(start + from as u64)).map_err(|error| broken(error.into()))?;
        let values = match info.dtype {
            Dtype::F32 => {
                let mut values = vec![0.0_f32; (to - from) / size_of::<f32>()];
                let bytes = bytemuck::cast_slice_mut(&mut values);
                file.read_exact(bytes).map_err(|error| broken(error.into()))?;
                hasher.tensor(&name, &info.shape, bytes);
                values.iter_mut().for_each(|value| *value = f32::from_bits(u32::from_le(value.to_bits())));
                values
            }
            Dtype::F16 => {
                let mut bytes = vec![0; to - from];
                file.read_exact(&mut bytes).map_err(|error| broken(error.into()))?;
                hasher.tensor(&name, &info.shape, &bytes);
                bytes.as_chunks().0.iter().map(|half| f16::from_le_bytes(*half).to_f32()).collect()
            }
            other => return Err(format!("{name}: expected 32-bit or 16-bit floats, found {other:?}")),
        };
        tensors.insert(name, Weight { shape: info.shape.clone(), values });
    }
    let hash = hasher.finish();
    if hash != envelope.hash {
        return Err(format!(
            "the content does not match its hash (expected {}, found {hash}): the file was changed or damaged; \
             copy or train it again",
            envelope.hash
        ));
    }
    let is_finite = |weight: &Weight| weight.values.iter().all(|value| value.is_finite());
    if let Some((name, _)) = tensors.iter().find(|(_, weight)| !is_finite(weight)) {
        return Err(format!("{name}: expected finite values, found NaN or infinity; train again"));
    }
    let document = serde_json::from_value(envelope.document)
        .map_err(|error| format!("the {name} file's settings do not parse ({error})"))?;
    Ok(Stored { version: envelope.version, document, tensors, hash })
}

/// Values as they are stored: in half precision if that is all that they have.
fn bytes_of(values: &[f32]) -> (Dtype, Vec<u8>) {
    let halves: Vec<f16> = values.iter().map(|&value| f16::from_f32(value)).collect();
    let same = |(half, value): (&f16, &f32)| half.to_f32().to_bits() == value.to_bits();
    if halves.iter().zip(values).all(same) {
        (Dtype::F16, halves.iter().flat_map(|half| half.to_le_bytes()).collect())
    } else {
        (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

/// The hash of a file's content, part by part.
struct ContentHasher(blake3::Hasher);

impl ContentHasher {
    fn new(kind: &str, version: u32, document: &serde_json::Value) -> Self {
        let mut hasher = Self(blake3::Hasher::new());
        hasher.part(kind.as_bytes());
        hasher.part(&version.to_le_bytes());
        hasher.part(document.to_string().as_bytes());
        hasher
    }

    /// Adds a tensor with its little-endian bytes: in the order of their names.
    fn tensor(&mut self, name: &str, shape: &[usize], bytes: &[u8]) {
        self.part(name.as_bytes());
        for side in shape {
            self.part(&(*side as u64).to_le_bytes());
        }
        self.part(bytes);
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: FileKind = FileKind { name: "test", version: 3, oldest: 3 };

    fn tensors() -> Tensors {
        let weight = |values: &[f32]| Weight { shape: vec![values.len()], values: values.to_vec() };
        BTreeMap::from([("b".to_owned(), weight(&[1.5, -2.0])), ("a".to_owned(), weight(&[0.0]))])
    }

    fn written() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, KIND, &0.1_f64, &tensors()).unwrap();
        (folder, path)
    }

    fn refusal(path: &Path, kind: FileKind) -> String {
        read::<f64>(path, kind).err().unwrap().to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        let (_folder, path) = written();
        let stored = read::<f64>(&path, KIND).unwrap();
        assert_eq!(stored.document, 0.1);
        assert_eq!(stored.tensors, tensors());
    }

    #[test]
    fn values_of_half_precision_take_two_bytes_and_others_four() {
        let exact = vec![1.5, -0.0, 65504.0, 2.0_f32.powi(-24)];
        for (values, bytes) in [(exact, 2), (vec![1.5, 0.1, 0.0, 0.0], 4), (vec![1e6, 0.0, 0.0, 0.0], 4)] {
            assert_eq!(bytes_of(&values).1.len(), 4 * bytes);
            let weight = Weight { shape: vec![4], values };
            let (file, _) =
                encode(KIND, &0.1_f64, &BTreeMap::from([("a".to_owned(), weight.clone())])).unwrap();
            let stored = decode::<f64>(&file, KIND).unwrap();
            let bits =
                |weight: &Weight| weight.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&stored.tensors["a"]), bits(&weight));
        }
    }

    #[test]
    fn the_same_content_gives_the_same_bytes() {
        let (_a, first) = written();
        let (_b, second) = written();
        assert_eq!(fs::read(first).unwrap(), fs::read(second).unwrap());
    }

    #[test]
    fn every_cut_is_refused() {
        let (_folder, path) = written();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(read::<f64>(&path, KIND).is_err(), "cut to {length} of {} bytes", whole.len());
        }
    }

    #[test]
    fn every_flipped_bit_is_refused_or_changes_nothing() {
        let (_folder, path) = written();
        let whole = fs::read(&path).unwrap();
        for position in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[position] ^= 1 << bit;
                // A flip may turn one spelling of the same header into another; the content must not differ.
                if let Ok(stored) = decode::<f64>(&changed, KIND) {
                    assert_eq!(
                        (stored.document, stored.tensors),
                        (0.1, tensors()),
                        "byte {position} bit {bit}"
                    );
                }
            }
        }
    }

    #[test]
    fn other_kinds_versions_and_values_are_named() {
        let (_folder, path) = written();
        let later = refusal(&path, FileKind { version: 2, oldest: 1, ..KIND });
        assert!(later.contains("found version 3") && later.contains("update"), "{later}");
        let earlier = refusal(&path, FileKind { version: 5, oldest: 4, ..KIND });
        assert!(earlier.contains("expected version 4 to 5") && earlier.contains("train again"), "{earlier}");
        assert!(
            read::<f64>(&path, FileKind { version: 5, oldest: 3, ..KIND })
                .is_ok_and(|file| file.version == 3)
        );
        let other = refusal(&path, FileKind { name: "detector", ..KIND });
        assert!(other.contains("found a test file"), "{other}");
        let nan = BTreeMap::from([("w".to_owned(), Weight { shape: vec![1], values: vec![f32::NAN] })]);
        write(&path, KIND, &0.1_f64, &nan).unwrap();
        assert!(refusal(&path, KIND).contains("NaN"));
    }
}
