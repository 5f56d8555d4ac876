//! Hostile requests: broken images, pictures and archives that unpack to far more than they
//! weigh, forms and JSON out of bounds, lengths that lie, and bytes that are no HTTP at all.

use std::io::Write;
use std::net::SocketAddr;

use aberra::image::{Color, encode_jpeg, encode_png};
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, Crc};

use super::client::post;
use crate::grouped::Result;

/// What a server may do with a request. In every case: no status of 500 or above but 501, 503 and 505, and it lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// To refuse it, in words.
    Refusal,
    /// To answer it, well or not.
    Answer,
    /// To close the connection, too: it is not HTTP. The sender ends its side after the last byte.
    Close,
}

/// A request and what may come of it.
pub(super) struct Hostile {
    /// Its kind.
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) allowed: Allowed,
}

/// Numbers that look random and are always the same.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `below` (splitmix64).
    pub(super) fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % below.max(1) as u64) as usize
    }

    fn noise(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.roll(256) as u8).collect()
    }
}

/// Side of the pictures that are broken.
const SIDE: usize = 96;
/// More than a body may hold once unpacked.
const BOMB_BYTES: usize = 200 << 20;

/// Side of the largest square that is read where no other limit is set, in whole hundreds.
const LARGEST_PX: u32 = 6_300;

/// Where requests go.
pub(super) struct Aim<'a> {
    pub(super) address: SocketAddr,
    /// The detector's name.
    pub(super) detector: &'a str,
}

/// `count` requests: every kind in turn, each time with other random parts.
///
/// # Errors
/// A picture cannot be encoded.
pub(super) fn hostile(aim: &Aim<'_>, count: usize) -> Result<Vec<Hostile>> {
    let mut dice = Dice::new(5);
    let mut all = Vec::new();
    let (bombs, largest) = (bombs(aim)?, largest(aim)?);
    while all.len() < count {
        pictures(aim, &mut dice, &mut all)?;
        forms(aim, &mut dice, &mut all);
        json(aim, &mut all);
        inference(aim, &mut dice, &mut all);
        lengths(aim, &mut dice, &mut all);
        heads(aim, &mut dice, &mut all);
        for (name, bytes) in &bombs {
            all.push(Hostile { name, bytes: bytes.clone(), allowed: Allowed::Refusal });
        }
        for (name, bytes) in &largest {
            all.push(Hostile { name, bytes: bytes.clone(), allowed: Allowed::Answer });
        }
    }
    // The kinds mixed, so that what few are sent are of many kinds.
    for last in (1..all.len()).rev() {
        all.swap(last, dice.roll(last + 1));
    }
    all.truncate(count);
    Ok(all)
}

impl Aim<'_> {
    fn path(&self, verb: &str) -> String {
        format!("/api/v1/detectors/{}/{verb}", self.detector)
    }

    fn score(&self, headers: &str, body: &[u8]) -> Vec<u8> {
        post(self.address, &self.path("score"), headers, body)
    }

    fn infer(&self, headers: &str, body: &[u8]) -> Vec<u8> {
        post(self.address, &format!("/v2/models/{}/infer", self.detector), headers, body)
    }
}

