//! One declaration, read from its tokens: names are not resolved yet.

use std::collections::HashSet;
use std::time::Duration;

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::columns::declared_columns;
use super::options::{format, options};
use super::references::{Reference, references};
use super::suggest::did_you_mean;
use super::tokens::{Cursor, PlacedToken, Statement};
use super::{DeclaredColumn, Format, IndexColumn, Name, Options, Problem, Span};
use crate::dialect::{SyntaxError, syntax_error};

/// What a statement declares.
#[derive(Debug)]
pub(crate) enum Declaration {
    Source { connector: Name, options: Options },
    Table(Box<TableDeclaration>),
    View(ViewDeclaration),
    Index { relation: Name, columns: Vec<IndexColumn>, include: Vec<String> },
}

#[derive(Debug)]
pub(crate) struct TableDeclaration {
    pub(crate) columns: Vec<DeclaredColumn>,
    pub(crate) origin: Origin,
    pub(crate) upstream: Option<Name>,
    pub(crate) options: Options,
    pub(crate) format: Option<Format>,
    pub(crate) skips_errors: Option<Span>,
}

/// Whose table it is.
#[derive(Debug)]
pub(crate) enum Origin {
    /// `FROM source`: of a source that is declared by itself.
    Shared(Name),
    /// `WITH (connector = …)`: of a source that is declared along with it.
    Own(Name),
}

#[derive(Debug)]
pub(crate) struct ViewDeclaration {
    pub(crate) columns: Vec<String>,
    pub(crate) materialized: bool,
    pub(crate) freshness: Option<Duration>,
    pub(crate) query_span: Span,
    pub(crate) references: Vec<Reference>,
}

/// A declaration with its name.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) name: Name,
    pub(crate) declaration: Declaration,
    pub(crate) doc: String,
    pub(crate) span: Span,
}

/// An idle source says about every 100 ms that nothing waits there, so a view is known to be current only that often;
/// a busy machine is granted a few times as long.
const LEAST_FRESHNESS: Duration = Duration::from_millis(500);

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
    check_source_name("a source", &name)?;
    if cursor.peek() == Some(&Token::LParen) {
        let problem = Problem::at(cursor.here(), "a source has no columns, its tables have");
        return Err(problem.with_hint(format!("write CREATE TABLE … (…) FROM {} TABLE '…'", name.text)));
    }
    cursor.expect_keyword("WITH")?;
    let mut options = options(cursor)?;
    if cursor.peek_keyword("FORMAT") {
        let problem = Problem::at(cursor.here(), "a source has no format, its tables have");
        return Err(problem.with_hint(format!("write it behind CREATE TABLE … FROM {} TABLE '…'", name.text)));
    }
    let connector = take_connector(&mut options, &name, "source")?;
    Ok((name, Declaration::Source { connector, options }))
}

/// The option that says of what kind a source is.
fn take_connector(options: &mut Options, of: &Name, what: &str) -> Result<Name, Problem> {
    if let Some((_, connector)) = options.take("connector") {
        return Ok(connector);
    }
    let hint = |name: &Name| did_you_mean(&name.text, ["connector"]);
    if let Some((name, hint)) = options.iter().find_map(|it| Some((&it.0, hint(&it.0)?))) {
        return Err(Problem::at(name.span, format!("there is no option \"{}\"", name.text)).with_hint(hint));
    }
    let problem = Problem::at(of.span, format!("{what} \"{}\" does not say how to connect", of.text));
    Err(problem.with_hint("add connector = '…'"))
}

/// Positions are sent as name@position, separated by commas, in a header.
fn check_source_name(what: &str, name: &Name) -> Result<(), Problem> {
    let fits = name.text.bytes().all(|it| it.is_ascii_graphic() && !matches!(it, b'@' | b','));
    if fits && !name.text.is_empty() {
        return Ok(());
    }
    let problem = Problem::at(name.span, format!("{what} cannot be called \"{}\"", name.text));
    Err(problem.with_hint("use letters from a to z, digits and _: readers write it in a header, as name@17"))
}

