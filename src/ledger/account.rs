//! Whose money it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::media::ChannelName;

/// Names a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(transparent)]
pub struct CampaignId(pub u64);

impl fmt::Display for CampaignId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An account. Its balance is credits less debits; all balances together are nothing, always.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Account {
    /// The world: its debt is what advertisers have paid in.
    Outside,
    /// What a campaign may still reserve. Never below nothing.
    Budget(CampaignId),
    /// What is kept back for a campaign's slots. Never below nothing.
    Reserved(CampaignId),
    /// What a channel's broadcaster has earned.
    Broadcaster(ChannelName),
    /// What the platform has earned.
    Platform,
}

/// A text that names no account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no account")]
pub struct InvalidAccount(String);

impl Account {
    /// Whether the balance must never be below nothing.
    pub const fn is_prepaid(&self) -> bool {
        matches!(self, Self::Budget(_) | Self::Reserved(_))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside => f.write_str("outside"),
            Self::Budget(campaign) => write!(f, "budget:{campaign}"),
            Self::Reserved(campaign) => write!(f, "reserved:{campaign}"),
            Self::Broadcaster(channel) => write!(f, "broadcaster:{channel}"),
            Self::Platform => f.write_str("platform"),
        }
    }
}

impl FromStr for Account {
    type Err = InvalidAccount;

    fn from_str(text: &str) -> Result<Self, InvalidAccount> {
        let campaign = |id: &str| id.parse().ok().map(CampaignId);
        let account = match text.split_once(':') {
            None if text == "outside" => Some(Self::Outside),
            None if text == "platform" => Some(Self::Platform),
            Some(("budget", id)) => campaign(id).map(Self::Budget),
            Some(("reserved", id)) => campaign(id).map(Self::Reserved),
            Some(("broadcaster", channel)) => channel.parse().ok().map(Self::Broadcaster),
            _ => None,
        };
        account.ok_or_else(|| InvalidAccount(text.to_owned()))
    }
}

impl TryFrom<String> for Account {
    type Error = InvalidAccount;

    fn try_from(text: String) -> Result<Self, InvalidAccount> {
        text.parse()
    }
}

impl From<Account> for String {
    fn from(account: Account) -> Self {
        account.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_as_they_are_written() {
        let kitchen: ChannelName = "kitchen".parse().unwrap();
        let all = [
            Account::Outside,
            Account::Budget(CampaignId(0)),
            Account::Reserved(CampaignId(u64::MAX)),
            Account::Broadcaster(kitchen),
            Account::Platform,
        ];
        for account in all {
            assert_eq!(account.to_string().parse(), Ok(account));
        }
        for bad in ["", "platform:1", "budget", "budget:-1", "broadcaster:api", "cash"] {
            assert!(bad.parse::<Account>().is_err(), "{bad}");
        }
    }
}
