//! What is asked of a registry, and what it answers: Confluent's interface, which most registries have, and Apicurio's.
//!
//! | | Confluent | Apicurio |
//! |---|---|---|
//! | address | any | with `/apis/registry/v2` or `/apis/registry/v3` in it |
//! | a schema | `/schemas/ids/ID`, in an object | `/ids/globalIds/ID` or `/ids/contentIds/ID`, as it is |
//! | what it refers to | beside it, by subject and version | `…/references`, by group, artifact and version |
//! | ids in messages | 4 bytes | 8 bytes of a global id; since version 3, 4 bytes of a content id |

use std::collections::HashSet;

use reqwest::Url;
use serde::Deserialize;

use super::http::{Answer, Client};
use crate::change::text::shortened;
use crate::source::format::{Registered, Unread};

/// More schemas do not belong to one.
const MAX_REFERENCES: usize = 256;

/// Whose interface it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Confluent,
    Apicurio { version: u8, ids: Ids },
}

/// Which of Apicurio's ids messages have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    Global,
    Content,
}

/// A path below the registry's address.
type Path = Vec<String>;

/// A schema, with where those are that it refers to.
struct Found {
    text: String,
    references: Vec<Path>,
}

/// What Confluent's registry says of a schema.
#[derive(Debug, Deserialize)]
struct OfConfluent {
    schema: String,
    /// None means Avro.
    #[serde(default, rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Option<Vec<ByVersion>>,
}

/// How its schemas refer to others.
#[derive(Debug, Deserialize)]
struct ByVersion {
    subject: String,
    version: i64,
}

/// How Apicurio's do.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ByArtifact {
    #[serde(default)]
    group_id: Option<String>,
    artifact_id: String,
    version: String,
}

/// What either says when there is no schema.
#[derive(Debug, Default, Deserialize)]
struct Missing {
    #[serde(default)]
    error_code: i64,
    /// Of the exception in Apicurio.
    #[serde(default)]
    name: String,
}

fn path(parts: &[&str]) -> Path {
    parts.iter().map(|it| (*it).to_owned()).collect()
}

impl Api {
    /// That of the registry at this address.
    pub(super) fn of(url: &Url, ids: Option<Ids>) -> Api {
        let has = |version| url.path().contains(&format!("/apis/registry/v{version}"));
        if has(2) {
            Api::Apicurio { version: 2, ids: ids.unwrap_or(Ids::Global) }
        } else if has(3) {
            Api::Apicurio { version: 3, ids: ids.unwrap_or(Ids::Content) }
        } else {
            Api::Confluent
        }
    }

    /// In how many bytes its producers write ids, if nobody tells them otherwise.
    pub(super) fn id_bytes(self) -> usize {
        if matches!(self, Api::Apicurio { version: 2, .. }) { 8 } else { 4 }
    }

    /// The schema under an id, with all that it refers to.
    pub(super) fn schema(self, id: i64, client: &Client) -> Result<Registered, Unread> {
        let id_text = id.to_string();
        let own = match self {
            Api::Confluent => path(&["schemas", "ids", &id_text]),
            Api::Apicurio { ids: Ids::Global, .. } => path(&["ids", "globalIds", &id_text]),
            Api::Apicurio { ids: Ids::Content, .. } => path(&["ids", "contentIds", &id_text]),
        };
        let Some(found) = self.fetch(&own, client)? else {
            return Err(format!("its schema has the id {id}, which {} does not know", client.place()).into());
        };
        let mut references = Vec::new();
        self.collect(id, found.references, client, &mut HashSet::new(), &mut references)?;
        Ok(Registered { text: found.text, references })
    }

    /// Appends the schemas at `paths`, each behind those that it refers to.
    fn collect(
        self,
        id: i64,
        paths: Vec<Path>,
        client: &Client,
        seen: &mut HashSet<Path>,
        texts: &mut Vec<String>,
    ) -> Result<(), Unread> {
        for path in paths {
            if !seen.insert(path.clone()) {
                continue;
            }
            if seen.len() > MAX_REFERENCES {
                return Err(format!("its schema, {id}, refers to more than {MAX_REFERENCES} others").into());
            }
            let Some(found) = self.fetch(&path, client)? else {
                let (path, place) = (path.join("/"), client.place());
                return Err(format!("its schema, {id}, refers to {path}, which {place} does not know").into());
            };
            self.collect(id, found.references, client, seen, texts)?;
            texts.push(found.text);
        }
        Ok(())
    }

    /// What is at `path`; `None` when the registry says that there is no such schema.
    fn fetch(self, path: &Path, client: &Client) -> Result<Option<Found>, Unread> {
        let answer = match self {
            // The content of a version stands behind it since version 3.
            Api::Apicurio { version: 3, .. } if path[0] == "groups" => {
                let mut path = path.clone();
                path.push("content".into());
                client.get(&path)?
            }
            _ => client.get(path)?,
        };
        let body = match answer {
            Answer::Is(body) => body,
            Answer::Missing(body) if self.is_missing(&body) => return Ok(None),
            Answer::Missing(body) => {
                let (place, body) = (client.place(), shortened(&body).into_owned());
                return Err(Unread::Refused(format!(
                    "{place} answers 404, and not that it is a schema that is missing; is the address right? It says: {body}"
                )));
            }
        };
        match self {
            Api::Confluent => confluent(&body, client).map(Some),
            Api::Apicurio { .. } => {
                let mut references = path.clone();
                references.push("references".into());
                let references = match client.get(&references)? {
                    Answer::Is(list) => apicurio_references(&list, client)?,
                    Answer::Missing(_) => Vec::new(),
                };
                Ok(Some(Found { text: body, references }))
            }
        }
    }

    /// Whether the answer 404 means that there is no such schema, and not that there is no registry.
    fn is_missing(self, body: &str) -> bool {
        let missing: Missing = serde_json::from_str(body).unwrap_or_default();
        match self {
            // A path that is none has the bare 404.
            Api::Confluent => matches!(missing.error_code, 40401..=40499),
            Api::Apicurio { .. } => missing.name.ends_with("NotFoundException"),
        }
    }
}

fn confluent(body: &str, client: &Client) -> Result<Found, Unread> {
    let found: OfConfluent = serde_json::from_str(body).map_err(|_| no_registry(body, client))?;
    if let Some(kind) = found.kind.filter(|it| it != "AVRO") {
        return Err(format!("its schema is of type {kind}, and the table's is Avro").into());
    }
    let place = |it: ByVersion| path(&["subjects", &it.subject, "versions", &it.version.to_string()]);
    Ok(Found { text: found.schema, references: found.references.into_iter().flatten().map(place).collect() })
}

fn apicurio_references(list: &str, client: &Client) -> Result<Vec<Path>, Unread> {
    let found: Vec<ByArtifact> = serde_json::from_str(list).map_err(|_| no_registry(list, client))?;
    let place = |it: ByArtifact| {
        let group = it.group_id.as_deref().unwrap_or("default");
        path(&["groups", group, "artifacts", &it.artifact_id, "versions", &it.version])
    };
    Ok(found.into_iter().map(place).collect())
}

fn no_registry(body: &str, client: &Client) -> Unread {
    Unread::Refused(format!("{} does not answer as a schema registry: {}", client.place(), shortened(body)))
}
