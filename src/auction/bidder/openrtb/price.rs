//! Prices as JSON has them, decimal fractions of a unit for a thousand impressions, to and from money. Exactly: a binary
//! fraction is never calculated with.

use serde_json::{Number, Value};

use crate::money::Money;

/// The highest price that is believed: a thousand units for a thousand impressions.
pub const MAX_PRICE: Money = Money::per_impression(1_000_000_000);
/// Decimal places of a micro.
const PLACES: i64 = 6;

/// Why a number is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPrice {
    /// No number of JSON.
    #[error("it is no number")]
    NoNumber,
    /// Less than nothing.
    #[error("it is negative")]
    Negative,
    /// More than [`MAX_PRICE`].
    #[error("it is beyond all prices")]
    TooHigh,
}

/// A price from the text of a JSON number. What is less than a micro of a CPM is dropped.
///
/// # Errors
/// When it is no price.
pub fn parse(text: &str) -> Result<Money, InvalidPrice> {
    let (is_negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let has_dot = mantissa.len() > whole.len();
    if whole.is_empty() || has_dot && fraction.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return Err(InvalidPrice::NoNumber);
    }
    let (falls, size) = match exponent.as_bytes().first() {
        Some(b'-') => (true, exponent.get(1..)),
        Some(b'+') => (false, exponent.get(1..)),
        _ => (false, Some(exponent)),
    };
    let size = size.filter(|size| !size.is_empty() && is_digits(size)).ok_or(InvalidPrice::NoNumber)?;
    // So large an exponent is the same as any larger one.
    let size = size.parse().unwrap_or(i64::from(u32::MAX)).min(i64::from(u32::MAX));
    let exponent = if falls { -size } else { size };

    let digits: String = [whole, fraction].concat().trim_start_matches('0').to_owned();
    if digits.is_empty() {
        return Ok(Money::ZERO);
    }
    if is_negative {
        return Err(InvalidPrice::Negative);
    }
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    // The digits of the price in micros are the first so many, or all with zeros behind them.
    let kept = length(&digits).saturating_add(exponent).saturating_add(PLACES) - length(fraction);
    if kept > 18 {
        return Err(InvalidPrice::TooHigh);
    }
    let digits = digits.bytes().chain(std::iter::repeat(b'0')).take(usize::try_from(kept).unwrap_or(0));
    let micros = digits.fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    let price = Money::per_impression(micros);
    if price > MAX_PRICE { Err(InvalidPrice::TooHigh) } else { Ok(price) }
}

/// A price as text: `4`, `0.123456`.
pub fn text(price: Money) -> String {
    let micros = price.as_nanos();
    let (sign, size) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let text = format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A price as JSON.
///
/// A decimal of fifteen digits is written by `serde_json` as it was read, though it is a binary fraction in between; and
/// a price has at most [`MAX_PRICE`]'s ten.
pub fn number(price: Money) -> Value {
    let price = price.clamp(Money::ZERO, MAX_PRICE);
    let number = text(price).parse().ok().and_then(Number::from_f64);
    number.map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_and_rounded_down() {
        let price = |text| parse(text).map(Money::as_nanos);
        let cases = [
            ("9", Ok(9_000_000)),
            ("9.0", Ok(9_000_000)),
            ("0.1", Ok(100_000)),
            ("0.3", Ok(300_000)),
            ("4.35", Ok(4_350_000)),
            ("1.9999999999999999999999", Ok(1_999_999)),
            ("0.0000009", Ok(0)),
            ("1e-6", Ok(1)),
            ("12.5E1", Ok(125_000_000)),
            ("0.00125e+3", Ok(1_250_000)),
            ("1000", Ok(1_000_000_000)),
            ("-0.0", Ok(0)),
            ("0e999999999999999999999", Ok(0)),
            ("1e-999999999999999999999", Ok(0)),
            ("1000.000001", Err(InvalidPrice::TooHigh)),
            ("1e308", Err(InvalidPrice::TooHigh)),
            ("1e999999999999999999999", Err(InvalidPrice::TooHigh)),
            ("99999999999999999999999999", Err(InvalidPrice::TooHigh)),
            ("-1", Err(InvalidPrice::Negative)),
            ("NaN", Err(InvalidPrice::NoNumber)),
            ("\"6.5\"", Err(InvalidPrice::NoNumber)),
            ("", Err(InvalidPrice::NoNumber)),
            (".5", Err(InvalidPrice::NoNumber)),
            ("1.", Err(InvalidPrice::NoNumber)),
            ("1e", Err(InvalidPrice::NoNumber)),
            ("--1", Err(InvalidPrice::NoNumber)),
            ("1e--1", Err(InvalidPrice::NoNumber)),
        ];
        for (text, expected) in cases {
            assert_eq!(price(text), expected, "{text}");
        }
    }

    #[test]
    fn every_price_is_written_as_it_is() {
        let some = (0..2000_i64).flat_map(|n| [n, n * 499_979 + 1, 1_000_000_000 - n]);
        for micros in some.map(Money::per_impression) {
            let json = number(micros).to_string();
            assert_eq!(parse(&json), Ok(micros), "{json}");
            assert_eq!(parse(&text(micros)), Ok(micros));
        }
        assert_eq!(number(Money::from_nanos(4_350_000)).to_string(), "4.35");
    }
}
