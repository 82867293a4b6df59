//! The configuration: a TOML file, overridden by `ONAIR_SECTION__KEY` variables, over defaults.
//!
//! Each section is the `Config` of the feature it belongs to. Every entry is judged on its own, so that one look
//! shows all mistakes, each with its place.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::de::DeTable;
use toml::{Table, Value};

use crate::av::worker;
use crate::net::tls;
use crate::protocol::{hls, http_flv, rtmp, webrtc};
use crate::{api, booking, chat, cue, http, hub, impression, log, overlay, sale, store};

/// Variables that override a key begin so.
const PREFIX: &str = "ONAIR_";
/// What separates section and key in a variable's name.
const SEPARATOR: &str = "__";

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where data is kept.
    pub data: store::DataConfig,
    /// Which database.
    pub store: store::Config,
    /// HTTP and HTTPS.
    pub http: http::Config,
    /// The certificate.
    pub tls: tls::Config,
    /// RTMP and RTMPS.
    pub rtmp: rtmp::Config,
    /// FLV over HTTP.
    pub flv: http_flv::Config,
    /// HLS and low-latency HLS.
    pub hls: hls::Config,
    /// WebRTC.
    pub webrtc: webrtc::Config,
    /// Comments, hearts and order.
    pub chat: chat::Config,
    /// Metrics and health on a listener of their own.
    pub admin: api::AdminConfig,
    /// The media worker.
    pub worker: worker::Config,
    /// Broadcasts in memory.
    pub broadcast: hub::Config,
    /// What is burned into programmes.
    pub overlay: overlay::Config,
    /// Advertisers, campaigns, creatives.
    pub booking: booking::Config,
    /// What is sold at cues, and on which terms.
    pub sale: sale::Config,
    /// Who may open slots, and how long and how often, where a channel has nothing else set.
    pub cues: cue::Policy,
    /// Rules against traffic that no people make.
    pub traffic: impression::TrafficRules,
    /// The log.
    pub log: log::Config,
}

/// One mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `FILE:LINE`, the variable's name, or "default".
    pub place: String,
    /// `section.key`, or empty when the file cannot be read at all.
    pub key: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.place, self.message),
            key => write!(f, "{}: {key}: {}", self.place, self.message),
        }
    }
}

/// All mistakes in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Invalid(pub Vec<Problem>);

impl Config {
    /// Reads the file, if there is one to read, and the variables.
    ///
    /// # Errors
    /// All mistakes that were found.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Invalid> {
        let Some(path) = file else { return Self::parse("", "", variables) };
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            Invalid(vec![Problem { place: name.clone(), key: String::new(), message: error.to_string() }])
        })?;
        Self::parse(&name, &text, variables)
    }

    /// Reads a file's text and the variables; `name` is what the file is called in mistakes.
    ///
    /// # Errors
    /// All mistakes that were found.
    pub fn parse(
        name: &str,
        text: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Invalid> {
        let mut draft = Draft::new();
        draft.read_file(name, text);
        for (variable, value) in variables {
            draft.read_variable(&variable, &value);
        }
        draft.finish()
    }

    /// Mistakes that only show in the whole: key and reason.
    fn problems(&self) -> Vec<(String, String)> {
        let sections = [
            ("store", self.store.problems()),
            ("http", self.http.problems()),
            ("tls", self.tls.problems()),
            ("rtmp", self.rtmp.problems()),
            ("hls", self.hls.problems()),
            ("webrtc", self.webrtc.problems()),
            ("worker", self.worker.problems()),
            ("overlay", self.overlay.problems()),
            ("booking", self.booking.problems()),
            ("chat", self.chat.problems()),
            ("sale", self.sale.problems()),
            ("cues", self.cues.problems()),
            ("log", self.log.problems()),
        ];
        let mut problems: Vec<(String, String)> = sections
            .into_iter()
            .flat_map(|(section, found)| {
                found.into_iter().map(move |(key, message)| (format!("{section}.{key}"), message))
            })
            .collect();
        let certificate = self.tls.cert.is_some() || self.tls.self_signed;
        for (key, listen) in
            [("http.tls_listen", self.http.tls_listen), ("rtmp.tls_listen", self.rtmp.tls_listen)]
        {
            if listen.is_some() && !certificate {
                let message = "needs a certificate: set tls.cert and tls.key, or tls.self_signed = true";
                problems.push((key.to_owned(), message.to_owned()));
            }
        }
        if self.booking.creative_bytes > self.overlay.image_bytes {
            let message = "no more than overlay.image_bytes: what cannot be shown is not to be taken";
            problems.push(("booking.creative_bytes".to_owned(), message.to_owned()));
        }
        problems.extend(self.collisions());
        problems
    }

    /// The TCP listeners that are on: key and address.
    pub fn listeners(&self) -> Vec<(&'static str, SocketAddr)> {
        let all = [
            ("http.listen", self.http.listen),
            ("http.tls_listen", self.http.tls_listen),
            ("rtmp.listen", self.rtmp.listen),
            ("rtmp.tls_listen", self.rtmp.tls_listen),
            ("admin.listen", self.admin.listen),
        ];
        all.into_iter().filter_map(|(key, address)| Some((key, address?))).collect()
    }

    fn collisions(&self) -> Vec<(String, String)> {
        let listeners = self.listeners();
        let mut collisions = Vec::new();
        for (index, (key, address)) in listeners.iter().enumerate() {
            let earlier = listeners[..index].iter().find(|(_, other)| collide(*address, *other));
            if let Some((other, _)) = earlier {
                collisions.push(((*key).to_owned(), format!("{address} is taken by {other}")));
            }
        }
        collisions
    }
}

fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_host = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && same_host
}

/// A configuration in the making.
struct Draft {
    /// What holds if nothing is said; it also tells the names and types of all keys.
    defaults: Table,
    /// What was said and is right.
    chosen: Table,
    /// Where it was said, by `section.key`.
    places: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Draft {
    /// # Panics
    /// Never: a test writes the defaults.
    fn new() -> Self {
        let defaults =
            Table::try_from(Config::default()).expect("the defaults are plain tables of plain values");
        Self { defaults, chosen: Table::new(), places: BTreeMap::new(), problems: Vec::new() }
    }

    fn read_file(&mut self, name: &str, text: &str) {
        let line = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        let (spans, values) = match (DeTable::parse(text), text.parse::<Table>()) {
            (Ok(spans), Ok(values)) => (spans.into_inner(), values),
            (Err(error), _) | (_, Err(error)) => {
                let place = format!("{name}:{}", line(error.span().map_or(0, |span| span.start)));
                return self.problem(place, String::new(), error.message().to_owned());
            }
        };
        for (section, entries) in &spans {
            let section_place = format!("{name}:{}", line(section.span().start));
            let section = section.get_ref().as_ref();
            let (Some(entries), Some(Value::Table(values))) =
                (entries.get_ref().as_table(), values.get(section))
            else {
                let message = format!("a key without a section; sections are {}", names(&self.defaults));
                self.problem(section_place, section.to_owned(), message);
                continue;
            };
            if !self.defaults.contains_key(section) {
                let message = format!("unknown section; sections are {}", names(&self.defaults));
                self.problem(section_place, section.to_owned(), message);
                continue;
            }
            for key in entries.keys() {
                let place = format!("{name}:{}", line(key.span().start));
                let key = key.get_ref().as_ref();
                if let Some(value) = values.get(key) {
                    self.set(place, section, key, value.clone());
                }
            }
        }
    }

    fn read_variable(&mut self, variable: &str, text: &str) {
        let Some((section, key)) = variable.strip_prefix(PREFIX).and_then(|rest| rest.split_once(SEPARATOR))
        else {
            return;
        };
        let (section, key) = (section.to_lowercase(), key.to_lowercase());
        let default = self.defaults.get(&section).and_then(|section| section.get(&key));
        let value = match default {
            Some(Value::String(_)) | None => Value::String(text.to_owned()),
            // Numbers, booleans and arrays are written as in the file; what cannot be read so is judged as text.
            Some(_) => text.parse().unwrap_or_else(|_| Value::String(text.to_owned())),
        };
        self.set(variable.to_owned(), &section, &key, value);
    }

    /// Takes one entry over if it is right.
    fn set(&mut self, place: String, section: &str, key: &str, value: Value) {
        let full_key = format!("{section}.{key}");
        let Some(Value::Table(keys)) = self.defaults.get(section) else {
            let message = format!("unknown section; sections are {}", names(&self.defaults));
            return self.problem(place, full_key, message);
        };
        let Some(default) = keys.get(key) else {
            let message = format!("unknown key; keys of [{section}] are {}", names(keys));
            return self.problem(place, full_key, message);
        };
        let alone = Table::from_iter([(key.to_owned(), value.clone())]);
        let alone = Table::from_iter([(section.to_owned(), Value::Table(alone))]);
        if let Err(error) = Config::deserialize(alone) {
            let message = format!("{} (the default is {default})", error.message());
            return self.problem(place, full_key, message);
        }
        self.places.insert(full_key, place);
        let chosen = self.chosen.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(chosen) = chosen {
            chosen.insert(key.to_owned(), value);
        }
    }

    fn problem(&mut self, place: String, key: String, message: String) {
        self.problems.push(Problem { place, key, message });
    }

    fn finish(mut self) -> Result<Config, Invalid> {
        let config = match Config::deserialize(std::mem::take(&mut self.chosen)) {
            Ok(config) => config,
            Err(error) => {
                self.problem("configuration".to_owned(), String::new(), error.message().to_owned());
                return Err(Invalid(self.problems));
            }
        };
        for (key, message) in config.problems() {
            let place = self.places.get(&key).cloned().unwrap_or_else(|| "default".to_owned());
            self.problem(place, key, message);
        }
        if self.problems.is_empty() { Ok(config) } else { Err(Invalid(self.problems)) }
    }
}

fn names(table: &Table) -> String {
    table.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
