//! `score --shard` and `merge`: many shards give the rows of scoring at once, and nothing is missing or there twice unnoticed.

use std::fs;

use crate::pictures::blobs;
use crate::program::{Room, detector};

/// Images in two folders.
fn pictures(room: &Room, count: usize) {
    for folder in ["in/a", "in/b"] {
        fs::create_dir_all(room.path(folder)).unwrap();
    }
    for number in 0..count {
        let folder = if number % 3 == 0 { "a" } else { "b" };
        blobs(number as u64).save(room.path(format!("in/{folder}/{number:03}.png"))).unwrap();
    }
}

fn shard(room: &Room, number: usize, of: usize, extension: &str) -> crate::program::Ended {
    let rest = format!("in --shard {number}/{of} --out rows-{number}.{extension}");
    room.run(&format!("score {} {rest}", detector().display()))
}

fn merge(number: usize, extension: &str) -> String {
    let files: Vec<String> = (1..=number).map(|number| format!("rows-{number}.{extension}")).collect();
    format!("merge {} --out all.{extension}", files.join(" "))
}

#[test]
fn shards_joined_are_the_rows_of_scoring_at_once() {
    for extension in ["csv", "jsonl"] {
        let room = Room::new();
        pictures(&room, 40);
        room.run(&format!("score {} in --out once.{extension}", detector().display())).done();
        for number in 1..=7 {
            shard(&room, number, 7, extension).done();
        }
        let ended = room.run(&merge(7, extension)).done();
        assert_eq!(ended.err, "40 rows of 7 shards, 0 images not scored\n");
        let read = |name: &str| fs::read_to_string(room.path(format!("{name}.{extension}"))).unwrap();
        assert_eq!(read("all"), read("once"));
    }
}

#[test]
fn what_is_missing_doubled_or_of_another_scoring_is_refused() {
    let room = Room::new();
    pictures(&room, 30);
    (1..=3).for_each(|number| drop(shard(&room, number, 3, "csv").done()));
    let refused = |words: &str, expected: &str| {
        let ended = room.run(words);
        assert!(ended.code == 1 && ended.err.contains(expected), "{words}: {}", ended.err);
        assert!(!room.path("all.csv").exists(), "{words}");
    };
    refused(&merge(2, "csv"), "expected all 3 shards, found 2 of them: missing 3");
    refused("merge rows-1.csv rows-2.csv rows-2.csv rows-3.csv --out all.csv", "found shard 2 twice");
    refused("merge rows-1.csv rows-2.csv rows-4.csv --out all.csv", "rows-4.csv.shard.json");
    refused("merge rows-1.csv rows-2.csv rows-3.csv --out all.jsonl", "files of one format");

    let whole = fs::read_to_string(room.path("rows-2.csv")).unwrap();
    let last = whole.lines().last().unwrap();
    for (text, expected) in [
        (whole.replace(&format!("{last}\n"), ""), "rows that its record tells of"),
        (format!("{whole}{last}\n"), "rows that its record tells of"),
        (whole.trim_end().to_owned(), "a row that was not finished"),
    ] {
        fs::write(room.path("rows-2.csv"), text).unwrap();
        refused(&merge(3, "csv"), expected);
    }
    let mut lines: Vec<&str> = whole.lines().collect();
    let first = lines[1];
    *lines.last_mut().unwrap() = first;
    fs::write(room.path("rows-2.csv"), lines.join("\n") + "\n").unwrap();
    refused(&merge(3, "csv"), "found two of");

    // As many images, one of which has another name since: the shards did not see the same.
    fs::rename(room.path("in/b/001.png"), room.path("in/b/other.png")).unwrap();
    shard(&room, 2, 3, "csv").done();
    refused(&merge(3, "csv"), "by the hash of their paths");
    // One more has come since.
    blobs(99).save(room.path("in/a/new.png")).unwrap();
    shard(&room, 2, 3, "csv").done();
    refused(&merge(3, "csv"), "number of images");
}

#[test]
fn a_shard_may_be_empty_goes_on_and_counts_what_fails() {
    let room = Room::new();
    pictures(&room, 6);
    fs::write(room.path("in/broken.png"), "text").unwrap();
    let mut failed = 0;
    for number in 1..=40 {
        let ended = shard(&room, number, 40, "csv");
        assert!([0, 2].contains(&ended.code), "{}", ended.err);
        failed += usize::from(ended.code == 2);
    }
    assert_eq!(failed, 1);
    let ended = room.run(&merge(40, "csv"));
    assert_eq!((ended.code, ended.err.as_str()), (2, "6 rows of 40 shards, 1 images not scored\n"));

    let of_2 = format!("score {} in --shard 1/2 --out rows-1.csv --resume", detector().display());
    fs::write(room.path("rows-1.csv"), "").unwrap();
    room.run(&of_2);
    let rows = fs::read(room.path("rows-1.csv")).unwrap();
    fs::write(room.path("rows-1.csv"), &rows[..rows.len() - 9]).unwrap();
    fs::remove_file(room.path("rows-1.csv.shard.json")).unwrap();
    room.run(&of_2);
    assert_eq!(fs::read(room.path("rows-1.csv")).unwrap().len(), rows.len());
    assert!(room.path("rows-1.csv.shard.json").exists());
}

#[test]
fn a_shard_needs_a_file_whose_rows_can_be_read() {
    let room = Room::new();
    pictures(&room, 2);
    for (rest, expected) in [
        ("--shard 1/2", "--out"),
        ("--shard 1/2 --out rows.txt", ".csv or .jsonl"),
        ("--shard 3/2 --out rows.csv", "expected I/N"),
    ] {
        let ended = room.run(&format!("score {} in {rest}", detector().display()));
        assert!(ended.code == 1 && ended.err.contains(expected), "{}", ended.err);
    }
}
