//! Casts of single cells, for lists: `select=price::text`. They are SQL's own, planned once a request.

use std::sync::Arc;

use axum::http::StatusCode;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{EmptyRelation, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::arrow_json::Values;
use super::engine::Engine;
use super::{columns, failure};
use crate::change::{DataType, Datum};
use crate::dialect;
use crate::serve::problem::Problem;
use crate::serve::served::Served;

/// Makes values of one column values of another type.
#[derive(Debug, Clone)]
pub(crate) struct Cast {
    schema: SchemaRef,
    expr: Arc<dyn PhysicalExpr>,
}

impl Cast {
    /// Appends the cast value of `datum` as JSON, or says why there is none.
    pub(crate) fn write(&self, datum: Datum<'_>, data_type: DataType, out: &mut Vec<u8>) -> Result<(), String> {
        let array = columns::array(data_type, std::iter::once(datum)).map_err(|(_, message)| message)?;
        let written = RecordBatch::try_new(Arc::clone(&self.schema), vec![array])
            .map_err(DataFusionError::from)
            .and_then(|batch| self.expr.evaluate(&batch)?.into_array(1))
            .and_then(|array| Values::new(&array)?.write(0, out));
        written.map_err(|it| dialect::tell(&it).message)
    }
}

impl Engine {
    /// The cast of a column of `served` to the type `wanted`, as it was written.
    pub(crate) fn cast(&self, served: &Served, column: usize, wanted: &str) -> Result<Cast, Problem> {
        check(wanted)?;
        let fail = |it: DataFusionError| failure::problem(&it);
        let mut column = served.relation.schema.columns[column].clone();
        column.name = "c".into();
        let schema = columns::schema(&[column]);
        let relation = DFSchema::try_from(Arc::clone(&schema)).map_err(fail)?;
        let expr = self.state().create_logical_expr(&format!("CAST(c AS {wanted})"), &relation).map_err(fail)?;
        let input = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: Arc::new(relation) });
        let plan = LogicalPlanBuilder::from(input).project([expr]).and_then(LogicalPlanBuilder::build).map_err(fail)?;
        let options = self.state().config_options();
        let plan = self.state().analyzer().execute_and_check(plan, options, |_, _| {}).map_err(fail)?;
        let LogicalPlan::Projection(projection) = plan else { unreachable!("analysis keeps a projection") };
        let expr = projection.expr[0].clone();
        let expr = self.state().create_physical_expr(expr, projection.input.schema()).map_err(fail)?;
        Ok(Cast { schema, expr })
    }
}

/// Refuses what is not a type that values can be cast to.
fn check(wanted: &str) -> Result<(), Problem> {
    let refused = |detail: String, hint: &str| {
        Problem::new(StatusCode::BAD_REQUEST, "0A000", format!("select: {detail}")).hint(hint)
    };
    let hint = "types: boolean, integer, bigint, double precision, numeric(p,s), text, bytea, date, timestamp, \
                timestamptz";
    let no_type = || refused(format!("\"{wanted}\" is not a type"), hint);
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, &format!("SELECT CAST(c AS {wanted})"));
    let Ok([Statement::Query(query)]) = parsed.as_deref() else { return Err(no_type()) };
    // Whatever else would read as SQL is no single cast of the column.
    let is_cast = match &*query.body {
        SetExpr::Select(select) => match &select.projection[..] {
            [SelectItem::UnnamedExpr(Expr::Cast { expr, array: false, .. })] => {
                matches!(&**expr, Expr::Identifier(it) if it.value == "c") && select.from.is_empty()
            }
            _ => false,
        },
        _ => false,
    };
    if !is_cast {
        return Err(no_type());
    }
    dialect::check(query).map_err(|it| refused(it.message, it.hint))
}
