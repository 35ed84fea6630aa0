//! The servers: started by `deploy/real/server.sh`, killed and started again as a test wants, gone with the test process.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::support::http::{self, Answer};
use super::super::support::{PATIENCE, free_port, text_of};

/// Runs a program in a process group of its own until standard input ends, which it does however this process ends, and
/// removes its folder then; does what the lines of it say meanwhile.
const KEEPER: &str = r#"
trap '' INT TERM
folder=$0
start() { setsid "$@" >>"$folder.log" 2>&1 </dev/null & server=$!; }
while read -r command; do
    case $command in
        start) start "$@" ;;
        kill) kill -KILL -- -$server; wait $server ;;
    esac
    echo "$command"
done 2>/dev/null
kill -KILL -- -$server 2>/dev/null
wait $server 2>/dev/null
rm -rf "$folder"
"#;

/// Servers on one machine start one after another, each of them slowly where others are busy.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// A server that can be killed and started again.
#[derive(Debug)]
struct Program {
    keeper: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
}

impl Program {
    /// `server.sh NAME FOLDER ARGUMENTS`.
    fn start(root: &Path, name: &str, arguments: &[u16]) -> Program {
        let folder = root.join(name);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/real/server.sh");
        let mut command = Command::new("bash");
        command.args(["-c", KEEPER]).arg(&folder).arg(script).arg(name).arg(&folder);
        command.args(arguments.iter().map(u16::to_string)).env("JARS", jars());
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash");
        let (commands, answers) = (keeper.stdin.take(), keeper.stdout.take().expect("piped"));
        let mut program = Program { keeper, commands, answers: BufReader::new(answers), folder };
        program.tell("start");
        program
    }

    fn tell(&mut self, command: &str) {
        let commands = self.commands.as_mut().expect("it was not dropped");
        commands.write_all(format!("{command}\n").as_bytes()).expect("the keeper reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the keeper answers");
        assert_eq!(answer.trim(), command);
    }

