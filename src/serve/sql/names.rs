//! Names of result columns without AS, as PostgreSQL gives them.
//!
//! Every unnamed expression of every SELECT gets its PostgreSQL name as an alias before planning, so that outer
//! queries can use it. Names within one SELECT must differ for DataFusion: later ones get a number in their alias,
//! which the labels of the answer do not show.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, Ident, Query, Select, SelectItem, SetExpr, Value, VisitMut, VisitorMut,
};

/// A column's label; `None` stands for the columns of a wildcard.
pub(super) type Label = Option<String>;

/// Names the columns of `query` and of everything inside, and returns the labels of the outermost columns.
pub(super) fn name_columns(query: &mut Query) -> Vec<Label> {
    let labels = leftmost(&query.body).map_or(Vec::new(), |select| select.projection.iter().map(label).collect());
    // The visitor never breaks off.
    let _ = query.visit(&mut Namer);
    if let SetExpr::Select(select) = &mut *query.body {
        part_aliases(select);
    }
    labels
}

/// Parts columns of the answer that are named alike. Of a subquery they stay as they are, for naming them is ambiguous.
fn part_aliases(select: &mut Select) {
    let mut used = HashSet::new();
    for item in &mut select.projection {
        let SelectItem::ExprWithAlias { alias, .. } = item else { continue };
        let name = folded(alias);
        let mut parted = name.clone();
        let mut number = 2;
        while !used.insert(parted.clone()) {
            parted = format!("{name}:{number}");
            number += 1;
        }
        if parted != name {
            *alias = Ident::with_quote('"', parted);
        }
    }
}

/// The labels of a result with the columns `fields`: one wildcard stands for as many columns as are left.
pub(super) fn resolve(labels: &[Label], fields: &[String]) -> Vec<String> {
    let wildcards = labels.iter().filter(|it| it.is_none()).count();
    if wildcards == 0 && labels.len() == fields.len() {
        return labels.iter().flatten().cloned().collect();
    }
    let expanded = (fields.len() + wildcards).checked_sub(labels.len()).filter(|_| wildcards == 1);
    let Some(expanded) = expanded else { return fields.to_vec() };
    let mut out: Vec<String> = Vec::with_capacity(fields.len());
    for label in labels {
        match label {
            Some(label) => out.push(label.clone()),
            None => out.extend_from_slice(&fields[out.len()..out.len() + expanded]),
        }
    }
    out
}

fn leftmost(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => leftmost(&query.body),
        SetExpr::SetOperation { left, .. } => leftmost(left),
        _ => None,
    }
}

fn label(item: &SelectItem) -> Label {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(name(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    }
}

struct Namer;

impl VisitorMut for Namer {
    type Break = ();

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut used = HashSet::new();
        for item in &mut select.projection {
            let Some(label) = label(item) else { continue };
            let unique = !used.contains(&label);
            let mut alias = label;
            let mut number = 2;
            while !used.insert(alias.clone()) {
                let stem = alias.rsplit_once(':').map_or(alias.as_str(), |it| it.0);
                alias = format!("{stem}:{number}");
                number += 1;
            }
            if let SelectItem::UnnamedExpr(expr) = item {
                let plain = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                if !(plain && unique) {
                    let expr = expr.clone();
                    *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', alias) };
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// PostgreSQL's name for the result of `expr`.
fn name(expr: &Expr) -> String {
    strong_name(expr).or_else(|| weak_name(expr)).unwrap_or_else(|| "?column?".into())
}

// A column's or function's name, which shows through casts, brackets and CASE … ELSE.
fn strong_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        Expr::Function(Function { name, .. }) => name.0.last().and_then(|it| it.as_ident()).map(folded),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::Collate { expr: inner, .. } => strong_name(inner),
        Expr::Case { else_result, .. } => else_result.as_ref().and_then(|it| strong_name(it)),
        Expr::Extract { .. } => Some("extract".into()),
        Expr::Exists { .. } => Some("exists".into()),
        Expr::Substring { .. } => Some("substring".into()),
        Expr::Position { .. } => Some("position".into()),
        Expr::Overlay { .. } => Some("overlay".into()),
        Expr::Trim { .. } => Some("btrim".into()),
        Expr::Ceil { .. } => Some("ceil".into()),
        Expr::Floor { .. } => Some("floor".into()),
        Expr::Array(_) => Some("array".into()),
        Expr::AtTimeZone { .. } => Some("timezone".into()),
        Expr::Subquery(query) => match leftmost(&query.body)?.projection.first()? {
            SelectItem::UnnamedExpr(inner) => strong_name(inner),
            SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
            _ => None,
        },
        _ => None,
    }
}

// Names PostgreSQL falls back to.
fn weak_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Cast { data_type, .. } => Some(type_name(&data_type.to_string())),
        Expr::TypedString(typed) => Some(type_name(&typed.data_type.to_string())),
        Expr::Interval(_) => Some("interval".into()),
        Expr::Case { .. } => Some("case".into()),
        Expr::Nested(inner) => weak_name(inner),
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => Some("bool".into()),
        _ => None,
    }
}

// PostgreSQL names a cast after the type's name in its own catalog.
fn type_name(written: &str) -> String {
    let lower = written.to_lowercase();
    let stem = lower.split('(').next().unwrap_or("").trim();
    match stem {
        "bigint" | "int8" => "int8",
        "integer" | "int" | "int4" => "int4",
        "smallint" | "int2" => "int2",
        "double precision" | "double" | "float8" | "float" => "float8",
        "real" | "float4" => "float4",
        "decimal" | "numeric" => "numeric",
        "boolean" | "bool" => "bool",
        "character varying" | "varchar" => "varchar",
        "character" | "char" => "bpchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        other => other,
    }
    .into()
}

// Identifiers without quotes are folded to lower case.
pub(super) fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}
