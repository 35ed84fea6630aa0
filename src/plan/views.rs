//! Plans all views of a catalog: tables first, then each view over what is there already.

use super::bind::Binder;
use super::builder::hash;
use super::flat::{Flat, Planner};
use super::node::{Graph, IndexPlan, NodeId, Operator, ViewPlan};
use super::refusal::{Planned, Refusal};
use super::rewrite::Output;
use super::scalar::Scalar;
use crate::catalog::{Catalog, Index, Problem, Span, View, did_you_mean};
use crate::change::{Column, KeyColumn, Schema, TableId};

/// Plans every view and index of `catalog`. `tables[i]` is the schema of `catalog.tables[i]`: its columns, hidden ones
/// last, and its key. All problems are reported, not only the first.
pub fn plan(catalog: &Catalog, tables: &[Schema]) -> Result<Graph, Vec<Problem>> {
    plan_each(catalog, tables).map_err(|broken| broken.into_iter().map(|it| it.1).collect())
}

/// Like [`plan`]; each problem comes with the name of the view or index that has it. Of views that read such a view
/// nothing is said.
pub fn plan_each(catalog: &Catalog, tables: &[Schema]) -> Result<Graph, Vec<(String, Problem)>> {
    let mut planner = Planner::default();
    let mut binder = Binder::new();
    let mut problems = Vec::new();
    for (at, (table, schema)) in catalog.tables.iter().zip(tables).enumerate() {
        let source = catalog.sources.get(table.source).map_or("", |it| it.name.as_str());
        let mut identity = format!("table {source:?} {:?} {:?} {schema:?}", table.name, table.upstream);
        // Read otherwise, the same upstream gives other rows.
        let metadata: Vec<_> = table.declared.iter().filter_map(|it| it.metadata.as_ref()).collect();
        if !table.options.is_empty() || table.format.is_some() || !metadata.is_empty() {
            identity += &format!(" {:?} {:?} {metadata:?}", table.options.sorted(), table.format);
        }
        let operator = Operator::Table(TableId(at));
        let node = planner.builder.add_with(hash(&identity), operator, schema.clone(), &table.name);
        planner.relations.insert(table.name.clone(), node);
        binder.define(&table.name, schema);
    }
    let mut broken: Vec<&str> = Vec::new();
    for view in &catalog.views {
        if view.depends_on.iter().any(|it| broken.contains(&it.as_str())) {
            // It would only repeat what is wrong with the view it reads.
            broken.push(&view.name);
            continue;
        }
        // A query that makes the SQL front end panic is refused like any other that cannot be kept.
        let planned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if view.materialized { plan_view(&mut planner, &mut binder, view) } else { binder.define_query(view) }
        }));
        let planned = planned.unwrap_or_else(|_| Err(Refusal::new("this query is beyond the SQL front end")));
        if let Err(refusal) = planned {
            problems.push((view.name.clone(), refusal.into_problem(view)));
            broken.push(&view.name);
        }
    }
    let mut graph = planner.builder.graph;
    graph.table_indexes = vec![Vec::new(); catalog.tables.len()];
    for index in catalog.indexes.iter().filter(|it| !broken.contains(&it.relation.as_str())) {
        if let Err(problem) = plan_index(catalog, &mut graph, index) {
            problems.push((index.name.clone(), problem));
        }
    }
    if problems.is_empty() { Ok(graph) } else { Err(problems) }
}

