//! Nothing silent when data are read: layouts of others, masks beside images, manifests of spreadsheets and data frames.
//! Where a guess could call anomalies normal, reading stops; what was decided otherwise is a note.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::Path;

use aberra::dataset::{
    Dataset, FolderSplit, GroupBy, Grouping, Label, Layout, OpenOptions, doctor, image_files,
};
use aberra::image::Limits;
use aberra::image::testing::{TiffPage, tiff};
use image::{GrayImage, Luma};
use tempfile::TempDir;

/// A small image that differs by its seed.
fn picture(seed: u32) -> GrayImage {
    GrayImage::from_fn(16, 16, |x, y| Luma([(x * 11 + y * 5 + seed.wrapping_mul(2_654_435_761) % 97) as u8]))
}

/// A folder with these image files, each of them another image.
fn folder_of(names: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (seed, name) in names.iter().enumerate() {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture(seed as u32).save(path).unwrap();
    }
    folder
}

fn open(folder: &Path) -> aberra::Result<Dataset> {
    Dataset::open(folder, &OpenOptions::default())
}

fn open_normal(folder: &Path, normal: &str) -> aberra::Result<Dataset> {
    Dataset::open(folder, &OpenOptions { normal: vec![normal.to_owned()], ..OpenOptions::default() })
}

/// Each sample as `name label mask`, the mask relative to the root.
fn shown(dataset: &Dataset) -> Vec<String> {
    let mask = |path: &Path| path.strip_prefix(&dataset.root).unwrap().to_string_lossy().into_owned();
    let line = |sample: &aberra::dataset::Sample| {
        let mask = sample.mask.as_deref().map(mask);
        format!("{} {} {}", sample.name, sample.label, mask.as_deref().unwrap_or("-"))
    };
    dataset.samples.iter().map(line).collect()
}

/// The message and the hint of a refusal.
#[track_caller]
fn refusal(opened: aberra::Result<Dataset>) -> String {
    let error = opened.map(|dataset| shown(&dataset)).unwrap_err();
    assert!(error.is_data(), "{error}");
    format!("{error}; {}", error.hint().unwrap_or_default())
}

#[test]
fn masks_beside_images_are_masks_and_never_trained_on() {
    let beside = folder_of(&[
        "normal/normal (1).png",
        "normal/normal (1)_mask.png",
        "benign/benign (1).png",
        "benign/benign (1)_mask.png",
        "benign/benign (2).png",
        "benign/benign (2)_mask.png",
        "benign/benign (2)_mask_1.png",
        "benign/benign (3).png",
        "benign/lost_mask.png",
    ]);
    let dataset = open(beside.path()).unwrap();
    assert_eq!(
        shown(&dataset),
        [
            "benign/benign (1).png benign benign/benign (1)_mask.png",
            "benign/benign (2).png benign -",
            "benign/benign (3).png benign -",
            "normal/normal (1).png normal -",
        ]
    );
    let notes = dataset.notes.join("\n");
    for expected in [
        "1 mask matches no image (benign/lost_mask.png)",
        "1 anomaly has several masks (benign/benign (2).png)",
        "1 mask of a normal image (normal/normal (1)_mask.png)",
    ] {
        assert!(notes.contains(expected), "{notes}");
    }
    assert!(open(beside.path()).unwrap().samples.iter().all(|sample| !sample.name.contains("mask")));
    assert_eq!(open_normal(beside.path(), "*").unwrap().counts(), (4, 0));
}

