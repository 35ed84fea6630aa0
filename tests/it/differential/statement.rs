//! Random queries over the tables of a case, valid in PostgreSQL and with one right answer.

use rand::Rng;
use rand::rngs::SmallRng;

use super::expression::Scope;
use super::table::{Field, Kind, Table, Value};

/// A query.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    /// As PostgreSQL is asked.
    pub(super) postgres: String,
    /// As Vantage is asked: some constants are parameters.
    pub(super) vantage: String,
    pub(super) parameters: Vec<Value>,
    /// Whether the order of the rows is right or wrong.
    pub(super) ordered: bool,
}

/// What stands around the number of a parameter until it is known who is asked.
const MARK: char = '\u{1}';
/// How deep queries are nested in each other.
const MAX_NESTING: u32 = 2;
const KINDS: [Kind; 13] = [
    Kind::Int,
    Kind::Int,
    Kind::Big,
    Kind::Big,
    Kind::Numeric,
    Kind::Double,
    Kind::Text,
    Kind::Text,
    Kind::Bool,
    Kind::Bool,
    Kind::Date,
    Kind::Timestamp,
    Kind::Zoned,
];

/// Makes queries.
pub(super) struct Generator<'a> {
    pub(super) rng: &'a mut SmallRng,
    tables: &'a [Table],
    /// Whether expressions may contain queries.
    pub(super) subqueries: bool,
    windows: bool,
    nesting: u32,
    aliases: usize,
    /// WITH queries in scope.
    named: Vec<(String, Vec<Kind>)>,
    /// Values of parameters so far, in statements that have some.
    parameters: Option<Vec<Value>>,
}

/// A query's text and the kinds of its columns, which are called c0, c1, ….
type Query = (String, Vec<Kind>);

impl<'a> Generator<'a> {
    /// Any query that may be asked.
    pub(super) fn statement(rng: &'a mut SmallRng, tables: &'a [Table]) -> Statement {
        let parameters = rng.random_bool(0.15).then(Vec::new);
        let mut generator = Generator::new(rng, tables, parameters);
        generator.subqueries = true;
        generator.windows = true;
        generator.whole()
    }

    /// A query of those kinds that views mostly are.
    pub(super) fn view(rng: &'a mut SmallRng, tables: &'a [Table]) -> Statement {
        let mut generator = Generator::new(rng, tables, None);
        let (text, _) = match generator.rng.random_range(0..10) {
            0 => {
                let (left, kinds) = generator.select(None, &[], 2);
                let (right, _) = generator.select(Some(&kinds), &[], 2);
                (format!("{left} UNION ALL {right}"), kinds)
            }
            _ => generator.select(None, &[], 2),
        };
        Statement { postgres: text.clone(), vantage: text, parameters: Vec::new(), ordered: false }
    }

