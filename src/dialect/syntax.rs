//! What a query says and its plan no longer tells: refused by its syntax where DataFusion means something else by it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, DuplicateTreatment, ExactNumberInfo, Expr, Function, FunctionArgumentClause, FunctionArguments, Join,
    JoinConstraint, JoinOperator, Query, Select, TableFactor, TableWithJoins, TypedString, Visit, Visitor,
};

use super::is_scalar;

/// Why a query is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unsupported {
    /// The SQLSTATE: 0A000, but for what PostgreSQL refuses, too.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: &'static str,
    /// Words of the query that say where.
    pub(crate) words: String,
}

impl Unsupported {
    pub(super) fn new(message: impl Into<String>, hint: &'static str, words: impl Into<String>) -> Unsupported {
        Unsupported { code: "0A000", message: message.into(), hint, words: words.into() }
    }
}

/// Refuses `query`, parsed and not bound yet, when it would mean something else than in PostgreSQL.
pub(crate) fn check(query: &Query) -> Result<(), Unsupported> {
    match query.visit(&mut Checker) {
        ControlFlow::Break(it) => Err(it),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Checker;

impl Visitor for Checker {
    type Break = Unsupported;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Unsupported> {
        found(select.from.iter().find_map(merged_columns))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Unsupported> {
        // It would be passed over without a word.
        let sampled = matches!(factor, TableFactor::Table { sample: Some(_), .. });
        let hint = "filter by a column, like id % 100 = 0";
        let problem = || Unsupported::new("TABLESAMPLE is not supported", hint, "TABLESAMPLE");
        found(sampled.then(problem))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Unsupported> {
        found(match expr {
            Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => lossy_type(data_type),
            Expr::Function(call) => misused(call),
            _ => None,
        })
    }
}

fn found(problem: Option<Unsupported>) -> ControlFlow<Unsupported> {
    problem.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// A column that an outer join merges is, by its bare name, always the left one.
fn merged_columns(from: &TableWithJoins) -> Option<Unsupported> {
    let nested = |it: &TableFactor| match it {
        TableFactor::NestedJoin { table_with_joins, .. } => merged_columns(table_with_joins),
        _ => None,
    };
    let of_join = |it: &Join| {
        nested(&it.relation).or_else(|| match &it.join_operator {
            JoinOperator::Right(by) | JoinOperator::RightOuter(by) => merges(by, "RIGHT JOIN"),
            JoinOperator::FullOuter(by) => merges(by, "FULL JOIN"),
            _ => None,
        })
    };
    nested(&from.relation).or_else(|| from.joins.iter().find_map(of_join))
}

fn merges(constraint: &JoinConstraint, join: &str) -> Option<Unsupported> {
    let word = match constraint {
        JoinConstraint::Using(_) => "USING",
        JoinConstraint::Natural => "NATURAL",
        JoinConstraint::On(_) | JoinConstraint::None => return None,
    };
    let hint = "join ON a column of one = a column of the other, and say whose column you select";
    Some(Unsupported::new(format!("{join} with {word} is not supported"), hint, word))
}

/// A call with clauses of an aggregate that is none, or an aggregate without arguments: DataFusion passes over the former
/// and takes `count()` for `count(*)`.
fn misused(call: &Function) -> Option<Unsupported> {
    let name = call.name.to_string().to_lowercase();
    let FunctionArguments::List(list) = &call.args else { return None };
    let refused = |message: String| Unsupported { code: "42809", ..Unsupported::new(message, "", name.clone()) };
    if name == "count" && list.args.is_empty() {
        return Some(refused("count(*) must be used to call a parameterless aggregate function".into()));
    }
    let clause = match () {
        () if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) => "DISTINCT",
        () if list.clauses.iter().any(|it| matches!(it, FunctionArgumentClause::OrderBy(_))) => "ORDER BY",
        () if call.filter.is_some() => "FILTER",
        () => return None,
    };
    let message = || format!("{clause} specified, but {name} is not an aggregate function");
    is_scalar(&name).then(|| refused(message()))
}

/// Types that round or check what is cast to them, which nobody does here.
fn lossy_type(data_type: &DataType) -> Option<Unsupported> {
    let hint = match data_type {
        DataType::Varchar(Some(_)) | DataType::CharVarying(Some(_)) | DataType::CharacterVarying(Some(_)) => {
            "shorten it with left(…, n)"
        }
        DataType::Char(_) | DataType::Character(_) => "cast it to text, and shorten it with left(…, n)",
        DataType::TinyInt(_)
        | DataType::SmallInt(_)
        | DataType::Int2(_)
        | DataType::TinyIntUnsigned(_)
        | DataType::SmallIntUnsigned(_)
        | DataType::Int2Unsigned(_)
        | DataType::IntUnsigned(_)
        | DataType::IntegerUnsigned(_)
        | DataType::Int4Unsigned(_)
        | DataType::BigIntUnsigned(_)
        | DataType::Int8Unsigned(_) => "cast it to integer or bigint",
        DataType::Real | DataType::Float4 | DataType::Float(ExactNumberInfo::Precision(..=24)) => {
            "cast it to double precision"
        }
        DataType::Numeric(it) | DataType::Decimal(it) | DataType::Dec(it) if digits(it) > MAX_DIGITS => {
            "a numeric has at most 38 digits"
        }
        DataType::Time(..) => "take it out of a timestamp with extract, or cast the timestamp to text",
        DataType::Timestamp(Some(precision), _) if *precision != 6 => {
            "a timestamp has microseconds; cut it off with date_trunc('second', …)"
        }
        _ => return None,
    };
    let words = data_type.to_string();
    Some(Unsupported::new(format!("type {} is not supported", words.to_lowercase()), hint, words))
}

/// The most digits of a numeric.
const MAX_DIGITS: u64 = 38;

/// How many digits a numeric is to have.
fn digits(info: &ExactNumberInfo) -> u64 {
    match info {
        ExactNumberInfo::None => 0,
        ExactNumberInfo::Precision(it) | ExactNumberInfo::PrecisionAndScale(it, _) => *it,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn message(sql: &str) -> Option<String> {
        let parsed = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).and_then(|mut it| it.parse_query());
        check(&parsed.expect(sql)).err().map(|it| it.message)
    }

    #[test]
    fn merged_columns_of_outer_joins_are_refused_where_they_would_be_the_wrong_ones() {
        let refused = [
            "SELECT k FROM a RIGHT JOIN b USING (k)",
            "SELECT a.x FROM a NATURAL FULL JOIN b",
            "SELECT 1 FROM (SELECT * FROM c JOIN (a NATURAL RIGHT JOIN b) ON c.k = a.k) AS q",
        ];
        for sql in refused {
            assert!(message(sql).is_some_and(|it| it.ends_with("is not supported")), "{sql}");
        }
        let accepted = [
            "SELECT k, b.x FROM a LEFT JOIN b USING (k)",
            "SELECT * FROM a LEFT JOIN b USING (k)",
            "SELECT a.x FROM a NATURAL LEFT JOIN b",
            "SELECT a.*, count(*) FROM a LEFT JOIN b USING (k) GROUP BY a.k",
            "SELECT * FROM a JOIN b USING (k) LEFT JOIN c ON c.k = a.k",
            "SELECT * FROM a RIGHT JOIN b ON a.k = b.k",
        ];
        for sql in accepted {
            assert_eq!(message(sql), None, "{sql}");
        }
    }

    #[test]
    fn types_that_round_are_refused() {
        let refused = [
            "varchar(3)",
            "character varying(3)",
            "char",
            "char(3)",
            "smallint",
            "int2",
            "real",
            "float4",
            "float(24)",
            "timestamp(0)",
            "timestamp(3) with time zone",
            "numeric(40, 38)",
        ];
        for name in refused {
            assert!(message(&format!("SELECT x::{name} FROM t")).is_some(), "{name}");
            assert!(
                message(&format!("SELECT a FROM t WHERE b > (SELECT CAST(x AS {name}) FROM u)")).is_some(),
                "{name}"
            );
        }
        let accepted = [
            "varchar",
            "text",
            "integer",
            "bigint",
            "float",
            "float(53)",
            "double precision",
            "numeric(5, 2)",
            "date",
            "timestamp",
            "timestamp(6)",
            "timestamptz",
            "interval",
        ];
        for name in accepted {
            assert_eq!(message(&format!("SELECT x::{name} FROM t")), None, "{name}");
        }
    }
}
