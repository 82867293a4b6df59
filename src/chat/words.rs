//! Blocked words: found whatever letters they are written with, and never inside other words.

use std::collections::HashSet;

use super::fold::fold_letters;

/// The words that a room does not want to read. `word*` blocks all words that begin so.
#[derive(Clone, Debug, Default)]
pub struct BlockedWords {
    written: Vec<String>,
    whole: HashSet<String>,
    beginnings: Vec<String>,
}

/// The most words that a room can block.
pub const MAX_WORDS: usize = 500;
/// The longest of them, in characters.
pub const MAX_WORD_CHARS: usize = 40;

impl BlockedWords {
    /// From a list; of one that is too long, the rest is left out, as are entries without a letter.
    pub fn new(words: &[String]) -> Self {
        let mut blocked = Self::default();
        for word in words.iter().take(MAX_WORDS) {
            let written: String = word.trim().chars().take(MAX_WORD_CHARS).collect();
            let (stem, is_beginning) =
                written.strip_suffix('*').map_or((&*written, false), |stem| (stem, true));
            let folded = squeeze(&folded_words(stem).concat());
            if folded.is_empty() {
                continue;
            }
            if is_beginning {
                blocked.beginnings.push(folded);
            } else {
                blocked.whole.insert(folded);
            }
            blocked.written.push(written);
        }
        blocked
    }

    /// The list as it was written.
    pub fn written(&self) -> &[String] {
        &self.written
    }

    /// Whether a text has one of them.
    pub fn are_in(&self, text: &str) -> bool {
        if self.written.is_empty() {
            return false;
        }
        let words = folded_words(text);
        let blocked = |word: &str| {
            let word = squeeze(word);
            self.whole.contains(&word) || self.beginnings.iter().any(|beginning| word.starts_with(beginning))
        };
        words.iter().any(|word| blocked(word)) || spelled_out(&words).iter().any(|word| blocked(word))
    }
}

/// The words of a text, folded. Signs inside a word do not divide it: `f*ck`, `b.a.d`.
fn folded_words(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|word| fold_letters(word).chars().filter(|c| c.is_alphanumeric()).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Words that are written letter by letter, put together: "b a d" is "bad".
fn spelled_out(words: &[String]) -> Vec<String> {
    words
        .split(|word| word.chars().count() > 1)
        .filter(|letters| letters.len() > 1)
        .map(<[String]>::concat)
        .collect()
}

/// Letters that are repeated count once: "baaad" is "bad".
fn squeeze(word: &str) -> String {
    let mut squeezed = String::with_capacity(word.len());
    for c in word.chars() {
        if !squeezed.ends_with(c) {
            squeezed.push(c);
        }
    }
    squeezed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(words: &[&str]) -> BlockedWords {
        BlockedWords::new(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_blocked_word_is_found_however_it_is_written() {
        let words = blocked(&["moron", "spam*", " ", "idiot"]);
        assert_eq!(words.written(), ["moron", "spam*", "idiot"]);
        for text in [
            "you MORON!",
            "m0r0n",
            "mоrоn",
            "m o r o n",
            "m.o.r.o.n",
            "mooooron",
            "ｍｏｒｏｎ",
            "mo\u{200b}ron",
            "móron",
            "spammers here",
            "$pam",
            "1d10t",
        ] {
            assert!(words.are_in(text), "{text}");
        }
    }

    #[test]
    fn words_that_contain_a_blocked_one_are_let_be() {
        let words = blocked(&["ass", "cunt"]);
        for text in ["class", "Scunthorpe", "as soon as", "a s long", ""] {
            assert!(!words.are_in(text), "{text}");
        }
        assert!(!blocked(&[]).are_in("anything"));
    }
}
