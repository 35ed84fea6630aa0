//! What is known of the rows of joins, unions and grouping sets, where DataFusion believes too much.
//!
//! An outer join fills the columns of one side with NULLs. DataFusion still takes for constant what is constant in the
//! input of that side, and for equal what is equal there: it leaves out the sort of `t LEFT JOIN (SELECT id, 1 AS flag
//! FROM t) x … ORDER BY flag`, groups such rows as if they came in order, and takes the first row for the first by that
//! column. Grouping sets fill with NULLs in the same way. Of an inner join it believes that the rows of one side are in
//! order for each row of the other, and so in the order of both; they are not, where several rows of the other are equal.
//! And what is constant in all parts of a union it forgets again, when it has left out the sort for it.
//!
//! A physical optimizer rule puts an operator above each of these that hands on their rows and claims only what is true.
//! It stands before all rules that decide what has to be sorted.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::equivalence::EquivalenceGroup;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};

/// The rule that decides what has to be sorted.
const SORTING: &str = "EnsureRequirements";

/// DataFusion's rules with this one among them.
pub(super) fn physical_optimizer() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let sorting = rules.iter().position(|it| it.name() == SORTING);
    rules.insert(sorting.expect("the rule that decides what has to be sorted is among the rules"), Arc::new(ClaimLess));
    rules
}

/// The optimizer rule.
#[derive(Debug)]
struct ClaimLess;

impl PhysicalOptimizerRule for ClaimLess {
    fn name(&self) -> &str {
        "claim_less"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let claimed = |operator: Arc<dyn ExecutionPlan>| {
            Ok(match truth(&operator)? {
                Some(properties) => Transformed::yes(Arc::new(Padded { operator, properties }) as _),
                None => Transformed::no(operator),
            })
        };
        plan.transform_up(claimed).data()
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What is true of the rows of `operator`; `None` when that is what it says itself.
fn truth(operator: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<PlanProperties>>> {
    let group = if let Some(join) = operator.downcast_ref::<HashJoinExec>() {
        of_join(operator, *join.join_type(), join.contains_projection())?
    } else if let Some(join) = operator.downcast_ref::<NestedLoopJoinExec>() {
        of_join(operator, *join.join_type(), join.contains_projection())?
    } else if let Some(join) = operator.downcast_ref::<SortMergeJoinExec>() {
        of_join(operator, join.join_type(), false)?
    } else if operator.downcast_ref::<UnionExec>().is_some() {
        let claims = operator.equivalence_properties().constants();
        (!claims.is_empty()).then(EquivalenceGroup::default)
    } else {
        let aggregate = operator.downcast_ref::<AggregateExec>();
        aggregate.filter(|it| it.group_expr().has_grouping_set()).map(|_| EquivalenceGroup::default())
    };
    let Some(group) = group else { return Ok(None) };
    let mut equivalence = EquivalenceProperties::new(operator.schema());
    equivalence.add_equivalence_group(group)?;
    Ok(Some(Arc::new(operator.properties().as_ref().clone().with_eq_properties(equivalence))))
}

/// What is equal or constant in the rows of a join; `None` when it says so itself.
fn of_join(
    join: &Arc<dyn ExecutionPlan>,
    join_type: JoinType,
    has_projection: bool,
) -> Result<Option<EquivalenceGroup>> {
    let children = join.children();
    let [left, right] = children[..] else {
        return Err(DataFusionError::Internal("a join has two inputs".into()));
    };
    let (left, right) = (left.equivalence_properties(), right.equivalence_properties());
    let nothing = EquivalenceGroup::default();
    let (preserved_left, preserved_right) = match join_type {
        JoinType::Left => (left.eq_group(), &nothing),
        JoinType::Right => (&nothing, right.eq_group()),
        JoinType::Full => (&nothing, &nothing),
        JoinType::Inner if !left.oeq_class().is_empty() && !right.oeq_class().is_empty() => {
            return Ok(Some(join.equivalence_properties().eq_group().clone()));
        }
        _ => return Ok(None),
    };
    if has_projection {
        // The columns have other places than in the inputs.
        return Ok(Some(nothing));
    }
    let left_columns = left.schema().fields().len();
    // As if there were nothing to match, each side has its own.
    preserved_left.join(preserved_right, &JoinType::Inner, left_columns, &[]).map(Some)
}

/// An operator that hands on its rows, under what is true of them.
#[derive(Debug)]
struct Padded {
    operator: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for Padded {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Padded")
    }
}

impl ExecutionPlan for Padded {
    fn name(&self) -> &str {
        "Padded"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.operator]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let operator = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.operator));
        // What is put between when nothing is decided any more changes no claim.
        let properties = truth(&operator)?.unwrap_or_else(|| Arc::clone(&self.properties));
        Ok(Arc::new(Padded { operator, properties }))
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.operator.execute(partition, context)
    }
}
