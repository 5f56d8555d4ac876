//! Tests that need sockets: slow clients, the connection limit, and TLS.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use aberra_serve::{ServeLimits, ServeOptions, TlsFiles};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::fixture::{options, png, server};

const HEAD_TIME: Duration = Duration::from_millis(400);

/// Starts a server that runs until the tests end.
pub(crate) fn start(options: ServeOptions) -> SocketAddr {
    let options = ServeOptions { address: "127.0.0.1:0".parse().unwrap(), ..options };
    let listening = server(options).listen().unwrap();
    let address = listening.address().unwrap();
    thread::spawn(move || listening.run().unwrap());
    address
}

fn impatient() -> ServeLimits {
    ServeLimits { head_time: HEAD_TIME, body_time: HEAD_TIME, ..ServeLimits::default() }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn ask(mut stream: impl Read + Write) -> String {
    let body = png(0);
    let head = format!(
        "POST /api/v1/detectors/first/score HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // The connection ended without close_notify.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends `sent` and nothing more; returns the response and the time until the connection ended.
fn stalled(address: SocketAddr, sent: &[u8]) -> (String, Duration) {
    let mut stream = connect(address);
    let started = Instant::now();
    stream.write_all(sent).unwrap();
    let mut answer = Vec::new();
    // A reset also ends the connection.
    let _ = stream.read_to_end(&mut answer);
    (String::from_utf8_lossy(&answer).into_owned(), started.elapsed())
}

#[test]
fn who_does_not_go_on_is_not_waited_for() {
    let address = start(ServeOptions { limits: impatient(), ..options() });
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let body =
        b"POST /api/v1/detectors/first/score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc";
    for (sent, expected) in [
        (&b""[..], ""),
        (b"P", ""),
        (&preface[..9], ""),
        (b"GET / HTT", ""),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", ""),
        (body, "HTTP/1.1 408 "),
    ] {
        let (answer, took) = stalled(address, sent);
        assert!(answer.starts_with(expected), "{}: {answer}", String::from_utf8_lossy(sent));
        assert!(took < 10 * HEAD_TIME, "{}: {took:?}", String::from_utf8_lossy(sent));
    }
    assert!(ask(connect(address)).starts_with("HTTP/1.1 200 "));
}

#[test]
fn others_are_served_while_many_are_slow() {
    let address =
        start(ServeOptions { limits: ServeLimits { connections: 300, ..impatient() }, ..options() });
    let slow: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = connect(address);
            stream.write_all(b"POST /api/v1/detectors/first/score HTTP/1.1\r\nHost: loc").unwrap();
            stream
        })
        .collect();
    for _ in 0..20 {
        assert!(ask(connect(address)).starts_with("HTTP/1.1 200 "));
    }
    drop(slow);
}

#[test]
fn connections_beyond_the_bound_are_closed_and_room_comes_back() {
    let limits = ServeLimits { connections: 2, ..ServeLimits::default() };
    let address = start(ServeOptions { limits, ..options() });
    let held = [connect(address), connect(address)];
    thread::sleep(Duration::from_millis(100));
    let (answer, _) = stalled(address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(answer, "");
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !stalled(address, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .0
        .starts_with("HTTP/1.1 200 ")
    {
        assert!(Instant::now() < deadline, "no room came back");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn tls_speaks_to_those_who_do() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles { certificates: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    fs::write(&files.certificates, cert.pem()).unwrap();
    fs::write(&files.key, signing_key.serialize_pem()).unwrap();
    let address = start(ServeOptions { tls: Some(files.clone()), limits: impatient(), ..options() });

    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    assert!(ask(StreamOwned::new(client, connect(address))).starts_with("HTTP/1.1 200 "));
    // Plain HTTP and an unfinished handshake get no response.
    let (answer, took) = stalled(address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!answer.starts_with("HTTP/1.1 200") && took < 10 * HEAD_TIME, "{answer}");
    let (answer, took) = stalled(address, b"");
    assert!(answer.is_empty() && took < 10 * HEAD_TIME);

    for (certificates, key) in
        [("none.pem", "key.pem"), ("cert.pem", "none.pem"), ("key.pem", "key.pem"), ("cert.pem", "cert.pem")]
    {
        let files = TlsFiles { certificates: folder.path().join(certificates), key: folder.path().join(key) };
        let options = ServeOptions { tls: Some(files), address: "127.0.0.1:0".parse().unwrap(), ..options() };
        let refused = server(options).listen().err().unwrap().to_string();
        assert!(refused.contains(".pem"), "{refused}");
    }
}
