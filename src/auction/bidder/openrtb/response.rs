//! A bid response as it is written. Each bid is read by itself: one that is nonsense does not take the others along.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::{Malformed, Response};
use super::price::{self, InvalidPrice};
use crate::auction::bid::{LossReason, MAX_BIDS};
use crate::money::Money;

/// The largest response, in bytes.
pub const MAX_RESPONSE: usize = 1 << 20;
/// Characters of a name that are taken.
pub const MAX_NAME: usize = 256;

/// A response; the default is no bid.
#[derive(Debug, Default)]
pub struct Answer<'a> {
    /// The request that it answers.
    pub id: String,
    /// The bidder's number of it.
    pub bid_id: Option<String>,
    /// The currency of its prices.
    pub currency: String,
    /// Why there is no bid, if it is told (AdCOM, list "No-Bid Reason Codes").
    pub no_bid: Option<u64>,
    /// Bids by seat.
    pub seats: Vec<Seat<'a>>,
}

/// The bids of a seat.
#[derive(Debug)]
pub struct Seat<'a> {
    /// Which.
    pub seat: Option<String>,
    /// Whether all of them win or none.
    pub is_group: bool,
    /// Each as it is written.
    pub bids: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawAnswer<'a> {
    id: Option<Value>,
    #[serde(borrow, default)]
    seatbid: Option<Vec<RawSeat<'a>>>,
    bidid: Option<Value>,
    cur: Option<Value>,
    nbr: Option<Value>,
}

#[derive(Deserialize)]
struct RawSeat<'a> {
    #[serde(borrow)]
    bid: Vec<&'a RawValue>,
    seat: Option<Value>,
    group: Option<Value>,
}

/// A bid whose fields have the types that they should have.
#[derive(Debug, Default)]
pub(super) struct RawBid {
    pub id: String,
    pub imp: String,
    pub price: Money,
    pub adm: Option<Value>,
    pub ad: Option<String>,
    pub domains: Vec<String>,
    pub campaign: Option<String>,
    pub creative: Option<String>,
    pub categories: Vec<String>,
    pub attributes: Vec<u64>,
    pub protocol: Option<u64>,
    pub deal: Option<String>,
    pub size: Option<(u64, u64)>,
    pub duration: Option<u64>,
    pub expires: Option<u64>,
    pub markup_type: Option<u64>,
    pub won: Option<String>,
    pub billed: Option<String>,
    pub lost: Option<String>,
}

/// What can be told of a bid that cannot be read, and why it cannot.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub id: String,
    pub lost: Option<String>,
    pub why: LossReason,
}

#[derive(Deserialize)]
struct Fields<'a> {
    id: Option<Value>,
    impid: Option<Value>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    adm: Option<Value>,
    adid: Option<Value>,
    adomain: Option<Value>,
    cid: Option<Value>,
    crid: Option<Value>,
    cat: Option<Value>,
    attr: Option<Value>,
    protocol: Option<Value>,
    dealid: Option<Value>,
    w: Option<Value>,
    h: Option<Value>,
    dur: Option<Value>,
    exp: Option<Value>,
    mtype: Option<Value>,
    nurl: Option<Value>,
    burl: Option<Value>,
    lurl: Option<Value>,
}

impl<'a> Answer<'a> {
    /// Reads a response. All forms of "no bid" are answers without seats: 204, no body, `{}`, `seatbid` missing, `null` or
    /// empty.
    ///
    /// # Errors
    /// When it is no response: that counts as no bid, and is told in the trace.
    pub fn read(response: &'a Response, is_lenient: bool) -> Result<Self, Malformed> {
        let malformed = |what: String| Malformed(what);
        if response.status == 204 {
            return Ok(Self::default());
        }
        if response.status != 200 {
            return Err(malformed(format!("status {}", response.status)));
        }
        if response.body.len() > MAX_RESPONSE {
            return Err(malformed(format!("{} bytes", response.body.len())));
        }
        if response.body.is_empty() {
            return Ok(Self::default());
        }
        let raw: RawAnswer<'a> =
            serde_json::from_slice(&response.body).map_err(|error| malformed(error.to_string()))?;
        let types = Types { is_lenient };
        let wrong = |field: &'static str| move |WrongType| Malformed(format!("{field} has the wrong type"));
        let mut seats = Vec::new();
        for seat in raw.seatbid.unwrap_or_default() {
            seats.push(Seat {
                seat: types.text(seat.seat).map_err(wrong("seat"))?,
                is_group: types.number(seat.group).map_err(wrong("group"))? == Some(1),
                bids: seat.bid,
            });
        }
        if seats.iter().map(|seat| seat.bids.len()).sum::<usize>() > MAX_BIDS {
            return Err(malformed(format!("more than {MAX_BIDS} bids")));
        }
        Ok(Self {
            id: types.text(raw.id).map_err(wrong("id"))?.unwrap_or_default(),
            bid_id: types.text(raw.bidid).map_err(wrong("bidid"))?,
            currency: types.text(raw.cur).map_err(wrong("cur"))?.unwrap_or_else(|| "USD".to_owned()),
            no_bid: types.number(raw.nbr).map_err(wrong("nbr"))?,
            seats,
        })
    }
}

