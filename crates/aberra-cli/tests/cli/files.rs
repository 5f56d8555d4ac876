//! Unusual file names, and links.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::pictures::{blobs, stripes};
use crate::program::{Room, detector};

#[test]
fn spaces_commas_quotes_and_names_that_are_not_utf_8() {
    let room = Room::new();
    let folder = room.path("a folder, with \"quotes\"");
    std::fs::create_dir(&folder).unwrap();
    let names: [&[u8]; 4] = [b"one, two.png", b"it's.png", b"\xff\xfe.png", b"new\nline.png"];
    for name in names {
        stripes(1).save_with_format(folder.join(OsStr::from_bytes(name)), image::ImageFormat::Png).unwrap();
    }
    let run = |format: &str| {
        let arguments = [OsStr::new("score"), detector().as_os_str(), folder.as_os_str(), OsStr::new(format)]
            .map(OsStr::to_owned);
        room.run_with(arguments).done()
    };
    let rows = run("--json").json_lines();
    assert_eq!(rows.len(), names.len());
    assert!(rows.iter().all(|row| row["score"] == rows[0]["score"]));
    let csv = run("--csv");
    let mut reader = csv::Reader::from_reader(csv.out.as_bytes());
    let paths: Vec<String> = reader.records().map(|row| row.unwrap()[4].to_owned()).collect();
    assert!(paths.iter().any(|path| path.ends_with("one, two.png")), "{paths:?}");
    assert!(paths.iter().any(|path| path.ends_with("new\nline.png")), "{paths:?}");

    let listed = [folder.join(OsStr::from_bytes(names[2])).as_os_str().as_bytes(), b"\n"].concat();
    assert_eq!(room.run_fed(&format!("score {} -", detector().display()), &listed).done().code, 0);
}

#[test]
fn a_loop_of_links_ends() {
    let room = Room::new();
    std::fs::create_dir(room.path("in")).unwrap();
    blobs(0).save(room.path("in/a.png")).unwrap();
    std::os::unix::fs::symlink(".", room.path("in/again")).unwrap();
    let ended = room.run(&format!("score {} in --json", detector().display()));
    assert_eq!((ended.code, ended.json_lines().len()), (0, 1), "{}", ended.err);
    let report = room.run("doctor in --json").done().json();
    assert_eq!(report["images"], 1);
    assert!(report["skipped"]["unreachable"][0].as_str().unwrap().contains("loop"), "{report}");
}

#[test]
fn a_linked_image_is_an_image() {
    let room = Room::new();
    std::fs::create_dir(room.path("in")).unwrap();
    blobs(0).save(room.path("a.png")).unwrap();
    std::os::unix::fs::symlink("../a.png", room.path("in/b.png")).unwrap();
    let ended = room.run(&format!("score {} in --json", detector().display())).done();
    assert_eq!(ended.json_lines().len(), 1);
}
