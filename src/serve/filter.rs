//! The query string of a list: PostgREST's filters, `select`, `order`, `limit`, `offset` and `cursor`.
//!
//! ```text
//! ?price=gte.10&price=lt.20                  repeated filters all hold
//! ?or=(stock.eq.0,and(price.gt.10,name.not.ilike.*phone*))
//! ?not.and=(a.is.null,b.is.null)
//! ?select=id,title:name&order=rating.desc.nullslast,id&limit=20
//! ```
//! `errors=skip` leaves out rows with an error cell in a column that is needed, instead of failing.
//! A column called like one of these words is filtered as `"limit"=eq.3`, in double quotes.

use std::borrow::Cow;

use super::condition::{Condition, Filter, Operator, Test};
use super::format::Format;
use super::grammar::{bracketed, find_unquoted, parse_test, split_list, unquoted};
use super::options::ServeOptions;
use super::percent;
use super::problem::Problem;
use super::served::Served;
use super::shown::{self, Shown};
use super::value::parse_text;
use crate::change::{KeyColumn, Value, counted};

/// The most filters of a request, and how deep they may stand in each other.
const MAX_FILTERS: usize = 64;
const MAX_DEPTH: usize = 16;

/// A list request.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// Those that all have to hold, of one column each.
    pub(crate) conditions: Vec<Condition>,
    /// What has to hold beside them.
    pub(crate) filters: Vec<Filter>,
    pub(crate) select: Vec<Shown>,
    pub(crate) order: Vec<KeyColumn>,
    /// How many rows; as many as there are where an answer may be of any length.
    pub(crate) limit: usize,
    /// How many rows are passed over.
    pub(crate) offset: usize,
    pub(crate) cursor: Option<String>,
    /// Whether rows with error cells are left out.
    pub(crate) skip_errors: bool,
    /// The query string without its cursor and offset: what a cursor belongs to, and the start of the next page's
    /// address.
    pub(crate) rest: String,
}

/// Reads the query string `raw` of a request for this format.
pub(crate) fn parse(served: &Served, raw: &str, format: Format, options: &ServeOptions) -> Result<Query, Problem> {
    let default_limit = if format.is_lines() { usize::MAX } else { options.default_limit.min(options.max_rows) };
    let mut query = Query {
        conditions: Vec::new(),
        filters: Vec::new(),
        select: Vec::new(),
        order: Vec::new(),
        limit: default_limit,
        offset: 0,
        cursor: None,
        skip_errors: false,
        rest: String::new(),
    };
    let mut budget = MAX_FILTERS;
    for part in parts(raw) {
        let (name, value) = decoded(part)?;
        if !["cursor", "offset"].contains(&&*name) {
            let and = if query.rest.is_empty() { "" } else { "&" };
            query.rest = format!("{}{and}{part}", query.rest);
        }
        match &*name {
            "cursor" => query.cursor = Some(value.into_owned()),
            "offset" => query.offset = parse_offset(&value)?,
            "select" => query.select = shown::parse(served, &value)?,
            "order" => query.order = parse_order(served, &value)?,
            "limit" => query.limit = parse_limit(&value, format, options)?,
            "errors" => query.skip_errors = parse_errors(&value)?,
            "and" | "or" | "not.and" | "not.or" => {
                let filter = parse_logic(served, &name, &value, &mut budget, MAX_DEPTH)?;
                query.add(filter);
            }
            "columns" | "on_conflict" => return Err(read_only_parameter(&name)),
            _ => {
                take(&mut budget)?;
                query.conditions.push(parse_condition(served, &name, &value)?);
            }
        }
    }
    if query.select.is_empty() {
        query.select = shown::all(served);
    }
    Ok(query)
}

impl Query {
    /// Adds a filter that has to hold, as plain conditions where it can be: an access path is chosen by those.
    fn add(&mut self, filter: Filter) {
        match filter {
            Filter::All(parts) => parts.into_iter().for_each(|it| self.add(it)),
            Filter::One(condition) => self.conditions.push(condition),
            Filter::Any(parts) => match listed(&parts) {
                Some(condition) => self.conditions.push(condition),
                None => self.filters.push(Filter::Any(parts)),
            },
            other => self.filters.push(other),
        }
    }

    /// The columns that are read beside those of the conditions.
    pub(crate) fn needed(&self) -> Vec<usize> {
        let mut needed: Vec<usize> = self.select.iter().map(|it| it.column).collect();
        self.filters.iter().for_each(|it| it.columns(&mut needed));
        needed
    }
}

