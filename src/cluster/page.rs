//! One page of a list, taken apart while it arrives: at no time more of it is held than one object.

use serde::Deserialize;

use super::lines::MAX_OBJECT;

/// Longest value beside `items` that is kept (`metadata` with its continue token).
const MAX_MEMBER: usize = 64 * 1024;

/// What a page says about the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListMeta {
    /// Resource version of the list.
    pub(super) resource_version: String,
    /// Token for the next page; empty on the last one.
    #[serde(rename = "continue")]
    pub(super) token: String,
}

/// The body is no list in JSON.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not a list of objects")]
pub(super) struct Malformed;

/// Takes a page apart: feed it the body's pieces, then ask for the metadata.
#[derive(Debug, Default)]
pub(super) struct Page {
    place: Place,
    /// Name of the member that is read.
    key: Vec<u8>,
    value: Vec<u8>,
    /// Open brackets inside the value.
    nesting: usize,
    in_string: bool,
    escaped: bool,
    /// The value is longer than its limit: only its end is looked for.
    overlong: bool,
    metadata: Option<ListMeta>,
    listed: bool,
    /// Objects that were too large to be decoded.
    pub(super) oversize: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Start,
    /// Before a key, a comma or the end.
    Member,
    Key,
    Colon,
    /// Before the value of a member.
    Before,
    /// In the value of a member.
    Value,
    /// Between the objects.
    Items,
    /// In an object.
    Item,
    End,
}

impl Page {
    /// Reads the next piece of the body, handing each complete object to `item`.
    pub(super) fn feed(&mut self, piece: &[u8], item: &mut impl FnMut(&[u8])) -> Result<(), Malformed> {
        let mut rest = piece;
        while let Some((&byte, behind)) = rest.split_first() {
            if matches!(self.place, Place::Value | Place::Item) {
                let (length, complete) = self.scan(rest);
                self.keep(rest.get(..length).unwrap_or_default());
                rest = rest.get(length..).unwrap_or_default();
                if complete {
                    self.complete(item)?;
                }
            } else if self.step(byte)? {
                rest = behind;
            }
        }
        Ok(())
    }

    /// The metadata of the page, once the whole of it was fed.
    pub(super) fn finish(self) -> Result<ListMeta, Malformed> {
        if self.place != Place::End || !self.listed {
            return Err(Malformed);
        }
        self.metadata.ok_or(Malformed)
    }

    /// One byte outside of values. `false`: it begins a value and is not consumed.
    fn step(&mut self, byte: u8) -> Result<bool, Malformed> {
        self.place = match (self.place, byte) {
            (Place::Key, b'"') if !self.escaped => Place::Colon,
            (Place::Key, _) if self.key.len() < MAX_MEMBER => {
                self.escaped = byte == b'\\' && !self.escaped;
                self.key.push(byte);
                Place::Key
            }
            (place, b' ' | b'\t' | b'\r' | b'\n') if place != Place::Key => place,
            (Place::Start, b'{') => Place::Member,
            (Place::Member, b',') => Place::Member,
            (Place::Member, b'}') => Place::End,
            (Place::Member, b'"') => {
                self.key.clear();
                self.escaped = false;
                Place::Key
            }
            (Place::Colon, b':') => Place::Before,
            (Place::Before, b'[') if self.key == b"items" => {
                self.listed = true;
                Place::Items
            }
            (Place::Before, _) => return Ok(self.begin(Place::Value)),
            (Place::Items, b',') => Place::Items,
            (Place::Items, b']') => Place::Member,
            (Place::Items, b'{') => return Ok(self.begin(Place::Item)),
            _ => return Err(Malformed),
        };
        Ok(true)
    }

    fn begin(&mut self, place: Place) -> bool {
        self.place = place;
        self.value.clear();
        self.nesting = 0;
        self.in_string = false;
        self.escaped = false;
        self.overlong = false;
        false
    }

    /// How many of the bytes belong to the value, and whether it ends there.
    fn scan(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (index, byte) in bytes.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => {
                        self.in_string = false;
                        if self.nesting == 0 {
                            return (index + 1, true);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.nesting += 1,
                b'}' | b']' if self.nesting > 1 => self.nesting -= 1,
                b'}' | b']' if self.nesting == 1 => return (index + 1, true),
                // The end of a number or word belongs to what is around it.
                b'}' | b']' | b',' | b' ' | b'\n' if self.nesting == 0 => return (index, true),
                _ => {}
            }
        }
        (bytes.len(), false)
    }

