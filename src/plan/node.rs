//! The incremental plan: operators over keyed relations, in topological order.
//!
//! Every relation has a unique key (see `change::Schema`), so every operator turns a batch of deltas, at most one per
//! key, into such a batch. *Stored* relations are kept in the store; *arranged* ones also in memory, so that other
//! operators can look rows up, by key or through secondary indexes on some columns.

use super::scalar::{Program, Scalar};
use crate::change::{DataType, KeyColumn, Schema, TableId};

/// Index of a node in [`Graph::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// A hash of a lowered sub-plan and the state versions of its operators: equal fingerprints mean equal state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u128);

/// A column of one of an operator's inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InputColumn {
    /// Which input (0 for operators with one).
    pub input: usize,
    /// Which column of it.
    pub column: usize,
}

/// The plan of all views.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Nodes; each uses only earlier ones. The table nodes come first, node `i` is table `i`.
    pub nodes: Vec<Node>,
    /// The materialized views in order of dependence.
    pub views: Vec<ViewPlan>,
    /// Indexes on base tables, by table.
    pub table_indexes: Vec<Vec<IndexPlan>>,
}

/// A materialized view.
#[derive(Debug, Clone)]
pub struct ViewPlan {
    /// The name.
    pub name: String,
    /// The node whose rows are the view's (always stored; its schema has the view's column names).
    pub node: NodeId,
    /// Served indexes.
    pub indexes: Vec<IndexPlan>,
    /// The optimised logical plan it was lowered from, for explain.
    pub logical: String,
}

/// A served index: see `catalog::ServedIndex` for the shape of its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexPlan {
    /// The name.
    pub name: String,
    /// Columns of the indexed relation.
    pub key: Vec<KeyColumn>,
    /// Included columns.
    pub include: Vec<usize>,
    /// Identity of its content.
    pub fingerprint: Fingerprint,
}

/// One operator and its output relation.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it does.
    pub operator: Operator,
    /// Output columns and key.
    pub schema: Schema,
    /// Whether its rows are kept in the store. Assemble, Aggregate, Order, Arrange and every view are.
    pub stored: bool,
    /// Whether its rows are also kept in memory (implies `stored`).
    pub arranged: bool,
    /// Secondary indexes other operators probe, each a list of columns (implies `arranged`); values compare as
    /// encoded by `change::encode_key` with ascending key columns; rows with NULL in any of them are left out.
    pub indexes: Vec<Vec<usize>>,
    /// Identity of its state.
    pub fingerprint: Fingerprint,
    /// For people: view name, table name, or what it is for.
    pub label: String,
}

/// Inner or left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// Rows without a match are dropped.
    Inner,
    /// Rows without a match keep NULL in the other side's columns.
    Left,
}

/// One probe of an assembly join: at most one row of `node` for each row assembled so far.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// The probed relation (arranged); it is input `position in lookups + 1`, the driver being input 0.
    pub node: NodeId,
    /// Inner or left.
    pub kind: JoinKind,
    /// One column per key column of the probed relation but its ties, in its key order, of inputs with smaller numbers;
    /// NULL finds nothing.
    pub key: Vec<InputColumn>,
    /// A found row counts only if this is true, over inputs up to and including this one.
    pub condition: Option<Scalar>,
    /// How a change of this input finds the driver rows it touches: `None` when the driver's key is the probed key
    /// (same columns, same order); else the input (with a smaller number) whose columns `key` all come from, to be
    /// found through that node's secondary index on exactly those columns (in the order of `key`), and from there on
    /// to the driver.
    pub reverse: Option<usize>,
}

/// An equality between columns of two inputs of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JoinCondition {
    /// One side.
    pub left: InputColumn,
    /// The other; both have one type, or are integers of both widths, which are encoded alike.
    pub right: InputColumn,
}

/// Aggregate functions with O(1) state or an ordered arrangement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    /// `count(*)`.
    CountAll,
    /// `count(x)`.
    Count,
    /// `sum(x)`; an error when the total does not fit the result type.
    Sum,
    /// `avg(x)`; the result is Float64 for integers and floats, a decimal for decimals.
    Avg,
    /// `min(x)`, read from the ordered relation.
    Min,
    /// `max(x)`, read from the ordered relation.
    Max,
}

/// One aggregate of an [`Operator::Aggregate`].
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// The function.
    pub function: AggregateFunction,
    /// Its argument, an index into the program's outputs; `None` for `count(*)`.
    pub argument: Option<usize>,
    /// The type of the argument (Int64 for `count(*)`).
    pub argument_type: DataType,
    /// The type of the result.
    pub data_type: DataType,
    /// Min and max: the [`Operator::Order`] node with key (groups…, value, input key…). Its column `groups` (the one
    /// behind the group columns) is the value; rows whose value is NULL are not in it. Min reads the first row of the
    /// group; max reads the first row of a node whose value is descending.
    pub ordered: Option<NodeId>,
    /// The SQL text, for errors.
    pub text: String,
}