/// `or=(a.eq.1,a.eq.2)` is `a=in.(1,2)`.
fn listed(parts: &[Filter]) -> Option<Condition> {
    let mut values: Vec<Value> = Vec::new();
    let mut column = None;
    for part in parts {
        let Filter::One(condition) = part else { return None };
        match &condition.test {
            Test::Compare(Operator::Equal, value) => values.push(value.clone()),
            Test::In(listed) => values.extend_from_slice(listed),
            _ => return None,
        }
        if *column.get_or_insert(condition.column) != condition.column {
            return None;
        }
    }
    column.map(|column| Condition { column, test: Test::In(values) })
}

fn parts(raw: &str) -> impl Iterator<Item = &str> {
    raw.split('&').filter(|it| !it.is_empty())
}

/// The name and the value of one part of a query string.
fn decoded(part: &str) -> Result<(Cow<'_, str>, Cow<'_, str>), Problem> {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    let decoded = |text| {
        percent::decode(text, true)
            .ok_or_else(|| Problem::bad_request(format!("\"{part}\" is not percent-encoded UTF-8")))
    };
    Ok((decoded(name)?, decoded(value)?))
}

/// Reads the columns of `select` only: all that a keyed read takes.
pub(crate) fn parse_select_only(served: &Served, raw: &str) -> Result<Option<Vec<Shown>>, Problem> {
    let mut select = None;
    for part in parts(raw) {
        let (name, value) = decoded(part)?;
        if name != "select" {
            let hint = "a read by key takes select only; filters belong to GET /v1/views/{view}";
            return Err(Problem::bad_request(format!("unknown parameter \"{name}\"")).hint(hint));
        }
        select = Some(shown::parse(served, &value)?);
    }
    Ok(select)
}

fn read_only_parameter(name: &str) -> Problem {
    Problem::bad_request(format!("\"{name}\" belongs to a request that writes")).hint("everything here is read-only")
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
        let column = served.column(&unquoted(name.trim()));
        let column = column.map_err(|problem| bad_option(served, name).unwrap_or(problem))?;
        Ok(KeyColumn { column, descending, nulls_first: nulls_first.unwrap_or(descending) })
    };
    let mut order: Vec<KeyColumn> = Vec::new();
    for item in split_list(list).map_err(|it| Problem::bad_request(format!("order: {it}")))? {
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
    served.relation.schema.index_of(column).is_some().then(|| {
        Problem::bad_request(format!("order: \"{option}\" cannot stand at this place of \"{name}\""))
            .hint(format!("write {column}, {column}.asc or {column}.desc, then .nullsfirst or .nullslast if need be"))
    })
}

fn parse_errors(text: &str) -> Result<bool, Problem> {
    match text {
        "fail" => Ok(false),
        "skip" => Ok(true),
        _ => Err(Problem::bad_request(format!("errors=\"{text}\" is neither fail nor skip"))
            .hint("a column of this name is filtered as \"errors\"=…, in double quotes")),
    }
}

fn parse_offset(text: &str) -> Result<usize, Problem> {
    text.parse().map_err(|_| {
        Problem::bad_request(format!("offset=\"{text}\" is not a number of rows"))
            .hint("a column of this name is filtered as \"offset\"=…, in double quotes")
    })
}

fn parse_limit(text: &str, format: Format, options: &ServeOptions) -> Result<usize, Problem> {
    let limit = text.parse().map_err(|_| {
        Problem::bad_request(format!("limit=\"{text}\" is not a number of rows"))
            .hint("a column of this name is filtered as \"limit\"=…, in double quotes")
    })?;
    if limit > options.max_rows && !format.is_lines() {
        let detail = format!("limit={limit} is more than the {} rows one answer may have", options.max_rows);
        return Err(Problem::bad_request(detail).hint(
            "follow the Link header with rel=\"next\" for more, or ask for all of them as lines: \
             Accept: application/x-ndjson, or text/csv",
        ));
    }
    Ok(limit)
}

fn parse_condition(served: &Served, name: &str, value: &str) -> Result<Condition, Problem> {
    let (column, data_type) = typed(served, name)?;
    let test = parse_test(value, data_type, false);
    Ok(Condition { column, test: test.map_err(|it| Problem::bad_value(format!("{name}: {it}")))? })
}

