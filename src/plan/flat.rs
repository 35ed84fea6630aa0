//! Flattens trees of joins, filters and projections into one list of inputs, so that the shape in which a query was
//! written does not decide how it is kept.
//!
//! Inner conditions and filters commute with later left joins, so they all end in one list; a left join keeps its own.

use std::collections::HashMap;

use datafusion::common::{JoinType, NullEquality};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, FetchType, Filter, Join, Limit, LogicalPlan, SkipType, Sort, TableScan};

use super::builder::Builder;
use super::expr::{Lowering, compare};
use super::node::{InputColumn, NodeId};
use super::refusal::{Planned, Refusal};
use super::rewrite::{self, Output, has_call, map_call_columns, map_columns, passes_null};
use super::scalar::{Call, Comparison, Scalar};
use super::top_n::Ordered;
use crate::change::Value;

/// One joined input.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) node: NodeId,
    /// The ON conditions of a left join; `None` for inner ones, whose conditions are in the filter.
    pub(crate) on: Option<Vec<Scalar>>,
}

/// One part of an ORDER BY.
#[derive(Debug, Clone)]
pub(crate) struct SortKey {
    pub(crate) output: Output,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// A flattened plan: `steps` joined from first to last, then filtered and projected.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flat {
    pub(crate) steps: Vec<Step>,
    /// All of these must hold.
    pub(crate) filter: Vec<Scalar>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) calls: Vec<Call>,
    /// The order asked for directly above, for LIMIT.
    pub(crate) order: Vec<SortKey>,
    /// A row_number() that waits for the filter that says how many rows of each group are kept.
    pub(crate) window: Option<Ordered>,
}

/// Stands for the row number while [`Flat::window`] waits.
pub(crate) const ROW_NUMBER: InputColumn = InputColumn { input: usize::MAX, column: 0 };

/// Plans views one after another over shared nodes.
#[derive(Default)]
pub(crate) struct Planner {
    pub(crate) builder: Builder,
    /// Tables and materialized views by name.
    pub(crate) relations: HashMap<String, NodeId>,
}

impl Planner {
    /// The plan without any order, and without a row_number() that nobody bounds.
    pub(crate) fn flatten_plain(&mut self, plan: &LogicalPlan) -> Planned<Flat> {
        let mut flat = self.flatten(plan)?;
        if flat.window.is_some() {
            let message = "row_number() can be kept only when an outer WHERE keeps the first rows of each group";
            let hint =
                "SELECT … FROM (SELECT …, ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) AS n FROM …) WHERE n <= 10";
            return Err(Refusal::new(message).at_words("row_number").hint(hint));
        }
        flat.order.clear();
        Ok(flat)
    }

