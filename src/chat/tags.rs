//! Hashtags and mentions: read once, on the server (UAX #31 hashtag identifiers, in short).

use std::sync::Arc;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The most hashtags that are counted of one comment.
const MAX_TAGS: usize = 8;
/// The most characters of a hashtag.
const MAX_TAG_CHARS: usize = 60;

/// The text's hashtags in the order of their first use, each once: NFKC, lower case, without `#`. A number alone is none.
pub fn hashtags(text: &str) -> Vec<Arc<str>> {
    let mut tags: Vec<Arc<str>> = Vec::new();
    for (place, rest) in marks(text, &['#', '＃']) {
        if place {
            let tag: String = rest.chars().take_while(|c| continues(*c)).take(MAX_TAG_CHARS).collect();
            let tag: String = tag.nfkc().flat_map(char::to_lowercase).collect();
            let is_tag = tag.chars().any(|c| c.is_alphabetic());
            if is_tag && tags.len() < MAX_TAGS && !tags.iter().any(|known| **known == *tag) {
                tags.push(tag.into());
            }
        }
    }
    tags
}

/// What follows each `@` that begins a word; whose names these texts begin with, the room knows.
pub fn mentions(text: &str) -> impl Iterator<Item = &str> {
    marks(text, &['@', '＠']).filter(|(begins_word, _)| *begins_word).map(|(_, rest)| rest)
}

/// The places of a mark: whether a word begins there, and what follows.
fn marks<'a>(text: &'a str, marks: &'static [char]) -> impl Iterator<Item = (bool, &'a str)> {
    text.match_indices(marks).map(|(at, mark)| {
        let before = text[..at].chars().next_back();
        (before.is_none_or(|c| !continues(c) && c != '&' && c != '/'), &text[at + mark.len()..])
    })
}

fn continues(c: char) -> bool {
    c.is_alphanumeric()
        || c == '_'
        || is_combining_mark(c)
        || matches!(c, '\u{200c}' | '\u{200d}' | '\u{b7}' | '\u{30fb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> Vec<String> {
        hashtags(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn hashtags_follow_unicode_and_are_normalised() {
        assert_eq!(tags("#Live now, #LIVE!"), ["live"]);
        assert_eq!(tags("ＣＯＯＫＩＮＧ ＃ＣＯＯＫＩＮＧ"), ["cooking"]);
        assert_eq!(tags("#日本語 #café #हिन्दी #naïve_42"), ["日本語", "café", "हिन्दी", "naïve_42"]);
        assert_eq!(tags("#2026 #1 # a#b &#39; http://x/#top ##x"), ["x"]);
        assert_eq!(tags(&(0..20).map(|n| format!("#t{n} ")).collect::<String>()).len(), MAX_TAGS);
        assert!(tags(&format!("#{}", "a".repeat(500)))[0].len() <= MAX_TAG_CHARS);
    }

    #[test]
    fn mentions_begin_words() {
        assert_eq!(
            mentions("@Ada and mail@example.org (@Bob)").collect::<Vec<_>>(),
            ["Ada and mail@example.org (@Bob)", "Bob)"]
        );
    }
}
