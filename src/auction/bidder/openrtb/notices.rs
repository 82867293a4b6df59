//! Whom to call when a bid has won, is owed for, or has lost. The calls are somebody else's.
//!
//! A win notice means no money. A billing notice does, so it is repeated until it is taken (every 10 s for a minute, OpenRTB
//! 2.6 implementation guide, §7.8), always with the same key: the bidder knows a repetition by it. Where there is no billing
//! notice, the `Impression` of a VAST document stands for it.

use std::collections::BTreeSet;

use super::macros::{Encoding, Values};
use crate::auction::bid::{Bid, LossReason};
use crate::auction::decide::{BidPlace, Trace};
use crate::auction::external::{External, Links, Refused};
use crate::format::link::Link;
use crate::format::vast::{self, Refusal};
use crate::ledger::{Attention, AttentionKind, DisplayClass};
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
    /// The attention that it got: other events of a VAST document.
    Attended,
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

/// A bid that has won a lot.
#[derive(Clone, Copy, Debug)]
pub struct Won<'a> {
    /// The bid.
    pub bid: &'a Bid,
    /// What its bidder says beside it.
    pub external: &'a External,
    /// What it took to win.
    pub min_to_win: Money,
    /// How its displays are known.
    pub class: DisplayClass,
    /// The links of what is shown.
    pub links: &'a Links,
}

/// What was displayed of a winner, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Displayed {
    /// Impressions that are owed for with this notice.
    pub count: u32,
    /// When, in Unix milliseconds: it is told later.
    pub at: i64,
    /// When it is told, in Unix milliseconds.
    pub told_at: i64,
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
    pub fn billed(&self, won: &Won<'_>, displayed: Displayed) -> Vec<Notice> {
        let values = self.displayed_values(won, displayed, displayed.count);
        let notice = self.notice(NoticeKind::Billed, won.external.notices.billed.as_ref(), &values);
        let key = format!("{}/{}/{}", self.auction, won.bid.id, displayed.part);
        notice.map(|notice| Notice { idempotency_key: Some(key), ..notice }).into_iter().collect()
    }

    /// So much of the winner was shown: its markup's own links are told, at the instant of the bill. A bidder without `burl`
    /// counts money by them, so they are repeated like one.
    pub fn shown(&self, won: &Won<'_>, displayed: Displayed) -> Vec<Notice> {
        let values = self.displayed_values(won, displayed, displayed.count);
        let vast = macros(displayed.told_at, won.class);
        let means_money = won.external.notices.billed.is_none();
        let notice = |(at, link): (usize, &Link)| {
            let key = means_money.then(|| format!("{}/{}/{}/{at}", self.auction, won.bid.id, displayed.part));
            let link = self.filled(link, &values, &vast)?;
            Some(Notice { kind: NoticeKind::Shown, link, idempotency_key: key })
        };
        won.links.impressions.iter().enumerate().filter_map(notice).collect()
    }

    /// The attention that the winner got: its markup's other links are told, each once with how often that was so, and not at all of
    /// what never was.
    pub fn attended(&self, won: &Won<'_>, displayed: Displayed, attention: &Attention) -> Vec<Notice> {
        let vast = macros(displayed.told_at, won.class);
        let Links { viewable, clicks, tracking, .. } = won.links;
        let viewable = viewable.iter().map(|link| (attention.of(AttentionKind::Viewable), link));
        let clicks = clicks.iter().map(|link| (attention.of(AttentionKind::Click), link));
        let events = tracking.iter().map(|(event, link)| {
            let count = match event.as_str() {
                "creativeView" | "start" => displayed.count.into(),
                "firstQuartile" => attention.of(AttentionKind::FirstQuartile),
                "midpoint" => attention.of(AttentionKind::Midpoint),
                "thirdQuartile" => attention.of(AttentionKind::ThirdQuartile),
                "complete" => attention.of(AttentionKind::Complete),
                "close" | "closeLinear" => attention.of(AttentionKind::Close),
                _ => 0,
            };
            (count, link)
        });
        let notice = |(count, link): (u64, &Link)| {
            // Of displays beyond what was reserved, which nobody pays for, nothing is told: nor of the attention that they got.
            let count = u32::try_from(count).unwrap_or(u32::MAX).min(displayed.count);
            let link = self.filled(link, &self.displayed_values(won, displayed, count), &vast)?;
            Some(Notice { kind: NoticeKind::Attended, link, idempotency_key: None })
        };
        viewable.chain(clicks).chain(events).filter(|(count, _)| *count > 0).filter_map(notice).collect()
    }

    fn displayed_values(&self, won: &Won<'_>, displayed: Displayed, count: u32) -> Values {
        Values {
            multiplier: Some(count),
            shown_at: Some(displayed.at),
            ..self.winner_values(won.external, won.bid.price, won.min_to_win)
        }
    }

    /// Where a click on the winner leads, at this moment in Unix milliseconds. The viewer follows it himself, and is told no price.
    pub fn click_through(&self, external: &External, at: i64, links: &Links) -> Option<Link> {
        let macros = macros(at, DisplayClass::Client);
        self.filled(links.click_through.as_ref()?, &self.values(external), &macros)
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
        lost.into_iter().chain(self.vast_errors(code, beacons, &values)).collect()
    }

    /// The bid's creative was fetched in vain, or some of what it leads to was.
    pub fn not_shown(&self, external: &External, refusal: &Refusal) -> Vec<Notice> {
        self.vast_errors(refusal.error.code(), &refusal.errors, &self.values(external))
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

    /// A link of markup with its macros replaced, both kinds of them.
    fn filled(&self, link: &Link, values: &Values, vast: &vast::Macros) -> Option<Link> {
        Link::parse(&vast.apply(&values.apply(link.as_str(), self.agreed))).ok()
    }

    fn vast_errors(&self, code: u16, beacons: &[Link], values: &Values) -> Vec<Notice> {
        let mut vast = vast::Macros::default();
        vast.set("ERRORCODE", code.to_string());
        let notice = |link| {
            let link = self.filled(link, values, &vast)?;
            Some(Notice { kind: NoticeKind::VastError, link, idempotency_key: None })
        };
        beacons.iter().filter_map(notice).collect()
    }

    fn notice(&self, kind: NoticeKind, link: Option<&Link>, values: &Values) -> Option<Notice> {
        let link = Link::parse(&values.apply(link?.as_str(), self.agreed)).ok()?;
        Some(Notice { kind, link, idempotency_key: None })
    }
}

/// What macros of VAST stand for in links of a winner.
fn macros(at: i64, class: DisplayClass) -> vast::Macros {
    let cache_buster = crate::random::mix(at.unsigned_abs());
    let mut macros = vast::Macros::new(at, cache_buster as u32);
    macros.set(
        "SERVERSIDE",
        match class {
            // The server speaks for pages that have drawn it, or on its own for what it has drawn itself.
            DisplayClass::Client => "1",
            DisplayClass::Server => "2",
        },
    );
    macros
}
