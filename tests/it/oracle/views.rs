//! Random queries of every shape that can be kept.

use rand::Rng;
use rand::rngs::SmallRng;

use super::expression::{condition, value};
use super::pick;
use super::schema::{Field, Kind, Table};

/// Joins in one query, those of the views it reads included: with a dozen matches for each row, more would take minutes to
/// recompute.
const JOINS_MAX: usize = 4;

/// A view: a name, a query, and the columns others may use.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) name: String,
    pub(super) query: String,
    pub(super) fields: Vec<Field>,
    /// `CREATE VIEW`: a name for a query that others read, not kept and not compared itself.
    pub(super) plain: bool,
    /// How many joins it takes to compute it.
    pub(super) joins: usize,
}

/// Something to select from: a table or an earlier view.
struct Relation<'r> {
    name: &'r str,
    fields: &'r [Field],
    /// Columns worth joining on.
    join_columns: Vec<usize>,
    joins: usize,
}

/// The view number `number` over `tables` and the views before it. Only where that is wanted it has expressions that
/// have no value for some rows.
pub(super) fn random(rng: &mut SmallRng, number: usize, tables: &[Table], views: &[View], failing: bool) -> View {
    let mut relations: Vec<Relation<'_>> = tables.iter().map(|it| relation(&it.name, &it.fields, 0)).collect();
    if rng.random_bool(0.4) {
        let named = views.iter().filter(|it| !it.fields.is_empty());
        relations.extend(named.map(|it| relation(&it.name, &it.fields, it.joins)));
    }
    let (from, scope) = from_clause(rng, &relations);
    let filter = if rng.random_bool(0.4) { format!(" WHERE {}", condition(rng, &scope, 2)) } else { String::new() };
    let (query, fields) = match rng.random_range(0..14) {
        _ if failing && rng.random_bool(0.5) => (fail(rng, &from, &filter, &scope), Vec::new()),
        0..4 => project(rng, &from, &filter, &scope),
        4..7 => aggregate(rng, &from, &filter, &scope),
        7 => union(rng, &relations),
        8 => top_n(rng, &from, &filter, &scope),
        9 => limited(rng, &from, &filter, &scope),
        10 => correlated(rng, &from, &filter, &scope, &relations),
        11 => distinct_count(rng, &from, &filter, &scope),
        12 => nested(rng, &relations),
        _ => distinct(rng, &from, &filter, &scope),
    };
    let joins = joins_of(&query, &relations);
    View { name: format!("v{number}"), query, fields, plain: rng.random_bool(0.12), joins }
}

/// A query with expressions that have no value for some rows, alone, in groups, below aggregates and in conditions.
fn fail(rng: &mut SmallRng, from: &str, filter: &str, scope: &[Field]) -> String {
    let (one, two, plain) = (failing(rng, scope), failing(rng, scope), pick(rng, scope).name.clone());
    match rng.random_range(0..6) {
        0 | 1 => format!("SELECT {plain} AS c0, {one} AS c1, {two} AS c2 FROM {from}{filter}"),
        2 => format!("SELECT {one} AS c0, count(*) AS c1, count({two}) AS c2 FROM {from}{filter} GROUP BY {one}"),
        3 => format!("SELECT {plain} AS c0, max({one}) AS c1, count(*) AS c2 FROM {from}{filter} GROUP BY {plain}"),
        4 => format!("SELECT DISTINCT {one} AS c0, {plain} AS c1 FROM {from}{filter}"),
        _ => format!("SELECT {plain} AS c0, {two} AS c1 FROM {from} WHERE {one} IS NOT NULL"),
    }
}

/// An expression that some values of the domain have no value of.
fn failing(rng: &mut SmallRng, scope: &[Field]) -> String {
    let field = pick(rng, scope);
    let templates: &[&str] = match field.kind {
        Kind::Int => &["(100 / (@ - 3))", "(@ * 4000000000000000000)", "sqrt(@)", "chr(CAST(@ AS integer))"],
        Kind::Text => &["CAST(@ AS bigint)", "decode(@, 'hex')", "CAST(@ AS date)", "substr(@, 1, length(@) - 1)"],
        Kind::Bytes => &[
            "convert_from(@, 'UTF8')",
            "get_byte(@, 1)",
            "length(convert_from(@, 'UTF8'))",
            "CAST(@ AS TEXT)",
            "encode(@, 'base64')",
        ],
        Kind::Date => &["(@ + 1000000)", "CAST(@ AS timestamp)", "date_part('year', @)", "date_trunc('month', @)"],
        Kind::Real | Kind::Decimal => &["(1.0 / (@ - 1.25))", "sqrt(@)", "CAST(@ * 1000000000 AS integer)"],
        Kind::Bool => &["CAST(CAST(@ AS TEXT) AS bigint)", "(1 / CAST(@ AS integer))"],
    };
    pick(rng, templates).replace('@', &field.name)
}

