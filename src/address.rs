//! Addresses to listen on or to ask, as they are written in flags: numbers or names, with a port.

use std::net::{SocketAddr, ToSocketAddrs};

/// The address `text` stands for; of several that a name has the first of version 4, if there is one.
///
/// # Errors
/// What is wrong with it, and how it is written.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let form = "write host:port, like 127.0.0.1:8080, localhost:8080 or [::1]:8080";
    let Some((host, port)) = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()) else {
        return Err(format!("\"{text}\" has no host and port: {form}"));
    };
    let port: u16 = port.parse().map_err(|_| format!("\"{port}\" is no port: {form}"))?;
    let found = (host, port).to_socket_addrs().map_err(|_| format!("there is no host called \"{host}\": {form}"))?;
    let found: Vec<SocketAddr> = found.collect();
    let first = found.iter().find(|it| it.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("the host \"{host}\" has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved_and_mistakes_explained() {
        assert_eq!(parse_address("127.0.0.1:80").unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(parse_address("[::1]:80").unwrap().to_string(), "[::1]:80");
        assert!(parse_address("localhost:8080").unwrap().ip().is_loopback());
        for wrong in ["8080", ":8080", "localhost", "localhost:http", "localhost:99999", "no such host:80"] {
            assert!(parse_address(wrong).unwrap_err().contains("write host:port"), "{wrong}");
        }
    }
}
