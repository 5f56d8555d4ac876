//! `volumes`: verdicts on volumes of a request, as the library gives them on the same files.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::OnceLock;

use aberra::dataset::{Case, find_cases};
use aberra::image::Limits;
use aberra::models::measure::Want;
use aberra::phantom::{PhantomVolumes, VolumeShape, write_volumes};
use axum::http::{Request, header};

use crate::fixture::{Answer, Client, detector, form, options, png};
use crate::openapi::assert_is;
use aberra_serve::{ServeLimits, ServeOptions};

const SLICES: usize = 10;

/// A folder with phantom volumes.
fn folder() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("aberra-serve-volumes");
        let _ = fs::remove_dir_all(&folder);
        let shape = VolumeShape { size_px: 32, slices: SLICES };
        let volumes =
            PhantomVolumes { seed: 3, shape, train_normals: 1, test_normals: 2, anomalies_per_kind: 1 };
        write_volumes(&folder, &volumes).unwrap();
        folder
    });
    made.clone()
}

async fn volumes(client: &Client, files: &[(&str, &[u8])]) -> Answer {
    let (kind, body) = form(files);
    let request = Request::post("/api/v1/detectors/first/volumes");
    client.ask(request.header(header::CONTENT_TYPE, kind), body).await
}

#[tokio::test]
async fn volumes_are_judged_as_the_library_judges_them() {
    let path = folder().join("test/cyst/000.nii.gz");
    let bytes = fs::read(&path).unwrap();
    let client = Client::new();
    let image = png(1);
    let files: [(&str, &[u8]); 4] =
        [("scan.nii.gz", &bytes), ("scan.nii.gz", &bytes), ("a.png", &image), ("b.nii", b"nothing")];
    let answer = volumes(&client, &files).await.done();
    assert_is("VolumesResponse", &answer);
    // This detector is not calibrated on volumes: it gives scores without verdicts.
    assert!(answer["judged_by"].is_null());

    let Case::Volume(volume) = find_cases(vec![path], &Limits::default()).cases.remove(0) else { panic!() };
    let expected =
        detector("first").score_volume(&volume, Want::MEASUREMENTS, |_, _| ControlFlow::Continue(()));
    let expected = expected.unwrap();
    let results = answer["volumes"].as_array().unwrap();
    let names: Vec<&str> = results.iter().map(|result| result["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["scan.nii.gz", "scan.nii.gz (2)", "a.png", "b.nii"]);
    for result in &results[..2] {
        assert!(result["error"].is_null());
        let card = &result["volume"];
        assert_eq!((card["score"].as_f64(), card["empty"].as_u64()), (Some(expected.score), Some(2)));
        assert_eq!(card["worst"]["slice"], expected.worst + 1);
        assert!(card["anomalous"].is_null() && card["threshold"].is_null());
        let slices = result["slices"].as_array().unwrap();
        assert_eq!(slices.len(), SLICES);
        for (slice, score) in slices.iter().zip(&expected.slices) {
            assert_eq!(slice["verdict"]["score"].as_f64(), *score);
            let input = slice["pictures"]["input"].as_str();
            assert_eq!(input.is_some_and(|input| input.starts_with("data:image/jpeg")), score.is_some());
        }
    }
    assert!(results[2]["error"]["detail"].as_str().unwrap().contains("found a single image"));
    let are_images: Vec<bool> = results.iter().map(|result| result["is_image"].as_bool().unwrap()).collect();
    assert_eq!(are_images, [false, false, true, false]);
    assert!(results[3]["error"]["detail"].as_str().unwrap().contains("expected"));
    assert!(answer["notes"][0].as_str().unwrap().contains("2 volumes"), "{}", answer["notes"]);
}

#[tokio::test]
async fn what_is_no_volume_is_refused_with_the_reason_and_leaves_nothing_behind() {
    let client = Client::new();
    let image = png(1);
    let refused = volumes(&client, &[("a.png", &image)]).await;
    assert!(refused.problem(422).contains("expected a volume that can be judged"));
    assert!(refused.json()["volumes"][0]["error"]["hint"].as_str().unwrap().contains("explain"));
    let body = client.post("/api/v1/detectors/first/volumes", "nothing").await;
    assert!(body.problem(422).contains("expected a volume"));
    assert!(client.post("/api/v1/detectors/first/volumes", "").await.problem(400).contains("empty body"));
    assert!(client.post("/api/v1/detectors/none/volumes", "x").await.problem(404).contains("first"));
    // A name is a name, and no place.
    let bytes = fs::read(folder().join("test/good/000.nii.gz")).unwrap();
    let hostile = volumes(&client, &[("../../etc/passwd", &bytes)]).await.done();
    assert_eq!(hostile["volumes"][0]["volume"]["slices"], SLICES);
}

#[tokio::test]
async fn slices_are_bounded() {
    // A file of more slices than a request may have: a volume of air, which packs well.
    const MORE: usize = 1_100;
    let voxels = vec![0.0_f32; 4 * MORE];
    let affine = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
    let bytes = aberra::image::encode_nifti(&voxels, [2, 2, MORE], affine).unwrap();
    let refused = volumes(&Client::new(), &[("long.nii.gz", &bytes)]).await;
    assert!(refused.problem(413).contains("expected at most 1024 slices in a request, found 1100"));
}

#[tokio::test]
async fn files_that_inflate_beyond_the_memory_for_them_are_refused_before_they_do() {
    // A mebibyte each of air, which packs to a few kilobytes: three of them are within the bound, a dozen are sent.
    const BYTES: usize = 1 << 20;
    let affine = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
    let bytes = aberra::image::encode_nifti(&vec![0.0_f32; BYTES / 4], [256, 256, 4], affine).unwrap();
    let names: Vec<String> = (0..12).map(|number| format!("{number}.nii.gz")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &bytes[..])).collect();
    let limits = ServeLimits { held_bytes: 3 * BYTES + BYTES / 2, ..ServeLimits::default() };
    let client = Client::with(ServeOptions { limits, ..options() });
    let answer = volumes(&client, &files).await;
    answer.problem(422);
    let answer = answer.json();
    let errors = answer["volumes"].as_array().unwrap().iter();
    let errors: Vec<&str> = errors.map(|result| result["error"]["detail"].as_str().unwrap()).collect();
    let refused: Vec<bool> = errors.iter().map(|error| error.contains("bytes of memory together")).collect();
    assert_eq!(refused, (0..12).map(|number| number >= 3).collect::<Vec<_>>(), "{errors:?}");
    assert!(errors[0].contains("nothing but air"), "{}", errors[0]);
}

#[tokio::test]
async fn a_threshold_of_images_is_refused() {
    let bytes = fs::read(folder().join("test/good/000.nii.gz")).unwrap();
    let client = Client::new();
    let refused = client.post("/api/v1/detectors/first/volumes?threshold=99", bytes.clone()).await;
    assert!(refused.problem(400).contains("expected no query parameters, found \"threshold=99\""));
    assert!(refused.json()["hint"].as_str().unwrap().contains("threshold of volumes"));
    client.post("/api/v1/detectors/first/volumes?", bytes).await.done();
}
