//! From text to a checked logical plan.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use datafusion::common::config::Dialect;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Select, SetExpr, SetOperator, SetQuantifier, Value, ValueWithSpan, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::expansion::{self, Size};
use super::failure::problem_in;
use super::guard::{self, read_only, unsupported};
use super::keyed::Keyed;
use super::names;
use super::parameters::{self, Parameters};
use super::session;
use super::view::Views;
use crate::dialect;
use crate::serve::problem::Problem;
use crate::serve::served::{Served, sources_of};

/// The longest text that is looked at.
const MAX_BYTES: usize = 64 << 10;
/// The most operators, brackets and clauses in one text.
const MAX_JOINTS: usize = 1000;
/// The most steps the parser may take, of which it does some 500 a millisecond.
const MAX_PARSING_STEPS: u64 = 1 << 19;
/// How deep an expression or a chain of set operations may be: plans are trees, and what walks, copies and drops
/// them needs stack for each level.
const MAX_DEPTH: usize = 250;
/// A statement that computed for less the last times is expected to do so again.
const LIGHT_US: u64 = 5000;
/// One that has nothing to look at does not get longer than this, be it held up for a moment.
const NOTHING_US: u64 = 100_000;

/// A query that was accepted.
#[derive(Debug)]
pub(crate) struct Statement {
    /// The relations it reads.
    pub(crate) relations: Vec<Arc<Served>>,
    /// Indices of the sources these depend on.
    pub(crate) sources: Vec<usize>,
    /// Set when it is a look-up by key.
    pub(crate) keyed: Option<Keyed>,
    pub(super) plan: LogicalPlan,
    pub(super) parameters: Parameters,
    pub(super) labels: Vec<String>,
    /// Whether physical plans of it may be kept.
    pub(super) constant: bool,
    /// How large it is with everything it names put in place.
    pub(super) size: Size,
    /// Whether its text alone tells how many rows it has to do with.
    has_nothing_to_look_at: bool,
    /// How long it computed when it was last run, in microseconds; more than it did before counts for a part only, as the
    /// machine may have been busy.
    took_us: AtomicU64,
}

impl Statement {
    /// Whether it is expected to be done at once: it was the last time, or has nothing to look at.
    pub(super) fn is_light(&self) -> bool {
        self.took_us.load(Ordering::Relaxed) < if self.has_nothing_to_look_at { NOTHING_US } else { LIGHT_US }
    }

    /// Remembers how long it has computed, and whether that answered it.
    pub(super) fn took(&self, computed: Duration, answered: bool) {
        let took = u64::try_from(computed.as_micros()).unwrap_or(u64::MAX);
        let before = self.took_us.load(Ordering::Relaxed);
        let expected = match answered {
            // It would have taken longer, and nobody knows how much.
            false if took >= LIGHT_US => u64::MAX,
            false => before,
            true if before == u64::MAX => took,
            true => took.min(before + took.saturating_sub(before) / 4),
        };
        self.took_us.store(expected, Ordering::Relaxed);
    }
}

