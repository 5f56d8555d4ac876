//! Limits on bodies: size, compression, form parts, time and queue; and hostile bodies.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use aberra::image::{Color, encode_png};
use aberra_serve::{ServeLimits, ServeOptions};
use axum::body::Body;
use axum::http::{Request, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::fixture::{Client, IMAGE_PX, form, options, png};

const SCORE: &str = "/api/v1/detectors/first/score";

fn limited(limits: ServeLimits) -> Client {
    Client::with(ServeOptions { limits, ..options() })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn compressed_bodies_are_the_same_images() {
    let client = Client::new();
    let plain = client.post(SCORE, png(0)).await.done();
    for (encoding, body) in [("gzip", gzip(&png(0))), ("deflate", deflate(&png(0))), ("identity", png(0))] {
        let request = Request::post(SCORE).header(header::CONTENT_ENCODING, encoding);
        assert_eq!(client.ask(request, body).await.done(), plain);
    }
    let with = |encoding: &str| Request::post(SCORE).header(header::CONTENT_ENCODING, encoding);
    client.ask(with("br"), png(0)).await.problem(415);
    client.ask(with("gzip, gzip"), png(0)).await.problem(415);
    client.ask(with("gzip"), png(0)).await.problem(400);
    client.ask(with("gzip"), gzip(&png(0))[..40].to_vec()).await.problem(400);
    client.ask(with("deflate"), &b"\x78\x9c\xff\xff"[..]).await.problem(400);
}

#[tokio::test]
async fn bodies_within_their_bound_are_images_however_large() {
    let client = Client::new();
    let noise: Vec<u8> =
        (0..2000 * 2000_usize).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let large = encode_png(&noise, 2000, 2000, Color::Grey).unwrap();
    assert!(large.len() > 3 << 20);
    client.post(SCORE, large.clone()).await.done();
    let (kind, body) = form(&[("a", &large), ("b", &large)]);
    client.ask(Request::post(SCORE).header(header::CONTENT_TYPE, kind), body).await.done();
}

#[tokio::test]
async fn answers_are_compressed_for_who_asks() {
    let client = Client::new();
    for encoding in ["gzip", "deflate"] {
        let asked = Request::get("/api/v1/openapi.json").header(header::ACCEPT_ENCODING, encoding);
        assert_eq!(client.ask(asked, "").await.headers[header::CONTENT_ENCODING], encoding);
    }
    assert!(!client.get("/api/v1/openapi.json").await.headers.contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn the_page_is_kept_compressed_and_comes_to_everyone() {
    let client = Client::new();
    let plain = client.get("/").await;
    assert!(
        !plain.headers.contains_key(header::CONTENT_ENCODING) && plain.body.starts_with(b"<!doctype html>")
    );
    for (accepted, packed) in
        [("br, GZIP;q=0.5", true), ("deflate, gzip", true), ("gzip; q=0", false), ("x", false)]
    {
        let answer = client.ask(Request::get("/").header(header::ACCEPT_ENCODING, accepted), "").await;
        assert_eq!(answer.headers.get(header::CONTENT_ENCODING).is_some_and(|by| by == "gzip"), packed);
        let mut page = Vec::new();
        match packed {
            true => GzDecoder::new(&answer.body[..]).read_to_end(&mut page).unwrap(),
            false => answer.body.as_slice().read_to_end(&mut page).unwrap(),
        };
        assert!(page == plain.body, "{accepted}");
        assert_eq!(answer.headers[header::ETAG], plain.headers[header::ETAG]);
    }
    let known = plain.headers[header::ETAG].clone();
    assert_eq!(client.ask(Request::get("/").header(header::IF_NONE_MATCH, known), "").await.status, 304);
}

#[tokio::test]
async fn bodies_beyond_their_bound_are_refused_also_when_they_grow() {
    let client = limited(ServeLimits { body_bytes: 100_000, ..ServeLimits::default() });
    client.post(SCORE, png(0)).await.done();
    client.post(SCORE, vec![0; 100_001]).await.problem(413);
    // Without a Content-Length.
    let chunks = (0..20).map(|_| Ok::<_, Infallible>(Bytes::from(vec![0; 10_000])));
    client.post(SCORE, Body::from_stream(futures_util::stream::iter(chunks))).await.problem(413);
    for (encoding, bomb) in [("gzip", gzip(&vec![0; 50_000_000])), ("deflate", deflate(&vec![0; 50_000_000]))]
    {
        assert!(bomb.len() < 100_000);
        let request = Request::post(SCORE).header(header::CONTENT_ENCODING, encoding);
        client.ask(request, bomb).await.problem(413);
    }
    // The memory limit of all bodies together.
    let client = limited(ServeLimits { held_bytes: 1_000, ..ServeLimits::default() });
    let refused = client.post(SCORE, vec![0; 2_000]).await;
    refused.problem(503);
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
}

#[tokio::test]
async fn bodies_that_do_not_come_are_not_waited_for() {
    let client = limited(ServeLimits { body_time: Duration::from_millis(100), ..ServeLimits::default() });
    let never = futures_util::stream::pending::<Result<Bytes, Infallible>>();
    let started = Instant::now();
    client.post(SCORE, Body::from_stream(never)).await.problem(408);
    assert!(started.elapsed() < Duration::from_secs(5));
    let broken = futures_util::stream::iter([Ok(Bytes::from_static(b"\x89PNG")), Err("gone")]);
    client.post(SCORE, Body::from_stream(broken)).await.problem(400);
}

#[tokio::test]
async fn too_many_images_parts_or_pixels_are_refused() {
    let client =
        limited(ServeLimits { images: 2, pixels: (IMAGE_PX * IMAGE_PX) as u64, ..ServeLimits::default() });
    let (one, large) = (
        png(0),
        encode_png(&vec![9; (IMAGE_PX + 1) * IMAGE_PX], IMAGE_PX + 1, IMAGE_PX, Color::Grey).unwrap(),
    );
    let send = async |files: &[(&str, &[u8])]| {
        let (kind, body) = form(files);
        client.ask(Request::post(SCORE).header(header::CONTENT_TYPE, kind), body).await
    };
    send(&[("a", &one), ("b", &one)]).await.done();
    send(&[("a", &one), ("b", &one), ("c", &one)]).await.problem(413);
    let refused = client.post(SCORE, large).await;
    assert_eq!(refused.problem(422), "expected an image that can be scored, found none");
    assert!(refused.json()["images"][0]["error"]["detail"].as_str().unwrap().contains("max_pixels"));

    let part = "--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nx\r\n";
    let many = format!("{}--b--\r\n", part.repeat(10_000));
    let request = || Request::post(SCORE).header(header::CONTENT_TYPE, "multipart/form-data; boundary=b");
    // The first field that is not known ends it.
    client.ask(request(), many).await.problem(400);
    client.ask(request(), format!("{part}--b--\r\n")).await.problem(400);
}

#[tokio::test]
async fn a_full_queue_answers_at_once_and_says_when_to_come_back() {
    let client = limited(ServeLimits { queue: 1, images: 1, ..ServeLimits::default() });
    let large = encode_png(&vec![9; 5000 * 5000], 5000, 5000, Color::Grey).unwrap();
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.post(SCORE, large).await }
    });
    // Let it take its place in the queue first.
    tokio::time::sleep(Duration::from_millis(30)).await;
    let mut refused = 0;
    while !slow.is_finished() {
        let started = Instant::now();
        let answer = client.post(SCORE, png(0)).await;
        if answer.status.as_u16() == 503 {
            answer.problem(503);
            assert_eq!(answer.headers[header::RETRY_AFTER], "1");
            assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
            refused += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(refused > 0);
    slow.await.unwrap().done();
    client.post(SCORE, png(0)).await.done();
}

#[tokio::test]
async fn who_leaves_takes_nothing_along() {
    let client = limited(ServeLimits { queue: 2, images: 2, ..ServeLimits::default() });
    for index in 0..50 {
        let asked = client.post(SCORE, png(index));
        let _ = tokio::time::timeout(Duration::from_micros(200 * (index % 5)), asked).await;
    }
    // Every place in the queue is released.
    let deadline = Instant::now() + Duration::from_secs(10);
    let (kind, body) = form(&[("a", &png(0)), ("b", &png(1))]);
    loop {
        let answer = client.ask(Request::post(SCORE).header(header::CONTENT_TYPE, &kind), body.clone()).await;
        if answer.status.as_u16() != 503 || Instant::now() > deadline {
            answer.done();
            break;
        }
    }
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_nothing_else_happens() {
    let client = Client::new();
    let good = png(0);
    let mut hostile: Vec<Vec<u8>> = (1..good.len()).step_by(29).map(|end| good[..end].to_vec()).collect();
    hostile.extend((8..good.len()).step_by(31).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        bytes
    }));
    let magic: [&[u8]; 7] = [
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*",
        b"BM",
        b"RIFF\xff\xff\xff\xffWEBPVP8L",
        b"GIF89a",
    ];
    for (index, start) in magic.iter().cycle().take(70).enumerate() {
        let noise = (0..index * 37).map(|at| (at * 7919 + index * 104_729) as u8);
        hostile.push(start.iter().copied().chain(noise).collect());
    }
    for bytes in hostile {
        let answer = client.post(SCORE, bytes.clone()).await;
        assert!(matches!(answer.status.as_u16(), 200 | 422), "{}: {bytes:?}", answer.status);
        if answer.status.as_u16() == 422 {
            answer.problem(422);
            assert!(answer.json()["images"][0]["error"]["detail"].is_string());
        }
    }
    client.post(SCORE, Vec::new()).await.problem(400);
    let kinds = [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=x",
        "MULTIPART/",
    ];
    for kind in kinds {
        for body in [&b""[..], b"--x", b"--x\r\n\r\n", b"--x--", &good] {
            client
                .ask(Request::post(SCORE).header(header::CONTENT_TYPE, kind), body.to_vec())
                .await
                .problem(400);
        }
    }
    client.post(SCORE, good).await.done();
}
