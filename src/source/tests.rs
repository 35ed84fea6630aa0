//! Declarations become connectors, or are refused with the place and what to write instead.

use std::path::Path;
use std::time::Duration;

use expect_test::{Expect, expect};

use super::connect;
use super::options::{Form, Known, Need, Reading};
use crate::catalog::{Catalog, File, Options, Span, read_files};

fn catalog(text: &str) -> Catalog {
    let files = vec![File { path: "views/shop.sql".into(), text: text.into() }];
    read_files(files, Vec::new()).unwrap_or_else(|(files, problems)| panic!("{}", problems[0].render(&files)))
}

fn check(text: &str, expected: Expect) {
    let told = match connect(&catalog(text), Path::new("/base")) {
        Ok(sources) => format!("{sources:?}"),
        Err((files, problems)) => problems.iter().map(|it| it.render(&files)).collect::<Vec<_>>().join("\n\n"),
    };
    expected.assert_eq(&told);
}

#[test]
fn sources_are_connected_by_their_kind() {
    check(
        "CREATE SOURCE shop WITH (connector = 'sqlite', 'path' = 'shop.db');\n\
         CREATE TABLE t (id bigint, name text) FROM shop TABLE 't';\n\
         CREATE TABLE own WITH (connector = 'sqlite', path = '/own.db', table = 'x');\n",
        expect![[""]],
    );
    for (text, expected) in [
        ("CREATE SOURCE s WITH (connector = 'kafkaa');", expect![[""]]),
        ("CREATE SOURCE s WITH (connector = 'sqlit', path = 'x.db');", expect![[""]]),
        ("CREATE SOURCE s WITH (connector = 'sqlite');", expect![[""]]),
        ("CREATE SOURCE s WITH (connector = 'sqlite', path = '');", expect![[""]]),
        ("CREATE SOURCE s WITH (connector = 'sqlite', pth = 'x.db');", expect![[""]]),
        ("CREATE SOURCE s WITH (connector = 'sqlite', path = 'x.db', topic = 'y');", expect![[""]]),
        ("CREATE TABLE t WITH (connector = 'sqlite', path = 'x.db', topics = 'y');", expect![[""]]),
        (
            "CREATE SOURCE s WITH (connector = 'sqlite', path = 'x.db');\n\
             CREATE TABLE t (a int METADATA FROM 'offset', b int) FROM s TABLE 't' WITH (retention = '1s') FORMAT PLAIN ENCODE JSON;",
            expect![[""]],
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn two_sources_over_one_file_are_a_problem() {
    check(
        "CREATE SOURCE shop WITH (connector = 'sqlite', path = 'shop.db');\n\
         CREATE SOURCE again WITH (connector = 'sqlite', path = './shop.db');\n\
         CREATE TABLE own WITH (connector = 'sqlite', path = 'own.db');\n\
         CREATE TABLE other WITH (connector = 'sqlite', path = 'own.db');\n",
        expect![[""]],
    );
    // A file that is there is known whatever it is called.
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("shop.db"), directory.path().join("link.db"));
    std::fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let source =
        |name: &str, file: &str| format!("CREATE SOURCE {name} WITH (connector = 'sqlite', path = '{file}');\n");
    let text = format!("{}{}", source("shop", "shop.db"), source("again", "link.db"));
    let (_, problems) = connect(&catalog(&text), directory.path()).unwrap_err();
    assert_eq!(problems[0].message, "source \"shop\" reads the same file");
}

const KNOWN: &[Known] = &[
    Known {
        name: "host",
        aliases: &["properties.host"],
        meaning: "where the server is",
        need: Need::Required("db:5432"),
        form: Form::Text,
    },
    Known {
        name: "port",
        aliases: &[],
        meaning: "its port",
        need: Need::Default("5432"),
        form: Form::Number(1, 65535),
    },
    Known { name: "wait", aliases: &[], meaning: "how long", need: Need::Optional, form: Form::Duration },
    Known { name: "tls", aliases: &[], meaning: "whether", need: Need::Default("true"), form: Form::Boolean },
    Known {
        name: "mode",
        aliases: &[],
        meaning: "how",
        need: Need::Optional,
        form: Form::OneOf(&["earliest", "latest"]),
    },
    Known { name: "ca", aliases: &[], meaning: "certificates", need: Need::Optional, form: Form::Path },
    Known { name: "password", aliases: &[], meaning: "password", need: Need::Optional, form: Form::Secret },
];

/// Options as a source would have them.
fn options(text: &str) -> (Vec<File>, Options) {
    let catalog = catalog(&format!("CREATE SOURCE s WITH (connector = 'x', {text});"));
    (catalog.files, catalog.sources[0].options.clone())
}

#[test]
fn options_are_read_against_a_list() {
    let base = tempfile::tempdir().unwrap();
    std::fs::write(base.path().join("secret"), "s3cret\n").unwrap();
    let (_, given) = options(
        "properties.host = 'h', 'wait' = '5s', tls = FALSE, mode = 'Latest', ca = 'ca.pem', password_file = 'secret'",
    );
    let mut reading = Reading::new(base.path());
    let values = reading.options(&given, KNOWN, Span::default(), "it").expect("no problems");
    assert_eq!((values.text("host"), values.number("port")), (Some("h"), Some(5432)));
    assert_eq!((values.duration("wait"), values.boolean("tls")), (Some(Duration::from_secs(5)), Some(false)));
    assert_eq!((values.text("mode"), values.path("ca")), (Some("latest"), Some(&*base.path().join("ca.pem"))));
    assert_eq!(values.secret("password").map(|it| it.reveal()), Some("s3cret"));
    assert!(!format!("{values:?}").contains("s3cret"), "{values:?}");
    let (_, given) = options("host = 'h', password_env = 'PATH'");
    let values = reading.options(&given, KNOWN, Span::default(), "it").expect("no problems");
    assert_eq!(values.secret("password").map(|it| it.reveal().to_string()), std::env::var("PATH").ok());
    assert_eq!((values.duration("wait"), values.text("mode")), (None, None));
}

#[test]
fn an_option_that_cannot_be_honoured_is_refused() {
    for (text, expected) in [
        ("port = 5", expect![[""]]),
        ("host = 'h', 'properties.host' = 'i'", expect![[""]]),
        ("hots = 'h', host = 'h'", expect![[""]]),
        ("host = 'h', nothing.like.it = 'h'", expect![[""]]),
        ("host = 'h', port = '70000'", expect![[""]]),
        ("host = 'h', port = 'http'", expect![[""]]),
        ("host = 'h', wait = 'long'", expect![[""]]),
        ("host = 'h', tls = 'maybe'", expect![[""]]),
        ("host = 'h', mode = 'latst'", expect![[""]]),
        ("host = 'h', ca = ''", expect![[""]]),
        ("host = 'h', password = 's3cret'", expect![[""]]),
        ("host = 'h', password_env = 'THERE_IS_NO_SUCH_VARIABLE'", expect![[""]]),
        ("host = 'h', password_file = 'nope'", expect![[""]]),
        ("host = 'h', password_fil = 'nope'", expect![[""]]),
    ] {
        let (files, given) = options(text);
        let mut reading = Reading::new(Path::new("/nowhere"));
        let at = Span { start: 14, end: 15, ..Span::default() };
        assert!(reading.options(&given, KNOWN, at, "connector 'x'").is_none(), "{text}");
        let files = super::connect::without(&files, &reading.exposed);
        let told: Vec<String> = reading.problems.iter().map(|it| it.render(&files)).collect();
        let told = told.join("\n\n");
        assert!(!told.contains("s3cret"), "{told}");
        expected.assert_eq(&told);
    }
}
