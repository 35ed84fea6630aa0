//! Plain views, `CREATE VIEW`: queries with a name, which stand in the place of the name when a statement is planned.
//!
//! A view is planned when it is first read, under the same rules as a statement, by a session that knows the tables and
//! the views declared before it and no others.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result as SqlResult;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType};
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::OnceCell;

use super::expansion::Size;
use super::failure::problem;
use super::guard;
use super::statement;
use crate::catalog::View;
use crate::dialect::said;
use crate::serve::problem::Problem;

/// Plain views by name.
pub(super) type Views = HashMap<String, Arc<PlainView>>;

/// One of them.
#[derive(Debug)]
pub(super) struct PlainView {
    view: View,
    /// What plans it.
    state: SessionState,
    /// The views that it may read.
    earlier: Views,
    planned: OnceCell<Result<Arc<Inlined>, Problem>>,
}

impl PlainView {
    /// `view`, to be planned by `state`, which knows the tables and the views `earlier`.
    pub(super) fn new(view: View, state: SessionState, earlier: Views) -> PlainView {
        PlainView { view, state, earlier, planned: OnceCell::new() }
    }

    /// What stands for it in a plan.
    pub(super) async fn inlined(&self) -> Result<Arc<Inlined>, Problem> {
        let planned = self.planned.get_or_init(|| async { self.plan().await.map(Arc::new) }).await;
        // What is wrong with it is not at a place of the statement that reads it.
        planned.clone().map_err(|it| Problem {
            detail: format!("view \"{}\" cannot be read: {}", self.view.name, it.detail),
            place: None,
            ..it
        })
    }

    async fn plan(&self) -> Result<Inlined, Problem> {
        let planned = Box::pin(statement::plan(&self.state, &self.earlier, &self.view.query)).await?;
        guard::check(&planned.plan)?;
        let mut names = planned.labels;
        names.iter_mut().zip(&self.view.columns).for_each(|(name, given)| name.clone_from(given));
        let columns = planned.plan.schema().columns().into_iter().zip(&names);
        let columns: Vec<Expr> = columns.map(|(column, name)| Expr::Column(column).alias(name)).collect();
        let plan = LogicalPlanBuilder::from(planned.plan).project(columns).and_then(LogicalPlanBuilder::build);
        let plan = plan.map_err(|it| problem(&it))?;
        Ok(Inlined { schema: Arc::new(plan.schema().as_arrow().clone()), plan, size: planned.size })
    }
}

/// A planned view as a table: the planner takes its plan in its place.
#[derive(Debug)]
pub(super) struct Inlined {
    schema: SchemaRef,
    plan: LogicalPlan,
    pub(super) size: Size,
}

#[async_trait]
impl TableProvider for Inlined {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        Err(said("XX000", "a view was left in the plan by its name"))
    }
}
