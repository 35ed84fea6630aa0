//! Shows a view's incremental plan: what runs on a change, what each operator keeps, and what a change costs.

use std::collections::HashSet;
use std::fmt::Write;

use super::node::{Graph, InputColumn, JoinKind, Lookup, Node, NodeId, Operator, Probe};
use super::scalar::{Call, Program, Scalar};
use super::show::show;
use crate::catalog::Catalog;

/// The plan of `view` as a tree, in the manner of PostgreSQL's EXPLAIN; an error text when there is no such view.
pub fn explain(graph: &Graph, catalog: &Catalog, view: &str) -> String {
    let Some(plan) = graph.views.iter().find(|it| it.name == view) else {
        return format!("there is no materialized view \"{view}\"\n");
    };
    let mut out = format!("{view}\n");
    for index in &plan.indexes {
        let node = &graph.nodes[plan.node.0];
        let _ = writeln!(out, "  index {} ({})", index.name, key_text(node, &index.key));
    }
    if let Some(declared) = catalog.views.iter().find(|it| it.name == view)
        && declared.query.to_lowercase().contains("order by")
        && plan.logical.trim_start().starts_with("Sort")
    {
        out += "  note: ORDER BY without LIMIT is ignored, a view has no order; ask for one when reading\n";
    }
    let mut shown = HashSet::new();
    tree(graph, plan.node, plan.node, 0, &mut shown, &mut out);
    out
}

fn tree(graph: &Graph, root: NodeId, id: NodeId, depth: usize, shown: &mut HashSet<NodeId>, out: &mut String) {
    let node = &graph.nodes[id.0];
    let pad = "  ".repeat(depth);
    let is_other_view = id != root && graph.views.iter().any(|it| it.node == id);
    let name = match &node.operator {
        Operator::Table(_) => format!("Table {}", node.label),
        _ if is_other_view => format!("View {}", node.label),
        other => title(other).to_string(),
    };
    let _ = writeln!(out, "{pad}-> {name}  (key: {}; keeps: {})", key_text(node, &node.schema.key), keeps(node));
    if is_other_view {
        return;
    }
    if !shown.insert(id) && !matches!(node.operator, Operator::Table(_)) {
        let _ = writeln!(out, "{pad}     the same as above");
        return;
    }
    let inputs = node.operator.inputs();
    for line in details(graph, node, &inputs).into_iter().skip(usize::from(inputs.is_empty())) {
        let _ = writeln!(out, "{pad}     {line}");
    }
    for input in inputs {
        tree(graph, root, input, depth + 1, shown, out);
    }
}

fn title(operator: &Operator) -> &'static str {
    match operator {
        Operator::Table(_) => "Table",
        Operator::Map { .. } => "Map",
        Operator::Arrange { .. } => "Arrange",
        Operator::Order { .. } => "Order",
        Operator::Assemble { .. } => "Assembly Join",
        Operator::Join { .. } => "Delta Join",
        Operator::LeftJoin { .. } => "Left Join",
        Operator::Aggregate { .. } => "Aggregate",
        Operator::TopN { .. } => "Top N",
        Operator::UnionAll { .. } => "Union All",
    }
}

/// What a change costs: Δ is the number of changed rows, matches those they join with.
fn cost(operator: &Operator) -> &'static str {
    match operator {
        Operator::Table(_) | Operator::Map { .. } | Operator::Arrange { .. } | Operator::UnionAll { .. } => "O(Δ)",
        Operator::Assemble { .. } => "O(Δ + touched driver rows)",
        Operator::Join { .. } | Operator::LeftJoin { .. } => "O(Δ + matches)",
        Operator::Aggregate { .. } => "O(Δ), once per touched group",
        Operator::Order { .. } => "O(Δ log n)",
        Operator::TopN { offset, .. } if *offset > 0 => "O(Δ log n + offset + limit), once per touched group",
        Operator::TopN { .. } => "O(Δ log n + limit), once per touched group",
    }
}

fn keeps(node: &Node) -> String {
    let mut parts = Vec::new();
    match (node.stored, node.arranged) {
        (_, true) => parts.push("rows, also in memory".to_string()),
        (true, false) => parts.push("rows".to_string()),
        (false, false) => return "nothing".to_string(),
    }
    for index in &node.indexes {
        let columns: Vec<&str> = index.iter().map(|it| node.schema.columns[*it].name.as_str()).collect();
        parts.push(format!("index ({})", columns.join(", ")));
    }
    parts.join(", ")
}

