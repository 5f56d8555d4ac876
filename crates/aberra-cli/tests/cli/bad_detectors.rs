//! Damaged detector files are rejected, and a failed write leaves the old file whole.

use std::process::Command;

use crate::program::{Room, detector, end};

fn room_with(change: impl FnOnce(&mut Vec<u8>)) -> Room {
    let room = Room::new();
    let mut bytes = std::fs::read(detector()).unwrap();
    change(&mut bytes);
    std::fs::write(room.path("d.aberra"), bytes).unwrap();
    room
}

/// The error of `info` for a modified file; the other verbs that take a detector give the same error.
fn refused(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let room = room_with(change);
    let said = room.run("info d.aberra").refusal(&room);
    for words in ["score d.aberra .", "calibrate d.aberra --rate 0.1"] {
        assert_eq!(room.run(words).refusal(&room), said, "{words}");
    }
    said
}

#[test]
fn a_truncated_file() {
    insta::assert_snapshot!(refused(|bytes| bytes.truncate(bytes.len() / 2)), @"error: d.aberra: expected a detector file, found one that is cut off, changed or of another format (incomplete metadata, file not fully covered)");
    insta::assert_snapshot!(refused(Vec::clear), @"error: d.aberra: expected a detector file, found one that is cut off, changed or of another format (header too small)");
}

#[test]
fn a_flipped_bit() {
    let said = refused(|bytes| *bytes.last_mut().unwrap() ^= 1);
    assert!(said.contains("does not match its hash") && said.starts_with("error: d.aberra: "), "{said}");
}

#[test]
fn a_future_version() {
    let said = refused(|bytes| {
        let (now, later) = (br#"\"version\":4"#, br#"\"version\":9"#);
        let at = bytes.windows(now.len()).position(|window| window == now).unwrap();
        bytes[at..at + later.len()].copy_from_slice(later);
    });
    insta::assert_snapshot!(said, @"error: d.aberra: expected version 3 to 4 of the detector file, found version 9; a newer Aberra wrote it: update");
}

#[test]
fn a_version_before_those_that_can_be_read() {
    let said = refused(|bytes| {
        let (now, earlier) = (br#"\"version\":4"#, br#"\"version\":2"#);
        let at = bytes.windows(now.len()).position(|window| window == now).unwrap();
        bytes[at..at + earlier.len()].copy_from_slice(earlier);
    });
    insta::assert_snapshot!(said, @"error: d.aberra: expected version 3 to 4 of the detector file, found version 2; train again");
}

#[test]
fn weights_that_are_not_numbers() {
    let said = refused(|bytes| {
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    assert!(said.contains("does not match its hash"), "{said}");
}

#[test]
fn another_kind_of_file() {
    let room = Room::new();
    std::fs::write(room.path("d.aberra"), "not a detector").unwrap();
    insta::assert_snapshot!(room.run("info d.aberra").refusal(&room), @"error: d.aberra: expected a detector file, found one that is cut off, changed or of another format (header too large)");
    insta::assert_snapshot!(room.run("info nowhere.aberra").refusal(&room), @"error: nowhere.aberra: No such file or directory (os error 2)");
}

/// A limit on file size makes the write fail as a full disk would.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_leaves_the_old_file_whole() {
    let room = room_with(|_| ());
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" calibrate d.aberra --rate 0.2 --in-place";
    let mut shell = Command::new("sh");
    shell.current_dir(room.path("")).args(["-c", script, env!("CARGO_BIN_EXE_aberra")]);
    insta::assert_snapshot!(end(&mut shell).refusal(&room), @r"
    error: d.aberra: File too large (os error 27)
    hint: an older file of that name, if there was one, is still whole
    ");
    assert_eq!(std::fs::read(room.path("d.aberra")).unwrap(), std::fs::read(detector()).unwrap());
    let left: Vec<_> = std::fs::read_dir(room.path("")).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is left lying about: {left:?}");
}