    /// Flattens `plan`; its output columns are `outputs`, in order.
    pub(crate) fn flatten(&mut self, plan: &LogicalPlan) -> Planned<Flat> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => self.flatten(&alias.input),
            LogicalPlan::Projection(projection) => {
                let mut flat = self.flatten(&projection.input)?;
                let before = std::mem::take(&mut flat.outputs);
                let mut lowering =
                    Lowering { schema: projection.input.schema(), outputs: &before, calls: &mut flat.calls };
                flat.outputs = projection.expr.iter().map(|it| lowering.output(it)).collect::<Planned<_>>()?;
                Ok(flat)
            }
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
                Err(Refusal::new("a view must read a table: constants never change").hint("add FROM"))
            }
            LogicalPlan::RecursiveQuery(_) => {
                Err(Refusal::new("recursive queries cannot be kept up to date yet").at_words("recursive"))
            }
            LogicalPlan::Unnest(_) => Err(Refusal::new("unnest() is not supported").at_words("unnest")),
            LogicalPlan::Subquery(_) => {
                let refusal = Refusal::new("LATERAL subqueries cannot be kept up to date yet").at_words("lateral");
                Err(refusal.hint("join with a subquery that does not depend on the tables beside it"))
            }
            other => {
                tracing::debug!(plan = %other.display(), "a view is refused");
                Err(Refusal::new("a view cannot be made of this form of query").hint("write it in another way"))
            }
        }
    }

    fn scan(&mut self, scan: &TableScan) -> Planned<Flat> {
        let name = scan.table_name.table();
        let Some(node) = self.relations.get(name).copied() else {
            return Err(Refusal::new(format!("relation \"{name}\" cannot be read")).at_words(name));
        };
        let visible = self.builder.schema(node).visible;
        let columns = scan.projection.clone().unwrap_or_else(|| (0..visible).collect());
        let outputs = self.columns(node, &columns);
        Ok(Flat { steps: vec![Step { node, on: None }], outputs, ..Flat::default() })
    }

    /// Columns of a node as outputs of a plan of which it is input 0.
    pub(crate) fn columns(&self, node: NodeId, columns: &[usize]) -> Vec<Output> {
        let schema = self.builder.schema(node);
        let column = |at: usize| Output {
            scalar: Scalar::Column(InputColumn { input: 0, column: at }, schema.data_type(at)),
            text: schema.columns[at].name.clone(),
        };
        columns.iter().map(|at| column(*at)).collect()
    }

    /// A plan that is just the first `width` columns of `node`.
    pub(crate) fn leaf(&self, node: NodeId, width: usize) -> Flat {
        let outputs = self.columns(node, &(0..width).collect::<Vec<_>>());
        Flat { steps: vec![Step { node, on: None }], outputs, ..Flat::default() }
    }

    fn filter(&mut self, filter: &Filter) -> Planned<Flat> {
        let mut flat = self.flatten(&filter.input)?;
        flat.order.clear();
        let mut lowering = Lowering { schema: filter.input.schema(), outputs: &flat.outputs, calls: &mut flat.calls };
        let conjuncts = lowering.conjuncts(&filter.predicate)?;
        if flat.window.is_some() {
            return self.bounded_window(flat, conjuncts);
        }
        flat.filter.extend(conjuncts);
        Ok(flat)
    }

    fn sort(&mut self, sort: &Sort) -> Planned<Flat> {
        if sort.fetch.is_some() {
            return Err(Refusal::new("this ORDER BY with a limit cannot be kept").at_words("order by"));
        }
        let mut flat = self.flatten_plain(&sort.input)?;
        let mut lowering = Lowering { schema: sort.input.schema(), outputs: &flat.outputs, calls: &mut flat.calls };
        let mut order = Vec::new();
        for it in &sort.expr {
            let output = lowering.output(&it.expr)?;
            order.push(SortKey { output, descending: !it.asc, nulls_first: it.nulls_first });
        }
        flat.order = order;
        Ok(flat)
    }

    fn limit(&mut self, limit: &Limit) -> Planned<Flat> {
        let constant = |words: &str| Refusal::new("LIMIT and OFFSET must be constants").at_words(words);
        let skip = match limit.get_skip_type()? {
            SkipType::Literal(skip) => skip as u64,
            SkipType::UnsupportedExpr => return Err(constant("offset")),
        };
        let fetch = match limit.get_fetch_type()? {
            FetchType::Literal(Some(fetch)) => fetch as u64,
            FetchType::Literal(None) if skip == 0 => return self.flatten(&limit.input),
            FetchType::Literal(None) => {
                let message = "OFFSET without LIMIT cannot be kept: one change could move every row";
                return Err(Refusal::new(message).at_words("offset").hint("add a LIMIT, or use OFFSET when reading"));
            }
            FetchType::UnsupportedExpr => return Err(constant("limit")),
        };
        let mut flat = self.flatten(&limit.input)?;
        let order = std::mem::take(&mut flat.order);
        if flat.window.is_some() {
            return self.flatten_plain(&limit.input);
        }
        let ordered = self.ordered(flat, Vec::new(), order)?;
        let node = self.top_n(&ordered, skip, fetch, false);
        Ok(self.leaf(node, ordered.width))
    }

    fn join(&mut self, join: &Join) -> Planned<Flat> {
        if join.null_equality != NullEquality::NullEqualsNothing {
            let refusal = Refusal::new("EXCEPT and INTERSECT cannot be kept up to date yet");
            return Err(refusal.hint("use a LEFT JOIN with IS NULL, or a JOIN with SELECT DISTINCT"));
        }
        let kind = match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right => join.join_type,
            JoinType::Full => {
                let refusal = Refusal::new("FULL JOIN cannot be kept up to date yet").at_words("full");
                return Err(refusal.hint("use a LEFT JOIN and a UNION ALL of the rows without a match"));
            }
            _ => {
                let refusal = Refusal::new("EXISTS and IN (SELECT …) cannot be kept up to date yet");
                return Err(refusal.hint("JOIN with (SELECT DISTINCT …), or LEFT JOIN it and test IS NULL"));
            }
        };
        let mut left = self.flatten_plain(&join.left)?;
        let mut right = self.flatten_plain(&join.right)?;
        if kind == JoinType::Inner {
            let mut flat = merge(left, right);
            let all: Vec<&Expr> = join.filter.iter().flat_map(split_conjunction).collect();
            let conditions = conditions(join, &all, &mut flat)?;
            flat.filter.extend(conditions);
            return Ok(flat);
        }
        let swapped = kind == JoinType::Right;
        if swapped {
            std::mem::swap(&mut left, &mut right);
        }
        let mixed = own_conditions(join, swapped, &mut right)?;
        // A function of these rows alone is computed once for each of them, not at every match, when they are kept apart.
        if right.steps.len() > 1 || right.filter.iter().any(has_call) {
            right = self.kept(right)?;
        }
        if let Some(flat) = outer_join(join, swapped, &mixed, left.clone(), right.clone())? {
            return Ok(flat);
        }
        // Nothing tells whether a row was found, so computed columns of the optional side become stored ones.
        let right = self.kept(right)?;
        let flat = outer_join(join, swapped, &mixed, left, right)?;
        flat.ok_or_else(|| Refusal::new("this outer join cannot be kept up to date").at_words("join"))
    }

    /// A plan that reads the rows of `flat` from a node of their own.
    fn kept(&mut self, flat: Flat) -> Planned<Flat> {
        let width = flat.outputs.len();
        let node = self.lower(flat)?;
        Ok(self.leaf(node, width))
    }
}

