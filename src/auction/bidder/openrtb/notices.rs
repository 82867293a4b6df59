//! Whom to call when a bid has won, is owed for, or has lost. The calls are somebody else's.
//!
//! A win notice means no money. A billing notice does, so it is repeated until it is taken (every 10 s for a minute, OpenRTB
//! 2.6 implementation guide, §7.8), always with the same key: the bidder knows a repetition by it. Where there is no billing
//! notice, the `Impression` of a VAST document stands for it.

use std::collections::BTreeSet;

use super::macros::{Encoding, Values};
use crate::auction::bid::{Bid, LossReason};
use crate::auction::decide::{BidPlace, Trace};
use crate::auction::external::{External, Refused};
use crate::format::link::Link;
use crate::ledger::DisplayClass;
use crate::money::Money;

/// A call that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Of what.
    pub kind: NoticeKind,
    /// Where, macros replaced.
    pub link: Link,
    /// The same for each repetition, and for nothing else; only of what means money.
    pub idempotency_key: Option<String>,
}

/// What somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoticeKind {
    /// `nurl`.
    Won,
    /// `burl`.
    Billed,
    /// `Impression` of a VAST document, or an image's beacon.
    Shown,
    /// `lurl`.
    Lost,
    /// An error beacon of a VAST document.
    VastError,
}

/// What notices of one sale have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// What the request was called.
    pub auction: &'a str,
    /// The currency.
    pub currency: &'a str,
    /// Encodings of macros that are agreed.
    pub agreed: &'a BTreeSet<Encoding>,
}

/// What was displayed of a winner, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Displayed {
    /// Impressions that are owed for with this notice.
    pub count: u32,
    /// When, in Unix milliseconds.
    pub at: i64,
    /// Which notice of this bid it is: 0, if all is told at once.
    pub part: u32,
}

