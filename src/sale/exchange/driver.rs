//! All bidders: asked in parallel under one deadline, told what they have won, billed when a slot is settled.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::RootCertStore;
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::account::{account, fund};
use super::client::{Client, Trust};
use super::creatives::Creative;
use super::guard::Guard;
use super::metrics::Metrics;
use super::notices::Notifier;
use super::partner::{Partner, State};
use crate::auction::bid::LossReason;
use crate::auction::bidder::openrtb::notices::{Displayed, Won};
use crate::auction::bidder::openrtb::request::auction_id;
use crate::auction::bidder::openrtb::{Seller, Settings};
use crate::auction::external::{External, Links};
use crate::auction::{Auction, Bid, Offer, Trace};
use crate::booking::Intake;
use crate::format::link::Link;
use crate::ledger::{Account, Attention, CampaignId, DisplayClass, Ledger, SettledLot, Settlement, SlotId};
use crate::money::Money;
use crate::{clock, metrics};

/// How long until a notice of money is told again.
const TOLD_AGAIN: Duration = Duration::from_secs(10);

/// What the exchange is made with.
pub struct Parts {
    /// Who is asked.
    pub bidders: Vec<Settings>,
    /// Who sells.
    pub seller: Seller,
    /// A cohort of fewer is not spoken of.
    pub k: u32,
    /// How long any answer is waited for.
    pub deadline: Duration,
    /// Names whose addresses are configured.
    pub hosts: BTreeMap<String, IpAddr>,
    /// Whose certificates are believed.
    pub roots: RootCertStore,
    /// The money.
    pub ledger: Ledger,
    /// What looks at creatives.
    pub intake: Arc<dyn Intake>,
    /// The largest file of a creative, in bytes.
    pub max_image: usize,
}

/// All bidders outside. Clones are the same.
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

struct Inner {
    partners: Vec<Arc<Partner>>,
    ledger: Ledger,
    /// For each slot that is sold and not settled, the bidder that each lot is sold to, if one has it. The ledger bounds the
    /// number of slots.
    sold: Mutex<HashMap<SlotId, Vec<Option<Arc<Winner>>>>>,
}

/// A bid that was sold to.
struct Winner {
    partner: Arc<Partner>,
    auction: String,
    bid: Bid,
    external: External,
    min_to_win: Money,
    class: DisplayClass,
    /// When it was to be shown, in Unix milliseconds.
    shown_at: i64,
    /// As it was at hand when it won; after a restart it is not.
    creative: Option<Arc<Creative>>,
    links: Links,
}

impl Winner {
    /// A lot of it is settled: it is told what is owed, and what has become of its advertisement.
    fn settled(&self, lot: &SettledLot, attention: &Attention) {
        let Self { partner, auction, bid, external, min_to_win, class, shown_at, links, .. } = self;
        let count = lot.spent.covers(bid.price);
        if count == 0 || !lot.spent.is_positive() {
            return;
        }
        let displayed = Displayed { count, at: *shown_at, told_at: clock::unix_now(), part: 0 };
        let told = partner.told(auction);
        let won = Won { bid, external, min_to_win: *min_to_win, class: *class, links };
        let notices = told.billed(&won, displayed).into_iter().chain(told.shown(&won, displayed));
        let notices = notices.chain(told.attended(&won, displayed, attention));
        notices.for_each(|notice| partner.notifier.tell(notice));
    }

    /// Where a click leads.
    fn click_through(&self) -> Option<Link> {
        let told = self.partner.told(&self.auction);
        told.click_through(&self.external, clock::unix_now(), &self.links)
    }
}

impl Exchange {
    /// Gives each bidder its account and its connections. A bidder whose account cannot be funded is there, and is asked
    /// nothing as long as it has no credit.
    pub async fn start(parts: Parts, registry: &metrics::Metrics) -> Self {
        Self::with(parts, registry, TOLD_AGAIN).await
    }

    pub(super) async fn with(parts: Parts, registry: &metrics::Metrics, told_again: Duration) -> Self {
        let (seller, guard) = (Arc::new(parts.seller), Arc::new(Guard::new(parts.hosts)));
        let (trust, metrics) = (Trust::new(parts.roots), Metrics::new(registry));
        let mut partners = Vec::with_capacity(parts.bidders.len());
        for mut settings in parts.bidders {
            settings.timeout = settings.timeout.min(parts.deadline);
            let (name, campaign) = (Arc::<str>::from(settings.name.as_str()), account(&settings.name));
            if let Err(error) = fund(&parts.ledger, campaign, settings.credit_limit).await {
                tracing::error!(bidder = %name, %error, "a bidder's credit stays as it was");
            }
            let links = Client::guarded(&trust, &guard);
            partners.push(Arc::new(Partner {
                notifier: Notifier::start(Arc::clone(&name), links.clone(), told_again, metrics.clone()),
                name,
                campaign,
                settings: Arc::new(settings),
                seller: Arc::clone(&seller),
                k: parts.k,
                asking: Client::configured(&trust, &guard),
                links,
                metrics: metrics.clone(),
                intake: Arc::clone(&parts.intake),
                max_image: parts.max_image,
                state: State::default(),
            }));
        }
        Self(Arc::new(Inner { partners, ledger: parts.ledger, sold: Mutex::default() }))
    }

