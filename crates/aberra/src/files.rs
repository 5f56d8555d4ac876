//! Images from files to verdicts: one, or many in constant memory, a chunk of which is decoded while the one before is scored.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use aberra_image::{Image, Input, Limits};
use aberra_models::measure::Want;
use rayon::prelude::*;

use crate::dataset::{ChannelFile, Sample, read_channels, read_for, read_image};
use crate::detector::{Detector, Verdict};
use crate::{Error, Result, of_image};

/// Default number of images held in memory at once.
pub const FILES_CHUNK: usize = 64;

/// One image to score: the path of its file, or the image itself.
#[derive(Clone, Copy, Debug)]
pub enum OneImage<'a> {
    /// The file's image; of several pages, the first of full resolution.
    File(&'a Path),
    /// An image that is decoded already.
    Decoded(&'a Image),
}

impl<'a> From<&'a Path> for OneImage<'a> {
    fn from(path: &'a Path) -> Self {
        Self::File(path)
    }
}

impl<'a> From<&'a PathBuf> for OneImage<'a> {
    fn from(path: &'a PathBuf) -> Self {
        Self::File(path)
    }
}

impl<'a> From<&'a str> for OneImage<'a> {
    fn from(path: &'a str) -> Self {
        Self::File(Path::new(path))
    }
}

impl<'a> From<&'a Image> for OneImage<'a> {
    fn from(image: &'a Image) -> Self {
        Self::Decoded(image)
    }
}

impl Detector {
    /// The verdict on one image: `detector.score_one("new/image.png")`, or `detector.score_one(&image)`. It is that of
    /// [`score`](Self::score) on this image alone, to the last bit; for many images, [`score_files`](Self::score_files) is
    /// faster.
    ///
    /// # Errors
    /// A file that cannot be read within the detector's limits or decoded; an image too small to be used, or with values that
    /// are not finite.
    pub fn score_one<'a>(&self, image: impl Into<OneImage<'a>>) -> Result<Verdict> {
        let input = match image.into() {
            OneImage::File(path) => self.read_input(path, &[], None, &self.config().limits)?,
            OneImage::Decoded(image) => self.preprocess(image)?,
        };
        let verdict = self.score_inputs(vec![Ok(input)], Want::ALL).pop();
        verdict.unwrap_or_else(|| Err(Error::input("the image was not measured")))
    }

    /// Scores image files one after another and passes each verdict to `each`, in the order of `paths`. At most two
    /// chunks of `chunk` network inputs are held at a time (at least an image each, where images have several), however many
    /// paths there are. An image that cannot be read or used does not stop the others; `ControlFlow::Break` does.
    ///
    /// The verdicts are those of [`score`](Self::score) on the same chunks of images; maps and reconstructions are
    /// computed on request.
    pub fn score_files(
        &self,
        paths: impl Iterator<Item = PathBuf>,
        limits: &Limits,
        chunk: usize,
        want: Want,
        mut each: impl FnMut(PathBuf, Result<Verdict>) -> ControlFlow<()>,
    ) {
        let images = paths.map(|path| (path, None));
        self.score_pages(images, limits, chunk, want, |(path, _), verdict| each(path, verdict));
    }

    /// Scores pages of image files as [`score_files`](Self::score_files) scores files: each is a path, and the number of a
    /// page from 0, or `None` for the file's image (see [`count_pages`](crate::image::count_pages)).
    pub fn score_pages(
        &self,
        images: impl Iterator<Item = (PathBuf, Option<u32>)>,
        limits: &Limits,
        chunk: usize,
        want: Want,
        each: impl FnMut((PathBuf, Option<u32>), Result<Verdict>) -> ControlFlow<()>,
    ) {
        let read = |(path, page): &(PathBuf, Option<u32>)| self.read_input(path, &[], *page, limits);
        self.score_each(images, read, chunk, want, each);
    }

    /// Scores images of any source as [`score_files`](Self::score_files) scores files: `read` gives the
    /// [preprocessed](Self::preprocess) image of an item, on any thread.
    pub fn score_each<I: Send>(
        &self,
        images: impl Iterator<Item = I>,
        read: impl Fn(&I) -> Result<Input> + Sync,
        chunk: usize,
        want: Want,
        mut each: impl FnMut(I, Result<Verdict>) -> ControlFlow<()>,
    ) {
        let prepare = |image: I| {
            let input = read(&image);
            (image, input)
        };
        let _stopped = in_chunks(images, self.members.canvas().images(chunk), prepare, |chunk| {
            let (images, inputs): (Vec<_>, Vec<Result<Input>>) = chunk.into_iter().unzip();
            for (image, verdict) in images.into_iter().zip(self.score_inputs(inputs, want)) {
                each(image, verdict)?;
            }
            ControlFlow::Continue(())
        });
    }

    /// The image of a file, or of a page of it. Of an image of several files, `path` is the first, and `channels` are
    /// all; where they are left out and the detector's channels are numbers, the others lie beside it (`case_0001.png`).
    ///
    /// # Errors
    /// A file that cannot be read, files of different size or spacing, or a case with more files than the detector has channels.
    pub fn read_image(
        &self,
        path: &Path,
        channels: &[ChannelFile],
        page: Option<u32>,
        limits: &Limits,
    ) -> Result<Image> {
        let names = &self.config().preprocessing.channels;
        let beside = match channels {
            [] => ChannelFile::beside(path, names),
            given => given.to_vec(),
        };
        if let Some(beyond) = ChannelFile::beyond(&beside).filter(|_| channels.is_empty()) {
            let found = beyond.file_name().unwrap_or_default().to_string_lossy();
            let text =
                format!("expected files of the channels {} alone, found {found}, too", names.join(", "));
            return Err(Error::data(text).with_path(path).with_hint(
                "the detector learnt from fewer channels: move the others away, or train it on all of them",
            ));
        }
        match &beside[..] {
            [] => read_image(path, page, limits),
            channels => read_channels(channels, page, limits),
        }
    }

    /// The same image, preprocessed.
    ///
    /// # Errors
    /// As [`read_image`](Self::read_image); an image that cannot be used, or of other channels than the detector's.
    pub fn read_input(
        &self,
        path: &Path,
        channels: &[ChannelFile],
        page: Option<u32>,
        limits: &Limits,
    ) -> Result<Input> {
        let preprocessing = &self.config().preprocessing;
        let image = match channels {
            [] if preprocessing.channels.is_empty() => read_for(preprocessing, path, page, limits)?,
            _ => self.read_image(path, channels, page, limits)?,
        };
        preprocessing.apply(&image).map_err(|error| of_image(error.with_path(path)))
    }

    /// Whether its images are of several files by their names (`case_0000`, `case_0001`): data for it are to be opened so.
    pub fn takes_cases(&self) -> bool {
        ChannelFile::are_numbers(&self.config().preprocessing.channels)
    }

    /// The preprocessed image of a sample.
    ///
    /// # Errors
    /// As [`read_input`](Self::read_input).
    pub fn read_sample(&self, sample: &Sample) -> Result<Input> {
        sample.preprocessed(&self.config().preprocessing, &self.config().limits)
    }
}

