//! `score`, `calibrate` and `info` on the shared detector.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::pictures::{SIDE, blobs};
use crate::program::{Room, detector, ended, shared, stripes};

/// Arguments as text; the shared folder has no spaces of ours in it.
fn score(rest: &str) -> String {
    format!("score {} {rest}", detector().display())
}

#[test]
fn rows_come_as_table_csv_and_json() {
    let room = Room::new();
    let folder = shared().join("data/stripes");
    let json = room.run(&score(&format!("{} --json", folder.display()))).done();
    let rows = json.json_lines();
    assert_eq!(rows.len(), 6);
    for row in &rows {
        let (score, threshold) = (row["score"].as_f64().unwrap(), row["threshold"].as_f64().unwrap());
        assert!(score > threshold && row["p_value"].as_f64().unwrap() <= 0.05, "{row}");
        assert_eq!((&row["verdict"], &row["anomalous"]), (&"anomalous".into(), &true.into()));
        // No map is made unless a heat map is asked for.
        assert_eq!((&row["width"], &row["anomalous_share"]), (&SIDE.into(), &serde_json::Value::Null));
    }
    let csv = room.run(&score(&format!("{} --csv", folder.display()))).done();
    let mut reader = csv::Reader::from_reader(csv.out.as_bytes());
    assert_eq!(reader.headers().unwrap(), vec!["score", "p_value", "threshold", "verdict", "path"]);
    let csv_rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    for (row, csv_row) in rows.iter().zip(&csv_rows) {
        assert_eq!(row["score"].as_f64().unwrap(), csv_row[0].parse::<f64>().unwrap());
        assert_eq!(row["path"].as_str().unwrap(), &csv_row[4]);
    }
    let table = room.run(&score(&format!("{}", folder.display()))).done();
    assert_eq!(table.out.lines().count(), 7, "{}", table.out);
    assert!(table.out.lines().next().unwrap().trim_start().starts_with("score"));
    assert_eq!(table.err, "6 images scored, 6 anomalous\n");
}

#[test]
fn a_manifest_is_scored_and_json_has_the_evidence() {
    let room = Room::new();
    let folder = shared().join("data/stripes");
    let rows = room.run(&score(&format!("{} --json", folder.display()))).done().json_lines();
    let mut manifest = "path,label\n".to_owned();
    for row in rows.iter().rev() {
        manifest += &format!("{},1\n", row["path"].as_str().unwrap());
    }
    std::fs::write(room.path("batch.csv"), manifest + "nowhere.png,1\n").unwrap();
    let ended = room.run(&score("batch.csv --json"));
    // The file that is not there is said before, and skipped.
    assert!(
        ended.code == 2 && ended.err.contains("batch.csv: 1 file that the manifest names does not exist")
    );
    assert_eq!(ended.json_lines(), rows);
    let explained = format!("explain {} {} --json", detector().display(), rows[0]["path"].as_str().unwrap());
    let explained = room.run(&explained).done().json();
    assert_eq!(rows[0]["evidence"], explained["evidence"]);
    assert_eq!(rows[0]["evidence"]["vae.squared_error"], rows[0]["score"]);
    // Rows name files as the manifest does.
    std::fs::copy(folder.join("0.png"), room.path("here.png")).unwrap();
    std::fs::write(room.path("here.csv"), "path\nhere.png\n").unwrap();
    assert_eq!(room.run(&score("here.csv --json")).done().json_lines()[0]["path"], "here.png");
    std::fs::write(room.path("odd.csv"), "file\na.png\n").unwrap();
    let said = room.run(&score("odd.csv"));
    assert!(said.code == 1 && said.err.contains("a manifest has the columns path"), "{}", said.err);
}

