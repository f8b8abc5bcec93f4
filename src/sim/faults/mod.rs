//! Faults: what goes wrong between a client and the server, by rule and by seed.
//!
//! [`Faults`] decides, [`Faulty`] has it happen. The same seed and the same requests in the same order give the same faults.

mod lines;
mod service;

use std::ops::RangeInclusive;
use std::time::Duration;

use http::{Method, Uri};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::apiserver::request::{Query, Target, verb};

pub use self::service::{Audit, Audited, Body, Broken, Faulty};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Half of such a time passes before the request arrives, half before the answer does.
    Slow(RangeInclusive<Duration>),
    /// Something on the way answers with an error.
    Error {
        /// 429 or of the five hundreds.
        code: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
        /// Whether the server has carried the request out nevertheless.
        carried_out: bool,
    },
    /// No connection can be made: nothing is carried out.
    Refused,
    /// Nothing comes back.
    Silent {
        /// Whether the server carries the request out.
        carried_out: bool,
    },
    /// The connection breaks before the answer, or in the midst of its body, of a watch after so many lines.
    Reset(Reset),
    /// A watch ends in order after so many lines.
    Cut(u32),
    /// A watch says nothing any more after so many lines, and does not end.
    Hush(u32),
    /// Each line of a watch comes twice.
    Twice,
    /// Each line of a watch comes so much later.
    Late(Duration),
    /// The bookmark that ends the initial events of a watch does not come.
    NoEndBookmark,
    /// A list is answered as it was so many revisions ago, if that is still known.
    Stale(u64),
    /// Discovery leaves this group out.
    Undiscovered(String),
}

/// Where a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Before the server has the request.
    Before,
    /// After the server has carried it out, before any answer.
    After,
    /// In the midst of the body; of a watch within the line after so many.
    Within(u32),
}

/// Which requests a fault meets, when, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Clients whose name begins so; empty: all.
    pub client: String,
    /// Verbs as RBAC has them; empty: all, discovery and the like included.
    pub verbs: Vec<&'static str>,
    /// Plural name of the resource; empty: all.
    pub resource: String,
    /// From when on.
    pub from: Timestamp,
    /// Until when, exclusive.
    pub until: Timestamp,
    /// How many of a thousand.
    pub permille: u32,
    /// What happens.
    pub fault: Fault,
}

impl Rule {
    /// A rule for all requests of all times.
    pub fn always(fault: Fault) -> Self {
        Self {
            client: String::new(),
            verbs: Vec::new(),
            resource: String::new(),
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            permille: 1000,
            fault,
        }
    }

    fn meets(&self, asked: &Asked<'_>, now: Timestamp) -> bool {
        (self.from <= now && now < self.until)
            && asked.client.starts_with(&self.client)
            && (self.verbs.is_empty() || self.verbs.contains(&asked.verb))
            && (self.resource.is_empty() || self.resource == asked.resource)
    }
}

/// A request as the rules see it.
struct Asked<'r> {
    client: &'r str,
    verb: &'static str,
    resource: &'r str,
}

impl<'r> Asked<'r> {
    fn of(client: &'r str, method: &Method, uri: &'r Uri) -> Self {
        match Target::parse(uri.path()) {
            Target::Resource(address) => {
                let query = Query::parse(uri.query().unwrap_or_default());
                Self { client, verb: verb(method, &address, &query), resource: address.plural }
            }
            Target::Other(_) => Self { client, verb: "", resource: "" },
        }
    }
}

/// Rules, and the dice that they roll.
#[derive(Debug)]
pub struct Faults {
    /// The rules that hold now. All that meet a request count, in their order.
    pub rules: Vec<Rule>,
    random: StdRng,
}

impl Faults {
    /// No rules yet.
    pub fn new(seed: u64) -> Self {
        Self { rules: Vec::new(), random: StdRng::seed_from_u64(seed) }
    }

    /// What is to happen to a request.
    fn plan(&mut self, asked: &Asked<'_>, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        for rule in &self.rules {
            if rule.meets(asked, now) && self.random.random_range(0..1000) < rule.permille {
                plan.take(&rule.fault, &mut self.random);
            }
        }
        plan
    }
}

/// What is to happen to one request.
#[derive(Debug, Default)]
struct Plan {
    /// Time on the way there, and on the way back.
    delay: Duration,
    /// What becomes of it instead of an answer; the first that was said counts.
    end: Option<End>,
    /// What becomes of the answer's body.
    lines: Lines,
    stale: Option<u64>,
    undiscovered: Vec<String>,
}