#[test]
fn masks_are_found_at_any_depth_and_by_every_usual_name() {
    for (files, image, mask) in [
        (["train/good/0.png", "test/bad/0.png", "test/masks/0.png"], 1, 2),
        (["train/good/0.png", "test/bad/1.png", "test/bad/labels/1.png"], 1, 2),
        (["train/good/0.png", "test/bad/1.png", "ground_truth/bad/1_mask.png"], 1, 2),
        (["Images/Normal/0.png", "Images/Anomaly/1.png", "Masks/Anomaly/1.png"], 1, 2),
        (["good/0.png", "crack/1.png", "crack_mask/1.png"], 1, 2),
        (["ok/2.png", "ng/1.png", "ng/1_GT.png"], 1, 2),
        (["good/0.png", "bad/Part0.png", "bad/Part0_label.bmp"], 1, 2),
        (["good/images/0.png", "bad/images/1.png", "bad/masks/1.png"], 1, 2),
        (["good/0.png", "bad/7.png", "bad/mask_7.png"], 1, 2),
        (["good/0.png", "bad/img7.png", "bad/img7Mask.png"], 1, 2),
        (["good/0.jpg", "bad/7.jpg", "bad/7.png"], 1, 2),
        (["archive/good/0.png", "archive/bad/1.png", "archive/seg/bad/1.png"], 1, 2),
    ] {
        let folder = folder_of(&files);
        let dataset = open(folder.path()).unwrap();
        assert_eq!(dataset.samples.len(), 2, "{files:?}: {:?}", shown(&dataset));
        let anomaly = dataset.samples.iter().find(|sample| !sample.label.is_normal()).unwrap();
        assert_eq!(anomaly.name, files[image]);
        assert_eq!(anomaly.mask, Some(folder.path().join(files[mask])), "{files:?}");
        assert!(!dataset.notes.iter().any(|note| note.contains("matches no image")), "{:?}", dataset.notes);
    }
    // The mask of an image that is not there is one by its companions' names, whatever letters the images' have.
    let folder = folder_of(&[
        "good/0.png",
        "bad/a.png",
        "bad/mask_a.png",
        "bad/b.png",
        "bad/mask_b.png",
        "bad/mask_s.png",
    ]);
    let dataset = open(folder.path()).unwrap();
    assert_eq!(dataset.counts(), (1, 2), "{:?}", shown(&dataset));
    // Two anomalies of one name, and a mask that could be either's.
    let folder = folder_of(&["good/0.png", "cut/1.png", "hole/1.png", "masks/1.png", "masks/7.png"]);
    let dataset = open(folder.path()).unwrap();
    assert!(dataset.samples.iter().all(|sample| sample.mask.is_none()));
    let notes = dataset.notes.join("\n");
    assert!(notes.contains("1 mask could belong to several anomalies (cut/1.png)"), "{notes}");
    assert!(notes.contains("1 mask matches no image (masks/7.png)"), "{notes}");
    // Names that only look so are images.
    for files in [["good/face_mask.png", "good/b.png"], ["good/a.jpg", "good/b.png"]] {
        assert_eq!(open(folder_of(&files).path()).unwrap().counts(), (2, 0), "{files:?}");
    }
    let folder = folder_of(&["masks/a.png"]);
    assert!(refusal(open(folder.path())).contains("1 that are masks by their names"));
}

