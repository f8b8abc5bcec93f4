//! temporary
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppOptions { pub create_namespace: bool, pub no_prune: bool }
pub fn app_options(_o: &[String]) -> (AppOptions, Vec<String>) { (AppOptions::default(), vec![]) }
