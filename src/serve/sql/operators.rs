//! Checkpoints in operators, so that no work between two of them is long.
//!
//! A checkpoint stands before every batch of every operator. Some do more for a batch than hand it on:
//!
//! - a join compares each row of its second input with many of the first, and hands nothing on meanwhile if it only wants
//!   to know whether there are any: it gets that input in slices, which are shorter the longer it takes for each;
//! - a sort, and a join that arranges its first input by key, do all batches of their input at once when there are no
//!   more: there is a checkpoint where they look at the keys of one of them.

use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::Stream;

use super::watch::{checkpoint, unseen};
use super::width;

/// `plan`, which nothing optimises any more, with a checkpoint before every batch of every operator.
pub(super) fn in_operators(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    checked(plan, &Multiplied::Not, false)
}

/// What the operator above another may make of one of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Multiplied {
    /// One.
    Not,
    /// As many as a batch has.
    ByBatch,
    /// As many as one of the lists in these columns has elements.
    ByLists(Vec<usize>),
}

impl Multiplied {
    fn by(operator: &Arc<dyn ExecutionPlan>) -> Multiplied {
        match operator.downcast_ref::<UnnestExec>() {
            Some(unnest) => {
                Multiplied::ByLists(unnest.list_column_indices().iter().map(|it| it.index_in_input_schema).collect())
            }
            None if operator.children().len() > 1 => Multiplied::ByBatch,
            None => Multiplied::Not,
        }
    }

    /// Refuses a batch with a row that would take too much.
    fn check(&self, batch: &RecordBatch, batch_rows: usize) -> Result<()> {
        match self {
            Multiplied::Not => Ok(()),
            Multiplied::ByBatch => {
                width::check(batch, batch_rows).map_err(|it| DataFusionError::External(Box::new(it)))
            }
            Multiplied::ByLists(lists) => width::check_lists(batch, lists, batch_rows),
        }
    }
}

/// `plan` with its checkpoints, whose rows are multiplied, and which may be handed on in slices.
fn checked(plan: Arc<dyn ExecutionPlan>, multiplied: &Multiplied, in_slices: bool) -> Result<Arc<dyn ExecutionPlan>> {
    let by = Multiplied::by(&plan);
    let compares = plan.is::<HashJoinExec>() || plan.is::<NestedLoopJoinExec>();
    let children: Vec<_> = plan.children().into_iter().map(Arc::clone).collect();
    let children = children.into_iter().enumerate().map(|(at, it)| checked(it, &by, compares && at == 1));
    let children = children.collect::<Result<Vec<_>>>()?;
    let operator = if children.is_empty() { plan } else { replace_children_if_necessary(plan, children)? };
    let properties = Arc::clone(operator.properties());
    let operator = with_checked_keys(operator)?;
    Ok(Arc::new(Checked { operator, properties, multiplied: multiplied.clone(), in_slices }))
}

/// `operator` with a checkpoint where it looks at the keys of a batch, if it does so with many at a time.
fn with_checked_keys(operator: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(join) = operator.downcast_ref::<HashJoinExec>() {
        let on = join.on().iter().map(|(first, second)| (CheckedKey::of(first), Arc::clone(second)));
        return join.builder().with_on(on.collect()).build_exec();
    }
    if let Some(sort) = operator.downcast_ref::<SortExec>() {
        let keys = sort.expr().iter().map(|it| PhysicalSortExpr::new(CheckedKey::of(&it.expr), it.options));
        let Some(keys) = LexOrdering::new(keys) else { return Ok(operator) };
        let checked = SortExec::new(keys, Arc::clone(sort.input()))
            .with_fetch(sort.fetch())
            .with_preserve_partitioning(sort.preserve_partitioning());
        return Ok(Arc::new(checked));
    }
    Ok(operator)
}

/// A key with a checkpoint before it is computed for a batch.
#[derive(Debug, Eq)]
struct CheckedKey {
    key: Arc<dyn PhysicalExpr>,
}

// As it would be derived, which does not compile for an `Arc` of a trait.
impl PartialEq for CheckedKey {
    fn eq(&self, other: &CheckedKey) -> bool {
        self.key.eq(&other.key)
    }
}

