//! Money: whole nanos of the one configured currency, and shares of it. No fraction is ever lost or made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Parts of one in a [`Share`].
const PARTS: i64 = 1_000_000;

/// An amount in nanos, thousand-millionths of the currency's unit. Negative where something is taken or owed.
///
/// A price for a thousand impressions in micros is the same number as a price for one impression in nanos.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From nanos.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The price of one impression, of a price for a thousand (CPM) in micros: the same number.
    pub const fn per_impression(cpm_micros: i64) -> Self {
        Self(cpm_micros)
    }

    /// Nanos.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whether it is more than nothing.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Whether it is less than nothing.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The sum, unless it is beyond all numbers.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, unless it is beyond all numbers.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// So many times the amount, unless that is beyond all numbers.
    pub fn checked_times(self, count: u32) -> Option<Self> {
        self.0.checked_mul(i64::from(count)).map(Self)
    }

    /// How many whole times `price` is in it; as many as can be counted when the price is nothing.
    pub fn covers(self, price: Self) -> u32 {
        if !price.is_positive() {
            return u32::MAX;
        }
        u32::try_from(self.0.max(0) / price.0).unwrap_or(u32::MAX)
    }

    /// As a number of units of the currency, for statistics and controllers: not exact.
    pub fn as_units(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl fmt::Display for Money {
    /// In units, exactly: `12.345000000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, nanos) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(f, "{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}

/// A text that is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount is a decimal number with up to 9 decimals, like \"12.50\", below 9.2 thousand million")]
pub struct InvalidMoney;

impl FromStr for Money {
    type Err = InvalidMoney;

    /// From units, exactly: `12.5`, `-0.000000001`. Nothing is rounded.
    fn from_str(text: &str) -> Result<Self, InvalidMoney> {
        let (is_negative, number) = text.strip_prefix('-').map_or((false, text), |number| (true, number));
        let (units, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(units) || !is_number(decimals) || decimals.len() > 9 {
            return Err(InvalidMoney);
        }
        let sign = if is_negative { -1 } else { 1 };
        // Nine digits fit.
        let nanos = format!("{decimals:0<9}").parse::<i64>().map_err(|_| InvalidMoney)?;
        let units: i64 = units.parse().map_err(|_| InvalidMoney)?;
        let whole = units.checked_mul(sign * 1_000_000_000).ok_or(InvalidMoney)?;
        whole.checked_add(sign * nanos).map(Self).ok_or(InvalidMoney)
    }
}

/// A price for a thousand impressions, in whole micros of the currency's unit; written as decimal text, as in `"2.50"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cpm(i64);

/// A text that is no price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no price for a thousand impressions: expected 0 to 1000 with at most six decimals, like \"2.50\""
)]
pub struct InvalidCpm(String);

impl Cpm {
    /// The highest: a thousand units.
    const MAX_MICROS: i64 = 1_000_000_000;

    /// From micros.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The price of one impression.
    pub const fn per_impression(self) -> Money {
        Money::per_impression(self.0)
    }
}

impl FromStr for Cpm {
    type Err = InvalidCpm;

    fn from_str(text: &str) -> Result<Self, InvalidCpm> {
        let invalid = || InvalidCpm(text.chars().take(40).collect());
        let nanos = text.parse::<Money>().map_err(|_| invalid())?.as_nanos();
        let micros = nanos / 1000;
        let is_price = nanos % 1000 == 0 && (0..=Self::MAX_MICROS).contains(&micros);
        if is_price { Ok(Self(micros)) } else { Err(invalid()) }
    }
}

impl TryFrom<String> for Cpm {
    type Error = InvalidCpm;

    fn try_from(text: String) -> Result<Self, InvalidCpm> {
        text.parse()
    }
}

impl From<Cpm> for String {
    fn from(price: Cpm) -> Self {
        price.to_string()
    }
}

impl fmt::Display for Cpm {
    /// In units, exactly, with two decimals at least: `2.50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, micros) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let places = format!("{:06}", micros % 1_000_000);
        let (shown, rest) = places.split_at(2);
        write!(f, "{sign}{}.{shown}{}", micros / 1_000_000, rest.trim_end_matches('0'))
    }
}