impl RawBid {
    /// Reads a bid.
    pub fn read(raw: &RawValue, is_lenient: bool) -> Result<Self, Unreadable> {
        let types = Types { is_lenient };
        let unreadable = |why| Unreadable { id: String::new(), lost: None, why };
        let fields: Fields<'_> =
            serde_json::from_str(raw.get()).map_err(|_| unreadable(LossReason::InvalidResponse))?;
        let id = types.text(fields.id.clone()).ok().flatten().unwrap_or_default();
        let lost = types.text(fields.lurl.clone()).ok().flatten();
        let why = match price_of(fields.price, is_lenient) {
            Ok(price) => match types.bid(fields, price) {
                Ok(bid) => return Ok(bid),
                Err(WrongType) => LossReason::InvalidResponse,
            },
            Err(why) => why,
        };
        Err(Unreadable { id, lost, why })
    }
}

fn price_of(price: Option<&RawValue>, is_lenient: bool) -> Result<Money, LossReason> {
    let text = price.ok_or(LossReason::NoPrice)?.get();
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).filter(|_| is_lenient);
    match price::parse(quoted.unwrap_or(text)) {
        Ok(Money::ZERO) => Err(LossReason::NoPrice),
        Ok(price) => Ok(price),
        Err(InvalidPrice::NoNumber | InvalidPrice::Negative | InvalidPrice::TooHigh) => {
            Err(LossReason::InvalidResponse)
        }
    }
}

struct WrongType;

/// How closely types are held to.
#[derive(Clone, Copy)]
struct Types {
    is_lenient: bool,
}

impl Types {
    fn bid(self, fields: Fields<'_>, price: Money) -> Result<RawBid, WrongType> {
        let (width, height) = (self.number(fields.w)?, self.number(fields.h)?);
        Ok(RawBid {
            id: self.text(fields.id)?.unwrap_or_default(),
            imp: self.text(fields.impid)?.unwrap_or_default(),
            price,
            adm: fields.adm,
            ad: self.text(fields.adid)?,
            domains: self.texts(fields.adomain)?,
            campaign: self.text(fields.cid)?,
            creative: self.text(fields.crid)?,
            categories: self.texts(fields.cat)?,
            attributes: self.numbers(fields.attr)?,
            protocol: self.number(fields.protocol)?,
            deal: self.text(fields.dealid)?,
            size: width.zip(height).filter(|size| *size != (0, 0)),
            duration: self.number(fields.dur)?.filter(|seconds| *seconds > 0),
            expires: self.number(fields.exp)?,
            markup_type: self.number(fields.mtype)?,
            won: self.text(fields.nurl)?,
            billed: self.text(fields.burl)?,
            lost: self.text(fields.lurl)?,
        })
    }

    /// A text; empty is none. Links are as long as links are, everything else is a name.
    fn text(self, value: Option<Value>) -> Result<Option<String>, WrongType> {
        let text = match value {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) if self.is_lenient => number.to_string(),
            Some(_) => return Err(WrongType),
        };
        let is_control = |c: char| c.is_control();
        if text.len() > crate::format::link::MAX_LINK || text.contains(is_control) {
            return Err(WrongType);
        }
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn number(self, value: Option<Value>) -> Result<Option<u64>, WrongType> {
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if self.is_lenient => text.parse().map(Some).map_err(|_| WrongType),
            // -1 is the way in which some say that they do not know.
            Some(Value::Number(number)) if self.is_lenient && number.as_i64() == Some(-1) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or(WrongType),
        }
    }

    fn list<T>(
        self,
        value: Option<Value>,
        one: impl Fn(Option<Value>) -> Result<Option<T>, WrongType>,
    ) -> Result<Vec<T>, WrongType> {
        match value {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(list)) if list.len() <= MAX_NAME => {
                let list = list.into_iter().map(|value| one(Some(value))).collect::<Result<Vec<_>, _>>()?;
                Ok(list.into_iter().flatten().collect())
            }
            value if self.is_lenient => Ok(one(value)?.into_iter().collect()),
            Some(_) => Err(WrongType),
        }
    }

    fn texts(self, value: Option<Value>) -> Result<Vec<String>, WrongType> {
        self.list(value, |value| self.text(value))
    }

    fn numbers(self, value: Option<Value>) -> Result<Vec<u64>, WrongType> {
        self.list(value, |value| self.number(value))
    }
}
