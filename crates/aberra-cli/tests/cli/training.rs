//! `train`: output and files, layers of settings, and interrupted and resumed runs.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::pictures::write_data_set;
use crate::program::{QUICK, Room, shared, stripes};

#[test]
fn it_says_what_it_does_and_leaves_a_run_folder() {
    let room = Room::new();
    let data = shared().join("data");
    let ended =
        room.run(&format!("train {} --out run {QUICK} --epochs 2 --precision f32", data.display())).done();
    for said in [
        "class folders (normal: normal; anomalous: stripes)",
        "60 normal images, 6 anomalous",
        "calibration      19 images",
        "training in f32 (",
        "): 21 images, 8 held out, ",
        "estimated time left for this model: ",
        "epoch 1/2: loss ",
        " (kl ",
        ", reconstruction ",
        ", beta ",
        "epoch 2/2: loss ",
        "hint: aberra evaluate run/detector.aberra ",
    ] {
        assert!(ended.err.contains(said), "{said}: {}", ended.err);
    }
    for said in ["at most 5 % false alarms on average", "run/detector.aberra", "run/split.json"] {
        assert!(ended.out.contains(said), "{said}: {}", ended.out);
    }
    for file in ["detector.aberra", "split.json", "config.toml", "history.jsonl", "checkpoint.safetensors"] {
        assert!(room.path("run").join(file).is_file(), "{file}");
    }
    // Nothing of it is an image to score.
    for folder in [".", "run"] {
        let ended = room.run(&format!("score run/detector.aberra {folder}"));
        assert!(ended.code == 1 && ended.err.contains("that Aberra wrote"), "{}", ended.err);
    }
}

#[test]
fn a_large_group_of_copies_is_said_as_the_doctor_says_it() {
    let room = Room::new();
    write_data_set(&room.path("data"), 60, 1);
    for copy in 0..20 {
        fs::copy(room.path("data/normal/0.png"), room.path(format!("data/normal/copy-{copy}.png"))).unwrap();
    }
    let said = "one group holds 21 of 81 images";
    let trained = room.run(&format!("train data --out run {QUICK} --epochs 1")).done().err;
    assert!(trained.contains(said), "{trained}");
    let examined = room.run("doctor data --group exact").done().out;
    assert!(examined.contains(said), "{examined}");
    // And the same advice.
    let hints = trained.lines().filter_map(|line| line.strip_prefix("hint: "));
    assert!(hints.clone().any(|hint| examined.contains(hint)), "{trained}{examined}");
}

#[test]
fn flags_win_over_environment_over_file_over_preset() {
    let room = Room::new();
    fs::write(
        room.path("s.toml"),
        "seed = 1\n[model]\npreset = \"peer\"\n[train]\nepochs = 1\nbatch_size = 1\n",
    )
    .unwrap();
    let mut command = room.command();
    command.args("train --print-config --config s.toml --batch-size 3".split(' '));
    command.env("ABERRA_TRAIN__EPOCHS", "2").env("ABERRA_TRAIN__BATCH_SIZE", "2");
    let printed = crate::program::end(&mut command).done().out;
    for line in ["seed = 1", "epochs = 2", "batch_size = 3", "latent = 128"] {
        assert!(printed.lines().any(|printed| printed == line), "{line}: {printed}");
    }
    fs::write(room.path("printed.toml"), &printed).unwrap();
    assert_eq!(room.run("train --print-config --config printed.toml").done().out, printed);
}

#[test]
fn the_schema_is_json() {
    let schema = Room::new().run("train --config-schema").done().json();
    assert!(schema["properties"]["promise"].is_object());
}

#[test]
fn a_split_can_be_given_back_and_folds_differ() {
    let room = Room::new();
    let data = shared().join("data");
    let train = |rest: &str| {
        let words = format!("train {} {QUICK} --epochs 1 --json {rest}", data.display());
        room.run(&words).done().json()["info"]["hash"].clone()
    };
    let first = train("--out a --fold 1/3");
    assert_eq!(train("--out b --split a/split.json"), first);
    assert_ne!(train("--out c --fold 2/3"), first);
    let same = |file: &str| fs::read(room.path(file)).unwrap();
    assert_eq!(same("a/split.json"), same("b/split.json"));
    assert_ne!(same("a/split.json"), same("c/split.json"));
}

