//! Names: one of a kind in a room, as a reader sees them, and none that pretends to be the house.

use std::collections::HashMap;

use super::fold::fold_letters;
use super::person::{Role, UserId};
use super::text::{self, BadText};
use crate::random::mix;

/// The longest name, in characters.
pub const MAX_NAME_CHARS: usize = 24;

/// Names that sound like somebody in charge. Broadcaster and moderators may take them.
const RESERVED: &[&str] = &[
    "admin",
    "administrator",
    "anonymous",
    "bot",
    "broadcaster",
    "everyone",
    "guest",
    "host",
    "mod",
    "moderator",
    "official",
    "onair",
    "operator",
    "owner",
    "staff",
    "streamer",
    "support",
    "system",
    "you",
];

/// What guests are called until they choose.
const FIRST: [&str; 32] = [
    "Amber", "Brave", "Bright", "Calm", "Clever", "Cosy", "Curious", "Dapper", "Eager", "Early", "Gentle",
    "Golden", "Happy", "Humble", "Jolly", "Kind", "Late", "Lucky", "Merry", "Mild", "Neat", "Nimble",
    "Patient", "Proud", "Quick", "Quiet", "Silver", "Sunny", "Swift", "Tidy", "Warm", "Witty",
];
const SECOND: [&str; 32] = [
    "Badger", "Beaver", "Crane", "Deer", "Dolphin", "Falcon", "Finch", "Fox", "Gecko", "Heron", "Ibis",
    "Koala", "Lark", "Lemur", "Lynx", "Magpie", "Marmot", "Mole", "Newt", "Otter", "Owl", "Panda", "Puffin",
    "Raven", "Robin", "Seal", "Sparrow", "Stork", "Swan", "Tern", "Turtle", "Wren",
];

/// Why a name is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadName {
    /// Its characters or its length.
    #[error("a name has 1 to {MAX_NAME_CHARS} characters that can be seen, and none of @ # : < >")]
    Form,
    /// It sounds like somebody in charge, or has a word that the room blocks.
    #[error("this name is reserved")]
    Reserved,
    /// Somebody has it, or one that looks like it.
    #[error("somebody here has this name, or one that looks like it")]
    Taken,
}

/// The names of a room.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// By what they look like.
    owners: HashMap<String, UserId>,
    names: HashMap<UserId, Name>,
}

#[derive(Clone, Debug)]
struct Name {
    text: String,
    chosen: bool,
}

impl Names {
    /// The name of somebody who has one.
    pub fn of(&self, user: UserId) -> Option<&str> {
        self.names.get(&user).map(|name| name.text.as_str())
    }

    /// Whether somebody has chosen the name they have.
    pub fn is_chosen(&self, user: UserId) -> bool {
        self.names.get(&user).is_some_and(|name| name.chosen)
    }

    /// Gives somebody a name, in place of the one they have.
    ///
    /// # Errors
    /// When it is not to be had; the old one stays.
    pub fn take(&mut self, user: UserId, role: Role, name: &str) -> Result<&str, BadName> {
        let name = text::clean(name, MAX_NAME_CHARS).map_err(|error| match error {
            BadText::Empty | BadText::TooLong => BadName::Form,
        })?;
        if name.contains(['@', '#', ':', '<', '>']) {
            return Err(BadName::Form);
        }
        let look = look(&name);
        if look.is_empty() {
            return Err(BadName::Form);
        }
        if !role.moderates() && is_reserved(&look) {
            return Err(BadName::Reserved);
        }
        if self.owners.get(&look).is_some_and(|owner| *owner != user) {
            return Err(BadName::Taken);
        }
        self.release(user);
        self.owners.insert(look, user);
        Ok(&self.names.entry(user).insert_entry(Name { text: name, chosen: true }).into_mut().text)
    }