/// The joins of a query or of a part of one.
fn joins_of(text: &str, relations: &[Relation<'_>]) -> usize {
    let inside = |it: &Relation<'_>| it.joins * text.matches(&format!("{} AS r", it.name)).count();
    text.matches(" JOIN ").count() + relations.iter().map(inside).sum::<usize>()
}

/// A query over the rows of another: a common table expression or a subquery in FROM, on either side of a join.
fn nested(rng: &mut SmallRng, relations: &[Relation<'_>]) -> (String, Vec<Field>) {
    let (from, scope) = from_clause(rng, relations);
    let (inner, fields) = match rng.random_range(0..3) {
        0 => aggregate(rng, &from, "", &scope),
        _ => project(rng, &from, "", &scope),
    };
    let inner_relation = relation("q", &fields, joins_of(&from, relations));
    let outer = pick(rng, relations);
    let fits = inner_relation.joins + 1 + outer.joins <= JOINS_MAX;
    let with_cte = rng.random_bool(0.5);
    let source = if with_cte { "q".to_string() } else { format!("({inner})") };
    let name = |alias: &str, field: &Field| Field { name: format!("{alias}.{}", field.name), kind: field.kind };
    let scope: Vec<Field> =
        outer.fields.iter().map(|it| name("r0", it)).chain(fields.iter().map(|it| name("r1", it))).collect();
    let from = match (inner_relation.join_columns.is_empty(), outer.join_columns.is_empty()) {
        (false, false) if fits => {
            let left = &outer.fields[*pick(rng, &outer.join_columns)].name;
            let right = &fields[*pick(rng, &inner_relation.join_columns)].name;
            let kind = pick(rng, &["JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN"]);
            format!("{} AS r0 {kind} {source} AS r1 ON r0.{left} = r1.{right}", outer.name)
        }
        _ => format!("{source} AS r1"),
    };
    let scope: Vec<Field> = if from.contains("JOIN") && from.contains(" AS r0 ") && from.starts_with(outer.name) {
        scope
    } else {
        fields.iter().map(|it| name("r1", it)).collect()
    };
    let (query, fields) = match rng.random_range(0..3) {
        0 => aggregate(rng, &from, "", &scope),
        _ => project(rng, &from, "", &scope),
    };
    (if with_cte { format!("WITH q AS ({inner}) {query}") } else { query }, fields)
}

/// Scalar subqueries that depend on the row.
fn correlated(
    rng: &mut SmallRng,
    from: &str,
    filter: &str,
    scope: &[Field],
    relations: &[Relation<'_>],
) -> (String, Vec<Field>) {
    let (mut texts, mut fields) = outputs(rng, scope, 1);
    let other = pick(rng, relations);
    let outer: Vec<&Field> = scope.iter().filter(|it| it.kind == Kind::Int).collect();
    if !other.join_columns.is_empty() && !outer.is_empty() {
        let inner = &other.fields[*pick(rng, &other.join_columns)].name;
        let value = pick(rng, other.fields);
        let (call, kind) = match rng.random_range(0..4) {
            0 => ("count(*)".to_string(), Kind::Int),
            1 => (format!("count(s.{})", value.name), Kind::Int),
            2 => (format!("min(s.{})", value.name), value.kind),
            _ => (format!("max(s.{})", value.name), value.kind),
        };
        let place = pick(rng, &outer);
        texts.push(format!("(SELECT {call} FROM {} AS s WHERE s.{inner} = {}) AS c1", other.name, place.name));
        fields.push(Field { name: "c1".into(), kind });
    }
    (format!("SELECT {} FROM {from}{filter}", texts.join(", ")), fields)
}

fn distinct_count(rng: &mut SmallRng, from: &str, filter: &str, scope: &[Field]) -> (String, Vec<Field>) {
    let (group, value) = (pick(rng, scope), pick(rng, scope));
    let count = Field { name: "c0".into(), kind: Kind::Int };
    if rng.random_bool(0.3) {
        return (format!("SELECT count(DISTINCT {}) AS c0 FROM {from}{filter}", value.name), vec![count]);
    }
    let query =
        format!("SELECT {0} AS g0, count(DISTINCT {1}) AS c0 FROM {from}{filter} GROUP BY {0}", group.name, value.name);
    (query, vec![Field { name: "g0".into(), kind: group.kind }, count])
}

/// ORDER BY … LIMIT … OFFSET of the whole relation.
fn limited(rng: &mut SmallRng, from: &str, filter: &str, scope: &[Field]) -> (String, Vec<Field>) {
    let columns: Vec<String> = scope.iter().enumerate().map(|(index, it)| format!("{} AS c{index}", it.name)).collect();
    let fields = scope.iter().enumerate().map(|(index, it)| Field { name: format!("c{index}"), kind: it.kind });
    let mut order = vec![format!("{} DESC NULLS FIRST", pick(rng, scope).name)];
    order.extend(scope.iter().map(|it| format!("{} NULLS LAST", it.name)));
    let offset = pick(rng, &["", " OFFSET 1", " OFFSET 3"]);
    let query = format!(
        "SELECT {} FROM {from}{filter} ORDER BY {} LIMIT {}{offset}",
        columns.join(", "),
        order.join(", "),
        rng.random_range(1..5)
    );
    (query, fields.collect())
}

fn relation<'r>(name: &'r str, fields: &'r [Field], joins: usize) -> Relation<'r> {
    let ints = fields.iter().enumerate().filter(|(_, field)| field.kind == Kind::Int);
    Relation { name, fields, join_columns: ints.map(|(index, _)| index).collect(), joins }
}

/// One to four relations joined on equal columns, with or without a residual condition.
fn from_clause(rng: &mut SmallRng, relations: &[Relation<'_>]) -> (String, Vec<Field>) {
    let qualified = |alias: &str, relation: &Relation<'_>| -> Vec<Field> {
        let name = |field: &Field| Field { name: format!("{alias}.{}", field.name), kind: field.kind };
        relation.fields.iter().map(name).collect()
    };
    let first = pick(rng, relations);
    let mut text = format!("{} AS r0", first.name);
    let mut scope = qualified("r0", first);
    for number in 1..=*pick(rng, &[0, 0, 1, 1, 1, 2, 2, 3]) {
        let next = pick(rng, relations);
        if joins_of(&text, relations) + 1 + next.joins > JOINS_MAX {
            continue;
        }
        let alias = format!("r{number}");
        let added = qualified(&alias, next);
        let kind = pick(rng, &["LEFT JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "JOIN", "JOIN", "JOIN", "JOIN"]);
        let both: Vec<Field> = scope.iter().chain(&added).cloned().collect();
        if number == 1 && *kind != "RIGHT JOIN" && rng.random_bool(0.08) {
            let shared =
                next.fields.iter().find(|it| first.fields.iter().any(|of| of.name == it.name && of.kind == it.kind));
            if let Some(shared) = shared.filter(|it| matches!(it.kind, Kind::Int | Kind::Text)) {
                text += &format!(" {kind} {} AS {alias} USING ({})", next.name, shared.name);
                // By its bare name the column is ambiguous as soon as a third relation has one.
                scope = both.into_iter().chain([shared.clone()]).collect();
                break;
            }
        }
        let Some(mut on) = equalities(rng, &scope, next, &alias) else { continue };
        if rng.random_bool(0.2) {
            on.push(condition(rng, &both, 1));
        }
        text += &format!(" {kind} {} AS {alias} ON {}", next.name, on.join(" AND "));
        scope = both;
    }
    (text, scope)
}

/// One or two equalities between columns in scope and those of `next`; often along a chain of first columns, which may be
/// keys.
fn equalities(rng: &mut SmallRng, scope: &[Field], next: &Relation<'_>, alias: &str) -> Option<Vec<String>> {
    let kind = if rng.random_bool(0.2) { Kind::Text } else { Kind::Int };
    let left: Vec<&Field> = scope.iter().filter(|it| it.kind == kind).collect();
    let right: Vec<&Field> = next.fields.iter().filter(|it| it.kind == kind).collect();
    let (first, last) = (right.first()?, left.last()?);
    let mut on = Vec::new();
    for _ in 0..*pick(rng, &[1, 1, 1, 2]) {
        let column = if rng.random_bool(0.3) { &first.name } else { &pick(rng, &right).name };
        let left = if rng.random_bool(0.3) { &last.name } else { &pick(rng, &left).name };
        on.push(match (rng.random_range(0..12), kind) {
            (0, Kind::Int) => format!("({left} + 1) = {alias}.{column}"),
            (1, Kind::Int) => format!("{left} = coalesce({alias}.{column}, 2)"),
            (0, _) => format!("lower({left}) = {alias}.{column}"),
            (1, _) => format!("{left} = trim({alias}.{column})"),
            (2, _) => format!("{alias}.{column} = {left}"),
            _ => format!("{left} = {alias}.{column}"),
        });
    }
    Some(on)
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
            2 if matches!(kind, Kind::Int | Kind::Real | Kind::Decimal) => (format!("sum({argument})"), kind),
            // Of decimals it is a decimal, with fewer digits than a float.
            3 if matches!(kind, Kind::Int | Kind::Real) => (format!("avg({argument})"), Kind::Real),
            // PostgreSQL has no order of truths to take the ends of.
            4 | 5 if kind == Kind::Bool => (format!("count({argument})"), Kind::Int),
            4 => (format!("max({argument})"), kind),
            _ => (format!("min({argument})"), kind),
        };
        let text = match rng.random_bool(0.2) {
            true => format!("{text} FILTER (WHERE {})", condition(rng, scope, 1)),
            false => text,
        };
        texts.push(format!("{text} AS c{index}"));
        fields.push(Field { name: format!("c{index}"), kind });
    }
    let grouping = if groups.is_empty() { String::new() } else { format!(" GROUP BY {}", groups.join(", ")) };
    let having = match rng.random_range(0..8) {
        _ if groups.is_empty() => String::new(),
        0 | 1 => " HAVING count(*) > 1".to_string(),
        2 => format!(" HAVING max({}) IS NOT NULL AND count(*) < 4", pick(rng, scope).name),
        3 => format!(" HAVING count({}) = 1 OR min({}) IS NULL", pick(rng, scope).name, pick(rng, scope).name),
        _ => String::new(),
    };
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
