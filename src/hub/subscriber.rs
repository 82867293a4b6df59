//! A consumer's place in the items of a rendition.

use std::sync::Arc;
use std::time::SystemTime;

use super::broadcast::Broadcast;
use super::conversion::Converted;
use super::feed::{Read, Reader};
use super::item::{Batch, Item};
use super::standing::Preamble;

/// A place in a rendition's items.
#[derive(Debug)]
pub struct Subscriber {
    reader: Reader<Item, Arc<Preamble>>,
    broadcast: Arc<Broadcast>,
    /// Keeps the conversion running that makes this rendition, if it is a converted one.
    _converted: Option<Arc<Converted>>,
}

impl Subscriber {
    /// How many items are handed out at a time: where it is fewer, there are no more for now.
    pub const BATCH: usize = 256;

    pub(super) const fn new(
        reader: Reader<Item, Arc<Preamble>>,
        broadcast: Arc<Broadcast>,
        converted: Option<Arc<Converted>>,
    ) -> Self {
        Self { reader, broadcast, _converted: converted }
    }

    /// Whether all that was written was read.
    pub(super) fn is_at_end(&self) -> bool {
        self.reader.is_at_end()
    }

    /// The broadcast that this is a place in.
    pub(super) const fn broadcast(&self) -> &Arc<Broadcast> {
        &self.broadcast
    }

    /// The wall clock at media time zero.
    pub fn epoch(&self) -> SystemTime {
        self.broadcast.epoch()
    }

    /// A number that no other broadcast of this channel has: when it was created, in Unix milliseconds.
    pub fn broadcast_id(&self) -> u64 {
        self.broadcast.id()
    }

    /// The next items, as soon as there are any; begins at a keyframe, with the tracks and the cues that
    /// stand there. After [`Item::Ended`] it gives that again. Cancel-safe.
    pub async fn next_batch(&mut self) -> Batch {
        let Read { join, items, closed } = self.reader.read(Self::BATCH).await;
        let mut batch = Batch::new();
        if let Some(join) = join {
            if join.missed > 0 {
                batch.push(Item::Lagged(join.missed));
            }
            batch.extend(join.preamble.items());
        }
        batch.extend(items);
        if closed {
            batch.push(Item::Ended);
        }
        batch
    }
}
