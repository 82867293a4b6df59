//! Requests that may be sent again: carried out once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::chat::message::Seq;
use crate::chat::person::UserId;

/// Requests whose ids are remembered, so that one that is sent again is not done again.
pub const MAX_REQUESTS: usize = 10_000;

/// Requests that came lately, by who sent them and their ids.
#[derive(Debug, Default)]
pub(super) struct Requests {
    known: HashMap<(UserId, Arc<str>), Fate>,
    order: VecDeque<(UserId, Arc<str>)>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The store has it.
    Pending,
    /// Done, with the comment that it made.
    Done(Option<Seq>),
}

impl Requests {
    /// What became of a request, if it is known.
    pub fn fate(&self, user: UserId, id: &str) -> Option<Fate> {
        self.known.get(&(user, Arc::from(id))).copied()
    }

    /// Notes what became of a request; the oldest is forgotten.
    pub fn set(&mut self, user: UserId, id: &Arc<str>, fate: Fate) {
        let key = (user, Arc::clone(id));
        if self.known.insert(key.clone(), fate).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > MAX_REQUESTS {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    /// How many are known.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// A request came to nothing: sent again, it is new.
    pub fn forget(&mut self, user: UserId, id: &Arc<str>) {
        let key = (user, Arc::clone(id));
        self.known.remove(&key);
        // Those that failed are the newest.
        if let Some(place) = self.order.iter().rposition(|known| *known == key) {
            self.order.remove(place);
        }
    }
}
