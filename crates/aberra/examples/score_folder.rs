//! Scores every image of a folder with a detector file, and prints a line of JSON for each.
//!
//! `cargo run --release --example score_folder -- DETECTOR FOLDER`

use std::path::PathBuf;

use aberra::Detector;
use aberra::dataset::image_files;
use aberra::image::read;

#[allow(clippy::print_stdout)] // An example prints.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(file), Some(folder)) = (arguments.next(), arguments.next()) else {
        println!("nothing to score: give a detector file and a folder of images");
        return Ok(());
    };
    let detector = Detector::load(&file)?;
    for path in image_files(&folder) {
        let path = path?;
        let image = read(&path, &detector.config().limits)?;
        for verdict in detector.score(&[image]) {
            let verdict = verdict?;
            println!("{{\"score\":{},\"anomalous\":{},\"path\":{path:?}}}", verdict.score, verdict.anomalous);
        }
    }
    Ok(())
}
