//! Unusable settings, data sets and folders are rejected before anything is trained or lost.

use std::fs;

use crate::pictures::{blobs, write_data_set};
use crate::program::{QUICK, Room, detector, end, shared};

/// The error of `train` for settings, before it opens any data.
fn refused_settings(flags: &str) -> String {
    let room = Room::new();
    room.run(&format!("train --print-config {flags}")).refusal(&room)
}

#[test]
fn settings_out_of_range() {
    insta::assert_snapshot!(refused_settings("--epochs 0"), @r"
    error: train.epochs: expected 1 to 1000000, found 0 (in --epochs)
    hint: `aberra train --print-config` prints every setting and its value
    ");
    insta::assert_snapshot!(refused_settings("--rate 5"), @r"
    error: promise.false_alarm_rate: expected above 0 and below 1, found 5 (in --rate)
    hint: `aberra train --print-config` prints every setting and its value
    ");
    insta::assert_snapshot!(refused_settings("--rate=-0.1"), @r"
    error: promise.false_alarm_rate: expected above 0 and below 1, found -0.1 (in --rate)
    hint: `aberra train --print-config` prints every setting and its value
    ");
    insta::assert_snapshot!(refused_settings("--preset base --size 100"), @r"
    error: preprocessing.size_px: expected a multiple of 32 for 5 stages, found 100 (in --size)
    hint: choose another size or another number of model.channels
    ");
    insta::assert_snapshot!(refused_settings("--tiles 9x9"), @r"
    error: preprocessing setting `tiles`: expected 1 to 48 tiles in all, found 9 x 9
    hint: `aberra train --print-config` prints every setting and its value
    ");
    insta::assert_snapshot!(refused_settings("--tiles many"), @r#"
    error: preprocessing setting `tiles`: expected auto, none, or rows and columns such as 2x3, found "many" (in --tiles)
    hint: `aberra train --print-config` prints every setting and its value
    "#);
    insta::assert_snapshot!(refused_settings("--ignore 0.5,0,0.6,0.2"), @r"
    error: preprocessing setting `ignore`: expected left, top, width and height of a box within the image, as shares from 0 to 1 of its sides, found 0.5, 0, 0.6, 0.2
    hint: `aberra train --print-config` prints every setting and its value
    ");
    insta::assert_snapshot!(refused_settings("--preset huge"), @r#"
    error: model.preset: expected one of small, base, peer, reference for the family vae, found "huge" (in --preset)
    hint: `aberra train --print-config` prints every setting and its value
    "#);
    insta::assert_snapshot!(refused_settings("--family gan"), @r#"
    error: model.family: expected one of vae, autoencoder, vqvae, features, feature-vae, discriminator, found "gan" (in --family)
    hint: `aberra train --print-config` prints every setting and its value
    "#);
    insta::assert_snapshot!(refused_settings("--family vqvae --set model.beta=2"), @r#"
    error: model.beta: expected one of the settings channels, codes, code_dimensions, commitment, loss, normalization, precision, found "beta" (in --set model.beta=2)
    hint: `aberra train --print-config` prints every setting and its value
    "#);
    insta::assert_snapshot!(refused_settings("--scorer best"), @r#"
    error: scorer: expected one of mse, ssim, uncertainty, peak, latent, residual, typicality, fusion, combined, found "best" (in --scorer)
    hint: `aberra train --print-config` prints every setting and its value
    "#);
    insta::assert_snapshot!(refused_settings("--group colour"), @r"
    error: split.by: expected one of `near`, `exact`, `manifest`, `none`, found `colour` (in --group)
    hint: `aberra train --print-config` prints every setting and its value
    ");
    insta::assert_snapshot!(refused_settings("--set train.epoch=3"), @r"
    error: train.epoch: expected one of `epochs`, `least_steps`, `batch_size`, `learning_rate`, `schedule`, `weight_decay`, `gradient_clip`, `check_every_epochs`, `patience`, `criterion`, `checkpoint_every_epochs`, `snapshots`, `cache_mib`, `augmentation`, found `epoch` (in --set train.epoch=3)
    hint: `aberra train --print-config` prints every setting and its value
    ");
    insta::assert_snapshot!(refused_settings("--set train.epochs"), @r#"error: expected a setting as section.name=value, found "train.epochs""#);
}

#[test]
fn a_file_of_settings_that_does_not_parse() {
    let room = Room::new();
    fs::write(room.path("bad.toml"), "epochs = = 3").unwrap();
    let said = room.run("train --print-config --config bad.toml").refusal(&room);
    assert!(said.starts_with("error: bad.toml: not TOML: "), "{said}");
    let said = room.run("train --print-config --config nowhere.toml").refusal(&room);
    insta::assert_snapshot!(said, @"error: nowhere.toml: No such file or directory (os error 2)");
}

#[test]
fn a_folder_without_images() {
    let room = Room::new();
    fs::create_dir(room.path("empty")).unwrap();
    insta::assert_snapshot!(room.run("train empty --out run").refusal(&room), @r"
    error: empty: expected a folder of images, found none
    hint: images are PNG, JPEG, DICOM, TIFF, BMP, WebP, GIF, NIfTI or NumPy array files, at any depth below the folder
    ");
    insta::assert_snapshot!(room.run("doctor empty").refusal(&room), @r"
    error: empty: expected a folder of images, found none
    hint: images are PNG, JPEG, DICOM, TIFF, BMP, WebP, GIF, NIfTI or NumPy array files, at any depth below the folder
    ");
    insta::assert_snapshot!(room.run("train nowhere --out run").refusal(&room), @"error: nowhere: No such file or directory (os error 2)");
}

#[test]
fn a_folder_without_readable_images() {
    let room = Room::new();
    fs::create_dir(room.path("in")).unwrap();
    for name in ["in/a.png", "in/b.jpg"] {
        fs::write(room.path(name), "text").unwrap();
    }
    let said = room.run("train in --out run").refusal(&room);
    assert!(
        said.contains("warning: skipped in/a.png: ") && said.contains("warning: skipped in/b.jpg: "),
        "{said}"
    );
    assert!(said.contains("error: in: expected images, found 2 files that cannot be read"), "{said}");
}

#[test]
fn a_class_that_does_not_exist() {
    let room = Room::new();
    let data = shared().join("data");
    let said = room.run(&format!("train {} --normal god --out run", data.display())).refusal(&room);
    insta::assert_snapshot!(said, @r"
    error: SHARED/data: expected a class `god`; there are `normal`, `stripes`
    hint: name classes as their folders are named
    ");
}

#[test]
fn too_few_normals() {
    let room = Room::new();
    write_data_set(&room.path("in"), 12, 1);
    let said = room.run(&format!("train in --out run {QUICK}")).refusal(&room);
    let error: Vec<&str> =
        said.lines().filter(|line| !line.starts_with("in") && !line.starts_with(' ')).collect();
    insta::assert_snapshot!(error.join("\n"), @r"
    error: too few normal images: a false-alarm rate of 5 % needs 46 groups of normal images that are not copies of each other, found 12
    hint: so few support no rate at all; add normal images
    ");
}

#[test]
fn a_confidence_that_the_normals_cannot_carry_is_refused_before_training() {
    let room = Room::new();
    let data = shared().join("data");
    let words = format!("train {} --out run {QUICK} --confidence 0.9", data.display());
    let said = room.run(&words).refusal(&room);
    let end = said.find("error: ").unwrap();
    insta::assert_snapshot!(&said[end..], @r"
    error: a false-alarm rate of 5 % with 90 % confidence needs 45 groups of normal images to calibrate on, found 19
    hint: add normal images, raise --rate, or leave out --confidence
    ");
}

#[test]
fn a_run_folder_that_cannot_be_written() {
    let room = Room::new();
    fs::write(room.path("file"), "mine").unwrap();
    write_data_set(&room.path("in"), 1, 0);
    insta::assert_snapshot!(room.run("train in --out file/run").refusal(&room), @r"
    error: file/run: expected a folder that can be written (Not a directory (os error 20))
    hint: give another folder
    ");
    insta::assert_snapshot!(room.run("train in --out file").refusal(&room), @r"
    error: file: expected a folder that can be written (file is a file)
    hint: give another folder
    ");
    assert_eq!(fs::read_to_string(room.path("file")).unwrap(), "mine");
}

#[test]
fn a_run_that_is_there_is_not_replaced() {
    let room = Room::new();
    let (data, run) = (shared().join("data"), shared().join("run"));
    let again = format!("train {} --out {}", data.display(), run.display());
    insta::assert_snapshot!(room.run(&again).refusal(&room), @r"
    error: SHARED/run/detector.aberra: there is a detector already
    hint: give another run folder, or --force to replace it
    ");

    fs::create_dir(room.path("cut")).unwrap();
    fs::copy(run.join("checkpoint.safetensors"), room.path("cut/checkpoint.safetensors")).unwrap();
    let again = format!("train {} --out cut", data.display());
    insta::assert_snapshot!(room.run(&again).refusal(&room), @r"
    error: cut/checkpoint.safetensors: there is a run that was stopped
    hint: --resume goes on with it, --force starts again, or give another run folder
    ");
    let nothing = format!("train {} --out new --resume", data.display());
    insta::assert_snapshot!(room.run(&nothing).refusal(&room), @r"
    error: new: expected a checkpoint to resume from, found none
    hint: leave out --resume to start a new run
    ");
}

#[test]
fn unreadable_images_are_named_and_training_goes_on() {
    let room = Room::new();
    write_data_set(&room.path("in"), 60, 0);
    fs::write(room.path("in/normal/broken.png"), "text").unwrap();
    blobs(0).save(room.path("in/normal/0 again.png")).unwrap();
    let ended = room.run(&format!("train in --out run {QUICK} --epochs 1 --json")).done();
    assert!(ended.err.contains("warning: skipped in/normal/broken.png: "), "{}", ended.err);
    assert_eq!(ended.json()["info"]["calibration"]["groups"], 19);
}

#[test]
fn instructions_that_do_not_exist() {
    let room = Room::new();
    let mut command = room.command();
    command.arg("info").arg(detector()).env("ABERRA_KERNELS", "sse9");
    let said = end(&mut command).refusal(&room);
    assert!(said.starts_with("error: expected one of portable"), "{said}");
    let rest = "in the environment variable ABERRA_KERNELS, found `sse9`\n\
                hint: unset it to use the widest that the processor has";
    assert!(said.trim_end().ends_with(rest), "{said}");
}

#[test]
fn an_unknown_environment_variable_is_refused_by_every_verb() {
    let room = Room::new();
    let refused = |name: &str, words: &str| {
        let mut command = room.command();
        end(command.args(words.split_whitespace()).env(name, "3")).refusal(&room)
    };
    let said = refused("ABERRA_TRAIN_EPOCHS", "train --print-config");
    insta::assert_snapshot!(said, @r"
    error: expected environment variables ABERRA_... that name settings, found ABERRA_TRAIN_EPOCHS, which names none
    hint: did you mean ABERRA_TRAIN__EPOCHS?
    ");
    for words in ["info d.aberra", "score d.aberra a.png", "doctor .", "demo"] {
        assert_eq!(refused("ABERRA_TRAIN_EPOCHS", words), said);
    }
    assert!(refused("ABERRA_KERNEL", "info d.aberra").contains("did you mean ABERRA_KERNELS?"));
    // What Kubernetes sets beside a service called aberra is none of ours.
    let mut command = room.command();
    command.args(["train", "--print-config"]).env("ABERRA_PORT", "tcp://10.0.0.1:8765");
    end(&mut command).done();
}

#[test]
fn a_setting_of_the_wrong_type_says_which_whence_and_what_was_expected() {
    let room = Room::new();
    let refused = |flags: &str, variable: Option<(&str, &str)>| {
        let mut command = room.command();
        command.args("train --print-config".split(' ')).args(flags.split_whitespace());
        let said = end(command.envs(variable)).refusal(&room);
        said.lines().next().unwrap().to_owned()
    };
    fs::write(room.path("s.toml"), "[train]\nepochs = \"many\"\n").unwrap();
    for (flags, variable, expected) in [
        (
            "--set train.epochs=abc",
            None,
            "error: train.epochs: expected a whole number, found the text \"abc\" (in --set train.epochs=abc)",
        ),
        (
            "--config s.toml",
            None,
            "error: train.epochs: expected a whole number, found the text \"many\" (in the file s.toml)",
        ),
        (
            "--epochs 3",
            Some(("ABERRA_TRAIN__LEARNING_RATE", "fast")),
            "error: train.learning_rate: expected a number, found the text \"fast\" (in the environment variable \
             ABERRA_TRAIN__LEARNING_RATE)",
        ),
        (
            "--family vae --set model.latent=many",
            None,
            "error: model.latent: expected a whole number, found the text \"many\" (in --set model.latent=many)",
        ),
    ] {
        assert_eq!(refused(flags, variable), expected);
    }
}
