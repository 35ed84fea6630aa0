//! A served relation as DataFusion's table.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::columns;
use super::pushdown::conditions;
use super::scan::Scan;
use crate::serve::served::Served;

/// A table or view to SELECT from.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) served: Arc<Served>,
    schema: SchemaRef,
}

impl Table {
    pub(super) fn new(served: Arc<Served>) -> Table {
        let schema = columns::schema(served.relation.schema.visible_columns());
        Table { served, schema }
    }
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        if self.served.relation.is_view { TableType::View } else { TableType::Base }
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // The scan checks what it takes row by row where no range does, so it is always exact.
        let support = |filter: &&Expr| match conditions(&self.served, filter) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let projection = projection.cloned().unwrap_or(all);
        let conditions = filters.iter().filter_map(|it| conditions(&self.served, it)).flatten().collect();
        let schema = Arc::new(self.schema.project(&projection)?);
        Ok(Arc::new(Scan::new(Arc::clone(&self.served), schema, projection, conditions, limit)))
    }
}
