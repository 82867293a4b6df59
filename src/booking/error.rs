//! Why nothing has changed.

use std::fmt;

use tokio::task::JoinError;

use super::rules::Problem;
use super::store::BookingStoreError;
use crate::auth::NoRandomness;
use crate::ledger::LedgerError;
use crate::overlay::AskError;

/// Something that is booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// An advertiser.
    Advertiser,
    /// A campaign.
    Campaign,
    /// A creative.
    Creative,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Advertiser => "advertiser",
            Self::Campaign => "campaign",
            Self::Creative => "creative",
        })
    }
}

/// Why nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BookingError {
    /// Values that are not allowed: field, and what is.
    #[error("{}", .0.iter().map(|(field, allowed)| format!("{field}: {allowed}")).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Problem>),
    /// It is not there.
    #[error("there is no {0} of this number")]
    Missing(Thing),
    /// There are as many as there may be.
    #[error("there are {most} {thing}s already, and no more may be (booking.{limit})")]
    TooMany {
        /// Of what.
        thing: Thing,
        /// How many there may be.
        most: usize,
        /// The key of the configuration.
        limit: &'static str,
    },
    /// The files of all creatives take the memory that is for them.
    #[error("the files of all creatives take the memory that is for them (booking.creative_memory)")]
    NoMemory,
    /// The file is too large, or empty.
    #[error("image: a file of 1 to {0} bytes")]
    FileSize(usize),
    /// The advertiser has campaigns.
    #[error("the advertiser has campaigns: delete them first")]
    HasCampaigns,
    /// The campaign has money.
    #[error(
        "the campaign has money left or kept back: pay it out first, with a payment of a negative amount"
    )]
    HasMoney,
    /// The file is not the one that was looked at.
    #[error("the creative's file is damaged: upload it again")]
    Damaged,
    /// The image cannot be used, or nobody can look at it now.
    #[error(transparent)]
    Image(#[from] AskError),
    /// The ledger refuses, or cannot keep anything.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] BookingStoreError),
    /// No key can be made.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The change broke off.
    #[error("the change broke off: {0}")]
    Broken(#[from] JoinError),
}

impl From<Problem> for BookingError {
    fn from(problem: Problem) -> Self {
        Self::Invalid(vec![problem])
    }
}
