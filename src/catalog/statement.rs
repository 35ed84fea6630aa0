//! One declaration, read from its tokens: names are not resolved yet.

use std::collections::HashSet;

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::references::{Reference, references};
use super::suggest::did_you_mean;
use super::tokens::{Cursor, Name, PlacedToken, Statement};
use super::{Connector, DeclaredColumn, IndexColumn, Problem, Span};
use crate::change::DataType;
use crate::dialect::{SyntaxError, syntax_error};

/// What a statement declares.
#[derive(Debug)]
pub(crate) enum Declaration {
    Source { connector: Connector },
    Table { columns: Vec<DeclaredColumn>, source: Name, upstream: String },
    View { columns: Vec<String>, materialized: bool, query_span: Span, references: Vec<Reference> },
    Index { relation: Name, columns: Vec<IndexColumn>, include: Vec<String> },
}

/// A declaration with its name.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) name: Name,
    pub(crate) declaration: Declaration,
    pub(crate) doc: String,
    pub(crate) span: Span,
}

const FORMS: &str = "CREATE SOURCE, CREATE TABLE … FROM, CREATE VIEW, CREATE MATERIALIZED VIEW or CREATE INDEX";

/// Reads one statement.
pub(crate) fn parse_statement(file: usize, text: &str, statement: &Statement) -> Result<Declared, Problem> {
    let mut cursor = Cursor::new(file, &statement.tokens);
    let span = cursor.whole();
    if !cursor.accept_keyword("CREATE") {
        return Err(cursor.expected(FORMS).with_hint("a view file only declares things; data stays with its owner"));
    }
    if cursor.peek_keyword("OR") {
        let problem = Problem::at(cursor.here(), "OR REPLACE has no meaning in a view file");
        return Err(
            problem.with_hint("the files are the whole truth: change the statement itself and write CREATE alone")
        );
    }
    let (name, declaration) = if cursor.accept_keyword("SOURCE") {
        source(&mut cursor)?
    } else if cursor.accept_keyword("TABLE") {
        table(&mut cursor)?
    } else if cursor.accept_keyword("MATERIALIZED") {
        cursor.expect_keyword("VIEW")?;
        view(&mut cursor, text, true)?
    } else if cursor.accept_keyword("VIEW") {
        view(&mut cursor, text, false)?
    } else if cursor.accept_keyword("INDEX") {
        index(&mut cursor)?
    } else if cursor.peek_keyword("UNIQUE") {
        let problem =
            Problem::at(cursor.here(), "an index cannot be UNIQUE: views keep no rule their query does not have");
        return Err(problem.with_hint("write CREATE INDEX"));
    } else {
        return Err(cursor.expected(FORMS));
    };
    if !cursor.is_at_end() {
        return Err(cursor.expected("the end of the statement").with_hint("a statement ends with \";\""));
    }
    Ok(Declared { name, declaration, doc: statement.doc.clone(), span })
}

fn source(cursor: &mut Cursor<'_>) -> Result<(Name, Declaration), Problem> {
    refuse_if_not_exists(cursor)?;
    let name = cursor.name("the source's name")?;
    // Positions are sent as name@position, separated by commas, in a header.
    let fits = name.text.bytes().all(|it| it.is_ascii_graphic() && !matches!(it, b'@' | b','));
    if name.text.is_empty() || !fits {
        let problem = Problem::at(name.span, format!("a source cannot be called \"{}\"", name.text));
        return Err(
            problem.with_hint("use letters from a to z, digits and _: readers write it in a header, as name@17")
        );
    }
    cursor.expect_keyword("WITH")?;
    let mut options = options(cursor, &["connector", "path"])?;
    let Some(connector) = options.take("connector") else {
        let problem = Problem::at(name.span, format!("source \"{}\" does not say how to connect", name.text));
        return Err(problem.with_hint("add connector = 'sqlite'"));
    };
    if connector.text != "sqlite" {
        let problem = Problem::at(connector.span, format!("there is no connector \"{}\"", connector.text));
        return Err(problem.with_hint("connectors: 'sqlite'"));
    }
    let Some(path) = options.take("path") else {
        let problem = Problem::at(name.span, format!("source \"{}\" does not say which file it reads", name.text));
        return Err(problem.with_hint("add path = 'services/catalog.db'"));
    };
    Ok((name, Declaration::Source { connector: Connector::Sqlite { path: path.text } }))
}

fn table(cursor: &mut Cursor<'_>) -> Result<(Name, Declaration), Problem> {
    refuse_if_not_exists(cursor)?;
    let name = cursor.name("the table's name")?;
    let columns = if cursor.peek() == Some(&Token::LParen) { declared_columns(cursor)? } else { Vec::new() };
    if !cursor.accept_keyword("FROM") {
        let hint = "a table is always a source's: CREATE TABLE products FROM catalog TABLE 'products'";
        return Err(cursor.expected("FROM").with_hint(hint));
    }
    let source = cursor.name("a source's name")?;
    cursor.expect_keyword("TABLE")?;
    let upstream = cursor.string("the table's name at the source")?.text;
    Ok((name, Declaration::Table { columns, source, upstream }))
}

