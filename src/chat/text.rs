//! What may stand in a comment, and what of it is shown.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::fold::is_invisible;

/// Marks above or below one letter. Every language that is written gets by with three; "zalgo" piles up dozens.
const MAX_MARKS: usize = 3;

/// Zero-width joiner and variation selector, which emoji are made with, and the joiners of Persian and of Indic scripts.
const JOINERS: [char; 3] = ['\u{200c}', '\u{200d}', '\u{fe0f}'];

/// Top-level domains by which a bare `name.tld` is taken for a link; any host with `://`, `www.` or a path is one anyway.
const COMMON_DOMAINS: &[&str] = &[
    "app", "biz", "co", "com", "de", "dev", "eu", "fr", "gg", "info", "io", "link", "live", "ly", "me",
    "net", "online", "org", "ru", "shop", "site", "to", "top", "tv", "uk", "us", "xyz",
];

/// Why a text is no comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadText {
    /// Nothing to be seen.
    #[error("there is nothing to read in it")]
    Empty,
    /// More than a comment may have.
    #[error("it is longer than a comment may be")]
    TooLong,
}

/// One line without what would break the lines of others: control characters, overrides of the writing direction,
/// invisible characters, towers of marks. Longer runs of spaces become one.
///
/// # Errors
/// When nothing visible is left, or it has more than `max_chars` characters.
pub fn clean(text: &str, max_chars: usize) -> Result<String, BadText> {
    let mut cleaned = String::with_capacity(text.len().min(max_chars.saturating_mul(4)));
    let (mut chars, mut marks, mut visible) = (0, 0, false);
    for c in text.nfc() {
        let c = if c.is_whitespace() { ' ' } else { c };
        let dropped = c.is_control()
            || (is_invisible(c) && !(JOINERS.contains(&c) && visible && !cleaned.ends_with(JOINERS)))
            || (c == ' ' && (cleaned.is_empty() || cleaned.ends_with(' ')));
        if dropped {
            continue;
        }
        let is_mark = is_combining_mark(c) && c != '\u{fe0f}';
        marks = if is_mark { marks + 1 } else { 0 };
        if marks > MAX_MARKS {
            continue;
        }
        visible |= c != ' ' && !is_mark && !is_invisible(c);
        chars += 1;
        if chars > max_chars + 1 {
            return Err(BadText::TooLong);
        }
        cleaned.push(c);
    }
    cleaned.truncate(cleaned.trim_end_matches(|c| c == ' ' || JOINERS[..2].contains(&c)).len());
    if !visible {
        return Err(BadText::Empty);
    }
    if cleaned.chars().count() > max_chars {
        return Err(BadText::TooLong);
    }
    Ok(cleaned)
}

/// How many words of the text are, or could be clicked as, links.
pub fn links(text: &str) -> usize {
    text.split([' ', '(', ')', '<', '>', '"', ',']).filter(|word| is_link(word)).count()
}

fn is_link(word: &str) -> bool {
    let word = word.trim_end_matches(['.', '!', '?', ';', ':']).to_lowercase();
    if word.contains("://") || word.starts_with("www.") {
        return true;
    }
    let (host, path) = word.split_once('/').map_or((word.as_str(), None), |(host, path)| (host, Some(path)));
    let host = host.split(':').next().unwrap_or_default();
    let Some((name, domain)) = host.rsplit_once('.') else { return false };
    let is_label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    let is_host = name.split('.').all(is_label)
        && (2..=24).contains(&domain.chars().count())
        && domain.chars().all(char::is_alphabetic);
    is_host && (path.is_some() || COMMON_DOMAINS.binary_search(&domain).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b32_what_would_break_the_lines_of_others_is_taken_out() {
        for (text, cleaned) in [
            ("  hello \n\t world  ", "hello world"),
            ("a\u{202e}gnirts\u{2066}b", "agnirtsb"),
            ("ca\u{66}e\u{301}", "cafe\u{301}"),
            ("\u{7}bell\0", "bell"),
            ("👩\u{200d}👩\u{200d}👧 ❤\u{fe0f}", "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f}"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ] {
            assert_eq!(clean(text, 100).unwrap(), cleaned.nfc().collect::<String>());
        }
        let tower = format!("z{}o", "\u{335}".repeat(80));
        assert_eq!(clean(&tower, 100).unwrap().chars().count(), 2 + MAX_MARKS);
    }

    #[test]
    fn b32_nothing_to_see_and_too_much_are_refused() {
        for empty in
            ["", " \n ", "\u{200b}\u{200d}\u{feff}", "\u{301}\u{302}", "\u{3164}\u{2800}", "\u{200d}\u{200d}"]
        {
            assert_eq!(clean(empty, 100), Err(BadText::Empty), "{empty:?}");
        }
        assert_eq!(clean(&"x".repeat(100), 100).unwrap().len(), 100);
        assert_eq!(clean(&"x".repeat(101), 100), Err(BadText::TooLong));
        assert_eq!(clean(&"é".repeat(100_000), 100), Err(BadText::TooLong));
    }

    #[test]
    fn links_are_recognised_with_and_without_a_scheme() {
        assert!(COMMON_DOMAINS.is_sorted());
        for link in [
            "http://a.b",
            "look:https://x.example/?q",
            "www.example.org!",
            "evil.com",
            "(evil.ru)",
            "a.museum/x",
        ] {
            assert_eq!(links(link), 1, "{link}");
        }
        for plain in ["3.5", "e.g. this", "no.way", "...", "wait...what", "10.30", "v1.2.3"] {
            assert_eq!(links(plain), 0, "{plain}");
        }
        assert_eq!(links("a.com b.com,c.com"), 3);
    }
}
