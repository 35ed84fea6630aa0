//! A real PostgreSQL as a source: what is served equals the owner's own answer, through everything that may happen to
//! either of the two.

mod changes;
mod faults;
mod random;
mod speed;
mod tables;
mod tls;

use super::differential::judge::{Answered, difference};
use super::support::postgres::{Server as Postgres, Session};
use super::support::{Server, Site, http};

/// A database of an owner, and a site that follows it.
pub(super) struct Shop {
    /// The name of the database and of the slot.
    pub(super) name: String,
    pub(super) owner: Session,
    pub(super) site: Site,
    /// What stands behind `connector =`.
    pub(super) options: String,
}

impl Shop {
    /// A database of its own at the shared server, with what `script` makes in it.
    pub(super) fn new(name: &str, script: &str) -> Shop {
        Session::open().execute(&format!("CREATE DATABASE {name}"));
        let options = format!(
            "host = '{}', user = 'postgres', database = '{name}', slot.name = '{name}'",
            Postgres::shared().display()
        );
        Shop::at(name, Session::to(name), options, script)
    }

    /// The same at a server of the test's own.
    pub(super) fn of(postgres: &Postgres, name: &str, script: &str) -> Shop {
        postgres.session("postgres").execute(&format!("CREATE DATABASE {name}"));
        let options = format!(
            "host = '{}', port = {}, user = 'postgres', database = '{name}', slot.name = '{name}'",
            postgres.home().display(),
            postgres.port
        );
        Shop::at(name, postgres.session(name), options, script)
    }

    fn at(name: &str, mut owner: Session, options: String, script: &str) -> Shop {
        // What is committed is known to readers at once.
        owner.execute("SET synchronous_commit = on");
        owner.execute(script);
        Shop { name: name.into(), owner, site: Site::new(), options }
    }

    /// Declares the source `shop`, and these tables and views of it.
    pub(super) fn declare(&self, declarations: &str) {
        self.site.write_views(&format!(
            "CREATE SOURCE shop WITH (connector = 'postgres', {});\n{declarations}",
            self.options
        ));
    }

    pub(super) fn serve(&self, declarations: &str) -> Server {
        self.declare(declarations);
        let mut server = self.site.serve();
        server.wait_ready();
        server
    }

    /// A place in the log behind everything that was committed before.
    pub(super) fn token(&mut self) -> String {
        let answer = self.owner.query("SELECT pg_current_wal_insert_lsn()").expect("a place");
        format!("shop@{}", answer.rows[0][0].as_ref().expect("a place"))
    }

    /// Compares `views` with what their queries give at the owner, as of everything committed before.
    pub(super) fn compare(&mut self, server: &Server, views: &[(&str, &str)]) {
        let token = self.token();
        for (view, query) in views {
            wait_for(server, view, &token);
            let expected = self.owner.query(query).unwrap_or_else(|failure| panic!("{}: {query}", failure.message));
            let answer = http::sql(server.address, &format!("SELECT * FROM {view}")).expect("answer");
            assert_eq!(answer.status, 200, "{view}: {}", answer.body);
            let actual: Answered = serde_json::from_str(&answer.body).expect("an answer");
            if let Some(words) = difference(&expected, &actual, false) {
                panic!("{view}: {words}\n{}", server.log());
            }
        }
    }
}

/// Waits until `view` has everything up to `token`.
pub(super) fn wait_for(server: &Server, view: &str, token: &str) {
    let headers = [("vantage-after", token), ("vantage-timeout-ms", "30000")];
    let answer = http::get(server.address, &format!("/v1/views/{view}?limit=1"), &headers).expect("answer");
    assert_eq!(answer.status, 200, "{view} after {token}: {}\n{}", answer.body, server.log());
}