/// What a client gets instead of an answer.
#[derive(Clone, Copy, Debug)]
enum End {
    Error { code: u16, retry_after: Option<u32>, carried_out: bool },
    Refused,
    Silent { carried_out: bool },
    Reset { carried_out: bool },
}

impl End {
    const fn is_carried_out(self) -> bool {
        match self {
            Self::Error { carried_out, .. } | Self::Silent { carried_out } | Self::Reset { carried_out } => carried_out,
            Self::Refused => false,
        }
    }
}

/// What becomes of the lines of a watch, and of other bodies as far as it concerns them.
#[derive(Clone, Debug, Default)]
struct Lines {
    stop: Option<(u32, Stop)>,
    twice: bool,
    late: Duration,
    no_end_bookmark: bool,
}

impl Lines {
    const fn is_nothing(&self) -> bool {
        self.stop.is_none() && !self.twice && self.late.is_zero() && !self.no_end_bookmark
    }
}

/// How a body stops early.
#[derive(Clone, Copy, Debug)]
enum Stop {
    End,
    Hush,
    Break,
}

impl Plan {
    fn take(&mut self, fault: &Fault, random: &mut StdRng) {
        let end = match fault {
            Fault::Slow(range) => {
                self.delay += random.random_range(range.clone()) / 2;
                return;
            }
            Fault::Error { code, retry_after, carried_out } => {
                End::Error { code: *code, retry_after: *retry_after, carried_out: *carried_out }
            }
            Fault::Refused => End::Refused,
            Fault::Silent { carried_out } => End::Silent { carried_out: *carried_out },
            Fault::Reset(Reset::Before) => End::Reset { carried_out: false },
            Fault::Reset(Reset::After) => End::Reset { carried_out: true },
            Fault::Reset(Reset::Within(lines)) => return self.stop(*lines, Stop::Break),
            Fault::Cut(lines) => return self.stop(*lines, Stop::End),
            Fault::Hush(lines) => return self.stop(*lines, Stop::Hush),
            Fault::Twice => return self.lines.twice = true,
            Fault::Late(time) => return self.lines.late += *time,
            Fault::NoEndBookmark => return self.lines.no_end_bookmark = true,
            Fault::Stale(revisions) => return self.stale = Some(*revisions),
            Fault::Undiscovered(group) => return self.undiscovered.push(group.clone()),
        };
        self.end.get_or_insert(end);
    }

    fn stop(&mut self, lines: u32, how: Stop) {
        self.lines.stop.get_or_insert((lines, how));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rules: Vec<Rule>, seed: u64, client: &str, uri: &'static str) -> Plan {
        let mut faults = Faults::new(seed);
        faults.rules = rules;
        faults.plan(&Asked::of(client, &Method::GET, &Uri::from_static(uri)), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn rules_meet_only_what_they_name() {
        let refused = Rule::always(Fault::Refused);
        let second = |second| Timestamp::from_second(second).unwrap();
        let cases = [
            (refused.clone(), true),
            (Rule { client: "a/".into(), ..refused.clone() }, true),
            (Rule { client: "b/".into(), ..refused.clone() }, false),
            (Rule { verbs: vec!["list", "get"], ..refused.clone() }, true),
            (Rule { verbs: vec!["watch"], ..refused.clone() }, false),
            (Rule { resource: "pods".into(), ..refused.clone() }, true),
            (Rule { resource: "secrets".into(), ..refused.clone() }, false),
            (Rule { until: second(0), ..refused.clone() }, false),
            (Rule { from: second(0), ..refused.clone() }, true),
            (Rule { from: second(1), ..refused.clone() }, false),
            (Rule { permille: 0, ..refused }, false),
        ];
        for (rule, meets) in cases {
            let plan = plan(vec![rule.clone()], 1, "a/write", "/api/v1/pods?limit=5");
            assert_eq!(plan.end.is_some(), meets, "{rule:?}");
        }
    }

    #[test]
    fn one_seed_gives_the_same_faults() {
        let rules = || vec![Rule { permille: 300, ..Rule::always(Fault::Refused) }];
        let run = |seed| {
            let mut faults = Faults::new(seed);
            faults.rules = rules();
            let uri = Uri::from_static("/version");
            let asked = Asked::of("a", &Method::GET, &uri);
            (0..64).map(|_| faults.plan(&asked, Timestamp::UNIX_EPOCH).end.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }
}
