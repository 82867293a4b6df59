//! Bidders outside: asked over HTTP, all at once and until one deadline; their creatives fetched; told what became of it.
//!
//! | | |
//! |---|---|
//! | [`guard`] | ≈ where links of bidders may lead |
//! | [`breaker`] | ≈ spares a bidder that does not answer |
//! | [`creatives`] | ≈ what is known of a bidder's creatives |
//! | [`client`] | the way out: connections that are kept, bounds on size and time |
//! | [`account`] | the account of a bidder that buys on credit |
//! | `partner` | one bidder at work |
//! | `fetch` | an image of a bid, through its wrappers and a worker |
//! | `notices` | tells bidders what became of their bids |
//! | [`Exchange`] | all bidders |
//!
//! Bidders share nothing but the deadline: connections, breaker, creatives and queues are each one's own.

pub mod account;
pub mod breaker;
pub mod client;
pub mod creatives;
mod driver;
mod fetch;
pub mod guard;
mod metrics;
mod notices;
mod partner;

#[cfg(test)]
mod tests;

pub use creatives::Creative;
pub use driver::{Exchange, Parts};
