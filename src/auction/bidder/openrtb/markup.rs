//! `adm`: what is shown. Three shapes are taken, and nothing that runs:
//!
//! - a VAST document;
//! - a bare link to an image;
//! - HTML that is one image: `<img src="https://…">`, within `<a href="https://…">` if it is clickable, within any `<div>`,
//!   `<span>`, `<p>` or `<center>`, with further `<img>` of 1×1 pixels or none as impression beacons. No text, no script,
//!   no style sheet, no handler, no other element.

use crate::auction::bid::LossReason;
use crate::auction::external::{ImageMarkup, Markup};
use crate::format::link::Link;
use crate::format::vast::select::media_type_of;

/// The largest markup, in bytes.
pub const MAX_MARKUP: usize = 512 << 10;
/// The largest markup of HTML, and its elements.
const MAX_HTML: usize = 16 << 10;
const MAX_ELEMENTS: usize = 32;

/// Reads markup.
///
/// # Errors
/// The reason why a bid with it loses.
pub fn read(text: &str, must_be_secure: bool) -> Result<Markup, LossReason> {
    let text = text.trim();
    if text.is_empty() {
        return Err(LossReason::Markup);
    }
    if text.len() > MAX_MARKUP {
        return Err(LossReason::InvalidResponse);
    }
    let begins = |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if begins("<?xml") || begins("<VAST") {
        return Ok(Markup::Vast(text.into()));
    }
    let image = if begins("<") {
        if text.len() > MAX_HTML {
            return Err(LossReason::AdType);
        }
        html(text).ok_or(LossReason::AdType)?
    } else {
        if must_be_secure && begins("http:") {
            return Err(LossReason::NotSecure);
        }
        let link = Link::parse(text).map_err(|_| LossReason::Markup)?;
        media_type_of(link.as_str()).ok_or(LossReason::AdType)?;
        ImageMarkup { link, click_through: None, impressions: Vec::new() }
    };
    if must_be_secure && !image.link.is_secure() {
        return Err(LossReason::NotSecure);
    }
    Ok(Markup::Image(Box::new(image)))
}

/// HTML that is one image.
fn html(text: &str) -> Option<ImageMarkup> {
    let mut images = Vec::new();
    let mut impressions = Vec::new();
    let mut open: Vec<(String, Option<Link>)> = Vec::new();
    let mut rest = text;
    let mut elements = 0;
    while !rest.is_empty() {
        let (between, tag) = rest.split_once('<')?;
        if !between.trim().is_empty() {
            return None;
        }
        if let Some(closed) = tag.strip_prefix('/') {
            let (name, after) = closed.split_once('>')?;
            if open.pop()?.0 != name.trim().to_ascii_lowercase() {
                return None;
            }
            rest = after.trim_start();
            continue;
        }
        elements += 1;
        if elements > MAX_ELEMENTS {
            return None;
        }
        let (tag, after) = Tag::read(tag)?;
        match tag.name.as_str() {
            "img" => {
                let link = Link::parse(tag.attribute("src")?).ok()?;
                let is_beacon = |side: &str| matches!(tag.attribute(side), Some("0" | "1" | "0px" | "1px"));
                if is_beacon("width") && is_beacon("height") {
                    impressions.push(link);
                } else {
                    images.push((link, open.iter().rev().find_map(|(_, to)| to.clone())));
                }
            }
            "a" => open.push((tag.name.clone(), Some(Link::parse(tag.attribute("href")?).ok()?))),
            "div" | "span" | "p" | "center" => open.push((tag.name.clone(), None)),
            _ => return None,
        }
        rest = after.trim_start();
    }
    let [(link, click_through)] = &images[..] else { return None };
    let is_whole = open.is_empty();
    is_whole.then(|| ImageMarkup { link: link.clone(), click_through: click_through.clone(), impressions })
}

struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// Reads what is behind `<`, and gives what is behind `>`.
    fn read(text: &str) -> Option<(Self, &str)> {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric())?;
        let (name, mut rest) = text.split_at(end);
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix("/>").or_else(|| rest.strip_prefix('>')) {
                return Some((Self { name: name.to_ascii_lowercase(), attributes }, after));
            }
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'))?;
            let (attribute, after) = rest.split_at(end);
            let attribute = attribute.to_ascii_lowercase();
            let is_plain = attribute.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            if attribute.is_empty() || !is_plain || attribute.starts_with("on") || attributes.len() >= 16 {
                return None;
            }
            rest = after.trim_start();
            let mut value = String::new();
            if let Some(after) = rest.strip_prefix('=') {
                let after = after.trim_start();
                let quote = after.chars().next()?;
                let (text, behind) = if matches!(quote, '"' | '\'') {
                    after.get(1..)?.split_once(quote)?
                } else {
                    after.split_at(after.find(|c: char| c.is_whitespace() || c == '>')?)
                };
                value = text.replace("&amp;", "&");
                rest = behind;
            }
            attributes.push((attribute, value));
        }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }
}
