//! What the server draws: uids and the ends of generated names. The same seed gives the same ones.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Letters of generated names: none that could form a word, or be taken for another.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Letters added to a prefix.
const SUFFIX: usize = 5;
/// Longest prefix that is kept: what is longer is cut.
const MAX_PREFIX: usize = 63 - SUFFIX;

/// A generator.
#[derive(Clone, Debug)]
pub struct Ids(StdRng);

impl Ids {
    /// One of a seed.
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A uid: a random UUID (RFC 9562, version 4).
    pub fn uid(&mut self) -> String {
        let bits: u128 = self.0.random();
        let hex = format!("{:032x}", (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62));
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }

    /// A name that begins with a prefix.
    pub fn name(&mut self, prefix: &str) -> String {
        let end = prefix.char_indices().map(|(at, _)| at).find(|at| *at >= MAX_PREFIX).unwrap_or(prefix.len());
        let mut name = prefix.get(..end).unwrap_or_default().to_owned();
        for _ in 0..SUFFIX {
            let letter = LETTERS.get(self.0.random_range(0..LETTERS.len())).copied().unwrap_or(b'b');
            name.push(char::from(letter));
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_draws_the_same() {
        let (mut a, mut b) = (Ids::new(7), Ids::new(7));
        assert_eq!((a.uid(), a.name("web-")), (b.uid(), b.name("web-")));
        let uid = a.uid();
        assert_eq!((uid.len(), uid.as_bytes()[14]), (36, b'4'));
        assert_eq!(a.name(&"x".repeat(100)).len(), 63);
    }
}
