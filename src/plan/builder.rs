//! Collects nodes: equal sub-plans become one node, and every node gets a fingerprint that outlives names and order.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

use super::node::{Fingerprint, Graph, Node, NodeId, Operator};
use super::scalar::{Program, Scalar};
use super::types::literal;
use crate::change::{DataType, Schema, Value};

/// Raised when an operator keeps its state differently, so that state of older versions is rebuilt.
pub(crate) const STATE_VERSION: u32 = 3;

/// The nodes made so far.
#[derive(Default)]
pub(crate) struct Builder {
    pub(crate) graph: Graph,
    by_fingerprint: HashMap<Fingerprint, NodeId>,
}

impl Builder {
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.graph.nodes[id.0]
    }

    pub(crate) fn schema(&self, id: NodeId) -> &Schema {
        &self.graph.nodes[id.0].schema
    }

    /// The node that does this: an existing one where there is one.
    pub(crate) fn add(&mut self, operator: Operator, schema: Schema, label: &str) -> NodeId {
        let fingerprint = self.fingerprint(&operator, &schema);
        self.add_with(fingerprint, operator, schema, label)
    }

    /// Like [`Builder::add`] with a fingerprint made elsewhere (tables).
    pub(crate) fn add_with(
        &mut self,
        fingerprint: Fingerprint,
        operator: Operator,
        schema: Schema,
        label: &str,
    ) -> NodeId {
        if let Some(known) = self.by_fingerprint.get(&fingerprint) {
            return *known;
        }
        let id = NodeId(self.graph.nodes.len());
        let is_table = matches!(operator, Operator::Table(_));
        let stored = is_table
            || matches!(
                operator,
                Operator::Assemble { .. }
                    | Operator::Aggregate { .. }
                    | Operator::Order { .. }
                    | Operator::Arrange { .. }
            );
        let arranged = is_table || matches!(operator, Operator::Arrange { .. });
        let label = label.to_string();
        self.graph.nodes.push(Node { operator, schema, stored, arranged, indexes: Vec::new(), fingerprint, label });
        self.by_fingerprint.insert(fingerprint, id);
        id
    }

    /// `id` in a form that joins can probe: itself when its rows are stored anyway, else a stored copy.
    pub(crate) fn arranged(&mut self, id: NodeId) -> NodeId {
        let node = &mut self.graph.nodes[id.0];
        if node.stored {
            node.arranged = true;
            return id;
        }
        let (schema, label) = (node.schema.clone(), node.label.clone());
        self.add(Operator::Arrange { input: id }, schema, &label)
    }

    /// Sees to it that `id` can be probed by `columns`, which its key may do already.
    pub(crate) fn index(&mut self, id: NodeId, columns: Vec<usize>) {
        let node = &mut self.graph.nodes[id.0];
        let is_same = |known: &[usize]| known.len() == columns.len() && known.iter().all(|it| columns.contains(it));
        let key: Vec<usize> = node.schema.address().map(|it| it.column).collect();
        if !is_same(&key) && !node.indexes.iter().any(|it| is_same(it)) {
            node.indexes.push(columns);
        }
    }

    fn fingerprint(&self, operator: &Operator, schema: &Schema) -> Fingerprint {
        let mut text = format!("{STATE_VERSION} ");
        for input in operator.inputs() {
            let _ = write!(text, "{:032x} ", self.node(input).fingerprint.0);
        }
        let _ = match operator {
            Operator::Table(table) => write!(text, "table {table:?}"),
            Operator::Map { program, .. } => write!(text, "map {}", canonical(program)),
            Operator::Arrange { .. } => write!(text, "arrange"),
            Operator::Order { program, .. } => write!(text, "order {}", canonical(program)),
            Operator::Assemble { lookups, program, .. } => {
                for it in lookups {
                    let _ = write!(text, "{:?} {:?} {:?} {:?} ", it.kind, it.key, it.condition, it.reverse);
                }
                write!(text, "assemble {}", canonical(program))
            }
            Operator::Join { conditions, program, .. } => write!(text, "join {conditions:?} {}", canonical(program)),
            Operator::LeftJoin { on, condition, program, .. } => {
                write!(text, "left {on:?} {condition:?} {}", canonical(program))
            }
            Operator::Aggregate { program, groups, aggregates, .. } => {
                for it in aggregates {
                    let _ =
                        write!(text, "{:?} {:?} {:?} {:?} ", it.function, it.argument, it.argument_type, it.data_type);
                }
                write!(text, "aggregate {groups} {}", canonical(program))
            }
            Operator::TopN { groups, offset, limit, outputs, .. } => {
                write!(text, "top {groups} {offset} {limit} {outputs:?}")
            }
            Operator::UnionAll { inputs } => {
                inputs.iter().try_for_each(|(_, program)| write!(text, "union {} ", canonical(program)))
            }
        };
        for part in schema.key.iter() {
            // An error in a key is told with the text of the expression it arose in.
            let program = operator.program();
            let computed = program.filter(|it| !matches!(it.outputs[part.column], Scalar::Column(..)));
            let _ = computed.map_or(Ok(()), |it| write!(text, " {:?}", it.texts[part.column]));
        }
        let _ = write!(text, " {} {:?}", schema.visible, schema.key);
        for column in schema.columns.iter() {
            let _ = write!(text, " {:?} {:?}", column.data_type, column.collation);
        }
        hash(&text)
    }
}

/// What a program computes, without the names people gave things.
fn canonical(program: &Program) -> String {
    let mut text = String::new();
    for call in &program.calls {
        let _ = write!(text, "[{:?} {:?} {:?} {:?}", call.expr, call.argument_types, call.data_type, call.arguments);
        for constant in constants(&call.expr) {
            let _ = write!(text, " {constant:?}");
        }
        text.push(']');
    }
    let _ = write!(text, " where {:?} select {:?}", program.filter, program.outputs);
    text
}

/// The constants of an expression in order: its own text neither quotes nor bounds them.
fn constants(expr: &Arc<dyn PhysicalExpr>) -> Vec<Option<(Value, DataType)>> {
    let own = expr.downcast_ref::<Literal>().map(|it| literal(it.value()));
    own.into_iter().chain(expr.children().into_iter().flat_map(constants)).collect()
}

/// FNV-1a over 128 bits: fixed for all time, and wide enough that nothing collides by chance.
pub(crate) fn hash(text: &str) -> Fingerprint {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in text.bytes() {
        hash ^= u128::from(byte);
        hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    Fingerprint(hash)
}
