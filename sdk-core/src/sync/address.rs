//! Where the server is, and whether what is sent there stays unread on the way.

use reqwest::Url;
use std::net::IpAddr;
use thiserror::Error;

/// The address of a server: `https`, or `http` to this very machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address(Url);

/// Why an address is not one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{address:?} cannot be the server's address: {reason}; write https://HOST[:PORT]")]
pub struct AddressError {
    address: String,
    reason: String,
}

impl Address {
    /// # Errors
    /// [`AddressError`] unless it is `https://HOST[:PORT]`, or the same with `http` on a loopback
    /// address.
    pub(super) fn parse(address: &str) -> Result<Self, AddressError> {
        let bad = |reason: &str| AddressError { address: address.into(), reason: reason.into() };
        let url = Url::parse(address).map_err(|error| bad(&error.to_string()))?;
        let only_host = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let named = !url.username().is_empty() || url.password().is_some();
        match url.scheme() {
            "https" | "http" if url.host_str().is_none_or(str::is_empty) => {
                Err(bad("it names no host"))
            }
            "https" | "http" if !only_host || named => Err(bad("it says more than host and port")),
            "https" => Ok(Self(url)),
            "http" if is_loopback(&url) => Ok(Self(url)),
            "http" => Err(bad(
                "without TLS anybody on the way can read what is sent; http is for 127.0.0.1, \
                 [::1] and localhost only",
            )),
            other => Err(bad(&format!("the scheme is {other}"))),
        }
    }

    /// Host and port as in the `Host` header.
    pub(super) fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The URL of a path that begins with a slash.
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c9_plain_http_never_leaves_this_machine() {
        for good in
            ["https://a.example", "http://127.0.0.1:80", "http://[::1]:9", "http://localhost"]
        {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["http://192.168.0.1", "http://a.example", "http://127.0.0.1.example", "http://0.0.0.0"]
        {
            let error = Address::parse(bad).unwrap_err().to_string();
            assert!(error.contains("without TLS") && error.contains(bad), "{error}");
        }
    }

    #[test]
    fn what_is_no_address_is_said() {
        let odd =
            ["", "a.example", "ftp://a.example", "https://a.example/x", "https://u:p@a.example"];
        for bad in odd {
            assert!(Address::parse(bad).unwrap_err().to_string().contains("https://HOST"), "{bad}");
        }
    }

    #[test]
    fn the_authority_is_that_of_the_host_header() {
        let check = |address: &str, expected: &str| {
            assert_eq!(Address::parse(address).unwrap().authority(), expected);
        };
        check("https://A.example:443", "a.example");
        check("https://a.example:8443/", "a.example:8443");
        check("http://[::1]:7", "[::1]:7");
        let url = Address::parse("https://a.example").unwrap().at("/v1/events");
        assert_eq!(url.as_str(), "https://a.example/v1/events");
    }
}
