//! Everything that is booked, as it stands, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::advertiser::{Advertiser, AdvertiserId};
use super::campaign::Booking;
use super::creative::{ContentHash, Creative, CreativeFile, CreativeId};
use super::store::{LastNumbers, Stored};
use crate::auction::Campaign;
use crate::auth::Digest;
use crate::ledger::CampaignId;

/// What is booked.
#[derive(Default)]
pub(super) struct Register {
    pub advertisers: BTreeMap<AdvertiserId, Advertiser>,
    keys: HashMap<Digest, AdvertiserId>,
    pub campaigns: BTreeMap<CampaignId, Booking>,
    pub creatives: BTreeMap<CreativeId, Creative>,
    files: BTreeMap<CreativeId, Arc<CreativeFile>>,
    last: LastNumbers,
}

impl Register {
    /// What a store has. A creative whose file is not the one that was looked at is not ready.
    pub fn new(stored: Stored) -> Self {
        let mut register = Self { last: stored.last, ..Self::default() };
        for (advertiser, key) in stored.advertisers {
            register.set_key(advertiser.id, key);
            register.advertisers.insert(advertiser.id, advertiser);
        }
        for booking in stored.campaigns {
            register.campaigns.insert(booking.id(), booking);
        }
        for (mut creative, file) in stored.creatives {
            creative.is_ready = ContentHash::of(&file) == creative.hash;
            register.keep_creative(creative, Some(file));
        }
        let campaigns: Vec<CampaignId> = register.campaigns.keys().copied().collect();
        for campaign in campaigns {
            register.tell_campaign(campaign);
        }
        register
    }

    /// A number that no advertiser has had.
    pub fn next_advertiser(&mut self) -> AdvertiserId {
        self.last.advertiser += 1;
        AdvertiserId(self.last.advertiser)
    }

    /// A number that no campaign has had.
    pub fn next_campaign(&mut self) -> CampaignId {
        self.last.campaign += 1;
        CampaignId(self.last.campaign)
    }

    /// A number that no creative has had.
    pub fn next_creative(&mut self) -> CreativeId {
        self.last.creative += 1;
        self.last.creative
    }

    /// Whose key this is.
    pub fn owner(&self, key: &Digest) -> Option<AdvertiserId> {
        self.keys.get(key).copied()
    }

    /// Makes this the advertiser's one key; an older one is void.
    pub fn set_key(&mut self, advertiser: AdvertiserId, key: Digest) {
        self.keys.retain(|_, owner| *owner != advertiser);
        self.keys.insert(key, advertiser);
    }

    pub fn remove_advertiser(&mut self, advertiser: AdvertiserId) {
        self.keys.retain(|_, owner| *owner != advertiser);
        self.advertisers.remove(&advertiser);
    }

    /// The campaigns of an advertiser.
    pub fn campaigns_of(&self, advertiser: AdvertiserId) -> impl Iterator<Item = &Booking> {
        self.campaigns.values().filter(move |booking| booking.advertiser == advertiser)
    }

    /// The creatives of a campaign.
    pub fn creatives_of(&self, campaign: CampaignId) -> impl Iterator<Item = &Creative> {
        self.creatives.values().filter(move |creative| creative.campaign == campaign)
    }

    /// A campaign and all that belongs to it.
    pub fn remove_campaign(&mut self, campaign: CampaignId) {
        let creatives: Vec<CreativeId> = self.creatives_of(campaign).map(|creative| creative.id).collect();
        for creative in creatives {
            self.remove_creative(creative);
        }
        self.campaigns.remove(&campaign);
    }

    /// Adds a creative with its file, or changes one whose file stays.
    pub fn put_creative(&mut self, creative: Creative, file: Option<Bytes>) {
        let campaign = creative.campaign;
        self.keep_creative(creative, file);
        self.tell_campaign(campaign);
    }

    pub fn remove_creative(&mut self, creative: CreativeId) {
        self.files.remove(&creative);
        if let Some(creative) = self.creatives.remove(&creative) {
            self.tell_campaign(creative.campaign);
        }
    }

    /// The file, if it may be shown or looked at.
    pub fn file(&self, creative: CreativeId) -> Option<Arc<CreativeFile>> {
        self.creatives.get(&creative).filter(|creative| creative.is_ready)?;
        self.files.get(&creative).cloned()
    }

    /// Bytes of all files.
    pub fn file_bytes(&self) -> usize {
        self.files.values().map(|file| file.bytes.len()).sum()
    }

    fn keep_creative(&mut self, creative: Creative, file: Option<Bytes>) {
        if let Some(file) = file {
            self.files.insert(creative.id, Arc::new(creative.file(file)));
        }
        self.creatives.insert(creative.id, creative);
    }

    /// Gives a campaign its creatives as they stand.
    fn tell_campaign(&mut self, campaign: CampaignId) {
        let creatives = self.creatives_of(campaign).map(Creative::for_auctions).collect();
        if let Some(booking) = self.campaigns.get_mut(&campaign) {
            booking.campaign = Arc::new(Campaign { creatives, ..(*booking.campaign).clone() });
        }
    }
}