    /// Asks all bidders for all cohorts of a slot, and gives for each cohort what each bidder offers, in the order of the
    /// configuration. Who has not answered at the deadline offers nothing, and is not waited for.
    pub async fn offers(&self, auctions: &[Auction], deadline: Instant) -> Vec<Vec<Offer>> {
        let partners = &self.0.partners;
        let late =
            |_: &Auction| partners.iter().map(|partner| partner.nothing(Some("no answer in time"))).collect();
        let mut offers: Vec<Vec<Offer>> = auctions.iter().map(late).collect();
        let count = auctions.len() * partners.len();
        let (answers, mut answered) = mpsc::channel(count.max(1));
        for (at, auction) in auctions.iter().enumerate() {
            let auction = Arc::new(auction.clone());
            for (of, partner) in partners.iter().enumerate() {
                if !self.0.ledger.balance(&Account::Budget(partner.campaign)).is_positive() {
                    if let Some(offer) = offers.get_mut(at).and_then(|offers| offers.get_mut(of)) {
                        *offer = partner.nothing(Some("not asked: its credit is used up"));
                    }
                    continue;
                }
                let (partner, auction, answers) =
                    (Arc::clone(partner), Arc::clone(&auction), answers.clone());
                // Each by itself: it reads its answer as it comes, and ends at the deadline whoever waits for it.
                tokio::spawn(async move {
                    let offer = partner.offer(&auction, deadline).await;
                    // Nobody may wait any more.
                    let _ = answers.send((at, of, offer)).await;
                });
            }
        }
        drop(answers);
        while let Ok(Some((at, of, offer))) = timeout_at(deadline.into(), answered.recv()).await {
            if let Some(place) = offers.get_mut(at).and_then(|offers| offers.get_mut(of)) {
                *place = offer;
            }
        }
        offers
    }

    /// A creative of a bidder's that is at hand.
    pub fn creative(&self, campaign: CampaignId, creative: u64) -> Option<Arc<Creative>> {
        let partner = self.0.partners.iter().find(|partner| partner.campaign == campaign)?;
        partner.creatives().find(creative).or_else(|| self.sold_creative(campaign, creative))
    }

    /// A slot was decided: bidders are told which of their bids have won and why the others have not. `unsold` says of which traces
    /// nothing came after all, and why their winners have lost.
    pub fn tell(&self, traces: &[Trace], unsold: impl Fn(usize) -> Option<LossReason>) {
        for (number, trace) in traces.iter().enumerate() {
            let unsold = unsold(number);
            let auction = auction_id(&trace.auction);
            for (place, offer) in trace.offers.iter().enumerate() {
                let Some(partner) = self.partner(&offer.bidder) else { continue };
                let notices = partner.told(&auction).decided(trace, place, unsold);
                notices.into_iter().for_each(|notice| partner.notifier.tell(notice));
            }
        }
    }

    /// A slot is sold: whoever of the bidders has won a lot owes for what will be displayed. `places` are the lots' traces.
    pub fn sold(&self, slot: SlotId, traces: &[Trace], places: &[usize]) {
        let winner = |place: &usize| self.winner(traces.get(*place)?).map(Arc::new);
        let winners: Vec<_> = places.iter().map(winner).collect();
        if winners.iter().any(Option::is_some) {
            self.sold_slots().insert(slot, winners);
        }
    }

    /// Where a click on a lot leads that is sold to a bidder. Not while nobody knows: before it is sold, and after it is settled.
    pub fn click_through(&self, slot: SlotId, lot: u16) -> Option<Link> {
        let winner = self.sold_slots().get(&slot)?.get(usize::from(lot))?.clone();
        winner?.click_through()
    }

    /// Whether a click on a bid would lead anywhere.
    pub fn is_clickable(&self, campaign: CampaignId, creative: u64, external: &External) -> bool {
        let partner = self.0.partners.iter().find(|partner| partner.campaign == campaign);
        partner.is_some_and(|partner| partner.links(creative, external).click_through.is_some())
    }

    /// A slot is settled: bidders are billed for what the ledger has charged, once for each lot, and told what attention they got.
    pub fn settle(&self, settlement: &Settlement, attention: &[Attention]) {
        let Some(winners) = self.sold_slots().remove(&settlement.slot) else { return };
        let attention = attention.iter().copied().chain(std::iter::repeat(Attention::default()));
        for (winner, (lot, attention)) in winners.iter().zip(settlement.lots.iter().zip(attention)) {
            if let Some(winner) = winner {
                winner.settled(lot, &attention);
            }
        }
    }

    /// A creative that is shown, though it had to make room for others.
    fn sold_creative(&self, campaign: CampaignId, creative: u64) -> Option<Arc<Creative>> {
        let sold = self.sold_slots();
        let mut winners = sold.values().flatten().flatten();
        let is_it =
            |winner: &&Arc<Winner>| winner.bid.campaign == campaign && winner.bid.creative == creative;
        winners.find(is_it).and_then(|winner| winner.creative.clone())
    }

    fn winner(&self, trace: &Trace) -> Option<Winner> {
        let place = trace.decision.winner?;
        let offer = trace.offers.get(place.offer)?;
        let external = offer.external.get(place.bid)?.clone();
        let bid = offer.bids.get(place.bid)?.clone();
        let partner = Arc::clone(self.partner(&offer.bidder)?);
        let creative = partner.creatives().find(bid.creative);
        let found = creative.as_ref().and_then(|creative| creative.overlay.as_ref());
        let context = &trace.auction.context;
        Some(Winner {
            links: external.markup.links(found),
            partner,
            auction: auction_id(&trace.auction),
            bid,
            external,
            min_to_win: trace.decision.min_to_win,
            class: context.class,
            shown_at: context.starts_at.max(context.at),
            creative,
        })
    }

    fn partner(&self, name: &str) -> Option<&Arc<Partner>> {
        self.0.partners.iter().find(|partner| *partner.name == *name)
    }

    fn sold_slots(&self) -> MutexGuard<'_, HashMap<SlotId, Vec<Option<Arc<Winner>>>>> {
        self.0.sold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
