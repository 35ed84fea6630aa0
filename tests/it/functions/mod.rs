//! Every function and operator of PostgreSQL's manual over edge values: as a query, as a kept view, of columns and of
//! constants, against a real PostgreSQL. What Vantage answers is PostgreSQL's value; what it cannot do it refuses.

mod cases;
mod hole;
mod judge;
mod site;

use std::collections::{BTreeMap, BTreeSet};

use crate::support::postgres::{Answer, Failure, Session};
use hole::{KINDS, ROWS, Template, VARIANTS};
use judge::{Typed, difference};
use site::{Found, Site};

/// Expressions that may be refused.
const MAX_REFUSED: usize = 105;

/// Differences that are shown.
const SHOWN: usize = 60;

/// Expressions whose value or type is another here by decision, as the manual of Vantage says, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("log(2.0, 64.0)", "roots, powers and logarithms are doubles"),
    ("1e30 * 1e20", "a numeric has at most 38 digits"),
    ("$i * 1000000007", "constants are bigint beside each other"),
    ("$i * $i", "constants are bigint beside each other"),
    ("'0x10'::double precision", "hexadecimal doubles are not read"),
    ("$z AT TIME ZONE 'EST5EDT'", "what this name meant before 1883 depends on the edition of the time zone database"),
];

/// What came of the comparisons.
#[derive(Default)]
struct Report {
    same: usize,
    both_fail: usize,
    /// Expressions that were refused, by reason.
    refused: BTreeMap<String, BTreeSet<String>>,
    different: Vec<String>,
}

impl Report {
    fn refuse(&mut self, reason: &str, template: &str) {
        self.refused.entry(reason.into()).or_default().insert(template.into());
    }

    fn add(&mut self, way: &str, template: &str, expression: &str, wanted: &Wanted, found: &Found) {
        let detail = match (wanted, found) {
            // PostgreSQL has no such expression: there is nothing to be equal to.
            (Wanted::Invalid, _) => return,
            (Wanted::Failed(_), Found::Failed(_) | Found::Refused(_)) => {
                self.both_fail += 1;
                return;
            }
            (Wanted::Failed(message), Found::Value(it)) => format!("{it:?}, where PostgreSQL fails: {message}"),
            (Wanted::Value(_), Found::Refused(reason)) => {
                self.refuse(reason, template);
                return;
            }
            (Wanted::Value(_), Found::Failed(reason))
                if reason.contains("not supported") || reason.contains("too many digits") =>
            {
                self.refuse(reason, template);
                return;
            }
            (Wanted::Value(it), Found::Failed(message)) => format!("fails: {message}; PostgreSQL has {:?}", it.text),
            (Wanted::Value(wanted), Found::Value(found)) => match difference(wanted, found) {
                None => {
                    self.same += 1;
                    return;
                }
                Some(detail) => detail,
            },
        };
        if EXCEPTIONS.iter().all(|(it, _)| *it != template) {
            self.different.push(format!("{way}: {expression}: {detail}"));
        }
    }
}

/// What PostgreSQL says.
enum Wanted {
    Value(Typed),
    /// The value cannot be computed.
    Failed(String),
    /// There is no such expression.
    Invalid,
}

impl Wanted {
    fn of(answer: Result<Answer, Failure>) -> Wanted {
        match answer {
            Ok(answer) => {
                Wanted::Value(Typed { data_type: answer.columns[0].1.into(), text: answer.rows[0][0].clone() })
            }
            Err(failure) if failure.sqlstate.starts_with("42") || failure.sqlstate.starts_with("0A") => Wanted::Invalid,
            Err(failure) => Wanted::Failed(failure.message),
        }
    }
}