    fn new(rng: &'a mut SmallRng, tables: &'a [Table], parameters: Option<Vec<Value>>) -> Generator<'a> {
        Generator {
            rng,
            tables,
            subqueries: false,
            windows: false,
            nesting: 0,
            aliases: 0,
            named: Vec::new(),
            parameters,
        }
    }

    /// One of `choices`.
    pub(super) fn pick<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        super::pick(self.rng, choices)
    }

    pub(super) fn kind(&mut self) -> Kind {
        *self.pick(&KINDS)
    }

    /// `value` as a parameter where the statement has some, else as a constant.
    pub(super) fn parameter(&mut self, value: Value) -> String {
        match &mut self.parameters {
            Some(values) if values.len() < 6 && self.rng.random_bool(0.6) => {
                values.push(value);
                format!("{MARK}{}{MARK}", values.len())
            }
            _ => value.literal(),
        }
    }

    fn whole(mut self) -> Statement {
        let mut with = String::new();
        if self.rng.random_bool(0.08) {
            let (query, kinds) = self.query(2);
            with = format!("WITH w AS ({query}) ");
            self.named.push(("w".into(), kinds));
        }
        let (query, kinds) = self.query(3);
        let ordered = self.rng.random_bool(0.2);
        let order = if ordered { self.order(kinds.len()) } else { String::new() };
        let text = with + &query + &order;
        let values = self.parameters.take().unwrap_or_default();
        let (mut postgres, mut vantage, mut parameters) = (String::new(), String::new(), Vec::new());
        for (at, part) in text.split(MARK).enumerate() {
            match part.parse::<usize>() {
                Ok(number) if at % 2 == 1 => {
                    // What was made and then left out of the statement is not counted.
                    parameters.push(values[number - 1]);
                    postgres += &values[number - 1].literal();
                    vantage += &format!("${}", parameters.len());
                }
                _ => {
                    postgres += part;
                    vantage += part;
                }
            }
        }
        Statement { postgres, vantage, parameters, ordered }
    }

    /// A total order by all columns, so that rows that are not told apart are equal, and perhaps a limit.
    fn order(&mut self, width: usize) -> String {
        let part =
            |number| format!("{number}{}", self.pick(&["", " ASC", " DESC", " NULLS FIRST", " DESC NULLS LAST"]));
        let order = (1..=width).map(part).collect::<Vec<_>>().join(", ");
        let limit = match self.rng.random_range(0..4) {
            0 => format!(" LIMIT {}", self.rng.random_range(0..5)),
            1 => format!(" LIMIT {} OFFSET {}", self.rng.random_range(0..4), self.rng.random_range(0..4)),
            _ => String::new(),
        };
        format!(" ORDER BY {order}{limit}")
    }

    /// A SELECT, or several combined.
    fn query(&mut self, depth: u32) -> Query {
        let (mut text, kinds) = self.select(None, &[], depth);
        let mut more = if self.rng.random_bool(0.12) { self.rng.random_range(1..3) } else { 0 };
        while more > 0 {
            let operator =
                *self.pick(&["UNION", "UNION ALL", "EXCEPT", "INTERSECT", "UNION ALL", "EXCEPT", "INTERSECT"]);
            let (right, _) = self.select(Some(&kinds), &[], depth.min(2));
            text = format!("({text}) {operator} ({right})");
            more -= 1;
        }
        (text, kinds)
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("x{}", self.aliases)
    }

    /// One item of FROM.
    fn source(&mut self, outer: &[Field]) -> (String, Vec<Field>) {
        let alias = self.alias();
        let numbered = |kinds: &[Kind]| -> Vec<Field> {
            let field = |(at, kind): (usize, &Kind)| Field { name: format!("{alias}.c{at}"), kind: *kind };
            kinds.iter().enumerate().map(field).collect()
        };
        match self.rng.random_range(0..24) {
            0 | 1 if self.nesting < MAX_NESTING => {
                self.nesting += 1;
                let (query, kinds) = self.select(None, &[], 1);
                self.nesting -= 1;
                (format!("({query}) AS {alias}"), numbered(&kinds))
            }
            2 if outer.is_empty() => {
                let kinds: Vec<Kind> = (0..self.rng.random_range(1..3)).map(|_| self.kind()).collect();
                let row = |it: &mut Self| kinds.iter().map(|kind| it.constant(*kind)).collect::<Vec<_>>().join(", ");
                let rows: Vec<String> = (0..self.rng.random_range(1..4)).map(|_| format!("({})", row(self))).collect();
                let names = (0..kinds.len()).map(|at| format!("c{at}")).collect::<Vec<_>>().join(", ");
                (format!("(VALUES {}) AS {alias} ({names})", rows.join(", ")), numbered(&kinds))
            }
            3..10 if !self.named.is_empty() => {
                let (name, kinds) = self.named[0].clone();
                (format!("{name} AS {alias}"), numbered(&kinds))
            }
            _ => {
                let table = self.pick(self.tables);
                let field = |it: &Field| Field { name: format!("{alias}.{}", it.name), kind: it.kind };
                (format!("{} {alias}", table.name), table.fields.iter().map(field).collect())
            }
        }
    }

    /// FROM and the columns it gives.
    fn from(&mut self, outer: &[Field]) -> (String, Vec<Field>) {
        let (mut text, mut columns) = self.source(outer);
        let joins = *self.pick(if self.nesting == 0 { &[0, 0, 0, 1, 1, 2] } else { &[0, 0, 0, 0, 0, 1] });
        for _ in 0..joins {
            let (right, more) = self.source(outer);
            let pair = |it: &mut Self| -> Option<String> {
                let same = |kind| columns.iter().filter(move |it: &&Field| it.kind == kind);
                let pairs: Vec<(&Field, &Field)> =
                    more.iter().flat_map(|right| same(right.kind).map(move |left| (left, right))).collect();
                (!pairs.is_empty()).then(|| {
                    let (left, right) = it.pick(&pairs);
                    format!("{} = {}", left.name, right.name)
                })
            };
            let equality = pair(self);
            let both = Scope { columns: [&columns[..], &more[..]].concat(), outer: outer.to_vec() };
            text = match (equality, self.rng.random_range(0..12)) {
                (None, _) | (_, 0) => format!("{text} CROSS JOIN {right}"),
                (Some(on), 1) => format!("{text} FULL JOIN {right} ON {on}"),
                (_, 2) => {
                    let kind = *self.pick(&["JOIN", "LEFT JOIN"]);
                    format!("{text} {kind} {right} ON {}", self.without_subqueries(|it| it.condition(&both, 1)))
                }
                (Some(on), _) => {
                    let kind = *self.pick(&["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN"]);
                    let more = match self.rng.random_range(0..4) {
                        0 => format!(" AND {}", self.without_subqueries(|it| it.condition(&both, 1))),
                        _ => String::new(),
                    };
                    format!("{text} {kind} {right} ON {on}{more}")
                }
            };
            columns.extend(more);
        }
        (text, columns)
    }

    fn without_subqueries<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> T {
        let allowed = std::mem::take(&mut self.subqueries);
        let made = make(self);
        self.subqueries = allowed;
        made
    }

    /// A SELECT with columns of `kinds`, or of any.
    pub(super) fn select(&mut self, kinds: Option<&[Kind]>, outer: &[Field], depth: u32) -> Query {
        let any: Vec<Kind> = (0..*self.pick(&[1, 1, 2, 3])).map(|_| self.kind()).collect();
        let kinds = kinds.map_or(any, <[Kind]>::to_vec);
        let (from, columns) = self.from(outer);
        let scope = Scope { columns, outer: outer.to_vec() };
        let condition = match self.rng.random_bool(if outer.is_empty() { 0.7 } else { 0.9 }) {
            true => format!(" WHERE {}", self.condition(&scope, depth.min(2))),
            false => String::new(),
        };
        let text = match self.rng.random_range(0..10) {
            0..3 => self.grouped(&kinds, &scope, &from, &condition),
            _ => {
                let items = kinds.iter().map(|kind| self.item(*kind, &scope, depth)).collect::<Vec<_>>();
                let distinct = *self.pick(&["", "", "", "", "DISTINCT "]);
                format!("SELECT {distinct}{} FROM {from}{condition}", named(&items))
            }
        };
        (text, kinds)
    }

    fn item(&mut self, kind: Kind, scope: &Scope, depth: u32) -> String {
        if self.windows && self.nesting == 0 && kind == Kind::Big && self.rng.random_bool(0.15) {
            return self.window(scope);
        }
        self.value(kind, scope, depth.min(2))
    }

    /// A window function whose value does not depend on how ties are broken.
    fn window(&mut self, scope: &Scope) -> String {
        let by = self.pick(&scope.columns).name.clone();
        let order = self.pick(&scope.columns).name.clone();
        let partition = if self.rng.random_bool(0.6) { format!("PARTITION BY {by}") } else { String::new() };
        match self.rng.random_range(0..4) {
            0 => format!("rank() OVER ({partition} ORDER BY {order})"),
            1 => format!("dense_rank() OVER ({partition} ORDER BY {order} DESC)"),
            2 => format!("count({order}) OVER ({partition})"),
            _ => format!("count(*) OVER ({partition} ORDER BY {order})"),
        }
    }

    /// GROUP BY some columns, or one group of all.
    fn grouped(&mut self, kinds: &[Kind], scope: &Scope, from: &str, condition: &str) -> String {
        let count = *self.pick(&[0, 1, 1, 1, 2]);
        let mut groups: Vec<Field> = (0..count).map(|_| self.pick(&scope.columns).clone()).collect();
        groups.dedup_by(|a, b| a.name == b.name);
        let mut inner = Scope { columns: groups.clone(), outer: scope.outer.clone() };
        // An aggregate over columns of a query around would be that query's.
        let own = Scope { columns: scope.columns.clone(), outer: Vec::new() };
        for kind in kinds.iter().copied().chain([Kind::Big, Kind::Bool]) {
            let aggregate = self.without_subqueries(|it| it.aggregate(kind, &own));
            inner.columns.push(Field { name: aggregate, kind });
        }
        let items: Vec<String> = kinds.iter().map(|kind| self.value(*kind, &inner, 1)).collect();
        let condition_of_groups = match count {
            // An aggregate of a query inside would be none of this one.
            0 => self.without_subqueries(|it| it.condition(&inner, 1)),
            _ => self.condition(&inner, 1),
        };
        let having = match self.rng.random_bool(0.3) && (count > 0 || is_aggregate(&condition_of_groups)) {
            true => format!(" HAVING {condition_of_groups}"),
            false => String::new(),
        };
        let names = groups.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
        let by = if groups.is_empty() { String::new() } else { format!(" GROUP BY {names}") };
        // Without an aggregate or GROUP BY it would be no grouping, and its columns out of reach.
        let is_grouped = !by.is_empty() || !having.is_empty() || items.iter().any(|it| is_aggregate(it));
        if is_grouped {
            return format!("SELECT {} FROM {from}{condition}{by}{having}", named(&items));
        }
        let items: Vec<String> = kinds.iter().map(|kind| self.value(*kind, scope, 1)).collect();
        format!("SELECT {} FROM {from}{condition}", named(&items))
    }

    /// An aggregate of this kind.
    fn aggregate(&mut self, kind: Kind, scope: &Scope) -> String {
        let filter = match self.rng.random_bool(0.15) {
            true => format!(" FILTER (WHERE {})", self.condition(scope, 1)),
            false => String::new(),
        };
        let distinct = *self.pick(&["", "", "DISTINCT "]);
        let any = self.kind();
        let extreme = *self.pick(&["min", "max"]);
        match (kind, self.rng.random_range(0..3)) {
            (Kind::Bool, _) => {
                format!("{}({}){filter}", self.pick(&["bool_and", "bool_or"]), self.value(kind, scope, 1))
            }
            (Kind::Big, 0) => format!("count(*){filter}"),
            (Kind::Big, 1) => format!("count({distinct}{}){filter}", self.value(any, scope, 1)),
            (Kind::Big, _) => format!("sum({distinct}{}){filter}", self.value(Kind::Int, scope, 1)),
            (Kind::Numeric, 0) => format!("sum({}){filter}", self.value(kind, scope, 1)),
            (Kind::Double, 0) => format!("avg({}){filter}", self.value(kind, scope, 1)),
            (Kind::Double, 1) => format!("CAST(avg({}){filter} AS double precision)", self.value(Kind::Int, scope, 1)),
            (Kind::Text, 0) => {
                let text = self.value(kind, scope, 0);
                format!("string_agg({text}, ',' ORDER BY {text}){filter}")
            }
            _ => format!("{extreme}({}){filter}", self.value(kind, scope, 1)),
        }
    }

    /// What queries inside may refer to: columns, but not aggregates, which would be theirs.
    fn around(scope: &Scope) -> Vec<Field> {
        let columns = scope.columns.iter().filter(|it| !it.name.contains('('));
        columns.chain(&scope.outer).cloned().collect()
    }

    fn inside<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> T {
        let allowed = self.subqueries;
        self.nesting += 1;
        self.subqueries = allowed && self.nesting < MAX_NESTING;
        let made = make(self);
        self.nesting -= 1;
        self.subqueries = allowed;
        made
    }

    /// A query in brackets with one row and one column.
    pub(super) fn scalar_subquery(&mut self, kind: Kind, scope: &Scope) -> String {
        let outer = if self.rng.random_bool(0.7) { Self::around(scope) } else { Vec::new() };
        self.inside(|it| {
            let (from, columns) = it.from(&outer);
            let scope = Scope { columns, outer };
            let condition = match it.rng.random_bool(0.8) {
                true => format!(" WHERE {}", it.condition(&scope, 1)),
                false => String::new(),
            };
            let own = Scope { columns: scope.columns, outer: Vec::new() };
            match it.rng.random_range(0..5) {
                0 => format!("(SELECT {} FROM {from}{condition} ORDER BY 1 LIMIT 1)", it.value(kind, &own, 1)),
                _ => {
                    format!("(SELECT {} FROM {from}{condition})", it.without_subqueries(|it| it.aggregate(kind, &own)))
                }
            }
        })
    }

    /// EXISTS, IN and comparisons with a query.
    pub(super) fn subquery_condition(&mut self, scope: &Scope) -> String {
        let outer = if self.rng.random_bool(0.75) { Self::around(scope) } else { Vec::new() };
        let not = *self.pick(&["", "", "NOT "]);
        let kind = self.kind();
        let limit = *self.pick(&["", "", "", "", "", " LIMIT 1", " LIMIT 0", " OFFSET 1"]);
        match self.rng.random_range(0..16) {
            0..7 => {
                let (query, _) = self.inside(|it| it.select(None, &outer, 1));
                format!("({not}EXISTS ({query}{limit}))")
            }
            7..13 => {
                let subject = self.without_subqueries(|it| it.value(kind, scope, 1));
                let (query, _) = self.inside(|it| it.select(Some(&[kind]), &outer, 1));
                format!("({subject} {not}IN ({query}))")
            }
            13 => {
                let subject = self.without_subqueries(|it| it.value(kind, scope, 1));
                let (query, _) = self.inside(|it| it.select(Some(&[kind]), &outer, 1));
                let operator = *self.pick(&["= ANY", "<> ALL", "< ANY", ">= ALL"]);
                format!("({subject} {operator} ({query}))")
            }
            _ if kind == Kind::Bool => self.leaf_of(kind, scope),
            _ => {
                let operator = *self.pick(&["=", "<>", "<", ">="]);
                let subject = self.without_subqueries(|it| it.value(kind, scope, 1));
                format!("({subject} {operator} {})", self.scalar_subquery(kind, scope))
            }
        }
    }

    fn leaf_of(&mut self, kind: Kind, scope: &Scope) -> String {
        self.without_subqueries(|it| it.value(kind, scope, 0))
    }
}

fn is_aggregate(item: &str) -> bool {
    ["count(", "sum(", "min(", "max(", "avg(", "bool_", "string_agg("].iter().any(|it| item.contains(it))
}

fn named(items: &[String]) -> String {
    items.iter().enumerate().map(|(at, it)| format!("{it} AS c{at}")).collect::<Vec<_>>().join(", ")
}
