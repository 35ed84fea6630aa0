//! A real PostgreSQL, the judge of what SQL means: started when a test first asks for it, gone with the test process.
//!
//! ```ignore
//! let mut postgres = Session::open();
//! let answer = postgres.query("SELECT 1 + 1 AS two")?;
//! assert_eq!((&*answer.columns[0].0, answer.columns[0].1), ("two", "integer"));
//! assert_eq!(answer.rows, [[Some("2".to_string())]]);
//! ```
//!
//! All sessions share one server and one database; what must not be seen by others belongs into a temporary table or a
//! schema of one's own. Text compares bytewise (the "C" collation) and has upper and lower case in all of
//! Unicode, times are in UTC.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use super::PATIENCE;

/// Runs the server until standard input ends, which it does however this process ends, and removes its files then; does
/// what the lines of it say meanwhile. The server refuses to run as root.
const KEEPER: &str = r#"
trap '' INT TERM
home=$(mktemp -d /tmp/vantage-postgres.XXXXXX) || exit 1
programs=$0 port=$1
shift
"$programs/initdb" --pgdata "$home/data" --username postgres --auth trust --auth-host scram-sha-256 --encoding UTF8 \
    --no-sync --locale C --lc-ctype C.UTF-8 --no-instructions >"$home/log" 2>&1 \
    || { cat "$home/log" >&2; rm -rf "$home"; exit 1; }
start() {
    "$programs/postgres" -D "$home/data" -k "$home" -p "$port" -c fsync=off -c full_page_writes=off -c autovacuum=off \
        -c jit=off -c timezone=UTC -c max_connections=100 -c max_wal_senders=60 "$@" >>"$home/log" 2>&1 &
    server=$!
}
start "$@"
echo "$home"
while read -r command; do
    case $command in
        kill)
            kill -STOP $server
            children=$(pgrep -P $server)
            kill -KILL $server $children
            wait $server
            # While one of them is there, no other server starts.
            for child in $children; do while kill -0 $child; do sleep 0.01; done; done ;;
        stop) kill -INT $server; wait $server ;;
        start) start "$@" ;;
    esac
    echo "$command"
done 2>/dev/null
kill -QUIT $server
wait $server
rm -rf "$home"
"#;

/// The one server of this process.
static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let settings = ["listen_addresses=", "synchronous_commit=off", "log_min_messages=panic", "wal_level=logical"];
    Server::start(5432, &[&settings[..], &["max_replication_slots=60"]].concat())
});

/// A server.
pub(crate) struct Server {
    /// Ends when its standard input does.
    keeper: Child,
    answers: BufReader<ChildStdout>,
    home: PathBuf,
    pub(crate) port: u16,
}

impl Server {
    /// One of a test's own, which listens on a free port too and writes down all it has to say.
    pub(crate) fn own(settings: &[&str]) -> Server {
        Server::start(super::free_port(), &[&["listen_addresses=127.0.0.1"][..], settings].concat())
    }

    /// The directory of the shared server's socket.
    pub(crate) fn shared() -> &'static Path {
        &SERVER.home
    }

    fn start(port: u16, settings: &[&str]) -> Server {
        let programs = programs();
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|it| it.stdout == b"0\n");
        let mut command = Command::new(if is_root { "setpriv" } else { "sh" });
        if is_root {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
        }
        command.args(["-c", KEEPER]).arg(programs).arg(port.to_string()).current_dir("/");
        command.args(settings.iter().flat_map(|it| ["-c", it]));
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("PostgreSQL's keeper");
        let mut answers = BufReader::new(keeper.stdout.take().expect("piped"));
        let mut home = String::new();
        answers.read_line(&mut home).expect("PostgreSQL's directory");
        let server = Server { keeper, answers, home: PathBuf::from(home.trim()), port };
        server.wait();
        server
    }

    fn wait(&self) {
        let deadline = Instant::now() + PATIENCE;
        while Session::connect(&self.socket(), "postgres").is_err() {
            assert!(Instant::now() < deadline, "PostgreSQL did not start; it wrote:\n{}", self.log());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Where its socket, its data and its log are.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.home.join(format!(".s.PGSQL.{}", self.port))
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.join("log")).unwrap_or_default()
    }

    /// A connection to one of its databases.
    pub(crate) fn session(&self, database: &str) -> Session {
        Session::connect(&self.socket(), database).expect("a connection to PostgreSQL")
    }

    /// Ends all of its processes at once, as kill -9 does.
    pub(crate) fn kill(&mut self) {
        self.tell("kill");
    }

    /// Ends it as an administrator does.
    pub(crate) fn stop(&mut self) {
        self.tell("stop");
    }

    /// Starts it again.
    pub(crate) fn restart(&mut self) {
        self.tell("start");
        self.wait();
    }

    fn tell(&mut self, command: &str) {
        let input = self.keeper.stdin.as_mut().expect("piped");
        input.write_all(format!("{command}\n").as_bytes()).expect("the keeper reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the keeper answers");
        assert_eq!(answer.trim(), command);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The directory of the newest server's programs.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|it| it.path().join("bin")).filter(|it| it.join("initdb").exists());
    let version = |it: &PathBuf| it.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    found.max_by_key(version).expect("PostgreSQL's server is not installed: run `make setup`")
}

