//! What clients ask about: images, and the score that each has to have.

use std::fs;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use aberra::Detector;
use aberra::image::Limits;
use aberra::models::measure::Want;

use super::client::{Connection, post};
use super::load::{Question, score};
use crate::grouped::Result;

/// Images asked about.
pub(super) const IMAGES: usize = 256;

/// A request for each file, with the score that the library gives it alone, which has to be the server's bit for bit.
pub(super) fn questions(
    address: SocketAddr,
    path: &str,
    files: &[PathBuf],
    detector: &Detector,
) -> Result<Vec<Question>> {
    let mut alone = Vec::new();
    detector.score_files(files.iter().cloned(), &Limits::default(), 1, Want::MEASUREMENTS, |_, verdict| {
        alone.push(verdict.map(|verdict| verdict.score));
        ControlFlow::Continue(())
    });
    let mut connection = Connection::open(address)?;
    let mut questions = Vec::new();
    for (file, alone) in files.iter().zip(alone) {
        // What the library cannot read is not asked about.
        let Ok(alone) = alone else { continue };
        let request = post(address, path, "", &fs::read(file)?);
        let served = score(&connection.ask(&request)?.body);
        if served != Some(alone) {
            let file = file.file_name().unwrap_or_default().display();
            return Err(format!("{file}: expected the library's score {alone}, found {served:?}").into());
        }
        questions.push(Question { request, score: alone });
    }
    if questions.is_empty() { Err("no image can be read".into()) } else { Ok(questions) }
}

/// Images below a folder: at most [`IMAGES`], spread over all.
pub(super) fn images(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let path = entry?.path();
            let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
            if path.is_dir() {
                folders.push(path);
            } else if ["jpg", "jpeg", "png"].iter().any(|image| ending == *image) {
                files.push(path);
            }
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(format!("{}: expected JPEG or PNG files, found none", folder.display()).into());
    }
    let step = files.len().div_ceil(IMAGES);
    Ok(files.into_iter().step_by(step).collect())
}