#[test]
fn the_page_on_output_describes_every_column() {
    let page = include_str!("../../../../docs/output.md");
    let room = Room::new();
    let words = format!("{} --pages --heatmaps maps --json", stripes().display());
    let row = room.run(&score(&words)).done().json();
    let split = shared().join("run").join("split.json");
    let data = shared().join("data");
    let evaluate =
        format!("evaluate {} {} --split {} --out e", detector().display(), data.display(), split.display());
    room.run(&evaluate).done();
    let scores = std::fs::read_to_string(room.path("e/scores.csv")).unwrap();
    let columns = scores.lines().next().unwrap().split(',').map(str::to_owned);
    // Scorers and measurements are described as such.
    let columns = columns.filter(|name| !name.starts_with("score_") && !name.contains('.'));
    let evaluation = std::fs::read(room.path("e/evaluation.json")).unwrap();
    let evaluation: serde_json::Value = serde_json::from_slice(&evaluation).unwrap();
    let evaluation = &evaluation["evaluation"];
    assert!(evaluation["ranking"]["auroc"].is_object() && evaluation["pixels"].is_object());
    let explained = format!("explain {} {} --json", detector().display(), stripes().display());
    let explained = room.run(&explained).done().json();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let explained =
        keys(&explained).into_iter().filter(|name| !["picture", "pictures"].contains(&name.as_str()));
    for name in columns.chain(keys(&row)).chain(explained) {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn a_file_takes_the_rows_and_its_name_says_the_format() {
    let room = Room::new();
    let ended = room.run(&score(&format!("{} --out rows.csv", stripes().display()))).done();
    assert_eq!(ended.out, "");
    assert!(std::fs::read_to_string(room.path("rows.csv")).unwrap().starts_with("score,p_value,"));
}

#[test]
fn exit_codes_tell_how_it_went() {
    let room = Room::new();
    std::fs::write(room.path("broken.png"), "text").unwrap();
    let stripes = stripes();
    let stripes = stripes.display();
    let code = |rest: String| room.run(&score(&rest)).code;
    assert_eq!(code(format!("{stripes}")), 0);
    assert_eq!(code(format!("{stripes} --fail-on-anomaly")), 3);
    assert_eq!(code(format!("{stripes} broken.png --fail-on-anomaly")), 2);
    assert_eq!(code("broken.png".to_owned()), 1);
    assert_eq!(code("nowhere.png".to_owned()), 1);

    let lenient = room.path("lenient.aberra");
    let words = format!("calibrate {} --threshold 1e9 --out {}", detector().display(), lenient.display());
    room.run(&words).done();
    let ended = room.run(&format!("score {} {stripes} --fail-on-anomaly", lenient.display()));
    assert_eq!(ended.code, 0);
}

#[test]
fn a_list_on_standard_input_names_images() {
    let room = Room::new();
    let path = stripes().display().to_string();
    let lines = room.run_fed(&score("- --json"), format!("{path}\n\n{path}\r\n").as_bytes()).done();
    assert_eq!(lines.json_lines().len(), 2);
    let nulls = room.run_fed(&score("-0 - --json"), format!("{path}\0{path}\0{path}").as_bytes()).done();
    assert_eq!(nulls.json_lines().len(), 3);
    let nothing = room.run_fed(&score("-"), b"").refusal(&room);
    insta::assert_snapshot!(nothing, @r"
    error: expected images, found none
    hint: images are PNG, JPEG, DICOM, TIFF, BMP, WebP, GIF, NIfTI or NumPy array files, at any depth below a folder
    ");
}

#[test]
fn the_same_image_gives_the_same_score_alone_and_for_any_threads() {
    let room = Room::new();
    let first = room.run(&score(&format!("{0} {0} --json", stripes().display()))).done().json_lines();
    assert_eq!(first[0], first[1]);
    let again = room.run(&score(&format!("{} --json --threads 1", stripes().display()))).done().json_lines();
    assert_eq!(first[0]["score"], again[0]["score"]);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let room = Room::new();
    let mut command = room.command();
    command.args(score("- --json").split_whitespace());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let path = stripes().display().to_string();
    let feed = std::thread::spawn(move || {
        // The program may stop reading at any time.
        let _ = (0..2_000)
            .try_for_each(|_| std::io::Write::write_all(&mut input, format!("{path}\n").as_bytes()));
    });
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ended = child.wait_with_output().unwrap();
    feed.join().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), err.as_str()), (Some(0), ""));
    assert!(first.starts_with('{'));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_an_error() {
    let room = Room::new();
    let full = std::fs::File::create("/dev/full").unwrap();
    let mut command = room.command();
    command.args(["info".as_ref(), detector().as_os_str()]);
    let child = command.stdout(Stdio::from(full)).stderr(Stdio::piped()).spawn().unwrap();
    let said = ended(child.wait_with_output().unwrap()).refusal(&room);
    insta::assert_snapshot!(said, @"error: standard output: No space left on device (os error 28)");
}

#[test]
fn heat_maps_are_pictures_of_the_images_size() {
    let room = Room::new();
    let rows =
        room.run(&score(&format!("{0} {0} --heatmaps maps --json", stripes().display()))).done().json_lines();
    let paths: Vec<&str> = rows.iter().map(|row| row["heatmap"].as_str().unwrap()).collect();
    assert_eq!(paths, ["maps/000001-0.png", "maps/000002-0.png"]);
    assert!(rows[0]["anomalous_share"].as_f64().unwrap() > 0.0, "{}", rows[0]);
    let map = image::open(room.path(paths[0])).unwrap();
    assert_eq!((map.width(), map.height()), (SIDE, SIDE));
}

#[test]
fn heat_maps_and_runs_are_not_read_as_data() {
    let room = Room::new();
    std::fs::create_dir_all(room.path("in/good")).unwrap();
    for seed in 0..3 {
        blobs(seed).save(room.path(format!("in/good/{seed}.png"))).unwrap();
    }
    let rows = |words: &str| room.run(words).done().json_lines().len();
    // Listed while they are written, and when they are there.
    for _ in 0..2 {
        assert_eq!(rows(&score("in --json --heatmaps in/good/maps")), 3);
    }
    std::fs::create_dir_all(room.path("in/run")).unwrap();
    std::fs::copy(room.path("in/good/maps/.aberra-run"), room.path("in/run/.aberra-run")).unwrap();
    blobs(9).save(room.path("in/run/sheet.png")).unwrap();
    let ended = room.run(&score("in")).done();
    let said = "passed over 2 folders that Aberra wrote (such as in/good/maps)\n3 images scored";
    assert!(ended.err.starts_with(said), "{}", ended.err);
    assert_eq!(rows(&score("in/good/maps --json")), 3);
    let report = room.run("doctor in --json").done().json();
    assert_eq!(report["images"], 3);
    assert_eq!(report["skipped"]["marked_folders"], serde_json::json!(["good/maps", "run"]));
    let said = room.run(&score("in --heatmaps in/good")).refusal(&room);
    insta::assert_snapshot!(said, @r"
    error: in/good: expected a folder without images to write to, found 0.png
    hint: give another folder: listings of images pass over the folders that Aberra writes
    ");
    // Nor where they lie deeper: a whole part of a data set would be passed over from then on.
    let said = room.run(&score("in --heatmaps in")).refusal(&room);
    assert!(
        said.starts_with("error: in: expected a folder without images to write to, found good/0.png"),
        "{said}"
    );
    let said = room.run(&score("in --out same.csv --heatmaps same.csv")).refusal(&room);
    assert!(said.starts_with("error: same.csv: expected a folder apart from the file same.csv"), "{said}");
}

#[test]
fn what_looks_like_a_mask_and_what_is_no_image_is_said() {
    let room = Room::new();
    for name in ["a.png", "a_mask.png", "masks/a.png", "face_mask.png"] {
        std::fs::create_dir_all(room.path("in/masks")).unwrap();
        blobs(7).save(room.path("in").join(name)).unwrap();
    }
    std::fs::write(room.path("in/notes.txt"), "notes").unwrap();
    std::fs::write(room.path("in/README"), "notes").unwrap();
    let ended = room.run(&format!("score {} in", detector().display())).done();
    for expected in [
        "warning: 2 files look like masks (such as in/a_mask.png); they are judged like images",
        "passed over 1 without extension, 1 .txt, which are no images",
        "4 images scored",
    ] {
        assert!(ended.err.contains(expected), "{}", ended.err);
    }
}

#[test]
fn calibrate_leaves_the_detector_as_it_is_unless_told_otherwise() {
    let room = Room::new();
    std::fs::copy(detector(), room.path("d.aberra")).unwrap();
    let made = room.run("calibrate d.aberra --rate 0.2 --json").done().json();
    assert_eq!(made["path"], "d-calibrated.aberra");
    assert_eq!(std::fs::read(room.path("d.aberra")).unwrap(), std::fs::read(detector()).unwrap());
    for (words, wanted) in [
        ("--rate 0.1 --data in --split s.json", "--split: expected --labelled beside it"),
        ("--percentile 50 --confidence 0.9", "--confidence: expected --rate beside it"),
        ("--rate 0.1 --cost-miss 5", "--cost-miss: expected --labelled cost beside it"),
        (
            "--labelled f1 --data in --cost-false-alarm 5",
            "--cost-false-alarm: expected --labelled cost beside it",
        ),
    ] {
        let said = room.run(&format!("calibrate d.aberra {words}")).refusal(&room);
        assert!(said.starts_with(&format!("error: {wanted}")), "{said}");
    }
    let said = room.run("calibrate d.aberra --rate 0.1 --out d.aberra").refusal(&room);
    assert!(said.contains("found one that this command reads"), "{said}");
    insta::assert_snapshot!(room.run("calibrate d.aberra --rate 0.1").refusal(&room), @r"
    error: d-calibrated.aberra: expected no file of this name yet, found one
    hint: --out FILE writes another file or replaces this one, --in-place replaces the detector
    ");
    room.run("calibrate d.aberra --rate 0.1 --out d-calibrated.aberra").done();
    let other = room.run("info d-calibrated.aberra --json").done().json();
    assert_ne!(other["threshold"], made["threshold"]);
    let said = room.run("calibrate d.aberra --rate 0.1 --in-place --out x.aberra").refusal(&room);
    assert!(said.contains("--in-place") && said.contains("--out"), "{said}");
}

#[test]
fn calibrate_moves_the_threshold_in_place_and_back() {
    let room = Room::new();
    let file = room.path("d.aberra");
    std::fs::copy(detector(), &file).unwrap();
    let before = room.run("info d.aberra --json").done().json();
    let moved = room.run("calibrate d.aberra --rate 0.2 --in-place --json").done().json();
    assert_eq!(moved, room.run("info d.aberra --json").done().json());
    let threshold = |info: &serde_json::Value| info["threshold"].as_f64().unwrap();
    assert!(threshold(&moved) < threshold(&before));
    assert_ne!(moved["hash"], before["hash"]);
    room.run("calibrate d.aberra --rate 0.05 --in-place").done();
    assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(detector()).unwrap());
    let percentile = room.run("calibrate d.aberra --percentile 70 --in-place --json").done().json();
    assert_eq!(percentile["criterion"]["kind"], "percentile");
}

#[test]
fn info_says_what_the_detector_is() {
    let room = Room::new();
    let info = room.run(&format!("info {} --json", detector().display())).done().json();
    assert_eq!((&info["name"], &info["made_from"]), (&"run".into(), &"data".into()));
    assert_eq!(
        (&info["members"][0]["family"], &info["members"][0]["preset"]),
        (&"vae".into(), &"small".into())
    );
    assert_eq!((&info["train"]["images"], &info["calibration"]["groups"]), (&21.into(), &19.into()));
    assert_eq!(info["config"]["scorer"], "mse");
    assert_eq!(info["bytes"].as_u64().unwrap(), std::fs::metadata(detector()).unwrap().len());
    let words = room.run(&format!("info {}", detector().display())).done().out;
    let hash = info["hash"].as_str().unwrap();
    assert!(words.contains(hash) && words.contains("at most 5 % false alarms on average"), "{words}");
    assert!(words.contains("vae, preset small, 32 latent dimensions, "), "{words}");
}

#[test]
fn scoring_goes_on_where_it_was_interrupted() {
    let room = Room::new();
    let folder = shared().join("data/stripes");
    let folder = folder.display();
    for name in ["rows.csv", "rows.jsonl"] {
        let whole = room.path(name);
        room.run(&score(&format!("{folder} --out {}", whole.display()))).done();
        let expected = std::fs::read(&whole).unwrap();
        let lines = expected.split_inclusive(|&byte| byte == b'\n').count();
        // In the middle of the second row, and with a file that is not there yet.
        let cut = expected.iter().position(|&byte| byte == b'\n').unwrap() + 20;
        for begin in [Some(&expected[..cut]), None] {
            match begin {
                Some(begin) => std::fs::write(&whole, begin).unwrap(),
                None => std::fs::remove_file(&whole).unwrap(),
            }
            let words = format!("{folder} --out {} --resume", whole.display());
            room.run(&score(&words)).done();
            assert_eq!(std::fs::read(&whole).unwrap(), expected, "{name}");
            let again = room.run(&score(&words)).done();
            assert!(again.err.contains("had rows already"), "{}", again.err);
            let kept = std::fs::read(&whole).unwrap();
            assert_eq!(kept.split_inclusive(|&byte| byte == b'\n').count(), lines);
        }
    }
    let other = room.path("other.aberra");
    let words = format!("calibrate {} --threshold 1e9 --out {}", detector().display(), other.display());
    room.run(&words).done();
    let rows = room.path("rows.csv");
    let words = format!("score {} {folder} --out {} --resume", other.display(), rows.display());
    let said = room.run(&words).refusal(&room);
    assert!(said.contains("expected rows of this detector, whose threshold is 1.00000e9"), "{said}");
}
