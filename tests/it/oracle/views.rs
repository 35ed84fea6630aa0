//! Random queries of every shape that can be kept.

use rand::Rng;
use rand::rngs::SmallRng;

use super::expression::{condition, value};
use super::pick;
use super::schema::{Field, Kind, Table};

/// A view: a name, a query, and the columns others may use.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) name: String,
    pub(super) query: String,
    pub(super) fields: Vec<Field>,
}

/// Something to select from: a table or an earlier view.
struct Relation<'r> {
    name: &'r str,
    fields: &'r [Field],
    /// Columns worth joining on.
    join_columns: Vec<usize>,
}

/// The view number `number` over `tables` and the views before it.
pub(super) fn random(rng: &mut SmallRng, number: usize, tables: &[Table], views: &[View]) -> View {
    let mut relations: Vec<Relation<'_>> = tables.iter().map(|it| relation(&it.name, &it.fields)).collect();
    if rng.random_bool(0.4) {
        relations.extend(views.iter().filter(|it| !it.fields.is_empty()).map(|it| relation(&it.name, &it.fields)));
    }
    let (from, scope) = from_clause(rng, &relations);
    let filter = if rng.random_bool(0.5) { format!(" WHERE {}", condition(rng, &scope, 2)) } else { String::new() };
    let (query, fields) = match rng.random_range(0..10) {
        0..4 => project(rng, &from, &filter, &scope),
        4..7 => aggregate(rng, &from, &filter, &scope),
        7 => union(rng, &relations),
        8 => top_n(rng, &from, &filter, &scope),
        _ => distinct(rng, &from, &filter, &scope),
    };
    View { name: format!("v{number}"), query, fields }
}

fn relation<'r>(name: &'r str, fields: &'r [Field]) -> Relation<'r> {
    let ints = fields.iter().enumerate().filter(|(_, field)| field.kind == Kind::Int);
    Relation { name, fields, join_columns: ints.map(|(index, _)| index).collect() }
}

/// One to three relations joined on equal integers, with or without a residual condition.
fn from_clause(rng: &mut SmallRng, relations: &[Relation<'_>]) -> (String, Vec<Field>) {
    let qualified = |alias: &str, relation: &Relation<'_>| -> Vec<Field> {
        let name = |field: &Field| Field { name: format!("{alias}.{}", field.name), kind: field.kind };
        relation.fields.iter().map(name).collect()
    };
    let first = pick(rng, relations);
    let mut text = format!("{} AS r0", first.name);
    let mut scope = qualified("r0", first);
    for number in 1..=*pick(rng, &[0, 0, 1, 1, 1, 2]) {
        let next = pick(rng, relations);
        let alias = format!("r{number}");
        let left: Vec<&Field> = scope.iter().filter(|it| it.kind == Kind::Int).collect();
        if next.join_columns.is_empty() || left.is_empty() {
            continue;
        }
        let mut on = Vec::new();
        for _ in 0..*pick(rng, &[1, 1, 1, 2]) {
            let column = &next.fields[*pick(rng, &next.join_columns)].name;
            on.push(format!("{} = {alias}.{column}", pick(rng, &left).name));
        }
        let added = qualified(&alias, next);
        let both: Vec<Field> = scope.iter().chain(&added).cloned().collect();
        if rng.random_bool(0.2) {
            on.push(condition(rng, &both, 1));
        }
        let kind = if rng.random_bool(0.45) { "LEFT JOIN" } else { "JOIN" };
        text += &format!(" {kind} {} AS {alias} ON {}", next.name, on.join(" AND "));
        scope = both;
    }
    (text, scope)
}

fn outputs(rng: &mut SmallRng, scope: &[Field], count: usize) -> (Vec<String>, Vec<Field>) {
    let mut texts = Vec::new();
    let mut fields = Vec::new();
    for index in 0..count {
        let field = pick(rng, scope);
        let text = if rng.random_bool(0.6) { field.name.clone() } else { value(rng, scope, field.kind, 2) };
        fields.push(Field { name: format!("c{index}"), kind: field.kind });
        texts.push(format!("{text} AS c{index}"));
    }
    (texts, fields)
}

fn project(rng: &mut SmallRng, from: &str, filter: &str, scope: &[Field]) -> (String, Vec<Field>) {
    let count = rng.random_range(1..5);
    let (texts, fields) = outputs(rng, scope, count);
    (format!("SELECT {} FROM {from}{filter}", texts.join(", ")), fields)
}