/// The table in PostgreSQL. Letters have cases and classes there as they have in UTF-8.
fn create_table(postgres: &mut Session) {
    let collation = "SELECT collname FROM pg_collation WHERE collname IN ('C.utf8', 'C.UTF-8') ORDER BY 1";
    let collation = postgres.query(collation).expect("an answer").rows[0][0].clone().expect("a UTF-8 collation");
    let columns = KINDS.iter().flat_map(|kind| (0..VARIANTS).map(move |variant| (kind, variant)));
    let declared = columns.clone().map(|(kind, variant)| {
        let collate = if kind.data_type == "text" { format!(" COLLATE \"{collation}\"") } else { String::new() };
        format!("{} {}{collate}", kind.column(variant), kind.data_type)
    });
    postgres.execute(&format!("CREATE TEMP TABLE t (id bigint, {})", declared.collect::<Vec<_>>().join(", ")));
    for row in 0..ROWS {
        let values = columns.clone().map(|(kind, variant)| kind.literal(kind.value(variant, row)));
        postgres.execute(&format!("INSERT INTO t VALUES ({row}, {})", values.collect::<Vec<_>>().join(", ")));
    }
}

#[test]
fn functions_and_operators_have_postgresqls_values() {
    let mut postgres = Session::open();
    create_table(&mut postgres);
    let only = std::env::var("ONLY").ok();
    let templates: Vec<&str> = cases::CHAPTERS.iter().flat_map(|(_, it)| it.iter().copied()).collect();
    let templates: Vec<&str> =
        templates.into_iter().filter(|it| only.as_ref().is_none_or(|only| it.contains(only.as_str()))).collect();
    let mut site = Site::start(&mut postgres, &templates);
    let mut report = Report::default();
    for (number, text) in templates.iter().enumerate() {
        let template = Template::parse(text);
        over_columns(&mut report, &mut postgres, &mut site, number, text, &template);
        over_constants(&mut report, &mut postgres, &mut site, text, &template);
    }
    site.stop();
    println!("{} values are the same, {} fail in both", report.same, report.both_fail);
    for (reason, expressions) in &report.refused {
        println!("refused: {reason}: {expressions:?}");
    }
    let different = report.different.len();
    for line in report.different.iter().take(std::env::var("SHOW").map_or(SHOWN, |it| it.parse().expect("a number"))) {
        println!("different: {line}");
    }
    let refused = report.refused.values().flatten().collect::<BTreeSet<_>>().len();
    assert!(only.is_some() || refused <= MAX_REFUSED, "{refused} expressions are refused, see above");
    assert_eq!(different, 0, "values differ from PostgreSQL's; see above");
}

/// The expression over the table's columns, as a query and as a view.
fn over_columns(
    report: &mut Report,
    postgres: &mut Session,
    site: &mut Site,
    number: usize,
    text: &str,
    template: &Template,
) {
    let expression = template.over_columns();
    let rows = if template.holes.is_empty() { 1 } else { ROWS };
    let texts: Vec<String> = (0..rows).map(|row| format!("SELECT {expression} AS v FROM t WHERE id = {row}")).collect();
    let wanted: Vec<Wanted> = postgres.queries(&texts).into_iter().map(Wanted::of).collect();
    for (row, wanted) in wanted.iter().enumerate() {
        let found = site.ask(&texts[row]);
        report.add("query", text, &texts[row], wanted, &found);
        let found = site.kept(number, row);
        report.add("view", text, &texts[row], wanted, &found);
    }
}

/// The expression over constants, and over a column and constants, for some rows.
fn over_constants(report: &mut Report, postgres: &mut Session, site: &mut Site, text: &str, template: &Template) {
    if template.holes.is_empty() {
        return;
    }
    for mixed in [false, true] {
        if mixed && template.holes.len() < 2 {
            continue;
        }
        for row in (0..ROWS).step_by(if mixed { 11 } else { 5 }) {
            let expression = template.filled(|at, kind, variant| match mixed && at == 0 {
                true => kind.column(variant),
                false => kind.literal(kind.value(variant, row)),
            });
            if !expression.is_ascii() {
                // Letters of constants have cases only as far as ASCII goes there.
                continue;
            }
            let sql = format!("SELECT {expression} AS v FROM t WHERE id = {row}");
            let wanted = Wanted::of(postgres.query(&sql));
            let found = site.ask(&sql);
            report.add(if mixed { "mixed" } else { "constants" }, text, &sql, &wanted, &found);
        }
    }
}