/// The left join of two plans; `None` when the optional side has computed columns and nothing says when they are NULL.
fn outer_join(join: &Join, swapped: bool, mixed: &[&Expr], mut left: Flat, right: Flat) -> Planned<Option<Flat>> {
    let (input, width) = (left.steps.len(), left.outputs.len());
    // The filter of the optional side decides what may match, not what is dropped.
    let left_filter = std::mem::take(&mut left.filter);
    let mut flat = merge(left, right);
    let mut on = std::mem::replace(&mut flat.filter, left_filter);
    let mut optional = width..flat.outputs.len();
    if swapped {
        // The query's columns are those of its left side first, which is the optional one here.
        flat.outputs.rotate_left(width);
        optional = 0..flat.outputs.len() - width;
    }
    on.extend(conditions(join, mixed, &mut flat)?);
    let guard = guard_of(&on, input, &flat.calls);
    if guard.is_none() && flat.outputs[optional.clone()].iter().any(|it| !passes_null(&it.scalar)) {
        return Ok(None);
    }
    for output in &mut flat.outputs[optional] {
        guard_output(output, guard.as_ref());
    }
    flat.steps[input].on = Some(on);
    Ok(Some(flat))
}

/// Two plans side by side, joined by nothing yet.
fn merge(mut left: Flat, mut right: Flat) -> Flat {
    let (inputs, calls) = (left.steps.len(), left.calls.len());
    let shifted = |scalar: &Scalar| {
        rewrite::map(scalar, &|part| match part {
            Scalar::Column(it, data_type) => {
                Some(Scalar::Column(InputColumn { input: it.input + inputs, ..*it }, *data_type))
            }
            Scalar::Call(number, data_type) => Some(Scalar::Call(number + calls, *data_type)),
            _ => None,
        })
    };
    for argument in right.calls.iter_mut().flat_map(|it| &mut it.arguments) {
        *argument = shifted(argument);
    }
    left.calls.extend(right.calls);
    left.steps.extend(
        right
            .steps
            .into_iter()
            .map(|step| Step { node: step.node, on: step.on.map(|on| on.iter().map(&shifted).collect()) }),
    );
    left.filter.extend(right.filter.iter().map(&shifted));
    left.outputs.extend(right.outputs.into_iter().map(|it| Output { scalar: shifted(&it.scalar), text: it.text }));
    left
}

