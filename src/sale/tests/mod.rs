//! What is kept of cues, who bids, what becomes of slots, and what the sale does when something fails.

mod director;
mod market;
mod pages;
mod records;
mod slots;
mod stage;
mod start;
mod store;

use crate::cue::Slot;
use crate::media::{ChannelName, Cue, CueId, CueOrigin, CueState, MediaTime, OverlayFormat};
use crate::sale::{CueNumber, CueRecord};
use crate::store::{Config, Store};

async fn database() -> Store {
    let config = Config { url: "sqlite::memory:".to_owned() };
    Store::open(&config, &std::env::temp_dir()).await.unwrap()
}

fn kitchen() -> ChannelName {
    "kitchen".parse().unwrap()
}

fn slot(id: &str, origin: CueOrigin) -> Slot {
    let cue = Cue {
        id: CueId::new(id),
        revision: 1,
        state: CueState::Announced,
        start: MediaTime::from_millis(60_000),
        duration: Some(MediaTime::from_millis(15_000)),
        origin,
        scte35: None,
    };
    Slot { cue, format: OverlayFormat::LowerThird }
}

fn record(number: u64, channel: &ChannelName, origin: CueOrigin, at: i64) -> CueRecord {
    CueRecord::new(CueNumber(number), channel, 7, &slot("a cue", origin), at)
}
