//! Where the fine structure of a data set's images is kept while copies are looked for: in memory, or, of a large set, in a temporary
//! file. It is 21 KiB an image, most of all that is kept of one.

use std::borrow::Cow;
use std::sync::Arc;

use super::likeness::Detail;
use crate::output::SpillFile;
use crate::{Error, Result};

/// Of more images than this, the fine structure is not kept in memory (176 MB).
const MOST_IN_MEMORY: usize = 8192;

/// The fine structure of an image.
#[derive(Clone, Debug)]
pub(super) enum KeptDetail {
    /// In memory.
    Here(Detail),
    /// In a file.
    There { file: Arc<SpillFile>, at: u64 },
}

impl KeptDetail {
    /// A file for the fine structure of so many images; `None` where memory will do or has to: a file is not worth failing for.
    pub(super) fn file_for(images: usize) -> Option<Arc<SpillFile>> {
        (images > MOST_IN_MEMORY).then(SpillFile::create)?.ok().map(Arc::new)
    }

    /// Moved into a file, if there is room in it.
    pub(super) fn moved_to(self, file: &Arc<SpillFile>) -> Self {
        match &self {
            Self::Here(detail) => match file.add(&detail.to_bytes()) {
                Ok(at) => Self::There { file: file.clone(), at },
                Err(_) => self,
            },
            Self::There { .. } => self,
        }
    }

    /// The fine structure.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn get(&self) -> Result<Cow<'_, Detail>> {
        match self {
            Self::Here(detail) => Ok(Cow::Borrowed(detail)),
            Self::There { file, at } => {
                let mut bytes = vec![0; Detail::BYTES];
                let read = file.read(*at, &mut bytes);
                read.map_err(|error| Error::io(&std::env::temp_dir(), &error))?;
                Ok(Cow::Owned(Detail::from_bytes(&bytes)))
            }
        }
    }
}

impl PartialEq for KeptDetail {
    fn eq(&self, other: &Self) -> bool {
        matches!((self.get(), other.get()), (Ok(one), Ok(other)) if one == other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fine_structure_is_the_same_from_a_file() {
        let file = Arc::new(SpillFile::create().unwrap());
        let noise = |seed: u32| {
            let grey: Vec<f32> =
                (0..100 * 90u32).map(|at| (at.wrapping_mul(seed) >> 7 & 255) as f32 / 255.0).collect();
            KeptDetail::Here(Detail::of(&grey, 100, 90))
        };
        let here: Vec<KeptDetail> = (0..5).map(|seed| noise(2_654_435_761 + 2 * seed)).collect();
        let there: Vec<KeptDetail> = here.iter().map(|one| one.clone().moved_to(&file)).collect();
        for (at, one) in there.iter().enumerate() {
            assert!(matches!(one, KeptDetail::There { .. }));
            assert!(here.iter().enumerate().all(|(other, here)| (here == one) == (other == at)));
        }
        assert!(
            KeptDetail::file_for(MOST_IN_MEMORY).is_none()
                && KeptDetail::file_for(MOST_IN_MEMORY + 1).is_some()
        );
        // What was never written cannot be read.
        let lost = KeptDetail::There { file, at: 1 << 40 };
        assert!(lost.get().is_err_and(|error| error.is_io()));
        assert!(lost != there[0]);
    }
}
