//! What may be booked: lengths, numbers, addresses. Each refusal names the field and what is allowed.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Uri;
use unicode_normalization::UnicodeNormalization as _;

use crate::auction::Campaign;

/// A field, and what is allowed there.
pub type Problem = (&'static str, String);

/// The longest name of an advertiser or a campaign, in characters.
pub const MAX_NAME: usize = 100;
/// The longest reason for a rejection, in characters.
pub const MAX_REASON: usize = 500;
/// The most domains of an advertiser.
pub const MAX_DOMAINS: usize = 20;
/// The longest host name, in bytes (RFC 1035 §2.3.4).
const MAX_HOST: usize = 253;
/// The longest address that a click leads to, in bytes: what browsers and servers take everywhere.
pub const MAX_URL: usize = 2000;
/// The most words of a list: channels, categories, tags, …
pub const MAX_WORDS: usize = 100;
/// The longest category, tag or hashtag, in characters.
pub const MAX_WORD: usize = 60;
/// The most caps of a campaign.
pub const MAX_CAPS: usize = 4;
/// The longest name of a deal, in bytes.
pub const MAX_DEAL: usize = 64;

/// A text in one line, without spaces around it.
///
/// # Errors
/// When it is empty, too long, or has control characters.
pub fn line(field: &'static str, text: &str, most: usize) -> Result<String, Problem> {
    let text = text.trim();
    if !(1..=most).contains(&text.chars().count()) || text.chars().any(char::is_control) {
        return Err((field, format!("1 to {most} characters in one line, without control characters")));
    }
    Ok(text.to_owned())
}

/// Hosts, in lower case.
///
/// # Errors
/// When they are too many, or one is no name of a host.
pub fn domains(given: &BTreeSet<String>) -> Result<BTreeSet<String>, Problem> {
    let hosts: BTreeSet<String> = given.iter().map(|host| host.trim().to_ascii_lowercase()).collect();
    if hosts.len() > MAX_DOMAINS || !hosts.iter().all(|host| is_host(host)) {
        return Err((
            "domains",
            format!("up to {MAX_DOMAINS} hosts like shop.example; others in Punycode (xn--…)"),
        ));
    }
    Ok(hosts)
}

fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= MAX_HOST && text.contains('.') && text.split('.').all(is_label)
}

/// Where a click leads: HTTP or HTTPS, to one of the domains or below it, if there are any.
///
/// # Errors
/// When it leads anywhere else, or nowhere.
pub fn click_url(text: &str, domains: &BTreeSet<String>) -> Result<String, Problem> {
    let is_allowed = |host: &str| {
        let below = |domain: &String| {
            host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        domains.is_empty() || domains.iter().any(below)
    };
    let parsed = (text.len() <= MAX_URL).then(|| text.parse::<Uri>().ok()).flatten();
    let is_good = parsed.is_some_and(|uri| {
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        // What stands before an @ makes a host look like another one.
        let is_plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        is_web && is_plain && !host.is_empty() && is_allowed(&host)
    });
    if is_good {
        return Ok(text.to_owned());
    }
    let hosts = domains.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let where_to = if hosts.is_empty() { String::new() } else { format!(" at {hosts}") };
    Err(("click_url", format!("an http:// or https:// address{where_to}, of up to {MAX_URL} characters")))
}

/// A category, tag or hashtag as it is compared: NFKC, lower case, without `#` and spaces around it.
pub fn word(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix(['#', '＃']).unwrap_or(text).nfkc().flat_map(char::to_lowercase).collect()
}

/// Words as they are compared.
///
/// # Errors
/// When they are too many, or one is empty or too long.
pub fn words(field: &'static str, given: &BTreeSet<Arc<str>>) -> Result<BTreeSet<Arc<str>>, Problem> {
    let words: BTreeSet<Arc<str>> = given.iter().map(|text| word(text).into()).collect();
    let is_word = |word: &Arc<str>| {
        (1..=MAX_WORD).contains(&word.chars().count()) && !word.chars().any(char::is_control)
    };
    if words.len() > MAX_WORDS || !words.iter().all(is_word) {
        return Err((field, format!("up to {MAX_WORDS} words of 1 to {MAX_WORD} characters")));
    }
    Ok(words)
}

/// The terms of a campaign as they are kept.
///
/// # Errors
/// Everything that is wrong with them.
pub fn terms(mut terms: Campaign) -> Result<Campaign, Vec<Problem>> {
    let mut problems = terms.problems();
    let targeting = &mut terms.targeting;
    let separation = terms.separation.as_mut().map(|separation| &mut separation.categories);
    let mut nothing = BTreeSet::new();
    for (field, set) in [
        ("targeting.categories", &mut targeting.categories),
        ("targeting.tags", &mut targeting.tags),
        ("targeting.hashtags", &mut targeting.hashtags),
        ("separation.categories", separation.unwrap_or(&mut nothing)),
    ] {
        match words(field, set) {
            Ok(words) => *set = words,
            Err(problem) => problems.push(problem),
        }
    }
    let lists = [
        ("targeting.channels", targeting.channels.len()),
        ("targeting.countries", targeting.countries.len()),
        ("targeting.languages", targeting.languages.len()),
    ];
    for (field, count) in lists {
        // There are 676 codes of two letters, and fewer countries.
        let most = if field == "targeting.channels" { MAX_WORDS } else { 250 };
        if count > most {
            problems.push((field, format!("up to {most}")));
        }
    }
    if terms.caps.len() > MAX_CAPS {
        problems.push(("caps", format!("up to {MAX_CAPS}")));
    }
    if terms.separation.as_ref().is_some_and(|separation| separation.categories.is_empty()) {
        problems.push(("separation.categories", "at least one, or no separation at all".to_owned()));
    }
    let is_deal = |deal: &Arc<str>| {
        (1..=MAX_DEAL).contains(&deal.len()) && deal.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if terms.deal.as_ref().is_some_and(|deal| !is_deal(deal)) {
        problems.push(("deal", format!("1 to {MAX_DEAL} visible ASCII characters")));
    }
    // Of the earliest and the latest clock there is (UTC-12 to UTC+14).
    if !(-12 * 60..=14 * 60).contains(&terms.schedule.hours.offset_minutes) {
        problems.push(("day_parts.offset_minutes", "-720 to 840".to_owned()));
    }
    if problems.is_empty() { Ok(terms) } else { Err(problems) }
}
