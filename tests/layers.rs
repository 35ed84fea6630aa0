//! The layers are a DAG: `use crate::…` and inline `crate::…` paths are read from the source and held against a table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Who may import whom. `main` and `demo` stand on top and may use everything below.
const ALLOWED: &[(&str, &[&str])] = &[
    // A crate of its own, because an allocator takes `unsafe`, which ours forbids.
    ("metered", &[]),
    ("change", &[]),
    ("catalog", &["change", "dialect"]),
    ("source", &["change", "catalog"]),
    ("dialect", &["change"]),
    ("plan", &["change", "catalog", "dialect"]),
    ("store", &["change", "catalog"]),
    ("dataflow", &["change", "dialect", "plan", "store"]),
    ("serve", &["change", "catalog", "dialect", "store"]),
    ("engine", &["change", "catalog", "source", "plan", "store", "dataflow"]),
    ("demo", &["change", "catalog", "source", "plan", "store", "dataflow", "serve", "engine"]),
];

fn rust_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("readable source directory") {
        let path = entry.expect("readable entry").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
}

/// Top-level modules of this crate that `text` names, comments left out.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let word = |rest: &str| rest.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            // `use crate::{change::Row, store};`: every name at depth one of the braces.
            Some(group) => {
                let (mut depth, mut start) = (0, true);
                for (index, it) in group.char_indices() {
                    match it {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        _ if start && !it.is_whitespace() => {
                            found.insert(word(&group[index..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
            None => {
                found.insert(word(rest));
            }
        }
    }
    found
}

#[test]
fn layers_never_point_back() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut violations = Vec::new();
    for (layer, allowed) in ALLOWED {
        let mut files = Vec::new();
        rust_files(&source.join(layer), &mut files);
        assert!(!files.is_empty(), "layer {layer} has no files: rename it in this table too");
        for file in files {
            let text = std::fs::read_to_string(&file).expect("readable source file");
            for import in imports(&text) {
                let known = ALLOWED.iter().any(|(name, _)| *name == import);
                if known && import != *layer && !allowed.contains(&import.as_str()) {
                    violations.push(format!("{}: {layer} must not use {import}", file.display()));
                }
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_folder_is_a_layer_of_the_table() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(source).expect("readable source directory") {
        let entry = entry.expect("readable entry");
        if entry.path().is_dir() {
            let name = entry.file_name().to_string_lossy().into_owned();
            assert!(ALLOWED.iter().any(|(layer, _)| *layer == name), "src/{name} is not in the table of layers");
        }
    }
}

#[test]
fn every_file_opens_with_its_concept_and_stays_readable() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    ["src", "tests", "benches"].iter().for_each(|it| rust_files(&root.join(it), &mut files));
    let mut violations = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable source file");
        if !text.starts_with("//!") {
            violations.push(format!("{} does not open with a //! line", file.display()));
        }
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        if file.starts_with(root.join("src")) && !file.ends_with("tests.rs") && lines > 500 {
            violations.push(format!("{} has {lines} lines before its tests", file.display()));
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn the_import_reader_sees_every_form() {
    let text = "use crate::{change::{Row, Delta}, store};\nlet x = crate::plan::plan();\n// crate::serve::no\n";
    let expected: BTreeSet<String> = ["change", "store", "plan"].iter().map(|it| (*it).to_string()).collect();
    assert_eq!(imports(text), expected);
}

#[test]
fn the_image_is_built_with_every_file_the_code_includes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().expect("root");
    let dockerfile = std::fs::read_to_string(root.join("deploy/Dockerfile")).expect("readable Dockerfile");
    let before_build = dockerfile.split("RUN cargo build").next().unwrap_or_default();
    let copies = before_build.lines().filter_map(|line| line.strip_prefix("COPY ")?.rsplit_once(' '));
    let copied: Vec<PathBuf> =
        copies.flat_map(|(sources, _)| sources.split(' ')).map(|source| root.join(source)).collect();
    let copied = |path: &Path| copied.iter().any(|it| path.starts_with(it));
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    let mut included = 0;
    for file in files {
        assert!(copied(&file), "{} is not copied", file.display());
        let text = std::fs::read_to_string(&file).expect("readable source file");
        for (at, call) in text.match_indices("include_str!(\"") {
            let name = text[at + call.len()..].split('"').next().unwrap_or_default();
            let path = file.parent().expect("directory").join(name).canonicalize().expect("included file");
            assert!(copied(&path), "{} is included by {} and not copied", path.display(), file.display());
            included += 1;
        }
    }
    assert!(included > 0, "the reader of inclusions sees none");
}