/// What a query gave: names and PostgreSQL's types of its columns, and its values as PostgreSQL writes them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<(String, &'static str)>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

/// Why a query failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) sqlstate: String,
    pub(crate) message: String,
}

/// One connection.
pub(crate) struct Session {
    stream: UnixStream,
    input: BufReader<UnixStream>,
}

/// So many bytes fit into a socket's buffer in one piece, so that sending them never waits for answers to be read.
const PIPELINE_BYTES: usize = 32 << 10;

impl Session {
    /// A connection to the shared server.
    pub(crate) fn open() -> Session {
        SERVER.session("postgres")
    }

    /// A connection to a database of one's own at the shared server.
    pub(crate) fn to(database: &str) -> Session {
        SERVER.session(database)
    }

    /// A connection to the server at `socket`, which may be away.
    pub(crate) fn connect(socket: &Path, database: &str) -> std::io::Result<Session> {
        let stream = UnixStream::connect(socket)?;
        let mut session = Session { input: BufReader::new(stream.try_clone()?), stream };
        let mut startup = Vec::new();
        startup.extend_from_slice(&196_608_u32.to_be_bytes());
        startup.extend_from_slice(format!("user\0postgres\0database\0{database}\0\0").as_bytes());
        session.stream.write_all(&(startup.len() as u32 + 4).to_be_bytes())?;
        session.stream.write_all(&startup)?;
        match session.answer()? {
            Ok(_) => Ok(session),
            Err(failure) => Err(std::io::Error::other(failure.message)),
        }
    }

    /// The answer of the last of the statements in `sql`.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Answer, Failure> {
        self.queries(&[sql]).pop().expect("an answer for the statement")
    }

    /// The answer of the last of the statements in `sql`, or that the server went away.
    pub(crate) fn attempt(&mut self, sql: &str) -> std::io::Result<Result<Answer, Failure>> {
        self.stream.write_all(&query(sql))?;
        self.answer()
    }

    /// Runs statements that must succeed.
    pub(crate) fn execute(&mut self, sql: &str) {
        self.query(sql).unwrap_or_else(|failure| panic!("{}: {sql}", failure.message));
    }

    /// The answers of many texts, each a transaction of its own; they are sent ahead of the answers.
    pub(crate) fn queries(&mut self, texts: &[impl AsRef<str>]) -> Vec<Result<Answer, Failure>> {
        let mut answers = Vec::with_capacity(texts.len());
        let mut rest = texts;
        while !rest.is_empty() {
            let (mut messages, mut sent) = (Vec::new(), 0);
            for text in rest.iter().map(AsRef::as_ref) {
                if sent > 0 && messages.len() + text.len() > PIPELINE_BYTES {
                    break;
                }
                messages.extend(query(text));
                sent += 1;
            }
            self.stream.write_all(&messages).expect("PostgreSQL reads");
            answers.extend((0..sent).map(|_| self.answer().expect("PostgreSQL answers")));
            rest = &rest[sent..];
        }
        answers
    }

    /// Reads on until the server is ready for the next statement.
    fn answer(&mut self) -> std::io::Result<Result<Answer, Failure>> {
        let mut result = Ok(Answer::default());
        loop {
            let mut head = [0; 5];
            self.input.read_exact(&mut head)?;
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let mut body = vec![0; length - 4];
            self.input.read_exact(&mut body)?;
            let mut body = Body(&body);
            match (head[0], &mut result) {
                (b'T', Ok(answer)) => *answer = Answer { columns: body.columns(), rows: Vec::new() },
                (b'D', Ok(answer)) => answer.rows.push(body.row()),
                (b'E', _) => result = Err(body.failure()),
                (b'Z', _) => return Ok(result),
                _ => {}
            }
        }
    }
}

