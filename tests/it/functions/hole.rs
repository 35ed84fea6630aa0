//! The values that expressions are tried with, as columns of one table and as constants.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Rows of the table.
pub(super) const ROWS: usize = 24;
/// Columns of each type.
pub(super) const VARIANTS: usize = 3;

/// A type of hole: its letter, PostgreSQL's type, and the values, NULL among them.
pub(super) struct Kind {
    pub(super) letter: char,
    pub(super) data_type: &'static str,
    values: &'static [Option<&'static str>],
}

macro_rules! values {
    ($($value:expr),+ $(,)?) => { &[None, $(Some($value)),+] };
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        letter: 's',
        data_type: "text",
        values: values![
            "abc",
            "",
            "Hello World",
            "a,b,,c",
            " x ",
            "ÀÉß€ é",
            "100%",
            "a_b\\c",
            "foo.bar(1)",
            "7",
            "xyx yx",
            "tRue",
            "2024-02-29",
            "lol l",
            "a\nb"
        ],
    },
    Kind {
        letter: 'p',
        data_type: "text",
        values: values![
            "a.c",
            "^[A-Z]\\w+",
            "(?:o|l)+",
            "x*",
            "\\d+",
            "b|bc",
            "\\s",
            "[aeiou].?",
            "l+?",
            "%o%",
            "_%",
            "[^a-z]+",
            "\\W",
            "(l)(.)?"
        ],
    },
    Kind {
        letter: 'c',
        data_type: "text",
        values: values![" ", "o", ",", "l", "", "abc", "hex", "é", "x", "base64", "escape"],
    },
    Kind {
        letter: 'i',
        data_type: "integer",
        values: values!["0", "1", "-1", "2", "7", "-7", "100", "2147483647", "-2147483648", "5", "12", "3"],
    },
    Kind {
        letter: 'j',
        data_type: "bigint",
        values: values![
            "0",
            "1",
            "-5",
            "10",
            "9223372036854775807",
            "-9223372036854775808",
            "1000000",
            "3",
            "2147483648"
        ],
    },
    Kind {
        letter: 'n',
        data_type: "numeric(12,3)",
        values: values!["0", "1.5", "-1.5", "2.5", "0.001", "999999999.999", "-0.05", "12.345", "7", "-2.5"],
    },
    Kind {
        letter: 'f',
        data_type: "double precision",
        values: values![
            "0",
            "1.5",
            "-2.5",
            "1e20",
            "1e-10",
            "NaN",
            "Infinity",
            "-Infinity",
            "0.1",
            "2.5",
            "3.5",
            "100",
            "0.5",
            "-1"
        ],
    },
    Kind { letter: 'b', data_type: "boolean", values: values!["true", "false"] },
    Kind {
        letter: 'y',
        data_type: "bytea",
        values: values!["\\x61", "\\xff", "\\x", "\\x00ff", "\\xc3a9", "\\x5c00", "\\x616263", "\\x61ff61"],
    },
    Kind {
        letter: 'd',
        data_type: "date",
        values: values![
            "2024-02-29",
            "1969-12-31",
            "2000-01-01",
            "0001-01-01",
            "9999-12-31",
            "1900-03-01",
            "2021-01-03",
            "0044-03-15 BC",
            "2262-05-01",
            "2024-12-30"
        ],
    },
    Kind {
        letter: 't',
        data_type: "timestamp",
        values: values![
            "2024-02-29 13:45:10.5",
            "1969-12-31 23:59:59.999999",
            "2000-01-01",
            "0001-01-01 00:00:00.000001",
            "9999-12-31 23:59:59",
            "1900-03-01 12:00",
            "2024-07-01 02:30",
            "0044-03-15 06:00 BC",
            "2262-05-01 01:02:03",
            "2024-03-31 02:30:00",
            "2024-10-27 02:30:00",
            "2016-12-31 23:59:59.5"
        ],
    },
    Kind {
        letter: 'z',
        data_type: "timestamptz",
        values: values![
            "2024-02-29 13:45:10.5+00",
            "1969-12-31 23:59:59.999999+00",
            "2000-01-01 00:00+00",
            "0001-01-01 00:00:00.000001+00",
            "9999-12-31 23:59:59+00",
            "1920-03-01 12:00+00",
            "2024-07-01 02:30+00",
            "2262-05-01 01:02:03+00",
            "2024-03-31 00:59:59+00",
            "2024-03-31 01:00+00",
            "2024-10-27 00:30+00",
            "2024-10-27 01:30+00"
        ],
    },
    Kind {
        letter: 'u',
        data_type: "text",
        values: values![
            "second",
            "minute",
            "hour",
            "day",
            "week",
            "month",
            "quarter",
            "year",
            "decade",
            "century",
            "millennium",
            "milliseconds",
            "microseconds",
            "dow",
            "epoch",
            "isoyear",
            "nope",
            "DAY",
            "doy",
            "isodow",
            "timezone",
            "mons",
            "us"
        ],
    },
    Kind {
        letter: 'x',
        data_type: "text",
        values: values![
            "Europe/Berlin",
            "America/New_York",
            "Asia/Kolkata",
            "UTC",
            "Pacific/Apia",
            "Australia/Lord_Howe",
            "Nowhere",
            "est",
            "America/Sao_Paulo",
            "CET"
        ],
    },
];

