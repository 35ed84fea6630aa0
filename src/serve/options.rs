//! How to serve: where to listen, who may ask, and how much one request may cost.

use std::net::SocketAddr;
use std::time::Duration;

/// Settings of the HTTP endpoint. The defaults listen on loopback only and bound every request.
#[derive(Clone)]
pub struct ServeOptions {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The bearer token clients must show; nobody needs one when absent.
    pub token: Option<String>,
    /// Allows listening beyond loopback without a token.
    pub insecure: bool,
    /// The longest a list or SQL request may take.
    pub statement_timeout: Duration,
    /// The most rows one answer may have.
    pub max_rows: usize,
    /// How many rows a list has when the request does not say.
    pub default_limit: usize,
    /// The most rows one list request may look at before it is refused with advice.
    pub max_scanned_rows: usize,
    /// The largest request body in bytes.
    pub max_body_bytes: usize,
    /// How many requests may be under way; more are turned away at once.
    pub max_concurrency: usize,
    /// How many connections may be open; more wait in the kernel's queue.
    pub max_connections: usize,
    /// How long a connection may take to send a request's head or to take an answer, or do nothing at all.
    pub idle_timeout: Duration,
    /// Memory in bytes all SQL statements together may use for sorting, grouping and joining.
    pub max_sql_memory_bytes: usize,
    /// How many bytes of answers may be made and not yet read by their clients, all together. Small answers do not
    /// count.
    pub max_unsent_bytes: usize,
    /// The longest a request may wait for `Vantage-After`.
    pub max_wait: Duration,
    /// How long `/readyz` says no before new connections are refused, so that load balancers notice.
    pub drain_delay: Duration,
    /// How long requests under way may take to finish at shutdown.
    pub drain_timeout: Duration,
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        ServeOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            token: None,
            insecure: false,
            statement_timeout: Duration::from_secs(10),
            max_rows: 10_000,
            default_limit: 100,
            max_scanned_rows: 1_000_000,
            max_body_bytes: 1 << 20,
            max_concurrency: 256,
            max_connections: 1024,
            idle_timeout: Duration::from_secs(60),
            max_sql_memory_bytes: 256 << 20,
            max_unsent_bytes: 64 << 20,
            max_wait: Duration::from_secs(30),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

// The token must not end up in a log line.
impl std::fmt::Debug for ServeOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServeOptions")
            .field("listen", &self.listen)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("insecure", &self.insecure)
            .field("statement_timeout", &self.statement_timeout)
            .field("max_rows", &self.max_rows)
            .finish_non_exhaustive()
    }
}

/// Why the endpoint cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Anyone on the network could read everything.
    #[error("listening on {0} is open to other machines: set a token (VANTAGE_TOKEN) or pass --insecure")]
    Exposed(SocketAddr),
    /// The token cannot be sent in a header.
    #[error("the token must be one or more visible ASCII characters without spaces")]
    Token,
    /// The socket failed.
    #[error("the HTTP endpoint failed: {0}")]
    Io(#[from] std::io::Error),
    /// The SQL engine could not be set up.
    #[error("ad-hoc SQL could not be set up: {0}")]
    Sql(String),
}

/// Refuses to listen beyond loopback without a token, unless told to.
pub fn check_listen(options: &ServeOptions) -> Result<(), ServeError> {
    match &options.token {
        Some(token) if token.is_empty() || !token.bytes().all(|it| it.is_ascii_graphic()) => Err(ServeError::Token),
        Some(_) => Ok(()),
        None if options.listen.ip().is_loopback() || options.insecure => Ok(()),
        None => Err(ServeError::Exposed(options.listen)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_open_without_a_token() {
        let with = |listen: &str, token: Option<&str>, insecure| {
            let options = ServeOptions {
                listen: listen.parse().unwrap(),
                token: token.map(Into::into),
                insecure,
                ..ServeOptions::default()
            };
            check_listen(&options).is_ok()
        };
        assert!(with("127.0.0.1:0", None, false));
        assert!(with("[::1]:0", None, false));
        assert!(!with("0.0.0.0:0", None, false));
        assert!(!with("[::]:0", None, false));
        assert!(with("0.0.0.0:0", Some("secret"), false));
        assert!(with("0.0.0.0:0", None, true));
        assert!(!with("127.0.0.1:0", Some(""), false));
        assert!(!with("127.0.0.1:0", Some("a b"), false));
    }

    #[test]
    fn the_token_is_not_shown() {
        let options = ServeOptions { token: Some("hunter2".into()), ..ServeOptions::default() };
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
