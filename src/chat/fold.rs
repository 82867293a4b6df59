//! What a text looks like: two texts that a reader takes for the same fold to the same.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_security::confusable_detection::skeleton;

/// Folds case, compatibility forms, accents, invisible characters and look-alikes (UTS #39 skeletons). What comes out is
/// for comparing, not for reading.
pub fn fold(text: &str) -> String {
    let plain = |text: &str| -> String {
        let visible = text.nfkd().filter(|c| !is_combining_mark(*c) && !is_invisible(*c));
        visible.flat_map(char::to_lowercase).collect()
    };
    // Case is folded on both sides: a look-alike may be of the other case.
    let skeleton: String = skeleton(&plain(text)).collect();
    // A skeleton writes m as rn, which look alike; one letter is easier to reason about.
    plain(&skeleton).replace("rn", "m")
}

/// [`fold`], and the digits and signs that are written for letters.
pub fn fold_letters(text: &str) -> String {
    let letters: String = text
        .chars()
        .map(|c| match c {
            '0' => 'o',
            '1' | '!' | '|' => 'l',
            '3' | '€' => 'e',
            '4' | '@' => 'a',
            '5' | '$' => 's',
            '7' => 't',
            other => other,
        })
        .collect();
    // After it the letter i, which 1 and l stand for as well, is one of them.
    fold(&letters).replace('i', "l")
}

/// Characters that show nothing of their own: joiners, directional marks, fillers, variation selectors.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_fold_to_the_same() {
        for (one, other) in [
            ("Paypal", "pаypаl"), // Cyrillic a
            ("ADMIN", "ａｄｍｉｎ"),
            ("admin", "a\u{200b}d\u{301}min"),
            ("Oscar", "0scar"),
            ("lily", "1i1y"),
        ] {
            assert_eq!(fold_letters(one), fold_letters(other), "{one} {other}");
        }
        assert_ne!(fold("anna"), fold("hanna"));
        assert_eq!(fold("Ada"), fold("ADA"));
    }
}
