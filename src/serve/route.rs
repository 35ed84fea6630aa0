//! The routes: what a request asks for, by its method and path.

use axum::http::Method;

/// What is asked for. Views and keys are still percent-encoded: commas separate the parts of a key before they are
/// decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    Views,
    Sources,
    Rejected(&'a str),
    Resync(&'a str),
    Schema(&'a str),
    List(&'a str),
    Row(&'a str, &'a str),
    Batch(&'a str),
    Sql,
    Metrics,
    Livez,
    Readyz,
    /// Nothing that there is.
    Other,
}

/// The routes by [`Route::number`], as metrics name them.
pub(crate) const LABELS: [&str; 13] = [
    "/v1/views",
    "/v1/schema/{view}",
    "/v1/views/{view}",
    "/v1/views/{view}/{key}",
    "/v1/views/{view}/batch",
    "/v1/sql",
    "/metrics",
    "/livez",
    "/readyz",
    "/v1/sources",
    "other",
    "/v1/sources/{source}/rejected",
    "/v1/sources/{source}/resync",
];

impl<'a> Route<'a> {
    /// The route of a request for `path`. A key may be called "batch": only a POST means many keys.
    pub(crate) fn of(method: &Method, path: &'a str) -> Route<'a> {
        if let Some(rest) = path.strip_prefix("/v1/views/") {
            return match rest.split_once('/') {
                None => Route::List(rest),
                Some((view, "batch")) if method == Method::POST => Route::Batch(view),
                Some((_, key)) if key.contains('/') => Route::Other,
                Some((view, key)) => Route::Row(view, key),
            };
        }
        if let Some(rest) = path.strip_prefix("/v1/sources/") {
            return match rest.split_once('/') {
                Some((source, "rejected")) => Route::Rejected(source),
                Some((source, "resync")) => Route::Resync(source),
                _ => Route::Other,
            };
        }
        match path {
            "/v1/views" => Route::Views,
            "/v1/sources" => Route::Sources,
            "/v1/sql" => Route::Sql,
            "/metrics" => Route::Metrics,
            "/livez" => Route::Livez,
            "/readyz" => Route::Readyz,
            _ => match path.strip_prefix("/v1/schema/") {
                Some(view) if !view.contains('/') => Route::Schema(view),
                _ => Route::Other,
            },
        }
    }

    /// Its place in [`LABELS`].
    pub(crate) fn number(self) -> usize {
        match self {
            Route::Views => 0,
            Route::Schema(_) => 1,
            Route::List(_) => 2,
            Route::Row(..) => 3,
            Route::Batch(_) => 4,
            Route::Sql => 5,
            Route::Metrics => 6,
            Route::Livez => 7,
            Route::Readyz => 8,
            Route::Sources => 9,
            Route::Other => 10,
            Route::Rejected(_) => 11,
            Route::Resync(_) => 12,
        }
    }

    /// The methods it is asked for with, as the header `Allow` lists them.
    pub(crate) fn methods(self) -> &'static str {
        match self {
            Route::Batch(_) | Route::Sql | Route::Resync(_) => "POST",
            _ => "GET, HEAD",
        }
    }

    /// Whether it is asked for with `method`.
    pub(crate) fn takes(self, method: &Method) -> bool {
        self.methods().split(", ").any(|it| it == method.as_str())
    }

    /// Whether an orchestrator asks: these answer without a token and under any load.
    pub(crate) fn is_probe(self) -> bool {
        matches!(self, Route::Livez | Route::Readyz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_routes() {
        let get = |path| Route::of(&Method::GET, path);
        assert_eq!(get("/v1/views"), Route::Views);
        assert_eq!(get("/v1/views/a"), Route::List("a"));
        assert_eq!(get("/v1/views/a/"), Route::Row("a", ""));
        assert_eq!(get("/v1/views/a/1,b%2Fc"), Route::Row("a", "1,b%2Fc"));
        assert_eq!(get("/v1/views/a/batch"), Route::Row("a", "batch"));
        assert_eq!(Route::of(&Method::POST, "/v1/views/a/batch"), Route::Batch("a"));
        assert_eq!(get("/v1/views/a/1/2"), Route::Other);
        assert_eq!(get("/v1/schema/a"), Route::Schema("a"));
        assert_eq!(get("/v1/schema"), Route::Other);
        assert_eq!(get("/v1/sources/a/rejected"), Route::Rejected("a"));
        assert_eq!(get("/v1/sources/a"), Route::Other);
        assert_eq!(get("/v1/sources/a/b/rejected"), Route::Other);
        assert_eq!(LABELS[get("/v1/sources/a/rejected").number()], "/v1/sources/{source}/rejected");
        assert_eq!(LABELS[get("/v1/views/a/1").number()], "/v1/views/{view}/{key}");
        assert_eq!(LABELS[get("/nowhere").number()], "other");
    }
}
