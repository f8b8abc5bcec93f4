//! The README says what is true.

use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- settings: written from `driftless run --help`, checked by tests/cli/readme.rs -->\n";
const END: &str = "<!-- end of settings -->\n";

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The table of all settings, from the declarations that the program itself uses.
fn settings_table() -> String {
    let command = driftless::cli::command();
    let run = command.find_subcommand("run").unwrap();
    let mut table = String::from("| Flag | Environment | Default | Meaning |\n|---|---|---|---|\n");
    for arg in run.get_arguments().filter(|arg| arg.get_long() != Some("help")) {
        let flag = arg.get_long().unwrap();
        let value = arg.get_value_names().unwrap().first().unwrap();
        let env = arg.get_env().unwrap().to_str().unwrap();
        let help = arg.get_help().unwrap().to_string();
        let (meaning, told) = match help.split_once(" [default: ") {
            Some((meaning, default)) => (meaning.to_owned(), default.trim_end_matches(']').to_owned()),
            None => (help.clone(), String::new()),
        };
        let default = match arg.get_default_values().first() {
            Some(default) => format!("`{}`", default.to_str().unwrap()),
            None => told,
        };
        let row = [format!("`--{flag} {value}`"), format!("`{env}`"), default, meaning];
        table.push_str(&format!("| {} |\n", row.map(|cell| cell.replace('|', "\\|")).join(" | ")));
    }
    table
}

#[test]
fn the_settings_are_those_of_the_program() {
    let readme = readme();
    let written = readme.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(table, _)| table);
    let expected = settings_table();
    assert_eq!(written, Some(expected.as_str()), "README.md needs this table between its marks:\n{expected}");
}

#[test]
fn files_that_are_named_exist() {
    let readme = readme();
    let mut named = 0;
    for word in readme.split(|c: char| c.is_whitespace() || matches!(c, '`' | '(' | ')' | ',' | ':' | ';')) {
        let word = word.trim_end_matches('.');
        if ["hack/", "deploy/", "src/", "tests/"].iter().any(|folder| word.starts_with(folder)) {
            assert!(
                Path::new(env!("CARGO_MANIFEST_DIR")).join(word).exists(),
                "README.md names {word}, which is not there"
            );
            named += 1;
        }
    }
    assert!(named > 3, "README.md names only {named} files: has the form changed?");
}
