//! What a unique index computes, and generated columns: the text of expressions, taken from the statements that made
//! the index or the table.
//!
//! SQLite's pragmas name the columns of an index, but of an expression they say only that there is one. The text is
//! cut out by SQLite's rules for tokens and never understood further: whatever it means, the owner's own process
//! computes it, over the row that is written as over the rows of the table.

/// Something computed from one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expression {
    /// As the index has it, but without comments and without the table's name before a column.
    pub(super) text: String,
    /// The columns it reads. A name that is none to SQLite may be counted too, a column is never left out.
    pub(super) columns: Vec<usize>,
    /// Whether it compares values: then its result depends on the affinity of what it reads.
    pub(super) compares: bool,
    /// Whether it may read the rowid by one of its own names; only the condition of a partial index can.
    pub(super) reads_rowid: bool,
}

/// The parts of an index in its order, and the condition of a partial one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IndexText {
    pub(super) parts: Vec<Expression>,
    pub(super) filter: Option<Expression>,
}

/// Takes a `CREATE INDEX` statement apart; `None` when it is none that SQLite would have stored.
pub(super) fn index_text(sql: &str, columns: &[&str]) -> Option<IndexText> {
    let tokens = tokens(sql)?;
    let on = tokens.iter().position(|it| it.is_word("ON"))?;
    // ON, the table's name, and the parenthesis.
    let list = tokens.get(on + 2..)?.strip_prefix(&[Token::plain("(")])?;
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, token) in list.iter().enumerate() {
        let ends = matches!((token.text, depth), ("," | ")", 0));
        match token.text {
            "(" => depth += 1,
            ")" if depth > 0 => depth -= 1,
            _ => {}
        }
        if ends {
            parts.push(expression(without_order(&list[start..at]), columns)?);
            start = at + 1;
        }
        if ends && token.text == ")" {
            let filter = match &list[start..] {
                [] => None,
                [first, rest @ ..] if first.is_word("WHERE") => Some(expression(rest, columns)?),
                _ => return None,
            };
            return Some(IndexText { parts, filter });
        }
    }
    None
}

/// Of a `CREATE TABLE` statement, by column, what a generated one is computed by.
pub(super) fn generated(sql: &str, columns: &[&str]) -> Option<Vec<Option<Expression>>> {
    let tokens = tokens(sql)?;
    let list = &tokens[tokens.iter().position(|it| it.text == "(")? + 1..];
    let mut found = vec![None; columns.len()];
    let (mut depth, mut start) = (0, 0);
    for (at, token) in list.iter().enumerate() {
        match (token.text, depth) {
            ("," | ")", 0) => {
                let definition = &list[start..at];
                let column = definition.first().and_then(|it| it.column(columns));
                if let (Some(column), Some(computed)) = (column, computed(definition)) {
                    found[column] = Some(expression(computed, columns)?);
                }
                start = at + 1;
            }
            ("(", _) => depth += 1,
            (")", _) => depth -= 1,
            _ => {}
        }
        if token.text == ")" && start == at + 1 {
            return Some(found);
        }
    }
    None
}

/// What stands in the parentheses behind AS, in the definition of a generated column.
fn computed<'a, 'b>(definition: &'b [Token<'a>]) -> Option<&'b [Token<'a>]> {
    let mut depth = 0;
    let mut start = None;
    for (at, token) in definition.iter().enumerate() {
        match token.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        match start {
            None if depth == 0 && token.is_word("AS") => start = Some(at + 2),
            Some(start) if depth == 0 => return definition.get(start..at),
            _ => {}
        }
    }
    None
}

/// A piece of the statement. Its text is as it stands there, quotes included.
#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    kind: Kind,
    /// Whether white space or a comment stands before it.
    apart: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name or a key word.
    Word,
    /// A name in double quotes, back quotes or brackets.
    Quoted,
    String,
    /// Numbers, operators, punctuation.
    Other,
}

impl PartialEq for Token<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.kind == other.kind
    }
}

impl<'a> Token<'a> {
    fn plain(text: &'a str) -> Token<'a> {
        Token { text, kind: Kind::Other, apart: false }
    }

    fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }

    /// The column of this name; SQLite ignores the case of ASCII letters.
    fn column(&self, columns: &[&str]) -> Option<usize> {
        let name = self.is_name().then(|| self.name())?;
        columns.iter().position(|it| it.eq_ignore_ascii_case(&name))
    }

