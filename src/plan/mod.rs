//! From SQL to an incremental plan: DataFusion binds and simplifies, we lower to [`Graph`].

mod aggregate;
mod assembly;
mod bind;
mod builder;
mod delta_join;
mod equality;
mod explain;
mod expr;
mod flat;
mod lower;
mod names;
mod node;
mod refusal;
mod rewrite;
mod row_number;
mod scalar;
mod show;
mod top_n;
mod types;
mod union;
mod views;

#[cfg(test)]
pub(crate) use builder::STATE_VERSION;
pub use explain::explain;
pub(crate) use expr::cell_error;
pub use node::{
    Aggregate, AggregateFunction, Fingerprint, Graph, IndexPlan, InputColumn, JoinCondition, JoinKind, Lookup, Node,
    NodeId, Operator, Probe, ViewPlan,
};
pub(crate) use rewrite::has_call;
pub use scalar::{Arithmetic, Call, Comparison, Program, Scalar};
pub use views::{plan, plan_each};

#[cfg(test)]
mod tests;
