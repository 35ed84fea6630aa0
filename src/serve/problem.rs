//! What went wrong with a request, as RFC 9457 `application/problem+json`.
//!
//! `code` is an SQLSTATE, the part a program should look at; `detail` and `hint` are for people and may change.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::json;
use crate::store::StoreError;

/// A refusal or a failure.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    pub(crate) hint: Option<String>,
    /// Line and column in the statement, from 1.
    pub(crate) place: Option<[u64; 2]>,
    /// The methods that would be right.
    pub(crate) allow: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, code, detail: detail.into(), hint: None, place: None, allow: None }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// The request makes no sense.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "22023", detail)
    }

    /// The body is not the JSON object that is wanted, like `example`.
    pub(crate) fn bad_body(example: &str, error: &serde_json::Error) -> Problem {
        let wrong = match error.classify() {
            serde_json::error::Category::Data => "has other members or types",
            serde_json::error::Category::Eof => "ends too early",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "is not JSON",
        };
        let place = Some([error.line() as u64, error.column() as u64]).filter(|it| it[0] > 0);
        let detail = format!("the request's body {wrong}");
        Problem { place, ..Problem::bad_request(detail) }.hint(format!("send an object like {example}"))
    }

    /// A value does not have the form of its type.
    pub(crate) fn bad_value(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "22P02", detail)
    }

    pub(crate) fn no_such_view(name: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "42P01", format!("there is no table or view \"{name}\""))
            .hint("GET /v1/views lists what is served")
    }

    pub(crate) fn no_such_column(view: &str, column: &str) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "42703", format!("\"{view}\" has no column \"{column}\""))
            .hint(format!("GET /v1/schema/{view} lists its columns"))
    }

    /// A cell that could not be computed is needed for the answer.
    pub(crate) fn error_cell(view: &str, column: &str, row: &str, message: &str) -> Problem {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "22000",
            format!("column \"{column}\" of \"{view}\" could not be computed for {row}: {message}"),
        )
        .hint("leave the column out, or such rows with errors=skip; mend the row at its source, or declare the column so that its values fit")
    }

    /// A row of which nobody knows whether it is there would be in the answer.
    pub(crate) fn undecided_row(view: &str, row: &str, reason: &str) -> Problem {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "22000",
            format!("whether \"{view}\" has a row for {row} could not be computed: {reason}"),
        )
        .hint("leave such rows out with errors=skip; mend the row at its source, or declare the column so that its values fit")
    }

    pub(crate) fn timeout() -> Problem {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "57014", "the statement took too long and was cancelled")
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "XX000", detail)
    }

    /// The JSON object, for answers that carry several.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"urn:vantage:problem:");
        out.extend_from_slice(self.code.as_bytes());
        out.extend_from_slice(b"\",\"title\":");
        json::write_text(self.title(), out);
        out.extend_from_slice(b",\"status\":");
        out.extend_from_slice(self.status.as_str().as_bytes());
        out.extend_from_slice(b",\"code\":");
        json::write_text(self.code, out);
        out.extend_from_slice(b",\"detail\":");
        json::write_text(&self.detail, out);
        if let Some([line, column]) = self.place {
            out.extend_from_slice(format!(",\"line\":{line},\"column\":{column}").as_bytes());
        }
        if let Some(hint) = &self.hint {
            out.extend_from_slice(b",\"hint\":");
            json::write_text(hint, out);
        }
        out.push(b'}');
    }

    // One title a code, as the RFC asks for; what is special about the occasion stands in `detail`.
    fn title(&self) -> &'static str {
        match self.code {
            "02000" => "no such row",
            "0A000" => "not supported",
            "21000" => "more than one row",
            "22000" => "value could not be computed",
            "22003" | "22008" => "value out of range",
            "22012" => "division by zero",
            "22023" => "invalid request",
            "22007" | "22P02" => "invalid value",
            "2201B" => "invalid regular expression",
            "25006" => "read-only",
            "28000" => "not authorised",
            "42601" => "syntax error",
            "42701" | "42702" | "42712" => "ambiguous name",
            "42703" => "no such column",
            "42803" => "wrong grouping",
            "42804" | "42846" => "types that do not fit",
            "42883" => "no such function or operator",
            "42P01" => "no such table or view",
            "42P02" => "no such parameter",
            "53000" | "53200" | "53300" | "53400" | "54000" | "54001" => "limit exceeded",
            "55000" => "not ready",
            "57014" => "cancelled",
            "57P03" => "not ready",
            "XX000" | "XX001" => "internal error",
            _ => "refused",
        }
    }
}

// Problems travel through DataFusion as external errors.
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        // Paths and what the file system says are for those who look after the process.
        tracing::error!(%error, "a read failed");
        let (code, detail, hint) = match error {
            StoreError::Corrupt(_) => (
                "XX001",
                "stored rows are damaged",
                "the log tells where; without its data directory all is built again",
            ),
            _ => ("XX000", "stored rows could not be read", "the log tells why"),
        };
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, code, detail).hint(hint)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(256);
        self.write(&mut body);
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"vantage\""));
        }
        response
    }
}
