//! Names and values as SQL writes them.

/// A name in quotes.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in quotes; the sessions read backslashes as themselves.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Several of them, with commas between.
pub(super) fn list<T>(items: impl IntoIterator<Item = T>, write: impl Fn(T) -> String) -> String {
    items.into_iter().map(write).collect::<Vec<_>>().join(", ")
}

/// The name of a table at the source: its schema and its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TableName {
    pub(super) schema: String,
    pub(super) name: String,
}

impl TableName {
    /// From `name`, `schema.name`, with either part in quotes or not; a bare one is taken as it is written. Without a
    /// schema it is one of `schema`.
    pub(super) fn parse(text: &str, schema: &str) -> TableName {
        let (first, rest) = part(text);
        match rest.strip_prefix('.') {
            Some(rest) => TableName { schema: first, name: part(rest).0 },
            None => TableName { schema: schema.into(), name: first },
        }
    }

    /// As SQL reads it.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }

    /// As people read it.
    pub(super) fn shown(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// The first part of a name, and what stands behind it.
fn part(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('.').unwrap_or(text.len());
        return (text[..end].into(), &text[end..]);
    };
    let mut name = String::new();
    let mut rest = quoted;
    while let Some(at) = rest.find('"') {
        name.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return (name, rest),
        }
    }
    name.push_str(rest);
    (name, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_schema_or_get_one() {
        for (text, schema, name) in [
            ("orders", "public", "orders"),
            ("shop.orders", "shop", "orders"),
            ("\"My Shop\".\"a.b\"", "My Shop", "a.b"),
            ("\"say \"\"hi\"\"\"", "public", "say \"hi\""),
            ("shop.\"Orders\"", "shop", "Orders"),
        ] {
            let read = TableName::parse(text, "public");
            assert_eq!((read.schema.as_str(), read.name.as_str()), (schema, name), "{text}");
            assert_eq!(TableName::parse(&read.quoted(), "other"), read, "{text}");
        }
        assert_eq!(literal("it's"), "'it''s'");
    }
}
