//! Random expressions that SQLite and PostgreSQL understand alike.

use rand::Rng;
use rand::rngs::SmallRng;

use super::pick;
use super::schema::{Field, Kind};

/// Names of the columns in scope, qualified, with their kinds.
pub(super) type Scope<'s> = &'s [Field];

fn fields_of(scope: Scope<'_>, kind: Kind) -> Vec<&Field> {
    scope.iter().filter(|it| it.kind == kind).collect()
}

/// An expression of `kind`, `depth` levels deep at most.
pub(super) fn value(rng: &mut SmallRng, scope: Scope<'_>, kind: Kind, depth: u32) -> String {
    let fields = fields_of(scope, kind);
    if depth == 0 || rng.random_bool(0.3) {
        return match (fields.is_empty(), rng.random_bool(0.8)) {
            (false, true) => pick(rng, &fields).name.clone(),
            _ => literal(rng, kind),
        };
    }
    let mut below = |kind| value(rng, scope, kind, depth - 1);
    match kind {
        Kind::Int => {
            let (left, right) = (below(Kind::Int), below(Kind::Int));
            let bytes = fields_of(scope, Kind::Bytes);
            if !bytes.is_empty() && rng.random_bool(0.3) {
                return format!("length({})", pick(rng, &bytes).name);
            }
            let condition = condition(rng, scope, depth - 1);
            match rng.random_range(0..8) {
                0 => format!("({left} + {right})"),
                1 => format!("({left} - {right})"),
                2 => format!("({left} * 3)"),
                3 => format!("coalesce({left}, {right})"),
                4 => format!("CASE WHEN {condition} THEN {left} ELSE {right} END"),
                5 => format!("abs({left})"),
                6 => format!("({left} / 3)"),
                _ => format!("nullif({left}, {right})"),
            }
        }
        Kind::Text => {
            let (left, right) = (below(Kind::Text), below(Kind::Text));
            let condition = condition(rng, scope, depth - 1);
            match rng.random_range(0..6) {
                0 => format!("({left} || {right})"),
                // Not upper(): SQLite changes the case of ASCII only.
                1 => format!("trim({left})"),
                2 => format!("coalesce({left}, {right})"),
                3 => format!("CASE WHEN {condition} THEN {left} END"),
                4 => format!("lower({left})"),
                _ => format!("replace({left}, 'x', 'yy')"),
            }
        }
        Kind::Real | Kind::Decimal => {
            let (left, right) = (below(kind), below(kind));
            match rng.random_range(0..3) {
                0 => format!("({left} + {right})"),
                1 => format!("coalesce({left}, {right})"),
                _ => format!("(- {left})"),
            }
        }
        Kind::Bool => {
            let (left, right) = (below(Kind::Bool), below(Kind::Bool));
            match rng.random_range(0..3) {
                0 => format!("(NOT {left})"),
                1 => format!("coalesce({left}, {right})"),
                _ => format!("({})", condition(rng, scope, depth - 1)),
            }
        }
        // A date that is written as text is text to PostgreSQL, where nothing says otherwise; and bytes are written alike
        // by nobody.
        Kind::Date | Kind::Bytes if fields.is_empty() => literal(rng, kind),
        Kind::Date | Kind::Bytes => {
            let (left, right) = (&pick(rng, &fields).name, &pick(rng, &fields).name);
            match rng.random_bool(0.5) {
                true => format!("coalesce({left}, {right})"),
                false => format!("CASE WHEN {} THEN {left} ELSE {right} END", condition(rng, scope, depth - 1)),
            }
        }
    }
}

/// A condition, three-valued like any other.
pub(super) fn condition(rng: &mut SmallRng, scope: Scope<'_>, depth: u32) -> String {
    let others = [Kind::Text, Kind::Text, Kind::Bool, Kind::Date, Kind::Decimal, Kind::Bytes];
    let kind = *pick(rng, &others);
    let kind = if fields_of(scope, kind).is_empty() || rng.random_bool(0.6) { Kind::Int } else { kind };
    if kind == Kind::Bool && rng.random_bool(0.4) {
        let name = &pick(rng, &fields_of(scope, kind)).name;
        return pick(rng, &[name.clone(), format!("{name} IS TRUE"), format!("{name} IS NOT FALSE")]).clone();
    }
    if kind == Kind::Text && rng.random_bool(0.3) {
        return format!("{} LIKE {}", value(rng, scope, kind, depth.min(1)), pick(rng, &["'x%'", "'_'", "'%z'"]));
    }
    if kind == Kind::Date {
        return date_condition(rng, scope);
    }
    if kind == Kind::Bytes {
        let fields = fields_of(scope, kind);
        let (left, right) = (&pick(rng, &fields).name, &pick(rng, &fields).name);
        let sign = pick(rng, &["=", "<>", "<", ">=", "IS DISTINCT FROM"]);
        return format!("({left} {sign} {right})");
    }
    let (left, right) = (value(rng, scope, kind, depth.min(1)), value(rng, scope, kind, 0));
    if depth > 0 && rng.random_bool(0.35) {
        let (one, two) = (condition(rng, scope, depth - 1), condition(rng, scope, depth - 1));
        return match rng.random_range(0..3) {
            0 => format!("({one} AND {two})"),
            1 => format!("({one} OR {two})"),
            _ => format!("(NOT {one})"),
        };
    }
    match rng.random_range(0..8) {
        0 => format!("{left} IS NULL"),
        1 => format!("{left} IS NOT NULL"),
        2 => format!("{left} <> {right}"),
        3 => format!("{left} >= {right}"),
        4 => format!("{left} IN ({right}, {})", literal(rng, kind)),
        5 => format!("{left} BETWEEN {} AND {right}", literal(rng, kind)),
        6 => format!("{left} = {right}"),
        _ => format!("{left} < {right}"),
    }
}

/// A condition on a column, since two texts would not be compared as dates.
fn date_condition(rng: &mut SmallRng, scope: Scope<'_>) -> String {
    let fields = fields_of(scope, Kind::Date);
    let (left, other) = (&pick(rng, &fields).name, &pick(rng, &fields).name);
    let sign = pick(rng, &["=", "<>", "<", ">="]);
    match rng.random_range(0..3) {
        0 => format!("{left} {sign} {other}"),
        1 => format!("{left} IN ({}, {other})", literal(rng, Kind::Date)),
        _ => format!("{left} {sign} {}", literal(rng, Kind::Date)),
    }
}

/// The dates there are, and their days since 1970. As texts they are in order, too.
pub(super) const DATES: [(&str, i64); 7] = [
    ("0001-01-01", -719_162),
    ("1582-10-10", -141_432),
    ("2024-01-01", 19_723),
    ("2024-01-02", 19_724),
    ("2024-01-03", 19_725),
    ("2024-02-29", 19_782),
    ("9999-12-31", 2_932_896),
];

/// A constant from a small domain, so that values meet.
pub(super) fn literal(rng: &mut SmallRng, kind: Kind) -> String {
    match kind {
        Kind::Int => rng.random_range(-2..8).to_string(),
        Kind::Text => format!("'{}'", pick(rng, &["", "x", "X", "x ", "xy", "é", "Zz", "zz", "b b"])),
        Kind::Bool => pick(rng, &["TRUE", "FALSE"]).to_string(),
        Kind::Date => format!("'{}'", pick(rng, &DATES).0),
        Kind::Bytes => "CAST(NULL AS bytea)".into(),
        // Quarters: sums of them are exact in any order.
        Kind::Real | Kind::Decimal => format!("{:.2}", f64::from(rng.random_range(-8..20)) / 4.0),
    }
}
