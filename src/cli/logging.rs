//! Structured logs on standard error.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, FilterFn, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::runtime::settings::{LogFormat, LogSettings};

/// Target whose lines below ERROR hold whole answers of the API server, Secrets among them.
const LEAKY_TARGET: &str = "kube_client::client";
/// Targets that explain every connection and are only of use when asked for by name.
const CHATTY_TARGETS: [&str; 5] = ["hyper", "hyper_util", "rustls", "reqwest", "tower"];

/// Sends log lines to standard error from now on. Fails if the level is malformed or logging was started before.
pub(super) fn start(settings: &LogSettings) -> Result<(), String> {
    let layer = layer(settings, io::stderr)?;
    tracing_subscriber::registry().with(layer).try_init().map_err(|error| error.to_string())
}

/// The layer that formats and filters log lines.
fn layer<S, W>(settings: &LogSettings, writer: W) -> Result<Box<dyn Layer<S> + Send + Sync>, String>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = targets(&settings.log_level)?.and(FilterFn::new(is_safe as fn(&Metadata<'_>) -> bool));
    let format = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    Ok(match settings.log_format {
        LogFormat::Json => format.json().flatten_event(true).with_filter(filter).boxed(),
        LogFormat::Text => format.with_filter(filter).boxed(),
    })
}

/// Reads `--log-level`.
fn targets(text: &str) -> Result<Targets, String> {
    for directive in text.split(',').map(str::trim) {
        // Targets takes a word that is no level for the name of a target, and would then log that one only.
        if directive.is_empty() || !directive.contains('=') && directive.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "--log-level: {directive:?} is neither a level (error, warn, info, debug, trace, off) nor target=level"
            ));
        }
    }
    let targets: Targets = text.parse().map_err(|error| format!("--log-level: {text:?} can't be read: {error}"))?;
    let quiet = CHATTY_TARGETS.into_iter().filter(|target| !text.contains(target));
    Ok(targets.with_targets(quiet.map(|target| (target, LevelFilter::WARN)).collect::<Vec<_>>()))
}

/// Whether a line can't hold the body of an answer. No setting changes this.
fn is_safe(metadata: &Metadata<'_>) -> bool {
    *metadata.level() == Level::ERROR || !metadata.target().starts_with(LEAKY_TARGET)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let settings = LogSettings { log_format: format, log_level: level.to_owned() };
        let layer = layer(&settings, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn bodies_of_answers_are_never_logged() {
        for level in ["info", "trace", "kube_client=trace", "kube_client::client=trace", "kube_client::client::x=trace"]
        {
            let text = logged(LogFormat::Json, level, || {
                tracing::warn!(target: "kube_client::client", "hunter2");
                tracing::trace!(target: "kube_client::client::x", "hunter2");
                tracing::error!(target: "kube_client::client::x", "seen");
            });
            assert!(!text.contains("hunter2") && text.contains("seen"), "{level}: {text}");
        }
    }

    #[test]
    fn lines_are_json_with_the_fields_on_top() {
        let text = logged(LogFormat::Json, "info", || {
            tracing::info!(app = "argocd/shop", "synced");
            tracing::debug!("hidden");
            tracing::info!(target: "hyper::proto", "hidden");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!((line["level"].as_str(), line["app"].as_str()), (Some("INFO"), Some("argocd/shop")));
        assert_eq!(line["message"], "synced");
    }

    #[test]
    fn text_is_for_people() {
        let text = logged(LogFormat::Text, "driftless=debug", || tracing::debug!(app = "shop", "synced"));
        assert!(text.contains("DEBUG") && text.contains("synced app=\"shop\""), "{text}");
    }

    #[test]
    fn malformed_levels_are_refused() {
        for bad in ["", "loud", "info,", "info,loud"] {
            assert!(targets(bad).is_err(), "{bad:?}");
        }
        assert!(targets("info,kube=nothing").unwrap_err().contains("--log-level"));
    }
}
