//! Random expressions with a type, over the columns in scope.

use rand::Rng;

use super::statement::Generator;
use super::table::{Field, Kind, Value};

/// What an expression may refer to: the columns of the FROM clause, and those of the queries around it.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub(super) columns: Vec<Field>,
    pub(super) outer: Vec<Field>,
}

const NUMBERS: [Kind; 4] = [Kind::Int, Kind::Big, Kind::Numeric, Kind::Double];
const PATTERNS: [&str; 16] =
    ["%", "", "_", "a%", "%b", "%%", "a_", "%a%", "_%", "a\\%b", "%_%", "a", "A%", "\\_", "%\\%%", "é"];

/// A choice of one of these, by name.
macro_rules! one_of {
    ($generator:expr, $($choice:expr),+ $(,)?) => {{
        let choices = [$(stringify!($choice)),+].len();
        let mut number = $generator.rng.random_range(0..choices);
        loop {
            $(if number == 0 { break $choice; } number = number.wrapping_sub(1);)+
        }
    }};
}

impl Generator<'_> {
    /// A column of this kind, if there is one.
    fn column(&mut self, kind: Kind, scope: &Scope) -> Option<String> {
        let from = |fields: &[Field]| fields.iter().filter(|it| it.kind == kind).map(|it| it.name.clone()).collect();
        let (own, outer): (Vec<String>, Vec<String>) = (from(&scope.columns), from(&scope.outer));
        let wants_outer = !outer.is_empty() && (own.is_empty() || self.rng.random_bool(0.35));
        let choices = if wants_outer { outer } else { own };
        (!choices.is_empty()).then(|| self.pick(&choices).clone())
    }

    /// A constant, NULL now and then.
    pub(super) fn constant(&mut self, kind: Kind) -> String {
        let value = if self.rng.random_bool(0.12) { Value::Null } else { kind.value(self.rng) };
        // A bare NULL has no type where nothing else has one.
        if value == Value::Null { format!("CAST(NULL AS {})", kind.sql()) } else { value.literal() }
    }

    /// A constant beside something that has the type already; in some statements it is a parameter.
    fn operand(&mut self, kind: Kind) -> String {
        let value = if self.rng.random_bool(0.15) { Value::Null } else { kind.value(self.rng) };
        self.parameter(value)
    }

    fn leaf(&mut self, kind: Kind, scope: &Scope) -> String {
        match self.column(kind, scope) {
            Some(column) if self.rng.random_bool(0.8) => column,
            _ => self.constant(kind),
        }
    }

    /// An expression of this kind.
    pub(super) fn value(&mut self, kind: Kind, scope: &Scope, depth: u32) -> String {
        if depth == 0 || self.rng.random_bool(0.4) {
            return self.leaf(kind, scope);
        }
        let depth = depth - 1;
        if self.rng.random_bool(0.35) {
            return self.chosen(kind, scope, depth);
        }
        if self.subqueries && kind != Kind::Bool && self.rng.random_bool(0.12) {
            return self.scalar_subquery(kind, scope);
        }
        match kind {
            Kind::Int => self.integer(scope, depth),
            Kind::Big => self.big(scope, depth),
            Kind::Numeric => self.numeric(scope, depth),
            Kind::Double => self.double(scope, depth),
            Kind::Text => self.text(scope, depth),
            Kind::Bool => self.condition(scope, depth),
            Kind::Date => one_of!(
                self,
                format!("({} + {})", self.value(Kind::Date, scope, depth), self.rng.random_range(0..40)),
                format!("CAST({} AS date)", self.value(Kind::Timestamp, scope, depth)),
            ),
            Kind::Timestamp => one_of!(
                self,
                format!("({} + interval '1 day')", self.value(Kind::Timestamp, scope, depth)),
                format!("date_trunc('month', {})", self.value(Kind::Timestamp, scope, depth)),
                format!("CAST({} AS timestamp)", self.value(Kind::Date, scope, depth)),
            ),
            Kind::Zoned => format!("({} - interval '1 hour')", self.value(Kind::Zoned, scope, depth)),
        }
    }

    /// One of several values, by a condition.
    fn chosen(&mut self, kind: Kind, scope: &Scope, depth: u32) -> String {
        match self.rng.random_range(0..6) {
            0 => {
                let otherwise = match self.rng.random_bool(0.7) {
                    true => format!(" ELSE {}", self.value(kind, scope, depth)),
                    false => String::new(),
                };
                let mut branches = String::new();
                for _ in 0..self.rng.random_range(1..3) {
                    let (when, then) = (self.condition(scope, depth), self.value(kind, scope, depth));
                    branches += &format!(" WHEN {when} THEN {then}");
                }
                format!("CASE{branches}{otherwise} END")
            }
            1 => {
                let operand = *self.pick(&[Kind::Int, Kind::Text, Kind::Bool, Kind::Big]);
                let subject = self.value(operand, scope, depth);
                let (when, then) = (self.constant(operand), self.value(kind, scope, depth));
                format!("CASE {subject} WHEN {when} THEN {then} ELSE {} END", self.leaf(kind, scope))
            }
            2 | 3 => format!("coalesce({}, {})", self.value(kind, scope, depth), self.value(kind, scope, depth)),
            4 => format!("nullif({}, {})", self.value(kind, scope, depth), self.leaf(kind, scope)),
            _ if kind == Kind::Bool => self.leaf(kind, scope),
            _ => {
                let function = *self.pick(&["greatest", "least"]);
                format!("{function}({}, {})", self.value(kind, scope, depth), self.value(kind, scope, depth))
            }
        }
    }

    fn integer(&mut self, scope: &Scope, depth: u32) -> String {
        let operator = *self.pick(&["+", "-", "*"]);
        let divisor = *self.pick(&["1", "2", "(-3)", "4"]);
        one_of!(
            self,
            format!("({} {operator} {})", self.value(Kind::Int, scope, depth), self.leaf(Kind::Int, scope)),
            format!("({} / {divisor})", self.value(Kind::Int, scope, depth)),
            format!("({} % {divisor})", self.value(Kind::Int, scope, depth)),
            format!("abs({})", self.value(Kind::Int, scope, depth)),
            format!("(- {})", self.value(Kind::Int, scope, depth)),
            format!("length({})", self.value(Kind::Text, scope, depth)),
            format!("CAST({} AS integer)", self.value(Kind::Numeric, scope, depth)),
            format!("({} - {})", self.value(Kind::Date, scope, depth), self.leaf(Kind::Date, scope)),
            format!("CAST(extract(day FROM {}) AS integer)", self.value(Kind::Date, scope, depth)),
        )
    }

    fn big(&mut self, scope: &Scope, depth: u32) -> String {
        let operator = *self.pick(&["+", "-", "*"]);
        let divisor = *self.pick(&["1", "2", "(-3)", "4"]);
        one_of!(
            self,
            format!("({} {operator} {})", self.value(Kind::Big, scope, depth), self.leaf(Kind::Big, scope)),
            format!("({} {operator} {})", self.value(Kind::Big, scope, depth), self.leaf(Kind::Int, scope)),
            format!("({} / {divisor})", self.value(Kind::Big, scope, depth)),
            format!("({} % {divisor})", self.value(Kind::Big, scope, depth)),
            format!("CAST({} AS bigint)", self.value(Kind::Int, scope, depth)),
            format!("(- {})", self.value(Kind::Big, scope, depth)),
        )
    }

    fn numeric(&mut self, scope: &Scope, depth: u32) -> String {
        let operator = *self.pick(&["+", "-"]);
        one_of!(
            self,
            format!("({} {operator} {})", self.value(Kind::Numeric, scope, depth), self.leaf(Kind::Numeric, scope)),
            format!("({} * {})", self.value(Kind::Numeric, scope, 0), self.leaf(Kind::Int, scope)),
            format!("round({}, 1)", self.value(Kind::Numeric, scope, depth)),
            format!("abs({})", self.value(Kind::Numeric, scope, depth)),
            format!("CAST({} AS numeric(10,2))", self.value(Kind::Int, scope, 0)),
            format!("(- {})", self.value(Kind::Numeric, scope, depth)),
        )
    }

    fn double(&mut self, scope: &Scope, depth: u32) -> String {
        let operator = *self.pick(&["+", "-"]);
        let other = *self.pick(&[Kind::Double, Kind::Int, Kind::Numeric]);
        one_of!(
            self,
            format!("({} {operator} {})", self.value(Kind::Double, scope, depth), self.leaf(other, scope)),
            format!("({} * {})", self.value(Kind::Double, scope, 0), self.leaf(Kind::Double, scope)),
            format!("({} / 4)", self.value(Kind::Double, scope, depth)),
            format!("abs({})", self.value(Kind::Double, scope, depth)),
            format!("CAST({} AS double precision)", self.value(other, scope, depth)),
        )
    }

    fn text(&mut self, scope: &Scope, depth: u32) -> String {
        let cast = *self.pick(&[Kind::Int, Kind::Numeric, Kind::Bool, Kind::Date, Kind::Timestamp]);
        let function = *self.pick(&["upper", "lower", "btrim", "reverse"]);
        let count = self.rng.random_range(-1..4);
        one_of!(
            self,
            format!("({} || {})", self.value(Kind::Text, scope, depth), self.leaf(Kind::Text, scope)),
            format!("{function}({})", self.value(Kind::Text, scope, depth)),
            format!("substr({}, {count}, 2)", self.value(Kind::Text, scope, depth)),
            format!("left({}, {count})", self.value(Kind::Text, scope, depth)),
            format!("concat({}, {})", self.value(Kind::Text, scope, depth), self.leaf(Kind::Text, scope)),
            format!("replace({}, 'a', 'xy')", self.value(Kind::Text, scope, depth)),
            format!("CAST({} AS text)", self.value(cast, scope, depth)),
        )
    }

    /// Two kinds that can be compared with each other.
    fn comparable(&mut self) -> (Kind, Kind) {
        match self.rng.random_range(0..10) {
            0 => (*self.pick(&NUMBERS), *self.pick(&NUMBERS)),
            1 => (*self.pick(&[Kind::Date, Kind::Timestamp]), *self.pick(&[Kind::Date, Kind::Timestamp])),
            _ => {
                let kind = self.kind();
                (kind, kind)
            }
        }
    }

    /// A condition.
    pub(super) fn condition(&mut self, scope: &Scope, depth: u32) -> String {
        if depth > 0 && self.rng.random_bool(0.45) {
            let depth = depth - 1;
            return match self.rng.random_range(0..7) {
                0..2 => format!("({} AND {})", self.condition(scope, depth), self.condition(scope, depth)),
                2..4 => format!("({} OR {})", self.condition(scope, depth), self.condition(scope, depth)),
                4 => format!("(NOT {})", self.condition(scope, depth)),
                5 => {
                    let test = *self.pick(&["TRUE", "FALSE", "UNKNOWN", "NULL"]);
                    let not = *self.pick(&["", "NOT "]);
                    format!("({} IS {not}{test})", self.condition(scope, depth))
                }
                // One condition twice, or beside its contrary: what simplifying rules look for.
                _ => {
                    let one = self.predicate(scope, depth);
                    let other = match self.rng.random_range(0..3) {
                        0 => one.clone(),
                        1 => format!("(NOT {one})"),
                        _ => format!("({one} OR {})", self.predicate(scope, depth)),
                    };
                    format!("({one} {} {other})", self.pick(&["AND", "OR"]))
                }
            };
        }
        if self.subqueries && self.rng.random_bool(0.12) {
            return self.subquery_condition(scope);
        }
        self.predicate(scope, depth)
    }

    fn predicate(&mut self, scope: &Scope, depth: u32) -> String {
        let not = *self.pick(&["", "", "NOT "]);
        match self.rng.random_range(0..12) {
            0..3 => {
                let (left, right) = self.comparable();
                let operator = *self.pick(&["=", "<>", "<", "<=", ">", ">="]);
                let subject = self.value(left, scope, depth.min(1));
                let other = if left == right && self.rng.random_bool(0.4) {
                    self.operand(right)
                } else {
                    self.value(right, scope, depth.min(1))
                };
                let (subject, other) = if self.rng.random_bool(0.2) { (other, subject) } else { (subject, other) };
                format!("({subject} {operator} {other})")
            }
            3 => {
                let (left, right) = self.comparable();
                format!("({} IS {not}DISTINCT FROM {})", self.value(left, scope, depth.min(1)), self.leaf(right, scope))
            }
            // An operator of a value with itself.
            4 => {
                let kind = self.kind();
                let (subject, depth) = (self.leaf(kind, scope), depth.min(1));
                let operator = *self.pick(&["=", "<>", "<=", "<", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]);
                if kind == Kind::Int && self.rng.random_bool(0.3) {
                    return format!("(({subject} - {subject}) = {})", self.value(kind, scope, depth));
                }
                format!("({subject} {operator} {subject})")
            }
            5..7 => {
                let kind = self.kind();
                let subject = self.value(kind, scope, depth.min(1));
                let mut list: Vec<String> = (0..self.rng.random_range(1..5)).map(|_| self.operand(kind)).collect();
                if self.rng.random_bool(0.2) {
                    list.push(self.leaf(kind, scope));
                }
                if self.rng.random_bool(0.3) {
                    list.push(list[0].clone());
                }
                // The same value under another list, as rules merge them.
                if self.rng.random_bool(0.25) {
                    let other: Vec<String> = (0..self.rng.random_range(1..4)).map(|_| self.operand(kind)).collect();
                    let (joint, again) = (*self.pick(&["AND", "OR"]), *self.pick(&["", "NOT "]));
                    let (list, other) = (list.join(", "), other.join(", "));
                    return format!("({subject} {not}IN ({list}) {joint} {subject} {again}IN ({other}))");
                }
                format!("({subject} {not}IN ({}))", list.join(", "))
            }
            7 => {
                let kind = self.kind();
                let subject = self.value(kind, scope, depth.min(1));
                format!("({subject} {not}BETWEEN {} AND {})", self.operand(kind), self.operand(kind))
            }
            8 => {
                let like = if self.rng.random_bool(0.25) { "ILIKE" } else { "LIKE" };
                let pattern = match self.rng.random_range(0..8) {
                    0 => self.leaf(Kind::Text, scope),
                    1 => "NULL".into(),
                    _ => format!("'{}'", self.pick(&PATTERNS)),
                };
                format!("({} {not}{like} {pattern})", self.value(Kind::Text, scope, depth.min(1)))
            }
            9 => {
                let kind = self.kind();
                format!("({} IS {not}NULL)", self.value(kind, scope, depth.min(1)))
            }
            10 => match self.column(Kind::Bool, scope) {
                Some(column) => format!("({not}{column})"),
                None => format!("({not}{})", self.constant(Kind::Bool)),
            },
            _ => {
                let subject = self.value(Kind::Text, scope, depth.min(1));
                let pattern = *self.pick(&["^a", "b$", ".*", "a|b", "", "^$", "[A-Z]", "."]);
                format!("({subject} {} '{pattern}')", self.pick(&["~", "!~", "~*"]))
            }
        }
    }
}
