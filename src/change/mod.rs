//! What flows through Vantage: typed rows as bytes, their keys, deltas, events and positions.
//!
//! Nothing here knows where a row came from or where it goes, so every other layer may speak these words.

mod counted;
mod data_type;
mod delta;
mod details;
mod event;
mod key;
mod position;
mod rejected;
mod row;
mod schema;
pub(crate) mod text;

pub use counted::{counted, grouped};
pub(crate) use data_type::ZONE;
pub use data_type::{DataType, Datum, Value, pow10};
pub use delta::Delta;
pub use details::{Details, Part};
pub use event::{Batch, Change, Event, Moved, Phase, SourceHealth, TableId};
pub use key::{Collation, KeyColumn, decode_int_key, encode_datum, encode_key, prefix_end};
pub use position::{Mark, Notation, Place, Position};
pub use rejected::{Excerpt, Rejected, Rejections};
pub use row::{Row, RowBuilder};
pub use schema::{Column, RelationId, Schema, TIE};
