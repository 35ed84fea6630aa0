//! PostgreSQL's regular expressions on an engine with another syntax and other rules of choice.
//!
//! The pattern is translated letter by letter; what the engine cannot do, or would do otherwise, is refused. PostgreSQL
//! takes the longest of the matches that begin first, or the shortest when the first quantifier is a lazy one; a DFA
//! over all matches finds either.

use std::sync::{Arc, LazyLock};

use quick_cache::sync::Cache;
use regex_automata::hybrid::dfa::DFA;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::Failure;
use super::pattern_syntax::{Translated, translate};

/// How many patterns are kept compiled.
const KEPT: usize = 256;
/// The most memory one pattern may take.
const MAX_PATTERN_BYTES: usize = 4 << 20;

/// The failure of a pattern that takes too much memory.
pub(in crate::dialect) const TOO_LARGE: &str = "invalid regular expression: regular expression is too complex";

type Known = Cache<(String, bool), Arc<Pattern>>;

static KNOWN: LazyLock<Known> = LazyLock::new(|| Cache::new(KEPT));

/// A compiled pattern.
#[derive(Debug)]
pub(in crate::dialect) struct Pattern {
    /// Finds where a match begins, and captures.
    regex: Regex,
    /// Finds where it ends.
    ends: DFA,
    translated: Translated,
}

/// Where something is, in bytes.
pub(in crate::dialect) type Span = std::ops::Range<usize>;

impl Pattern {
    /// Compiles `pattern`, or takes the one that is known.
    pub(in crate::dialect) fn new(pattern: &str, ignore_case: bool) -> Result<Arc<Pattern>, Failure> {
        let key = (pattern.to_owned(), ignore_case);
        if let Some(known) = KNOWN.get(&key) {
            return Ok(known);
        }
        let compiled = Arc::new(Pattern::compile(pattern, ignore_case)?);
        KNOWN.insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }

    fn compile(pattern: &str, ignore_case: bool) -> Result<Pattern, Failure> {
        let translated = translate(pattern)?;
        let too_large = || TOO_LARGE.to_string();
        let syntax = syntax::Config::new().case_insensitive(ignore_case).dot_matches_new_line(true);
        let config = Regex::config().nfa_size_limit(Some(MAX_PATTERN_BYTES));
        let regex = Regex::builder().syntax(syntax).configure(config).build(&translated.text);
        let config =
            DFA::config().match_kind(MatchKind::All).unicode_word_boundary(true).skip_cache_capacity_check(true);
        let ends = DFA::builder()
            .syntax(syntax)
            .thompson(regex_automata::nfa::thompson::Config::new().nfa_size_limit(Some(MAX_PATTERN_BYTES)))
            .configure(config)
            .build(&translated.text);
        Ok(Pattern { regex: regex.map_err(|_| too_large())?, ends: ends.map_err(|_| too_large())?, translated })
    }

    pub(in crate::dialect) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// How many groups the pattern has.
    pub(in crate::dialect) fn groups(&self) -> usize {
        self.regex.captures_len() - 1
    }

    /// The first match that begins at `from` or later.
    pub(in crate::dialect) fn find(&self, text: &str, from: usize) -> Result<Option<Span>, Failure> {
        let Some(first) = self.regex.find(Input::new(text).range(from..)) else { return Ok(None) };
        if !self.translated.has_choice {
            return Ok(Some(first.range()));
        }
        let start = first.start();
        let input = Input::new(text).range(start..).anchored(Anchored::Yes).earliest(self.translated.is_lazy);
        let mut cache = self.ends.create_cache();
        let end = match self.ends.try_search_fwd(&mut cache, &input) {
            Ok(Some(end)) => end.offset(),
            Ok(None) => unreachable!("a match begins where one was found"),
            Err(_) => return Err("a regular expression with word boundaries over such a text is not supported".into()),
        };
        Ok(Some(start..end))
    }

    /// What the groups have of a match; `None`: nothing.
    pub(in crate::dialect) fn captures(&self, text: &str, found: &Span) -> Result<Vec<Option<Span>>, Failure> {
        if self.groups() == 0 {
            return Ok(Vec::new());
        }
        if let Some(reason) = self.translated.no_captures {
            return Err(format!("the groups of a regular expression with {reason} are not supported"));
        }
        let mut captures = self.regex.create_captures();
        let input = Input::new(&text[..found.end]).range(found.start..).anchored(Anchored::Yes);
        self.regex.captures(input, &mut captures);
        if captures.get_match().is_none_or(|it| it.range() != *found) {
            return Err("the groups of this regular expression are not supported".into());
        }
        Ok((1..=self.groups()).map(|it| captures.get_group(it).map(|it| it.range())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first<'t>(pattern: &str, text: &'t str) -> Option<&'t str> {
        let pattern = Pattern::new(pattern, false).expect(pattern);
        pattern.find(text, 0).expect("supported").map(|it| &text[it])
    }

    #[test]
    fn the_longest_match_or_the_shortest() {
        let cases = [
            ("a|ab", "xab", Some("ab")),
            ("a?(ab)?", "ab", Some("ab")),
            ("x*", "aaa", Some("")),
            (".*?b", "aabb", Some("aab")),
            ("a.c", "a\nc", Some("a\nc")),
            ("\\d+", "a12", Some("12")),
            ("[[:alpha:]_-]+", "1a_-b", Some("a_-b")),
            ("^b", "ab", None),
            ("a{2}", "aaa", Some("aa")),
            ("\\mfoo\\M", "xfoo foo", Some("foo")),
        ];
        for (pattern, text, found) in cases {
            assert_eq!(first(pattern, text), found, "{pattern}");
        }
    }

    #[test]
    fn what_the_engine_cannot_do_is_refused() {
        for (pattern, reason) in [
            ("(?=a)", "a look at what follows or precedes in a regular expression is not supported"),
            ("b(?<!a)", "a look at what follows or precedes in a regular expression is not supported"),
            ("(?i)a", "options in front of a regular expression are not supported; give them as flags"),
        ] {
            assert_eq!(Pattern::new(pattern, false).err().as_deref(), Some(reason), "{pattern}");
        }
        for pattern in ["(a)\\1", "a(?=b)", "(", "a**", "[a", "\\", "(?i)a", "***:a", "a{300}", "[[.a.]]"] {
            assert!(Pattern::new(pattern, false).is_err(), "{pattern}");
        }
    }
}
