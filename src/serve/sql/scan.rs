//! The leaf of every execution plan: rows of one relation along an access path, as Arrow batches.
//!
//! It holds no epoch. The one to read is taken from the task when the plan is executed, so one plan serves all
//! epochs, and all leaves of a statement read the same one.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SortOrderPushdownResult};

use super::columns;
use crate::change::{KeyColumn, Row};
use crate::serve::access::{Path, choose};
use crate::serve::condition::{Condition, Verdict, judge};
use crate::serve::problem::Problem;
use crate::serve::served::Served;
use crate::serve::walk::Walk;
use crate::store::{Epoch, StoreError};

/// Rows of one relation.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    served: Arc<Served>,
    schema: SchemaRef,
    projection: Vec<usize>,
    conditions: Vec<Condition>,
    limit: Option<usize>,
    path: Path,
    properties: Arc<PlanProperties>,
}

impl Scan {
    pub(super) fn new(
        served: Arc<Served>,
        schema: SchemaRef,
        projection: Vec<usize>,
        conditions: Vec<Condition>,
        limit: Option<usize>,
    ) -> Scan {
        let path = choose(&served, &conditions, &[], &projection);
        let properties = properties(EquivalenceProperties::new(Arc::clone(&schema)));
        Scan { served, schema, projection, conditions, limit, path, properties }
    }

    /// The columns of `order` as columns of the relation; `None` when it orders by anything else.
    fn key_columns(&self, order: &[PhysicalSortExpr]) -> Option<Vec<KeyColumn>> {
        let one = |part: &PhysicalSortExpr| {
            let column = part.expr.downcast_ref::<Column>()?;
            let column = *self.projection.get(column.index())?;
            Some(KeyColumn { column, descending: part.options.descending, nulls_first: part.options.nulls_first })
        };
        order.iter().map(one).collect()
    }
}

fn properties(equivalence: EquivalenceProperties) -> Arc<PlanProperties> {
    let partitioning = Partitioning::UnknownPartitioning(1);
    Arc::new(PlanProperties::new(equivalence, partitioning, EmissionType::Incremental, Boundedness::Bounded))
}

impl DisplayAs for Scan {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relation = &self.served.relation;
        write!(f, "Scan: {}", relation.name)?;
        match self.path.index {
            Some(at) => write!(f, " index={}", relation.indexes[at].name)?,
            None if self.path.full => write!(f, " all")?,
            None => write!(f, " key")?,
        }
        if self.path.covering {
            write!(f, " covering")?;
        }
        if self.path.reverse {
            write!(f, " backwards")?;
        }
        if !self.path.full {
            write!(f, " ranges={}", self.path.ranges.len())?;
        }
        if !self.path.residual.is_empty() {
            write!(f, " residual={}", self.path.residual.len())?;
        }
        self.limit.map_or(Ok(()), |it| write!(f, " limit={it}"))
    }
}