    /// The name without its quotes.
    fn name(&self) -> String {
        let quote = match self.text.chars().next() {
            Some('"') => "\"",
            Some('`') => "`",
            Some('[') => return self.text[1..self.text.len() - 1].into(),
            _ => return self.text.into(),
        };
        self.text[1..self.text.len() - 1].replace(&quote.repeat(2), quote)
    }
}

/// Operators of several characters, longer ones first.
const OPERATORS: [&str; 10] = ["->>", "->", "<<", ">>", "<=", ">=", "<>", "!=", "==", "||"];

fn tokens(sql: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let (mut rest, mut apart) = (sql, false);
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            _ if first.is_ascii_whitespace() => Some(1),
            _ if rest.starts_with("--") => Some(rest.find('\n').map_or(rest.len(), |it| it + 1)),
            _ if rest.starts_with("/*") => Some(rest[2..].find("*/").map_or(rest.len(), |it| it + 4)),
            _ => None,
        };
        if let Some(length) = skipped {
            (rest, apart) = (&rest[length..], true);
            continue;
        }
        let (length, kind) = match first {
            '\'' => (quoted_length(rest, '\'')?, Kind::String),
            '"' | '`' => (quoted_length(rest, first)?, Kind::Quoted),
            '[' => (rest.find(']')? + 1, Kind::Quoted),
            _ if first.is_ascii_digit() => (length_of(rest, |it| in_word(it) || it == '.'), Kind::Other),
            _ if in_word(first) => (length_of(rest, in_word), Kind::Word),
            _ => {
                let operator = OPERATORS.iter().find(|it| rest.starts_with(**it));
                (operator.map_or(first.len_utf8(), |it| it.len()), Kind::Other)
            }
        };
        tokens.push(Token { text: &rest[..length], kind, apart });
        (rest, apart) = (&rest[length..], false);
    }
    Some(tokens)
}

fn in_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '$' || !character.is_ascii()
}

fn length_of(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|it| !belongs(it)).unwrap_or(text.len())
}

/// The bytes of what begins with a quote, up to the same quote; a doubled one stands for itself.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut from = 1;
    loop {
        let end = from + text[from..].find(quote)? + 1;
        if !text[end..].starts_with(quote) {
            return Some(end);
        }
        from = end + 1;
    }
}

fn without_order<'a, 'b>(tokens: &'b [Token<'a>]) -> &'b [Token<'a>] {
    match tokens {
        [rest @ .., last] if last.is_word("ASC") || last.is_word("DESC") => rest,
        all => all,
    }
}

