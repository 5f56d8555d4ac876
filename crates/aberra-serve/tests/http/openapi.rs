//! The description in OpenAPI: complete, and the one from which the web app's client is generated.

use std::fs;
use std::path::Path;

use axum::http::StatusCode;
use serde_json::Value;

use crate::fixture::Client;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/src/api/openapi.json");

#[test]
fn the_web_apps_client_is_made_from_this_description() {
    let description = aberra_serve::openapi();
    if std::env::var_os("ABERRA_UPDATE").is_some() {
        fs::create_dir_all(Path::new(COMMITTED).parent().unwrap()).unwrap();
        fs::write(COMMITTED, &description).unwrap();
    }
    assert!(
        fs::read_to_string(COMMITTED).is_ok_and(|committed| committed == description),
        "web/src/api/openapi.json is not what the server describes: run this test with ABERRA_UPDATE=1, then \
         `npm run api` in web/"
    );
}

#[tokio::test]
async fn every_route_and_every_type_is_described() {
    let answer = Client::new().get("/api/v1/openapi.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    let description = answer.json();
    let paths = description["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 10);
    for (path, methods) in paths {
        for (method, route) in methods.as_object().unwrap() {
            assert!(route["summary"].is_string() && route["responses"].is_object(), "{method} {path}");
        }
    }
    // What is referred to is there.
    let schemas = &description["components"]["schemas"];
    let mut stack = vec![&description];
    while let Some(value) = stack.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let name = reference.rsplit('/').next().unwrap();
                    assert!(schemas[name].is_object(), "{reference}");
                }
                stack.extend(fields.values());
            }
            Value::Array(items) => stack.extend(items),
            _ => {}
        }
    }
}
