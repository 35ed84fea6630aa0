//! From SQL to an incremental plan: DataFusion binds and simplifies, we lower to [`Graph`].

mod node;
mod scalar;

pub use node::{
    Aggregate, AggregateFunction, Fingerprint, Graph, IndexPlan, InputColumn, JoinCondition, JoinKind, Lookup, Node,
    NodeId, Operator, Probe, ViewPlan,
};
pub use scalar::{Arithmetic, Call, Comparison, Program, Scalar};
