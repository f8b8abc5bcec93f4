//! The schedules of CronJobs: five fields, or a word that stands for them.

/// A field: what it may hold, and names for its values from the first on.
struct Field {
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { least: 0, most: 59, names: &[] },
    Field { least: 0, most: 23, names: &[] },
    Field { least: 1, most: 31, names: &[] },
    Field {
        least: 1,
        most: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Field { least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];
const WORDS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// What is wrong with a schedule.
pub(super) fn problem(schedule: &str) -> Option<String> {
    if schedule.starts_with('@') {
        let known = WORDS.contains(&schedule) || schedule.strip_prefix("@every ").is_some_and(is_duration);
        return (!known).then(|| format!("unrecognized descriptor: {schedule}"));
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Some(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    }
    fields.iter().zip(&FIELDS).find_map(|(text, field)| text.split(',').find_map(|range| field.problem(range)))
}

fn is_duration(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(['s', 'm', 'h'])
}

impl Field {
    /// What is wrong with `*`, `a`, `a-b` and each of them with `/step`.
    fn problem(&self, range: &str) -> Option<String> {
        let (span, step) = range.split_once('/').map_or((range, None), |(span, step)| (span, Some(step)));
        let (from, to) = match span {
            "*" | "?" => (Ok(self.least), Ok(self.most)),
            span => match span.split_once('-') {
                Some((from, to)) if to.contains('-') => return Some(format!("too many hyphens: {from}-{to}")),
                Some((from, to)) => (self.value(from), self.value(to)),
                None if step.is_some() => (self.value(span), Ok(self.most)),
                None => (self.value(span), self.value(span)),
            },
        };
        let (from, to) = match (from, to) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(problem), _) | (_, Err(problem)) => return Some(problem),
        };
        let step = match step.map(|step| step.parse::<u32>()) {
            Some(Err(_)) => return Some(format!("failed to parse number: {range}")),
            Some(Ok(step)) => step,
            None => 1,
        };
        if from < self.least {
            Some(format!("beginning of range ({from}) below minimum ({}): {range}", self.least))
        } else if to > self.most {
            Some(format!("end of range ({to}) above maximum ({}): {range}", self.most))
        } else if from > to {
            Some(format!("beginning of range ({from}) beyond end of range ({to}): {range}"))
        } else if step == 0 {
            Some(format!("step of range should be a positive number: {range}"))
        } else {
            None
        }
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().zip(self.least..).find(|(name, _)| text.eq_ignore_ascii_case(name));
        if let Some((_, value)) = named {
            return Ok(value);
        }
        let shown = format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax");
        text.parse().map_err(|_| shown)
    }
}
