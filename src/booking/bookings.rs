//! Everything that is booked: changed one after the other, told to whoever asks.

mod creatives;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::{Mutex, watch};

use super::Config;
use super::advertiser::{Advertiser, AdvertiserId};
use super::campaign::Booking;
use super::creative::{Creative, CreativeFile, CreativeId};
use super::error::{BookingError, Thing};
use super::intake::Intake;
use super::register::Register;
use super::rules;
use super::store::{BookingStore, BookingStoreError};
use crate::auction::Campaign;
use crate::auction::campaign::Approval;
use crate::auth::{AccessKey, Digest};
use crate::clock;
use crate::ledger::{Account, CampaignId, Event, Ledger, Receipt};
use crate::money::Money;

pub use creatives::Upload;

/// What is booked here. Clones are the same. Reading asks memory; a change is kept first and then holds everywhere.
#[derive(Clone)]
pub struct Bookings(Arc<Inner>);

struct Inner {
    config: Config,
    store: Box<dyn BookingStore>,
    intake: Arc<dyn Intake>,
    ledger: Ledger,
    register: RwLock<Register>,
    changes: watch::Sender<u64>,
    /// Held during a change, so that none overtakes another between store and memory.
    changing: Mutex<()>,
    /// Held while a worker looks at a file: one at a time, because workers are for broadcasts first.
    looking: Mutex<()>,
}

/// What came of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The budget now.
    pub budget: Money,
    /// It had been made already; nothing changed.
    pub is_repeated: bool,
}

