//! Execution plans that can be cancelled.
//!
//! A cancelled task ends when it next yields. DataFusion lets leaves yield, but a join makes any number of batches of
//! one that a leaf gave, so an aggregate over joins would not yield for hours. Here everything that multiplies rows
//! yields too.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::unnest::UnnestExec;

/// `plan` with a chance to be cancelled after every batch of a join, union or unnest.
pub(super) fn yielding(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let wrapped = plan.transform_up(|node| {
        let multiplies = node.children().len() > 1 || node.downcast_ref::<UnnestExec>().is_some();
        Ok(if multiplies { Transformed::yes(Arc::new(CooperativeExec::new(node)) as _) } else { Transformed::no(node) })
    });
    Ok(wrapped?.data)
}
