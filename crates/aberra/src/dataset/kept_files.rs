//! The files of several images that were read last, held in memory: a pass reads their slices one by one, and to inflate a
//! volume for each of them would take longer than all the rest.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use aberra_image::{Error, Image, Limits, MAX_CHANNELS, PagedFile, count_pages, read_page};

/// Bytes of files that are held, beyond the last one.
const MOST_BYTES: usize = 512 << 20;

/// In the order of their last use. What they hold follows from the files alone, so results do not depend on it.
static KEPT: Mutex<Vec<Arc<Kept>>> = Mutex::new(Vec::new());

struct Kept {
    identity: Identity,
    /// Once it was read, or why it cannot be.
    file: OnceLock<Result<PagedFile, Error>>,
}

/// A file that was not changed since, and the limits that it was read within.
#[derive(PartialEq)]
struct Identity {
    path: PathBuf,
    bytes: u64,
    modified: Option<SystemTime>,
    limits: Limits,
}

impl Kept {
    fn file(&self, limits: &Limits) -> Result<&PagedFile, Error> {
        let file = self.file.get_or_init(|| PagedFile::read(&self.identity.path, limits));
        file.as_ref().map_err(Clone::clone)
    }

    fn held_bytes(&self) -> usize {
        self.file.get().and_then(|file| file.as_ref().ok()).map_or(0, PagedFile::held_bytes)
    }
}

/// One image of a file of several, as [`read_page`] gives it.
pub(super) fn decode(path: &Path, page: u32, limits: &Limits) -> Result<Image, Error> {
    match kept(path, limits) {
        Some(kept) => kept.file(limits)?.decode(page, limits),
        None => read_page(path, page, limits),
    }
}

/// The number of images in a file, as [`count_pages`] gives it.
pub(super) fn count(path: &Path, limits: &Limits) -> Result<u32, Error> {
    match kept(path, limits) {
        Some(kept) => kept.file(limits)?.images(limits)?.count(),
        None => count_pages(path, limits),
    }
}

/// The file, which becomes the last used; those that were not used for longest make room. `None` for what is no file.
fn kept(path: &Path, limits: &Limits) -> Option<Arc<Kept>> {
    let metadata = fs::metadata(path).ok()?;
    let identity = Identity {
        path: path.to_owned(),
        bytes: metadata.len(),
        modified: metadata.modified().ok(),
        limits: *limits,
    };
    let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let found = all.iter().position(|kept| kept.identity == identity).map(|at| all.remove(at));
    let found = found.unwrap_or_else(|| Arc::new(Kept { identity, file: OnceLock::new() }));
    // Each thread may be at another file, and an image may have a file for each channel.
    let most = rayon::current_num_threads() + MAX_CHANNELS;
    let held = |all: &[Arc<Kept>]| all.iter().map(|kept| kept.held_bytes()).sum::<usize>();
    while all.len() >= most || (!all.is_empty() && held(&all) > MOST_BYTES) {
        all.remove(0);
    }
    all.push(found.clone());
    Some(found)
}
