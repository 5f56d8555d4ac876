//! Manifests and lists of paths: what is read says the same when it is written plainly and read again.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Once;

use aberra::dataset::{Dataset, FolderSplit, Label, OpenOptions, Sample, listed_path};
use rand_chacha::ChaCha8Rng;

use crate::fixture::{fixture, png};
use crate::mutate::{bytes, json_text};

const TOKENS: &[&str] = &[
    "path",
    "label",
    "kind",
    "group",
    "split",
    "mask",
    "normal",
    "anomalous",
    "good",
    "defect",
    "train",
    "test",
    "calibration",
    "fit",
    "img/000.png",
    "img\\001.png",
    "img/002.png",
    "\"",
    "\"\"",
    "'",
    ",",
    ";",
    "\t",
    "\r\n",
    "\n",
    "\u{feff}",
    " ",
    "0",
    "1",
    "true",
    "..",
    "/",
    "./",
    "Unnamed: 0",
    "\u{a0}",
    "\u{202e}",
];

/// The folder with a few images that manifests name.
fn folder() -> &'static Path {
    static MADE: Once = Once::new();
    let folder = &fixture().folder;
    MADE.call_once(|| {
        fs::create_dir_all(folder.join("img")).unwrap();
        for index in 0..4 {
            fs::write(folder.join(format!("img/00{index}.png")), png(index, 16)).unwrap();
        }
    });
    folder
}

fn owned(seeds: &[&str]) -> Vec<Vec<u8>> {
    folder();
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}

pub(super) fn csv_seeds() -> Vec<Vec<u8>> {
    owned(&[
        "path\nimg/000.png\nimg/001.png\n",
        "path,label,kind,group,split,mask\nimg/000.png,normal,,a,train,\nimg/001.png,anomalous,crack,b,test,img/002.png\n",
        "path\r\nimg\\000.png\r\nimg\\001.png\r\n",
        "label, path\nnormal, img/000.png\n1, img/001.png\n",
        ",path\n0,img/000.png\n1,img/001.png\n",
        "\u{feff}path;kind\nimg/000.png;good\nimg/001.png;defect\n",
        "path\tlabel\n\"img/000.png\"\t0\n'img/001.png'\t1.0\n",
        "path,label\n\"a,b.png\",normal\n\"say \"\"x\"\".png\",anomalous\nimg/000.png,0\n",
        "path,kind\nimg/000.png,0\n",
        "path,label,kind\nimg/000.png,normal,crack\n",
        "path,path\nimg/000.png,img/001.png\n",
        "name,label\nx,normal\n",
    ])
}

pub(super) fn mutate_csv(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    bytes(rng, input, other, TOKENS)
}

pub(super) fn run_csv(input: &[u8]) -> String {
    manifest("fuzz.csv", input)
}

pub(super) fn jsonl_seeds() -> Vec<Vec<u8>> {
    owned(&[
        "{\"path\": \"img/000.png\"}\n{\"path\": \"img/001.png\", \"label\": 1}\n",
        "\u{feff}{\"path\": \"img/000.png\", \"label\": \"normal\", \"kind\": null}\n",
        "{\"path\": \"img/001.png\", \"label\": true, \"kind\": \"crack\", \"group\": 7, \"split\": \"test\", \"mask\": \"img/002.png\"}",
        "{\"path\": \"img\\\\000.png\", \"label\": 0.0}\n\n  \n{\"path\": \"img/001.png\"}",
        "{\"path\": \"img/000.png\", \"index\": 3}\n",
        "[1, 2]\n",
    ])
}

pub(super) fn mutate_jsonl(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    match serde_json::from_slice::<serde_json::Value>(input) {
        Ok(_) => json_text(rng, input, other, TOKENS),
        Err(_) => bytes(rng, input, other, TOKENS),
    }
}

pub(super) fn run_jsonl(input: &[u8]) -> String {
    manifest("fuzz.jsonl", input)
}

fn manifest(name: &str, input: &[u8]) -> String {
    let path = folder().join(name);
    fs::write(&path, input).unwrap();
    let read = match Dataset::open(&path, &OpenOptions::default()) {
        Ok(read) => read,
        Err(error) => {
            assert!(error.path().is_some(), "an error without the file's name: {error}");
            return error.to_string().replace(&*path.to_string_lossy(), "");
        }
    };
    assert!(!read.samples.is_empty());
    let again = folder().join("again.csv");
    fs::write(&again, plain(&read.samples)).unwrap();
    let again =
        Dataset::open(&again, &OpenOptions::default()).expect("what was read can be written and read");
    assert_eq!(read.samples, again.samples, "other samples when written and read again");
    let kinds = read.samples.iter().filter(|sample| !sample.label.is_normal()).count();
    format!("{} notes, anomalies {}: {:?}", read.notes.len(), kinds > 0, read.notes)
}

/// The samples as a manifest in which nothing is left open.
fn plain(samples: &[Sample]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["path", "label", "kind", "group", "split", "mask"]).unwrap();
    for sample in samples {
        let (label, kind) = match &sample.label {
            Label::Normal => ("normal", ""),
            Label::Anomalous { kind } => ("anomalous", kind.as_str()),
        };
        let split = match sample.folder_split {
            None => "",
            Some(FolderSplit::Train) => "train",
            Some(FolderSplit::Fit) => "fit",
            Some(FolderSplit::Calibration) => "calibration",
            Some(FolderSplit::Test) => "test",
            Some(other) => panic!("{other:?}"),
        };
        let mask = sample.mask.as_ref().map_or(&b""[..], |mask| relative(mask));
        let group = sample.group.as_deref().unwrap_or_default();
        let cells = [relative(&sample.path), label.as_bytes(), kind.as_bytes(), group.as_bytes()];
        writer.write_record(cells.into_iter().chain([split.as_bytes(), mask])).unwrap();
    }
    writer.into_inner().unwrap()
}

/// A path as a manifest names it.
fn relative(path: &Path) -> &[u8] {
    let path = path.as_os_str().as_bytes();
    let root = folder().as_os_str().as_bytes();
    path.strip_prefix(root).and_then(|path| path.strip_prefix(b"/")).unwrap_or(path)
}

pub(super) fn list_seeds() -> Vec<Vec<u8>> {
    owned(&[
        "img/000.png",
        " img/001.png ",
        "img\\002.png",
        "\"img/003.png\"",
        "'img\\003.png'",
        "\u{feff}img/000.png\r",
        "/nowhere/x.png",
        "",
        ".",
    ])
}

pub(super) fn mutate_list(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    bytes(rng, input, other, TOKENS)
}

/// What an entry of a list means, means itself.
pub(super) fn run_list(input: &[u8]) -> String {
    let found = listed_path(folder(), input);
    let again = listed_path(folder(), found.as_os_str().as_bytes());
    assert_eq!(found, again);
    let at = folder().join(&found);
    if !at.exists() {
        assert_eq!(found.as_os_str().as_bytes(), input, "a name that means no file was changed");
    }
    let is_as_written = found.as_os_str().as_bytes() == input;
    format!("file {}, folder {}, as written {is_as_written}", at.is_file(), at.is_dir())
}