/// Pictures cut off, and with bytes turned over.
fn pictures(aim: &Aim<'_>, dice: &mut Dice, all: &mut Vec<Hostile>) -> Result<()> {
    let ramp: Vec<u8> = (0..SIDE * SIDE).map(|at| (at % SIDE * 255 / SIDE) as u8).collect();
    let encoded: [(&str, &str, Vec<u8>); 5] = [
        ("PNG cut off", "PNG corrupted", encode_png(&ramp, SIDE, SIDE, Color::Grey)?),
        ("JPEG cut off", "JPEG corrupted", encode_jpeg(&ramp, SIDE, SIDE, Color::Grey, 90)?),
        ("BMP cut off", "BMP corrupted", bmp(SIDE as u32, &ramp)),
        ("TIFF cut off", "TIFF corrupted", tiff(SIDE as u32, &ramp)),
        ("WebP cut off", "WebP corrupted", WEBP.to_vec()),
    ];
    for (cut_off, corrupted, bytes) in encoded {
        let cut = &bytes[..1 + dice.roll(bytes.len() - 1)];
        all.push(Hostile { name: cut_off, bytes: aim.score("", cut), allowed: Allowed::Answer });
        let mut bytes = bytes;
        let first = if dice.roll(2) == 0 { bytes.len().min(64) } else { bytes.len() };
        for _ in 0..1 + dice.roll(8) {
            let at = dice.roll(first);
            bytes[at] = dice.roll(256) as u8;
        }
        all.push(Hostile { name: corrupted, bytes: aim.score("", &bytes), allowed: Allowed::Answer });
    }
    let noise = dice.noise(2048);
    all.push(Hostile { name: "noise as a picture", bytes: aim.score("", &noise), allowed: Allowed::Refusal });
    all.push(Hostile { name: "no picture at all", bytes: aim.score("", b""), allowed: Allowed::Refusal });
    Ok(())
}

/// A picture of one pixel, lossless.
const WEBP: &[u8] = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0";

fn bmp(side: u32, grey: &[u8]) -> Vec<u8> {
    const HEAD: u32 = 54;
    let pixels: Vec<u8> = grey.iter().flat_map(|&value| [value; 3]).collect();
    let mut bytes = b"BM".to_vec();
    for value in [HEAD + pixels.len() as u32, 0, HEAD, 40, side, side] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    bytes.extend([0; 24]);
    bytes.extend(pixels);
    bytes
}

fn tiff(side: u32, grey: &[u8]) -> Vec<u8> {
    const PIXELS: u32 = 8;
    let count = grey.len() as u32;
    let mut bytes = b"II*\0".to_vec();
    bytes.extend((PIXELS + count).to_le_bytes());
    bytes.extend(grey);
    // Width, height, bits, no compression, black is zero, where the strip lies, samples, rows, the strip's bytes.
    let tags = [
        (256u16, side),
        (257, side),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, PIXELS),
        (277, 1),
        (278, side),
        (279, count),
    ];
    bytes.extend((tags.len() as u16).to_le_bytes());
    for (tag, value) in tags {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(4u16.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes()[..], kind, data, &crc.sum().to_be_bytes()].concat()
}

/// A PNG with a head of its own and `data` as compressed pixels.
fn png(width: u32, height: u32, bits: u8, color: u8, extra: &[u8], data: &[u8]) -> Vec<u8> {
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[bits, color, 0, 0, 0]].concat();
    let parts = [chunk(b"IHDR", &head), extra.to_vec(), chunk(b"IDAT", data), chunk(b"IEND", b"")];
    [b"\x89PNG\r\n\x1a\n".to_vec(), parts.concat()].concat()
}

fn zeros(count: usize, mut into: impl Write) -> std::io::Result<()> {
    let block = vec![0; 1 << 20];
    let mut left = count;
    while left > 0 {
        let part = left.min(block.len());
        into.write_all(&block[..part])?;
        left -= part;
    }
    Ok(())
}

