//! Every case, built by kustomize and by us.

use std::collections::BTreeMap;

use super::case::Case;
use super::ours::ours;
use super::overlays::difference;
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

/// What the case's file says that the program answers.
fn written(case: &Case) -> Result<String, String> {
    match (&case.fails, &case.output) {
        (Some(reason), _) => Err(reason.clone()),
        (None, Some(output)) => Ok(output.clone()),
        (None, None) => panic!("{}: there is no output; {UPDATE}=1 writes it down", case.name),
    }
}

#[test]
fn we_print_the_same() {
    let differences: Vec<Option<String>> = in_parallel(Case::all(), |case| {
        let unrestricted = case.flags.iter().any(|flag| flag == "LoadRestrictionsNone");
        difference(&written(case), &ours(&case.tree(), &case.build, unrestricted))
    });
    let mut features: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (case, difference) in Case::all().iter().zip(differences) {
        let (alike, all) = features.entry(case.feature()).or_default();
        *all += 1;
        match difference {
            None => *alike += 1,
            Some(difference) => wrong.push(format!("{}: {difference}", case.name)),
        }
    }
    for (feature, (alike, all)) in &features {
        println!("{feature}: {alike} of {all} alike");
    }
    assert!(wrong.is_empty(), "{} of {} cases differ:\n{}", wrong.len(), Case::all().len(), wrong.join("\n"));
}