fn declared_columns(cursor: &mut Cursor<'_>) -> Result<Vec<DeclaredColumn>, Problem> {
    let mut columns: Vec<DeclaredColumn> = Vec::new();
    let mut key: Vec<Name> = Vec::new();
    let mut names = HashSet::new();
    cursor.list(|cursor| {
        if cursor.accept_keyword("PRIMARY") {
            cursor.expect_keyword("KEY")?;
            key = cursor.list(|cursor| cursor.name("a key column"))?;
            return Ok(());
        }
        let name = cursor.name("a column's name")?;
        if !names.insert(name.text.clone()) {
            return Err(Problem::at(name.span, format!("column \"{}\" is declared twice", name.text)));
        }
        let data_type = data_type(cursor)?;
        let mut column = DeclaredColumn { name: name.text, data_type, not_null: false, primary_key: false };
        loop {
            if cursor.accept_keyword("NOT") {
                cursor.expect_keyword("NULL")?;
                column.not_null = true;
            } else if cursor.accept_keyword("PRIMARY") {
                cursor.expect_keyword("KEY")?;
                (column.not_null, column.primary_key) = (true, true);
            } else if !cursor.accept_keyword("NULL") {
                break;
            }
        }
        columns.push(column);
        Ok(())
    })?;
    for part in key {
        let Some(column) = columns.iter_mut().find(|it| it.name == part.text) else {
            return Err(Problem::at(part.span, format!("key column \"{}\" is not declared", part.text)));
        };
        (column.not_null, column.primary_key) = (true, true);
    }
    Ok(columns)
}

fn data_type(cursor: &mut Cursor<'_>) -> Result<DataType, Problem> {
    use datafusion::sql::sqlparser::ast::{DataType as Sql, ExactNumberInfo, TimezoneInfo};
    let span = cursor.here();
    let tokens = cursor.rest().iter().map(|it| it.token.clone()).collect();
    let mut parser = Parser::new(&PostgreSqlDialect {}).with_tokens_with_locations(tokens);
    let parsed = parser.parse_data_type().map_err(|_| cursor.expected("a type"))?;
    cursor.skip(parser.index());
    let decimal = |info: &ExactNumberInfo| match *info {
        ExactNumberInfo::None => Some((38, 10)),
        ExactNumberInfo::Precision(precision) => Some((precision, 0)),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => Some((precision, u64::try_from(scale).ok()?)),
    };
    let data_type = match &parsed {
        Sql::Boolean | Sql::Bool => DataType::Boolean,
        Sql::SmallInt(_) | Sql::Int2(_) | Sql::Int(_) | Sql::Int4(_) | Sql::Integer(_) => DataType::Int32,
        Sql::BigInt(_) | Sql::Int8(_) => DataType::Int64,
        Sql::Real | Sql::Float4 | Sql::Float8 | Sql::Float(_) | Sql::Double(_) | Sql::DoublePrecision => {
            DataType::Float64
        }
        Sql::Numeric(info) | Sql::Decimal(info) | Sql::Dec(info) => match decimal(info) {
            Some((precision @ 1..=38, scale)) if scale <= precision => {
                DataType::Decimal { precision: precision as u8, scale: scale as u8 }
            }
            _ => return Err(Problem::at(span, "a numeric has 1 to 38 digits, at most all of them behind the point")),
        },
        Sql::Text | Sql::Varchar(_) | Sql::CharacterVarying(_) | Sql::String(_) => DataType::Text,
        Sql::Bytea | Sql::Blob(_) => DataType::Bytes,
        Sql::Date => DataType::Date,
        Sql::Timestamp(_, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => DataType::TimestampTz,
        Sql::Timestamp(..) => DataType::Timestamp,
        other => {
            let problem = Problem::at(span, format!("type {other} is not supported"));
            let hint = "types: boolean, integer, bigint, double precision, numeric(p,s), text, bytea, date, timestamp, timestamptz";
            return Err(problem.with_hint(hint));
        }
    };
    Ok(data_type)
}

fn view(cursor: &mut Cursor<'_>, text: &str, materialized: bool) -> Result<(Name, Declaration), Problem> {
    refuse_if_not_exists(cursor)?;
    let name = cursor.name("the view's name")?;
    let mut columns = Vec::new();
    if cursor.peek() == Some(&Token::LParen) {
        let mut seen = HashSet::new();
        for column in cursor.list(|cursor| cursor.name("a column's name"))? {
            if !seen.insert(column.text.clone()) {
                return Err(Problem::at(column.span, format!("column \"{}\" is named twice", column.text)));
            }
            columns.push(column.text);
        }
    }
    if cursor.accept_keyword("WITH")
        && let Some(freshness) = options(cursor, &["freshness"])?.take("freshness")
    {
        check_duration(&freshness)?;
    }
    cursor.expect_keyword("AS")?;
    let (query_span, references) = query(cursor, text)?;
    Ok((name, Declaration::View { columns, materialized, query_span, references }))
}

fn query(cursor: &mut Cursor<'_>, text: &str) -> Result<(Span, Vec<Reference>), Problem> {
    let tokens = cursor.rest();
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return Err(cursor.expected("a query")) };
    let span = Span { end: last.end, ..cursor.here() };
    debug_assert_eq!(first.start, span.start);
    let dialect = PostgreSqlDialect {};
    let plain = tokens.iter().map(|it| it.token.clone()).collect();
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(plain);
    let parsed = parser.parse_query().map_err(|error| query_problem(&syntax_error(&error), tokens, span))?;
    cursor.skip(parser.index());
    if !cursor.is_at_end() {
        return Err(cursor.expected("the end of the query").with_hint("a statement ends with \";\""));
    }
    Ok((span, references(&parsed, span.file, text)))
}

