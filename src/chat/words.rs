//! Blocked words: found whatever letters they are written with, and never inside other words.

use std::collections::HashSet;

use super::fold::fold_letters;

/// The words that a room does not want to read. `word*` blocks all words that begin so.
#[derive(Clone, Debug, Default)]
pub struct BlockedWords {
    written: Vec<String>,
    whole: HashSet<String>,
    /// The same with each letter once.
    squeezed: HashSet<String>,
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
            let folded = folded_words(stem).concat();
            if folded.is_empty() {
                continue;
            }
            if is_beginning {
                blocked.beginnings.push(folded);
            } else {
                blocked.squeezed.insert(squeeze(&folded));
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
        let plain = |word: &str| {
            self.whole.contains(word) || self.beginnings.iter().any(|beginning| word.starts_with(beginning))
        };
        let drawn_out = |word: &str| is_drawn_out(word) && self.squeezed.contains(&squeeze(word));
        let blocked = |word: &String| plain(word) || drawn_out(word);
        words.iter().any(blocked) || spelled_out(&words).iter().any(blocked)
    }
}

/// The words of a text, folded. Signs inside a word do not divide it: `b.a.d`, `b!tch`.
fn folded_words(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| c.is_ascii_punctuation() && !matches!(c, '$' | '@')))
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

/// No word has a letter three times in a row, but who means "bad" may write "baaad".
fn is_drawn_out(word: &str) -> bool {
    let letters: Vec<char> = word.chars().collect();
    letters.windows(3).any(|run| run[0] == run[1] && run[1] == run[2])
}

/// Each letter that is repeated once.
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