#[test]
fn a_folder_around_the_data_is_looked_into() {
    let folder = folder_of(&["archive/Training/notumor/a.png", "archive/Training/glioma/b.png"]);
    let dataset = open(folder.path()).unwrap();
    assert_eq!(
        shown(&dataset),
        ["archive/Training/glioma/b.png glioma -", "archive/Training/notumor/a.png normal -"]
    );
    assert_eq!(dataset.samples[0].folder_split, Some(FolderSplit::Train));
    assert_eq!(
        dataset.notes[..2],
        ["took class `notumor` as normal, by its usual name", "read the folder `archive` as the data set"]
    );

    let folder = folder_of(&[
        "data/bottle/train/good/0.png",
        "data/bottle/test/crack/1.png",
        "data/bottle/ground_truth/crack/1_mask.png",
    ]);
    let dataset = open(folder.path()).unwrap();
    assert_eq!((&dataset.layout, dataset.counts()), (&Layout::Mvtec, (1, 1)));
    assert!(shown(&dataset)[0].ends_with("crack/1.png crack data/bottle/ground_truth/crack/1_mask.png"));
    assert_eq!(dataset.notes, ["read the folder `data/bottle` as the data set"]);

    let folder =
        folder_of(&["x/bottle/train/good/0.png", "x/cable/train/good/0.png", "x/cable/test/cut/1.png"]);
    let text = refusal(open(folder.path()));
    assert!(text.contains("`bottle`, `cable`") && text.contains("data sets of their own"), "{text}");
    assert!(text.ends_with(&format!("such as {}", folder.path().join("x/bottle").display())), "{text}");
    // At any depth, whatever lies beside them.
    let folder = folder_of(&["sets/bottle/train/good/0.png", "sets/bottle/test/cut/1.png", "0.png"]);
    let text = refusal(open(folder.path()));
    let bottle = folder.path().join("sets/bottle");
    assert!(
        text.contains("found `sets/bottle` that") && text.ends_with(&bottle.display().to_string()),
        "{text}"
    );
    // A folder called as a part is none without classes of its own further down.
    assert_eq!(open(folder_of(&["a/b/test/0.png", "1.png"]).path()).unwrap().counts(), (2, 0));
    // Folders that say nothing around folders that say nothing.
    let folder = folder_of(&["photos/jan/0.png", "photos/feb/1.png"]);
    assert!(refusal(open(folder.path())).contains("none is known to be normal"));
    assert_eq!(
        open(&folder_of(&["photos/2024/0.png", "photos/2024/1.png"]).path().join("photos")).unwrap().counts(),
        (2, 0)
    );
}

#[test]
fn what_is_called_a_defect_is_not_normal() {
    for name in ["bad", "Tumor", "anomaly", "NG", "broken", "not_good", "unhealthy", "crack_2", "ko", "dent"]
    {
        let files = [format!("{name}/0.png"), format!("{name}/1.png")];
        let folder = folder_of(&files.each_ref().map(String::as_str));
        let dataset = open(folder.path()).unwrap();
        assert_eq!(dataset.counts(), (0, 2), "{name}");
        assert_eq!(dataset.samples[0].label, Label::Anomalous { kind: name.to_owned() });
        let notes = dataset.notes.join("\n");
        assert!(
            notes.contains("as anomalies, by its name") && notes.contains("found no normal image"),
            "{notes}"
        );
        assert_eq!(open_normal(folder.path(), "*").unwrap().counts(), (2, 0));
        assert_eq!(open_normal(folder.path(), name).unwrap().counts(), (2, 0));
        let error = dataset.inspect(&Limits::default()).check_normals(&dataset).unwrap_err();
        assert!(error.to_string().contains("expected normal images, found none"), "{error}");
    }
    for name in ["defect-free", "no_crack", "uncracked", "Healthy", "negative"] {
        let normal = format!("{name}/0.png");
        let folder = folder_of(&[normal.as_str(), "spots/1.png"]);
        assert_eq!(open(folder.path()).unwrap().counts(), (1, 1), "{name}");
    }
    // Where it would count as normal among others.
    for files in
        [["0.png", "bad/1.png"], ["train/good/0.png", "train/good/broken/1.png"], ["a/x/0.png", "NG/1.png"]]
    {
        let text = refusal(open(folder_of(&files).path()));
        assert!(text.contains("by whose name they are none") || text.contains("none is known"), "{text}");
    }
    // A folder that was named itself is taken, and said.
    let folder = folder_of(&["defects/bad/0.png"]);
    let dataset = open(&folder.path().join("defects/bad")).unwrap();
    assert_eq!(dataset.counts(), (1, 0));
    assert!(dataset.notes[0].contains("though the folder is called `bad`"), "{:?}", dataset.notes);
    let dataset = open(folder_of(&["0.png", "more/1.png"]).path()).unwrap();
    assert_eq!(
        dataset.notes,
        ["took what lies in `more` as normal too (1 of the images): no folder says otherwise"]
    );
}

#[test]
fn class_0_beside_a_usual_name_is_said() {
    let folder = folder_of(&["train/good/0.png", "test/good/1.png", "test/0/2.png"]);
    let dataset = open(folder.path()).unwrap();
    assert_eq!(dataset.counts(), (2, 1));
    assert!(
        dataset.notes.iter().any(|note| note.contains("class `0`") && note.contains("--normal 0")),
        "{:?}",
        dataset.notes
    );
    let folder = folder_of(&["0/0.png", "1/1.png"]);
    assert!(refusal(open(folder.path())).contains("none is known to be normal"));
}

