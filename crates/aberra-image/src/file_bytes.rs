//! Files -> bytes, within limits.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::Kind;
use crate::{Error, Limits};

/// The content of a regular file that is not too long.
pub(crate) fn read_bytes(path: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    let cannot_read = |error: std::io::Error| Error::new(Kind::Io, format!("cannot read the file: {error}"));
    let metadata = std::fs::metadata(path).map_err(cannot_read)?;
    if metadata.is_dir() {
        return Err(Error::new(Kind::Io, "expected an image file, found a folder; name the files within it"));
    }
    if !metadata.is_file() {
        return Err(Error::new(Kind::Io, "expected a regular file, found a device, pipe or socket"));
    }
    limits.check_bytes(metadata.len())?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    let file = File::open(path).map_err(cannot_read)?;
    file.take(limits.max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(cannot_read)?;
    Ok(bytes)
}