/// Takes items `chunk` at a time, prepares each on any thread, and passes the chunks on in order, on this thread. The
/// next chunk is prepared while `each` works on the last.
pub(crate) fn in_chunks<I: Send, T: Send>(
    mut items: impl Iterator<Item = I>,
    chunk: usize,
    prepare: impl Fn(I) -> T + Sync,
    mut each: impl FnMut(Vec<T>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut take = || items.by_ref().take(chunk.max(1)).collect::<Vec<I>>();
    let prepared = |items: Vec<I>| items.into_par_iter().with_max_len(1).map(&prepare).collect::<Vec<T>>();
    let mut ready = prepared(take());
    while !ready.is_empty() {
        let coming = take();
        let mut next = Vec::new();
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| next = prepared(coming));
            each(ready)
        })?;
        ready = next;
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn chunks_come_in_order_whatever_their_size_and_the_threads() {
        for threads in [1, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for chunk in [0, 1, 7, 100, 1_000] {
                let mut seen = Vec::new();
                let whole = pool.install(|| {
                    in_chunks(
                        0..100_u64,
                        chunk,
                        |item| item * 2,
                        |chunk| {
                            seen.extend(chunk);
                            ControlFlow::Continue(())
                        },
                    )
                });
                assert!(whole.is_continue());
                assert_eq!(seen, (0..100).map(|item| item * 2).collect::<Vec<_>>(), "{threads} {chunk}");
            }
        }
    }

    #[test]
    fn no_more_than_two_chunks_are_held() {
        struct Held<'a>(&'a AtomicUsize);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let (held, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let prepare = |_| {
            most.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            Held(&held)
        };
        assert!(in_chunks(0..1_000, 8, prepare, |_| ControlFlow::Continue(())).is_continue());
        assert!(most.into_inner() <= 16);
        assert_eq!(held.into_inner(), 0);
    }

    #[test]
    fn a_break_takes_no_further_items() {
        let mut taken = 0;
        let items = (0..1_000).inspect(|_| taken += 1);
        assert!(in_chunks(items, 5, |item| item, |_| ControlFlow::Break(())).is_break());
        assert_eq!(taken, 10);
    }
}
