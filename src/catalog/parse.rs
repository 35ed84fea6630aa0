//! Reads `*.sql` files into a [`Catalog`].
//!
//! All problems of all files are collected: a statement that cannot be read does not hide the next one.

use std::path::{Path, PathBuf};

use super::resolve::resolve;
use super::statement::parse_statement;
use super::tokens::{split_statements, tokenize};
use super::{Catalog, File, Problem};

/// Reads every `*.sql` file of `directory`, in name order. On failure the files are returned with the problems, so
/// that these can be rendered.
pub fn read_directory(directory: &Path) -> Result<Catalog, (Vec<File>, Vec<Problem>)> {
    let unreadable = |path: &Path, error: std::io::Error| Problem {
        message: format!("{} cannot be read: {error}", path.display()),
        span: None,
        hint: None,
    };
    let paths = sql_files(directory).map_err(|error| (Vec::new(), vec![unreadable(directory, error)]))?;
    if paths.is_empty() {
        let message = format!("there is no *.sql file in {}", directory.display());
        return Err((
            Vec::new(),
            vec![Problem { message, span: None, hint: Some("declare sources, tables and views there".into()) }],
        ));
    }
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                // Some editors begin a file with a byte order mark.
                let text = text.trim_start_matches('\u{feff}').to_string();
                files.push(File { path: path.display().to_string(), text });
            }
            Err(error) => problems.push(unreadable(&path, error)),
        }
    }
    read_files(files, problems)
}

fn sql_files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "sql") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads files that are already in memory; `problems` were found before.
pub(crate) fn read_files(files: Vec<File>, mut problems: Vec<Problem>) -> Result<Catalog, (Vec<File>, Vec<Problem>)> {
    let mut declared = Vec::new();
    let mut incomplete = !problems.is_empty();
    for (number, file) in files.iter().enumerate() {
        let tokens = match tokenize(number, &file.text) {
            Ok(tokens) => tokens,
            Err(problem) => {
                problems.push(problem);
                incomplete = true;
                continue;
            }
        };
        for statement in split_statements(tokens) {
            match parse_statement(number, &file.text, &statement) {
                Ok(it) => declared.push(it),
                Err(problem) => {
                    problems.push(problem);
                    incomplete = true;
                }
            }
        }
    }
    let unreadable = problems.len();
    let catalog = resolve(files, declared, &mut problems);
    if incomplete {
        // A name may be missing only because its own statement could not be read; say so once that is repaired.
        let mut at = 0;
        problems.retain(|it| {
            at += 1;
            at <= unreadable || !it.message.ends_with("does not exist")
        });
    }
    if problems.is_empty() {
        return Ok(catalog);
    }
    problems.sort_by_key(|it| it.span.map(|span| (span.file, span.start)));
    Err((catalog.files, problems))
}
