//! The short way of `SELECT columns FROM relation WHERE key = $1`: straight to the store.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use super::parameters::check_count;
use super::rows::Rows;
use super::statement::Statement;
use crate::change::{Collation, DataType, Value};
use crate::serve::filter::encode;
use crate::serve::format::Format;
use crate::serve::json;
use crate::serve::problem::Problem;
use crate::serve::served::Served;
use crate::serve::value::parse_json;
use crate::store::Epoch;

/// A look-up by whole key.
#[derive(Debug)]
pub(crate) struct Keyed {
    served: Arc<Served>,
    /// The columns of the result.
    columns: Vec<usize>,
    /// By key part, where its value comes from.
    key: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Parameter(usize),
    Constant(Value),
}

impl Keyed {
    /// Finds out whether `plan` is one.
    pub(super) fn recognise(plan: &LogicalPlan, relations: &[Arc<Served>]) -> Option<Keyed> {
        let [served] = relations else { return None };
        let LogicalPlan::Projection(projection) = plan else { return None };
        let LogicalPlan::Filter(filter) = &*projection.input else { return None };
        let mut input = &*filter.input;
        if let LogicalPlan::SubqueryAlias(alias) = input {
            input = &alias.input;
        }
        let LogicalPlan::TableScan(scan) = input else { return None };
        if scan.fetch.is_some() || !scan.filters.is_empty() {
            return None;
        }
        let schema = &served.relation.schema;
        let column = |expr: &Expr| match expr {
            Expr::Column(column) => schema.index_of(&column.name),
            _ => None,
        };
        let output = |expr: &Expr| match expr {
            Expr::Alias(alias) => column(&alias.expr),
            other => column(other),
        };
        let columns = projection.expr.iter().map(output).collect::<Option<Vec<usize>>>()?;
        let conjuncts = split_conjunction(&filter.predicate);
        let mut fixed = Vec::new();
        for conjunct in &conjuncts {
            let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = conjunct else { return None };
            let (column, value) = match (column(left), column(right)) {
                (Some(column), None) => (column, right),
                (None, Some(column)) => (column, left),
                _ => return None,
            };
            fixed.push((column, part(value, schema.data_type(column))?));
        }
        let mut key = Vec::new();
        for part in schema.address() {
            let it = &schema.columns[part.column];
            // Under another collation the key would find more than `=` does.
            let plain = it.data_type != DataType::Text || it.collation == Collation::Binary;
            let at = fixed.iter().position(|(column, _)| *column == part.column).filter(|_| plain)?;
            key.push(fixed.swap_remove(at).1);
        }
        (fixed.is_empty() && !key.is_empty()).then(|| Keyed { served: Arc::clone(served), columns, key })
    }

    /// The answer.
    pub(super) fn run(
        &self,
        statement: &Statement,
        params: &[&str],
        epoch: &Epoch,
        format: Format,
    ) -> Result<Vec<u8>, Problem> {
        check_count(&statement.parameters, params.len())?;
        let schema = &self.served.relation.schema;
        let value = |(part, source): (&crate::change::KeyColumn, &Part)| match source {
            Part::Constant(value) => Ok(value.clone()),
            Part::Parameter(at) => parse_json(params[*at], schema.data_type(part.column))
                .map_err(|it| Problem::bad_value(format!("${}: {it}", at + 1))),
        };
        let values = schema.address().zip(&self.key).map(value).collect::<Result<Vec<_>, _>>()?;
        // `= NULL` is never true.
        let row = match values.contains(&Value::Null) {
            true => None,
            false => epoch.get(self.served.relation.id, &encode(&self.served, &values))?,
        };
        let mut out = Vec::with_capacity(256);
        let answer = Rows::new(format, &statement.labels)?;
        answer.open(self.columns.iter().map(|column| schema.data_type(*column).sql_name()), &mut out);
        if let Some(row) = row {
            self.served.check_decided(&row)?;
            answer.row(true, &mut out, |at, out| {
                let column = self.columns[at];
                let data_type = schema.data_type(column);
                json::write_datum(row.get(column, data_type), data_type, out)
                    .map_err(|message| self.served.error_cell(&row, column, message))
            })?;
        }
        answer.close(epoch, &mut out);
        Ok(out)
    }
}

fn part(expr: &Expr, data_type: DataType) -> Option<Part> {
    match expr {
        Expr::Placeholder(placeholder) => {
            let number: usize = placeholder.id.strip_prefix('$')?.parse().ok()?;
            Some(Part::Parameter(number.checked_sub(1)?))
        }
        Expr::Literal(ScalarValue::Int64(Some(it)), _) => match data_type {
            DataType::Int64 => Some(Part::Constant(Value::Int(*it))),
            DataType::Int32 => i32::try_from(*it).ok().map(|_| Part::Constant(Value::Int(*it))),
            _ => None,
        },
        Expr::Literal(ScalarValue::Utf8(Some(it)) | ScalarValue::Utf8View(Some(it)), _) => {
            (data_type == DataType::Text).then(|| Part::Constant(Value::Text(it.clone())))
        }
        _ => None,
    }
}
