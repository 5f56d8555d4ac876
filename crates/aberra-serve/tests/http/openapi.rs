//! The OpenAPI description is complete and matches the responses, and the web app's client is generated from it.

use std::fs;
use std::path::Path;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::fixture::{Client, png};

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
        "web/src/api/openapi.json is out of date: run this test with ABERRA_UPDATE=1, then \
         `npm run api` in web/"
    );
}

#[tokio::test]
async fn every_route_and_every_type_is_described() {
    let answer = Client::new().get("/api/v1/openapi.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    let description = answer.json();
    let paths = description["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 16);
    for (path, methods) in paths {
        for (method, route) in methods.as_object().unwrap() {
            assert!(route["summary"].is_string() && route["responses"].is_object(), "{method} {path}");
        }
    }
    // Every reference resolves.
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

#[tokio::test]
async fn answers_are_as_described() {
    let client = Client::new();
    let detector = "/api/v1/detectors/first";
    assert_is("DetectorList", &client.get("/api/v1/detectors").await.done());
    assert_is("DetectorDetails", &client.get(detector).await.done());
    assert_is("Latent", &client.get(&format!("{detector}/latent")).await.done());
    let body = json!({"prior": {"seed": 1, "count": 1}}).to_string();
    assert_is("DecodeResponse", &client.post(&format!("{detector}/decode"), body).await.done());
    let body = json!({"criterion": {"kind": "fixed", "threshold": 1}}).to_string();
    assert_is("ThresholdResponse", &client.post(&format!("{detector}/threshold"), body).await.done());
    for (verb, schema) in [("score", "ScoreResponse"), ("explain", "ExplainResponse")] {
        let ask = async |image: Vec<u8>| client.post(&format!("{detector}/{verb}"), image).await;
        assert_is(schema, &ask(png(0)).await.json());
        // Where no image could be judged, the same with a problem.
        let (mut problem, mut answer) = (json!({}), json!({}));
        for (name, value) in ask(Vec::from(b"no image")).await.json().as_object().unwrap() {
            let is_of_problem = ["status", "title", "detail", "hint"].contains(&name.as_str());
            let part = if is_of_problem { &mut problem } else { &mut answer };
            part[name] = value.clone();
        }
        assert_is("Problem", &problem);
        assert_is(schema, &answer);
    }
    assert_is("PhantomList", &client.get("/api/v1/phantoms").await.done());
    assert_is("Problem", &client.get("/api/v1/nothing").await.json());
}

#[test]
#[should_panic(expected = "median_kl")]
fn a_field_that_is_not_described_is_found() {
    let thumbnails = json!({"sheet": "data:", "side_px": 48, "columns": 1, "median_kl": 0});
    assert_is("Thumbnails", &thumbnails);
}

#[test]
#[should_panic(expected = "columns")]
fn a_field_that_is_described_and_missing_is_found() {
    assert_is("Thumbnails", &json!({"sheet": "data:", "side_px": 48}));
}

/// Checks that JSON is what a schema of the description says: types, and the very fields.
#[track_caller]
pub(crate) fn assert_is(schema: &str, value: &Value) {
    let description: Value = serde_json::from_str(&aberra_serve::openapi()).unwrap();
    let schemas = &description["components"]["schemas"];
    assert!(schemas[schema].is_object(), "{schema} is not described");
    if let Err(why) = fits(schemas, &json!({"$ref": format!("#/{schema}")}), value) {
        panic!("{schema}: {why}");
    }
}

fn fits(schemas: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return fits(schemas, &schemas[reference.rsplit('/').next().unwrap()], value);
    }
    if let Some(alternatives) = schema["oneOf"].as_array() {
        let wrong: Vec<String> =
            alternatives.iter().filter_map(|one| fits(schemas, one, value).err()).collect();
        if wrong.len() == alternatives.len() {
            return Err(format!(": none of the alternatives ({})", wrong.join("; ")));
        }
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_type = types.contains(&found) || (found == "integer" && types.contains(&"number"));
    if !types.is_empty() && !is_type {
        return Err(format!(": expected {types:?}, found {found} {value:.60}"));
    }
    if let Value::Array(items) = value {
        for (at, item) in items.iter().enumerate() {
            fits(schemas, &schema["items"], item).map_err(|why| format!("[{at}]{why}"))?;
        }
    }
    let (mut properties, mut required) = (Vec::new(), Vec::new());
    fields(schemas, schema, &mut properties, &mut required);
    if let (Value::Object(object), false) = (value, properties.is_empty()) {
        for (name, value) in object {
            let (_, schema) = properties
                .iter()
                .find(|(known, _)| *known == name)
                .ok_or_else(|| format!(": {name} is not described"))?;
            fits(schemas, schema, value).map_err(|why| format!(".{name}{why}"))?;
        }
        // A field is there also where it is null.
        for (name, _) in properties {
            if !object.contains_key(name) {
                return Err(format!(": {name} is missing"));
            }
            if !required.contains(&name.as_str()) {
                return Err(format!(": {name} is always there and not required"));
            }
        }
    }
    Ok(())
}

/// The fields of an object, with those of the parts that it is made of.
fn fields<'a>(
    schemas: &'a Value,
    schema: &'a Value,
    properties: &mut Vec<(&'a String, &'a Value)>,
    required: &mut Vec<&'a str>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        return fields(schemas, &schemas[reference.rsplit('/').next().unwrap()], properties, required);
    }
    properties.extend(schema["properties"].as_object().into_iter().flatten());
    required.extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str));
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fields(schemas, part, properties, required);
    }
}