impl Bookings {
    /// Reads what is booked.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn load(
        config: &Config,
        store: impl BookingStore + 'static,
        intake: Arc<dyn Intake>,
        ledger: Ledger,
    ) -> Result<Self, BookingStoreError> {
        let register = Register::new(store.all().await?);
        for creative in register.creatives.values().filter(|creative| !creative.is_ready) {
            tracing::error!(creative = creative.id, "the file of a creative is damaged; it is not shown");
        }
        Ok(Self(Arc::new(Inner {
            config: config.clone(),
            store: Box::new(store),
            intake,
            ledger,
            register: RwLock::new(register),
            changes: watch::Sender::new(0),
            changing: Mutex::default(),
            looking: Mutex::default(),
        })))
    }

    /// All campaigns as they stand, with their creatives.
    pub fn campaigns(&self) -> Vec<Arc<Campaign>> {
        self.0.read().campaigns.values().map(|booking| Arc::clone(&booking.campaign)).collect()
    }

    /// The campaign of this number, with its creatives.
    pub fn campaign(&self, id: CampaignId) -> Option<Arc<Campaign>> {
        self.0.read().campaigns.get(&id).map(|booking| Arc::clone(&booking.campaign))
    }

    /// A creative's file, to be shown or looked at; `None` when there is none, or it is damaged.
    pub fn creative_file(&self, id: CreativeId) -> Option<Arc<CreativeFile>> {
        self.0.read().file(id)
    }

    /// What a campaign may still reserve.
    pub fn budget(&self, id: CampaignId) -> Money {
        self.0.ledger.balance(&Account::Budget(id))
    }

    /// The number that a campaign's next payment has.
    pub fn next_payment(&self, id: CampaignId) -> u64 {
        self.0.ledger.last_payment(id).saturating_add(1)
    }

    /// Tells of each change: the number rises.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The limits.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Whose key this is.
    pub fn advertiser_for(&self, key: &str) -> Option<AdvertiserId> {
        self.0.read().owner(&Digest::of_shown(key)?)
    }

    /// All advertisers.
    pub fn advertisers(&self) -> Vec<Advertiser> {
        self.0.read().advertisers.values().cloned().collect()
    }

    /// The advertiser of this number.
    pub fn advertiser(&self, id: AdvertiserId) -> Option<Advertiser> {
        self.0.read().advertisers.get(&id).cloned()
    }

    /// The campaigns of an advertiser.
    pub fn bookings_of(&self, advertiser: AdvertiserId) -> Vec<Booking> {
        self.0.read().campaigns_of(advertiser).cloned().collect()
    }

    /// A campaign, and what an auction has no use for.
    pub fn booking(&self, id: CampaignId) -> Option<Booking> {
        self.0.read().campaigns.get(&id).cloned()
    }

    /// The creatives of a campaign.
    pub fn creatives_of(&self, campaign: CampaignId) -> Vec<Creative> {
        self.0.read().creatives_of(campaign).cloned().collect()
    }

    /// The creatives in this state, or all of them, the oldest first; at most so many, from after a number if there is one.
    pub fn creatives(
        &self,
        state: Option<Approval>,
        after: Option<CreativeId>,
        at_most: usize,
    ) -> Vec<Creative> {
        let register = self.0.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let creatives = register.creatives.range((from, Bound::Unbounded)).map(|(_, creative)| creative);
        let wanted = creatives.filter(|creative| state.is_none_or(|state| creative.approval == state));
        wanted.take(at_most).cloned().collect()
    }

    /// The creative of this number.
    pub fn creative(&self, id: CreativeId) -> Option<Creative> {
        self.0.read().creatives.get(&id).cloned()
    }

    /// Makes an advertiser and its key.
    ///
    /// # Errors
    /// When a value is not allowed, there are too many, or the store fails.
    pub async fn add_advertiser(
        &self,
        name: String,
        domains: BTreeSet<String>,
    ) -> Result<(Advertiser, AccessKey), BookingError> {
        let name = rules::line("name", &name, rules::MAX_NAME)?;
        let domains = rules::domains(&domains)?;
        self.change(|inner| async move {
            let most = inner.config.max_advertisers;
            check_room(inner.read().advertisers.len(), Thing::Advertiser, most, "max_advertisers")?;
            let key = AccessKey::generate()?;
            let id = inner.write().next_advertiser();
            let advertiser = Advertiser { id, name, domains, created_at: clock::unix_now() };
            inner.store.insert_advertiser(&advertiser, key.digest()).await?;
            let mut register = inner.write();
            register.set_key(id, key.digest());
            register.advertisers.insert(id, advertiser.clone());
            tracing::info!(advertiser = id.0, "advertiser made");
            Ok((advertiser, key))
        })
        .await
    }

    /// Changes name and domains, where they are given. Addresses of creatives that are there already stay.
    ///
    /// # Errors
    /// When a value is not allowed, there is no such advertiser, or the store fails.
    pub async fn change_advertiser(
        &self,
        id: AdvertiserId,
        name: Option<String>,
        domains: Option<BTreeSet<String>>,
    ) -> Result<Advertiser, BookingError> {
        let name = name.map(|name| rules::line("name", &name, rules::MAX_NAME)).transpose()?;
        let domains = domains.map(|domains| rules::domains(&domains)).transpose()?;
        self.change(move |inner| async move {
            let mut advertiser = inner.advertiser(id)?;
            advertiser.name = name.unwrap_or(advertiser.name);
            advertiser.domains = domains.unwrap_or(advertiser.domains);
            inner.store.update_advertiser(&advertiser).await?;
            inner.write().advertisers.insert(id, advertiser.clone());
            Ok(advertiser)
        })
        .await
    }

    /// Gives an advertiser a new key; the old one is void.
    ///
    /// # Errors
    /// When there is no such advertiser, or the store fails.
    pub async fn rotate_key(&self, id: AdvertiserId) -> Result<AccessKey, BookingError> {
        self.change(move |inner| async move {
            inner.advertiser(id)?;
            let key = AccessKey::generate()?;
            inner.store.set_key(id, key.digest()).await?;
            inner.write().set_key(id, key.digest());
            tracing::info!(advertiser = id.0, "advertiser's key changed");
            Ok(key)
        })
        .await
    }

    /// Deletes an advertiser who has no campaigns.
    ///
    /// # Errors
    /// When there is no such advertiser, there are campaigns, or the store fails.
    pub async fn delete_advertiser(&self, id: AdvertiserId) -> Result<(), BookingError> {
        self.change(move |inner| async move {
            inner.advertiser(id)?;
            if inner.read().campaigns_of(id).next().is_some() {
                return Err(BookingError::HasCampaigns);
            }
            inner.store.delete_advertiser(id).await?;
            inner.write().remove_advertiser(id);
            tracing::info!(advertiser = id.0, "advertiser deleted");
            Ok(())
        })
        .await
    }

    /// Makes a campaign; its number and its creatives are none of the terms.
    ///
    /// # Errors
    /// When a value is not allowed, there are too many, there is no such advertiser, or the store fails.
    pub async fn add_campaign(
        &self,
        advertiser: AdvertiserId,
        name: String,
        terms: Campaign,
    ) -> Result<Booking, BookingError> {
        let (name, terms) = checked(&name, terms)?;
        self.change(move |inner| async move {
            inner.advertiser(advertiser)?;
            let (all, own) = {
                let register = inner.read();
                (register.campaigns.len(), register.campaigns_of(advertiser).count())
            };
            check_room(all, Thing::Campaign, inner.config.max_campaigns, "max_campaigns")?;
            let most = inner.config.campaigns_per_advertiser;
            check_room(own, Thing::Campaign, most, "campaigns_per_advertiser")?;
            let id = inner.write().next_campaign();
            let campaign = Arc::new(Campaign { id, creatives: Vec::new(), ..terms });
            let booking = Booking { advertiser, name, created_at: clock::unix_now(), campaign };
            inner.store.insert_campaign(&booking).await?;
            inner.write().campaigns.insert(id, booking.clone());
            tracing::info!(campaign = id.0, advertiser = advertiser.0, "campaign booked");
            Ok(booking)
        })
        .await
    }

    /// Changes name and terms of a campaign: `change` is given what it is and gives what it is to be. Number and creatives stay.
    ///
    /// # Errors
    /// When `change` refuses, a value is not allowed, there is no such campaign, or the store fails.
    pub async fn change_campaign<E>(
        &self,
        id: CampaignId,
        change: impl FnOnce(&Booking) -> Result<(String, Campaign), E> + Send + 'static,
    ) -> Result<Result<Booking, E>, BookingError>
    where
        E: Send + 'static,
    {
        self.change(move |inner| async move {
            let before = inner.booking(id)?;
            let (name, terms) = match change(&before) {
                Ok((name, terms)) => checked(&name, terms)?,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let creatives = before.campaign.creatives.clone();
            let campaign = Arc::new(Campaign { id, creatives, ..terms });
            let booking = Booking { name, campaign, ..before };
            inner.store.update_campaign(&booking).await?;
            inner.write().campaigns.insert(id, booking.clone());
            Ok(Ok(booking))
        })
        .await
    }

    /// Deletes a campaign that has no money, and its creatives.
    ///
    /// # Errors
    /// When there is no such campaign, it has money, or the store fails.
    pub async fn delete_campaign(&self, id: CampaignId) -> Result<(), BookingError> {
        self.change(move |inner| async move {
            inner.booking(id)?;
            let is_empty = |account| inner.ledger.balance(&account) == Money::ZERO;
            if !is_empty(Account::Budget(id)) || !is_empty(Account::Reserved(id)) {
                return Err(BookingError::HasMoney);
            }
            inner.store.delete_campaign(id).await?;
            inner.write().remove_campaign(id);
            tracing::info!(campaign = id.0, "campaign deleted");
            Ok(())
        })
        .await
    }

    /// Pays into a campaign's budget, or back out of it when the amount is negative. Payments of a campaign are numbered from
    /// 1; the last one may be told again, and then its first amount counts.
    ///
    /// # Errors
    /// When there is no such campaign, or the ledger refuses.
    pub async fn pay(&self, id: CampaignId, number: u64, amount: Money) -> Result<Payment, BookingError> {
        // As a change: a campaign with money is never deleted.
        self.change(move |inner| async move {
            inner.booking(id)?;
            let receipt = inner.ledger.submit(Event::Fund { campaign: id, number, amount }).await?;
            let is_repeated = receipt == Receipt::Repeated;
            let budget = match receipt {
                Receipt::Funded { budget } => budget,
                _ => inner.ledger.balance(&Account::Budget(id)),
            };
            tracing::info!(campaign = id.0, number, %amount, %budget, is_repeated, "payment");
            Ok(Payment { budget, is_repeated })
        })
        .await
    }

    /// Runs a change to its end, one at a time, in a task of its own: a client who hangs up in the middle must not leave the
    /// store and the memory apart.
    async fn change<T, F>(
        &self,
        change: impl FnOnce(Arc<Inner>) -> F + Send + 'static,
    ) -> Result<T, BookingError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BookingError>> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            let guarded = Arc::clone(&inner);
            let _one_at_a_time = guarded.changing.lock().await;
            let changed = change(inner).await?;
            guarded.changes.send_modify(|count| *count += 1);
            Ok(changed)
        });
        task.await?
    }
}