fn table(cursor: &mut Cursor<'_>) -> Result<(Name, Declaration), Problem> {
    refuse_if_not_exists(cursor)?;
    let name = cursor.name("the table's name")?;
    let columns = if cursor.peek() == Some(&Token::LParen) { declared_columns(cursor)? } else { Vec::new() };
    refuse_include(cursor)?;
    let shared = if cursor.accept_keyword("FROM") {
        let source = cursor.name("a source's name")?;
        if !cursor.accept_keyword("TOPIC") {
            cursor.expect_keyword("TABLE")?;
        }
        Some((source, cursor.string("the table's name at the source")?))
    } else if cursor.peek_keyword("WITH") {
        None
    } else {
        let hint = "a table is always a source's: CREATE TABLE products FROM catalog TABLE 'products'";
        return Err(cursor.expected("FROM").with_hint(hint));
    };
    let mut options = if cursor.accept_keyword("WITH") { options(cursor)? } else { Options::default() };
    let format = format(cursor, &mut options)?;
    refuse_include(cursor)?;
    let skips_errors = on_error(cursor)?;
    let (origin, upstream) = match shared {
        Some((source, upstream)) => (Origin::Shared(source), Some(upstream)),
        None => {
            check_source_name("a table with a source of its own", &name)?;
            (Origin::Own(take_connector(&mut options, &name, "table")?), take_upstream(&mut options)?)
        }
    };
    let table = TableDeclaration { columns, origin, upstream, options, format, skips_errors };
    Ok((name, Declaration::Table(Box::new(table))))
}

/// `ON ERROR SKIP`, which leaves out what cannot be read; `ON ERROR HALT`, which stops there, is what is done without it.
fn on_error(cursor: &mut Cursor<'_>) -> Result<Option<Span>, Problem> {
    let begin = cursor.here();
    if !cursor.accept_keyword("ON") {
        return Ok(None);
    }
    cursor.expect_keyword("ERROR")?;
    let end = cursor.here().end;
    if cursor.accept_keyword("SKIP") {
        return Ok(Some(Span { end, ..begin }));
    }
    if cursor.accept_keyword("HALT") {
        return Ok(None);
    }
    let hint = "ON ERROR SKIP leaves out messages that cannot be read, and keeps them aside; ON ERROR HALT stops there";
    Err(cursor.expected("SKIP or HALT").with_hint(hint))
}

/// What a table is called at a source of its own, as those spell it whose declarations are pasted.
fn take_upstream(options: &mut Options) -> Result<Option<Name>, Problem> {
    let mut given = ["table", "topic", "table.name", "table-name"].into_iter().filter_map(|it| options.take(it));
    let first = given.next();
    match given.next() {
        Some((name, _)) => Err(Problem::at(name.span, "the table's name at the source is given twice")),
        None => Ok(first.map(|it| it.1)),
    }
}

/// Columns of what a message carries besides its value, as RisingWave declares them.
fn refuse_include(cursor: &Cursor<'_>) -> Result<(), Problem> {
    if !cursor.peek_keyword("INCLUDE") {
        return Ok(());
    }
    let problem = Problem::at(cursor.here(), "what a message carries besides its value is declared as a column");
    Err(problem.with_hint("write it among the columns: sent_at timestamptz METADATA FROM 'timestamp'"))
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
    let freshness = if cursor.accept_keyword("WITH") { freshness(cursor, materialized)? } else { None };
    cursor.expect_keyword("AS")?;
    let (query_span, references) = query(cursor, text)?;
    Ok((name, Declaration::View(ViewDeclaration { columns, materialized, freshness, query_span, references })))
}

/// How far a view may be behind, from its options.
fn freshness(cursor: &mut Cursor<'_>, materialized: bool) -> Result<Option<Duration>, Problem> {
    let mut options = options(cursor)?;
    let given = options.take("freshness");
    if let Some((name, _)) = options.iter().next() {
        let hint = did_you_mean(&name.text, ["freshness"]).unwrap_or("known here: freshness".into());
        return Err(Problem::at(name.span, format!("there is no option \"{}\"", name.text)).with_hint(hint));
    }
    let Some((name, value)) = given else { return Ok(None) };
    if !materialized {
        let problem = Problem::at(name.span, "a plain view is as fresh as what it reads");
        return Err(problem.with_hint("give the option to the CREATE MATERIALIZED VIEW that reads it"));
    }
    let freshness = value.duration()?;
    if freshness < LEAST_FRESHNESS {
        let problem = Problem::at(value.span, format!("{} is shorter than what can be told", value.text));
        return Err(problem.with_hint("sources are asked several times a second: write '1s', or '500ms' at least"));
    }
    Ok(Some(freshness))
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
