//! TLS: what is asked for and whether it fits together, and what is said when the two sides do not come to terms.

use std::net::IpAddr;
use std::path::PathBuf;

use pgwire_replication::{SslMode, TlsConfig};

use super::fault::Fault;
use super::settings::Settings;
use crate::catalog::{Problem, Source, Span};
use crate::source::options::{Reading, Values};

/// How the connection to `host` is secured; a problem where options ask for what would not be done.
pub(super) fn tls(source: &Source, values: &Values, host: &str, reading: &mut Reading<'_>) -> Option<TlsConfig> {
    let mode = match values.text("sslmode").expect("an option with a value") {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        _ => SslMode::VerifyFull,
    };
    let file = |name| values.path(name).map(PathBuf::from);
    let (authorities, certificate, key) = (file("sslrootcert"), file("sslcert"), file("sslkey"));
    let at = |names: &[&str]| -> Span {
        let given = source.options.iter().find(|it| names.contains(&it.0.text.as_str()));
        given.map_or(source.span, |it| it.0.span)
    };
    let (of_certificate, of_key) = (at(&["sslcert", "ssl.cert"]), at(&["sslkey", "ssl.key"]));
    let refusal = if mode.requires_tls() && host.starts_with('/') {
        let problem = Problem::at(at(&["sslmode", "ssl.mode"]), "there is no TLS over a server's socket");
        Some(problem.with_hint("leave sslmode out, or name the server's host"))
    } else if authorities.is_some() && !mode.verifies_certificate() {
        let place = at(&["sslrootcert", "ssl.root.cert"]);
        let problem = Problem::at(place, "sslrootcert verifies nothing without sslmode = 'verify-full'");
        Some(problem.with_hint("add sslmode = 'verify-full', or leave sslrootcert out"))
    } else if certificate.is_some() && mode == SslMode::Disable {
        let problem = Problem::at(of_certificate, "sslcert is shown to nobody with sslmode = 'disable'");
        Some(problem.with_hint("set sslmode = 'verify-full', or leave sslcert and sslkey out"))
    } else if certificate.is_some() != key.is_some() {
        let (place, given, missing) =
            if key.is_some() { (of_key, "sslkey", "sslcert") } else { (of_certificate, "sslcert", "sslkey") };
        Some(Problem::at(place, format!("{given} is of no use without {missing}")).with_hint(format!("add {missing}")))
    } else {
        None
    };
    if let Some(problem) = refusal {
        reading.problems.push(problem);
        return None;
    }
    // An address is verified like a name, among the addresses that the certificate is for.
    let address = host.parse::<IpAddr>().is_ok().then(|| host.to_string());
    Some(TlsConfig {
        mode,
        ca_pem_path: authorities,
        sni_hostname: address,
        client_cert_pem_path: certificate,
        client_key_pem_path: key,
    })
}

/// What it means that there is no TLS connection, in the transport's words.
pub(super) fn of_tls(text: &str, settings: &Settings) -> Fault {
    let place = settings.place();
    let has = |words: &str| text.contains(words);
    let halt = |what: String| Fault::Halt(format!("{place}: {what}"));
    if has("SSLRequest rejected") {
        return halt("it has no TLS (ssl = off there), and the option sslmode asks for it".into());
    }
    if has("UnknownIssuer") {
        let trusted = settings.tls.ca_pem_path.as_ref();
        let trusted = trusted.map_or("Mozilla's list".into(), |it| format!("{} (sslrootcert)", it.display()));
        return halt(format!(
            "its certificate comes from no authority of {trusted}; if this is the right server, set sslrootcert to the \
             certificate of its authority"
        ));
    }
    if has("not valid for name") {
        let names = behind(text, "certificate not valid");
        return halt(format!(
            "its certificate is not valid{names}; set host to one of its names, or have it made for this one \
             (sslmode = 'verify-ca' verifies the name as well)"
        ));
    }
    if has("invalid peer certificate") {
        return halt(format!("its certificate is refused: {}", behind(text, "fatal alert: ")));
    }
    if has("config error") {
        return halt(format!("{}; see the options sslrootcert, sslcert and sslkey", behind(text, "config error: ")));
    }
    if has("fatal alert") {
        return halt(format!(
            "it refuses the TLS connection ({}); see the options sslmode and sslcert",
            behind(text, "fatal alert: ")
        ));
    }
    // A server that stops or starts breaks connections off.
    Fault::Retry(format!("{place}: {text}"))
}

/// What it means that the server broke the connection off with these words, when they are of TLS: since TLS 1.3 it says
/// only behind the handshake that it does not take our certificate.
pub(super) fn of_alert(text: &str, settings: &Settings) -> Option<Fault> {
    let (_, alert) = text.split_once("received fatal alert: ")?;
    let what = match settings.tls.client_cert_pem_path.as_ref() {
        Some(path) => format!("the server does not take the certificate {} (sslcert): {alert}", path.display()),
        None => format!("the server refuses the TLS connection: {alert}; it may want sslcert and sslkey"),
    };
    Some(Fault::Halt(format!("{}: {what}", settings.place())))
}

/// What stands behind `mark`; all of it, where the mark is not there.
fn behind<'t>(text: &'t str, mark: &str) -> &'t str {
    text.split_once(mark).map_or(text, |it| it.1)
}
