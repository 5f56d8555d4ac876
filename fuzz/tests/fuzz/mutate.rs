//! Ways to make another input of known ones: bytes that are changed, numbers at their edges, parts that move, and JSON
//! whose values are changed where they stand.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

/// Inputs are cut to this.
const LONGEST_BYTES: usize = 1 << 20;
/// Most changes of one input.
const MOST_CHANGES: u32 = 5;

/// Changes bytes. `tokens` are words of the format.
pub(crate) fn bytes(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8], tokens: &[&str]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..rng.random_range(1..=MOST_CHANGES) {
        change(rng, &mut bytes, other, tokens);
    }
    bytes.truncate(LONGEST_BYTES);
    bytes
}

/// Changes values of a JSON document, or bytes where it is none.
pub(crate) fn json_text(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8], tokens: &[&str]) -> Vec<u8> {
    let Ok(mut document) = serde_json::from_slice::<Value>(input) else {
        return bytes(rng, input, other, tokens);
    };
    if rng.random_bool(0.3) {
        return bytes(rng, input, other, tokens);
    }
    values(rng, &mut document, tokens);
    let text = if rng.random_bool(0.5) { document.to_string() } else { format!("{document:#}") };
    if rng.random_bool(0.1) { bytes(rng, text.as_bytes(), other, tokens) } else { text.into_bytes() }
}

/// Changes values of a JSON document.
pub(crate) fn values(rng: &mut ChaCha8Rng, document: &mut Value, tokens: &[&str]) {
    for _ in 0..rng.random_range(1..=3) {
        let whole = document.clone();
        let chosen = rng.random_range(0..count(document));
        let mut left = chosen;
        visit(document, &mut left, &mut |value| change_value(rng, value, &whole, tokens));
    }
}

fn change(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, other: &[u8], tokens: &[&str]) {
    let at = rng.random_range(0..=bytes.len());
    let to = (at + rng.random_range(1..=64_usize)).min(bytes.len());
    match rng.random_range(0..12) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
        1 if at < bytes.len() => bytes[at] = rng.random(),
        2 => drop(bytes.drain(at..to)),
        3 => {
            let part = bytes[at..to].to_vec();
            let times = if rng.random_bool(0.1) { 200 } else { 1 };
            bytes.splice(at..at, part.repeat(times));
        }
        4 => bytes.truncate(at),
        5 => {
            let number = edge(rng);
            let width = *[1, 2, 4, 8].choose(rng).unwrap();
            let number = match rng.random_bool(0.5) {
                true => number.to_le_bytes()[..width].to_vec(),
                false => number.to_be_bytes()[8 - width..].to_vec(),
            };
            bytes.splice(at..(at + width).min(bytes.len()), number);
        }
        6 if !other.is_empty() => {
            let from = rng.random_range(0..other.len());
            let until = (from + rng.random_range(1..=256_usize)).min(other.len());
            bytes.splice(at..at, other[from..until].iter().copied());
        }
        7 if !other.is_empty() => {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[at.min(other.len())..]);
        }
        8 => drop(bytes.splice(at..at, rng.random::<[u8; 4]>())),
        9 => digits(rng, bytes, at),
        _ if !tokens.is_empty() => {
            let token = *tokens.choose(rng).unwrap();
            let end = if rng.random_bool(0.5) { at } else { to };
            bytes.splice(at..end, token.bytes());
        }
        _ => {}
    }
}

/// Replaces the decimal number at or after a place.
fn digits(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, at: usize) {
    let Some(from) = bytes[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else { return };
    let to =
        bytes[from..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |end| from + end);
    let texts =
        ["-1", "1e999", "nan", "inf", "0.1", "-0", "00", "1e-320", "18446744073709551616", "99999999"];
    let number = edge(rng).to_string();
    let text = if rng.random_bool(0.5) { number.as_str() } else { texts.choose(rng).copied().unwrap() };
    bytes.splice(from..to, text.bytes());
}

/// A number at which something may break.
fn edge(rng: &mut ChaCha8Rng) -> u64 {
    let power = 1_u64 << rng.random_range(0..64);
    match rng.random_range(0..5) {
        0 => power,
        1 => power - 1,
        2 => power.wrapping_neg(),
        3 => rng.random_range(0..300),
        _ => rng.random(),
    }
}

fn change_value(rng: &mut ChaCha8Rng, value: &mut Value, whole: &Value, tokens: &[&str]) {
    match (rng.random_range(0..8), &mut *value) {
        (0, Value::Array(items)) if !items.is_empty() => {
            items.remove(rng.random_range(0..items.len()));
        }
        (1, Value::Array(items)) if !items.is_empty() => {
            let item = items[rng.random_range(0..items.len())].clone();
            let times = if rng.random_bool(0.1) { 1_000 } else { 1 };
            let at = rng.random_range(0..=items.len());
            items.splice(at..at, vec![item; times]);
        }
        (0 | 1, Value::Object(fields)) if !fields.is_empty() => {
            let name = fields.keys().nth(rng.random_range(0..fields.len())).unwrap().clone();
            let field = fields.remove(&name).unwrap();
            if rng.random_bool(0.5) {
                fields.insert(other_name(rng, &name, tokens), field);
            }
        }
        (0..=2, Value::Number(number)) => {
            let near = number.as_f64().unwrap_or_default();
            *value = match rng.random_range(0..4) {
                0 => json!(near + 1.0),
                1 => json!(-near),
                2 => json!(edge(rng)),
                _ => json!(near * 1e3 + 0.5),
            };
        }
        (0 | 1, Value::String(text)) if !text.is_empty() => {
            let changed = bytes(rng, text.as_bytes(), &[], tokens);
            *value = String::from_utf8_lossy(&changed).into_owned().into();
        }
        (3, _) => {
            let mut chosen = rng.random_range(0..count(whole));
            let mut whole = whole.clone();
            visit(&mut whole, &mut chosen, &mut |other| *value = other.clone());
        }
        _ => *value = odd(rng, tokens),
    }
}

fn other_name(rng: &mut ChaCha8Rng, name: &str, tokens: &[&str]) -> String {
    match tokens.choose(rng) {
        Some(token) if rng.random_bool(0.5) => (*token).to_owned(),
        _ => format!("{name}{name}"),
    }
}

fn odd(rng: &mut ChaCha8Rng, tokens: &[&str]) -> Value {
    match rng.random_range(0..14) {
        0 => Value::Null,
        1 => json!(rng.random_bool(0.5)),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(edge(rng)),
        5 => json!(*[1e300, -1e300, 1e-300, 0.5, -0.0, 1e39].choose(rng).unwrap()),
        6 => json!(""),
        7 => json!([]),
        8 => Value::Object(Map::new()),
        9 => json!("\u{0}\u{1b}[31m\u{202e}\n"),
        10 => json!("x".repeat(5_000)),
        11 => (0..rng.random_range(1..300)).fold(json!(1), |inner, _| json!([inner])),
        12 => json!(rng.random_range(-3..40)),
        _ => tokens.choose(rng).map_or(Value::Null, |token| json!(token)),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// Calls `act` on the value with this number, counted from the outside in.
fn visit(value: &mut Value, left: &mut usize, act: &mut dyn FnMut(&mut Value)) -> bool {
    if *left == 0 {
        act(value);
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| visit(item, left, act)),
        Value::Object(fields) => fields.values_mut().any(|field| visit(field, left, act)),
        _ => false,
    }
}
