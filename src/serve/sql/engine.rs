//! The planner and the plans it made.
//!
//! The session has no object stores, no disk, no table functions and a bounded memory pool; its catalog holds the
//! served relations and nothing else. Plans belong to one list of relations: when the list changes, all are dropped.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider,
    TableProvider,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result as SqlResult};
use datafusion::execution::TaskContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use futures::StreamExt;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::arrow_json::{Values, type_name};
use super::failure::{problem, problem_in, unplannable};
use super::rows::Rows;
use super::statement::{Statement, prepare};
use super::table::Table;
use super::view::{PlainView, Views};
use super::watch::Watch;
use super::width::TooWide;
use super::{checks, functions, guard, operators, padded, parameters};
use crate::change::ZONE;
use crate::dialect;
use crate::serve::format::Format;
use crate::serve::options::ServeError;
use crate::serve::problem::Problem;
use crate::serve::served::Directory;
use crate::serve::transit::Writer;
use crate::store::Epoch;

/// About how many statements and how many execution plans are kept.
const KEPT: usize = 512;
/// The most bytes of each, by a generous estimate.
const KEPT_BYTES: u64 = 16 << 20;
/// The longest text that is kept; longer ones are rarely sent twice.
const MAX_KEY_BYTES: usize = 8 << 10;
/// How many rows are computed at a time: as many as a scan gives. A text that stands beside each of them counts as often.
const BATCH_ROWS: usize = 1024;

/// Plans and executes queries over one list of relations.
pub(crate) struct Engine {
    directory: Arc<Directory>,
    state: SessionState,
    /// What names of plain views stand for.
    views: Views,
    /// By text.
    statements: Kept<Arc<Statement>>,
    /// By text and parameters.
    plans: Kept<Arc<dyn ExecutionPlan>>,
}

/// Values by text that forget what was not used lately, and how many bytes each takes with its key.
type Kept<V> = Cache<String, (V, u64), ByBytes>;

#[derive(Debug, Clone)]
struct ByBytes;

