//! The auction: at a cue, each cohort of the audience is sold to whoever is served first and pays most.
//!
//! | | |
//! |---|---|
//! | [`cohort`] | the audience in groups of at least k |
//! | [`context`] | what is sold: the moment, the cohort, floor and deals |
//! | [`campaign`], [`schedule`] | what the house's advertisers want |
//! | [`bidder`] | who is asked: a pure pair of `requests` and `bids` each; the house is one |
//! | [`bid`] | bids, and every reason why there is none or why one has lost |
//! | [`external`] | what is to be done about a bid from outside |
//! | [`means`] | what buyers can still pay while a slot's cohorts are decided |
//! | [`mod@decide`] | the ranking, and its trace, from which it can be decided again |
//! | [`sale`] | the reservation that makes the decisions of a slot hold |
//! | [`pacing`] | a budget spread over a flight |
//! | [`exposure`] | caps and competitive separation |
//!
//! A sale goes: [`Cohorts::group`] → for each cohort an [`Auction`] → every [`Bidder`]'s requests, answers until the
//! deadline, bids → [`Trace::of`] → [`Sale::of`], the lots of all cohorts in one reservation of the ledger → "may show". All of it is
//! pure; whoever drives it brings time, answers, budgets and a seed.
//!
//! The ranking is priority group, then deals, then price; the first price is paid. Floors are prices of an impression for
//! each format, a deal's own floor instead where there is a deal, none for house fill-ins.

pub mod bid;
pub mod bidder;
pub mod campaign;
pub mod cohort;
pub mod context;
pub mod decide;
pub mod exposure;
pub mod external;
pub mod means;
pub mod pacing;
pub mod sale;
pub mod schedule;

#[cfg(test)]
mod tests;

pub use bid::{Bid, LossReason, Offer, PassReason};
pub use bidder::Bidder;
pub use campaign::Campaign;
pub use cohort::Cohorts;
pub use context::{Auction, Context, Deal};
pub use decide::{Decision, Trace, decide};
pub use exposure::{Exposures, Subject};
pub use pacing::Pacer;
pub use sale::Sale;