/// Small requests that unpack to a lot. All have to be refused.
fn bombs(aim: &Aim<'_>) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
    zeros(BOMB_BYTES, &mut pixels)?;
    let pixels = pixels.finish()?;
    let mut archive = GzEncoder::new(Vec::new(), Compression::fast());
    zeros(BOMB_BYTES, &mut archive)?;
    let archive = archive.finish()?;
    let mut twice = GzEncoder::new(Vec::new(), Compression::fast());
    twice.write_all(&archive)?;
    let twice = twice.finish()?;
    let text = chunk(b"zTXt", &[b"Comment\0\0", pixels.as_slice()].concat());
    let most = i32::MAX as u32;
    let score = |headers: &str, body: &[u8]| aim.score(headers, body);
    Ok(vec![
        ("PNG of 2^31 x 2^31", score("", &png(most, most, 8, 0, b"", &pixels[..1000]))),
        ("PNG of 2^31 x 1", score("", &png(most, 1, 8, 0, b"", &pixels[..1000]))),
        ("PNG of 30,000 x 30,000", score("", &png(30_000, 30_000, 16, 6, b"", &pixels))),
        ("PNG of 14,000 x 14,000 that is whole", score("", &png(14_000, 14_000, 8, 0, b"", &pixels))),
        ("PNG of no pixels", score("", &png(0, 0, 8, 0, b"", &pixels[..100]))),
        ("PNG with a text that unpacks", score("", &png(64, 64, 8, 0, &text, b""))),
        ("gzip that unpacks", score("Content-Encoding: gzip\r\n", &archive)),
        ("gzip in gzip", score("Content-Encoding: gzip\r\n", &twice)),
        ("deflate that unpacks", score("Content-Encoding: deflate\r\n", &pixels)),
        ("gzip cut off", score("Content-Encoding: gzip\r\n", &archive[..archive.len() / 2])),
        ("gzip that is not", score("Content-Encoding: gzip\r\n", b"this is not gzip")),
        ("two encodings", score("Content-Encoding: gzip, gzip\r\n", &twice)),
    ])
}

/// The largest pictures that are read: a few kilobytes that take all the memory that a picture may take.
fn largest(aim: &Aim<'_>) -> Result<[(&'static str, Vec<u8>); 2]> {
    let picture = |bits: u8, color: u8, bytes_per_pixel: usize| -> Result<Vec<u8>> {
        let row = 1 + LARGEST_PX as usize * bytes_per_pixel;
        let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
        zeros(row * LARGEST_PX as usize, &mut pixels)?;
        Ok(aim.score("", &png(LARGEST_PX, LARGEST_PX, bits, color, b"", &pixels.finish()?)))
    };
    Ok([("largest PNG, grey", picture(8, 0, 1)?), ("largest PNG, 16-bit colour", picture(16, 6, 8)?)])
}

/// Forms without an end, without parts, with too many and too long ones.
fn forms(aim: &Aim<'_>, dice: &mut Dice, all: &mut Vec<Hostile>) {
    const PART: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n";
    const KIND: &str = "Content-Type: multipart/form-data; boundary=b\r\n";
    let long = "x".repeat(100_000);
    let many = |count| format!("{PART}x\r\n").repeat(count) + "--b--\r\n";
    let forms: [(&str, &str, Vec<u8>); 10] = [
        ("form without an end", KIND, PART.as_bytes().to_vec()),
        ("form of 10,000 parts", KIND, many(10_000).into_bytes()),
        ("form of no parts", KIND, b"--b--\r\n".to_vec()),
        ("form without a boundary", "Content-Type: multipart/form-data\r\n", many(1).into_bytes()),
        (
            "form with another boundary",
            "Content-Type: multipart/form-data; boundary=other\r\n",
            many(1).into_bytes(),
        ),
        ("form with a long head", KIND, format!("--b\r\nX-Long: {long}\r\n\r\nx\r\n--b--\r\n").into_bytes()),
        ("form with a head without an end", KIND, format!("--b\r\nX-Long: {long}").into_bytes()),
        (
            "form with a name out of the folder",
            KIND,
            "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"../../../etc/passwd\0\"\r\n\r\nx\r\n--b--\r\n"
                .as_bytes()
                .to_vec(),
        ),
        ("form of noise", KIND, [PART.as_bytes(), &dice.noise(4096)].concat()),
        ("form of dashes", KIND, vec![b'-'; 200_000]),
    ];
    for (name, headers, body) in forms {
        all.push(Hostile { name, bytes: aim.score(headers, &body), allowed: Allowed::Refusal });
    }
}

