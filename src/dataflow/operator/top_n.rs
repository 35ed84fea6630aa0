//! Top-n per group: the first rows of each touched group of an ordered relation, before and after, compared from the first
//! change on.

use super::{Context, Relation};
use crate::change::{DataType, Datum, Delta, Row, RowBuilder, Schema, prefix_end};
use crate::dataflow::arrangement::Side;
use crate::plan::{Graph, NodeId};

/// A running top-n.
#[derive(Debug)]
pub(crate) struct TopN {
    node: NodeId,
    input: NodeId,
    groups: usize,
    skip: usize,
    /// How many rows of a group are read, those that are skipped with them.
    end: usize,
    outputs: Vec<(Option<usize>, DataType)>,
}

impl TopN {
    pub(crate) fn new(
        graph: &Graph,
        node: NodeId,
        input: NodeId,
        groups: usize,
        (offset, limit): (u64, u64),
        outputs: &[Option<usize>],
    ) -> TopN {
        let schema = &graph.nodes[node.0].schema;
        let typed = outputs.iter().zip(schema.columns.iter());
        TopN {
            node,
            input,
            groups,
            skip: usize::try_from(offset).unwrap_or(usize::MAX),
            end: usize::try_from(offset.saturating_add(limit)).unwrap_or(usize::MAX),
            outputs: typed.map(|(output, column)| (*output, column.data_type)).collect(),
        }
    }

    /// Appends the deltas of every group that `deltas`, this epoch's of the input, touch.
    pub(crate) fn run(&self, context: &Context<'_>, deltas: &[Delta], out: &mut Vec<Delta>) {
        let schema = &context.graph.nodes[self.input.0].schema;
        let relation = &context.relations[self.input.0];
        let (mut prefix, mut last) = (Vec::new(), None);
        for delta in deltas {
            let Some(row) = delta.new.as_ref().or(delta.old.as_ref()) else { continue };
            self.prefix(schema, row, &mut prefix);
            // The deltas are sorted, so those of a group follow each other.
            if last.as_ref() == Some(&prefix) {
                continue;
            }
            // Rows before the group's first change stay as they are; behind the last row that counts nothing changes.
            let rows = relation.ordered.group(Side::New, &prefix, deltas).take(self.end);
            let same = rows.take_while(|it| it.key() < delta.key()).count();
            if same < self.end {
                let old = self.list(context, relation, (Side::Old, same), &prefix, deltas);
                let new = self.list(context, relation, (Side::New, same), &prefix, deltas);
                difference(old, new, out);
            }
            last = Some(prefix.clone());
        }
    }

    /// Calls `emit` with the rows of each group.
    pub(crate) fn all<E>(
        &self,
        context: &Context<'_>,
        emit: &mut dyn FnMut(Vec<Delta>) -> Result<(), E>,
    ) -> Result<(), E> {
        let schema = &context.graph.nodes[self.input.0].schema;
        let relation = &context.relations[self.input.0];
        let mut prefix = Vec::new();
        let mut next = relation.ordered.first(&[]);
        while let Some(row) = next {
            self.prefix(schema, row, &mut prefix);
            let rows = self.list(context, relation, (Side::New, 0), &prefix, &[]);
            if !rows.is_empty() {
                emit(rows.into_iter().map(Delta::insert).collect())?;
            }
            next = prefix_end(&prefix).filter(|_| self.groups > 0).and_then(|it| relation.ordered.first_from(&it));
        }
        Ok(())
    }

    fn prefix(&self, schema: &Schema, row: &Row, out: &mut Vec<u8>) {
        out.clear();
        let parts = &schema.key[..self.groups];
        crate::change::encode_key(parts, &schema.columns, |it| row.get(it, schema.data_type(it)), out);
    }

    /// The output rows of one group on one side, sorted by key; the first `same` rows are left out.
    fn list(
        &self,
        context: &Context<'_>,
        relation: &Relation,
        (side, same): (Side, usize),
        prefix: &[u8],
        deltas: &[Delta],
    ) -> Vec<Row> {
        let schema = &context.graph.nodes[self.node.0].schema;
        let mut builder = RowBuilder::new();
        let mut key = Vec::new();
        let rows = relation.ordered.group(side, prefix, deltas).enumerate().take(self.end).skip(self.skip.max(same));
        let mut rows: Vec<Row> = rows
            .map(|(at, row)| {
                let number = Datum::Int(at as i64 + 1);
                for (output, data_type) in &self.outputs {
                    match output {
                        Some(column) => builder.copy(row, *column, *data_type),
                        None => builder.push(number, *data_type),
                    }
                }
                key.clear();
                let cell = |it: usize| {
                    let (output, data_type) = self.outputs[it];
                    output.map_or(number, |column| row.get(column, data_type))
                };
                schema.encode_key(cell, &mut key);
                row.undecided().into_iter().for_each(|reason| builder.mark_undecided(reason));
                builder.finish(&key)
            })
            .collect();
        rows.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        rows
    }
}

/// Appends the deltas between two lists sorted by key.
fn difference(old: Vec<Row>, new: Vec<Row>, out: &mut Vec<Delta>) {
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    loop {
        let (from, to) = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => (old.next(), None),
            (None, Some(_)) => (None, new.next()),
            (Some(a), Some(b)) => match a.key().cmp(b.key()) {
                std::cmp::Ordering::Less => (old.next(), None),
                std::cmp::Ordering::Greater => (None, new.next()),
                std::cmp::Ordering::Equal => (old.next(), new.next()),
            },
        };
        out.extend(Delta::between(from, to));
    }
}
