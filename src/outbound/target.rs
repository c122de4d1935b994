//! The address of a request, as somebody has written it.
//!
//! Owns which spellings are taken: few. Looks nothing up.

use std::net::{IpAddr, Ipv6Addr};

/// Longest URL, bytes.
pub const URL_BYTES_MAX: usize = 2_048;

/// Why a URL is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Another scheme, or none.
    #[error("URL must start with http:// or https://")]
    Scheme,
    /// It is too long.
    #[error("URL is longer than {URL_BYTES_MAX} bytes")]
    Long,
    /// A character that has no place in a URL.
    #[error("URL holds a blank, a backslash, a control character or one that is not ASCII")]
    Character,
    /// User and password.
    #[error("URL must not name a user or a password")]
    User,
    /// No host, or one that cannot be.
    #[error("URL names no host that can be used")]
    Host,
    /// The port.
    #[error("URL names no port that can be used")]
    Port,
}

/// A URL of the schemes `http` and `https`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: String,
    host: String,
    port: u16,
}

impl Target {
    /// Reads a URL.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        let scheme = url.get(..8).filter(|s| s.eq_ignore_ascii_case("https://")).map(|_| 443);
        let scheme = scheme.or_else(|| url.get(..7).filter(|s| s.eq_ignore_ascii_case("http://")).map(|_| 80));
        let usual = scheme.ok_or(TargetError::Scheme)?;
        if url.len() > URL_BYTES_MAX {
            return Err(TargetError::Long);
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(TargetError::Character);
        }
        let rest = &url[if usual == 443 { 8 } else { 7 }..];
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        if authority.contains('@') {
            return Err(TargetError::User);
        }
        let (host, port) = split(authority)?;
        let port = match port {
            None => usual,
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok().filter(|port| *port != 0).ok_or(TargetError::Port)?
            }
            Some(_) => return Err(TargetError::Port),
        };
        // What the client makes of it must be the same.
        let uri: awc::http::Uri = url.parse().map_err(|_| TargetError::Host)?;
        if uri.host() != Some(host) || uri.port_u16().unwrap_or(usual) != port {
            return Err(TargetError::Host);
        }
        Ok(Self { url: url.to_owned(), host: host.to_owned(), port })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The host; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 80 or 443 where none is named.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address, if the host is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        let literal = self.host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&self.host);
        literal.parse().ok()
    }
}

/// Host and port of an authority.
fn split(authority: &str) -> Result<(&str, Option<&str>), TargetError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let end = rest.find(']').ok_or(TargetError::Host)?;
        // A zone names a network of this machine.
        rest[..end].parse::<Ipv6Addr>().map_err(|_| TargetError::Host)?;
        return match &rest[end + 1..] {
            "" => Ok((&authority[..end + 2], None)),
            port => port.strip_prefix(':').map(|port| (&authority[..end + 2], Some(port))).ok_or(TargetError::Host),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Err(TargetError::Host);
    }
    // Numbers in other writings than four decimals: a resolver would take them for an address.
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    let number = last.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    if number && host.parse::<std::net::Ipv4Addr>().is_err() {
        return Err(TargetError::Host);
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_urls_are_taken() {
        for (url, host, port) in [
            ("https://example.org/hook", "example.org", 443),
            ("http://example.org", "example.org", 80),
            ("HTTPS://Example.org:8443/a?b=c@d", "Example.org", 8443),
            ("http://127.0.0.1:9/hook", "127.0.0.1", 9),
            ("http://[::1]:80/", "[::1]", 80),
            ("https://a-b.c_d.example./x#y", "a-b.c_d.example.", 443),
        ] {
            let target = Target::parse(url).expect(url);
            assert_eq!((target.host(), target.port()), (host, port), "{url}");
        }
    }

    #[test]
    fn others_are_not() {
        for (url, error) in [
            ("", TargetError::Scheme),
            ("ftp://example.org", TargetError::Scheme),
            ("//example.org", TargetError::Scheme),
            ("file:///etc/passwd", TargetError::Scheme),
            ("http:/example.org", TargetError::Scheme),
            ("http://", TargetError::Host),
            ("http:///path", TargetError::Host),
            ("http://a b/", TargetError::Character),
            ("http://a\\@b/", TargetError::Character),
            ("http://a\n/", TargetError::Character),
            ("http://ex\u{e4}mple.org/", TargetError::Character),
            ("http://user@example.org/", TargetError::User),
            ("http://example.org:80@127.0.0.1/", TargetError::User),
            ("http://example.org:0/", TargetError::Port),
            ("http://example.org:/", TargetError::Port),
            ("http://example.org:99999/", TargetError::Port),
            ("http://example.org:80:80/", TargetError::Port),
            ("http://[::1/", TargetError::Host),
            ("http://[fe80::1%25eth0]/", TargetError::Host),
            ("http://[::1]x/", TargetError::Host),
            ("http://::1/", TargetError::Host),
            ("http://%6c%6f/", TargetError::Host),
            ("http://2130706433/", TargetError::Host),
            ("http://0x7f.1/", TargetError::Host),
            ("http://127.1/", TargetError::Host),
        ] {
            assert_eq!(Target::parse(url), Err(error), "{url}");
        }
        assert_eq!(Target::parse(&format!("http://a/{}", "x".repeat(URL_BYTES_MAX))), Err(TargetError::Long));
    }
}
