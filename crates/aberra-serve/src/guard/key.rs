//! API-key authentication. The key is compared in constant time and never logged.

use axum::http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// Minimum length of an API key.
pub(crate) const SHORTEST_KEY: usize = 16;

/// Whether a request carries the key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
pub(super) fn is_right(headers: &HeaderMap, key: &SecretString) -> bool {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, rest) = value.as_bytes().split_at_checked("Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then_some(rest)
    });
    let given = bearer.or_else(|| headers.get("x-api-key").map(|value| value.as_bytes()));
    given.is_some_and(|given| given.ct_eq(key.expose_secret().as_bytes()).into())
}

/// Whether a path needs no key: the web app's static files, which contain no data, and the health probes.
pub(super) fn is_open(path: &str) -> bool {
    path == "/" || path.starts_with("/assets/") || path == "/v2/health/live" || path == "/v2/health/ready"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_key_is_right() {
        let key = SecretString::from("0123456789abcdef");
        let right = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            is_right(&headers, &key)
        };
        assert!(right("authorization", "Bearer 0123456789abcdef"));
        assert!(right("authorization", "bearer 0123456789abcdef"));
        assert!(right("x-api-key", "0123456789abcdef"));
        for (name, value) in [
            ("authorization", "0123456789abcdef"),
            ("authorization", "Basic 0123456789abcdef"),
            ("authorization", "Bearer 0123456789abcde"),
            ("authorization", "Bearer 0123456789abcdef0"),
            ("authorization", "Bearer "),
            ("authorization", "B"),
            ("x-api-key", ""),
            ("cookie", "0123456789abcdef"),
        ] {
            assert!(!right(name, value), "{name}: {value}");
        }
        assert!(!is_right(&HeaderMap::new(), &key));
    }

    #[test]
    fn data_are_never_open() {
        assert!(["/", "/assets/index.js", "/v2/health/ready"].into_iter().all(is_open));
        for path in [
            "/api/v1/detectors",
            "/metrics",
            "/v2",
            "/v2/models/a/infer",
            "//",
            "/assets",
            "/v2/health/live/x",
        ] {
            assert!(!is_open(path), "{path}");
        }
    }
}
