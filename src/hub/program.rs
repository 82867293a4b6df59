//! The programme where it is more than the source: what viewers get is written by somebody who reads the source.
//!
//! Until then both are one feed, and nobody pays for the difference. When a [`Program`] is taken for the first time, the
//! source goes on in a copy of the feed, to which its own readers move by themselves; the programme's readers stay
//! where they are and notice nothing. Whenever nobody writes the programme, the source's items go into both.

use std::sync::Arc;

use super::broadcast::Broadcast;
use super::feed::Feed;
use super::item::{Batch, Item};
use super::rendition::MAX_VARIANTS;
use super::standing::{Entry, Preamble, Standing};
use super::subscriber::Subscriber;

/// Who writes the programme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Author {
    /// It is the source.
    #[default]
    Source,
    /// Whoever has taken it.
    Taken,
}

/// The programme of a broadcast, for the one who writes it from now on.
///
/// Dropping it without [`give_back`](Self::give_back) leaves a gap, of which viewers are told; their decoders go on at the
/// source's next keyframe.
#[derive(Debug)]
pub struct Program {
    broadcast: Arc<Broadcast>,
    /// Each variant, with what stands there.
    variants: Vec<(Feed<Item, Arc<Preamble>>, Standing)>,
    source: Subscriber,
    history: Batch,
    /// The programme is the source's again.
    over: bool,
}

impl Program {
    pub(super) const fn new(
        broadcast: Arc<Broadcast>,
        variants: Vec<(Feed<Item, Arc<Preamble>>, Standing)>,
        source: Subscriber,
        history: Batch,
    ) -> Self {
        Self { broadcast, variants, source, history, over: false }
    }

    /// What the programme has already: the source's items since its newest keyframe, with the tracks and cues that
    /// stand there. Where no keyframe is in memory, only the tracks.
    pub fn take_history(&mut self) -> Batch {
        std::mem::take(&mut self.history)
    }

    /// A number that no other broadcast of this channel has: when it was created, in Unix milliseconds.
    pub fn broadcast_id(&self) -> u64 {
        self.broadcast.id()
    }

    /// The source's next items, as soon as there are any. Cancel-safe.
    pub async fn next_batch(&mut self) -> Batch {
        self.source.next_batch().await
    }

    /// How many variants are to be written: those that were asked for, and those of before.
    pub fn variants(&self) -> u8 {
        u8::try_from(self.variants.len()).unwrap_or(MAX_VARIANTS)
    }

    /// The next item of a variant. After [`Item::Ended`] there is none.
    pub fn write(&mut self, variant: u8, item: Item) {
        debug_assert!(!self.over, "the programme was given back");
        if let Some((feed, standing)) = self.variants.get_mut(usize::from(variant)) {
            write(standing, feed, item);
        }
    }

    /// Lets the source's items go straight into the programme again, if all that there are were read here, and the caller has
    /// written what becomes of them. Nothing is written here after that.
    pub fn give_back(&mut self) -> bool {
        self.over = self.over || self.broadcast.resume(&self.source);
        self.over
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.over {
            self.broadcast.resume_after_gap();
        }
    }
}

/// Writes an item into a feed that is not a publisher's, and wakes its readers where a publisher would.
pub(super) fn write(standing: &mut Standing, feed: &Feed<Item, Arc<Preamble>>, item: Item) {
    let push = |entry: Option<Entry>| entry.into_iter().for_each(|entry| feed.push(entry));
    match item {
        Item::Track(track) => push(standing.track(track)),
        Item::Cue(cue) => push(standing.cue(cue)),
        Item::Frame(frame) => {
            let Some(kind) = standing.kind(frame.track) else { return };
            let (entry, wake) = standing.frame(kind, frame);
            feed.push(entry);
            if wake {
                feed.wake();
            }
        }
        Item::Lagged(_) => {
            feed.push(standing.other(item));
            standing.forget();
        }
        Item::Interrupted => {
            feed.push(standing.other(item));
            feed.wake();
        }
        // A feed that is closed says so itself.
        Item::Ended => feed.close(),
    }
}