    /// A name for somebody who has not chosen any: the same each time, as far as it is free.
    pub fn invent(&mut self, user: UserId) -> &str {
        let random = mix(user.0);
        let pick = |words: &[&'static str; 32], shift: u32| words[(random >> shift & 31) as usize];
        let base = format!("{} {}", pick(&FIRST, 0), pick(&SECOND, 5));
        let mut number = random >> 10 & 0xff;
        let mut name = base.clone();
        // Each turn asks for a name that was not asked for before, and there are as many as there are numbers.
        while self.owners.get(&look(&name)).is_some_and(|owner| *owner != user) {
            number += 1;
            name = format!("{base} {number}");
        }
        self.release(user);
        self.owners.insert(look(&name), user);
        &self.names.entry(user).insert_entry(Name { text: name, chosen: false }).into_mut().text
    }

    /// Makes somebody's name free.
    pub fn release(&mut self, user: UserId) {
        if let Some(name) = self.names.remove(&user) {
            self.owners.remove(&look(&name.text));
        }
    }

    /// Makes somebody's name free, unless they chose it.
    pub fn release_invented(&mut self, user: UserId) {
        if !self.is_chosen(user) {
            self.release(user);
        }
    }

    /// Whose name stands at the beginning of a text, followed by no letter or digit; the longest, if several do.
    pub fn at_beginning_of(&self, text: &str) -> Option<UserId> {
        let ends = text.char_indices().skip(1).map(|(at, _)| at).chain([text.len()]).take(MAX_NAME_CHARS);
        let whole = |end: &usize| !text[*end..].starts_with(char::is_alphanumeric);
        let candidates: Vec<usize> = ends.filter(whole).collect();
        candidates.into_iter().rev().find_map(|end| self.owners.get(&look(&text[..end])).copied())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.names.len()
    }
}

fn look(name: &str) -> String {
    fold_letters(name).chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_' | '.')).collect()
}

fn is_reserved(look_of_name: &str) -> bool {
    RESERVED.iter().any(|word| {
        let word = look(word);
        // "Moderator 2" and "the admin" are no better.
        look_of_name.strip_prefix(&*word).is_some_and(|rest| rest.chars().all(char::is_numeric))
            || (word.chars().count() >= 5
                && (look_of_name.starts_with(&word) || look_of_name.ends_with(&word)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserId = UserId(1);
    const BEN: UserId = UserId(2);

    #[test]
    fn a_name_has_one_owner_whatever_it_is_written_with() {
        let mut names = Names::default();
        assert_eq!(names.take(ANN, Role::Guest, "  Ann  Lee "), Ok("Ann Lee"));
        for twin in ["ann lee", "AnnLee", "Аnn Lee", "Ann_Lee", "Ann L\u{200b}ee", "Ａnn Lee", "Ann Lée"] {
            assert_eq!(names.take(BEN, Role::Guest, twin), Err(BadName::Taken), "{twin}");
        }
        assert_eq!(names.take(ANN, Role::Guest, "ANN LEE"), Ok("ANN LEE"), "one's own look-alike is free");
        assert_eq!(names.take(ANN, Role::Guest, "Anna"), Ok("Anna"));
        assert_eq!(
            names.take(BEN, Role::Guest, "Ann Lee"),
            Ok("Ann Lee"),
            "a name that was given up is free"
        );
        names.release(BEN);
        assert_eq!((names.of(BEN), names.count()), (None, 1));
    }

    #[test]
    fn reserved_and_malformed_names_are_refused() {
        let mut names = Names::default();
        for name in ["Admin", "m0derator", "Moderator 2", "the-admin", "ONAIR", "оnair", "Host", "system"] {
            assert_eq!(names.take(ANN, Role::Guest, name), Err(BadName::Reserved), "{name}");
        }
        for name in ["", " ", "\u{200b}", "a@b", "x:y", "<b>", &"x".repeat(25), "_", "..."] {
            assert_eq!(names.take(ANN, Role::Guest, name), Err(BadName::Form), "{name}");
        }
        assert!(names.take(ANN, Role::Moderator, "Moderator 2").is_ok());
        for fine in ["Modesty", "Hostess", "Robot", "Youssef"] {
            assert!(names.take(BEN, Role::Guest, fine).is_ok(), "{fine}");
        }
    }

    #[test]
    fn invented_names_are_different_and_stay() {
        let mut names = Names::default();
        let invented: Vec<String> = (0..3000).map(|user| names.invent(UserId(user)).to_owned()).collect();
        let mut looks: Vec<String> = invented.iter().map(|name| look(name)).collect();
        looks.sort_unstable();
        looks.dedup();
        assert_eq!(looks.len(), 3000);
        assert_eq!(names.invent(UserId(7)), invented[7]);
    }

    #[test]
    fn the_longest_name_at_the_beginning_is_meant() {
        let mut names = Names::default();
        names.take(ANN, Role::Guest, "Ann").unwrap();
        names.take(BEN, Role::Guest, "Ann Lee").unwrap();
        assert_eq!(names.at_beginning_of("ann lee, hi"), Some(BEN));
        assert_eq!(names.at_beginning_of("Ann: hi"), Some(ANN));
        assert_eq!(names.at_beginning_of("Anna hi"), None);
        assert_eq!(names.at_beginning_of(""), None);
    }
}
