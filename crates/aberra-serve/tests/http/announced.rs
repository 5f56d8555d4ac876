//! Announced verdicts: kept for whoever watches, and sent to the webhook until they arrive.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aberra_serve::{ServeOptions, Webhook};
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::routing::post;
use axum::{Json, Router};
use secrecy::SecretString;
use serde_json::Value;

use crate::fixture::{Client, form, options, png};
use crate::openapi::assert_is;
use crate::sockets::{connect, start};

const SCORE: &str = "/api/v1/detectors/first/score";
const ANNOUNCED: &str = "/api/v1/detectors/first/announced";

async fn announced(client: &Client, after: u64) -> Vec<Value> {
    let answer = client.get(&format!("{ANNOUNCED}?after={after}")).await.done();
    assert_is("AnnouncedResponse", &answer);
    answer["announced"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_is_announced_is_there_for_whoever_watches_and_nothing_else() {
    let client = Client::new();
    client.post(SCORE, png(0)).await.done();
    client.post("/api/v1/detectors/second/score?announce=line", png(1)).await.done();
    assert_eq!(announced(&client, 0).await, [Value::Null; 0]);

    let (kind, body) = form(&[("a.png", &png(2)), ("b.png", b"no image")]);
    let request =
        Request::post(format!("{SCORE}?announce=line%203&threshold=-1")).header(header::CONTENT_TYPE, kind);
    let scored = client.ask(request, body).await.done();
    client.post("/api/v1/detectors/first/explain?announce=kiosk", png(3)).await.done();
    let found = announced(&client, 0).await;
    let text = |at: usize, field: &str| found[at][field].as_str().map(str::to_owned);
    assert_eq!(found.len(), 3);
    assert_eq!(
        (text(0, "source").unwrap(), text(2, "source").unwrap()),
        ("line 3".to_owned(), "kiosk".to_owned())
    );
    assert_eq!((text(0, "name").unwrap(), text(2, "name")), ("a.png".to_owned(), None));
    // As the request was answered, by its threshold.
    assert_eq!(found[0]["verdict"], scored["images"][0]["verdict"]);
    assert_eq!(found[0]["verdict"]["anomalous"], true);
    assert!(text(0, "picture").unwrap().starts_with("data:image/jpeg;base64,"));
    assert_eq!(found[1]["error"], scored["images"][1]["error"]);
    assert!(found[1]["picture"].is_null() && found[1]["verdict"].is_null());
    let id = |at: usize| found[at]["id"].as_u64().unwrap();
    assert!(id(0) < id(1) && id(1) < id(2) && id(0) > 1_700_000_000_000_000);
    assert_eq!(announced(&client, id(1)).await, found[2..]);

    let long = "x".repeat(101);
    for source in ["", "a%0Ab", &long] {
        let refused = client.post(&format!("{SCORE}?announce={source}"), png(0)).await;
        assert!(refused.problem(400).contains("of who announces"), "{source}");
    }
    assert!(client.get("/api/v1/detectors/none/announced").await.problem(404).contains("first, second"));
    client.get(&format!("{ANNOUNCED}?after=first")).await.problem(400);
}

#[tokio::test]
async fn the_last_hundred_are_kept() {
    let client = Client::new();
    let image = png(0);
    for request in 0..3 {
        let names: Vec<String> = (0..40).map(|number| format!("{request}-{number:02}.png")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), image.as_slice())).collect();
        let (kind, body) = form(&files);
        let request = Request::post(format!("{SCORE}?announce=line")).header(header::CONTENT_TYPE, kind);
        client.ask(request, body).await.done();
    }
    let found = announced(&client, 0).await;
    assert_eq!(
        (found.len(), &found[0]["name"], &found[99]["name"]),
        (100, &"0-20.png".into(), &"2-39.png".into())
    );
}

/// The `Authorization` of a request to a webhook, and its JSON.
type Sent = (Option<String>, Value);

/// What a webhook was sent, and the statuses that it answers with, from the last; 200 when there are no more.
#[derive(Clone, Default)]
struct Received {
    sent: Arc<Mutex<Vec<Sent>>>,
    statuses: Arc<Mutex<Vec<StatusCode>>>,
}

async fn receive(
    State(received): State<Received>,
    headers: HeaderMap,
    Json(sent): Json<Value>,
) -> StatusCode {
    let key = headers.get(header::AUTHORIZATION).map(|key| key.to_str().unwrap().to_owned());
    received.sent.lock().unwrap().push((key, sent));
    received.statuses.lock().unwrap().pop().unwrap_or(StatusCode::OK)
}

/// Scores an image under a name; gives the answer.
fn score(address: SocketAddr, name: &str) -> String {
    let (kind, body) = form(&[(name, &png(0))]);
    let head = format!(
        "POST {SCORE}?announce=line HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    exchange(address, &[head.as_bytes(), &body].concat())
}

fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(address);
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_webhook_gets_every_announced_verdict_in_order_though_it_was_away() {
    let received = Received::default();
    // The first attempt is rejected for now, the second verdict refused for good.
    *received.statuses.lock().unwrap() =
        vec![StatusCode::UNPROCESSABLE_ENTITY, StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE];
    // Nobody listens at first: the address is found, and given up until the first verdict waits.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away = listener.local_addr().unwrap();
    drop(listener);
    let webhook = Webhook::at(&format!("http://{away}/verdicts?line=3")).unwrap();
    let webhook = Some(webhook.with_key(Some(SecretString::from("0123456789abcdef"))));
    let address = start(ServeOptions { webhook, ..options() });
    for name in ["1.png", "2.png", "3.png"] {
        assert!(score(address, name).starts_with("HTTP/1.1 200 "));
    }
    let (router, own) =
        (Router::new().route("/verdicts", post(receive)).with_state(received.clone()), received.clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind(away).await.unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    let started = Instant::now();
    while own.sent.lock().unwrap().len() < 4 {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", own.sent.lock().unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = own.sent.lock().unwrap().clone();
    let names: Vec<&str> = sent.iter().map(|(_, sent)| sent["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["1.png", "1.png", "2.png", "3.png"]);
    assert!(sent.iter().all(|(key, _)| key.as_deref() == Some("Bearer 0123456789abcdef")));
    assert!(sent[0].1["picture"].is_null() && sent[0].1["verdict"]["score"].is_f64());
    assert_eq!((&sent[0].1["source"], &sent[0].1["detector"]), (&"line".into(), &"first".into()));
    std::thread::sleep(Duration::from_millis(100));
    let metrics = exchange(address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    for line in ["aberra_webhook_total{outcome=\"accepted\"} 2", "aberra_webhook_total{outcome=\"lost\"} 1"] {
        assert!(metrics.contains(line), "{metrics}");
    }
}