/// JSON that is too deep, too large or of other numbers than there are.
fn json(aim: &Aim<'_>, all: &mut Vec<Hostile>) {
    const KIND: &str = "Content-Type: application/json\r\n";
    let bodies: [(&str, &str, String); 14] = [
        ("JSON 100,000 deep", "threshold", "[".repeat(100_000)),
        ("JSON objects 100,000 deep", "threshold", "{\"a\":".repeat(100_000)),
        ("JSON 100,000 deep", "decode", format!("{{\"latents\":{}", "[".repeat(100_000))),
        ("JSON with NaN", "decode", "{\"latents\":[[NaN]]}".to_owned()),
        ("JSON with a number too large", "decode", "{\"latents\":[[1e999]]}".to_owned()),
        ("JSON with a number too large", "threshold", criterion("\"fixed\",\"threshold\":1e999")),
        ("JSON with a rate below 0", "threshold", criterion("\"conformal\",\"rate\":-1")),
        ("JSON with a rate above 1", "threshold", criterion("\"conformal\",\"rate\":2,\"confidence\":5")),
        ("JSON with a percentile above 100", "threshold", criterion("\"percentile\",\"percentile\":1e300")),
        ("JSON of too many pictures", "decode", "{\"prior\":{\"seed\":1,\"count\":4000000000}}".to_owned()),
        ("JSON of a negative count", "decode", "{\"prior\":{\"seed\":-1,\"count\":-1}}".to_owned()),
        (
            "JSON of a million empty rows",
            "decode",
            format!("{{\"latents\":[{}[]]}}", "[],".repeat(1_000_000)),
        ),
        ("JSON that is cut off", "threshold", "{\"criterion\":{\"kind\":\"fix".to_owned()),
        ("JSON of half a character", "threshold", "\"\\ud800\"".to_owned()),
    ];
    for (name, verb, body) in bodies {
        let bytes = post(aim.address, &aim.path(verb), KIND, body.as_bytes());
        all.push(Hostile { name, bytes, allowed: Allowed::Refusal });
    }
}

fn criterion(text: &str) -> String {
    format!("{{\"criterion\":{{\"kind\":{text}}}}}")
}

/// Requests of the Open Inference Protocol whose sizes lie.
fn inference(aim: &Aim<'_>, dice: &mut Dice, all: &mut Vec<Hostile>) {
    let input = |name: &str, shape: &str, kind: &str, rest: &str| {
        format!("{{\"inputs\":[{{\"name\":\"{name}\",\"shape\":{shape},\"datatype\":\"{kind}\",{rest}}}]}}")
    };
    let binary = |size: &str| format!("\"parameters\":{{\"binary_data_size\":{size}}}");
    let plain = [
        ("inference with a shape that lies", input("image", "[1,1000000,1000000,1]", "FP32", "\"data\":[1]")),
        ("inference with a negative shape", input("image", "[-1,-1]", "BYTES", "\"data\":[\"x\"]")),
        (
            "inference with a shape that overflows",
            input("image", "[4294967296,4294967296,2]", "UINT8", "\"data\":[1]"),
        ),
        ("inference of another type", input("image", "[1]", "FP128", "\"data\":[1]")),
        ("inference without inputs", "{\"inputs\":[]}".to_owned()),
        (
            "inference of deep data",
            input("image", "[1]", "BYTES", &format!("\"data\":{}", "[".repeat(50_000))),
        ),
        (
            "inference of 10,000 inputs",
            format!(
                "{{\"inputs\":[{}null]}}",
                "{\"name\":\"a\",\"shape\":[0],\"datatype\":\"BYTES\"},".repeat(10_000)
            ),
        ),
    ];
    for (name, body) in plain {
        let bytes = aim.infer("Content-Type: application/json\r\n", body.as_bytes());
        all.push(Hostile { name, bytes, allowed: Allowed::Refusal });
    }
    let lies = ["18446744073709551615", "-1", "1e30", "4000000000", "1", "null"];
    let head = input("image", "[1]", "BYTES", &binary(lies[dice.roll(lies.len())]));
    let tail = dice.noise(64);
    for (name, length) in [
        ("inference with binary data that lie", head.len().to_string()),
        ("inference with a head beyond the body", "1000000000".to_owned()),
        ("inference with a head of no number", "-5".to_owned()),
    ] {
        let headers = format!("Inference-Header-Content-Length: {length}\r\n");
        let bytes = aim.infer(&headers, &[head.as_bytes(), &tail].concat());
        all.push(Hostile { name, bytes, allowed: Allowed::Refusal });
    }
    // An element says that it is longer than what follows.
    let head = input("image", "[1]", "BYTES", &binary("12"));
    let headers = format!("Inference-Header-Content-Length: {}\r\n", head.len());
    let body = [head.as_bytes(), &u32::MAX.to_le_bytes(), &[1; 8]].concat();
    all.push(Hostile {
        name: "inference with an element that lies",
        bytes: aim.infer(&headers, &body),
        allowed: Allowed::Refusal,
    });
}

