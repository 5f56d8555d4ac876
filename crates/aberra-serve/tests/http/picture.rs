//! Pictures of images in formats that browsers do not show.

use aberra::image::{Limits, decode};
use axum::http::{Request, header};

use crate::fixture::{Client, form, png};

const PICTURE: &str = "/api/v1/detectors/first/picture";
const TWELVE_BITS: &[u8] = include_bytes!("../../../aberra-image/tests/golden/jpeg2000.dcm");

/// An array of NumPy of 16 x 24 whole numbers of 16 bits: `most` times the column.
pub(crate) fn array(most: u16) -> Vec<u8> {
    let header = "{'descr': '<u2', 'fortran_order': False, 'shape': (16, 24), }";
    let values = (0..16).flat_map(|_| (0..24).map(|column| most * column)).flat_map(u16::to_le_bytes);
    [b"\x93NUMPY\x01\x00\x76\x00", format!("{header:117}\n").as_bytes(), &values.collect::<Vec<u8>>()]
        .concat()
}

#[tokio::test]
async fn an_image_of_any_format_becomes_a_png_of_its_own_size() {
    let client = Client::new();
    let limits = Limits::default();
    for (what, bytes) in [("DICOM", TWELVE_BITS.to_vec()), ("array", array(100)), ("PNG", png(3))] {
        let answer = client.post(PICTURE, bytes.clone()).await;
        assert_eq!(answer.headers["content-type"], "image/png", "{what}");
        let (before, drawn) = (decode(&bytes, &limits).unwrap(), decode(&answer.body, &limits).unwrap());
        assert_eq!(
            (drawn.height, drawn.width, drawn.source.bit_depth),
            (before.height, before.width, 8),
            "{what}"
        );
        // Values of 8 bits are as they were; others reach from black to white.
        let most = drawn.pixels.iter().copied().fold(0.0, f32::max);
        assert!(if what == "PNG" { drawn.pixels == before.pixels } else { most == 1.0 }, "{what}: {most}");
    }
}

#[tokio::test]
async fn nothing_of_a_file_but_its_pixels_is_in_its_picture() {
    // In the preamble, which may hold anything.
    let name = b"PLANTED^PATIENT";
    let mut bytes = TWELVE_BITS.to_vec();
    bytes[..name.len()].copy_from_slice(name);
    let answer = Client::new().post(PICTURE, bytes).await;
    assert!(decode(&answer.body, &Limits::default()).is_ok());
    assert!(!answer.body.windows(name.len()).any(|part| part == name));
}

#[tokio::test]
async fn what_is_no_single_image_is_refused() {
    let client = Client::new();
    let why = client.post(PICTURE, b"not an image".to_vec()).await.problem(422);
    assert!(why.contains("expected"), "{why}");
    let (kind, two) = form(&[("a.png", &png(1)), ("b.png", &png(2))]);
    let sent = Request::post(PICTURE).header(header::CONTENT_TYPE, kind);
    assert!(client.ask(sent, two).await.problem(400).contains("found several"));
    client.post(PICTURE, Vec::new()).await.problem(400);
    client.post("/api/v1/detectors/none/picture", png(1)).await.problem(404);
}
