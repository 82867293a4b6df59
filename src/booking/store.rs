//! How bookings are kept.

use std::pin::Pin;

use bytes::Bytes;

use super::advertiser::{Advertiser, AdvertiserId};
use super::campaign::Booking;
use super::creative::{Creative, CreativeId};
use crate::auth::Digest;
use crate::ledger::CampaignId;

/// What a store's operation comes to.
pub type Outcome<'a, T> = Pin<Box<dyn Future<Output = Result<T, BookingStoreError>> + Send + 'a>>;

/// Keeps bookings. What has returned `Ok` is durable. Numbers are the caller's, who never gives one twice; changes and deletions of
/// what is not there are [`BookingStoreError::Missing`].
pub trait BookingStore: Send + Sync {
    /// All there is.
    fn all(&self) -> Outcome<'_, Stored>;
    /// Adds an advertiser with the digest of its key.
    fn insert_advertiser<'a>(&'a self, advertiser: &'a Advertiser, key: Digest) -> Outcome<'a, ()>;
    /// Changes name and domains.
    fn update_advertiser<'a>(&'a self, advertiser: &'a Advertiser) -> Outcome<'a, ()>;
    /// Changes the key.
    fn set_key(&self, advertiser: AdvertiserId, key: Digest) -> Outcome<'_, ()>;
    /// Forgets an advertiser who has no campaigns.
    fn delete_advertiser(&self, advertiser: AdvertiserId) -> Outcome<'_, ()>;
    /// Adds a campaign, without its creatives.
    fn insert_campaign<'a>(&'a self, booking: &'a Booking) -> Outcome<'a, ()>;
    /// Changes name and terms.
    fn update_campaign<'a>(&'a self, booking: &'a Booking) -> Outcome<'a, ()>;
    /// Forgets a campaign and its creatives.
    fn delete_campaign(&self, campaign: CampaignId) -> Outcome<'_, ()>;
    /// Adds a creative with its file.
    fn insert_creative<'a>(&'a self, creative: &'a Creative, file: &'a [u8]) -> Outcome<'a, ()>;
    /// Changes what is said of a creative.
    fn update_creative<'a>(&'a self, creative: &'a Creative) -> Outcome<'a, ()>;
    /// Forgets a creative.
    fn delete_creative(&self, creative: CreativeId) -> Outcome<'_, ()>;
}

/// All that is kept.
#[derive(Default)]
pub struct Stored {
    /// Advertisers with the digests of their keys.
    pub advertisers: Vec<(Advertiser, Digest)>,
    /// Campaigns, without their creatives.
    pub campaigns: Vec<Booking>,
    /// Creatives, of which nobody has said that they are ready, and their files.
    pub creatives: Vec<(Creative, Bytes)>,
    /// The highest numbers that were ever kept.
    pub last: LastNumbers,
}

/// The highest numbers that were ever given, whether what had them is still there or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastNumbers {
    /// To an advertiser.
    pub advertiser: u64,
    /// To a campaign.
    pub campaign: u64,
    /// To a creative.
    pub creative: u64,
}

/// Why an operation came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BookingStoreError {
    /// There is nothing of this number.
    #[error("there is nothing of this number")]
    Missing,
    /// A row that this release did not write.
    #[error("a booking in the database cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A key in the database is no SHA-256.
    #[error("the key of advertiser {0} in the database cannot be read")]
    Key(AdvertiserId),
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}
