//! A small HTTP client: one kept-alive connection, one request at a time.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error("no connection: {0}")]
    Connect(#[from] std::io::Error),
    /// The connection broke or did not speak HTTP.
    #[error("the connection failed: {0}")]
    Connection(#[from] hyper::Error),
    /// The path is not one.
    #[error("not a request: {0}")]
    Request(#[from] hyper::http::Error),
    /// The answer is not a success.
    #[error("{status} for {path}: {body}")]
    Status {
        /// The status.
        status: StatusCode,
        /// What was asked for.
        path: String,
        /// The answer.
        body: String,
    },
}

/// One kept-alive connection.
#[derive(Debug)]
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    connection: JoinHandle<()>,
    host: String,
    /// The value of the authorization header.
    authorization: Option<String>,
}

impl Client {
    /// Connects; `token` is sent with every request.
    pub async fn connect(address: SocketAddr, token: Option<&str>) -> Result<Client, ClientError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // A broken connection shows as an error of the next request.
        let connection = tokio::spawn(async move { _ = connection.await });
        Ok(Client {
            sender,
            connection,
            host: address.to_string(),
            authorization: token.map(|it| format!("Bearer {it}")),
        })
    }

    /// The answer to `GET path`, or to `POST path` when there is a JSON body; `None` for 404.
    pub async fn request(&mut self, path: &str, body: Option<Bytes>) -> Result<Option<Bytes>, ClientError> {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        self.send(method, path, body).await
    }

    /// The answer to `PUT path` with a JSON body; `None` for 404.
    pub async fn put(&mut self, path: &str, body: Bytes) -> Result<Option<Bytes>, ClientError> {
        self.send(Method::PUT, path, Some(body)).await
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<Bytes>) -> Result<Option<Bytes>, ClientError> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.host);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request =
            request.header(header::CONTENT_TYPE, "application/json").body(Full::new(body.unwrap_or_default()))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        match status {
            status if status.is_success() => Ok(Some(body)),
            StatusCode::NOT_FOUND => Ok(None),
            status => {
                let body = String::from_utf8_lossy(&body).into_owned();
                Err(ClientError::Status { status, path: path.into(), body })
            }
        }
    }

    /// The answer to `GET path`; `None` for 404.
    pub async fn get(&mut self, path: &str) -> Result<Option<Bytes>, ClientError> {
        self.request(path, None).await
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
