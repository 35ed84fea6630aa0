//! What the tests of the real process share: a directory with services and views, the process, a plain HTTP client; and
//! a PostgreSQL to compare with.

pub(crate) mod http;
pub(crate) mod postgres;
#[cfg(any(feature = "kafka", feature = "postgres"))]
pub(crate) mod spent;
pub(crate) mod stalls;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Longest wait for anything that must happen; only a failure takes that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test, without the caller's `VANTAGE_*` variables.
pub(crate) fn vantage() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vantage"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("VANTAGE_") {
            command.env_remove(name);
        }
    }
    command
}

/// A port that nobody listens on, below those from which outgoing connections come: a server that is killed and started
/// again finds it free, and whoever knocks meanwhile does not meet himself.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const PORTS: std::ops::Range<u32> = 12_000..32_000;
    let start = std::process::id().wrapping_mul(97);
    let candidates = (0..1000).map(|_| {
        let at = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS.len() as u32;
        u16::try_from(PORTS.start + at).expect("a port")
    });
    let mut free = candidates.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("a free port")
}

/// A temporary directory with view files, a data directory and service files.
pub(crate) struct Site {
    directory: tempfile::TempDir,
    pub(crate) address: SocketAddr,
}

impl Site {
    pub(crate) fn new() -> Site {
        let directory = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir_all(directory.path().join("views")).expect("views directory");
        // The port is free now; the server binds it with SO_REUSEADDR.
        let listener = TcpListener::bind("127.0.0.1:0").expect("free port");
        let address = listener.local_addr().expect("address");
        Site { directory, address }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write_views(&self, text: &str) {
        std::fs::write(self.path("views/site.sql"), text).expect("writable view file");
    }

    /// A connection as an owning service would open it.
    pub(crate) fn service(&self, name: &str) -> Connection {
        let connection = Connection::open(self.path(name)).expect("service file");
        connection.busy_timeout(Duration::from_secs(20)).expect("busy timeout");
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL").expect("WAL");
        connection
    }

    pub(crate) fn install_capture(&self, name: &str) {
        let output = vantage().args(["capture", "install"]).arg(self.path(name)).output().expect("capture");
        assert!(output.status.success(), "{}", text_of(&output));
    }

    pub(crate) fn serve_command(&self) -> Command {
        let mut command = vantage();
        command
            .current_dir(self.root())
            .args(["serve", "--views", "views", "--data", "data", "--listen"])
            .arg(self.address.to_string());
        command
    }

    pub(crate) fn serve(&self) -> Server {
        self.start(self.serve_command())
    }

    /// Starts what [`Site::serve_command`] gave.
    pub(crate) fn start(&self, mut command: Command) -> Server {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).expect("log file");
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("vantage serve");
        Server { child, address: self.address, log: self.path("log") }
    }
}

/// A running `vantage serve`.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Waits until `/readyz` says 200.
    pub(crate) fn wait_ready(&mut self) {
        self.wait_for("/readyz", |answer| answer.status == 200);
    }

    /// Asks `path` again and again until `accept` likes the answer.
    pub(crate) fn wait_for(&mut self, path: &str, accept: impl Fn(&http::Answer) -> bool) -> http::Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = http::get(self.address, path, &[]);
            if let Ok(answer) = &answer
                && accept(answer)
            {
                return answer.clone();
            }
            if let Some(status) = self.child.try_wait().expect("child") {
                panic!("vantage ended with {status}:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "{path} answered {answer:?} to the end\n{}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kill -9");
        self.child.wait().expect("wait");
    }

    /// SIGTERM; the exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let kill = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill");
        assert!(kill.success());
        self.child.wait().expect("wait").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that failed must not leave its server behind; one that ended it has nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn text_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
