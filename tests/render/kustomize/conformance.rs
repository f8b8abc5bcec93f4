//! Every case, built by kustomize and by us.

use super::case::Case;
use super::program::{ask, in_parallel};

/// Set in order to write the program's answers into the cases.
const UPDATE: &str = "DRIFTLESS_UPDATE_CASES";

#[test]
fn there_are_cases_of_every_feature() {
    let cases = Case::all();
    assert!(cases.len() >= 400, "only {} cases", cases.len());
    for feature in [
        "components",
        "generators",
        "images",
        "interactions",
        "labels",
        "names",
        "namespace",
        "order",
        "patches",
        "replacements",
        "resources",
        "vars",
        "yaml",
    ] {
        let count = cases.iter().filter(|case| case.feature() == feature).count();
        assert!(count >= 5, "only {count} cases of {feature}");
    }
}

#[test]
fn the_outputs_are_what_the_program_prints() {
    let update = std::env::var_os(UPDATE).is_some();
    let wrong: Vec<String> = in_parallel(Case::all(), |case| {
        let problem = match (ask(case), &case.fails) {
            (Err(error), None) => Some(format!("the program fails: {error}")),
            (Ok(_), Some(_)) => Some("the program doesn't fail".to_owned()),
            (Err(_), Some(_)) => case.output.as_ref().map(|_| "a failure has no output".to_owned()),
            (Ok(output), None) if case.output.as_ref() == Some(&output) => None,
            (Ok(output), None) if update => {
                case.write_output(&output);
                None
            }
            (Ok(_), None) => Some(format!("the program prints something else; {UPDATE}=1 writes it down")),
        };
        problem.map(|problem| format!("{}: {problem}", case.name))
    })
    .into_iter()
    .flatten()
    .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
