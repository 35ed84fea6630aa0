//! What is declared of a registry: options of a source.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::api::{Api, Ids};
use crate::catalog::{Problem, Source};
use crate::source::options::{Form, Known, Need, Reading, Secret, Values};

const URL: &str = "schema.registry.url";
const URL_ALIAS: &str = "schema.registry";
const USERNAME: &str = "schema.registry.username";
const PASSWORD: &str = "schema.registry.password";
const AUTHORITIES: &str = "schema.registry.ca.location";
const TIMEOUT: &str = "schema.registry.timeout";
const ID_BYTES: &str = "schema.registry.id.bytes";
const USE_ID: &str = "schema.registry.use.id";

const fn optional(name: &'static str, aliases: &'static [&'static str], form: Form, meaning: &'static str) -> Known {
    Known { name, aliases, meaning, need: Need::Optional, form }
}

/// The options.
pub(in crate::source) const OPTIONS: [Known; 7] = [
    optional(URL, &[URL_ALIAS], Form::Text, "the schema registry; several addresses with commas between them"),
    optional(USERNAME, &[], Form::Text, "who we are to the registry"),
    optional(PASSWORD, &[], Form::Secret, "the password of that user"),
    optional(AUTHORITIES, &[], Form::Path, "certificates of those who may vouch for the registry"),
    Known {
        name: TIMEOUT,
        aliases: &[],
        meaning: "how long one request to the registry may take",
        need: Need::Default("5s"),
        form: Form::Duration,
    },
    optional(ID_BYTES, &[], Form::OneOf(&["4", "8"]), "in how many bytes messages have the ids of schemas"),
    optional(USE_ID, &[], Form::OneOf(&["globalId", "contentId"]), "which ids of Apicurio's messages have"),
];

/// What is declared of a registry.
#[derive(Debug)]
pub(super) struct Settings {
    /// Where it is; any of these answers as the others do.
    pub(super) urls: Vec<Url>,
    pub(super) api: Api,
    pub(super) id_bytes: usize,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) authorities: Option<PathBuf>,
    pub(super) timeout: Duration,
}

impl Settings {
    /// From the values of [`OPTIONS`]; none without an address, or when there are problems.
    pub(super) fn of(source: &Source, values: &Values, reading: &mut Reading<'_>) -> Option<Settings> {
        let text = values.text(URL)?;
        let named = source.options.iter().find(|it| [URL, URL_ALIAS].contains(&it.0.text.as_str()));
        let at = named.map_or(source.connector.span, |it| it.1.span);
        let mut urls = Vec::new();
        for text in text.split(',').map(str::trim) {
            match address(text) {
                Ok(url) => urls.push(url),
                Err(Refused::Secret) => {
                    reading.hide(at);
                    let problem = Problem::at(at, "the registry's address has a password in it");
                    let hint = format!("say {USERNAME} = '…' and {PASSWORD}_env = 'VARIABLE' instead");
                    reading.problems.push(problem.with_hint(hint));
                    return None;
                }
                Err(Refused::Form) => {
                    let problem = Problem::at(at, format!("\"{text}\" is no address of a registry"));
                    reading.problems.push(problem.with_hint("write http://host:8081 or https://host"));
                    return None;
                }
            }
        }
        let ids = values.text(USE_ID).map(|it| if it == "contentId" { Ids::Content } else { Ids::Global });
        let api = Api::of(urls.first()?, ids);
        if ids.is_some() && api == Api::Confluent {
            let message =
                format!("{USE_ID} is for Apicurio's own interface, whose address has /apis/registry/v2 or v3 in it");
            reading.problems.push(Problem::at(at, message));
            return None;
        }
        let id_bytes = values.text(ID_BYTES).map_or(api.id_bytes(), |it| if it == "8" { 8 } else { 4 });
        Some(Settings {
            urls,
            api,
            id_bytes,
            username: values.text(USERNAME).map(str::to_owned),
            password: values.secret(PASSWORD).cloned(),
            authorities: values.path(AUTHORITIES).map(PathBuf::from),
            timeout: values.duration(TIMEOUT).unwrap_or(Duration::from_secs(5)),
        })
    }
}

/// Why a text is no address.
enum Refused {
    Form,
    Secret,
}

fn address(text: &str) -> Result<Url, Refused> {
    let mut url = Url::parse(text).map_err(|_| Refused::Form)?;
    if url.password().is_some() || !url.username().is_empty() {
        return Err(Refused::Secret);
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Refused::Form);
    }
    url.set_query(None);
    url.set_fragment(None);
    // What is asked for is put behind the path.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty();
    }
    Ok(url)
}