impl Kind {
    pub(super) fn of(letter: char) -> &'static Kind {
        KINDS.iter().find(|it| it.letter == letter).unwrap_or_else(|| panic!("no hole ${letter}"))
    }

    /// The value of a row in the column of a variant. The first goes through all values.
    pub(super) fn value(&self, variant: usize, row: usize) -> Option<&'static str> {
        if variant == 0 {
            return self.values[row % self.values.len()];
        }
        let seed = u64::from(self.letter as u32) * 1_000 + (row * VARIANTS + variant) as u64;
        self.values[SmallRng::seed_from_u64(seed).random_range(0..self.values.len())]
    }

    pub(super) fn column(&self, variant: usize) -> String {
        format!("{}{}", self.letter, variant + 1)
    }

    /// A value as SQL says it.
    pub(super) fn literal(&self, value: Option<&str>) -> String {
        let stem = self.data_type.split('(').next().expect("a name");
        match (value, stem) {
            (None, _) => format!("CAST(NULL AS {stem})"),
            (Some(it), "text") => format!("'{}'", it.replace('\'', "''")),
            (Some(it), "boolean") => it.into(),
            (Some(it), "numeric") => {
                if it.starts_with('-') {
                    format!("({it})")
                } else {
                    it.into()
                }
            }
            (Some(it), "integer") if it.len() < 5 => {
                if it.starts_with('-') {
                    format!("({it})")
                } else {
                    it.into()
                }
            }
            (Some(it), stem) => format!("'{it}'::{stem}"),
        }
    }
}

/// An expression: text, and between its pieces holes with their variants.
pub(super) struct Template {
    pieces: Vec<String>,
    pub(super) holes: Vec<(&'static Kind, usize)>,
}

impl Template {
    pub(super) fn parse(text: &str) -> Template {
        let (mut pieces, mut holes) = (vec![String::new()], Vec::<(&'static Kind, usize)>::new());
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let hole =
                letters.peek().copied().filter(|it| letter == '$' && it.is_ascii_lowercase() && !text.contains("$$"));
            let Some(hole) = hole else {
                pieces.last_mut().expect("a piece").push(letter);
                continue;
            };
            letters.next();
            let variant = holes.iter().filter(|(it, _)| it.letter == hole).count();
            assert!(variant < VARIANTS, "{text}");
            holes.push((Kind::of(hole), variant));
            pieces.push(String::new());
        }
        Template { pieces, holes }
    }

    /// The expression with its holes filled.
    pub(super) fn filled(&self, fill: impl Fn(usize, &'static Kind, usize) -> String) -> String {
        let mut text = self.pieces[0].clone();
        for (at, (kind, variant)) in self.holes.iter().enumerate() {
            text += &fill(at, kind, *variant);
            text += &self.pieces[at + 1];
        }
        text
    }

    pub(super) fn over_columns(&self) -> String {
        self.filled(|_, kind, variant| kind.column(variant))
    }
}
