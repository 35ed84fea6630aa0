//! What Debezium's outbox event router makes of the rows of an outbox table: the payload is the value, the aggregate's id
//! the key, the event's own id the header `id`.
//!
//! In a table without a key each event is a row under the event's id, so one that the router sends again is that same row.

use std::borrow::Cow;

use super::connect::Wrapping;
use super::encoding::Modes;
use super::json::utf8;
use super::message::{Message, Unread};
use super::rows::Rows;
use super::shape::{Absence, Shape, Target};
use crate::change::text::json::Json;

/// The header with the event's id.
pub(super) const ID: &str = "id";

/// Reads the router's events.
#[derive(Debug)]
pub(super) struct Outbox {
    wrapping: Wrapping,
    rows: Rows,
}

impl Outbox {
    pub(super) fn new(shape: &Shape, modes: Modes) -> Outbox {
        Outbox { wrapping: Wrapping::new(), rows: Rows::new(shape, modes) }
    }

    /// Tells the target what the message did.
    pub(super) fn read(&mut self, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Unread> {
        let missing = "the message has no value: the router's events have a payload";
        let text = utf8(message.value.ok_or(missing)?, "the payload")?;
        // Without `table.expand.json.payload` the payload is a text that holds JSON.
        let payload = match Json::of(self.wrapping.unwrap(text).1) {
            Some(Json::Text(payload)) => payload,
            _ => Cow::Borrowed(text),
        };
        let row = self.rows.read(&payload, target.shape)?.ok_or(missing)?;
        let cells = target.shape.cells(message, Absence::Null, &row)?;
        target.put(&cells);
        Ok(())
    }
}