impl<V> Weighter<String, (V, u64)> for ByBytes {
    fn weight(&self, _key: &String, (_, bytes): &(V, u64)) -> u64 {
        *bytes
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over one list of relations.
    pub(crate) fn new(directory: Arc<Directory>) -> Result<Engine, ServeError> {
        let runtime = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()
            .map_err(|it| ServeError::Sql(it.to_string()))?;
        // The file system is the one store DataFusion knows from the start.
        let files = ObjectStoreUrl::local_filesystem();
        runtime.deregister_object_store(files.as_ref()).map_err(|it| ServeError::Sql(it.to_string()))?;
        Ok(Engine::over(directory, runtime))
    }

    fn over(directory: Arc<Directory>, runtime: Arc<RuntimeEnv>) -> Engine {
        let mut views = Views::new();
        for view in directory.plain_views.iter() {
            let state = session(&directory, views.clone(), Arc::clone(&runtime));
            let planned = PlainView::new(view.clone(), state, views.clone());
            views.insert(view.name.clone(), Arc::new(planned));
        }
        let state = session(&directory, views.clone(), runtime);
        Engine {
            directory,
            state,
            views,
            statements: Cache::with_weighter(KEPT, KEPT_BYTES, ByBytes),
            plans: Cache::with_weighter(KEPT, KEPT_BYTES, ByBytes),
        }
    }

    /// Whether it plans over this list.
    pub(crate) fn serves(&self, directory: &Arc<Directory>) -> bool {
        Arc::ptr_eq(&self.directory, directory)
    }

    /// What it plans with.
    pub(super) fn state(&self) -> &SessionState {
        &self.state
    }

    /// The same engine over another list.
    pub(crate) fn for_directory(&self, directory: Arc<Directory>) -> Engine {
        Engine::over(directory, Arc::clone(self.state.runtime_env()))
    }

    /// The checked plan of `sql`, if it was made before.
    pub(crate) fn known(&self, sql: &str) -> Option<Arc<Statement>> {
        self.statements.get(sql).map(|(statement, _)| statement)
    }

    /// The checked plan of `sql`. The planner recurses over plans, which needs the stack of a statement's thread.
    pub(crate) async fn prepare(&self, sql: &str) -> Result<Arc<Statement>, Problem> {
        let statement = Arc::new(prepare(&self.state, &self.views, sql).await?);
        keep(&self.statements, sql.into(), Arc::clone(&statement), &statement);
        Ok(statement)
    }

    /// A plan ready for execution, and whether it was known.
    pub(crate) async fn physical(
        &self,
        sql: &str,
        statement: &Statement,
        params: &[&str],
    ) -> Result<(Arc<dyn ExecutionPlan>, bool), Problem> {
        // JSON texts have no zero bytes, so the parts cannot be mistaken for each other.
        let key = std::iter::once(sql).chain(params.iter().copied()).collect::<Vec<_>>().join("\0");
        if let Some((plan, _)) = self.plans.get(&key).filter(|_| statement.constant) {
            return Ok((plan, true));
        }
        let values = parameters::bind(&statement.parameters, params)?;
        let plan = self.plan(sql, statement, values).await?;
        if statement.constant {
            keep(&self.plans, key, Arc::clone(&plan), statement);
        }
        Ok((plan, false))
    }

    async fn plan(
        &self,
        sql: &str,
        statement: &Statement,
        values: Vec<ScalarValue>,
    ) -> Result<Arc<dyn ExecutionPlan>, Problem> {
        let fail = |it: DataFusionError| problem_in(sql, &it);
        let create = async |state: &SessionState, logical: LogicalPlan| {
            // What is wrong with a statement shows when its types are settled; what fails behind that is our planner.
            let typed = state.analyzer().execute_and_check(logical, state.config_options(), |_, _| {}).map_err(fail)?;
            let logical = state.optimizer().optimize(typed, state, |_, _| {}).map_err(|it| unplannable(sql, &it))?;
            guard::check_constants(&logical)?;
            let logical = checks::in_expressions(logical).map_err(fail)?;
            let physical = state.query_planner().create_physical_plan(&logical, state).await;
            physical.and_then(operators::in_operators).map_err(|it| unplannable(sql, &it))
        };
        let mut logical = statement.plan.clone();
        if !values.is_empty() {
            logical = logical.replace_params_with_values(&values.into()).map_err(fail)?;
        }
        if statement.constant {
            return create(&self.state, logical).await;
        }
        // now() is the time at which planning begins.
        let mut state = self.state.clone();
        state.mark_start_execution();
        create(&state, logical).await
    }

    /// Runs `plan` on `epoch` and writes the answer.
    pub(crate) async fn execute(&self, run: &Run<'_>, writer: &mut Writer) -> Result<(), Problem> {
        let mut batch_rows = BATCH_ROWS;
        loop {
            let error = match self.attempt(run, batch_rows, writer).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match TooWide::of(&error) {
                Some(wide) if writer.begin_again() => batch_rows = wide.rows(),
                _ => return Err(problem(&error)),
            }
        }
    }

    async fn attempt(&self, run: &Run<'_>, batch_rows: usize, writer: &mut Writer) -> SqlResult<()> {
        let Run { statement, plan, epoch, format, max_rows, watch } = run;
        // Joins and subqueries keep what they have built; every execution needs its own.
        let plan = reset_plan_states(Arc::clone(plan))?;
        let schema = plan.schema();
        let answer = Rows::new(*format, &statement.labels).map_err(external)?;
        answer.open(schema.fields().iter().map(|it| type_name(it)), writer.out());
        let mut batches = execute_stream(plan, self.task(run, batch_rows))?;
        let mut rows = 0;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            if batch.num_rows() > max_rows - rows {
                return Err(external(too_much(*max_rows)));
            }
            let columns = batch.columns().iter().map(Values::new).collect::<SqlResult<Vec<_>>>()?;
            for row in 0..batch.num_rows() {
                answer.row(rows == 0, writer.out(), |at, out| columns[at].write(row, out))?;
                rows += 1;
                if writer.must_wait() {
                    watch.away(writer.flow()).await.flatten().map_err(external)?;
                }
            }
        }
        answer.close(epoch, writer.out());
        Ok(())
    }

    fn task(&self, run: &Run<'_>, batch_rows: usize) -> Arc<TaskContext> {
        let config = self.state.config().clone().with_extension(Arc::clone(run.epoch)).with_batch_size(batch_rows);
        let runtime = RuntimeEnv { memory_pool: run.watch.pool(), ..self.state.runtime_env().as_ref().clone() };
        let (id, runtime) = (self.state.session_id().to_string(), Arc::new(runtime));
        // Plans carry their functions with them; the task needs no registry.
        let (scalar, higher, aggregate, window) = (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
        Arc::new(TaskContext::new(None, id, config, scalar, higher, aggregate, window, runtime))
    }
}

/// What is run.
pub(crate) struct Run<'a> {
    pub(crate) statement: &'a Statement,
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) epoch: &'a Arc<Epoch>,
    pub(crate) format: Format,
    /// The most rows the answer may have.
    pub(crate) max_rows: usize,
    pub(crate) watch: &'a Watch,
}

