//! `report` and `explain`: output, files and errors.

use std::fs;

use crate::program::{NORMALS, Room, detector, shared, stripes};

/// `report` on the test part of the shared data.
fn report(rest: &str) -> String {
    let (data, split) = (shared().join("data"), shared().join("run").join("split.json"));
    format!("report {} {} --split {} {rest}", detector().display(), data.display(), split.display())
}

#[test]
fn report_writes_a_page_and_figures_and_says_the_verdict() {
    let room = Room::new();
    let ended = room.run(&report("--out r.html --png figures")).done();
    for said in [
        "The detector \u{201c}run\u{201d} learned what is normal from 21 normal images of data. 8 more fitted the scorer mse, and 19 gave the threshold.",
        "It promises at most 5 % false alarms",
        "Of 6 anomalous images it found 6: 100.0 % (95 % interval 54.1 to 100.0 %).",
        "report   r.html (",
        "figures  7 figures in figures",
    ] {
        assert!(ended.out.contains(said), "{said}: {}", ended.out);
    }
    let page = fs::read_to_string(room.path("r.html")).unwrap();
    assert!(page.contains("id=\"aberra-report\"") && !page.contains("<!--aberra-report-->"));
    // The shared run's folder is beside the detector.
    for figure in ["roc", "precision-recall", "scores", "training", "latent", "kl", "triples"] {
        let drawn = image::open(room.path(format!("figures/{figure}.png"))).unwrap();
        assert!(drawn.width() >= 600, "{figure}");
    }
    let json = room.run(&report("--out r.html --json")).done().json();
    assert_eq!((&json["images"], &json["images_in_full"]), (&18.into(), &18.into()));
    assert_eq!(json["bytes"], fs::metadata(room.path("r.html")).unwrap().len());
    assert!(json["summary"].as_array().is_some_and(|lines| lines.len() == 5), "{json}");
}

#[test]
fn report_takes_a_saved_evaluation_and_other_detectors() {
    let room = Room::new();
    let (data, split) = (shared().join("data"), shared().join("run").join("split.json"));
    let (own, data) = (detector(), data.display().to_string());
    room.run(&format!("evaluate {} {data} --split {} --out e", own.display(), split.display())).done();
    room.run(&format!("calibrate {} --rate 0.2 --out moved.aberra", own.display())).done();
    let words = format!("report {} {data} --evaluation e/evaluation.json --out r.html", own.display());
    room.run(&format!("{words} --compare moved.aberra")).done();
    assert!(
        fs::read_to_string(room.path("r.html")).unwrap().contains("\"name\":\"moved\",\"what\":\"detector\"")
    );

    let other = format!("report moved.aberra {data} --evaluation e/evaluation.json --out r2.html");
    let said = room.run(&other).refusal(&room);
    assert!(said.starts_with("error: expected an evaluation of this detector (hash "), "{said}");
    assert!(
        said.ends_with("hint: evaluate this detector: a threshold that was moved makes another one of it\n")
    );
    insta::assert_snapshot!(room.run(&format!("{words} --run nowhere")).refusal(&room), @r"
    error: nowhere/history.jsonl: No such file or directory (os error 2)
    hint: give the folder that `aberra train --out` wrote, with history.jsonl in it
    ");
    assert!(!room.path("r2.html").exists());
    let said = room.run(&format!("{words} --split s.json")).refusal(&room);
    assert!(said.contains("cannot be used with"), "{said}");
    insta::assert_snapshot!(room.run(&words.replace("--out r.html", "--out no/r.html")).refusal(&room), @r"
    error: no/r.html: expected a folder to write to, found none: no
    hint: make the folder first, or give a file in another one
    ");
}

#[test]
fn explain_tells_an_images_story() {
    let room = Room::new();
    let words = format!("explain {} {} --out s.png", detector().display(), stripes().display());
    let told = room.run(&words).done().out;
    for said in
        ["verdict  anomalous", "p-value  0.0500 (conformal, from 19 calibration normals)", "picture  s.png"]
    {
        assert!(told.contains(said), "{said}: {told}");
    }
    let bars: Vec<&str> =
        told.lines().filter(|line| line.contains("100.0  ########################")).collect();
    assert!(bars.iter().any(|line| line.trim_start().starts_with("vae.squared_error")), "{told}");
    assert_eq!(told.lines().filter(|line| line.contains("  distance ")).count(), 5);
    assert!(told.contains("of the detector's normals"), "{told}");
    let drawn = image::open(room.path("s.png")).unwrap();
    assert!(drawn.width() > 1_000);

    let named = room.run(&format!("{words} --data {} --json", shared().join("data").display())).done().json();
    assert_eq!(named["verdict"]["anomalous"], true);
    assert_eq!(named["evidence_percentiles"]["vae.squared_error"], 100.0);
    assert_eq!(named["scores"]["mse"], named["verdict"]["score"]);
    assert_eq!(named["pca"].as_array().unwrap().len(), 5);
    let near = named["nearest"].as_array().unwrap();
    assert_eq!(near.len(), 5);
    assert!(near.iter().all(|near| near["name"].as_str().unwrap().starts_with("normal/")), "{named}");
    assert!(near.iter().all(|near| near["normal"].as_u64().unwrap() < NORMALS as u64));
}

#[test]
fn explain_takes_manifests_of_training_images_and_of_images_to_explain() {
    let room = Room::new();
    let normal = shared().join("data/normal");
    let names: Vec<_> = fs::read_dir(&normal).unwrap().map(|entry| entry.unwrap().path()).collect();
    let lines: String = names.iter().map(|path| format!("{}\n", path.display())).collect();
    fs::write(room.path("normals.csv"), format!("path\n{lines}")).unwrap();
    let words = format!("explain {} {} --data normals.csv --json", detector().display(), stripes().display());
    let named = room.run(&words).done().json();
    let near = named["nearest"].as_array().unwrap();
    assert!(near.iter().all(|near| near["name"].as_str().unwrap().contains("/normal/")), "{named}");

    fs::write(room.path("two.csv"), format!("path\n{}\n{}\n", names[0].display(), stripes().display()))
        .unwrap();
    let told = room.run(&format!("explain {} two.csv --json", detector().display())).done().json_lines();
    assert_eq!(told.len(), 2);
    assert!(told.iter().any(|one| one["verdict"]["score"] == named["verdict"]["score"]));
    let text = room.run(&format!("explain {} two.csv", detector().display())).done().out;
    assert_eq!(text.matches("verdict  ").count(), 2, "{text}");
    let said = room.run(&format!("explain {} two.csv --out x.png", detector().display())).refusal(&room);
    assert!(said.contains("found a manifest of several"), "{said}");
}

#[test]
fn explain_refuses_what_is_no_image_or_folder() {
    let room = Room::new();
    fs::write(room.path("text.png"), "text").unwrap();
    let words = |image: &str, rest: &str| format!("explain {} {image} {rest}", detector().display());
    insta::assert_snapshot!(room.run(&words("text.png", "")).refusal(&room), @r#"error: text.png: not an image: it begins with "text"; expected PNG, JPEG, DICOM, TIFF, BMP, WebP, GIF, NIfTI or NumPy array"#);
    let image = stripes().display().to_string();
    insta::assert_snapshot!(room.run(&words(&image, "--data text.png")).refusal(&room), @r"
    error: text.png: expected a folder of images or a manifest, found something else
    hint: give the data that the detector was trained on
    ");
}
