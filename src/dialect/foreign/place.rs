//! Where words stand in a statement.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// The lines and columns, from 1, of the start and the end of the first tokens of `text` that are those of `words`,
/// compared without case.
pub(crate) fn find_words(text: &str, words: &str) -> Option<[u64; 4]> {
    let tokens = |text: &str| {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().unwrap_or_default();
        tokens.into_iter().filter(|it| !matches!(it.token, Token::Whitespace(_))).collect::<Vec<_>>()
    };
    let plain = |token: &Token| match token {
        Token::Word(word) => word.value.to_lowercase(),
        other => other.to_string(),
    };
    let wanted: Vec<String> = tokens(words).iter().map(|it| plain(&it.token)).collect();
    let all = tokens(text);
    let found = all.windows(wanted.len().max(1)).find(|window| {
        window.len() == wanted.len() && window.iter().zip(&wanted).all(|(token, word)| plain(&token.token) == *word)
    })?;
    let (start, end) = (found.first()?.span.start, found.last()?.span.end);
    Some([start.line, start.column, end.line, end.column])
}
