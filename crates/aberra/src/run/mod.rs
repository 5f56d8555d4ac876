//! A run folder: what a training leaves on disk, under which names, locked while it is written, and marked so that no
//! listing of images looks into it.

mod checkpoints;
mod events;
mod history;
mod identity;
mod lock;
mod marker;
mod snapshots;

use std::fs;
use std::path::{Path, PathBuf};

use aberra_metrics::{Error, Result};

pub(crate) use self::checkpoints::CheckpointFile;
pub(crate) use self::history::History;
pub use self::history::read_history;
pub(crate) use self::identity::{Identity, Kinship};
use self::lock::Lock;
pub use self::lock::refuse_in_use;
use self::marker::{MARKER, mark, refuse_images};
pub(crate) use self::snapshots::{Snapshot, Snapshots};
use crate::output;

/// A run folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Held until the run ends.
    _lock: Option<Lock>,
    /// Whether the folder was there before this run, and whether it was marked.
    before: Before,
}

#[derive(Clone, Copy, Debug)]
struct Before {
    is_there: bool,
    is_marked: bool,
}

/// A run folder that can be written, and has not been changed yet.
#[derive(Debug)]
pub struct Reservation {
    path: PathBuf,
    claim: Claim,
    /// Of a run that was there before.
    lock: Option<Lock>,
}

impl Reservation {
    /// Makes the folder if need be, marks it, and locks it until the value is dropped.
    ///
    /// # Errors
    /// It cannot be written, or another run has taken it since.
    pub fn open(self) -> Result<RunFolder> {
        let Self { path, claim, lock } = self;
        let before = Before::of(&path);
        output::make_folder(&path)?;
        let mut lock = match lock {
            Some(lock) => lock,
            None => {
                let lock = lock::take(&path)?;
                RunFolder::at(&path).check(claim)?;
                lock
            }
        };
        refuse_images(&path)?;
        lock.name_holder()?;
        output::sweep(&path);
        mark(&path)?;
        Ok(RunFolder { path, _lock: Some(lock), before })
    }
}

/// How a new run treats the existing contents of its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A detector or a checkpoint there is an error.
    New,
    /// Whatever is there is replaced.
    Replace,
    /// The checkpoint there is gone on from; it is an error if there is none.
    Resume,
    /// Whatever is there stays, and more is added.
    Extend,
}