/// What a node does with the deltas of its inputs.
#[derive(Debug, Clone)]
pub enum Operator {
    /// Rows of a source's table: stored and arranged by its key, the place where events become deltas.
    Table(TableId),
    /// Filter and project. The key of the output consists of output columns (hidden ones where needed) that carry
    /// the input's key.
    Map {
        /// The input.
        input: NodeId,
        /// Filter and outputs.
        program: Program,
    },
    /// Map whose output is stored and arranged, so that joins can probe it.
    Arrange {
        /// The input; the rows are kept as they are.
        input: NodeId,
    },
    /// Map whose output is stored and arranged *in key order* (the schema's key starts with group and order columns).
    Order {
        /// The input.
        input: NodeId,
        /// Filter and outputs.
        program: Program,
    },
    /// Assembly join: one output row per driver row at most; the output key is the driver's key.
    Assemble {
        /// Input 0 (arranged).
        driver: NodeId,
        /// Inputs 1….
        lookups: Vec<Lookup>,
        /// Filter and outputs over all inputs.
        program: Program,
    },
    /// n-way inner delta join over shared arrangements; the output key is the concatenation of the inputs' keys,
    /// carried in output columns (a column equal to one that is in the key already is left out). One term an input: `terms[i]` is the order in which the other inputs are probed when
    /// input `i` changed, each probe through the columns fixed so far.
    Join {
        /// The inputs (arranged); the same node may occur several times (self-join).
        inputs: Vec<NodeId>,
        /// All equalities, for people: what some term's probes do not ensure is in the program's filter as well.
        conditions: Vec<JoinCondition>,
        /// For each input, the order in which the others are probed, with the probe columns.
        terms: Vec<Vec<Probe>>,
        /// Residual conditions and outputs over all inputs.
        program: Program,
    },
    /// Left join whose right side may have several matches: input 0 is preserved, both are arranged. The output key
    /// is the left key and then the right key (NULLs in the right key's columns where nothing matched).
    LeftJoin {
        /// Input 0.
        left: NodeId,
        /// Input 1.
        right: NodeId,
        /// Pairs of columns (left column, right column); both sides are found by exactly these, through their key or a
        /// secondary index.
        on: Vec<(usize, usize)>,
        /// A pair counts as a match only if this is true.
        condition: Option<Scalar>,
        /// Filter and outputs over both inputs.
        program: Program,
    },
    /// Grouped or (with no groups) global aggregation; a global one has exactly one row, even over nothing.
    /// The output columns are: groups, aggregates (visible); then one hidden Bytes column with the accumulators.
    Aggregate {
        /// The input.
        input: NodeId,
        /// Filter and outputs: first the groups, then the arguments.
        program: Program,
        /// How many leading outputs are groups.
        groups: usize,
        /// The aggregates, in output order.
        aggregates: Vec<Aggregate>,
    },
    /// The first `limit` rows (after `offset`) of each group of an [`Operator::Order`] node. The output key is the
    /// group's columns and then the key of the ordered node's own input.
    TopN {
        /// The ordered input.
        input: NodeId,
        /// How many leading key columns of the input are the group.
        groups: usize,
        /// How many leading rows of a group to leave out.
        offset: u64,
        /// How many rows of a group to keep.
        limit: u64,
        /// Output columns as columns of the input; `None` is the row number (1-based, Int64).
        outputs: Vec<Option<usize>>,
    },
    /// All rows of all inputs; a last hidden key column tells the inputs apart.
    UnionAll {
        /// The inputs, all with the output's visible columns in order; program `i` maps input `i` to the output
        /// (with the branch number in the last hidden column).
        inputs: Vec<(NodeId, Program)>,
    },
}

/// One step of a join term: probe `input` with the values of columns fixed so far.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Probe {
    /// The input to probe.
    pub input: usize,
    /// For each column of the used access path: (column of the probed input, where its value comes from). The columns
    /// are the probed node's whole key but its ties, in key order (`unique`), or exactly one of its secondary indexes.
    pub on: Vec<(usize, InputColumn)>,
    /// Whether the access path is the unique key.
    pub unique: bool,
}

impl Operator {
    /// What it computes of its inputs' rows, where that is one program.
    pub fn program(&self) -> Option<&Program> {
        match self {
            Operator::Map { program, .. }
            | Operator::Order { program, .. }
            | Operator::Assemble { program, .. }
            | Operator::Join { program, .. }
            | Operator::LeftJoin { program, .. }
            | Operator::Aggregate { program, .. } => Some(program),
            Operator::Table(_) | Operator::Arrange { .. } | Operator::TopN { .. } | Operator::UnionAll { .. } => None,
        }
    }

    /// The nodes it reads.
    pub fn inputs(&self) -> Vec<NodeId> {
        match self {
            Operator::Table(_) => Vec::new(),
            Operator::Map { input, .. }
            | Operator::Arrange { input }
            | Operator::Order { input, .. }
            | Operator::TopN { input, .. } => vec![*input],
            Operator::Aggregate { input, aggregates, .. } => {
                let ordered = aggregates.iter().filter_map(|it| it.ordered);
                std::iter::once(*input).chain(ordered).collect()
            }
            Operator::Assemble { driver, lookups, .. } => {
                std::iter::once(*driver).chain(lookups.iter().map(|it| it.node)).collect()
            }
            Operator::Join { inputs, .. } => inputs.clone(),
            Operator::LeftJoin { left, right, .. } => vec![*left, *right],
            Operator::UnionAll { inputs } => inputs.iter().map(|(node, _)| *node).collect(),
        }
    }
}