    fn keep(&mut self, bytes: &[u8]) {
        let limit = if self.place == Place::Item { MAX_OBJECT } else { MAX_MEMBER };
        self.overlong |= self.value.len() + bytes.len() > limit;
        if self.overlong {
            self.value = Vec::new();
        } else {
            self.value.extend_from_slice(bytes);
        }
    }

    fn complete(&mut self, item: &mut impl FnMut(&[u8])) -> Result<(), Malformed> {
        if self.place == Place::Item {
            self.place = Place::Items;
            if self.overlong {
                self.oversize += 1;
            } else {
                item(&self.value);
            }
            return Ok(());
        }
        self.place = Place::Member;
        match self.key.as_slice() {
            _ if self.value.is_empty() || self.overlong => return Err(Malformed),
            b"metadata" => self.metadata = Some(serde_json::from_slice(&self.value).map_err(|_| Malformed)?),
            // Go writes a list without objects like this.
            b"items" if self.value == b"null" => self.listed = true,
            b"items" => return Err(Malformed),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, size: usize) -> Result<(Vec<String>, ListMeta), Malformed> {
        let mut page = Page::default();
        let mut items = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            page.feed(piece, &mut |item| items.push(String::from_utf8_lossy(item).into_owned()))?;
        }
        Ok((items, page.finish()?))
    }

    #[test]
    fn pages_are_taken_apart_wherever_they_are_cut() {
        let items = [r#"{"a":"}]\"","b":[{},[1]]}"#, "{}", r#"{"metadata":{"name":"x"}}"#];
        let text = format!(
            r#"{{"kind":"XList","apiVersion":"v1","extra":[1,"]"],"n":5,"t":true,"metadata":{{"resourceVersion":"12","continue":"t\"k"}},"items":[{}, {},{}] }}
"#,
            items[0], items[1], items[2]
        );
        for size in 1..text.len() + 1 {
            let (found, meta) = read(&text, size).unwrap();
            assert_eq!(found, items, "{size}");
            assert_eq!(meta, ListMeta { resource_version: "12".into(), token: "t\"k".into() });
        }
    }

    #[test]
    fn order_of_members_and_empty_lists() {
        let meta = ListMeta { resource_version: "7".into(), token: String::new() };
        for text in [
            r#"{"items":[],"metadata":{"resourceVersion":"7","remainingItemCount":3,"continue":""}}"#,
            r#"{"items":null,"metadata":{"resourceVersion":"7"}}"#,
            r#"{"metadata":{"resourceVersion":"7"},"items":null}"#,
        ] {
            assert_eq!(read(text, 3).unwrap(), (vec![], meta.clone()), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_list_is_refused() {
        for text in [
            "",
            "[]",
            "<html>",
            r#"{"items":[{}]"#,
            r#"{"items":[{}"#,
            r#"{"items":[]}"#,
            r#"{"metadata":{"resourceVersion":"7"}}"#,
            r#"{"metadata":7,"items":[]}"#,
            r#"{"metadata":{},"items":{}}"#,
            r#"{"metadata":{},"items":["x"]}"#,
            r#"{"metadata":{},"items":[]}}"#,
            r#"{"metadata":,"items":[]}"#,
        ] {
            assert_eq!(read(text, 2), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn objects_that_are_too_large_are_counted_and_skipped() {
        let mut page = Page::default();
        let mut items = 0;
        let mut feed = |page: &mut Page, text: &[u8]| page.feed(text, &mut |_| items += 1).unwrap();
        feed(&mut page, br#"{"metadata":{"resourceVersion":"7"},"items":[{"a":""#);
        for _ in 0..=MAX_OBJECT / 65536 {
            feed(&mut page, &[b'x'; 65536]);
            assert!(page.value.len() <= MAX_OBJECT);
        }
        feed(&mut page, br#""},{}]}"#);
        assert_eq!(page.oversize, 1);
        assert_eq!(page.finish().unwrap().resource_version, "7");
        assert_eq!(items, 1);
    }
}