/// Whether `plan` has a bounded number of rows, known from its text alone.
fn has_nothing_to_look_at(plan: &LogicalPlan) -> bool {
    let multiplies = |node: &LogicalPlan| {
        !matches!(
            node,
            LogicalPlan::EmptyRelation(_)
                | LogicalPlan::Values(_)
                | LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::Sort(_)
                | LogicalPlan::Limit(_)
        )
    };
    let mut found = false;
    let walked = plan.apply_with_subqueries(|node| {
        found |= multiplies(node);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.is_ok() && !found
}

/// A query that was planned and not looked at yet.
pub(super) struct Planned {
    pub(super) plan: LogicalPlan,
    pub(super) labels: Vec<String>,
    pub(super) size: Size,
    /// The highest number of a parameter in its text.
    places: usize,
}

/// Plans and checks `sql`, or says what is wrong with it.
pub(super) async fn prepare(state: &SessionState, views: &Views, sql: &str) -> Result<Statement, Problem> {
    let Planned { plan, labels, size, places } = plan(state, views, sql).await?;
    let accepted = guard::check(&plan)?;
    let parameters = parameters::of(&plan, places)?;
    let keyed = Keyed::recognise(&plan, &accepted.relations);
    let guard::Accepted { relations, constant } = accepted;
    let sources = sources_of(relations.iter().map(|it| &**it));
    let has_nothing_to_look_at = has_nothing_to_look_at(&plan);
    let took_us = AtomicU64::new(if has_nothing_to_look_at { 0 } else { u64::MAX });
    Ok(Statement {
        relations,
        sources,
        keyed,
        parameters,
        labels,
        constant,
        size,
        plan,
        has_nothing_to_look_at,
        took_us,
    })
}

/// Plans the query `sql`, which may read `views`.
pub(super) async fn plan(state: &SessionState, views: &Views, sql: &str) -> Result<Planned, Problem> {
    check_size(sql)?;
    let fail = |it: DataFusionError| problem_in(sql, &it);
    let parsed = state.sql_to_statement(sql, &Dialect::PostgreSQL).map_err(fail)?;
    let columns = relation_columns(state, &parsed).await;
    let mut query = query_of(parsed)?;
    let places = check_query(&query)?;
    dialect::understand(&mut query).map_err(|it| unsupported_at(it, sql))?;
    let size = expansion::measure(&query, sizes(views, &query).await)?;
    let labels = names::name_columns(&mut query);
    dialect::expand_joined(&mut query, &|name| columns.get(name).cloned()).map_err(|it| unsupported_at(it, sql))?;
    dialect::respell(&mut query).map_err(|it| unsupported_at(it, sql))?;
    session::answer(&mut query);
    let parsed = Parsed::Statement(Box::new(SqlStatement::Query(query)));
    let plan = state.statement_to_plan(parsed).await;
    let plan = plan.and_then(|it| dialect::settle_subqueries(it, dialect::Reader::Query)).map_err(fail)?;
    let fields: Vec<String> = plan.schema().fields().iter().map(|it| it.name().clone()).collect();
    Ok(Planned { labels: names::resolve(&labels, &fields), size, plan, places })
}

/// The columns of the relations that `parsed` names. What cannot be found is told of where it is read.
async fn relation_columns(state: &SessionState, parsed: &Parsed) -> HashMap<String, Vec<String>> {
    let mut columns = HashMap::new();
    for reference in state.resolve_table_references(parsed).unwrap_or_default() {
        let Ok(schema) = state.schema_for_ref(reference.clone()) else { continue };
        if let Ok(Some(table)) = schema.table(reference.table()).await {
            let names = table.schema().fields().iter().map(|it| it.name().clone()).collect();
            columns.insert(reference.table().to_owned(), names);
        }
    }
    columns
}

/// The sizes of the views that `query` names. Those that cannot be planned are told of where they are read.
async fn sizes(views: &Views, query: &Query) -> HashMap<String, Size> {
    struct Names(Vec<String>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
            self.0.extend(relation.0.last().and_then(|it| it.as_ident()).map(names::folded));
            ControlFlow::Continue(())
        }
    }
    let mut sizes = HashMap::new();
    if views.is_empty() {
        return sizes;
    }
    let mut names = Names(Vec::new());
    // It never breaks off.
    let _ = query.visit(&mut names);
    for name in names.0 {
        if let Some(view) = views.get(&name)
            && let Ok(inlined) = view.inlined().await
        {
            sizes.insert(name, inlined.size);
        }
    }
    sizes
}

fn unsupported_at(it: dialect::Unsupported, sql: &str) -> Problem {
    let place = dialect::find_words(sql, &it.words).map(|[line, column, ..]| [line, column]);
    let problem = Problem { place, ..Problem::new(StatusCode::BAD_REQUEST, it.code, it.message) };
    if it.hint.is_empty() { problem } else { problem.hint(it.hint) }
}

fn check_size(sql: &str) -> Result<(), Problem> {
    let too_much = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "54001", detail);
    if sql.len() > MAX_BYTES {
        return Err(too_much(format!("the statement has more than {MAX_BYTES} bytes")));
    }
    // What cannot be cut into tokens cannot be parsed either; the parser says it better.
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() else { return Ok(()) };
    let joints = tokens.iter().filter(|it| is_joint(it)).count();
    if joints > MAX_JOINTS {
        return Err(too_much(format!("the statement has more than {MAX_JOINTS} operators and clauses"))
            .hint("use IN with a list instead of many ORs"));
    }
    if parsing_steps(&tokens) > MAX_PARSING_STEPS {
        return Err(too_much("calls and subqueries are nested too deeply in each other".into())
            .hint("compute in a subquery of FROM what a call takes"));
    }
    Ok(())
}

