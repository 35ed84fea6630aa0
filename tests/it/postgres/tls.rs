//! Who is who: a server with certificates, and who is believed on either side.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::super::support::postgres::Server as Postgres;
use super::super::support::{PATIENCE, text_of, vantage};
use super::Shop;
use super::faults::with_options;

const DECLARED: &str = "CREATE TABLE items FROM shop TABLE 'items';
CREATE MATERIALIZED VIEW names AS SELECT id, name FROM items;";

/// A directory with keys and certificates.
struct Papers(tempfile::TempDir);

impl Papers {
    fn new() -> Papers {
        Papers(tempfile::tempdir().expect("directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl").current_dir(self.0.path()).args(arguments.split(' ')).output();
        let output = output.expect("the program openssl");
        assert!(output.status.success(), "openssl {arguments}: {}", text_of(&output));
    }

    /// An authority of this name.
    fn authority(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}.key -out {name}.crt \
             -days 2 -subj /CN={name}"
        ));
    }

    /// A certificate for `common`, and for these other names, by an authority.
    fn certificate(&self, authority: &str, file: &str, common: &str, names: &str) {
        std::fs::write(self.path("extensions"), names).expect("extensions");
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {file}.key -out {file}.csr -subj /CN={common}"
        ));
        self.openssl(&format!(
            "x509 -req -in {file}.csr -CA {authority}.crt -CAkey {authority}.key -CAcreateserial -days 2 -out {file}.crt \
             -extfile extensions"
        ));
    }

    /// The server, which runs as another user where we are root, may read them, and nobody else.
    fn hand_over(&self) {
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|it| it.stdout == b"0\n");
        if is_root {
            let status = Command::new("chown").args(["-R", "postgres"]).arg(self.0.path()).status();
            assert!(status.expect("chown").success());
        }
    }
}