fn distinct(rng: &mut SmallRng, from: &str, filter: &str, scope: &[Field]) -> (String, Vec<Field>) {
    let count = rng.random_range(1..3);
    let (texts, fields) = outputs(rng, scope, count);
    (format!("SELECT DISTINCT {} FROM {from}{filter}", texts.join(", ")), fields)
}

fn aggregate(rng: &mut SmallRng, from: &str, filter: &str, scope: &[Field]) -> (String, Vec<Field>) {
    let mut texts = Vec::new();
    let mut fields = Vec::new();
    let mut groups = Vec::new();
    for index in 0..*pick(rng, &[0, 1, 1, 1, 2]) {
        let field = pick(rng, scope);
        let text = if rng.random_bool(0.75) { field.name.clone() } else { value(rng, scope, field.kind, 1) };
        // A constant in GROUP BY would mean a column's place, so groups always mention a column.
        let text = if text.contains('.') { text } else { field.name.clone() };
        texts.push(format!("{text} AS g{index}"));
        fields.push(Field { name: format!("g{index}"), kind: field.kind });
        groups.push(text);
    }
    for index in 0..rng.random_range(1..4) {
        let kind = pick(rng, scope).kind;
        let argument = value(rng, scope, kind, 1);
        let argument = if argument.contains('.') { argument } else { pick(rng, scope).name.clone() };
        let kind = scope.iter().find(|it| it.name == argument).map_or(kind, |it| it.kind);
        let (text, kind) = match rng.random_range(0..6) {
            0 => ("count(*)".to_string(), Kind::Int),
            1 => (format!("count({argument})"), Kind::Int),
            2 if kind != Kind::Text => (format!("sum({argument})"), kind),
            3 if kind != Kind::Text => (format!("avg({argument})"), Kind::Real),
            4 => (format!("max({argument})"), kind),
            _ => (format!("min({argument})"), kind),
        };
        texts.push(format!("{text} AS c{index}"));
        fields.push(Field { name: format!("c{index}"), kind });
    }
    let grouping = if groups.is_empty() { String::new() } else { format!(" GROUP BY {}", groups.join(", ")) };
    let having = if !groups.is_empty() && rng.random_bool(0.3) { " HAVING count(*) > 1" } else { "" };
    (format!("SELECT {} FROM {from}{filter}{grouping}{having}", texts.join(", ")), fields)
}

fn union(rng: &mut SmallRng, relations: &[Relation<'_>]) -> (String, Vec<Field>) {
    let mut branches = Vec::new();
    for _ in 0..2 {
        let (from, scope) = from_clause(rng, &relations[..1.max(relations.len() / 2)]);
        let column = value(rng, &scope, Kind::Int, 1);
        branches.push(format!("SELECT {column} AS c0, {} AS c1 FROM {from}", value(rng, &scope, Kind::Text, 1)));
    }
    let field = |name: &str, kind| Field { name: name.into(), kind };
    (branches.join(" UNION ALL "), vec![field("c0", Kind::Int), field("c1", Kind::Text)])
}

/// The order names every column of the relation, so that SQLite's answer to ties is ours too.
fn top_n(rng: &mut SmallRng, from: &str, filter: &str, scope: &[Field]) -> (String, Vec<Field>) {
    let partition = pick(rng, scope).name.clone();
    let mut order = vec![match rng.random_range(0..2) {
        0 => format!("{} DESC NULLS FIRST", pick(rng, scope).name),
        _ => format!("{} NULLS LAST", pick(rng, scope).name),
    }];
    order.extend(scope.iter().map(|it| format!("{} NULLS LAST", it.name)));
    let columns: Vec<String> = scope.iter().enumerate().map(|(index, it)| format!("{} AS c{index}", it.name)).collect();
    let fields = scope.iter().enumerate().map(|(index, it)| Field { name: format!("c{index}"), kind: it.kind });
    let query = format!(
        "SELECT * FROM (SELECT {}, ROW_NUMBER() OVER (PARTITION BY {partition} ORDER BY {}) AS rn FROM {from}{filter}) AS ranked WHERE rn <= {}",
        columns.join(", "),
        order.join(", "),
        rng.random_range(1..4)
    );
    (query, fields.collect())
}
