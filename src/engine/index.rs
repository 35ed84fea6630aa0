//! Served indexes: the entries a delta of the indexed relation adds and takes away.

use crate::change::{DataType, Datum, Delta, RelationId, Row, RowBuilder, Schema, encode_key};
use crate::plan::IndexPlan;

/// One served index being kept.
#[derive(Debug)]
pub(super) struct IndexWriter {
    pub(super) plan: IndexPlan,
    pub(super) relation: RelationId,
    key: Vec<u8>,
    builder: RowBuilder,
}

impl IndexWriter {
    pub(super) fn new(plan: IndexPlan, relation: RelationId) -> IndexWriter {
        IndexWriter { plan, relation, key: Vec::new(), builder: RowBuilder::new() }
    }

    /// Appends what `delta` does to the index: the entry that goes, unless the new one replaces or equals it.
    pub(super) fn write(&mut self, schema: &Schema, delta: &Delta, out: &mut Vec<(RelationId, Row)>) {
        let old = delta.old.as_ref().map(|row| self.entry(schema, row));
        let new = delta.new.as_ref().map(|row| self.entry(schema, row));
        if old == new {
            return;
        }
        if let Some(old) = old
            && new.as_ref().is_none_or(|new| new.key() != old.key())
        {
            out.push((self.relation, Row::tombstone(old.key())));
        }
        out.extend(new.map(|row| (self.relation, row)));
    }

    /// The entry of one row: keyed by the index columns and then the row's key, so that equal values keep apart.
    pub(super) fn entry(&mut self, schema: &Schema, row: &Row) -> Row {
        let cell = |index: usize| row.get(index, schema.data_type(index));
        self.key.clear();
        encode_key(&self.plan.key, &schema.columns, cell, &mut self.key);
        self.key.extend_from_slice(row.key());
        self.builder.push(Datum::Bytes(row.key()), DataType::Bytes);
        for &column in &self.plan.include {
            self.builder.push(cell(column), schema.data_type(column));
        }
        row.undecided().into_iter().for_each(|reason| self.builder.mark_undecided(reason));
        self.builder.finish(&self.key)
    }
}
