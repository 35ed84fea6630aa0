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
        expect![[r#"Sources([Sqlite { path: "/base/shop.db" }, Sqlite { path: "/own.db" }])"#]],
    );
    for (text, expected) in [
        (
            "CREATE SOURCE s WITH (connector = 'sqlit', path = 'x.db');",
            expect![[r#"
            error: there is no connector "sqlit"
             --> views/shop.sql:1:35
              |
            1 | CREATE SOURCE s WITH (connector = 'sqlit', path = 'x.db');
              |                                   ^^^^^^^
              = hint: did you mean "sqlite"?"#]],
        ),
        (
            "CREATE SOURCE s WITH (connector = 'sqlite');",
            expect![[r#"
            error: connector 'sqlite' needs the option "path": the file it reads
             --> views/shop.sql:1:35
              |
            1 | CREATE SOURCE s WITH (connector = 'sqlite');
              |                                   ^^^^^^^^
              = hint: add path = 'services/catalog.db'"#]],
        ),
        (
            "CREATE SOURCE s WITH (connector = 'sqlite', path = 'x.db'); CREATE TABLE t FROM s TABLE 't' ON ERROR SKIP;",
            expect![[r#"
            error: connector 'sqlite' has no messages to skip
             --> views/shop.sql:1:93
              |
            1 | CREATE SOURCE s WITH (connector = 'sqlite', path = 'x.db'); CREATE TABLE t FROM s TABLE 't' ON ERROR SKIP;
              |                                                                                             ^^^^^^^^^^^^^
              = hint: a value that has no place here is an error cell of its row; leave ON ERROR out"#]],
        ),
        (
            "CREATE SOURCE s WITH (connector = 'sqlite', path = '');",
            expect![[r#"
            error: "" is not a path
             --> views/shop.sql:1:52
              |
            1 | CREATE SOURCE s WITH (connector = 'sqlite', path = '');
              |                                                    ^^"#]],
        ),
        (
            "CREATE SOURCE s WITH (connector = 'sqlite', pth = 'x.db');",
            expect![[r#"
            error: connector 'sqlite' needs the option "path": the file it reads
             --> views/shop.sql:1:35
              |
            1 | CREATE SOURCE s WITH (connector = 'sqlite', pth = 'x.db');
              |                                   ^^^^^^^^
              = hint: add path = 'services/catalog.db'

            error: there is no option "pth"
             --> views/shop.sql:1:45
              |
            1 | CREATE SOURCE s WITH (connector = 'sqlite', pth = 'x.db');
              |                                             ^^^
              = hint: did you mean "path"?"#]],
        ),
        (
            "CREATE SOURCE s WITH (connector = 'sqlite', path = 'x.db', topic = 'y');",
            expect![[r#"
            error: there is no option "topic"
             --> views/shop.sql:1:60
              |
            1 | CREATE SOURCE s WITH (connector = 'sqlite', path = 'x.db', topic = 'y');
              |                                                            ^^^^^
              = hint: connector 'sqlite' has these options: path"#]],
        ),
        (
            "CREATE TABLE t WITH (connector = 'sqlite', path = 'x.db', topics = 'y');",
            expect![[r#"
            error: there is no option "topics"
             --> views/shop.sql:1:59
              |
            1 | CREATE TABLE t WITH (connector = 'sqlite', path = 'x.db', topics = 'y');
              |                                                           ^^^^^^
              = hint: connector 'sqlite' has these options: path"#]],
        ),
        (
            "CREATE SOURCE s WITH (connector = 'sqlite', path = 'x.db');\n\
             CREATE TABLE t (a int METADATA FROM 'offset', b int) FROM s TABLE 't' WITH (retention = '1s') FORMAT PLAIN ENCODE JSON;",
            expect![[r#"
                error: a table of a SQLite file is made of rows: there is no metadata beside them
                 --> views/shop.sql:2:37
                  |
                2 | CREATE TABLE t (a int METADATA FROM 'offset', b int) FROM s TABLE 't' WITH (retention = '1s') FORMAT PLAIN ENCODE JSON;
                  |                                     ^^^^^^^^
                  = hint: leave the column out

                error: there is no option "retention"
                 --> views/shop.sql:2:77
                  |
                2 | CREATE TABLE t (a int METADATA FROM 'offset', b int) FROM s TABLE 't' WITH (retention = '1s') FORMAT PLAIN ENCODE JSON;
                  |                                                                             ^^^^^^^^^
                  = hint: a table of connector 'sqlite' has no options

                error: a table of a SQLite file is made of rows: it has no format
                 --> views/shop.sql:2:102
                  |
                2 | CREATE TABLE t (a int METADATA FROM 'offset', b int) FROM s TABLE 't' WITH (retention = '1s') FORMAT PLAIN ENCODE JSON;
                  |                                                                                                      ^^^^^
                  = hint: leave it out"#]],
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn a_connector_that_is_none_is_told_with_those_that_are() {
    let text = "CREATE SOURCE s WITH (connector = 'carrier-pigeon');";
    let (files, problems) = connect(&catalog(text), Path::new("/base")).map(|_| ()).expect_err("no such connector");
    let told = problems.iter().map(|it| it.render(&files)).collect::<Vec<_>>().join("\n\n");
    // Which ones there are is a matter of the features this was built with.
    for part in ["there is no connector \"carrier-pigeon\"", "views/shop.sql:1:35", "connectors: 'sqlite'"] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn two_sources_over_one_file_are_a_problem() {
    check(
        "CREATE SOURCE shop WITH (connector = 'sqlite', path = 'shop.db');\n\
         CREATE SOURCE again WITH (connector = 'sqlite', path = './shop.db');\n\
         CREATE TABLE own WITH (connector = 'sqlite', path = 'own.db');\n\
         CREATE TABLE other WITH (connector = 'sqlite', path = 'own.db');\n",
        expect![[r#"
            error: source "shop" reads the same file
             --> views/shop.sql:2:39
              |
            2 | CREATE SOURCE again WITH (connector = 'sqlite', path = './shop.db');
              |                                       ^^^^^^^^
              = hint: one source can have many tables: CREATE TABLE … FROM shop

            error: source "own" reads the same file
             --> views/shop.sql:4:38
              |
            4 | CREATE TABLE other WITH (connector = 'sqlite', path = 'own.db');
              |                                      ^^^^^^^^
              = hint: declare one source with CREATE SOURCE, and both tables FROM it"#]],
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
        (
            "port = 5",
            expect![[r#"
            error: connector 'x' needs the option "host": where the server is
             --> views/shop.sql:1:15
              |
            1 | CREATE SOURCE s WITH (connector = 'x', port = 5);
              |               ^
              = hint: add host = 'db:5432'"#]],
        ),
        (
            "host = 'h', 'properties.host' = 'i'",
            expect![[r#"
            error: option "host" is given twice
             --> views/shop.sql:1:52
              |
            1 | CREATE SOURCE s WITH (connector = 'x', host = 'h', 'properties.host' = 'i');
              |                                                    ^^^^^^^^^^^^^^^^^
              = hint: leave one of them out: host, properties.host"#]],
        ),
        (
            "hots = 'h', host = 'h'",
            expect![[r#"
            error: there is no option "hots"
             --> views/shop.sql:1:40
              |
            1 | CREATE SOURCE s WITH (connector = 'x', hots = 'h', host = 'h');
              |                                        ^^^^
              = hint: did you mean "host"?"#]],
        ),
        (
            "host = 'h', nothing.like.it = 'h'",
            expect![[r#"
            error: there is no option "nothing.like.it"
             --> views/shop.sql:1:52
              |
            1 | CREATE SOURCE s WITH (connector = 'x', host = 'h', nothing.like.it = 'h');
              |                                                    ^^^^^^^^^^^^^^^
              = hint: connector 'x' has these options: host, port, wait, tls, mode, ca, password_env"#]],
        ),
        (
            "host = 'h', port = '70000'",
            expect![[r#"
            error: "70000" is not a whole number from 1 to 65535
             --> views/shop.sql:1:59
              |
            1 | CREATE SOURCE s WITH (connector = 'x', host = 'h', port = '70000');
              |                                                           ^^^^^^^"#]],
        ),
        (
            "host = 'h', port = 'http'",
            expect![[r#"
            error: "http" is not a whole number from 1 to 65535
             --> views/shop.sql:1:59
              |
            1 | CREATE SOURCE s WITH (connector = 'x', host = 'h', port = 'http');
              |                                                           ^^^^^^"#]],
        ),
        (
            "host = 'h', wait = 'long'",
            expect![[r#"
            error: "long" is not a duration
             --> views/shop.sql:1:59
              |
            1 | CREATE SOURCE s WITH (connector = 'x', host = 'h', wait = 'long');
              |                                                           ^^^^^^
              = hint: write '500ms', '1s', '5m' or '1h'"#]],
        ),
        (
            "host = 'h', tls = 'maybe'",
            expect![[r#"
            error: "maybe" is not true or false
             --> views/shop.sql:1:58
              |
            1 | CREATE SOURCE s WITH (connector = 'x', host = 'h', tls = 'maybe');
              |                                                          ^^^^^^^"#]],
        ),
        (
            "host = 'h', mode = 'latst'",
            expect![[r#"
            error: "latst" is not one of earliest, latest
             --> views/shop.sql:1:59
              |
            1 | CREATE SOURCE s WITH (connector = 'x', host = 'h', mode = 'latst');
              |                                                           ^^^^^^^
              = hint: did you mean "latest"?"#]],
        ),
        (
            "host = 'h', ca = ''",
            expect![[r#"
            error: "" is not a path
             --> views/shop.sql:1:57
              |
            1 | CREATE SOURCE s WITH (connector = 'x', host = 'h', ca = '');
              |                                                         ^^"#]],
        ),
        (
            "host = 'h', password = 's3cret'",
            expect![[r#"
            error: "password" is a secret and may not stand in a view file
             --> views/shop.sql:1:52
              |
            1 | CREATE SOURCE s WITH (connector = 'x', host = 'h', password = ********);
              |                                                    ^^^^^^^^
              = hint: name a variable that holds it, password_env = 'VARIABLE', or a file, password_file = 'path'"#]],
        ),
        (
            "host = 'h', password_env = 'THERE_IS_NO_SUCH_VARIABLE'",
            expect![[r#"
            error: the environment variable "THERE_IS_NO_SUCH_VARIABLE" is not set
             --> views/shop.sql:1:67
              |
            1 | CREATE SOURCE s WITH (connector = 'x', host = 'h', password_env = 'THERE_IS_NO_SUCH_VARIABLE');
              |                                                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^"#]],
        ),
        (
            "host = 'h', password_file = 'nope'",
            expect![[r#"
            error: /nowhere/nope cannot be read: No such file or directory (os error 2)
             --> views/shop.sql:1:68
              |
            1 | CREATE SOURCE s WITH (connector = 'x', host = 'h', password_file = 'nope');
              |                                                                    ^^^^^^"#]],
        ),
        (
            "host = 'h', passwort = 's3cret'",
            expect![[r#"
                error: there is no option "passwort"
                 --> views/shop.sql:1:52
                  |
                1 | CREATE SOURCE s WITH (connector = 'x', host = 'h', passwort = ********);
                  |                                                    ^^^^^^^^
                  = hint: did you mean "password"?"#]],
        ),
        (
            "host = 'h', password_fil = 'nope'",
            expect![[r#"
            error: there is no option "password_fil"
             --> views/shop.sql:1:52
              |
            1 | CREATE SOURCE s WITH (connector = 'x', host = 'h', password_fil = ******);
              |                                                    ^^^^^^^^^^^^
              = hint: did you mean "password_file"?"#]],
        ),
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
