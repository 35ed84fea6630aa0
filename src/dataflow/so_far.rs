//! A table's rows as the events of an epoch have left them so far, for one that moves and leaves values out.

use std::collections::HashMap;

use crate::change::{Row, Schema};

/// What the events taken in so far say, by key. Each is looked at once, however many rows move.
#[derive(Debug, Default)]
pub(crate) struct SoFar {
    rows: HashMap<Vec<u8>, Row>,
    taken: usize,
}

impl SoFar {
    /// The row under `key` behind all of `events`, which only grow between two calls; under `known` is what was there
    /// before them.
    pub(crate) fn row<'k>(
        &mut self,
        key: &[u8],
        events: &[Row],
        known: impl Fn(&[u8]) -> Option<&'k Row>,
        schema: &Schema,
    ) -> Option<Row> {
        for event in &events[self.taken..] {
            let key = event.key();
            let row = if event.is_partial() {
                event.over(self.rows.get(key).or_else(|| known(key)), schema)
            } else {
                event.clone()
            };
            self.rows.insert(key.to_vec(), row);
        }
        self.taken = events.len();
        self.rows.get(key).or_else(|| known(key)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::change::{Column, DataType, Datum, KeyColumn, RowBuilder};

    #[test]
    fn many_moves_cost_as_many_looks() {
        let schema = Schema {
            columns: [DataType::Int64, DataType::Text].map(|it| Column::new("c", it)).into(),
            visible: 2,
            key: [KeyColumn::ascending(0)].into(),
        };
        let row = |key: i64, text: Option<&str>| {
            let mut builder = RowBuilder::new();
            builder.push(Datum::Int(key), DataType::Int64);
            match text {
                Some(text) => builder.push(Datum::Text(text), DataType::Text),
                None => builder.leave_out(),
            }
            let mut encoded = Vec::new();
            schema.encode_key(|_| Datum::Int(key), &mut encoded);
            builder.finish(&encoded)
        };
        const ROWS: i64 = 3_000;
        let texts: Vec<String> = (0..ROWS).map(|it| format!("text {it}")).collect();
        let kept: Vec<Row> = (0..ROWS).map(|it| row(it, Some(&texts[it as usize]))).collect();
        let looks = Cell::new(0);
        let known = |key: &[u8]| {
            looks.set(looks.get() + 1);
            kept.iter().find(|it| it.key() == key)
        };
        let (mut so_far, mut events) = (SoFar::default(), Vec::new());
        // Every row gets another key, and then the next one.
        for round in 0..2 {
            for key in 0..ROWS {
                let from = row(key + round * ROWS, None);
                let before = so_far.row(from.key(), &events, known, &schema);
                let moved = row(key + (round + 1) * ROWS, None).over(before.as_ref(), &schema);
                assert_eq!(moved.get(1, DataType::Text), Datum::Text(&texts[key as usize]));
                events.extend([Row::tombstone(from.key()), moved]);
                // Something happens to another row, which is not sent whole.
                events.push(row(-1 - key - round * ROWS, None));
            }
        }
        assert!(looks.get() <= 4 * ROWS, "{} looks for {} moves", looks.get(), 2 * ROWS);
    }
}