#[test]
fn ctrl_c_keeps_a_checkpoint_and_resuming_gives_the_uninterrupted_detector() {
    let room = Room::new();
    let data = shared().join("data");
    let words = |out: &str| format!("train {} --out {out} {QUICK} --epochs 40", data.display());
    let mut command = room.command();
    command.args(words("cut").split_whitespace());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("epoch 1/") {
        line.clear();
        assert!(err.read_line(&mut line).unwrap() > 0, "it ended before the first epoch");
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("--resume"), "{rest}");
    assert!(!room.path("cut/detector.aberra").exists());

    // Settings and split come from the run folder.
    let resumed = room.run(&format!("train {} --out cut --resume --json", data.display())).done();
    assert!(resumed.err.contains("resuming from the checkpoint"), "{}", resumed.err);
    let whole = room.run(&format!("{} --json", words("whole"))).done();
    assert_eq!(resumed.json()["info"]["hash"], whole.json()["info"]["hash"]);

    let longer = format!("train {} --out cut --resume --epochs 42 --json", data.display());
    let longer = room.run(&longer).done();
    let said = "the training that was to end after 40 epochs goes on, not quite as if";
    assert!(longer.err.contains(said) && longer.err.contains("epoch 42/42: "), "{}", longer.err);
    assert_ne!(longer.json()["info"]["hash"], whole.json()["info"]["hash"]);
}

#[test]
fn other_families_are_trained_and_score() {
    let room = Room::new();
    let data = shared().join("data");
    let ended =
        room.run(&format!("train {} --out run {QUICK} --family vqvae --epochs 2", data.display())).done();
    for said in ["epoch 2/2: loss ", ", perplexity ", ", dead codes "] {
        assert!(ended.err.contains(said), "{said}: {}", ended.err);
    }
    let info = room.run("info run/detector.aberra --json").done().json();
    assert_eq!(
        (&info["members"][0]["family"], &info["members"][0]["preset"]),
        (&"vqvae".into(), &"small".into())
    );
    let row = room.run(&format!("score run/detector.aberra {} --json", stripes().display())).done().json();
    assert_eq!(row["verdict"], "anomalous");
    let told = room.run(&format!("explain run/detector.aberra {}", stripes().display())).done().out;
    assert!(told.contains("vqvae.squared_error"), "{told}");
}

#[test]
fn tiles_are_told_and_described() {
    let room = Room::new();
    let data = shared().join("data");
    let words = format!("train {} --out run {QUICK} --tiles 2x2 --epochs 1", data.display());
    let ended = room.run(&words).done();
    let said = "tiles: each image becomes 2 rows of 2 tiles of 32 x 32 px, which overlap";
    assert!(ended.err.contains(said), "{}", ended.err);
    let words = room.run("info run/detector.aberra").done().out;
    assert!(words.contains(" px as 2 rows of 2 tiles of 32 x 32 px, grey"), "{words}");
    let info = room.run("info run/detector.aberra --json").done().json();
    assert_eq!(info["tiles"], serde_json::json!({ "rows": 2, "columns": 2, "size_px": 32 }));
    let row = room.run(&format!("score run/detector.aberra {} --json", stripes().display())).done().json();
    assert!(row["score"].is_f64(), "{row}");
    assert!(room.run("train --print-config").done().out.contains("tiles = \"auto\""));
}

#[test]
fn a_region_and_ignored_areas_are_given_by_flags_and_told_by_info() {
    let room = Room::new();
    let data = shared().join("data");
    let parts = "--region 0,0.1,1,0.9 --ignore 0,0.9,0.5,0.1 --ignore 0.9,0.2,0.1,0.1";
    room.run(&format!("train {} --out run {QUICK} {parts}", data.display())).done();
    let told = room.run("info run/detector.aberra").done().out;
    let expected = "region 0 to 100 % of the width and 10 to 100 % of the height, without 0 to 50 % of the width and 90 to 100 % \
                    of the height and 90 to 100 % of the width and 20 to 30 % of the height";
    assert!(told.split_whitespace().collect::<Vec<_>>().join(" ").contains(expected), "{told}");
    let refused = room.run("train data --out other --region 0,0,1").refusal(&room);
    assert!(refused.contains("expected left,top,width,height as shares"), "{refused}");
}

#[test]
fn a_window_needs_values_with_a_unit() {
    let room = Room::new();
    let words = format!("train {} --out run {QUICK} --window 40,400", shared().join("data").display());
    let refused = room.run(&words).refusal(&room);
    assert!(refused.contains("values have a unit, for the window") && refused.contains("PNG"), "{refused}");
    let refused = room.run("train data --out other --window 40").refusal(&room);
    assert!(refused.contains("expected center,width such as 40,400"), "{refused}");
    let shown = room.run("train --print-config --window -600,1500").done().out;
    assert!(shown.contains("center = -600.0\nwidth = 1500.0"), "{shown}");
}