impl RunFolder {
    /// The run folder at `path`, to be read: whether there is one shows when a file is read.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), _lock: None, before: Before::of(path) }
    }

    /// [Reserves](Self::reserve) a folder and opens it at once.
    ///
    /// # Errors
    /// As those two.
    pub fn claim(path: &Path, claim: Claim) -> Result<Self> {
        Self::reserve(path, claim)?.open()
    }

    /// Checks that a run can be written to `path` and that nothing in it is lost, and changes nothing; where there is a run
    /// already, it is locked.
    ///
    /// # Errors
    /// A folder that cannot be written, that another run is writing, whose content does not fit the claim, or that holds
    /// images and is not marked yet: listings would pass over them.
    pub fn reserve(path: &Path, claim: Claim) -> Result<Reservation> {
        output::check_folder(path)?;
        let lock = lock::take_existing(path)?;
        Self::at(path).check(claim)?;
        refuse_images(path)?;
        Ok(Reservation { path: path.to_owned(), claim, lock })
    }

    /// Makes a folder if need be and marks it like a run folder: for pictures that are no data, such as heat maps.
    ///
    /// # Errors
    /// A folder that cannot be written, or that holds images and is not marked: listings would pass over them.
    pub fn mark(path: &Path) -> Result<()> {
        refuse_images(path)?;
        mark(path)
    }

    /// Checks that a folder can be [marked](Self::mark), and changes nothing.
    ///
    /// # Errors
    /// As [`mark`](Self::mark), and a folder in a run folder that is being written.
    pub fn check_mark(path: &Path) -> Result<()> {
        output::check_folder(path)?;
        refuse_in_use(path)?;
        refuse_images(path)
    }

    /// Whether a folder bears the marker of a run folder, so that listings pass over it.
    pub fn is_one(path: &Path) -> bool {
        path.join(MARKER).is_file()
    }

    /// Ends a run that has written nothing: the folder is again as it was before.
    pub fn give_back(self) {
        let own = [lock::LOCK, MARKER];
        let mut entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let is_unused = entries.all(|entry| own.iter().any(|name| entry.file_name() == *name));
        if self.before.is_marked || !is_unused {
            return;
        }
        // What cannot be removed stays, and harms nobody.
        let _ = output::remove(&self.path.join(MARKER));
        let _ = output::remove(&self.path.join(lock::LOCK));
        if !self.before.is_there {
            let _ = fs::remove_dir(&self.path);
        }
    }

    fn check(&self, claim: Claim) -> Result<()> {
        let (detector, checkpoint) = (self.detector(), self.checkpoint_of_any());
        match claim {
            Claim::Replace | Claim::Extend => Ok(()),
            Claim::Resume if checkpoint.is_none() => {
                Err(Error::data("expected a checkpoint to resume from, found none")
                    .with_path(&self.path)
                    .with_hint("leave out --resume to start a new run"))
            }
            Claim::Resume => Ok(()),
            Claim::New if detector.exists() => Err(Error::data("there is a detector already")
                .with_path(&detector)
                .with_hint("give another run folder, or --force to replace it")),
            Claim::New => match checkpoint {
                None => Ok(()),
                Some(checkpoint) => Err(Error::data("there is a run that was stopped")
                    .with_path(&checkpoint)
                    .with_hint("--resume goes on with it, --force starts again, or give another run folder")),
            },
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The detector file.
    pub fn detector(&self) -> PathBuf {
        self.path.join("detector.aberra")
    }

    /// The split.
    pub fn split(&self) -> PathBuf {
        self.path.join("split.json")
    }

    /// The settings.
    pub fn settings(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// What prefixes TensorBoard's event files. Those of each of several members are in a folder of their own: TensorBoard takes the
    /// files of a folder for one training.
    pub(crate) fn events(&self, member: Option<&str>) -> PathBuf {
        match member {
            None => self.path.join("events"),
            Some(_) => self.path.join(named("events", member, "")).join("events"),
        }
    }

    /// The records of a member's epochs; `None` is the only member.
    pub fn history(&self, member: Option<&str>) -> PathBuf {
        self.path.join(named("history", member, ".jsonl"))
    }

    /// A member's checkpoint; `None` is the only member.
    pub fn checkpoint(&self, member: Option<&str>) -> PathBuf {
        self.path.join(named("checkpoint", member, ".safetensors"))
    }

    /// A fitted member, kept until all are.
    pub(crate) fn member(&self, member: &str) -> PathBuf {
        self.path.join(named("member", Some(member), ".safetensors"))
    }

    /// The folder of a member's snapshots; `None` is the only member.
    pub fn samples(&self, member: Option<&str>) -> PathBuf {
        self.path.join(named("samples", member, ""))
    }

    /// The table of a comparison, for programs.
    pub fn comparison(&self) -> PathBuf {
        self.path.join("comparison.json")
    }

    /// The table of a comparison, as a page.
    pub fn comparison_page(&self) -> PathBuf {
        self.path.join("comparison.html")
    }

    /// The folder of a comparison's cells.
    pub(crate) fn cells(&self) -> PathBuf {
        self.path.join("cells")
    }

    /// A finished cell of a comparison.
    pub(crate) fn cell(&self, name: &str) -> PathBuf {
        self.cells().join(format!("{name}.json"))
    }

    /// The detector of a cell.
    pub(crate) fn cell_detector(&self, name: &str) -> PathBuf {
        self.cells().join(format!("{name}.aberra"))
    }

    fn checkpoint_of_any(&self) -> Option<PathBuf> {
        let only = self.checkpoint(None);
        if only.exists() {
            return Some(only);
        }
        let entries = fs::read_dir(&self.path).ok()?.flatten().map(|entry| entry.path());
        let mut found: Vec<PathBuf> = entries
            .filter(|path| {
                path.file_name()
                    .and_then(|name| name.to_str())
                    .is_some_and(|name| name.starts_with("checkpoint-") && name.ends_with(".safetensors"))
            })
            .collect();
        found.sort();
        found.into_iter().next()
    }
}

impl Before {
    fn of(path: &Path) -> Self {
        Self { is_there: path.is_dir(), is_marked: RunFolder::is_one(path) }
    }
}

/// `stem.ending`, or `stem-member.ending`.
fn named(stem: &str, member: Option<&str>, ending: &str) -> String {
    match member {
        None => format!("{stem}{ending}"),
        Some(member) => format!("{stem}-{member}{ending}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_written_by_one_run_at_a_time_and_known_by_its_marker() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        assert!(!RunFolder::is_one(&path));
        let first = RunFolder::claim(&path, Claim::New).unwrap();
        assert!(RunFolder::is_one(&path));
        let second = RunFolder::claim(&path, Claim::New).unwrap_err();
        assert!(second.is_io() && second.to_string().contains("in use"), "{second}");
        drop(first);
        RunFolder::claim(&path, Claim::New).unwrap();
    }

    #[test]
    fn a_marker_hides_no_images() {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str| root.path().join(name);
        fs::create_dir(folder("photos")).unwrap();
        fs::write(folder("photos/a.png"), b"x").unwrap();
        let claim = |path: &Path| RunFolder::claim(path, Claim::Replace).map(drop);
        for error in [claim(&folder("photos")).unwrap_err(), RunFolder::mark(&folder("photos")).unwrap_err()]
        {
            assert!(error.is_io() && error.to_string().contains("found a.png"), "{error}");
        }
        assert!(!RunFolder::is_one(&folder("photos")));
        // What Aberra wrote into a folder of its own is no obstacle.
        RunFolder::mark(&folder("maps")).unwrap();
        fs::write(folder("maps/a.png"), b"x").unwrap();
        RunFolder::mark(&folder("maps")).unwrap();
        // Nor images further down, for a listing of a folder above would not reach them either.
        let error = claim(root.path()).unwrap_err();
        assert!(error.to_string().contains("found photos/a.png"), "{error}");
        fs::remove_dir_all(folder("photos")).unwrap();
        claim(root.path()).unwrap();
    }

    #[test]
    fn what_is_there_is_not_lost_by_accident() {
        let root = tempfile::tempdir().unwrap();
        let claim = |claim| RunFolder::claim(root.path(), claim).map(drop);
        assert!(claim(Claim::Resume).unwrap_err().to_string().contains("found none"));
        let folder = RunFolder::at(root.path());
        fs::write(folder.checkpoint(Some("vae-2")), b"x").unwrap();
        assert!(claim(Claim::New).unwrap_err().to_string().contains("was stopped"));
        claim(Claim::Resume).unwrap();
        fs::write(folder.detector(), b"x").unwrap();
        assert!(claim(Claim::New).unwrap_err().to_string().contains("a detector already"));
        claim(Claim::Replace).unwrap();
    }
}
