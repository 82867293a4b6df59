//! Decoded creatives, so that a slot does not wait for a worker to decode what was shown a minute ago.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::av::worker::ipc::Size;
use crate::ledger::CampaignId;
use crate::overlay::Image;

/// What all of them may take, in bytes: a part of what there is for the images of slots.
const MAX_BYTES: usize = 64 << 20;

/// The creatives that were shown last, by whose they are and the size that they were decoded to. Whoever changes a creative
/// gives it another number.
#[derive(Debug, Default)]
pub(super) struct Images(Mutex<VecDeque<(Key, Image)>>);

type Key = (CampaignId, u64, Size);

impl Images {
    /// A creative, if it is here.
    pub fn find(&self, campaign: CampaignId, creative: u64, fit: Size) -> Option<Image> {
        let mut images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = images.iter().position(|(key, _)| *key == (campaign, creative, fit))?;
        let entry = images.remove(place)?;
        let image = entry.1.clone();
        images.push_back(entry);
        Some(image)
    }

    /// Keeps one, in the place of those that were not asked for the longest.
    pub fn keep(&self, campaign: CampaignId, creative: u64, fit: Size, image: Image) {
        if image.bytes() > MAX_BYTES {
            return;
        }
        let mut images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        images.push_back(((campaign, creative, fit), image));
        while images.iter().map(|(_, image)| image.bytes()).sum::<usize>() > MAX_BYTES {
            images.pop_front();
        }
    }
}