/// Lengths and chunks that lie.
fn lengths(aim: &Aim<'_>, dice: &mut Dice, all: &mut Vec<Hostile>) {
    let path = aim.path("score");
    let raw = |headers: &str, body: &[u8]| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", aim.address);
        [head.as_bytes(), body].concat()
    };
    let chunks = "Transfer-Encoding: chunked\r\n";
    let requests: [(&str, Vec<u8>); 16] = [
        ("body shorter than its length", raw("Content-Length: 5000\r\n", b"short")),
        ("body longer than its length", raw("Content-Length: 3\r\n", &dice.noise(500))),
        ("length below 0", raw("Content-Length: -1\r\n", b"x")),
        ("length of no number", raw("Content-Length: 1e3\r\n", b"x")),
        ("length beyond 64 bits", raw("Content-Length: 18446744073709551616\r\n", b"x")),
        ("length of 10 GB", raw("Content-Length: 10000000000\r\n", b"x")),
        ("two lengths", raw("Content-Length: 1\r\nContent-Length: 2\r\n", b"xy")),
        ("length and chunks", raw("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n")),
        ("chunk of no number", raw(chunks, b"zz\r\nabc\r\n0\r\n\r\n")),
        ("chunk below 0", raw(chunks, b"-1\r\nabc\r\n0\r\n\r\n")),
        ("chunk beyond 64 bits", raw(chunks, b"ffffffffffffffffff\r\nabc")),
        ("chunk of 16 exabytes", raw(chunks, b"ffffffffffffffff\r\nabc")),
        ("chunks without an end", raw(chunks, b"3\r\nabc\r\n")),
        ("chunk with a long extension", raw(chunks, &[b"3;".to_vec(), vec![b'e'; 100_000]].concat())),
        (
            "chunks with many trailers",
            raw(chunks, &[b"0\r\n".to_vec(), b"X-T: y\r\n".repeat(20_000)].concat()),
        ),
        ("chunks of one byte", raw(chunks, &[b"1\r\nx\r\n".repeat(20_000), b"0\r\n\r\n".to_vec()].concat())),
    ];
    for (name, bytes) in requests {
        all.push(Hostile { name, bytes, allowed: Allowed::Close });
    }
}