impl ExecutionPlan for Scan {
    fn name(&self) -> &str {
        "Scan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn fetch(&self) -> Option<usize> {
        self.limit
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Scan { limit, ..self.clone() }))
    }

    fn try_pushdown_sort(&self, order: &[PhysicalSortExpr]) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let Some(wanted) = self.key_columns(order).filter(|it| !it.is_empty() && self.limit.is_none()) else {
            return Ok(SortOrderPushdownResult::Unsupported);
        };
        let path = choose(&self.served, &self.conditions, &wanted, &self.projection);
        if !path.ordered {
            return Ok(SortOrderPushdownResult::Unsupported);
        }
        let ordered = EquivalenceProperties::new_with_orderings(Arc::clone(&self.schema), vec![order.to_vec()]);
        let inner = Scan { path, properties: properties(ordered), ..self.clone() };
        Ok(SortOrderPushdownResult::Exact { inner: Arc::new(inner) })
    }

    fn execute(&self, _partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let epoch = context.session_config().get_extension::<Epoch>();
        let epoch = epoch.ok_or_else(|| DataFusionError::Internal("the task has no epoch".into()))?;
        let errors = Walk::over_errors(&self.path, &self.served, &epoch).map_err(failed)?;
        let walk = Walk::new(&self.path, &self.served, self.path.ranges.clone(), None);
        let batch_rows = context.session_config().batch_size();
        let run = Run { epoch, errors, walk, left: self.limit.unwrap_or(usize::MAX), batch_rows, scan: self.clone() };
        let batches =
            futures::stream::try_unfold(run, |mut run| async move { Ok(run.next()?.map(|batch| (batch, run))) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

/// One execution of a scan.
struct Run {
    epoch: Arc<Epoch>,
    /// What the path passes by because of errors.
    errors: Walk,
    walk: Walk,
    left: usize,
    /// The most rows a batch may have.
    batch_rows: usize,
    scan: Scan,
}

impl Run {
    /// The next batch, which may be empty; `None` at the end.
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.left == 0 {
            return Ok(None);
        }
        let served = &self.scan.served;
        if let Some(hits) = self.errors.next(&self.epoch, served, usize::MAX).map_err(failed)? {
            hits.iter().try_for_each(|hit| self.check_passed_by(&hit.row))?;
            return self.batch(&[]).map(Some);
        }
        let wanted = if self.scan.path.residual.is_empty() { self.left.min(self.batch_rows) } else { self.batch_rows };
        let Some(hits) = self.walk.next(&self.epoch, served, wanted).map_err(failed)? else { return Ok(None) };
        let mut rows = Vec::with_capacity(hits.len());
        for hit in hits {
            if rows.len() < self.left && self.passes(&hit.row)? {
                rows.push(hit.row);
            }
        }
        self.left -= rows.len();
        self.batch(&rows).map(Some)
    }

    /// Refuses to leave out a row of the relation that perhaps meets the conditions.
    fn check_passed_by(&self, row: &Row) -> Result<()> {
        let Scan { served, conditions, .. } = &self.scan;
        match judge(conditions, |column| row.get(column, served.relation.schema.data_type(column))) {
            Verdict::Error(column, message) => Err(external(served.error_cell(row, column, message))),
            Verdict::Passes | Verdict::Fails => Ok(()),
        }
    }

    /// Refuses to show or count a row that perhaps does not belong to the relation.
    fn check_decided(&self, row: &Row) -> Result<()> {
        row.undecided().map_or(Ok(()), |reason| Err(self.problem(row, |served, row| served.undecided_row(row, reason))))
    }

    fn passes(&self, row: &Row) -> Result<bool> {
        let path = &self.scan.path;
        match judge(&path.residual, |column| path.cell(&self.scan.served, column).of(row)) {
            Verdict::Passes => Ok(true),
            Verdict::Fails => Ok(false),
            Verdict::Error(column, message) => Err(self.error(row, column, message)),
        }
    }

    fn batch(&self, rows: &[Row]) -> Result<RecordBatch> {
        rows.iter().try_for_each(|row| self.check_decided(row))?;
        let column = |column: &usize| {
            let cell = self.scan.path.cell(&self.scan.served, *column);
            columns::array(cell.data_type, rows.iter().map(|row| cell.of(row)))
                .map_err(|(at, message)| self.error(&rows[at], *column, &message))
        };
        let arrays = self.scan.projection.iter().map(column).collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.scan.schema), arrays, &options)?)
    }

    fn error(&self, row: &Row, column: usize, message: &str) -> DataFusionError {
        self.problem(row, |served, row| served.error_cell(row, column, message))
    }

    /// What is wrong with the row of the relation that `row`, perhaps an entry of an index, stands for.
    fn problem(&self, row: &Row, wrong: impl FnOnce(&Served, &Row) -> Problem) -> DataFusionError {
        let Scan { path, served, .. } = &self.scan;
        external(path.base_row(&self.epoch, served, row).map_or_else(Problem::from, |row| wrong(served, &row)))
    }
}

fn external(problem: Problem) -> DataFusionError {
    DataFusionError::External(Box::new(problem))
}

fn failed(error: StoreError) -> DataFusionError {
    external(error.into())
}
