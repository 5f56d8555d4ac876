//! Where a path given for output leads, and whether it can be written to: found out before the work.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aberra_image::is_image_file;
use aberra_metrics::{Error, Result};

use super::replace::{MINIMUM_AGE, folder_of, sweep};

/// Links followed before a path counts as a circle of them; as in Linux.
const MOST_LINKS: usize = 40;

/// Where a path leads, links followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A plain file, or one to be made, in a folder that is there.
    File(PathBuf),
    /// Something that is written straight into.
    Stream(Stream),
}

/// What is no plain file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// This process's own standard output, however it was named: to open it again would begin at its start.
    StandardOutput,
    /// This process's own standard error.
    StandardError,
    /// A device, a pipe, a FIFO, or an open file that a shell handed over.
    At(PathBuf),
}

/// Checks that a file can be written to `path`, and changes nothing: it is no folder and none of `inputs` (files, or
/// folders of images, that the command reads), and its folder is there and can be written.
///
/// # Errors
/// What stands against it, with what to do.
pub fn check(path: &Path, inputs: &[&Path]) -> Result<()> {
    let Place::File(target) = resolve(path)? else { return Ok(()) };
    let folder = folder_of(&target);
    check_writable(folder).map_err(|error| {
        Error::io(folder, &error).with_hint(format!("{} cannot be written there", path.display()))
    })?;
    sweep(folder, MINIMUM_AGE);
    let Ok(real) = fs::canonicalize(&target) else { return Ok(()) };
    check_writable(&real)
        .map_err(|error| Error::io(path, &error).with_hint("give another file, or make this one writable"))?;
    let is_input = |input: &&&Path| {
        fs::canonicalize(input).is_ok_and(|input| {
            real == input || (input.is_dir() && real.starts_with(&input) && is_image_file(&real))
        })
    };
    match inputs.iter().find(is_input) {
        None => Ok(()),
        Some(_) => {
            let message = "expected a file to write to, found one that this command reads";
            Err(Error::file(message).with_path(path).with_hint("give another file"))
        }
    }
}

/// Checks that files can be written into the folder `path`, or that it can be made, and changes nothing.
///
/// # Errors
/// What stands against it, with what to do.
pub fn check_folder(path: &Path) -> Result<()> {
    let unwritable = |error: &dyn std::fmt::Display| {
        Error::file(format!("expected a folder that can be written ({error})"))
            .with_path(path)
            .with_hint("give another folder")
    };
    if path.as_os_str().is_empty() {
        return Err(unwritable(&"it has no name"));
    }
    // Of a folder that is not there, the lowest above it that is.
    let mut lowest = path;
    loop {
        match fs::metadata(lowest) {
            Ok(found) if found.is_dir() => break,
            Ok(_) => return Err(unwritable(&format!("{} is a file", lowest.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(lowest).is_ok() {
                    return Err(unwritable(&format!("{} is a link to nothing", lowest.display())));
                }
                lowest = folder_of(lowest);
            }
            Err(error) => return Err(unwritable(&error)),
        }
    }
    check_writable(lowest).map_err(|error| unwritable(&error))
}

/// Follows the links of `path`.
///
/// # Errors
/// A folder, a socket, a name without one of a file, a circle of links, a parent folder that is missing.
pub(super) fn resolve(path: &Path) -> Result<Place> {
    let refuse = |message: String| Error::file(message).with_path(path);
    if path.as_os_str().is_empty() {
        return Err(Error::file("expected the name of a file to write to, found an empty one"));
    }
    let names_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        let found = match fs::symlink_metadata(&at) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = folder_of(&at);
                return match fs::metadata(folder) {
                    Ok(found) if found.is_dir() && !names_folder && at.file_name().is_some() => {
                        Ok(Place::File(at))
                    }
                    Ok(found) if found.is_dir() => {
                        Err(refuse("expected a file to write to, found the name of a folder".to_owned()))
                    }
                    _ => Err(refuse(format!(
                        "expected a folder to write to, found none: {}",
                        folder.display()
                    ))
                    .with_hint("make the folder first, or give a file in another one")),
                };
            }
            Err(error) => return Err(Error::io(path, &error)),
        };
        let kind = found.file_type();
        if kind.is_dir() {
            return Err(refuse("expected a file to write to, found a folder".to_owned())
                .with_hint("give the name of a file in it"));
        }
        if kind.is_symlink() {
            if let Some(stream) = opened(&at) {
                return Ok(Place::Stream(stream));
            }
            let link = fs::read_link(&at).map_err(|error| Error::io(path, &error))?;
            at = folder_of(&at).join(link);
        } else if kind.is_file() {
            return Ok(Place::File(at));
        } else if is_socket(kind) {
            return Err(refuse("expected a file to write to, found a socket".to_owned()));
        } else {
            return Ok(Place::Stream(opened(&at).unwrap_or(Stream::At(at))));
        }
    }
    Err(refuse(format!("expected a file to write to, found a chain of more than {MOST_LINKS} links")))
}

/// The open file that a path such as `/dev/fd/3` names.
fn opened(path: &Path) -> Option<Stream> {
    let folder = fs::canonicalize(folder_of(path)).ok()?;
    if folder != Path::new("/dev/fd") && !(folder.starts_with("/proc") && folder.ends_with("fd")) {
        return None;
    }
    let own = format!("/proc/{}/fd", std::process::id());
    let is_own = folder == Path::new("/dev/fd") || folder == Path::new(&own);
    Some(match path.file_name()?.to_str()? {
        "1" if is_own => Stream::StandardOutput,
        "2" if is_own => Stream::StandardError,
        _ => Stream::At(path.to_owned()),
    })
}

#[cfg(unix)]
fn is_socket(kind: fs::FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&kind)
}

#[cfg(not(unix))]
fn is_socket(_: fs::FileType) -> bool {
    false
}

/// Whether the system would let this process write there.
#[cfg(unix)]
fn check_writable(path: &Path) -> io::Result<()> {
    use rustix::fs::{Access, access};

    let wanted = if path.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
    Ok(access(path, wanted)?)
}

#[cfg(not(unix))]
fn check_writable(path: &Path) -> io::Result<()> {
    match fs::metadata(path)?.permissions().readonly() && !path.is_dir() {
        true => Err(io::ErrorKind::PermissionDenied.into()),
        false => Ok(()),
    }
}