impl Hash for CheckedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl CheckedKey {
    fn of(key: &Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
        Arc::new(CheckedKey { key: Arc::clone(key) })
    }
}

impl std::fmt::Display for CheckedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.key.fmt(f)
    }
}

impl PhysicalExpr for CheckedKey {
    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        self.key.return_field(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        checkpoint()?;
        self.key.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.key]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(CheckedKey::of(children.first().unwrap_or(&self.key)))
    }

    fn fmt_sql(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.key.fmt_sql(f)
    }
}

/// An operator with a checkpoint before each of its batches.
#[derive(Debug)]
struct Checked {
    operator: Arc<dyn ExecutionPlan>,
    /// Those of the operator without checkpoints in its keys, by which operators above know what it is sorted by.
    properties: Arc<PlanProperties>,
    multiplied: Multiplied,
    in_slices: bool,
}

impl DisplayAs for Checked {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checked")
    }
}

impl ExecutionPlan for Checked {
    fn name(&self) -> &str {
        "Checked"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
        let (properties, multiplied) = (Arc::clone(&self.properties), self.multiplied.clone());
        Ok(Arc::new(Checked { operator, properties, multiplied, in_slices: self.in_slices }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (multiplied, batch_rows) = (self.multiplied.clone(), context.session_config().batch_size());
        let slices = self.in_slices.then(|| Slices::new(batch_rows));
        let batches = self.operator.execute(partition, context)?;
        Ok(Box::pin(CheckedStream { batches, multiplied, batch_rows, slices }))
    }
}

struct CheckedStream {
    batches: SendableRecordBatchStream,
    multiplied: Multiplied,
    batch_rows: usize,
    slices: Option<Slices>,
}

impl Stream for CheckedStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        let took = unseen();
        if let Err(error) = checkpoint() {
            return Poll::Ready(Some(Err(error)));
        }
        if let Some(slice) = self.slices.as_mut().and_then(|it| it.after(took)) {
            return Poll::Ready(Some(Ok(slice)));
        }
        let batch = self.batches.as_mut().poll_next(context);
        let Poll::Ready(Some(Ok(batch))) = batch else { return batch };
        if let Err(error) = self.multiplied.check(&batch, self.batch_rows) {
            return Poll::Ready(Some(Err(error)));
        }
        Poll::Ready(Some(Ok(match &mut self.slices {
            Some(slices) => slices.first(batch),
            None => batch,
        })))
    }
}

impl RecordBatchStream for CheckedStream {
    fn schema(&self) -> SchemaRef {
        self.batches.schema()
    }
}

/// Batches in slices of about as many rows as are worked on for [`Slices::ENOUGH`] each. The first is a single row, as
/// nobody knows what one takes.
struct Slices {
    rows: usize,
    /// The most rows a slice has.
    most: usize,
    /// Whether the time since the last checkpoint was spent on a slice.
    handed_on: bool,
    rest: Option<RecordBatch>,
}

impl Slices {
    /// Who works on a slice for longer gets shorter ones,
    const ENOUGH: Duration = Duration::from_millis(8);
    /// and who is done sooner gets longer ones.
    const LITTLE: Duration = Duration::from_millis(2);

    fn new(most: usize) -> Slices {
        Slices { rows: 1, most, handed_on: false, rest: None }
    }

    /// The next slice of the batch that was begun, if there is more of it, after the last one took so long.
    fn after(&mut self, took: Option<Duration>) -> Option<RecordBatch> {
        if std::mem::take(&mut self.handed_on) {
            self.rows = match took {
                Some(took) if took > Self::ENOUGH => self.rows / 2,
                Some(took) if took > Self::LITTLE => self.rows,
                _ => self.rows * 2,
            };
            self.rows = self.rows.clamp(1, self.most.max(1));
        }
        let rest = self.rest.take()?;
        Some(self.first(rest))
    }

    /// The first slice of `batch`; the rest is kept.
    fn first(&mut self, batch: RecordBatch) -> RecordBatch {
        self.handed_on = true;
        if batch.num_rows() <= self.rows {
            return batch;
        }
        self.rest = Some(batch.slice(self.rows, batch.num_rows() - self.rows));
        batch.slice(0, self.rows)
    }
}

#[cfg(test)]
mod tests;
