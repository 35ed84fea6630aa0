//! Names of unnamed output columns, as PostgreSQL gives them: `count(*)` is "count", `a + 1` is "?column?".
//!
//! They are written into the query as aliases before DataFusion sees it, so that outer queries may use them too.
//! Where two columns of one SELECT would get one name, a mark is added that [`shown`] removes again.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Ident, ObjectNamePart, Query, Select, SelectItem, SetExpr, Value, VisitMut, VisitorMut,
};

const MARK: char = '\u{1}';

/// Names every unnamed column of `query` and its subqueries.
pub(crate) fn name_columns(query: &mut Query) {
    let _ = VisitMut::visit(query, &mut Namer);
}

/// The name users see.
pub(crate) fn shown(name: &str) -> &str {
    name.split(MARK).next().unwrap_or(name)
}

struct Namer;

impl VisitorMut for Namer {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        name_set(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn name_set(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => name_select(select),
        SetExpr::SetOperation { left, right, .. } => {
            name_set(left);
            name_set(right);
        }
        // A query in parentheses is visited on its own.
        _ => {}
    }
}

fn name_select(select: &mut Select) {
    let has_wildcard =
        select.projection.iter().any(|it| matches!(it, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    let mut taken: HashSet<String> = HashSet::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => {
                taken.insert(normalized(ident));
            }
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => taken.extend(idents.last().map(normalized)),
            SelectItem::ExprWithAlias { alias, .. } => {
                taken.insert(normalized(alias));
            }
            _ => {}
        }
    }
    let mut columns: HashSet<String> = HashSet::new();
    for (position, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let mut name = figure(expr).0;
        if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            let is_first = columns.insert(expr.to_string().to_lowercase());
            if is_first {
                continue;
            }
        }
        if has_wildcard || !taken.insert(name.clone()) {
            name = format!("{name}{MARK}{position}");
        }
        let placeholder = Expr::Value(Value::Null.with_empty_span());
        let expr = std::mem::replace(expr, placeholder);
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
    }
}

fn normalized(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// A name and whether it is a strong one (a column or a function, which a cast or CASE around it takes over).
fn figure(expr: &Expr) -> (String, bool) {
    let strong = |name: &str| (name.to_string(), true);
    let weak = |name: &str| (name.to_string(), false);
    match expr {
        Expr::Identifier(ident) => (normalized(ident), true),
        Expr::CompoundIdentifier(idents) => idents.last().map_or(weak("?column?"), |it| (normalized(it), true)),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        Expr::Function(function) => match function.name.0.last() {
            Some(ObjectNamePart::Identifier(ident)) => (normalized(ident), true),
            _ => weak("?column?"),
        },
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon | CastKind::TryCast | CastKind::SafeCast,
            expr,
            data_type,
            ..
        } => match figure(expr) {
            (name, true) => (name, true),
            _ => (type_name(data_type), false),
        },
        Expr::TypedString(typed) => (type_name(&typed.data_type), false),
        Expr::Interval(_) => weak("interval"),
        Expr::Case { else_result, .. } => match else_result.as_ref().map(|it| figure(it)) {
            Some((name, true)) => (name, true),
            _ => weak("case"),
        },
        Expr::Extract { .. } => strong("extract"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::Position { .. } => strong("position"),
        Expr::Substring { .. } => strong("substring"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Trim { .. } => strong("btrim"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Array(_) => strong("array"),
        Expr::Exists { .. } => strong("exists"),
        Expr::Subquery(query) => match &*query.body {
            SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::ExprWithAlias { alias, .. }) => (shown(&normalized(alias)).to_string(), true),
                Some(SelectItem::UnnamedExpr(inner)) => figure(inner),
                _ => weak("?column?"),
            },
            _ => weak("?column?"),
        },
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => weak("bool"),
        _ => weak("?column?"),
    }
}

/// PostgreSQL's internal name of a type.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::SmallInt(_) | DataType::Int2(_) => "int2".into(),
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => "int4".into(),
        DataType::BigInt(_) | DataType::Int8(_) => "int8".into(),
        DataType::Real | DataType::Float4 => "float4".into(),
        DataType::Double(_) | DataType::DoublePrecision | DataType::Float8 | DataType::Float(_) => "float8".into(),
        DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => "numeric".into(),
        DataType::Boolean | DataType::Bool => "bool".into(),
        DataType::Varchar(_) | DataType::CharacterVarying(_) => "varchar".into(),
        other => other.to_string().split(['(', ' ']).next().unwrap_or_default().to_lowercase(),
    }
}
