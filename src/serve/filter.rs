//! The query string of a list: PostgREST's filters, `select`, `order`, `limit` and `cursor`.
//!
//! ```text
//! ?price=gte.10&price=lt.20      repeated filters all hold
//! ?name=not.ilike.*phone*        * may stand for %
//! ?id=in.(1,2,"a,b")             quotes around values with commas or brackets
//! ?select=id,name&order=rating.desc.nullslast,id&limit=20
//! ```
//! `errors=skip` leaves out rows with an error cell in a column that is needed, instead of failing.
//! A column called like one of the five words is filtered as `"limit"=eq.3`, in double quotes.

use std::borrow::Cow;

use super::condition::{Condition, Operator, Pattern, Test};
use super::options::ServeOptions;
use super::percent;
use super::problem::Problem;
use super::served::Served;
use super::value::parse_text;
use crate::change::{DataType, KeyColumn, Value};

/// The most filters and the most values of an `in` list.
const MAX_FILTERS: usize = 64;
const MAX_LISTED: usize = 1000;

/// A list request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query<'a> {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) select: Vec<usize>,
    pub(crate) order: Vec<KeyColumn>,
    pub(crate) limit: usize,
    pub(crate) cursor: Option<Cow<'a, str>>,
    /// Whether rows with error cells are left out.
    pub(crate) skip_errors: bool,
    /// The query string without its cursor: what a cursor belongs to, and the start of the next page's address.
    pub(crate) rest: Cow<'a, str>,
}

/// Reads the query string `raw`.
pub(crate) fn parse<'a>(served: &Served, raw: &'a str, options: &ServeOptions) -> Result<Query<'a>, Problem> {
    let mut query = Query {
        conditions: Vec::new(),
        select: Vec::new(),
        order: Vec::new(),
        limit: options.default_limit.min(options.max_rows),
        cursor: None,
        skip_errors: false,
        rest: Cow::Borrowed(raw),
    };
    for part in parts(raw) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let decoded = |text| {
            percent::decode(text, true).ok_or_else(|| Problem::bad_request(format!("\"{part}\" is not valid UTF-8")))
        };
        let (name, value) = (decoded(name)?, decoded(value)?);
        match &*name {
            "cursor" => {
                let others = raw.split('&').filter(|it| !it.starts_with("cursor="));
                query.rest = Cow::Owned(others.collect::<Vec<_>>().join("&"));
                query.cursor = Some(value);
            }
            "select" => query.select = parse_select(served, &value)?,
            "order" => query.order = parse_order(served, &value)?,
            "limit" => query.limit = parse_limit(&value, options)?,
            "errors" => query.skip_errors = parse_errors(&value)?,
            "offset" => {
                let hint = "follow the Link header with rel=\"next\", or pass its cursor";
                return Err(Problem::bad_request("offset is not supported").hint(hint));
            }
            _ => query.conditions.push(parse_filter(served, &name, &value)?),
        }
    }
    if query.conditions.len() > MAX_FILTERS {
        return Err(Problem::bad_request(format!("a request may have at most {MAX_FILTERS} filters")));
    }
    if query.select.is_empty() {
        query.select = (0..served.relation.schema.visible).collect();
    }
    Ok(query)
}

fn parts(raw: &str) -> impl Iterator<Item = &str> {
    raw.split('&').filter(|it| !it.is_empty())
}

/// Reads the columns of `select` only: all that a keyed read takes.
pub(crate) fn parse_select_only(served: &Served, raw: &str) -> Result<Vec<usize>, Problem> {
    let mut select = None;
    for part in parts(raw) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if name != "select" {
            let hint = "a read by key takes select only; filters belong to GET /v1/views/{view}";
            return Err(Problem::bad_request(format!("unknown parameter \"{name}\"")).hint(hint));
        }
        let value = percent::decode(value, true);
        select = Some(parse_select(served, &value.ok_or_else(|| Problem::bad_request("select is not valid UTF-8"))?)?);
    }
    Ok(select.unwrap_or_else(|| (0..served.relation.schema.visible).collect()))
}

/// The columns named in `list`, in that order.
pub(crate) fn parse_select(served: &Served, list: &str) -> Result<Vec<usize>, Problem> {
    if list == "*" {
        return Ok((0..served.relation.schema.visible).collect());
    }
    list.split(',').map(|name| column(served, name.trim())).collect()
}

