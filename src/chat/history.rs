//! A room's memory of its last events and comments.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::Comment;
use super::message::Seq;
use super::sampling::Posted;

/// Who sees a comment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Visibility {
    /// Everybody.
    #[default]
    Shown,
    /// Nobody: it was deleted.
    Deleted,
    /// Its author and moderators.
    Shadowed,
}

/// A comment in memory.
#[derive(Clone, Debug)]
pub struct Kept {
    /// It.
    pub comment: Comment,
    /// Who sees it.
    pub visibility: Visibility,
    /// A jury found nothing wrong with it.
    pub acquitted: bool,
}

/// The last events, by which a viewer resumes, and the last comments, which can be answered, reported, deleted.
#[derive(Clone, Debug)]
pub struct History {
    events: VecDeque<Arc<Posted>>,
    comments: BTreeMap<Seq, Kept>,
    limit: usize,
    /// The newest event that is not in memory any more.
    forgotten: Seq,
}

impl History {
    /// Keeps `limit` of each, and has forgotten everything up to an event.
    pub const fn new(limit: usize, forgotten: Seq) -> Self {
        Self { events: VecDeque::new(), comments: BTreeMap::new(), limit, forgotten }
    }

    /// Adds an event, whose number is higher than those before.
    pub fn event(&mut self, event: Arc<Posted>) {
        self.events.push_back(event);
        while self.events.len() > self.limit {
            self.forgotten = self.events.pop_front().map_or(self.forgotten, |event| event.seq);
        }
    }

    /// Adds a comment.
    pub fn comment(&mut self, comment: Comment, visibility: Visibility) {
        self.comments.insert(comment.seq, Kept { comment, visibility, acquitted: false });
        while self.comments.len() > self.limit {
            self.comments.pop_first();
        }
    }

    /// A comment that is in memory.
    pub fn find(&mut self, seq: Seq) -> Option<&mut Kept> {
        self.comments.get_mut(&seq)
    }

    /// All events after one; `None` when some of them are not in memory.
    pub fn since(&self, after: Seq) -> Option<impl Iterator<Item = &Arc<Posted>>> {
        let from = self.events.partition_point(|event| event.seq <= after);
        (after >= self.forgotten).then(|| self.events.range(from..))
    }

    /// The last comments that this person may see, the newest last.
    pub fn last(&self, count: usize, sees: impl Fn(&Kept) -> bool) -> Vec<Comment> {
        let seen = self.comments.values().rev().filter(|kept| sees(kept)).take(count);
        let mut comments: Vec<Comment> = seen.map(|kept| kept.comment.clone()).collect();
        comments.reverse();
        comments
    }
}
