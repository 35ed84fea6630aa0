//! Schemas that do not come with messages: a registry has them, and messages name them by an id in front of the value.
//!
//! | framing | bytes in front of the value |
//! |---|---|
//! | Confluent's, and Apicurio's since version 3 | 0, the id in 4 bytes |
//! | Apicurio's before that | 0, the id in 8 bytes |

use std::fmt::Debug;
use std::sync::Arc;

use super::message::Unread;

/// Whoever knows schemas by their ids.
pub(in crate::source) trait Schemas: Debug + Send + Sync {
    /// The schema under an id. What is not known is poison for the message that names it.
    fn get(&self, id: i64) -> Result<Arc<Registered>, Unread>;

    /// In how many bytes messages have ids.
    fn id_bytes(&self) -> usize;
}

/// A schema as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) struct Registered {
    /// Its text.
    pub(in crate::source) text: String,
    /// The texts of the schemas it refers to, each behind those that it refers to itself.
    pub(in crate::source) references: Vec<String>,
}

/// The id in front of `bytes`, which are `what`, and what is behind it.
pub(super) fn unframed<'a>(bytes: &'a [u8], id_bytes: usize, what: &str) -> Result<(i64, &'a [u8]), String> {
    match bytes.split_at_checked(1 + id_bytes) {
        Some(([0, id @ ..], rest)) => {
            let id = id.iter().fold(0u64, |id, byte| id << 8 | u64::from(*byte));
            Ok((id as i64, rest))
        }
        _ => Err(format!(
            "{what} does not begin with the number of its schema: a zero and {id_bytes} bytes; if it was written without a \
             schema registry, it is in another format"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_long_as_the_registry_has_them() {
        let bytes = [0, 0, 0, 1, 2, 0, 0, 1, 7, 9];
        assert_eq!(unframed(&bytes, 4, "it"), Ok((258, &bytes[5..])));
        assert_eq!(unframed(&bytes, 8, "it"), Ok((0x0102_0000_0107, &bytes[9..])));
        assert_eq!(unframed(&bytes[..5], 4, "it"), Ok((258, &[][..])));
        for bytes in [&b""[..], &[0, 0, 0, 1], &[1, 0, 0, 0, 1, 2], b"{\"id\":1}"] {
            assert!(unframed(bytes, 4, "it").is_err_and(|it| it.starts_with("it does not begin")));
        }
    }
}
