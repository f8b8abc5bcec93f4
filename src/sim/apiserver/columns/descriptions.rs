//! What the server says of the columns of its tables, read from the list beside this file. Its first lines say how it is written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

const LIST: &str = include_str!("descriptions.txt");

/// Descriptions by resource (empty: any) and column.
static READ: LazyLock<HashMap<(&str, &str), Cow<'static, str>>> = LazyLock::new(|| {
    let (mut read, mut resource) = (HashMap::new(), "");
    for line in LIST.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix(' ').and_then(|line| line.split_once(": ")) {
            Some((column, text)) => {
                read.insert((resource, column), serde_json::from_str(text).unwrap_or_default());
            }
            None => resource = line,
        }
    }
    read
});

/// What is said of a column; nothing is known of columns that no resource has.
pub(super) fn of(resource: &str, column: &str) -> Cow<'static, str> {
    READ.get(&(resource, column)).or_else(|| READ.get(&("", column))).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_read() {
        let lines = LIST.lines().filter(|line| line.starts_with(' ')).count();
        assert_eq!(READ.len(), lines);
        let empty = LIST.lines().filter(|line| line.ends_with(": \"\"")).count();
        assert_eq!(READ.values().filter(|text| text.is_empty()).count(), empty, "a text could not be read");
        assert!(of("secrets", "Name").starts_with("Name must be unique"));
        assert_eq!(of("persistentvolumeclaims", "StorageClass"), "StorageClass of the pvc");
    }
}
