//! Requests to a registry, from a thread that may be told to stop at any time.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Certificate, StatusCode, Url};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{interval, sleep};

use super::options::Settings;
use crate::change::text::shortened;
use crate::source::breaker::jittered;
use crate::source::format::Unread;
use crate::source::options::Secret;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often one question is asked before the source is said to be retrying, which begins anew.
const TRIES: u32 = 3;
/// The pause behind the first try; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// How soon it is noticed that we are to stop.
const STOP_POLL: Duration = Duration::from_millis(20);
/// Schemas of more bytes are refused.
const MAX_BYTES: usize = 16 << 20;

/// What a registry answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// This.
    Is(String),
    /// There is nothing of the kind, in its own words.
    Missing(String),
}

/// Asks a registry.
#[derive(Debug)]
pub(super) struct Client {
    client: reqwest::Client,
    urls: Vec<Url>,
    username: Option<String>,
    password: Option<Secret>,
    stop: Arc<AtomicBool>,
    /// There until the end. Nothing runs in it but while something is asked.
    runtime: Option<Runtime>,
}

impl Client {
    /// A client of the registry that `settings` say, for as long as `stop` is not set.
    pub(super) fn new(settings: &Settings, stop: Arc<AtomicBool>) -> Result<Client, Unread> {
        let mut client =
            reqwest::Client::builder().user_agent("vantage").connect_timeout(CONNECT_TIMEOUT).timeout(settings.timeout);
        if let Some(path) = &settings.authorities {
            let refused = |error: &dyn Error| Unread::Refused(format!("{}: {error}", path.display()));
            let pem = std::fs::read(path).map_err(|error| refused(&error))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| refused(&error))?;
            if certificates.is_empty() {
                return Err(Unread::Refused(format!("{} holds no certificate", path.display())));
            }
            client = client.tls_certs_only(certificates);
        }
        let client =
            client.build().map_err(|error| Unread::Later(format!("no client of a registry: {}", cause(&error))))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Unread::Later(format!("no connection to a registry: {error}")))?;
        let (username, password) = (settings.username.clone(), settings.password.clone());
        Ok(Client { client, urls: settings.urls.clone(), username, password, stop, runtime: Some(runtime) })
    }

    /// Which registry it is, for people.
    pub(super) fn place(&self) -> String {
        let urls: Vec<&str> = self.urls.iter().map(Url::as_str).collect();
        format!("the schema registry at {}", urls.join(", "))
    }

    /// What is at `path` below the registry's address.
    pub(super) fn get(&self, path: &[String]) -> Result<Answer, Unread> {
        let runtime = self.runtime.as_ref().expect("the runtime is there until the client is dropped");
        runtime.block_on(async {
            tokio::select! {
                () = self.stopped() => Err(Unread::Later("the source is stopped".into())),
                answer = self.try_urls(path) => answer,
            }
        })
    }

    async fn stopped(&self) {
        let mut poll = interval(STOP_POLL);
        while !self.stop.load(Ordering::Acquire) {
            poll.tick().await;
        }
    }

    async fn try_urls(&self, path: &[String]) -> Result<Answer, Unread> {
        let mut pause = PAUSE;
        let mut urls = self.urls.iter().cycle();
        for attempt in 1.. {
            let url = urls.next().expect("a registry has an address");
            match self.ask(url, path).await {
                Err(Unread::Later(reason)) if attempt < TRIES => {
                    tracing::debug!(reason, "a schema registry is asked again");
                    sleep(jittered(pause)).await;
                    pause *= 2;
                }
                // A schema may have been registered a moment ago, and this server not have heard of it.
                Ok(Answer::Missing(_)) if attempt < TRIES => {
                    sleep(jittered(pause)).await;
                    pause *= 2;
                }
                answer => return answer,
            }
        }
        unreachable!("the last attempt is an answer")
    }

    async fn ask(&self, base: &Url, path: &[String]) -> Result<Answer, Unread> {
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        let mut request =
            self.client.get(url).header("Accept", "application/vnd.schemaregistry.v1+json, application/json, */*");
        if let Some(username) = &self.username {
            request = request.basic_auth(username, self.password.as_ref().map(Secret::reveal));
        }
        let unreachable = |error: reqwest::Error| {
            Unread::Later(format!("the schema registry at {base} does not answer: {}", cause(&error)))
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BYTES {
                return Err(Unread::Refused(format!(
                    "the schema registry at {base} answers with more than {MAX_BYTES} bytes"
                )));
            }
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        let said = || format!("the schema registry at {base} answers {status}: {}", one_line(&body));
        match status {
            StatusCode::OK => Ok(Answer::Is(body)),
            StatusCode::NOT_FOUND => Ok(Answer::Missing(body)),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Unread::Later(said())),
            _ if status.is_server_error() => Err(Unread::Later(said())),
            _ => Err(Unread::Refused(said())),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A connection that hangs must not hold us up.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What is at the bottom of an error, which says more than what is around it.
fn cause(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn one_line(text: &str) -> String {
    shortened(&text.split_whitespace().collect::<Vec<_>>().join(" ")).into_owned()
}