/// A query that cannot be read, with the token at which it goes wrong.
fn query_problem(error: &SyntaxError, tokens: &[PlacedToken], span: Span) -> Problem {
    let found = tokens.iter().find(|it| {
        let start = it.token.span.start;
        error.place == Some([start.line, start.column])
    });
    let span = match found {
        Some(token) => Span { start: token.start, end: token.end, ..span },
        None => Span { start: span.end.saturating_sub(1), ..span },
    };
    Problem::at(span, error.message("the query"))
}

fn index(cursor: &mut Cursor<'_>) -> Result<(Name, Declaration), Problem> {
    refuse_if_not_exists(cursor)?;
    if cursor.peek_keyword("ON") {
        return Err(cursor.expected("the index's name").with_hint("readers and explain speak of indexes by name"));
    }
    let name = cursor.name("the index's name")?;
    cursor.expect_keyword("ON")?;
    let relation = cursor.name("a table's or view's name")?;
    let columns = cursor.list(|cursor| {
        let name = cursor.name("a column's name")?.text;
        let descending = !cursor.accept_keyword("ASC") && cursor.accept_keyword("DESC");
        let mut nulls_first = descending;
        if cursor.accept_keyword("NULLS") {
            nulls_first = cursor.accept_keyword("FIRST");
            if !nulls_first {
                cursor.expect_keyword("LAST")?;
            }
        }
        Ok(IndexColumn { name, descending, nulls_first })
    })?;
    let include = if cursor.accept_keyword("INCLUDE") {
        cursor.list(|cursor| Ok(cursor.name("a column's name")?.text))?
    } else {
        Vec::new()
    };
    if cursor.peek_keyword("WHERE") {
        let problem = Problem::at(cursor.here(), "an index holds all rows of its view: WHERE is not supported");
        return Err(problem.with_hint("make a view with this WHERE and index that"));
    }
    Ok((name, Declaration::Index { relation, columns, include }))
}

fn refuse_if_not_exists(cursor: &Cursor<'_>) -> Result<(), Problem> {
    if cursor.peek_keyword("IF")
        && cursor.rest().get(1).is_some_and(|it| it.token.token.to_string().eq_ignore_ascii_case("not"))
    {
        let problem = Problem::at(cursor.here(), "IF NOT EXISTS has no meaning in a view file");
        return Err(problem.with_hint("declare each thing once"));
    }
    Ok(())
}

/// `WITH (key = 'value', …)`, keys bare (also with points: properties.bootstrap.server) or quoted.
struct Options(Vec<(String, Name)>);

impl Options {
    fn take(&mut self, key: &str) -> Option<Name> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.swap_remove(at).1)
    }
}

fn options(cursor: &mut Cursor<'_>, known: &[&str]) -> Result<Options, Problem> {
    let mut seen: HashSet<String> = HashSet::new();
    let options = cursor.list(|cursor| {
        let mut span = cursor.here();
        let mut key = String::new();
        loop {
            key += &match cursor.peek() {
                Some(Token::Word(word)) if word.quote_style.is_some() => word.value.clone(),
                Some(Token::Word(word)) => word.value.to_lowercase(),
                Some(Token::SingleQuotedString(text)) => text.clone(),
                _ => return Err(cursor.expected("an option's name")),
            };
            span.end = cursor.here().end;
            cursor.skip(1);
            if !cursor.accept(&Token::Period) {
                break;
            }
            key.push('.');
        }
        if !known.contains(&key.as_str()) {
            let all = format!("known here: {}", known.join(", "));
            let hint = did_you_mean(&key, known.iter().copied()).unwrap_or(all);
            return Err(Problem::at(span, format!("there is no option \"{key}\"")).with_hint(hint));
        }
        if !seen.insert(key.clone()) {
            return Err(Problem::at(span, format!("option \"{key}\" is given twice")));
        }
        cursor.expect(&Token::Eq)?;
        Ok((key, cursor.string("the option's value")?))
    })?;
    Ok(Options(options))
}

/// Durations are a whole number with a unit: 500ms, 1s, 5m, 1h.
fn check_duration(value: &Name) -> Result<(), Problem> {
    let digits = value.text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let unit = &value.text[digits.len()..];
    if !digits.is_empty() && digits.parse::<u32>().is_ok() && ["ms", "s", "m", "min", "h"].contains(&unit) {
        return Ok(());
    }
    Err(Problem::at(value.span, format!("\"{}\" is not a duration", value.text))
        .with_hint("write '500ms', '1s', '5m' or '1h'"))
}
