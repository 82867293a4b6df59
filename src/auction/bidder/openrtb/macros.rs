//! `${AUCTION_*}` in links and markup: OpenRTB 2.6, §4.4.
//!
//! What is put in is percent-encoded down to the unreserved characters of RFC 3986, so it is nothing but text in a link, in
//! XML and in HTML, and it is not looked at again: what a bidder calls itself cannot become a link, a tag or a macro.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::price;
use crate::format::vast::macros::encode;
use crate::money::Money;

/// An encoding of a value that is agreed with a bidder: `${AUCTION_PRICE:B64}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[non_exhaustive]
pub enum Encoding {
    /// Base64 of RFC 4648, §4.
    #[serde(rename = "B64")]
    Base64,
}

/// What macros stand for. What is `None` or empty is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// `AUCTION_ID`: the request's name.
    pub auction: String,
    /// `AUCTION_BID_ID`: the response's number.
    pub response: String,
    /// `AUCTION_IMP_ID`.
    pub imp: String,
    /// `AUCTION_SEAT_ID`.
    pub seat: String,
    /// `AUCTION_AD_ID`.
    pub ad: String,
    /// `AUCTION_PRICE`: what is paid, for a thousand.
    pub price: Option<Money>,
    /// `AUCTION_CURRENCY`.
    pub currency: String,
    /// `AUCTION_LOSS`: 0 is won.
    pub loss: Option<u16>,
    /// `AUCTION_MIN_TO_WIN`.
    pub min_to_win: Option<Money>,
    /// `AUCTION_MULTIPLIER`: how many impressions.
    pub multiplier: Option<u32>,
    /// `AUCTION_IMP_TS`: when it was shown, in Unix milliseconds.
    pub shown_at: Option<i64>,
    /// Rendered for somebody who looks at the creative, and for no auction: everything is `AUDIT`.
    pub is_audit: bool,
}

impl Values {
    /// Puts the values into a text. Macros that the standard does not have stay as they are; those with an encoding that is
    /// not agreed become nothing.
    pub fn apply(&self, text: &str, agreed: &BTreeSet<Encoding>) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, macro_and_rest)) = rest.split_once("${") {
            out.push_str(before);
            rest = macro_and_rest;
            let known = macro_and_rest.split_once('}').and_then(|(name, after)| {
                let (name, encoding) =
                    name.split_once(':').map_or((name, None), |(name, of)| (name, Some(of)));
                Some((self.value(name)?, encoding, after))
            });
            let Some((value, encoding, after)) = known else {
                out.push_str("${");
                continue;
            };
            rest = after;
            match encoding {
                None => encode(&value, &mut out),
                Some("B64") if agreed.contains(&Encoding::Base64) => {
                    encode(&STANDARD.encode(value), &mut out)
                }
                Some(_) => {}
            }
        }
        out.push_str(rest);
        out
    }

    /// What a macro of the standard stands for.
    fn value(&self, name: &str) -> Option<String> {
        let money = |price: Option<Money>| price.map(price::text).unwrap_or_default();
        let value = match name {
            "AUCTION_ID" => self.auction.clone(),
            "AUCTION_BID_ID" => self.response.clone(),
            "AUCTION_IMP_ID" => self.imp.clone(),
            "AUCTION_SEAT_ID" => self.seat.clone(),
            "AUCTION_AD_ID" => self.ad.clone(),
            "AUCTION_PRICE" => money(self.price),
            "AUCTION_CURRENCY" => self.currency.clone(),
            // The market bid ratio tells of other bids than the winner's, and discounts are not given.
            "AUCTION_MBR" | "AUCTION_DISCOUNT_PCT" | "AUCTION_DISCOUNT_CPM" => String::new(),
            "AUCTION_LOSS" => self.loss.map(|code| code.to_string()).unwrap_or_default(),
            "AUCTION_MIN_TO_WIN" => money(self.min_to_win),
            "AUCTION_MULTIPLIER" => self.multiplier.map(|count| count.to_string()).unwrap_or_default(),
            "AUCTION_IMP_TS" => self.shown_at.map(|at| at.to_string()).unwrap_or_default(),
            _ => return None,
        };
        Some(if self.is_audit { "AUDIT".to_owned() } else { value })
    }
}