#[test]
fn what_stands_for_not_measured_is_given_by_flags_and_told_by_info() {
    let room = Room::new();
    let shown = room.run("train --print-config --invalid nan --invalid depth=0 --invalid -1").done().out;
    assert!(shown.contains("not_finite = true"), "{shown}");
    assert!(shown.contains("channel = \"depth\"\nvalue = 0.0") && shown.contains("value = -1.0"), "{shown}");
    for wrong in ["depth=nan", "inf", "=0", "hole"] {
        let refused = room.run(&format!("train data --out other --invalid {wrong}")).refusal(&room);
        assert!(refused.contains("expected nan (of all channels), a number"), "{refused}");
    }

    // Depths with holes of NaN, as a camera gives them.
    let depth = |number: usize, at: usize| {
        let (y, x) = ((at / 32) as f32, (at % 32) as f32);
        let is_hole = (y - number as f32 % 29.0).abs() < 3.0 && (x - (7 * number) as f32 % 31.0).abs() < 3.0;
        if is_hole { f32::NAN } else { 500.0 - y - (number as f32).sin() * x }
    };
    fs::create_dir_all(room.path("depths")).unwrap();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (32, 32), }";
    let start = [b"\x93NUMPY\x01\x00\x76\x00", format!("{header:117}\n").as_bytes()].concat();
    for number in 0..90 {
        let values = (0..32 * 32).flat_map(|at| depth(number, at).to_le_bytes());
        let file = start.iter().copied().chain(values).collect::<Vec<u8>>();
        fs::write(room.path(format!("depths/{number:02}.npy")), file).unwrap();
    }
    let refused = room.run(&format!("train depths --out run {QUICK}")).refusal(&room);
    assert!(refused.contains("--invalid nan"), "{refused}");
    let found = room.run("doctor depths").done();
    assert!(found.out.contains("taken as not measured (train --invalid nan)"), "{}", found.out);
    let trained = room.run(&format!("train depths --out run {QUICK} --invalid nan")).done();
    assert!(trained.err.contains("training images looked at, such as"), "{}", trained.err);
    let told = room.run("info run/detector.aberra").done().out;
    assert!(told.contains("nan filled as not measured"), "{told}");
    let scored = room.run("score run/detector.aberra depths --json").done().out;
    assert_eq!(scored.lines().count(), 90);
    // A value that no image has is said: 16 bits are shares of 65535.
    let data = shared().join("data");
    let none = room.run(&format!("train {} --out other {QUICK} --invalid 65535", data.display())).done();
    assert!(
        none.err.contains("found in 0 of 21 training images") && none.err.contains("16 bits is 1"),
        "{}",
        none.err
    );
}

#[test]
fn several_models_are_named_and_make_one_detector() {
    let room = Room::new();
    let data = shared().join("data");
    fs::write(
        room.path("s.toml"),
        "scorer = \"mse\"\n[[model]]\npreset = \"small\"\n[[model]]\nfamily = \"autoencoder\"\npreset = \"small\"\n\
         name = \"plain\"\n",
    )
    .unwrap();
    let quick = "--size 32 --batch-size 8 --group exact --epochs 1 --set train.criterion=last";
    let words = format!("train {} --out run --config s.toml {quick}", data.display());
    let ended = room.run(&words).done();
    for said in ["\nvae: training in ", "\nvae: epoch 1/1: ", "\nplain: training in ", "\nplain: epoch 1/1: "]
    {
        assert!(ended.err.contains(said), "{said}: {}", ended.err);
    }
    for said in ["vae: of epoch 1", "plain: of epoch 1"] {
        assert!(ended.out.contains(said), "{said}: {}", ended.out);
    }
    let words = room.run("info run/detector.aberra").done().out;
    assert!(words.contains("plain (autoencoder), preset small, "), "{words}");
    let row = room.run(&format!("score run/detector.aberra {} --json", stripes().display())).done().json();
    assert!(row["score"].is_f64(), "{row}");
    let page = format!("report run/detector.aberra {} --split run/split.json --out r.html", data.display());
    room.run(&page).done();
}

#[test]
fn flags_for_one_model_do_not_replace_several() {
    let room = Room::new();
    fs::write(room.path("s.toml"), "[[model]]\n[[model]]\nfamily = \"autoencoder\"\n").unwrap();
    room.run("train --print-config --config s.toml --seed 3").done();
    let said = room.run("train --print-config --config s.toml --preset small").refusal(&room);
    insta::assert_snapshot!(said, @r"
    error: model: expected settings of a single model (model.NAME) or a list of several ([[model]]), found both
    hint: set them in each [[model]] of the list
    ");
}
