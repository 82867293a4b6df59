//! Who somebody is to a room: an id, a role, a colour, and the part of the network they come from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::random::mix;

/// A person, in public: derived from a secret that only the person and the server know. Written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub u64);

/// Colours that viewers have: steps around the colour wheel.
pub const HUES: u16 = 24;

impl UserId {
    /// The person's colour, as a step around the wheel below [`HUES`].
    pub const fn hue(self) -> u16 {
        (mix(self.0) % HUES as u64) as u16
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no [`UserId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a user is 16 hexadecimal digits")]
pub struct NotAUser;

impl FromStr for UserId {
    type Err = NotAUser;

    fn from_str(text: &str) -> Result<Self, NotAUser> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(Self).ok_or(NotAUser)
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What somebody may do, and the badge they wear. The later in the list, the more.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Came with nothing but a cookie.
    #[default]
    Guest,
    /// An embedding site vouches for them.
    Member,
    /// Keeps order.
    Moderator,
    /// The channel is theirs.
    Broadcaster,
}

impl Role {
    /// Whether they keep order: no limit of pace holds for them, and no jury tries them.
    pub const fn moderates(self) -> bool {
        matches!(self, Self::Moderator | Self::Broadcaster)
    }
}

/// A part of the network that is likely one household or one office: a /24 of IPv4, a /48 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Prefix(u64);

impl Prefix {
    /// Of an IPv4 address.
    pub fn v4(octets: [u8; 4]) -> Self {
        Self(u64::from(u32::from_be_bytes(octets)) >> 8)
    }

    /// Of an IPv6 address.
    pub fn v6(octets: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, ..] = octets;
        // The marker keeps them apart from IPv4's.
        Self(1 << 48 | u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }
}

/// Who comes into a room, as the driver found out.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Who.
    pub user: UserId,
    /// What they came with; a room may know them as a moderator.
    pub role: Role,
    /// The name that whoever vouches for them gives; guests choose theirs.
    pub name: Option<String>,
    /// Where they come from.
    pub prefix: Prefix,
    /// When the voucher runs out, Unix milliseconds.
    pub expires: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_written_and_read() {
        let user = UserId(0x00ab_cdef_0123_4567);
        assert_eq!(user.to_string(), "00abcdef01234567");
        assert_eq!("00abcdef01234567".parse(), Ok(user));
        for bad in ["", "ab", "+0abcdef01234567", "00abcdef0123456g", "00abcdef012345678"] {
            assert_eq!(bad.parse::<UserId>(), Err(NotAUser), "{bad}");
        }
        assert!(user.hue() < HUES);
    }

    #[test]
    fn a_prefix_is_a_neighbourhood() {
        assert_eq!(Prefix::v4([192, 0, 2, 1]), Prefix::v4([192, 0, 2, 200]));
        assert_ne!(Prefix::v4([192, 0, 2, 1]), Prefix::v4([192, 0, 3, 1]));
        let mut neighbour = [0x20; 16];
        neighbour[6] = 9;
        assert_eq!(Prefix::v6([0x20; 16]), Prefix::v6(neighbour));
        assert_ne!(Prefix::v6([0; 16]), Prefix::v4([0; 4]));
    }
}