fn column(served: &Served, name: &str) -> Result<usize, Problem> {
    let name = name.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(name);
    let relation = &served.relation;
    relation.schema.index_of(name).ok_or_else(|| Problem::no_such_column(&relation.name, name))
}

fn parse_order(served: &Served, list: &str) -> Result<Vec<KeyColumn>, Problem> {
    let one = |item: &str| -> Result<KeyColumn, Problem> {
        let mut name = item;
        let (mut descending, mut nulls_first) = (None, None);
        // Options are read from the end, because a column's name may have points in it.
        while let Some((rest, option)) = name.rsplit_once('.') {
            match option {
                "nullsfirst" if nulls_first.is_none() && descending.is_none() => nulls_first = Some(true),
                "nullslast" if nulls_first.is_none() && descending.is_none() => nulls_first = Some(false),
                "asc" if descending.is_none() => descending = Some(false),
                "desc" if descending.is_none() => descending = Some(true),
                _ => break,
            }
            name = rest;
        }
        let descending = descending.unwrap_or(false);
        let column = column(served, name.trim()).map_err(|problem| bad_option(served, name).unwrap_or(problem))?;
        Ok(KeyColumn { column, descending, nulls_first: nulls_first.unwrap_or(descending) })
    };
    let mut order: Vec<KeyColumn> = Vec::new();
    for item in list.split(',') {
        let part = one(item)?;
        // A column orders once; what is said of it later changes nothing.
        if order.iter().all(|it| it.column != part.column) {
            order.push(part);
        }
    }
    Ok(order)
}

/// The problem of an order like `price.down`, where a column is followed by what is no option.
fn bad_option(served: &Served, name: &str) -> Option<Problem> {
    let (before, option) = name.rsplit_once('.')?;
    let column = before.split('.').next().unwrap_or(before).trim();
    column_exists(served, column).then(|| {
        Problem::bad_request(format!("order: \"{option}\" cannot stand at this place of \"{name}\""))
            .hint(format!("write {column}, {column}.asc or {column}.desc, then .nullsfirst or .nullslast if need be"))
    })
}

fn column_exists(served: &Served, name: &str) -> bool {
    served.relation.schema.index_of(name).is_some()
}

fn parse_errors(text: &str) -> Result<bool, Problem> {
    match text {
        "fail" => Ok(false),
        "skip" => Ok(true),
        _ => Err(Problem::bad_request(format!("errors=\"{text}\" is neither fail nor skip"))
            .hint("a column of this name is filtered as \"errors\"=…, in double quotes")),
    }
}

fn parse_limit(text: &str, options: &ServeOptions) -> Result<usize, Problem> {
    let limit = text.parse().map_err(|_| Problem::bad_request(format!("limit=\"{text}\" is not a number")))?;
    if limit > options.max_rows {
        let detail = format!("limit={limit} is more than the {} rows one answer may have", options.max_rows);
        return Err(Problem::bad_request(detail).hint("follow the Link header with rel=\"next\" for more"));
    }
    Ok(limit)
}

fn parse_filter(served: &Served, name: &str, value: &str) -> Result<Condition, Problem> {
    let column = column(served, name)?;
    let column_type = served.relation.schema.data_type(column);
    let about = |problem: String| Problem::bad_value(format!("{name}: {problem}"));
    let test = parse_test(value, column_type).map_err(about)?;
    Ok(Condition { column, test })
}

fn parse_test(text: &str, data_type: DataType) -> Result<Test, String> {
    let known = "eq, neq, gt, gte, lt, lte, in, is, like, ilike, and not. before them";
    let (operator, value) = text
        .split_once('.')
        .ok_or_else(|| format!("a filter is written operator.value, not \"{text}\"; the operators are {known}"))?;
    let compare = |operator| Ok(Test::Compare(operator, parse_text(value, data_type)?));
    match operator {
        "eq" => compare(Operator::Equal),
        "neq" => compare(Operator::NotEqual),
        "gt" => compare(Operator::Greater),
        "gte" => compare(Operator::GreaterOrEqual),
        "lt" => compare(Operator::Less),
        "lte" => compare(Operator::LessOrEqual),
        "in" => parse_list(value)?.iter().map(|it| parse_text(it, data_type)).collect::<Result<_, _>>().map(Test::In),
        "is" => parse_is(value, data_type),
        "like" | "ilike" if data_type == DataType::Text => {
            Ok(Test::Like(Pattern::new(&value.replace('*', "%"), operator == "ilike")))
        }
        "like" | "ilike" => Err(format!("{operator} is for text, not for type {data_type}")),
        // More than one `not.` would only be a way to nest without end.
        "not" if !value.starts_with("not.") => Ok(Test::Not(Box::new(parse_test(value, data_type)?))),
        _ => Err(format!("unknown operator \"{operator}\"; the operators are {known}")),
    }
}