    /// The end of what it has said.
    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.with_extension("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn wait(&self, answers: impl Fn() -> bool) {
        let deadline = Instant::now() + START_PATIENCE;
        while !answers() {
            assert!(Instant::now() < deadline, "{} did not start:\n{}", self.folder.display(), self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.keeper.wait();
    }
}

/// A directory that the databases' users may enter.
pub(super) fn root() -> tempfile::TempDir {
    let root = tempfile::Builder::new().prefix("vantage-real-").tempdir().expect("temporary directory");
    std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).expect("permissions");
    root
}

pub(super) fn jars() -> PathBuf {
    let jars = std::env::var_os("JARS").map(PathBuf::from).filter(|it| it.join("libs").is_dir());
    jars.expect("JARS has to name the folder that deploy/real/jars.sh has filled: run `make test-real`")
}

fn accepts(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A broker.
#[derive(Debug)]
pub(super) struct Broker {
    program: Program,
    port: u16,
}

impl Broker {
    pub(super) fn start(root: &Path) -> Broker {
        let (port, controller) = (free_port(), free_port());
        let program = Program::start(root, "kafka", &[port, controller]);
        program.wait(|| accepts(port));
        Broker { program, port }
    }

    pub(super) fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn kill(&mut self) {
        self.program.tell("kill");
        self.program.tell("start");
    }

    /// Makes a topic of one partition.
    pub(super) fn create_topic(&self, name: &str) {
        let mut command = Command::new("java");
        command.arg("-cp").arg(format!("{}/libs/*", jars().display())).arg("org.apache.kafka.tools.TopicCommand");
        command.args(["--bootstrap-server", &self.servers(), "--create", "--topic", name]);
        let output = command.output().expect("java");
        assert!(output.status.success(), "{}", text_of(&output));
    }
}

/// A worker of Kafka Connect.
#[derive(Debug)]
pub(super) struct Connect {
    program: Program,
    port: u16,
}

impl Connect {
    pub(super) fn start(root: &Path, broker: &Broker) -> Connect {
        let port = free_port();
        let connect = Connect { program: Program::start(root, "connect", &[port, broker.port]), port };
        connect.program.wait(|| connect.ask("GET", "/connectors", None).is_some_and(|it| it.status == 200));
        connect
    }

    pub(super) fn kill(&mut self) {
        self.program.tell("kill");
        self.program.tell("start");
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let headers = [("content-type", "application/json")];
        http::request(([127, 0, 0, 1], self.port).into(), method, path, &headers, &body).ok()
    }

    /// Makes a connector, or gives it another configuration.
    pub(super) fn put_connector(&self, name: &str, config: &Value) {
        let put = || self.ask("PUT", &format!("/connectors/{name}/config"), Some(config));
        let mut last = None;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            last = put();
            match &last {
                Some(it) if matches!(it.status, 200 | 201) => return,
                // A worker that has just started, or balances again.
                Some(it) if matches!(it.status, 404 | 409 | 500 | 503) => {}
                None => {}
                Some(it) => panic!("{name}: {}", it.body),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{name}: {last:?}\n{}", self.program.log());
    }

    /// Starts again what has failed, as whoever runs Connect does; whether it knows all of these connectors.
    pub(super) fn restart_failed(&self, names: &[&str]) -> bool {
        names.iter().all(|name| {
            let status = self.ask("GET", &format!("/connectors/{name}/status"), None).filter(|it| it.status == 200);
            if status.as_ref().is_some_and(|it| it.body.contains("\"FAILED\"")) {
                self.ask("POST", &format!("/connectors/{name}/restart?includeTasks=true&onlyFailed=true"), None);
            }
            status.is_some()
        })
    }

    /// What there is to say when nothing arrives.
    pub(super) fn story(&self, names: &[&str]) -> String {
        let status = |name: &&str| {
            let status = self.ask("GET", &format!("/connectors/{name}/status"), None);
            status.map_or(format!("{name}: no answer"), |it| it.body)
        };
        let statuses: Vec<String> = names.iter().map(status).collect();
        format!("{}\nconnect:\n{}", statuses.join("\n"), self.program.log())
    }
}

/// MariaDB, and a session of its command line client.
#[derive(Debug)]
pub(super) struct MariaDb {
    _program: Program,
    pub(super) port: u16,
}

impl MariaDb {
    pub(super) fn start(root: &Path) -> MariaDb {
        let port = free_port();
        let program = Program::start(root, "mariadb", &[port]);
        program.wait(|| accepts(port));
        MariaDb { _program: program, port }
    }

    pub(super) fn session(&self) -> MariaDbSession {
        MariaDbSession::open(self.port)
    }
}

/// One connection to MariaDB.
#[derive(Debug)]
pub(super) struct MariaDbSession {
    client: Child,
    answers: BufReader<ChildStdout>,
}

/// What follows an answer.
const END_OF_ANSWER: &str = "end of answer";

impl MariaDbSession {
    fn open(port: u16) -> MariaDbSession {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--host=127.0.0.1", "--user=debezium", "--password=secret", "--skip-ssl"]);
        command.args(["--default-character-set=utf8mb4", "--batch", "--skip-column-names", "--unbuffered"]);
        command.arg(format!("--port={port}"));
        let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("mariadb, the client");
        let answers = BufReader::new(client.stdout.take().expect("piped"));
        MariaDbSession { client, answers }
    }

    /// Runs statements that must succeed; the rows of all of them, a text a cell.
    pub(super) fn run(&mut self, statements: &str) -> Vec<Vec<String>> {
        let input = self.client.stdin.as_mut().expect("piped");
        input.write_all(format!("{statements};\nSELECT '{END_OF_ANSWER}';\n").as_bytes()).expect("mariadb reads");
        input.flush().expect("mariadb reads");
        let mut rows = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).expect("an answer") > 0, "mariadb refused: {statements}");
            let line = line.trim_end_matches('\n');
            if line == END_OF_ANSWER {
                return rows;
            }
            rows.push(line.split('\t').map(str::to_string).collect());
        }
    }
}

impl Drop for MariaDbSession {
    fn drop(&mut self) {
        drop(self.client.stdin.take());
        let _ = self.client.wait();
    }
}

/// The configuration of a connector over PostgreSQL. Connect writes without transactions, so a connector that was killed
/// writes again what it is not sure to have written. With them (`exactly.once.source.support`) a broker of version 4.3 that is
/// killed may keep a transaction open for ever that its coordinator has ended, and no worker starts behind it.
pub(super) fn of_postgres(port: u16, database: &str) -> Value {
    json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "topic.prefix": "pg",
        "database.hostname": "127.0.0.1",
        "database.port": port.to_string(),
        "database.user": "postgres",
        "database.password": "secret",
        "database.dbname": database,
        "plugin.name": "pgoutput",
        "schema.include.list": "public",
        "provide.transaction.metadata": "true",
        "retriable.restart.connector.wait.ms": "500",
        "poll.interval.ms": "20",
    })
}

/// The configuration of a connector over MariaDB, which writes into topics of three partitions.
pub(super) fn of_mariadb(port: u16, broker: &Broker) -> Value {
    json!({
        "connector.class": "io.debezium.connector.mariadb.MariaDbConnector",
        "tasks.max": "1",
        "topic.prefix": "maria",
        "database.hostname": "127.0.0.1",
        "database.port": port.to_string(),
        "database.user": "debezium",
        "database.password": "secret",
        "database.ssl.mode": "disable",
        "database.server.id": "8",
        "database.include.list": "shop",
        "schema.history.internal.kafka.bootstrap.servers": broker.servers(),
        "schema.history.internal.kafka.topic": "maria.history",
        "provide.transaction.metadata": "true",
        "topic.creation.default.partitions": "3",
        "topic.creation.default.replication.factor": "1",
        "retriable.restart.connector.wait.ms": "500",
        "poll.interval.ms": "20",
    })
}