impl Inner {
    fn read(&self) -> RwLockReadGuard<'_, Register> {
        self.register.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Register> {
        self.register.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn advertiser(&self, id: AdvertiserId) -> Result<Advertiser, BookingError> {
        self.read().advertisers.get(&id).cloned().ok_or(BookingError::Missing(Thing::Advertiser))
    }

    fn booking(&self, id: CampaignId) -> Result<Booking, BookingError> {
        self.read().campaigns.get(&id).cloned().ok_or(BookingError::Missing(Thing::Campaign))
    }

    fn creative(&self, id: CreativeId) -> Result<Creative, BookingError> {
        self.read().creatives.get(&id).cloned().ok_or(BookingError::Missing(Thing::Creative))
    }
}

fn check_room(count: usize, thing: Thing, most: usize, limit: &'static str) -> Result<(), BookingError> {
    if count < most { Ok(()) } else { Err(BookingError::TooMany { thing, most, limit }) }
}

/// Name and terms as they are kept; all that is wrong with them at once.
fn checked(name: &str, terms: Campaign) -> Result<(String, Campaign), BookingError> {
    match (rules::line("name", name, rules::MAX_NAME), rules::terms(terms)) {
        (Ok(name), Ok(terms)) => Ok((name, terms)),
        (name, terms) => {
            let problems = name.err().into_iter().chain(terms.err().into_iter().flatten());
            Err(BookingError::Invalid(problems.collect()))
        }
    }
}