fn key_text(node: &Node, key: &[crate::change::KeyColumn]) -> String {
    if key.is_empty() {
        return "one row".into();
    }
    let part = |it: &crate::change::KeyColumn| {
        let name = &node.schema.columns[it.column].name;
        let hidden = if it.column >= node.schema.visible { " hidden" } else { "" };
        let direction = if it.descending { " desc" } else { "" };
        let nulls = match (it.descending, it.nulls_first) {
            (false, true) => " nulls first",
            (true, false) => " nulls last",
            _ => "",
        };
        format!("{name}{direction}{nulls}{hidden}")
    };
    key.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn details(graph: &Graph, node: &Node, inputs: &[NodeId]) -> Vec<String> {
    let inputs = Inputs { nodes: inputs.iter().map(|it| &graph.nodes[it.0]).collect() };
    let mut lines = vec![format!("cost: {}", cost(&node.operator))];
    match &node.operator {
        Operator::Assemble { lookups, program, .. } => {
            lines.extend((1..).zip(lookups).map(|(at, it)| inputs.lookup(at, it, &program.calls)));
        }
        Operator::Join { terms, .. } => lines.extend(terms.iter().enumerate().map(|(at, it)| inputs.term(at, it))),
        Operator::LeftJoin { on, condition, program, .. } => {
            let pair = |(left, right): &(usize, usize)| {
                let [left, right] = [(0, *left), (1, *right)].map(|(input, column)| InputColumn { input, column });
                format!("{} = {}", inputs.column(left), inputs.column(right))
            };
            lines.push(format!("on: {}", on.iter().map(pair).collect::<Vec<_>>().join(" AND ")));
            let condition = condition.as_ref().map(|it| inputs.shown(it, &program.calls));
            lines.extend(condition.map(|it| format!("match only if: {it}")));
        }
        Operator::Aggregate { program, aggregates, groups, .. } => {
            let texts: Vec<String> = aggregates.iter().map(|it| it.text.clone()).collect();
            let groups: Vec<&str> = program.texts[..*groups].iter().map(String::as_str).collect();
            lines.push(format!("group by: {}", if groups.is_empty() { "nothing".into() } else { groups.join(", ") }));
            lines.extend((!texts.is_empty()).then(|| format!("aggregates: {}", texts.join(", "))));
        }
        Operator::TopN { groups, offset, limit, .. } => {
            let skipped = if *offset > 0 { format!(" after {offset}") } else { String::new() };
            let each = if *groups > 0 { format!(" per group of {groups} key columns") } else { String::new() };
            lines.push(format!("first {limit}{skipped}{each}"));
        }
        Operator::Table(_)
        | Operator::Map { .. }
        | Operator::Arrange { .. }
        | Operator::Order { .. }
        | Operator::UnionAll { .. } => {}
    }
    lines.extend(node.operator.program().and_then(|it| inputs.filter(it)));
    lines
}

/// The inputs of the operator that is shown.
struct Inputs<'a> {
    nodes: Vec<&'a Node>,
}

impl Inputs<'_> {
    fn column(&self, it: InputColumn) -> String {
        let input = self.nodes[it.input];
        format!("{}.{}", input.label, input.schema.columns[it.column].name)
    }

    fn shown(&self, scalar: &Scalar, calls: &[Call]) -> String {
        show(scalar, calls, &|it| self.column(it))
    }

    fn filter(&self, program: &Program) -> Option<String> {
        let filter = program.filter.as_ref()?;
        Some(format!("filter: {}", self.shown(filter, &program.calls)))
    }

    fn lookup(&self, at: usize, lookup: &Lookup, calls: &[Call]) -> String {
        let kind = if lookup.kind == JoinKind::Left { "left look-up" } else { "look-up" };
        let keys: Vec<String> = lookup.key.iter().map(|it| self.column(*it)).collect();
        let back = match lookup.reverse {
            Some(from) => format!("back by index of {}", self.nodes[from].label),
            None => "same key".into(),
        };
        let condition = lookup.condition.as_ref().map(|it| format!(" if {}", self.shown(it, calls)));
        let condition = condition.unwrap_or_default();
        format!("{kind} {} by {}{condition} ({back})", self.nodes[at].label, keys.join(", "))
    }

    fn term(&self, changed: usize, term: &[Probe]) -> String {
        let probe = |it: &Probe| {
            let path = if it.unique { "key" } else { "index" };
            let node = self.nodes[it.input];
            let equality = |(own, from): &(usize, InputColumn)| {
                format!("{} = {}", node.schema.columns[*own].name, self.column(*from))
            };
            let on: Vec<String> = it.on.iter().map(equality).collect();
            format!("{} by {path} ({})", node.label, on.join(", "))
        };
        let probes: Vec<String> = term.iter().map(probe).collect();
        format!("change of {}: {}", self.nodes[changed].label, probes.join(", then "))
    }
}