fn external(problem: Problem) -> DataFusionError {
    DataFusionError::External(Box::new(problem))
}

fn too_much(max_rows: usize) -> Problem {
    let detail = format!("the result has more than the {max_rows} rows one answer may have");
    Problem::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, "54000", detail)
        .hint("add a LIMIT, or ask for lines, which may be any number: Accept: application/x-ndjson, or text/csv")
}

/// Keeps what was made of `statement`. It takes about as much memory as the nodes by relation with their schemas, the
/// expressions, and the texts in both.
fn keep<V: Clone>(kept: &Kept<V>, key: String, value: V, statement: &Statement) {
    if key.len() <= MAX_KEY_BYTES {
        let relations = statement.size.relations.saturating_mul(8 << 10);
        let bytes = relations.saturating_add(statement.size.expressions.saturating_mul(512));
        let bytes = bytes.saturating_add(8 * key.len() as u64);
        kept.insert(key, (value, bytes));
    }
}

fn session(directory: &Directory, views: Views, runtime: Arc<RuntimeEnv>) -> SessionState {
    let mut config = SessionConfig::new()
        // One partition: a served query is small, and the other cores have other clients.
        .with_target_partitions(1)
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema("vantage", "public");
    let options = config.options_mut();
    // Without a zone a timestamptz would be a timestamp.
    options.execution.time_zone = Some(ZONE.into());
    options.sql_parser.dialect = datafusion::common::config::Dialect::PostgreSQL;
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.collect_spans = true;
    options.sql_parser.map_string_types_to_utf8view = false;
    // PostgreSQL's: NULL is greater than everything.
    options.sql_parser.default_null_ordering = "nulls_max".into();
    // It compares whether columns may be NULL, of which the two kinds of plan know more or less.
    options.execution.skip_physical_aggregate_schema_check = true;
    // A filter that grows while a plan runs would stay in the cached plan.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    let mut analyzer = dialect::analyzer();
    analyzer.rules.extend(dialect::number_rules());
    analyzer.rules.push(dialect::length_rule());
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_catalog_list(catalog(directory, views))
        .with_expr_planners(dialect::expr_planners())
        .with_scalar_functions(functions::scalars())
        .with_aggregate_functions(functions::aggregates())
        .with_window_functions(functions::windows())
        .with_analyzer_rules(analyzer.rules)
        .with_optimizer_rules(dialect::optimizer(dialect::Reader::Query))
        .with_physical_optimizer_rules(padded::physical_optimizer())
        .build()
}

fn catalog(directory: &Directory, views: Views) -> Arc<dyn CatalogProviderList> {
    let table = |served: &Arc<crate::serve::served::Served>| {
        let table: Arc<dyn TableProvider> = Arc::new(Table::new(Arc::clone(served)));
        (served.relation.name.clone(), table)
    };
    let tables = directory.relations.iter().map(table).collect();
    let unplanned = directory.unplanned.iter().filter_map(|it| Some((it.name.clone(), directory.unplanned(&it.name)?)));
    let unplanned = unplanned.collect();
    let catalog = MemoryCatalogProvider::new();
    // Registering fails only where the kind of catalog does not allow it; this one does.
    let _ = catalog.register_schema("public", Arc::new(Relations { tables, views, unplanned }));
    let list = MemoryCatalogProviderList::new();
    list.register_catalog("vantage".into(), Arc::new(catalog));
    Arc::new(list)
}

/// The one schema, which nobody can add to.
#[derive(Debug)]
struct Relations {
    tables: HashMap<String, Arc<dyn TableProvider>>,
    views: Views,
    /// What is declared and could not be planned, with the problem of reading it.
    unplanned: HashMap<String, Problem>,
}

#[async_trait]
impl SchemaProvider for Relations {
    fn table_names(&self) -> Vec<String> {
        self.tables.keys().chain(self.views.keys()).cloned().collect()
    }

    async fn table(&self, name: &str) -> SqlResult<Option<Arc<dyn TableProvider>>> {
        if let Some(view) = self.views.get(name) {
            let inlined = view.inlined().await.map_err(|it| DataFusionError::External(Box::new(it)))?;
            return Ok(Some(inlined));
        }
        match (self.tables.get(name), self.unplanned.get(name)) {
            (None, Some(problem)) => Err(DataFusionError::External(Box::new(problem.clone()))),
            (found, _) => Ok(found.cloned()),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name) || self.views.contains_key(name)
    }
}