/// The message that asks for `sql`.
fn query(sql: &str) -> Vec<u8> {
    let mut message = vec![b'Q'];
    message.extend_from_slice(&(sql.len() as u32 + 5).to_be_bytes());
    message.extend_from_slice(sql.as_bytes());
    message.push(0);
    message
}

/// The rest of a message.
struct Body<'m>(&'m [u8]);

impl Body<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn number(&mut self, bytes: usize) -> i64 {
        let negative = self.0[0] & 0x80 != 0;
        let start = if negative { -1 } else { 0 };
        self.take(bytes).iter().fold(start, |number, it| number << 8 | i64::from(*it))
    }

    fn text(&mut self) -> String {
        let length = self.0.iter().position(|it| *it == 0).expect("a text's end");
        let text = String::from_utf8_lossy(self.take(length)).into_owned();
        self.take(1);
        text
    }

    fn columns(&mut self) -> Vec<(String, &'static str)> {
        let count = self.number(2);
        let column = |_| {
            let name = self.text();
            self.take(6);
            let data_type = type_name(self.number(4));
            self.take(8);
            (name, data_type)
        };
        (0..count).map(column).collect()
    }

    fn row(&mut self) -> Vec<Option<String>> {
        let count = self.number(2);
        let cell = |_| {
            let length = self.number(4);
            let length = usize::try_from(length).ok()?;
            Some(String::from_utf8_lossy(self.take(length)).into_owned())
        };
        (0..count).map(cell).collect()
    }

    fn failure(&mut self) -> Failure {
        let mut failure = Failure { sqlstate: String::new(), message: String::new() };
        while self.0.first().is_some_and(|it| *it != 0) {
            let field = self.number(1);
            let text = self.text();
            match u8::try_from(field) {
                Ok(b'C') => failure.sqlstate = text,
                Ok(b'M') => failure.message = text,
                _ => {}
            }
        }
        failure
    }
}

/// The name of a type by its number in PostgreSQL's catalog.
fn type_name(oid: i64) -> &'static str {
    match oid {
        16 => "boolean",
        17 => "bytea",
        20 => "bigint",
        21 => "smallint",
        23 => "integer",
        25 => "text",
        114 => "json",
        700 => "real",
        701 => "double precision",
        705 => "unknown",
        1000 => "boolean[]",
        1005 => "smallint[]",
        1007 => "integer[]",
        1009 => "text[]",
        1016 => "bigint[]",
        1022 => "double precision[]",
        1042 => "character",
        1043 => "character varying",
        1082 => "date",
        1083 => "time",
        1114 => "timestamp",
        1182 => "date[]",
        1184 => "timestamptz",
        1186 => "interval",
        1231 => "numeric[]",
        1266 => "timetz",
        1700 => "numeric",
        2249 => "record",
        2278 => "void",
        3802 => "jsonb",
        _ => "another type",
    }
}

#[test]
fn postgresql_answers() {
    let mut session = Session::open();
    let answer = session.query("SELECT 1 + 1 AS two, NULL::text, 'é' AS t, -0.5::float8").expect("an answer");
    let columns = [("two", "integer"), ("text", "text"), ("t", "text"), ("?column?", "double precision")];
    assert_eq!(answer.columns, columns.map(|(name, data_type)| (name.to_string(), data_type)));
    assert_eq!(answer.rows, [[Some("2".into()), None, Some("é".into()), Some("-0.5".into())]]);
    session.execute("CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (7)");
    assert_eq!(session.query("TABLE t").expect("an answer").rows, [[Some("7".into())]]);
    let failure = session.query("SELECT 1 / 0").expect_err("a failure");
    assert_eq!(failure.sqlstate, "22012");
    let numbers: Vec<String> = (0..5000).map(|it| format!("SELECT {it}, repeat('x', 100)")).collect();
    for (at, answer) in session.queries(&numbers).into_iter().enumerate() {
        assert_eq!(answer.expect("an answer").rows[0][0], Some(at.to_string()));
    }
}