fn parse_is(value: &str, data_type: DataType) -> Result<Test, String> {
    match value {
        "null" => Ok(Test::IsNull),
        "not_null" => Ok(Test::Not(Box::new(Test::IsNull))),
        "true" | "false" | "unknown" if data_type != DataType::Boolean => {
            Err(format!("is.{value} is for booleans, not for type {data_type}"))
        }
        "true" => Ok(Test::Is(true)),
        "false" => Ok(Test::Is(false)),
        "unknown" => Ok(Test::IsNull),
        _ => Err(format!("is.{value} is not one of is.null, is.not_null, is.true, is.false, is.unknown")),
    }
}

/// The values of `(1,2,"a,b")`; inside quotes `\` takes the next character as it is.
fn parse_list(text: &str) -> Result<Vec<String>, String> {
    let form = || format!("in takes a list in brackets, like in.(1,2), not \"{text}\"");
    let inner = text.strip_prefix('(').and_then(|it| it.strip_suffix(')')).ok_or_else(form)?;
    let mut values = Vec::new();
    let mut chars = inner.chars().peekable();
    while chars.peek().is_some() || !values.is_empty() {
        let mut value = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next().ok_or_else(form)? {
                    '"' => break,
                    '\\' => value.push(chars.next().ok_or_else(form)?),
                    it => value.push(it),
                }
            }
        } else {
            while let Some(it) = chars.next_if(|it| *it != ',') {
                value.push(it);
            }
        }
        values.push(value);
        if values.len() > MAX_LISTED {
            return Err(format!("a list may have at most {MAX_LISTED} values"));
        }
        match chars.next() {
            None => break,
            Some(',') => {}
            Some(_) => return Err(form()),
        }
    }
    Ok(values)
}

/// The values of `key`'s parts in the path segment `raw`: separated by commas, each percent-encoded.
pub(crate) fn parse_key(served: &Served, raw: &str) -> Result<Vec<Value>, Problem> {
    let schema = &served.relation.schema;
    check_key(served)?;
    let count = if schema.key.is_empty() { 0 } else { raw.split(',').count() };
    if count != schema.key.len() {
        return Err(wrong_parts(served, count));
    }
    let value = |(part, raw): (&KeyColumn, &str)| {
        let column = &schema.columns[part.column];
        let text = percent::decode(raw, false)
            .ok_or_else(|| Problem::bad_value(format!("\"{raw}\" is not percent-encoded UTF-8")))?;
        parse_text(&text, column.data_type).map_err(|it| Problem::bad_value(format!("{}: {it}", column.name)))
    };
    schema.key.iter().zip(raw.split(',')).map(value).collect()
}

/// Refuses look-ups by key where the key is not made of visible columns.
pub(crate) fn check_key(served: &Served) -> Result<(), Problem> {
    if served.relation.schema.has_visible_key() {
        return Ok(());
    }
    let detail = format!("the rows of \"{}\" have no key to ask for", served.relation.name);
    Err(Problem::new(axum::http::StatusCode::NOT_FOUND, "42P01", detail).hint("use filters: ?column=eq.value"))
}

/// The problem of a key with too many or too few parts.
pub(crate) fn wrong_parts(served: &Served, got: usize) -> Problem {
    let schema = &served.relation.schema;
    let names: Vec<&str> = schema.key.iter().map(|it| schema.columns[it.column].name.as_str()).collect();
    let detail = format!("the key of \"{}\" is ({}), not {got} values", served.relation.name, names.join(", "));
    Problem::bad_value(detail).hint("write a comma inside a value as %2C")
}

/// The encoded key of `values`.
pub(crate) fn encode(served: &Served, values: &[Value]) -> Vec<u8> {
    let schema = &served.relation.schema;
    let mut key = Vec::with_capacity(16 * values.len());
    for (part, value) in schema.key.iter().zip(values) {
        crate::change::encode_datum(value.as_datum(), *part, schema.columns[part.column].collation, &mut key);
    }
    key
}
