//! The messages of the plugin `pgoutput`, in the first version of its protocol: what is said of tables and their rows.
//!
//! Begin, commit and logical messages are read by the transport. Nothing is copied: values are slices of the message.

use super::reader::Value;

/// One message.
#[derive(Debug, PartialEq)]
pub(super) enum Sent<'m> {
    /// The columns of a table as they are from here on: names and numbers of types.
    Relation {
        table: u32,
        columns: Vec<(&'m str, u32)>,
    },
    Insert {
        table: u32,
        new: Tuple<'m>,
    },
    /// What was before is told when the key has changed, or the whole row is its replica identity.
    Update {
        table: u32,
        old: Option<Old<'m>>,
        new: Tuple<'m>,
    },
    Delete {
        table: u32,
        old: Old<'m>,
    },
    Truncate {
        tables: Vec<u32>,
    },
    /// Something that changes no row.
    Other,
}

/// The values of a row, in the order of the table's columns.
pub(super) type Tuple<'m> = Vec<Value<'m>>;

/// What is told of a row as it was.
#[derive(Debug, PartialEq)]
pub(super) struct Old<'m> {
    /// Whether it is all of the row; else all but its key is NULL.
    pub(super) is_whole: bool,
    pub(super) values: Tuple<'m>,
}

/// Reads a message; `None` when it is none.
pub(super) fn read(message: &[u8]) -> Option<Sent<'_>> {
    let mut rest = Rest(message);
    Some(match rest.byte()? {
        b'R' => {
            let table = rest.u32()?;
            // The names of the schema and of the table, and the replica identity.
            rest.text()?;
            rest.text()?;
            rest.byte()?;
            let count = rest.u16()?;
            let column = |_| {
                rest.byte()?;
                let column = (rest.text()?, rest.u32()?);
                rest.u32()?;
                Some(column)
            };
            Sent::Relation { table, columns: (0..count).map(column).collect::<Option<_>>()? }
        }
        b'I' => {
            let table = rest.u32()?;
            rest.expect(b'N')?;
            Sent::Insert { table, new: rest.tuple()? }
        }
        b'U' => {
            let table = rest.u32()?;
            let old = if rest.0.first() == Some(&b'N') { None } else { Some(rest.old()?) };
            rest.expect(b'N')?;
            Sent::Update { table, old, new: rest.tuple()? }
        }
        b'D' => Sent::Delete { table: rest.u32()?, old: rest.old()? },
        b'T' => {
            let count = rest.u32()?;
            rest.byte()?;
            Sent::Truncate { tables: (0..count).map(|_| rest.u32()).collect::<Option<_>>()? }
        }
        _ => Sent::Other,
    })
}

/// What of a message has not been read yet.
struct Rest<'m>(&'m [u8]);

impl<'m> Rest<'m> {
    fn take(&mut self, count: usize) -> Option<&'m [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|it| it[0])
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.byte()? == byte).then_some(())
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Up to a zero.
    fn text(&mut self) -> Option<&'m str> {
        let end = self.0.iter().position(|it| *it == 0)?;
        let text = std::str::from_utf8(self.take(end)?).ok()?;
        self.byte()?;
        Some(text)
    }

    fn tuple(&mut self) -> Option<Tuple<'m>> {
        let count = self.u16()?;
        let mut values = Vec::with_capacity(count.into());
        for _ in 0..count {
            values.push(match self.byte()? {
                b'n' => Value::Null,
                b'u' => Value::Unchanged,
                b't' => {
                    let length = self.u32()?;
                    Value::Text(self.take(length as usize)?)
                }
                // Binary values are not asked for.
                _ => return None,
            });
        }
        Some(values)
    }

    fn old(&mut self) -> Option<Old<'m>> {
        let is_whole = match self.byte()? {
            b'O' => true,
            b'K' => false,
            _ => return None,
        };
        Some(Old { is_whole, values: self.tuple()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELATION: &[u8] =
        b"R\x00\x00\x40\x01public\0items\0d\x00\x02\x01id\0\x00\x00\x00\x17\xff\xff\xff\xff\x00name\0\x00\x00\x00\x19\xff\xff\xff\xff";
    const UPDATE: &[u8] = b"U\x00\x00\x40\x01K\x00\x02t\x00\x00\x00\x017nN\x00\x02t\x00\x00\x00\x018u";

    #[test]
    fn messages_are_read() {
        let table = 0x4001;
        assert_eq!(read(RELATION), Some(Sent::Relation { table, columns: vec![("id", 23), ("name", 25)] }));
        let old = Old { is_whole: false, values: vec![Value::Text(b"7"), Value::Null] };
        let new = vec![Value::Text(b"8"), Value::Unchanged];
        assert_eq!(read(UPDATE), Some(Sent::Update { table, old: Some(old), new }));
        let new = vec![Value::Text(b"")];
        assert_eq!(read(b"I\x00\x00\x40\x01N\x00\x01t\x00\x00\x00\x00"), Some(Sent::Insert { table, new }));
        let old = Old { is_whole: true, values: vec![Value::Null] };
        assert_eq!(read(b"D\x00\x00\x40\x01O\x00\x01n"), Some(Sent::Delete { table, old }));
        let tables = vec![1, 2];
        assert_eq!(read(b"T\x00\x00\x00\x02\x01\x00\x00\x00\x01\x00\x00\x00\x02"), Some(Sent::Truncate { tables }));
        assert_eq!(read(b"Y\x00\x00"), Some(Sent::Other));
    }

    #[test]
    fn what_is_cut_off_is_no_message() {
        for whole in [RELATION, UPDATE] {
            for length in 0..whole.len() {
                assert_eq!(read(&whole[..length]), None, "{length}");
            }
        }
        assert_eq!(read(b"I\x00\x00\x40\x01N\x00\x01b\x00\x00\x00\x00"), None);
    }
}
