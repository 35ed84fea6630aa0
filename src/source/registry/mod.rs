//! The registry that has the schemas which messages name: asked once for each, over HTTP.
//!
//! What it says of an id never changes, so it is kept for as long as the source is declared. A registry that does not
//! answer is nothing that is wrong with a message: the source retries until it answers, and nothing is lost. One that
//! answers that there is no such schema makes the message one that cannot be read.
//!
//! | file | concept |
//! |---|---|
//! | `options` | what is declared of it |
//! | `api` | what is asked of whose registry, and what it answers |
//! | `http` | requests, with their time-outs and retries |

mod api;
mod http;
mod options;

pub(super) use options::OPTIONS;

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};

use self::http::Client;
use self::options::Settings;
use crate::catalog::Source;
use crate::source::format::{Registered, Schemas, Unread};
use crate::source::options::{Reading, Values};

/// A registry, and what is known of it.
#[derive(Debug)]
pub(super) struct Registry {
    settings: Settings,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    schemas: HashMap<i64, Arc<Registered>>,
    /// The schema that could not be had when it was last asked for.
    wanted: Option<i64>,
}

impl Registry {
    /// The registry that is declared of a source; none when nothing is said of one, or when there are problems.
    pub(super) fn of(source: &Source, values: &Values, reading: &mut Reading<'_>) -> Option<Registry> {
        let settings = Settings::of(source, values, reading)?;
        Some(Registry { settings, known: Mutex::default() })
    }

    /// Connects to it, from a thread that ends when `stop` is set. What could not be had last time is asked for again, so
    /// that nobody begins anew in vain.
    pub(super) fn open(self: &Arc<Registry>, stop: &Arc<AtomicBool>) -> Result<Arc<dyn Schemas>, Unread> {
        let client = Client::new(&self.settings, Arc::clone(stop))?;
        let connection = Connection { registry: Arc::clone(self), client };
        let wanted = self.known().wanted;
        if let Some(id) = wanted {
            match connection.get(id) {
                // Whoever reads the message that names it says so.
                Ok(_) | Err(Unread::Poison(_)) => self.known().wanted = None,
                Err(unread) => return Err(unread),
            }
        }
        Ok(Arc::new(connection))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|it| it.into_inner())
    }
}

/// A registry that is connected to.
#[derive(Debug)]
struct Connection {
    registry: Arc<Registry>,
    client: Client,
}

impl Schemas for Connection {
    fn get(&self, id: i64) -> Result<Arc<Registered>, Unread> {
        if let Some(known) = self.registry.known().schemas.get(&id) {
            return Ok(Arc::clone(known));
        }
        let found = self.registry.settings.api.schema(id, &self.client);
        let mut known = self.registry.known();
        match found {
            Ok(registered) => {
                let registered = Arc::new(registered);
                known.schemas.insert(id, Arc::clone(&registered));
                known.wanted = known.wanted.filter(|it| *it != id);
                Ok(registered)
            }
            Err(unread) => {
                known.wanted = (!matches!(unread, Unread::Poison(_))).then_some(id);
                Err(unread)
            }
        }
    }

    fn id_bytes(&self) -> usize {
        self.registry.settings.id_bytes
    }
}
