//! Structured logs on standard error.

use std::io::{self, IsTerminal as _};
use std::sync::Once;

use serde::{Deserialize, Serialize};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

/// What is logged and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// For people or for machines.
    pub format: Format,
    /// Which events: a level, or `target=level` pairs separated by commas.
    pub filter: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { format: Format::Text, filter: "info".to_owned() }
    }
}

impl Config {
    /// What is wrong with the settings: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        match EnvFilter::try_new(&self.filter) {
            Ok(_) => Vec::new(),
            Err(error) => vec![(
                "filter",
                format!(
                    "{error}: expected error, warn, info, debug, trace or off, or pairs like \"info,onair::http=debug\""
                ),
            )],
        }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One line of text an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// Changes the running log.
#[derive(Clone, Debug)]
pub struct Control(reload::Handle<EnvFilter, Registry>);

impl Control {
    /// Takes over the filter of new settings; the format stays until a restart.
    pub fn reload(&self, config: &Config) {
        let Ok(filter) = EnvFilter::try_new(&config.filter) else {
            tracing::warn!(filter = config.filter, "log filter not understood, the old one stays");
            return;
        };
        if let Err(error) = self.0.reload(filter) {
            tracing::warn!(%error, "log filter not changed");
        }
    }
}

/// Starts logging to standard error; the first call in the process sets the form, later ones change nothing.
pub fn init(config: &Config) -> Control {
    static FIRST: Once = Once::new();
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let (filter, handle) = reload::Layer::new(filter);
    let text = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match config.format {
        Format::Text => text.boxed(),
        Format::Json => text.json().with_ansi(false).flatten_event(true).boxed(),
    };
    // A second server in one process (tests) keeps the first one's log.
    FIRST.call_once(|| drop(tracing_subscriber::registry().with(filter).with(lines).try_init()));
    Control(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_a_problem() {
        let config = |filter: &str| Config { filter: filter.to_owned(), ..Config::default() };
        assert!(config("info,onair::http=debug").problems().is_empty());
        assert_eq!(config("info=loud=very").problems()[0].0, "filter");
    }
}