impl Told<'_> {
    /// What macros stand for beside a bid, before anything has become of it.
    pub fn values(&self, external: &External) -> Values {
        let text = |of: &Option<std::sync::Arc<str>>| of.as_deref().unwrap_or_default().to_owned();
        Values {
            auction: self.auction.to_owned(),
            response: text(&external.response),
            imp: external.imp.to_string(),
            seat: text(&external.seat),
            ad: text(&external.ad),
            currency: self.currency.to_owned(),
            ..Values::default()
        }
    }

    /// What macros stand for beside the winner: for its markup too.
    pub fn winner_values(&self, external: &External, price: Money, min_to_win: Money) -> Values {
        Values { price: Some(price), min_to_win: Some(min_to_win), loss: Some(0), ..self.values(external) }
    }

    /// The bid has won.
    pub fn won(&self, external: &External, price: Money, min_to_win: Money) -> Vec<Notice> {
        let values = self.winner_values(external, price, min_to_win);
        self.notice(NoticeKind::Won, external.notices.won.as_ref(), &values).into_iter().collect()
    }

    /// So much of the winner is owed for.
    pub fn billed(
        &self,
        bid: &Bid,
        external: &External,
        min_to_win: Money,
        displayed: Displayed,
    ) -> Vec<Notice> {
        let values = Values {
            multiplier: Some(displayed.count),
            shown_at: Some(displayed.at),
            ..self.winner_values(external, bid.price, min_to_win)
        };
        let notice = self.notice(NoticeKind::Billed, external.notices.billed.as_ref(), &values);
        let key = format!("{}/{}/{}", self.auction, bid.id, displayed.part);
        notice.map(|notice| Notice { idempotency_key: Some(key), ..notice }).into_iter().collect()
    }

    /// So much of the winner was shown: its markup's own links are told, at the instant of the bill. A bidder without `burl`
    /// counts money by them, so they are repeated like one.
    pub fn shown(
        &self,
        bid: &Bid,
        external: &External,
        min_to_win: Money,
        displayed: Displayed,
        class: DisplayClass,
        links: &[Link],
    ) -> Vec<Notice> {
        let values = Values {
            multiplier: Some(displayed.count),
            shown_at: Some(displayed.at),
            ..self.winner_values(external, bid.price, min_to_win)
        };
        let cache_buster = crate::random::mix(displayed.at.unsigned_abs());
        let mut vast = crate::format::vast::Macros::new(displayed.at, cache_buster as u32);
        vast.set(
            "SERVERSIDE",
            match class {
                // The server speaks for pages that have drawn it, or on its own for what it has drawn itself.
                DisplayClass::Client => "1",
                DisplayClass::Server => "2",
            },
        );
        let means_money = external.notices.billed.is_none();
        let notice = |(at, link): (usize, &Link)| {
            let link = Link::parse(&vast.apply(&values.apply(link.as_str(), self.agreed))).ok()?;
            let key = means_money.then(|| format!("{}/{}/{}/{at}", self.auction, bid.id, displayed.part));
            Some(Notice { kind: NoticeKind::Shown, link, idempotency_key: key })
        };
        links.iter().enumerate().filter_map(notice).collect()
    }

    /// The bid has lost. The winner's price is told, nothing else of it.
    pub fn lost(&self, external: &External, why: LossReason, min_to_win: Option<Money>) -> Vec<Notice> {
        let values = Values { loss: Some(why.code()), min_to_win, ..self.values(external) };
        self.notice(NoticeKind::Lost, external.notices.lost.as_ref(), &values).into_iter().collect()
    }

    /// The bid was refused before the decision.
    pub fn refused(&self, refused: &Refused) -> Vec<Notice> {
        let values = Values {
            auction: self.auction.to_owned(),
            seat: refused.seat.as_deref().unwrap_or_default().to_owned(),
            currency: self.currency.to_owned(),
            loss: Some(refused.why.code()),
            ..Values::default()
        };
        let lost = self.notice(NoticeKind::Lost, refused.lost.as_ref(), &values);
        let (code, beacons) = refused.vast.as_ref().map_or((0, &[][..]), |(code, links)| (*code, links));
        let mut vast = crate::format::vast::Macros::default();
        vast.set("ERRORCODE", code.to_string());
        let beacons = beacons.iter().filter_map(|link| {
            let link = Link::parse(&vast.apply(&values.apply(link.as_str(), self.agreed))).ok()?;
            Some(Notice { kind: NoticeKind::VastError, link, idempotency_key: None })
        });
        lost.into_iter().chain(beacons).collect()
    }

    /// Everything that one bidder is told as soon as a sale is decided: whether its bids have won or lost, and what was
    /// refused. `offer` is its place in the trace. Where nothing came of the sale, `unsold` is why the winner has lost too.
    pub fn decided(&self, trace: &Trace, offer: usize, unsold: Option<LossReason>) -> Vec<Notice> {
        let decision = &trace.decision;
        let Some(of) = trace.offers.get(offer) else { return Vec::new() };
        // What it would have taken: the winner's price, or what nobody has paid.
        let to_win = decision.winner.filter(|_| unsold.is_none()).map(|_| decision.price);
        let mut notices = Vec::new();
        for verdict in decision.verdicts.iter().filter(|verdict| verdict.bid.offer == offer) {
            let BidPlace { bid, .. } = verdict.bid;
            let Some(external) = of.external.get(bid) else { continue };
            notices.extend(match verdict.why_not.or(unsold) {
                None => self.won(external, decision.price, decision.min_to_win),
                Some(why) => self.lost(external, why, to_win),
            });
        }
        notices.extend(of.refused.iter().flat_map(|refused| self.refused(refused)));
        notices
    }

    fn notice(&self, kind: NoticeKind, link: Option<&Link>, values: &Values) -> Option<Notice> {
        let link = Link::parse(&values.apply(link?.as_str(), self.agreed)).ok()?;
        Some(Notice { kind, link, idempotency_key: None })
    }
}