#[test]
fn formats_that_are_not_decoded_are_counted_with_an_example() {
    let folder = folder_of(&["good/0.png"]);
    let at = |name: &str| folder.path().join(name);
    for (name, content) in
        [("good/a.heic", "\0\0\0\0ftyphei"), ("good/b.heic", ""), ("x.nef", "II*"), ("y.txt", "words")]
    {
        fs::write(at(name), content).unwrap();
    }
    let dataset = open(folder.path()).unwrap();
    let said: Vec<String> = dataset.skipped.unsupported.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "2 files of which each is a HEIC image, which is not supported (such as good/a.heic)",
            "1 file that is a raw file of a camera, which is not supported (x.nef)",
        ]
    );
    assert_eq!(dataset.skipped.other.values().sum::<usize>(), 1);
    let inspection = dataset.inspect(&Limits::default());
    let grouping = Grouping::of(&dataset, &inspection, GroupBy::None).unwrap();
    assert!(doctor(&dataset, &inspection, &grouping).to_string().contains("passed over  2 files"));
    let mut files = image_files(folder.path());
    assert_eq!(files.by_ref().count(), 1);
    assert_eq!(files.passed_over().unsupported.len(), 2);
    fs::remove_file(at("good/0.png")).unwrap();
    assert!(refusal(open(folder.path())).contains("though 2 files of which each is a HEIC image"));
}

/// Writes a manifest beside four images and opens it.
fn manifest(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> aberra::Result<Dataset> {
    let file = folder.path().join(name);
    fs::write(&file, content).unwrap();
    open(&file)
}

fn four_images() -> TempDir {
    folder_of(&["img/0.png", "img/1.png", "img/2, b.png", "img/3.png"])
}

#[test]
fn usual_words_for_normal_are_normal_and_contradictions_are_errors() {
    let folder = four_images();
    let counts = |text: &str| manifest(&folder, "m.csv", text).unwrap().counts();
    assert_eq!(counts("path,kind\nimg/0.png,good\nimg/1.png,crack\nimg/3.png,OK\n"), (2, 1));
    assert_eq!(counts("path,label\nimg/0.png,good\nimg/1.png,NG\nimg/3.png,1.0\n"), (1, 2));
    assert_eq!(counts("path,label\nimg/0.png,False\nimg/1.png,True\n"), (1, 1));
    assert_eq!(counts("path,label,kind\nimg/0.png,normal,good\nimg/1.png,1,crack\n"), (1, 1));
    for (text, expected) in [
        (
            "path,label,kind\nimg/0.png,normal,\nimg/1.png,normal,crack\n",
            "line 3: label `normal` and kind `crack` contradict",
        ),
        ("path,label,kind\nimg/0.png,1,good\n", "line 2: label `1` and kind `good` contradict"),
        ("path,kind\nimg/0.png,0\n", "line 2: kind `0` may mean normal"),
        (
            "path,label\nimg/0.png,0\nimg/1.png,0\nimg/0.png,1\n",
            "lines 2 and 4 say different things of img/0.png",
        ),
        ("path,label\nimg/0.png,spots\n", "found `spots`; what kind of anomaly"),
    ] {
        let text = refusal(manifest(&folder, "m.csv", text));
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("m.csv"), "{text}");
    }
    let jsonl = "{\"path\": \"img/0.png\", \"label\": 0, \"kind\": \"crack\"}\n";
    assert!(refusal(manifest(&folder, "m.jsonl", jsonl)).contains("line 1: label `0` and kind `crack`"));
    let twice = manifest(&folder, "m.csv", "path\nimg/0.png\nimg/0.png\n").unwrap();
    assert_eq!((twice.samples.len(), &*twice.notes[0]), (1, "1 image has the same row twice (img/0.png)"));
}

