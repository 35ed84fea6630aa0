//! Binds a query: DataFusion resolves and types it, then rewrites it under `dialect`'s rules for views.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType as Arrow, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, TableReference};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner};
use datafusion::logical_expr::{
    AggregateUDF, Distinct, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, WindowUDF,
};
use datafusion::optimizer::{Optimizer, OptimizerContext};
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::names::{name_columns, shown};
use super::refusal::{Planned, Refusal};
use super::row_number;
use super::types::arrow_schema;
use crate::catalog::View;
use crate::change::{Schema, ZONE, counted};
use crate::dialect;

/// Knows the functions, and the relations defined so far.
pub(crate) struct Binder {
    functions: SessionState,
    row_number: Arc<WindowUDF>,
    options: Arc<ConfigOptions>,
    relations: HashMap<String, Arc<dyn TableSource>>,
}

/// A bound query.
pub(crate) struct Bound {
    /// The plan after our rules.
    pub(crate) plan: LogicalPlan,
    /// The output columns' names.
    pub(crate) names: Vec<String>,
}

impl Binder {
    pub(crate) fn new() -> Binder {
        let mut options = ConfigOptions::default();
        options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
        options.optimizer.filter_null_join_keys = false;
        options.optimizer.skip_failed_rules = false;
        // Without a zone a timestamptz would be a timestamp.
        options.execution.time_zone = Some(ZONE.into());
        let functions = SessionStateBuilder::new()
            .with_default_features()
            .with_expr_planners(dialect::expr_planners())
            .with_scalar_functions(dialect::scalar_functions())
            .build();
        let row_number = row_number::row_number();
        Binder { functions, row_number, options: Arc::new(options), relations: HashMap::new() }
    }

    /// A table or materialized view that later queries can read.
    pub(crate) fn define(&mut self, name: &str, schema: &Schema) {
        let relation = Relation { schema: arrow_schema(schema), query: None };
        self.relations.insert(name.to_string(), Arc::new(relation));
    }

    /// A `CREATE VIEW`: later queries that read it contain its query.
    pub(crate) fn define_query(&mut self, view: &View) -> Planned<()> {
        let plan = self.parse(&view.query)?;
        let names = output_names(view, &plan)?;
        let columns = plan.schema().columns();
        let aliased = columns.into_iter().zip(&names).map(|(column, name)| Expr::Column(column).alias(name));
        let plan = LogicalPlanBuilder::from(plan).project(aliased)?.build()?;
        let schema = Arc::new(plan.schema().as_arrow().clone());
        self.relations.insert(view.name.clone(), Arc::new(Relation { schema, query: Some(plan) }));
        Ok(())
    }

    /// Binds and rewrites the query of `view`.
    pub(crate) fn bind(&self, view: &View) -> Planned<Bound> {
        let plan = self.parse(&view.query)?;
        let names = output_names(view, &plan)?;
        let plan = dialect::analyzer().execute_and_check(plan, &self.options, |_, _| {})?;
        let context = OptimizerContext::new_with_config_options(self.options.clone());
        let context = context.without_query_execution_start_time();
        let rules = Optimizer::with_rules(dialect::optimizer(dialect::Reader::View));
        let plan = rules.optimize(plan, &context, |_, _| {})?;
        Ok(Bound { plan, names })
    }

    fn parse(&self, query: &str) -> Planned<LogicalPlan> {
        let parsed = Parser::new(&PostgreSqlDialect {}).try_with_sql(query).and_then(|mut it| it.parse_query());
        let mut parsed = parsed.map_err(|error| Refusal::from(DataFusionError::SQL(Box::new(error), None)))?;
        let refusal = |it: dialect::Unsupported| {
            let refusal = Refusal::new(it.message).at_words(it.words);
            if it.hint.is_empty() { refusal } else { refusal.hint(it.hint) }
        };
        dialect::understand(&mut parsed).map_err(refusal)?;
        name_columns(&mut parsed);
        dialect::expand_joined(&mut parsed, &|name| self.columns_of(name)).map_err(refusal)?;
        dialect::respell(&mut parsed).map_err(refusal)?;
        let options = ParserOptions::new()
            .with_parse_float_as_decimal(true)
            .with_map_string_types_to_utf8view(false)
            .with_collect_spans(true);
        let planner = SqlToRel::new_with_options(self, options);
        let plan = planner.sql_statement_to_plan(Statement::Query(parsed))?;
        let plan = dialect::settle_subqueries(plan, dialect::Reader::View)?;
        refuse_distinct_on(&plan)?;
        Ok(plan)
    }

    fn columns_of(&self, relation: &str) -> Option<Vec<String>> {
        let fields = self.relations.get(relation)?.schema();
        Some(fields.fields().iter().map(|it| it.name().clone()).collect())
    }
}

/// Refuses DISTINCT ON, for which our rules have no place.
fn refuse_distinct_on(plan: &LogicalPlan) -> Planned<()> {
    let mut found = false;
    plan.apply_with_subqueries(|it| {
        found |= matches!(it, LogicalPlan::Distinct(Distinct::On(_)));
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !found {
        return Ok(());
    }
    let refusal = Refusal::new("DISTINCT ON cannot be kept up to date yet").at_words("DISTINCT ON");
    Err(refusal.hint("number the rows with ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) and keep number 1"))
}

/// The names of the view's columns: its own list, then those of the query, each different.
fn output_names(view: &View, plan: &LogicalPlan) -> Planned<Vec<String>> {
    let mut names: Vec<String> = plan.schema().fields().iter().map(|it| shown(it.name()).to_string()).collect();
    if view.columns.len() > names.len() {
        let message =
            format!("the view names {}, its query has {}", counted(view.columns.len(), "column"), names.len());
        return Err(Refusal::new(message).hint(format!("the query's columns: {}", names.join(", "))));
    }
    if names.is_empty() {
        return Err(Refusal::new("the view has no columns").hint("name some between SELECT and FROM"));
    }
    names[..view.columns.len()].clone_from_slice(&view.columns);
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            let message = format!("two columns of the view are called \"{name}\"");
            let hint = format!(
                "name one of them with AS, writing the columns instead of *, or name them all: CREATE … VIEW {} (a, b, …) AS",
                view.name
            );
            return Err(Refusal::new(message).hint(hint));
        }
    }
    Ok(names)
}

struct Relation {
    schema: SchemaRef,
    query: Option<LogicalPlan>,
}

impl TableSource for Relation {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        self.query.as_ref().map(Cow::Borrowed)
    }
}

impl ContextProvider for Binder {
    fn get_table_source(&self, name: TableReference) -> datafusion::common::Result<Arc<dyn TableSource>> {
        let found = self.relations.get(name.table()).cloned();
        found.ok_or_else(|| dialect::said("42P01", format!("relation \"{name}\" does not exist")))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.functions.expr_planners()
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.functions.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        if name == row_number::NAME {
            return Some(Arc::clone(&self.row_number));
        }
        self.functions.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<Arrow> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.functions.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.functions.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.functions.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.functions.window_functions().keys().cloned().collect()
    }
}