/// How often the parser looks at a token, all tokens together. It reads what stands in a call or a subquery twice, first
/// as something else, so every such bracket around a token doubles it.
fn parsing_steps(tokens: &[Token]) -> u64 {
    // What may stand before a bracket without being called.
    const JOINING: [&str; 16] = [
        "ALL", "AND", "AS", "BY", "ELSE", "FROM", "HAVING", "IN", "JOIN", "NOT", "ON", "OR", "SELECT", "THEN", "WHEN",
        "WHERE",
    ];
    let is_word = |token: Option<&&Token>, words: &[&str]| match token {
        Some(Token::Word(it)) => {
            it.quote_style.is_none() && words.iter().any(|word| word.eq_ignore_ascii_case(&it.value))
        }
        _ => false,
    };
    let tokens: Vec<&Token> = tokens.iter().filter(|it| !matches!(it, Token::Whitespace(_))).collect();
    let (mut steps, mut depth, mut open) = (0u64, 0, Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|it| tokens.get(it));
        match token {
            Token::LParen => {
                let calls = matches!(before, Some(Token::Word(_))) && !is_word(before, &JOINING);
                let doubles = calls || is_word(tokens.get(at + 1), &["SELECT", "WITH", "VALUES"]);
                depth += u32::from(doubles);
                open.push(doubles);
            }
            Token::RParen => depth -= u32::from(open.pop() == Some(true)),
            _ => {}
        }
        steps = steps.saturating_add(1u64.checked_shl(depth).unwrap_or(u64::MAX));
    }
    steps
}

fn is_joint(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            const CLAUSES: [&str; 11] =
                ["AND", "OR", "NOT", "UNION", "INTERSECT", "EXCEPT", "JOIN", "CASE", "SELECT", "WHEN", "IS"];
            word.quote_style.is_none() && CLAUSES.iter().any(|it| it.eq_ignore_ascii_case(&word.value))
        }
        Token::Whitespace(_) | Token::Comma | Token::Number(..) | Token::Period | Token::SemiColon | Token::EOF => {
            false
        }
        Token::SingleQuotedString(_) | Token::Placeholder(_) | Token::RParen => false,
        _ => true,
    }
}

/// The query that `parsed` is; what is no query is refused.
fn query_of(parsed: Parsed) -> Result<Box<Query>, Problem> {
    match parsed {
        Parsed::Statement(statement) => match *statement {
            SqlStatement::Query(query) => Ok(query),
            other => Err(session::no_query(&other)),
        },
        Parsed::Explain(_) => Err(session::no_explain()),
        Parsed::CreateExternalTable(_) | Parsed::CopyTo(_) => Err(read_only("only queries are answered")),
        Parsed::Reset(_) => Err(session::no_settings()),
    }
}

/// Lets queries through and nothing else; gives the highest number of a parameter.
fn check_query(query: &Query) -> Result<usize, Problem> {
    let mut inspector = Inspector { problem: None, depth: 0, places: 0 };
    // Whether it broke off is told by the problem.
    let _ = query.visit(&mut inspector);
    match inspector.problem {
        None => Ok(inspector.places),
        Some(problem) => Err(problem),
    }
}

/// Looks for what DataFusion would ignore or answer wrongly without its showing in the plan.
struct Inspector {
    problem: Option<Problem>,
    depth: usize,
    /// The highest number of a parameter.
    places: usize,
}

impl Inspector {
    fn stop(&mut self, problem: Problem) -> ControlFlow<()> {
        self.problem = Some(problem);
        ControlFlow::Break(())
    }
}

impl Visitor for Inspector {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if !query.locks.is_empty() {
            return self.stop(read_only("FOR UPDATE and FOR SHARE lock rows"));
        }
        match check_body(&query.body, MAX_DEPTH) {
            Ok(()) => ControlFlow::Continue(()),
            Err(problem) => self.stop(problem),
        }
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        if let Value::Placeholder(name) = &value.value {
            let number = name.strip_prefix('$').and_then(|it| it.parse().ok()).unwrap_or(0);
            self.places = self.places.max(number);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, _expr: &Expr) -> ControlFlow<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { self.stop(too_deep()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_expr(&mut self, _expr: &Expr) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        match session::no_catalog(relation) {
            Some(problem) => self.stop(problem),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if select.into.is_some() {
            return self.stop(read_only("SELECT INTO creates a table"));
        }
        ControlFlow::Continue(())
    }
}

fn too_deep() -> Problem {
    let detail = format!("the statement is nested more than {MAX_DEPTH} levels deep");
    Problem::new(StatusCode::BAD_REQUEST, "54001", detail)
        .hint("a chain of operators counts a level for each; use IN with a list instead of many ORs")
}

fn check_body(body: &SetExpr, depth: usize) -> Result<(), Problem> {
    let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
    match body {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            Err(read_only("only queries are answered"))
        }
        SetExpr::SetOperation { left, op, set_quantifier, right } => {
            let all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
            match op {
                SetOperator::Except | SetOperator::Minus if all => return Err(unsupported("EXCEPT ALL")),
                SetOperator::Intersect if all => return Err(unsupported("INTERSECT ALL")),
                _ => {}
            }
            check_body(left, depth)?;
            check_body(right, depth)
        }
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => Ok(()),
    }
}