#[test]
fn manifests_of_spreadsheets_and_data_frames_are_read() {
    let folder = four_images();
    let expected = ["img/0.png normal -", "img/2, b.png normal -"];
    for (name, text) in [
        ("plain.csv", "path\nimg/0.png\n\"img/2, b.png\"\n"),
        ("back.csv", "path\nimg\\0.png\n\"img\\2, b.png\"\n"),
        ("space.csv", "label, path\nnormal, img/0.png\nnormal, \"img/2, b.png\"\n"),
        ("index.csv", ",path\n0,img/0.png\n1,\"img/2, b.png\"\n"),
        ("named.csv", "Unnamed: 0,path\n0,img/0.png\n1,\"img/2, b.png\"\n"),
        ("bom.csv", "\u{feff}\"path\"\nimg/0.png\n\"img/2, b.png\"\n"),
        ("semicolon.csv", "path;label\r\nimg/0.png;normal\r\nimg/2, b.png;0\r\n"),
        ("tab.tsv", "Path\tLabel\nimg/0.png\tnormal\nimg/2, b.png\t0\n"),
        ("bom.jsonl", "\u{feff}{\"path\": \"img/0.png\"}\n{\"path\": \"img/2, b.png\"}\n"),
        ("back.jsonl", "{\"Path\": \"img\\\\0.png\", \"index\": 1}\r\n{\"path\": \" img/2, b.png\"}\r\n"),
    ] {
        // A blank after the separator ends quoting: such a row is explained, not misread.
        let text = if name == "space.csv" {
            text.replace(" \"img/2, b.png\"", " 'img/3.png'")
        } else {
            text.to_owned()
        };
        let expected =
            if name == "space.csv" { ["img/0.png normal -", "img/3.png normal -"] } else { expected };
        let dataset = manifest(&folder, name, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(shown(&dataset), expected, "{name}");
    }
    for (name, text, expected) in [
        (
            "m.csv",
            "img/0.png\nimg/1.png\n",
            "expected the names of columns in the first line, found `img/0.png`",
        ),
        ("m.csv", "file,label\nimg/0.png,0\n", "unknown columns `file`"),
        ("m.csv", "path,path\nimg/0.png,0\n", "one column `path`, found several"),
        ("m.csv", "path,label\nimg/2, b.png,0\n", "stands in double quotes"),
        ("m.csv", "path\nC:\\data\\a.png\n", "the first, line 2: `C:\\data\\a.png`, would be"),
        ("m.csv", "label\n0\n", "for example the lines `path,label,kind`"),
        ("m.csv", "path,kind\n,good\n", "line 2: expected a path"),
        ("m.jsonl", "[{\"path\": \"img/0.png\"}]", "expected a JSON object on each line, found a list"),
        ("m.jsonl", "{\"label\": 0}\n", "line 1: expected a path"),
    ] {
        let text = refusal(manifest(&folder, name, text));
        assert!(text.contains(expected), "{text}");
    }
    let wide: Vec<u8> = "\u{feff}path\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(refusal(manifest(&folder, "m.csv", wide)).contains("found UTF-16"));
    let partly = manifest(
        &folder,
        "m.csv",
        "path,label,mask\nimg/0.png,0,img/1.png\nimg/x.png,0,\nimg/1.png,1,no.png\n",
    )
    .unwrap();
    assert_eq!(
        partly.notes,
        [
            "1 file that the manifest names does not exist (img/x.png)",
            "1 image whose mask does not exist (img/1.png)",
            "1 normal image has a mask, which is not used (img/0.png)",
        ]
    );
}

#[test]
fn a_data_set_has_the_name_of_its_real_folder() {
    let folder = folder_of(&["set/0.png"]);
    let set = folder.path().join("set");
    for path in [set.clone(), set.join("."), set.join("../set"), folder.path().join("set/../set/.")] {
        assert_eq!(open(&path).unwrap().name(), "set", "{}", path.display());
    }
    let mut above = open(&set).unwrap();
    above.root = set.join("..");
    assert_eq!(above.name(), folder.path().file_name().unwrap().to_str().unwrap());
}

#[test]
fn normals_without_content_are_found_before_training() {
    let check = |images: &[GrayImage]| {
        let folder = TempDir::new().unwrap();
        for (index, image) in images.iter().enumerate() {
            image.save(folder.path().join(format!("{index}.png"))).unwrap();
        }
        let dataset = open(folder.path()).unwrap();
        let checked = dataset.inspect(&Limits::default()).check_normals(&dataset);
        checked.map(|remarks| remarks.lines()).map_err(|error| error.to_string())
    };
    let flat = |value: u8| GrayImage::from_pixel(16, 16, Luma([value]));
    assert!(check(&[flat(0), flat(9)]).unwrap_err().contains("each of the same value in every pixel"));
    assert!(check(&[picture(1), picture(1)]).unwrap_err().contains("2 that are equal in every pixel"));
    assert_eq!(check(&[picture(1), picture(2)]).unwrap(), Vec::<String>::new());
    let few = [picture(1), picture(2), picture(2), picture(1), picture(1), flat(0), flat(0)];
    assert!(
        check(&few).unwrap_err().contains("at least 6 different normal images with content, found 2 in 7")
    );
    let some = check(&[picture(1), picture(2), flat(0)]).unwrap();
    assert!(
        some[0].starts_with("1 image: normal, but of the same value") && some[0].ends_with("(2.png)"),
        "{some:?}"
    );
}

/// A TIFF of small grey pages.
fn tiff_of(pages: &[GrayImage]) -> Vec<u8> {
    let page = |page: &GrayImage| TiffPage::new(page.width(), page.height(), page.as_raw().clone());
    tiff(&pages.iter().map(page).collect::<Vec<_>>())
}

#[test]
fn pages_are_images_of_their_own_where_asked() {
    let folder = folder_of(&["good/0.png"]);
    let at = |name: &str| folder.path().join(name);
    let pages = [picture(1), picture(2), picture(3)];
    fs::create_dir_all(at("bad")).unwrap();
    fs::create_dir_all(at("masks/bad")).unwrap();
    for name in ["good/stack.tif", "bad/a.tif", "bad/b.tif", "masks/bad/a.tif"] {
        fs::write(at(name), tiff_of(&pages)).unwrap();
    }
    fs::write(at("masks/bad/b.tif"), tiff_of(&pages[..2])).unwrap();
    let dataset = open(folder.path()).unwrap();
    let inspection = dataset.inspect(&Limits::default());
    let lines = inspection.remarks(&dataset).lines();
    assert_eq!(lines, ["3 images: page 1 of 3 is read, the others are not (such as bad/a.tif)"]);

    let dataset = dataset.by_page(&Limits::default());
    assert_eq!(dataset.counts(), (4, 6));
    assert_eq!(dataset.samples[1].name, "bad/a.tif, page 2");
    assert_eq!((dataset.samples[1].page, dataset.samples[1].group.as_deref()), (Some(1), Some("bad/a.tif")));
    assert_eq!(dataset.samples[1].mask, Some(at("masks/bad/a.tif")));
    assert_eq!(dataset.samples[4].mask, None);
    let notes = dataset.notes.join("\n");
    assert!(
        notes.contains("3 files of several pages, each an image of its own (such as bad/a.tif)"),
        "{notes}"
    );
    assert!(notes.contains("1 file of several pages has a mask of another number of pages"), "{notes}");
    let inspection = dataset.inspect(&Limits::default());
    assert!(inspection.remarks(&dataset).is_empty());
    let ids: std::collections::BTreeSet<_> =
        (0..3).map(|index| inspection.get(index).unwrap().fingerprint.id).collect();
    assert_eq!(ids.iter().map(|id| id.frame).collect::<Vec<_>>(), [0, 1, 2]);
    let second = dataset.samples[1].read(&Limits::default()).unwrap();
    assert_eq!(second.pixels[0], f32::from(pages[1].get_pixel(0, 0)[0]) / 255.0);
}
