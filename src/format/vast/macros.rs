//! `[MACRO]`s in links: VAST 4.3 §6. What is put in is percent-encoded; what is not known is `-1`, what is never told `-2`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use crate::clock::rfc3339;

/// What is known of everything that has a macro.
const KNOWN: &[&str] = &[
    "ADCATEGORIES",
    "ADCOUNT",
    "ADPLAYHEAD",
    "ADSERVINGID",
    "ADTYPE",
    "APIFRAMEWORKS",
    "APPBUNDLE",
    "ASSETURI",
    "BLOCKEDADCATEGORIES",
    "BREAKMAXADLENGTH",
    "BREAKMAXADS",
    "BREAKMAXDURATION",
    "BREAKMINADLENGTH",
    "BREAKMINDURATION",
    "BREAKPOSITION",
    "CACHEBUSTING",
    "CLICKPOS",
    "CLICKTYPE",
    "CLIENTUA",
    "CONTENTCAT",
    "CONTENTID",
    "CONTENTPLAYHEAD",
    "CONTENTURI",
    "DEVICEIP",
    "DEVICEUA",
    "DOMAIN",
    "ERRORCODE",
    "EXTENSIONS",
    "GDPRCONSENT",
    "GPPSECTIONID",
    "GPPSTRING",
    "IFA",
    "IFATYPE",
    "INVENTORYSTATE",
    "LATLONG",
    "LIMITADTRACKING",
    "MEDIAMIME",
    "MEDIAPLAYHEAD",
    "OMIDPARTNER",
    "PAGEURL",
    "PLACEMENTTYPE",
    "PLAYERCAPABILITIES",
    "PLAYERSIZE",
    "PLAYERSTATE",
    "PODSEQUENCE",
    "REASON",
    "REGULATIONS",
    "SERVERSIDE",
    "SERVERUA",
    "STOREID",
    "STOREURL",
    "TIMESTAMP",
    "TRANSACTIONID",
    "UNIVERSALADID",
    "VASTVERSIONS",
    "VERIFICATIONVENDORS",
];

/// What tells of a person or a device: it never leaves the server.
const WITHHELD: &[&str] = &["CLIENTUA", "DEVICEIP", "DEVICEUA", "IFA", "IFATYPE", "LATLONG"];

/// Values of macros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Macros {
    values: BTreeMap<&'static str, String>,
}

impl Macros {
    /// With what always has a value: the time in Unix milliseconds, and a number that defeats caches.
    pub fn new(unix_millis: i64, random: u32) -> Self {
        let mut macros = Self::default();
        let since_epoch = Duration::from_millis(u64::try_from(unix_millis).unwrap_or(0));
        macros.set("TIMESTAMP", rfc3339(UNIX_EPOCH + since_epoch));
        macros.set("CACHEBUSTING", format!("{:08}", random % 100_000_000));
        macros
    }

    /// Gives a macro of the standard its value; what must not be told stays untold.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        if let Some(known) = KNOWN.iter().find(|known| **known == name)
            && !WITHHELD.contains(known)
        {
            self.values.insert(known, value.into());
        }
    }

    /// Puts the values into a link. Brackets may be written `%5B` and `%5D`; names that the standard does not have stay.
    /// What is put in is not looked at again.
    pub fn apply(&self, link: &str) -> String {
        let mut out = String::with_capacity(link.len());
        let mut rest = link;
        while let Some((before, name, after)) = next_macro(rest) {
            out.push_str(before);
            match self.value(name) {
                Some(value) => encode(value, &mut out),
                None => out.push_str(rest.get(before.len()..rest.len() - after.len()).unwrap_or_default()),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }

    fn value(&self, name: &str) -> Option<&str> {
        let known = KNOWN.iter().find(|known| **known == name)?;
        if WITHHELD.contains(known) {
            return Some("-2");
        }
        Some(self.values.get(known).map_or("-1", String::as_str))
    }
}

/// What is before the first thing that looks like a macro, its name, and what is behind it.
fn next_macro(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find(['[', '%'])?;
        let inner = text.get(open..).and_then(|rest| strip_any(rest, ["[", "%5B", "%5b"]));
        if let Some(inner) = inner {
            let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            let end = inner.find(|c| !is_name(c)).unwrap_or(inner.len());
            let (name, behind) = inner.split_at(end);
            if let (false, Some(after)) = (name.is_empty(), strip_any(behind, ["]", "%5D", "%5d"])) {
                return Some((text.get(..open)?, name, after));
            }
        }
        from = open + 1;
    }
}

fn strip_any<'a>(text: &'a str, prefixes: [&str; 3]) -> Option<&'a str> {
    prefixes.into_iter().find_map(|prefix| text.strip_prefix(prefix))
}

/// Percent-encodes everything but the unreserved characters of RFC 3986: what is safe in a link, in XML and in HTML.
pub fn encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
