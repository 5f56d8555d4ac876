//! What is written: targets of every kind, long names, targets refused before the work, and side outputs that fail.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::pictures::{blobs, write_data_set};
use crate::program::{Room, detector, end, shared};

/// A room with `a.png` and the detector `d.aberra`.
fn room() -> Room {
    let room = Room::new();
    blobs(1).save(room.path("a.png")).unwrap();
    fs::copy(detector(), room.path("d.aberra")).unwrap();
    room
}

#[test]
fn rows_go_into_pipes_and_through_links_which_stay_what_they_are() {
    let room = room();
    let fifo = room.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    fs::write(room.path("target.csv"), "old").unwrap();
    fs::set_permissions(room.path("target.csv"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("target.csv", room.path("link.csv")).unwrap();
    let expected = room.run("score d.aberra a.png --csv").done().out;
    assert!(expected.starts_with("score,") && expected.lines().count() == 2);

    let reader = {
        let fifo = fifo.clone();
        std::thread::spawn(move || {
            let mut read = String::new();
            File::open(fifo).unwrap().read_to_string(&mut read).unwrap();
            read
        })
    };
    room.run("score d.aberra a.png --csv --out fifo").done();
    assert_eq!(reader.join().unwrap(), expected);
    assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());

    room.run("score d.aberra a.png --csv --out link.csv").done();
    assert!(fs::symlink_metadata(room.path("link.csv")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(room.path("target.csv")).unwrap(), expected);
    assert_eq!(fs::metadata(room.path("target.csv")).unwrap().permissions().mode() & 0o777, 0o640);

    assert_eq!(room.run("score d.aberra a.png --csv --out /dev/stdout").done().out, expected);
    // What a shell hands over, as for `>(command)`, and a file that its standard output appends to.
    let shell = |script: &str| {
        let mut shell = Command::new("sh");
        shell.current_dir(room.path("")).args(["-c", script, env!("CARGO_BIN_EXE_aberra")]);
        end(&mut shell).done();
    };
    shell("\"$0\" score d.aberra a.png --csv --out /dev/fd/3 3>handed.csv");
    assert_eq!(fs::read_to_string(room.path("handed.csv")).unwrap(), expected);
    shell("echo before > log; \"$0\" score d.aberra a.png --csv --out /dev/stdout >> log");
    assert_eq!(fs::read_to_string(room.path("log")).unwrap(), format!("before\n{expected}"));
    assert!(room.everything().keys().all(|path| path.extension().is_none_or(|end| end != "tmp")));
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_is_written_into_and_its_error_told() {
    let room = room();
    symlink("/dev/full", room.path("full")).unwrap();
    symlink("/dev/null", room.path("null")).unwrap();
    let said = room.refused_unchanged("score d.aberra a.png --csv --out full");
    assert!(said.contains("full: No space left on device"), "{said}");
    for words in ["score d.aberra a.png --out null", "calibrate d.aberra --rate 0.2 --out null"] {
        room.run(words).done();
    }
    assert!(fs::symlink_metadata(room.path("null")).unwrap().is_symlink());
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn a_reader_of_a_pipe_that_leaves_is_no_error() {
    let room = room();
    let script = "\"$0\" score d.aberra a.png --csv --out /dev/fd/3 3>&1 >&2 | true";
    let mut shell = Command::new("sh");
    shell.current_dir(room.path("")).args(["-c", script, env!("CARGO_BIN_EXE_aberra")]);
    let ended = end(&mut shell).done();
    assert!(!ended.err.contains("error"), "{}", ended.err);
}

#[test]
fn long_names_of_images_give_heat_maps_and_rows() {
    let room = Room::new();
    fs::create_dir(room.path("x")).unwrap();
    let long = "b".repeat(246);
    for name in ["a", &long, &format!("{}c", "b".repeat(245)), &"\u{65ad}".repeat(82), "z"] {
        blobs(1).save(room.path(format!("x/{name}.png"))).unwrap();
    }
    let words = format!("score {} x --heatmaps maps --out rows.csv", detector().display());
    room.run(&words).done();
    let rows = fs::read_to_string(room.path("rows.csv")).unwrap();
    assert_eq!(rows.lines().count(), 6, "{rows}");
    let maps: Vec<_> = fs::read_dir(room.path("maps")).unwrap().map(|map| map.unwrap().file_name()).collect();
    assert_eq!(maps.iter().filter(|name| name.to_string_lossy().ends_with(".png")).count(), 5, "{maps:?}");
    assert!(maps.iter().all(|name| name.len() <= 255));
}

#[test]
fn targets_that_cannot_be_written_are_refused_before_the_work() {
    let room = room();
    fs::create_dir(room.path("folder")).unwrap();
    write_data_set(&room.path("in"), 2, 1);
    let (data, split) = (shared().join("data"), shared().join("run/split.json"));
    let report = format!("report d.aberra {} --split {}", data.display(), split.display());
    for (words, expected) in [
        ("score d.aberra in --out folder", "folder: expected a file to write to, found a folder"),
        ("score d.aberra in --out nowhere/rows.csv", "expected a folder to write to, found none: nowhere"),
        ("score d.aberra in --heatmaps a.png", "expected a folder that can be written"),
        ("score d.aberra in --heatmaps in/normal", "expected a folder without images"),
        ("score d.aberra in --out d.aberra", "found one that this command reads"),
        ("score d.aberra a.png --out a.png", "found one that this command reads"),
        ("score d.aberra in --out in/normal/0.png", "found one that this command reads"),
        ("explain d.aberra a.png --out nowhere/story.png", "found none: nowhere"),
        ("explain d.aberra a.png --out a.png", "found one that this command reads"),
        ("calibrate d.aberra --rate 0.2 --out folder", "found a folder"),
        ("calibrate d.aberra --rate 0.2 --out nowhere/d.aberra", "found none: nowhere"),
        ("evaluate d.aberra in --out a.png", "expected a folder that can be written"),
        (&format!("{report} --out nowhere/r.html"), "found none: nowhere"),
        (&format!("{report} --out folder"), "found a folder"),
        (&format!("{report} --out d.aberra"), "found one that this command reads"),
        (&format!("{report} --out r.html --png in/normal"), "expected a folder without images"),
        ("train in --out a.png", "expected a folder that can be written"),
        ("train in --out in", "expected a folder without images"),
        ("train in/normal --out in/normal", "expected a folder without images"),
        ("bench in --out a.png/bench", "expected a folder that can be written"),
    ] {
        let said = room.refused_unchanged(words);
        assert!(said.contains(expected), "{words}: {said}");
        assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{words}: {said}");
    }
}

#[test]
fn a_heat_map_that_cannot_be_written_stops_nothing_and_is_remembered() {
    let room = room();
    write_data_set(&room.path("in"), 3, 0);
    // The first file of all is the folder's marker.
    let words = "score d.aberra in --heatmaps maps --csv --out rows.csv";
    for (fault, written) in [("rename:3:ENOSPC", 2), ("sync:4:EIO", 2), ("create:1:EACCES", 3)] {
        let _ = fs::remove_dir_all(room.path("maps"));
        let (code, said) = room.run_with_fault(fault, words);
        // The rows' own file comes first where files are made.
        if fault.starts_with("create") {
            assert_eq!(code, Some(1), "{said}");
            assert!(!room.path("maps").exists());
            continue;
        }
        assert_eq!(code, Some(2), "{fault}: {said}");
        assert!(
            said.contains("warning: no heat map: maps/") && said.contains("1 heat map not written"),
            "{said}"
        );
        let rows = fs::read_to_string(room.path("rows.csv")).unwrap();
        let mut reader = csv::Reader::from_reader(rows.as_bytes());
        let maps: Vec<String> = reader.records().map(|row| row.unwrap()[5].to_owned()).collect();
        assert_eq!((maps.len(), maps.iter().filter(|map| !map.is_empty()).count()), (3, written), "{rows}");
        assert!(maps.iter().filter(|map| !map.is_empty()).all(|map| room.path(map).is_file()));
    }
    assert!(room.everything().keys().all(|path| path.extension().is_none_or(|end| end != "tmp")));
}

#[test]
fn an_interrupted_command_leaves_the_old_file_and_nothing_else() {
    let room = room();
    fs::write(room.path("rows.csv"), "old").unwrap();
    for signal in ["-INT", "-TERM"] {
        let before = room.everything();
        let mut command = room.command();
        command.args("score d.aberra - --out rows.csv".split(' '));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // Its list does not end, so neither does it. Waiting for it would close an input that it still holds.
        let list = child.stdin.take();
        let deadline = Instant::now() + Duration::from_secs(30);
        while room.everything() == before {
            assert!(Instant::now() < deadline, "it never began to write");
            std::thread::sleep(Duration::from_millis(5));
        }
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        let code = child.wait().unwrap().code();
        drop(list);
        assert_eq!(code, Some(130), "{signal}");
        assert_eq!(room.everything(), before, "{signal}");
    }
}

#[test]
fn names_do_not_control_the_terminal() {
    let room = room();
    fs::create_dir(room.path("in")).unwrap();
    let hostile = "in/\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}.png";
    fs::write(room.path(hostile), "text").unwrap();
    blobs(1).save(room.path("in/\u{1b}[31m\u{9b}1m.png")).unwrap();
    // The harness itself asserts that no escape comes out.
    for words in ["score d.aberra in", "score d.aberra in --json", "doctor in"] {
        let ended = room.run(words);
        let said = ended.out.clone() + &ended.err;
        assert!(!said.contains(['\u{7}', '\u{9b}', '\u{202e}']), "{words}: {said}");
        assert!(said.contains("owned"), "{words}: {said}");
    }
    let ended = room.run("score d.aberra in --json");
    assert!(ended.json_lines()[0]["path"].as_str().unwrap().ends_with("\u{1b}[31m\u{9b}1m.png"));
    let said = room.run(&format!("info {hostile}")).refusal(&room);
    assert!(said.contains("owned") && !said.contains('\u{9b}'), "{said}");
}