/// Adds the ON conditions that concern the optional side alone to its filter; the others are returned.
fn own_conditions<'a>(join: &'a Join, swapped: bool, optional: &mut Flat) -> Planned<Vec<&'a Expr>> {
    let schema = if swapped { join.left.schema() } else { join.right.schema() };
    let mut mixed = Vec::new();
    for part in join.filter.iter().flat_map(split_conjunction) {
        let columns = part.column_refs();
        if !columns.is_empty() && columns.iter().all(|it| schema.is_column_from_schema(it)) {
            let mut lowering = Lowering { schema, outputs: &optional.outputs, calls: &mut optional.calls };
            let own = lowering.conjuncts(part)?;
            optional.filter.extend(own);
        } else {
            mixed.push(part);
        }
    }
    Ok(mixed)
}

/// The equalities of a join and `others`, over its merged sides.
fn conditions(join: &Join, others: &[&Expr], flat: &mut Flat) -> Planned<Vec<Scalar>> {
    let mut lowering = Lowering { schema: &join.schema, outputs: &flat.outputs, calls: &mut flat.calls };
    let mut conditions = Vec::new();
    for (left, right) in &join.on {
        let (left, right) = (lowering.scalar(left)?, lowering.scalar(right)?);
        conditions.push(compare(Comparison::Equal, left, right));
    }
    for other in others {
        conditions.extend(lowering.conjuncts(other)?);
    }
    Ok(conditions)
}

/// An expression over `input` that is NULL exactly when a left join found no row of it: one side of an equality.
fn guard_of(on: &[Scalar], input: usize, calls: &[Call]) -> Option<Scalar> {
    on.iter().find_map(|it| match it {
        Scalar::Compare(Comparison::Equal, left, right) => [left, right].into_iter().find_map(|side| {
            let only_this = rewrite::inputs_of(side, calls).into_iter().eq([input]);
            (only_this && passes_null(side)).then(|| (**side).clone())
        }),
        _ => None,
    })
}

/// Makes an output of the optional side NULL where there is no row; plain columns are so by themselves.
fn guard_output(output: &mut Output, guard: Option<&Scalar>) {
    if passes_null(&output.scalar) {
        return;
    }
    if let Some(guard) = guard {
        let data_type = output.scalar.data_type();
        let nothing = Scalar::Literal(Value::Null, data_type);
        let value = std::mem::replace(&mut output.scalar, nothing.clone());
        output.scalar = Scalar::Case {
            branches: vec![(Scalar::IsNull(Box::new(guard.clone())), nothing)],
            otherwise: Some(Box::new(value)),
            data_type,
        };
    }
}

/// Renames the columns of all inputs of `flat`.
pub(crate) fn renumber(flat: &mut Flat, column: &dyn Fn(InputColumn) -> InputColumn) {
    map_call_columns(&mut flat.calls, column);
    for scalar in flat.steps.iter_mut().flat_map(|it| it.on.iter_mut().flatten()).chain(&mut flat.filter) {
        *scalar = map_columns(scalar, column);
    }
    for output in &mut flat.outputs {
        output.scalar = map_columns(&output.scalar, column);
    }
}
