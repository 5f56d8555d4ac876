//! Images of several files: a form has a file for each of the detector's channels.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::image::{Color, encode_png};
use aberra_serve::Server;
use axum::http::{Request, header};
use serde_json::Value;

use crate::detectors::{self, SIZE_PX};
use crate::fixture::{Client, form_of, options};

/// Where the cases lie.
const NORMALS: &str = "data/train/good";

/// A file for each of two channels: a phantom, and its negative.
fn files(index: u64) -> [Vec<u8>; 2] {
    let grey = detectors::grey(index, SIZE_PX);
    let negative: Vec<u8> = grey.iter().map(|value| 255 - value).collect();
    [grey, negative].map(|pixels| encode_png(&pixels, SIZE_PX, SIZE_PX, Color::Grey).unwrap())
}

/// A folder with cases of two channels in `data/`, and `both.aberra`, a detector that has learnt from them.
fn folder() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("aberra-serve-channels");
        let _ = fs::remove_dir_all(&folder);
        for (below, indices) in [(NORMALS, 0..60), ("data/test/good", 60..64)] {
            let normals = folder.join(below);
            fs::create_dir_all(&normals).unwrap();
            for index in indices {
                for (channel, bytes) in files(index).iter().enumerate() {
                    fs::write(normals.join(format!("case{index:02}_000{channel}.png")), bytes).unwrap();
                }
            }
        }
        let asked = OpenOptions { cases: true, ..OpenOptions::default() };
        let dataset = Dataset::open(&folder.join("data"), &asked).unwrap();
        let [(_, settings), _] = detectors::two();
        detectors::train(&dataset, &settings, &folder.join("both.aberra"));
        folder
    });
    made.clone()
}

/// The results for a form of files, or of a problem document those that it holds.
async fn scored(client: &Client, files: &[(&str, &str, &[u8])]) -> Vec<Value> {
    let (kind, body) = form_of(files);
    let request = Request::post("/api/v1/detectors/both/score").header(header::CONTENT_TYPE, kind);
    client.ask(request, body).await.json()["images"].as_array().unwrap().clone()
}

#[tokio::test]
async fn files_of_the_channels_are_one_image() {
    let detector = detectors::load(&folder(), "both");
    assert_eq!(detector.channels(), ["0000", "0001"]);
    let expected = |index: u64| {
        let first = folder().join(NORMALS).join(format!("case{index:02}_0000.png"));
        detector.score_one(&first).unwrap().score
    };
    let expected = [expected(7), expected(8)];
    let client = Client::of(&Server::new(vec![("both".to_owned(), detector)], options()).unwrap());
    let ([a, b], [c, d]) = (files(7), files(8));

    // The second image in the other order.
    let sent =
        [("0000", "a.png", &a[..]), ("0001", "b.png", &b), ("0001", "d.png", &d), ("0000", "c.png", &c)];
    let images = scored(&client, &sent).await;
    let scores: Vec<f64> = images.iter().map(|image| image["verdict"]["score"].as_f64().unwrap()).collect();
    assert_eq!(scores, expected);
    assert_eq!(images[0]["name"], "a.png");
    assert_eq!(images[1]["name"], "d.png");

    // What lacks a channel, cannot be read, or is none of them.
    let wrong = [
        (vec![("0000", "a.png", &a[..])], "expected an image of the channels 0000, 0001, found"),
        (vec![("0000", "a.png", &a), ("0001", "b.png", b"\x89PNG")], "0001: "),
        (vec![("image", "a.png", &a)], "found an image of 1 channel without names"),
    ];
    for (files, what) in wrong {
        let images = scored(&client, &files).await;
        let detail = images[0]["error"]["detail"].as_str().unwrap();
        assert!(images.len() == 1 && detail.contains(what), "{what}: {detail}");
    }
}
