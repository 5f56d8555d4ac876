//! `aberra serve` as a process: output, responses, rejected options, and graceful shutdown.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::program::{Room, detector, shared, stripes};

/// A running server.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(room: &Room, words: &str) -> Self {
        Self::start_with(room, &[detector().display().to_string()], words).0
    }

    /// Serves these files; returns also the lines of standard output about each.
    fn start_with(room: &Room, files: &[String], words: &str) -> (Self, Vec<String>) {
        let mut command = room.command();
        command.args(["serve"]).args(files).args(["--address", "127.0.0.1:0"]).args(words.split_whitespace());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.as_mut().unwrap());
        let mut said: Vec<String> = out.lines().take(1 + files.len()).map(Result::unwrap).collect();
        let line = said.remove(0);
        let address = line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}"));
        (Self { address: address.to_owned(), child }, said)
    }

    fn ask(&self, head: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends SIGTERM; returns the exit code and standard error.
    fn end(self) -> (Option<i32>, String) {
        self.terminate();
        self.ended()
    }

    fn terminate(&self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
    }

    /// Waits for the end; returns the exit code and standard error.
    fn ended(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
    }
}

#[cfg(unix)]
#[test]
fn a_served_score_is_that_of_score_and_sigterm_ends_it_well() {
    let room = Room::new();
    let printed =
        room.run_with(["score".as_ref(), detector().as_os_str(), stripes().as_os_str(), "--json".as_ref()]);
    let expected = printed.done().json()["score"].as_f64().unwrap();
    let serving = Serving::start(&room, "--log json");
    let answer = serving.ask("POST /api/v1/detectors/run/score", &fs::read(stripes()).unwrap());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let verdict = &body["images"][0]["verdict"];
    assert_eq!(verdict["score"].as_f64().unwrap().to_bits(), expected.to_bits());
    assert_eq!(verdict["anomalous"], true);
    serving.ask("GET /Jane-Doe", b"");
    let (code, said) = serving.end();
    assert_eq!(code, Some(0), "{said}");
    // One JSON object per line, without text from clients.
    assert!(said.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{said}");
    assert!(said.contains("shutting down") && !said.contains("Jane"), "{said}");
}

#[test]
fn names_of_any_script_are_given_on_the_command_line_and_said_with_their_files() {
    let room = Room::new();
    fs::copy(detector(), room.path("left=right.aberra")).unwrap();
    fs::create_dir(room.path("断層")).unwrap();
    fs::copy(detector(), room.path("断層/detector.aberra")).unwrap();
    let file = detector().display().to_string();
    let files = ["断層/detector.aberra".to_owned(), format!("線 1={file}"), "left=right.aberra".to_owned()];
    let (serving, said) = Serving::start_with(&room, &files, "--log off");
    let expected = [
        "断層 = 断層/detector.aberra".to_owned(),
        format!("線 1 = {file}"),
        "left=right = left=right.aberra".to_owned(),
    ];
    assert_eq!(said, expected);
    for name in ["%E6%96%AD%E5%B1%A4", "%E7%B7%9A%201", "left=right"] {
        let answer =
            serving.ask(&format!("POST /api/v1/detectors/{name}/score"), &fs::read(stripes()).unwrap());
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
}

/// A PNG of a few hundred kilobytes whose pixels take all the memory that an image may take: 16-bit colour with alpha, black.
#[cfg(target_os = "linux")]
fn largest_png() -> Vec<u8> {
    const SIDE: u32 = 6_300;
    let mut pixels = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let row = vec![0; 1 + SIDE as usize * 8];
    for _ in 0..SIDE {
        pixels.write_all(&row).unwrap();
    }
    let head = [&SIDE.to_be_bytes()[..], &SIDE.to_be_bytes(), &[16, 6, 0, 0, 0]].concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", head), (b"IDAT", pixels.finish().unwrap()), (b"IEND", Vec::new())] {
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(&data);
        png.extend((data.len() as u32).to_be_bytes());
        png.extend([&kind[..], &data[..], &crc.sum().to_be_bytes()].concat());
    }
    png
}

/// A line of the process's status, in MB.
#[cfg(target_os = "linux")]
fn megabytes(serving: &Serving, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", serving.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// Three at once: they are decoded one after the other.
#[cfg(target_os = "linux")]
#[test]
fn the_largest_images_take_bounded_memory_which_is_given_back() {
    let room = Room::new();
    let serving = Serving::start(&room, "--log off");
    let (largest, usual) = (largest_png(), fs::read(stripes()).unwrap());
    std::thread::scope(|scope| {
        for bytes in [&largest, &usual, &largest, &usual, &largest] {
            let serving = &serving;
            scope.spawn(move || {
                let answer = serving.ask("POST /api/v1/detectors/run/score", bytes);
                assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
            });
        }
    });
    let peak = megabytes(&serving, "VmHWM:");
    assert!(peak > 250.0 && peak < 600.0, "at most {peak} MB");
    let deadline = Instant::now() + Duration::from_secs(60);
    while megabytes(&serving, "VmRSS:") >= 150.0 {
        assert!(Instant::now() < deadline, "{} MB are still held", megabytes(&serving, "VmRSS:"));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A request of which only the head and the beginning of the body are sent: it is running.
#[cfg(unix)]
fn half_sent(serving: &Serving, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&serving.address).unwrap();
    let head = format!(
        "POST /api/v1/detectors/run/explain HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&bytes[..20]).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    stream
}

#[cfg(unix)]
#[test]
fn probes_see_503_and_new_work_is_refused_while_running_requests_finish() {
    let room = Room::new();
    let serving = Serving::start(&room, "--log off");
    let bytes = fs::read(stripes()).unwrap();
    let mut running = half_sent(&serving, &bytes);
    assert!(serving.ask("GET /v2/health/ready", b"").starts_with("HTTP/1.1 200 OK"));
    serving.terminate();
    let deadline = Instant::now() + Duration::from_secs(10);
    while serving.ask("GET /v2/health/ready", b"").starts_with("HTTP/1.1 200 OK") {
        assert!(Instant::now() < deadline, "it stays ready");
    }
    for path in ["/v2/health/ready", "/v2/models/run/ready"] {
        let answer = serving.ask(&format!("GET {path}"), b"");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }
    assert!(serving.ask("GET /v2/health/live", b"").starts_with("HTTP/1.1 200 OK"));
    let refused = serving.ask("POST /api/v1/detectors/run/score", &bytes);
    let (head, document) = refused.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("application/problem+json"), "{refused}");
    assert!(head.to_ascii_lowercase().contains("retry-after: "), "{refused}");
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    assert!(document["detail"].as_str().unwrap().contains("shutting down"), "{document}");
    let refused = serving.ask("POST /v2/models/run/infer", b"{}");
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\"error\":\"the server is shutting"));
    running.write_all(&bytes[20..]).unwrap();
    let mut answer = Vec::new();
    running.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(serving.ended().0, Some(0));
}

#[cfg(unix)]
#[test]
fn who_does_not_finish_is_waited_for_as_long_as_was_said() {
    let room = Room::new();
    let serving = Serving::start(&room, "--log off --drain 1");
    let _running = half_sent(&serving, &fs::read(stripes()).unwrap());
    let at = Instant::now();
    serving.terminate();
    assert_eq!(serving.ended().0, Some(0));
    let took = at.elapsed();
    assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn what_cannot_be_served_is_refused_with_a_reason() {
    let room = Room::new();
    let (detector, data) = (detector().display().to_string(), shared().join("data").display().to_string());
    fs::write(room.path("short"), "too short\n").unwrap();
    fs::write(room.path("spaces"), "a key with spaces in it\n").unwrap();
    for (words, expected) in [
        ("serve", "required"),
        ("serve none.aberra", "none.aberra"),
        (&format!("serve {detector} --address 0.0.0.0:0"), "--api-key-file"),
        (&format!("serve {detector} --address localhost"), "--address"),
        (&format!("serve {detector} --api-key-file none"), "none"),
        (&format!("serve {detector} --api-key-file short"), "at least 16"),
        (&format!("serve {detector} --api-key-file spaces"), "without spaces"),
        (&format!("serve {detector} --tls-key short"), "--tls-certificate"),
        (&format!("serve {detector} --tls-key short --tls-certificate short"), "short"),
        (&format!("serve {detector} --data none"), "none"),
        (&format!("serve {detector} --split split.json"), "--data"),
        (&format!("serve {detector} {detector} --data {data} --evaluation evaluation.json"), "one detector"),
        (&format!("serve {detector} --queue 0"), "at least 1"),
        (&format!("serve {detector} {detector}"), "two called \"run\""),
        (&format!("serve ..={detector}"), "relative path"),
        ("serve one=none.aberra", "none.aberra"),
    ] {
        let said = room.run(words).refusal(&room);
        assert!(said.contains(expected), "{words}: {said}");
        assert!(!said.contains("a key with"), "{said}");
    }
}
