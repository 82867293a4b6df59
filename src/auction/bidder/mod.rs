//! Bidders: who is asked, how, and what the answer means. Adding one is a folder here and a line where they are listed.
//!
//! A bidder is pure: it says what to send and reads what came back. Whoever drives it sends all requests of all bidders at
//! once, waits until one deadline, and hands over what has come by then; a bidder that is slow, hung or talks nonsense
//! changes nothing for the others.

pub mod house;
pub mod openrtb;

use bytes::Bytes;

use super::bid::Offer;
use super::context::Auction;

/// Somebody who may buy.
pub trait Bidder: Send + Sync {
    /// What it is called in traces and settings.
    fn name(&self) -> &str;

    /// What to send; nothing for a bidder that is asked nothing.
    fn requests(&self, auction: &Auction) -> Vec<Request>;

    /// What the responses that came in time mean; fewer than requests when some did not.
    ///
    /// # Errors
    /// When an answer is malformed: its bids do not count.
    fn bids(&self, auction: &Auction, responses: &[Response]) -> Result<Offer, Malformed>;
}

/// An HTTP POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub url: String,
    /// Headers beside those that every POST has.
    pub headers: Vec<(&'static str, String)>,
    /// What.
    pub body: Bytes,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// What came.
    pub body: Bytes,
}

/// An answer that cannot be read; the text says where it is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is malformed: {0}")]
pub struct Malformed(pub String);

/// What a bidder offers, whatever its answer was like.
pub fn offer(bidder: &dyn Bidder, auction: &Auction, responses: &[Response]) -> Offer {
    bidder.bids(auction, responses).unwrap_or_else(|error| Offer {
        bidder: bidder.name().into(),
        failure: Some(error.to_string()),
        ..Offer::default()
    })
}