fn typed(served: &Served, name: &str) -> Result<(usize, crate::change::DataType), Problem> {
    let column = served.column(&unquoted(name))?;
    Ok((column, served.relation.schema.data_type(column)))
}

/// Reads `(…)` behind `or`, `and`, `not.or` or `not.and`.
fn parse_logic(served: &Served, name: &str, list: &str, budget: &mut usize, depth: usize) -> Result<Filter, Problem> {
    let form = || {
        Problem::bad_request(format!("{name} takes filters in brackets, not \"{list}\""))
            .hint(format!("write them like {name}=(price.lt.10,stock.eq.0)"))
    };
    let depth = depth.checked_sub(1).ok_or_else(|| Problem::bad_request("and and or are nested too deeply"))?;
    let inner = bracketed(list.trim()).ok_or_else(form)?;
    let items = split_list(inner).map_err(|it| Problem::bad_request(format!("{name}: {it}")))?;
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        let item = item.trim();
        let nested = ["and", "or", "not.and", "not.or"]
            .iter()
            .find(|it| item.strip_prefix(**it).is_some_and(|rest| rest.starts_with('(')));
        parts.push(match nested {
            Some(word) => parse_logic(served, word, &item[word.len()..], budget, depth)?,
            None if item.is_empty() => return Err(form()),
            None => {
                take(budget)?;
                Filter::One(parse_member(served, name, item)?)
            }
        });
    }
    let plain = name.trim_start_matches("not.");
    let filter = if plain == "or" { Filter::Any(parts) } else { Filter::All(parts) };
    Ok(if plain == name { filter } else { Filter::Not(Box::new(filter)) })
}

/// Reads `column.operator.value`. A column with points in its name is written in quotes.
fn parse_member(served: &Served, within: &str, item: &str) -> Result<Condition, Problem> {
    let form = || {
        Problem::bad_request(format!("{within}: a filter is written column.operator.value, not \"{item}\""))
            .hint("what has points, commas or brackets in it stands in double quotes")
    };
    let at = find_unquoted(item, ".").ok_or_else(form)?;
    let (negated, item) = match &item[..at] {
        "not" => (true, &item[at + 1..]),
        _ => (false, item),
    };
    let at = find_unquoted(item, ".").ok_or_else(form)?;
    let (column, data_type) = typed(served, &item[..at])?;
    let test = parse_test(&item[at + 1..], data_type, true);
    let test = test.map_err(|it| Problem::bad_value(format!("{within}: {}: {it}", &item[..at])))?;
    Ok(Condition { column, test: if negated { Test::Not(Box::new(test)) } else { test } })
}

fn take(budget: &mut usize) -> Result<(), Problem> {
    let too_many = || Problem::bad_request(format!("a request may have at most {MAX_FILTERS} filters"));
    *budget = budget.checked_sub(1).ok_or_else(too_many)?;
    Ok(())
}

/// The values of `key`'s parts in the path segment `raw`: separated by commas, each percent-encoded.
pub(crate) fn parse_key(served: &Served, raw: &str) -> Result<Vec<Value>, Problem> {
    let schema = &served.relation.schema;
    check_key(served)?;
    let wanted = schema.address().count();
    let count = if wanted == 0 { 0 } else { raw.split(',').count() };
    if count != wanted {
        return Err(wrong_parts(served, count));
    }
    let value = |(part, raw): (&KeyColumn, &str)| {
        let column = &schema.columns[part.column];
        let text = percent::decode(raw, false).ok_or_else(|| {
            Problem::bad_value(format!(
                "the key \"{raw}\" is not percent-encoded UTF-8: a % stands before two hexadecimal digits"
            ))
        })?;
        parse_text(&text, column.data_type).map_err(|it| Problem::bad_value(format!("{}: {it}", column.name)))
    };
    schema.address().zip(raw.split(',')).map(value).collect()
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
    let names: Vec<&str> = schema.address().map(|it| schema.columns[it.column].name.as_str()).collect();
    let detail =
        format!("the key of \"{}\" is ({}), not {}", served.relation.name, names.join(", "), counted(got, "value"));
    Problem::bad_value(detail).hint("the values stand in this order, separated by commas; a comma inside one is %2C")
}

/// The encoded key of `values`.
pub(crate) fn encode(served: &Served, values: &[Value]) -> Vec<u8> {
    let mut key = Vec::with_capacity(16 * values.len());
    served.relation.schema.encode_address(values.iter().map(Value::as_datum), &mut key);
    key
}