/// Heads out of bounds, other protocols, addresses of what is not the client's to see.
fn heads(aim: &Aim<'_>, dice: &mut Dice, all: &mut Vec<Hostile>) {
    let host = aim.address;
    let get = |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
    let long = "a".repeat(100_000);
    let texts: [(&str, String, Allowed); 16] = [
        ("header of 100 kB", get("/", &format!("X-Long: {long}\r\n")), Allowed::Close),
        ("10,000 headers", get("/", &"X-Many: y\r\n".repeat(10_000)), Allowed::Close),
        ("address of 100 kB", get(&format!("/{long}"), ""), Allowed::Close),
        ("header with a zero byte", get("/", "X-Zero: a\0b\r\n"), Allowed::Close),
        ("no host", "GET /api/v1/detectors HTTP/1.1\r\n\r\n".to_owned(), Allowed::Refusal),
        ("two hosts", get("/api/v1/detectors", "Host: other.example\r\n"), Allowed::Refusal),
        (
            "host of another",
            "GET /api/v1/detectors HTTP/1.1\r\nHost: other.example\r\n\r\n".to_owned(),
            Allowed::Refusal,
        ),
        ("origin of another", get("/api/v1/detectors", "Origin: http://other.example\r\n"), Allowed::Refusal),
        ("file outside", get("/assets/../../../../etc/passwd", ""), Allowed::Refusal),
        ("file outside, encoded", get("/assets/%2e%2e/%2e%2e/etc/passwd%00.png", ""), Allowed::Refusal),
        ("detector outside", get("/api/v1/detectors/..%2f..%2fetc%2fpasswd", ""), Allowed::Refusal),
        ("address of broken text", get("/api/v1/detectors/%ff%fe", ""), Allowed::Refusal),
        ("method of its own", format!("STEAL / HTTP/1.1\r\nHost: {host}\r\n\r\n"), Allowed::Refusal),
        ("HTTP/9.9", format!("GET / HTTP/9.9\r\nHost: {host}\r\n\r\n"), Allowed::Close),
        ("HTTP/0.9", "GET /\r\n".to_owned(), Allowed::Close),
        ("upgrade to a socket", get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n"), Allowed::Answer),
    ];
    for (name, text, allowed) in texts {
        all.push(Hostile { name, bytes: text.into_bytes(), allowed });
    }
    let thresholds = ["NaN", "inf", "1e999", "", "1&threshold=2", "%00"];
    let query = format!("score?threshold={}", thresholds[dice.roll(thresholds.len())]);
    let bytes = post(host, &aim.path(&query), "", b"x");
    all.push(Hostile { name: "threshold of no number", bytes, allowed: Allowed::Refusal });
    let noise = dice.noise(3000);
    all.push(Hostile { name: "noise", bytes: noise, allowed: Allowed::Close });
    let mut hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    hello.extend(dice.noise(500));
    all.push(Hostile { name: "TLS to a plain port", bytes: hello, allowed: Allowed::Close });
    let mut frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    frames.extend(dice.noise(2000));
    all.push(Hostile { name: "HTTP/2 of noise", bytes: frames, allowed: Allowed::Close });
    // Settings, then streams that are opened and reset at once.
    let mut resets = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in (1..4000u32).step_by(2) {
        // GET http / of the static table; the host is left out.
        resets.extend([&b"\0\0\x03\x01\x05"[..], &stream.to_be_bytes(), &[0x82, 0x86, 0x84]].concat());
        resets.extend([&b"\0\0\x04\x03\0"[..], &stream.to_be_bytes(), &8u32.to_be_bytes()].concat());
    }
    all.push(Hostile { name: "HTTP/2 of resets", bytes: resets, allowed: Allowed::Close });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aberra::image::{Limits, decode};

    use super::*;

    #[test]
    fn what_is_broken_was_whole() {
        let ramp = vec![100; SIDE * SIDE];
        let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
        pixels.write_all(&[[0, 1, 2, 3]; 3].concat()).unwrap();
        let own = png(3, 3, 8, 0, b"", &pixels.finish().unwrap());
        for (name, bytes) in [
            ("bmp", bmp(SIDE as u32, &ramp)),
            ("tiff", tiff(SIDE as u32, &ramp)),
            ("webp", WEBP.to_vec()),
            ("png", own),
        ] {
            let read = decode(&bytes, &Limits::default());
            assert!(read.is_ok(), "{name}: {:?}", read.err());
        }
    }

    #[test]
    fn requests_are_of_many_kinds_and_always_the_same() {
        let aim = Aim { address: ([127, 0, 0, 1], 1).into(), detector: "scan" };
        let (once, again) = (hostile(&aim, 500).unwrap(), hostile(&aim, 500).unwrap());
        assert_eq!(once.len(), 500);
        assert!(once.iter().zip(&again).all(|(one, other)| one.bytes == other.bytes));
        let kinds: BTreeSet<&str> = once.iter().map(|one| one.name).collect();
        assert!(kinds.len() > 80, "{}", kinds.len());
    }
}