/// A part of an amount, in millionths, from none to all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Share(u32);

/// More than all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a share is 0 to 1000000 millionths, not {0}")]
pub struct InvalidShare(u32);

impl Share {
    /// So many percent, of a hundred at most.
    pub const fn percent(percent: u8) -> Self {
        Self(if percent > 100 { 1_000_000 } else { percent as u32 * 10_000 })
    }

    /// The share of an amount, rounded down: what is lost in rounding stays with the rest.
    pub fn of(self, amount: Money) -> Money {
        // The parts before and behind the multiplication fit: neither exceeds the amount.
        let (whole, rest) = (amount.0.div_euclid(PARTS), amount.0.rem_euclid(PARTS));
        Money(whole * i64::from(self.0) + rest * i64::from(self.0) / PARTS)
    }
}

impl TryFrom<u32> for Share {
    type Error = InvalidShare;

    fn try_from(parts: u32) -> Result<Self, InvalidShare> {
        if i64::from(parts) > PARTS { Err(InvalidShare(parts)) } else { Ok(Self(parts)) }
    }
}

impl From<Share> for u32 {
    fn from(share: Share) -> Self {
        share.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_round_down_and_nothing_is_lost() {
        for nanos in [0, 1, 2, 3, 999, 1_000_001, 123_456_789_012_345, i64::MAX] {
            for parts in [0, 1, 333_333, 550_000, 999_999, 1_000_000] {
                let amount = Money::from_nanos(nanos);
                let share = Share::try_from(parts).unwrap().of(amount);
                let exact = i128::from(nanos) * i128::from(parts) / i128::from(PARTS);
                assert_eq!(i128::from(share.as_nanos()), exact, "{nanos} {parts}");
            }
        }
        assert_eq!(Share::try_from(1_000_001), Err(InvalidShare(1_000_001)));
    }

    #[test]
    fn prices_are_read_as_they_are_written() {
        for (text, micros) in [("0.00", 0), ("2.50", 2_500_000), ("0.000001", 1), ("1000.00", 1_000_000_000)]
        {
            let price: Cpm = text.parse().unwrap();
            assert_eq!((price.per_impression().as_nanos(), price.to_string().as_str()), (micros, text));
        }
        assert_eq!("7".parse(), Ok(Cpm::from_micros(7_000_000)));
        for bad in ["", ".", "-1", "1e3", "1,5", "1000.01", "0.0000001", "99999"] {
            assert!(bad.parse::<Cpm>().is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_are_written_exactly_and_never_wrap() {
        assert_eq!(Money::from_nanos(-1_000_000_001).to_string(), "-1.000000001");
        assert_eq!(Money::from_nanos(i64::MIN).to_string(), "-9223372036.854775808");
        assert_eq!(Money::from_nanos(i64::MAX).checked_add(Money::from_nanos(1)), None);
        assert_eq!(Money::from_nanos(i64::MAX).checked_times(2), None);
        assert_eq!(Money::from_nanos(10).covers(Money::from_nanos(3)), 3);
        assert_eq!(Money::from_nanos(-10).covers(Money::from_nanos(3)), 0);
        assert_eq!(Money::ZERO.covers(Money::ZERO), u32::MAX, "what costs nothing is always covered");
    }

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        for nanos in [0, 1, -1, 12_500_000_000, -1_000_000_001, i64::MAX, i64::MIN] {
            let amount = Money::from_nanos(nanos);
            assert_eq!(amount.to_string().parse(), Ok(amount), "{amount}");
        }
        assert_eq!("12.5".parse(), Ok(Money::from_nanos(12_500_000_000)));
        assert_eq!("007".parse(), Ok(Money::from_nanos(7_000_000_000)));
        for bad in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "1e3",
            "+1",
            "1,5",
            "0x1",
            " 1",
            "--1",
            "1.0000000001",
            "9223372036.854775808",
            "99999999999999999999",
            "NaN",
            "١",
        ] {
            assert_eq!(bad.parse::<Money>(), Err(InvalidMoney), "{bad}");
        }
    }
}
