//! Access control by host, origin and API key; security headers of every response.

use aberra_serve::ServeOptions;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};

use crate::fixture::{Client, options, png, server};

#[tokio::test]
async fn other_hosts_and_other_origins_are_turned_away() {
    let client = Client::new();
    for host in ["evil.example", "127.0.0.1.evil.example", ""] {
        for path in ["/", "/api/v1/detectors", "/metrics"] {
            client.ask(Request::get(path).header(header::HOST, host), "").await.problem(403);
        }
    }
    let without = Request::get("/").body(Body::empty()).unwrap();
    client.send(without).await.problem(403);
    let from = |origin: &str| {
        Request::post("/api/v1/detectors/first/score")
            .header(header::HOST, "localhost:8765")
            .header(header::ORIGIN, origin)
    };
    client.ask(from("http://localhost:8765"), png(0)).await.done();
    for origin in ["https://evil.example", "null", "http://localhost:1"] {
        client.ask(from(origin), png(0)).await.problem(403);
    }
    let known = Client::with(ServeOptions { hosts: vec!["scan.example".to_owned()], ..options() });
    known.ask(Request::get("/api/v1/detectors").header(header::HOST, "scan.example"), "").await.done();
}

#[tokio::test]
async fn without_the_key_there_are_no_data() {
    let key = "a-key-of-twenty-chars";
    let client = Client::with(ServeOptions { api_key: Some(key.into()), ..options() });
    for path in ["/api/v1/detectors", "/metrics", "/api/v1/openapi.json", "/nothing"] {
        let answer = client.get(path).await;
        let detail = answer.problem(401);
        assert!(!detail.contains(key));
        assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
    }
    client.post("/api/v1/detectors/first/score", png(0)).await.problem(401);
    // Clients of the Open Inference Protocol get errors in its own form.
    for path in ["/v2", "/v2/models/first", "/v2/models/stats"] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.json()["error"].as_str().unwrap().contains("API key"));
    }
    assert_eq!(client.get("/v2/health/ready").await.status, StatusCode::OK);
    let wrong =
        Request::get("/api/v1/detectors").header(header::AUTHORIZATION, "Bearer a-key-of-twenty-charz");
    client.ask(wrong, "").await.problem(401);
    let right = Request::get("/api/v1/detectors").header(header::AUTHORIZATION, format!("Bearer {key}"));
    client.ask(right, "").await.done();
    let right = Request::post("/api/v1/detectors/first/score").header("x-api-key", key);
    client.ask(right, png(0)).await.done();
    assert_eq!(client.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_forbids_what_a_page_does_not_need() {
    let client = Client::new();
    for path in ["/", "/api/v1/detectors", "/nothing", "/metrics", "/api/v1/phantoms/0"] {
        let headers = client.get(path).await.headers;
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}

#[test]
fn other_addresses_than_loopback_need_a_key() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let options = ServeOptions { address: address.parse().unwrap(), ..options() };
        let refused = server(options).listen().err().unwrap();
        assert!(refused.to_string().contains("API key"), "{refused}");
        assert!(refused.hint().unwrap().contains("--api-key-file"));
    }
    let options = ServeOptions { address: "127.0.0.1:0".parse().unwrap(), ..options() };
    assert_ne!(server(options).listen().unwrap().address().unwrap().port(), 0);
}