fn expression(tokens: &[Token<'_>], columns: &[&str]) -> Option<Expression> {
    let mut result = Expression { text: String::new(), columns: Vec::new(), compares: false, reads_rowid: false };
    let (mut at, mut apart) = (0, false);
    while let Some(token) = tokens.get(at) {
        apart |= token.apart;
        let next = tokens.get(at + 1);
        // Only one table can be meant, and a trigger calls it by another name.
        if token.is_name() && next.is_some_and(|it| it.text == ".") {
            at += 2;
            continue;
        }
        if std::mem::take(&mut apart) && !result.text.is_empty() {
            result.text.push(' ');
        }
        let column = token.column(columns);
        let is_function = next.is_some_and(|it| it.text == "(");
        match column.filter(|_| !is_function) {
            Some(column) if !result.columns.contains(&column) => result.columns.push(column),
            _ => {}
        }
        if column.is_none() && token.text.starts_with('"') {
            // SQLite takes double quotes around what is no column for those of a string, but not in every process.
            result.text.push_str(&format!("'{}'", token.name().replace('\'', "''")));
        } else {
            result.text.push_str(token.text);
        }
        result.reads_rowid |= column.is_none() && ["rowid", "_rowid_", "oid"].iter().any(|it| token.is_word(it));
        result.compares |= compares(token, &tokens[at + 1..]);
        at += 1;
    }
    (!result.text.is_empty()).then_some(result)
}

/// Whether SQLite compares two values where `token` stands, before `rest`.
fn compares(token: &Token<'_>, rest: &[Token<'_>]) -> bool {
    let followed_by = |place: usize, word: &str| rest.get(place).is_some_and(|it| it.is_word(word));
    match token.kind {
        Kind::Other => matches!(token.text, "=" | "==" | "<" | "<=" | ">" | ">=" | "<>" | "!="),
        Kind::Word if token.is_word("IS") => {
            !(followed_by(0, "NULL") || (followed_by(0, "NOT") && followed_by(1, "NULL")))
        }
        Kind::Word if token.is_word("CASE") => !followed_by(0, "WHEN"),
        Kind::Word => token.is_word("IN") || token.is_word("BETWEEN"),
        Kind::Quoted | Kind::String => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 5] = ["id", "email", "deleted_at", "a\"b", "Größe"];

    fn taken_apart(list: &str) -> (Vec<(String, Vec<usize>, bool)>, Option<String>) {
        let text = index_text(&format!("CREATE UNIQUE INDEX \"on (\" ON users {list}"), &COLUMNS).expect(list);
        let parts = text.parts.into_iter().map(|it| (it.text, it.columns, it.compares)).collect();
        (parts, text.filter.map(|it| it.text))
    }

    #[test]
    fn expressions_are_cut_out_as_they_stand() {
        for (list, text, columns, compares) in [
            ("(lower(email))", "lower(email)", vec![1], false),
            ("(lower( EMAIL ) COLLATE NOCASE DESC)", "lower( EMAIL ) COLLATE NOCASE", vec![1], false),
            ("(coalesce(deleted_at, ',)''(') -- (,\n)", "coalesce(deleted_at, ',)''(')", vec![2], false),
            ("(/* a */email||/**/\"a\"\"b\"\n)", "email|| \"a\"\"b\"", vec![1, 3], false),
            ("([a\"b] + `id` * 1e-5)", "[a\"b] + `id` * 1e-5", vec![3, 0], false),
            ("(\"GRÖßE\")", "'GRÖßE'", vec![], false),
            ("(\"Größe\" || x'00')", "\"Größe\" || x'00'", vec![4], false),
            ("(json_extract(email, \"$.it's\"))", "json_extract(email, '$.it''s')", vec![1], false),
            ("(email ->> '$.a')", "email ->> '$.a'", vec![1], false),
            ("(email -> 1 << 2)", "email -> 1 << 2", vec![1], false),
            (
                "(CASE WHEN deleted_at IS NULL THEN email END)",
                "CASE WHEN deleted_at IS NULL THEN email END",
                vec![2, 1],
                false,
            ),
            ("(CASE deleted_at WHEN 1 THEN email END)", "CASE deleted_at WHEN 1 THEN email END", vec![2, 1], true),
            ("(deleted_at is not null)", "deleted_at is not null", vec![2], false),
            ("(deleted_at IS NOT 1)", "deleted_at IS NOT 1", vec![2], true),
            ("(email IN (1, 2))", "email IN (1, 2)", vec![1], true),
            ("((email<='a'))", "(email<='a')", vec![1], true),
            ("(1)", "1", vec![], false),
        ] {
            let (parts, filter) = taken_apart(list);
            assert_eq!(parts[0], (text.into(), columns, compares), "{list}");
            assert_eq!(filter, None, "{list}");
        }
    }

    #[test]
    fn conditions_lose_the_name_of_their_table() {
        let (parts, filter) =
            taken_apart("(email ASC, id)WHERE users.deleted_at IS NULL and main.\"users\" . id > 0.5 OR users.id=1");
        assert_eq!(parts.iter().map(|it| it.0.as_str()).collect::<Vec<_>>(), ["email", "id"]);
        assert_eq!(filter.as_deref(), Some("deleted_at IS NULL and id > 0.5 OR id=1"));
    }

    #[test]
    fn generated_columns_are_found_in_their_tables_statement() {
        let sql = "CREATE TABLE \"t, (\"(id INTEGER PRIMARY KEY, -- AS (no)
            email VARCHAR(20) DEFAULT ('AS (x)') CHECK (email <> CAST(1 AS TEXT)),
            deleted_at AS (lower(email) || (id)) STORED,
            [a\"b] INT GENERATED ALWAYS AS (length(deleted_at)) VIRTUAL NOT NULL,
            Größe, UNIQUE (email, \"a\"\"b\")) STRICT";
        let found = generated(sql, &COLUMNS).expect(sql);
        let found: Vec<_> =
            found.iter().map(|it| it.as_ref().map(|it| (it.text.as_str(), it.columns.as_slice()))).collect();
        let expected =
            [None, None, Some(("lower(email) || (id)", &[1, 0][..])), Some(("length(deleted_at)", &[2][..])), None];
        assert_eq!(found, expected);
        assert_eq!(generated("CREATE TABLE t(id, email AS (1)", &COLUMNS), None);
    }

    #[test]
    fn what_is_no_index_is_not_guessed_at() {
        for sql in [
            "",
            "CREATE INDEX i",
            "CREATE INDEX i ON t",
            "CREATE INDEX i ON t (a",
            "CREATE INDEX i ON t (a) x",
            "CREATE INDEX i ON t ('a)",
        ] {
            assert_eq!(index_text(sql, &COLUMNS), None, "{sql}");
        }
    }
}