fn plan_view(planner: &mut Planner, binder: &mut Binder, view: &View) -> Planned<()> {
    let bound = binder.bind(view)?;
    let flat = planner.flatten_plain(&bound.plan)?;
    let mut node = match planner.bare_node(&flat) {
        Some(node) => node,
        None => planner.lower(flat)?,
    };
    // One node is the rows of one view only, so that each view has its own column names and its own place in the store.
    while planner.builder.graph.views.iter().any(|it| it.node == node) {
        let visible = planner.builder.schema(node).visible;
        let leaf = planner.leaf(node, visible);
        node = planner.lower_map(leaf);
    }
    let built = &mut planner.builder.graph.nodes[node.0];
    let mut columns: Vec<Column> = built.schema.columns.to_vec();
    for (column, name) in columns.iter_mut().zip(&bound.names) {
        column.name.clone_from(name);
    }
    built.schema = Schema { columns: columns.into(), ..built.schema.clone() };
    built.stored = true;
    built.label.clone_from(&view.name);
    binder.define(&view.name, &built.schema);
    planner.relations.insert(view.name.clone(), node);
    let logical = bound.plan.display_indent().to_string();
    planner.builder.graph.views.push(ViewPlan { name: view.name.clone(), node, indexes: Vec::new(), logical });
    Ok(())
}

impl Planner {
    /// The node that already has exactly the rows of `flat`, when it is an operator's result that may be a view's.
    fn bare_node(&self, flat: &Flat) -> Option<NodeId> {
        let [step] = &flat.steps[..] else { return None };
        let node = self.builder.node(step.node);
        let is_column =
            |(at, it): (usize, &Output)| matches!(&it.scalar, Scalar::Column(place, _) if place.column == at);
        let is_result =
            matches!(node.operator, Operator::Aggregate { .. } | Operator::TopN { .. } | Operator::UnionAll { .. });
        let all = flat.outputs.len() == node.schema.visible && flat.outputs.iter().enumerate().all(is_column);
        (is_result && all && flat.filter.is_empty()).then_some(step.node)
    }
}

fn plan_index(catalog: &Catalog, graph: &mut Graph, index: &Index) -> Result<(), Problem> {
    let table = catalog.tables.iter().position(|it| it.name == index.relation);
    let view = graph.views.iter().position(|it| it.name == index.relation);
    let node = match (table, view) {
        (Some(table), _) => table,
        (None, Some(view)) => graph.views[view].node.0,
        (None, None) => {
            return Err(Problem::at(index.span, format!("relation \"{}\" cannot be indexed", index.relation)));
        }
    };
    let node = &graph.nodes[node];
    let column = |name: &str| {
        node.schema.index_of(name).ok_or_else(|| {
            let place = place_of(catalog, index.span, name);
            let problem = Problem::at(place, format!("\"{}\" has no column \"{name}\"", index.relation));
            let names: Vec<&str> = node.schema.visible_columns().iter().map(|it| it.name.as_str()).collect();
            let near = did_you_mean(name, names.iter().copied());
            problem.with_hint(near.unwrap_or_else(|| format!("its columns: {}", names.join(", "))))
        })
    };
    let mut key = Vec::new();
    for it in &index.columns {
        key.push(KeyColumn { column: column(&it.name)?, descending: it.descending, nulls_first: it.nulls_first });
    }
    let mut include = index.include.iter().map(|it| column(it)).collect::<Result<Vec<_>, _>>()?;
    if !include.is_empty() {
        // A covering index answers alone, so it also carries its own columns and the row's key: an encoded key cannot
        // always be decoded.
        for part in key.iter().chain(node.schema.key.iter()) {
            if part.column < node.schema.visible && !include.contains(&part.column) {
                include.push(part.column);
            }
        }
    }
    let fingerprint = hash(&format!("index {:032x} {key:?} {include:?}", node.fingerprint.0));
    let plan = IndexPlan { name: index.name.clone(), key, include, fingerprint };
    match (table, view) {
        (Some(table), _) => graph.table_indexes[table].push(plan),
        (None, Some(view)) => graph.views[view].indexes.push(plan),
        (None, None) => {}
    }
    Ok(())
}

/// Where `name` is mentioned last within `span`; an index's columns stand behind the names of index and relation.
fn place_of(catalog: &Catalog, span: Span, name: &str) -> Span {
    let text = &catalog.files[span.file].text[span.start..span.end];
    match text.to_lowercase().rfind(&name.to_lowercase()) {
        Some(at) => Span { start: span.start + at, end: span.start + at + name.len(), ..span },
        None => span,
    }
}
