//! Checks of `Host` and `Origin`, against DNS rebinding and cross-site requests.
//!
//! In DNS rebinding, a page of another site reaches a server on this machine by letting its own domain resolve to the
//! server's address. That domain is then in `Host`, so only IP addresses, `localhost` and names given by the operator
//! are accepted.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

/// Checks that `Host` is one of this server's names and that `Origin`, if present, is this server; otherwise returns
/// the reason for rejection.
pub(super) fn check(uri: &Uri, headers: &HeaderMap, allowed: &[String]) -> Result<(), &'static str> {
    // HTTP/2 has the host in the URI, HTTP/1 in a header. Several `Host` headers are an attack.
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (uri.authority(), hosts.next(), hosts.next()) {
        (Some(authority), None, _) => Some(authority.clone()),
        (None, Some(host), None) => host.to_str().ok().and_then(|host| host.parse().ok()),
        (Some(authority), Some(host), None) => host
            .to_str()
            .ok()
            .filter(|host| host.eq_ignore_ascii_case(authority.as_str()))
            .map(|_| authority.clone()),
        _ => None,
    };
    let Some(host) = host.filter(|host| is_own(host, allowed)) else {
        return Err(
            "expected an IP address, localhost or a name given with --allow-host in Host, found another name",
        );
    };
    let own_origin = |origin: &str| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host.as_str()))
    };
    match headers.get(header::ORIGIN) {
        Some(origin) if !origin.to_str().is_ok_and(own_origin) => {
            Err("expected this server or nothing in Origin, found another site")
        }
        _ => Ok(()),
    }
}

fn is_own(host: &Authority, allowed: &[String]) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    !host.as_str().contains('@')
        && (name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(host: &[&str], origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        for host in host {
            headers.append(header::HOST, host.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        check(&Uri::from_static("/api/v1/detectors"), &headers, &["scan.example".to_owned()]).is_ok()
    }

    #[test]
    fn own_names_are_answered() {
        for host in [
            "127.0.0.1:8765",
            "localhost",
            "LOCALHOST:1",
            "[::1]:8765",
            "10.0.0.3",
            "scan.example:443",
            "Scan.Example",
        ] {
            assert!(answer(&[host], None), "{host}");
        }
    }

    #[test]
    fn names_of_others_are_not() {
        for host in [
            &["evil.example"][..],
            &[],
            &[""],
            &["127.0.0.1.evil.example"],
            &["localhost.evil.example"],
            &["localhost", "evil.example"],
            &["localhost@evil.example"],
            &["evil.example@localhost"],
            &["2130706433"],
            &["lo calhost"],
        ] {
            assert!(!answer(host, None), "{host:?}");
        }
    }

    #[test]
    fn http_2_names_the_host_in_its_address() {
        let check = |uri: &str, host: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(header::HOST, host.parse().unwrap());
            }
            check(&uri.parse().unwrap(), &headers, &[]).is_ok()
        };
        assert!(check("http://127.0.0.1:8765/x", None));
        assert!(check("http://127.0.0.1:8765/x", Some("127.0.0.1:8765")));
        assert!(!check("http://127.0.0.1:8765/x", Some("evil.example")));
        assert!(!check("http://evil.example/x", None));
    }

    #[test]
    fn pages_of_others_are_not_answered() {
        assert!(answer(&["localhost:8765"], Some("http://localhost:8765")));
        for origin in ["http://evil.example", "http://localhost:3000", "null", "https://localhost", "file://"]
        {
            assert!(!answer(&["localhost:8765"], Some(origin)), "{origin}");
        }
    }
}
