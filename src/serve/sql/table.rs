//! A served relation as DataFusion's table.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;

use super::columns;
use super::pushdown::{Division, divide};
use super::scan::Scan;
use crate::serve::condition::Condition;
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
        let support = |filter: &&Expr| match divide(&self.served, [*filter]).rest {
            None => TableProviderFilterPushDown::Exact,
            Some(_) => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.cloned().unwrap_or(all);
        let Division { conditions, rest } = divide(&self.served, filters);
        let Some(rest) = rest else { return Ok(Arc::new(self.rows(wanted, conditions, limit)?)) };
        // Rewriting may have changed a filter since it was taken: what a scan cannot check is computed above it.
        let mut read = wanted.clone();
        for column in rest.column_refs() {
            let at = self.schema.index_of(&column.name)?;
            if !read.contains(&at) {
                read.push(at);
            }
        }
        let scan = self.rows(read, conditions, None)?;
        let predicate = session.create_physical_expr(rest, &DFSchema::try_from(scan.schema())?)?;
        let filter = FilterExecBuilder::new(predicate, Arc::new(scan));
        let filter = filter.apply_projection(Some((0..wanted.len()).collect()))?.with_fetch(limit);
        Ok(Arc::new(filter.build()?))
    }
}

impl Table {
    fn rows(&self, columns: Vec<usize>, conditions: Vec<Condition>, limit: Option<usize>) -> Result<Scan> {
        let schema = Arc::new(self.schema.project(&columns)?);
        Ok(Scan::new(Arc::clone(&self.served), schema, columns, conditions, limit))
    }
}
