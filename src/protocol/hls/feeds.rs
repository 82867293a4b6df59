//! The hub's items of a programme's variants, in the order in which packagers need them.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use crate::hub::{Batch, Item, Subscriber};

/// A place in everybody's variant, and in each of the others that players have asked for.
pub(super) struct Feeds {
    everybody: Feed,
    others: Vec<Feed>,
}

struct Feed {
    variant: u8,
    subscriber: Subscriber,
    ended: bool,
}

impl Feeds {
    /// Everybody's variant alone.
    pub const fn new(everybody: Subscriber) -> Self {
        Self { everybody: Feed { variant: 0, subscriber: everybody, ended: false }, others: Vec::new() }
    }

    /// One more variant, unless it is of another broadcast; `false` then.
    pub fn add(&mut self, variant: u8, subscriber: Subscriber) -> bool {
        let same = subscriber.broadcast_id() == self.everybody.subscriber.broadcast_id();
        if same {
            self.others.push(Feed { variant, subscriber, ended: false });
        }
        same
    }

    /// The wall clock at media time zero.
    pub fn epoch(&self) -> SystemTime {
        self.everybody.subscriber.epoch()
    }

    /// The next items, each with its variant, as soon as there are any. Of everybody's variant there are all that were written
    /// before those of the others, and they come first. Cancel-safe.
    pub async fn next(&mut self) -> Vec<(u8, Item)> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Vec<(u8, Item)>> {
        let mut others = Vec::new();
        for feed in &mut self.others {
            if let Some(batch) = feed.poll(context) {
                others.extend(batch.into_iter().map(|item| (feed.variant, item)));
            }
        }
        // Looked at after the others: whatever both have is written here first.
        let mut items = Vec::new();
        while let Some(batch) = self.everybody.poll(context) {
            items.extend(batch.into_iter().map(|item| (0, item)));
        }
        items.append(&mut others);
        if items.is_empty() { Poll::Pending } else { Poll::Ready(items) }
    }
}

impl Feed {
    fn poll(&mut self, context: &mut Context<'_>) -> Option<Batch> {
        if self.ended {
            return None;
        }
        let Poll::Ready(batch) = pin!(self.subscriber.next_batch()).poll(context) else { return None };
        self.ended = batch.iter().any(|item| matches!(item, Item::Ended));
        Some(batch)
    }
}