/// Has the server read its files again, and waits until it has.
fn reload(postgres: &Postgres) {
    let loaded = || {
        let answer = postgres.session("postgres").query("SELECT pg_conf_load_time()").expect("a time");
        answer.rows[0][0].clone()
    };
    let (before, deadline) = (loaded(), Instant::now() + PATIENCE);
    postgres.session("postgres").execute("SELECT pg_reload_conf()");
    while loaded() == before {
        assert!(Instant::now() < deadline, "nothing was read again: {}", postgres.log());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// A server that takes encrypted connections only: of `reader` with a password, of `bearer` with a certificate.
fn server(papers: &Papers) -> Postgres {
    let file = |setting: &str, name: &str| format!("{setting}={}", papers.path(name).display());
    let (certificate, key) = (file("ssl_cert_file", "server.crt"), file("ssl_key_file", "server.key"));
    let authorities = file("ssl_ca_file", "ours.crt");
    let postgres = Postgres::own(&["wal_level=logical", "ssl=on", &certificate, &key, &authorities]);
    let rules =
        "local all all trust\nhostssl all bearer 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(postgres.home().join("data/pg_hba.conf"), rules).expect("rules");
    reload(&postgres);
    postgres
}

/// What `vantage check` says.
fn checked(shop: &Shop) -> String {
    shop.declare(DECLARED);
    let mut command = vantage();
    command.current_dir(shop.site.root()).args(["check", "--views", "views"]).env("SHOP_PASSWORD", "secret");
    text_of(&command.output().expect("check"))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn only_the_right_server_and_the_right_user_are_believed() {
    let papers = Papers::new();
    papers.authority("ours");
    papers.authority("other");
    papers.certificate("ours", "server", "db", "subjectAltName=DNS:localhost");
    papers.certificate("ours", "bearer", "bearer", "extendedKeyUsage=clientAuth");
    papers.certificate("ours", "stranger", "stranger", "extendedKeyUsage=clientAuth");
    papers.certificate("other", "forged", "bearer", "extendedKeyUsage=clientAuth");
    papers.hand_over();
    let postgres = server(&papers);
    let mut shop = Shop::of(
        &postgres,
        "tls",
        "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'a')",
    );
    shop.owner.execute(
        "CREATE ROLE reader LOGIN PASSWORD 'secret' REPLICATION; CREATE ROLE bearer LOGIN REPLICATION;
         GRANT SELECT ON items TO reader, bearer; CREATE PUBLICATION vantage FOR TABLE items",
    );
    let (port, usual) = (postgres.port.to_string(), shop.options.clone());
    let [ours, other, certificate, key, stranger, strangers_key, forged, forged_key] = [
        "ours.crt",
        "other.crt",
        "bearer.crt",
        "bearer.key",
        "stranger.crt",
        "stranger.key",
        "forged.crt",
        "forged.key",
    ]
    .map(|it| shown(&papers.path(it)));
    let with = |shop: &mut Shop, options: &[(&str, &str)]| {
        shop.options = usual.clone();
        with_options(shop, &[("port", &*port), ("host", "localhost")]);
        with_options(shop, options);
    };
    let reader = [("user", "reader"), ("password_env", "SHOP_PASSWORD")];
    let full = [("sslmode", "verify-full"), ("sslrootcert", &*ours)];
    for (options, words) in [
        (&[("sslmode", "verify-full"), ("sslrootcert", &*ours)][..], ": ok"),
        (&[("sslmode", "verify-ca"), ("sslrootcert", &*ours)], ": ok"),
        (&[("sslmode", "require"), ("host", "127.0.0.1")], ": ok"),
        (&[("sslmode", "prefer")], ": ok"),
        (&[("sslmode", "disable")], "encrypted connections only"),
        (&[("sslmode", "verify-full"), ("sslrootcert", &*other)], "comes from no authority of"),
        (&[("sslmode", "verify-ca"), ("sslrootcert", &*other)], "comes from no authority of"),
        (&[("sslmode", "verify-full")], "no authority of Mozilla's list"),
        (
            &[("sslmode", "verify-full"), ("sslrootcert", &*ours), ("host", "127.0.0.1")],
            "not valid for name \"127.0.0.1\"; certificate is only valid for",
        ),
        (&[("sslmode", "verify-full"), ("sslrootcert", "nowhere.crt")], "nowhere.crt"),
        (&[("sslmode", "verify-full"), ("sslrootcert", &*key)], "no valid CA certificates"),
        (&[("sslrootcert", &*ours)], "add sslmode = 'verify-full'"),
        (&[("sslcert", &*certificate)], "sslcert is of no use without sslkey"),
        (&[("sslkey", &*key)], "sslkey is of no use without sslcert"),
        (&[("sslmode", "disable"), ("sslcert", &*certificate), ("sslkey", &*key)], "shown to nobody"),
        (&[("sslmode", "require"), ("host", "/tmp")], "no TLS over a server's socket"),
    ] {
        with(&mut shop, &[&reader[..], options].concat());
        let told = checked(&shop);
        assert!(told.contains(words), "{options:?}: {told}");
        assert!(!told.contains("secret"), "{told}");
    }
    for (user, papers, words) in [
        ("bearer", &[("sslcert", &*certificate), ("sslkey", &*key)][..], ": ok"),
        ("bearer", &[], "set the options sslcert and sslkey"),
        ("bearer", &[("sslcert", &*stranger), ("sslkey", &*strangers_key)], "is not one of user \"bearer\""),
        ("bearer", &[("sslcert", &*forged), ("sslkey", &*forged_key)], "the server does not take the certificate"),
        ("bearer", &[("sslcert", &*certificate), ("sslkey", &*forged_key)], "invalid client cert/key"),
    ] {
        with(&mut shop, &[&[("user", user)][..], &full, papers].concat());
        let told = checked(&shop);
        assert!(told.contains(words), "{papers:?}: {told}");
    }
}

#[test]
fn a_verified_connection_copies_and_follows() {
    let papers = Papers::new();
    papers.authority("ours");
    papers.certificate("ours", "server", "db", "subjectAltName=DNS:localhost");
    papers.certificate("ours", "bearer", "bearer", "extendedKeyUsage=clientAuth");
    papers.hand_over();
    let postgres = server(&papers);
    let script = "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items SELECT n, 'a' FROM generate_series(1, 2000) n";
    let mut shop = Shop::of(&postgres, "tls", script);
    shop.owner.execute(
        "CREATE ROLE reader LOGIN PASSWORD 'secret' REPLICATION; CREATE ROLE bearer LOGIN REPLICATION;
         GRANT SELECT ON items TO reader, bearer; CREATE PUBLICATION vantage FOR TABLE items",
    );
    let (ours, port) = (shown(&papers.path("ours.crt")), postgres.port.to_string());
    let (certificate, key) = (shown(&papers.path("bearer.crt")), shown(&papers.path("bearer.key")));
    let full = [("port", &*port), ("host", "localhost"), ("sslmode", "verify-full"), ("sslrootcert", &*ours)];
    with_options(&mut shop, &full);
    // Once with a password, and then on with a certificate.
    for options in [
        &[("user", "reader"), ("password_env", "SHOP_PASSWORD")][..],
        &[("user", "bearer"), ("sslcert", &*certificate), ("sslkey", &*key)],
    ] {
        with_options(&mut shop, options);
        shop.declare(DECLARED);
        let mut command = shop.site.serve_command();
        command.env("SHOP_PASSWORD", "secret");
        let mut server = shop.site.start(command);
        server.wait_ready();
        shop.owner.execute(&format!("UPDATE items SET name = '{}' WHERE id % 2 = 0", options[0].1));
        shop.compare(&server, &[("names", "SELECT id, name FROM items")]);
        let sessions = shop.owner.query(
            "SELECT bool_and(s.ssl), count(*) > 0 FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
             WHERE a.application_name LIKE 'vantage %'",
        );
        assert_eq!(sessions.expect("sessions").rows, [[Some("t".to_string()), Some("t".to_string())]]);
        assert_eq!(server.terminate(), Some(0));
    }
    // A certificate may be for an address.
    papers.certificate("ours", "server", "db", "subjectAltName=IP:127.0.0.1");
    papers.hand_over();
    reload(&postgres);
    with_options(&mut shop, &[("host", "127.0.0.1")]);
    assert!(checked(&shop).contains(": ok"), "{}", checked(&shop));
    with_options(&mut shop, &[("host", "localhost")]);
    assert!(checked(&shop).contains("not valid for name \"localhost\""), "{}", checked(&shop));
}
