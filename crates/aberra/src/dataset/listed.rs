//! A path as a list or manifest writes it -> the file that is meant.

use std::path::{Path, PathBuf};

/// The file that an entry of a list means, relative to `root`: as it is written if there is such a file or folder, else
/// without the blanks around it, without quotes, and with `/` for `\`, whichever exists; as it is written if none does.
pub fn listed_path(root: &Path, written: &[u8]) -> PathBuf {
    let exists = |bytes: &[u8]| !bytes.is_empty() && root.join(path_from_bytes(bytes)).exists();
    if exists(written) {
        return path_from_bytes(written);
    }
    let trimmed = written.trim_ascii();
    let quoted = |mark: u8| match trimmed {
        [first, inner @ .., last] if *first == mark && *last == mark => Some(inner),
        _ => None,
    };
    let unquoted = quoted(b'"').or_else(|| quoted(b'\'')).unwrap_or(trimmed);
    let slashed = |bytes: &[u8]| -> Vec<u8> {
        bytes.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect()
    };
    let candidates = [trimmed.to_vec(), unquoted.to_vec(), slashed(trimmed), slashed(unquoted)];
    let found = candidates.into_iter().find(|candidate| exists(candidate));
    path_from_bytes(found.as_deref().unwrap_or(written))
}

#[cfg(unix)]
fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}
