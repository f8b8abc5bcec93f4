//! Choices that a seed decides, the same on every machine.

/// A sequence of numbers (SplitMix64).
#[derive(Debug)]
pub(super) struct Random(u64);

/// Texts that are read or printed in unusual ways. None of them needs more than quotes in JSON.
const VALUES: [&str; 40] = [
    "plain",
    "two words",
    "true",
    "yes",
    "No",
    "off",
    "null",
    "~",
    "1",
    "007",
    "0x1f",
    "1e3",
    "1.50",
    ".5",
    "2001-01-01",
    "12:30",
    "a: b",
    "a #b",
    "#a",
    "- a",
    "*a",
    "&a",
    "!a",
    "%a",
    "@a",
    "",
    " lead",
    "trail ",
    "it's",
    "say \"hi\"",
    "back\\slash",
    "line\nline\n",
    "line\n\n",
    "tab\tin",
    "größe",
    "🚀",
    "a\u{2028}b",
    "<a href='x'>&</a>",
    "$(NAME)",
    "a text that goes on and on for more than eighty columns, to see whether and where it is broken up into lines",
];

/// Scalars as they stand in YAML, of all types.
const SCALARS: [&str; 22] = [
    "1",
    "0",
    "-7",
    "1.5",
    "1.0",
    "1e3",
    "0x10",
    "010",
    "0o10",
    "1_000",
    "true",
    "False",
    "yes",
    "off",
    "null",
    "~",
    "text",
    "'8'",
    "\"8.0\"",
    "2001-01-01",
    "9223372036854775808",
    "{}",
];

impl Random {
    /// The sequence of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678_9ABC_DEF0)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// True in `percent` of a hundred cases.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub(super) fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    /// An element, if there is any.
    pub(super) fn element<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { Some(&of[self.below(of.len())]) }
    }

    /// A text, quoted as JSON.
    pub(super) fn value(&mut self) -> String {
        // A line separator ends a line of YAML, unless it is escaped.
        serde_json::to_string(self.of(&VALUES)).unwrap().replace('\u{2028}', "\\u2028")
    }

    /// A scalar of any type, as it stands in YAML.
    pub(super) fn scalar(&mut self) -> &'static str {
        self.of(&SCALARS)
    }
}
