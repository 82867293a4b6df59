//! Everything that is booked: changed one after the other, told to whoever asks.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinError;

use super::Config;
use super::advertiser::{Advertiser, AdvertiserId};
use super::campaign::Booking;
use super::creative::{ContentHash, Creative, CreativeFile, CreativeId, MediaType};
use super::intake::Intake;
use super::register::Register;
use super::rules::{self, Problem};
use super::store::{BookingStore, BookingStoreError};
use crate::auction::Campaign;
use crate::auction::campaign::Approval;
use crate::auth::{AccessKey, Digest, NoRandomness};
use crate::clock;
use crate::ledger::{Account, CampaignId, Event, Ledger, LedgerError, Receipt, UnixMillis};
use crate::media::OverlayFormat;
use crate::money::Money;
use crate::overlay::AskError;

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

/// Something that is booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// An advertiser.
    Advertiser,
    /// A campaign.
    Campaign,
    /// A creative.
    Creative,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Advertiser => "advertiser",
            Self::Campaign => "campaign",
            Self::Creative => "creative",
        })
    }
}

/// Why nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BookingError {
    /// Values that are not allowed: field, and what is.
    #[error("{}", .0.iter().map(|(field, allowed)| format!("{field}: {allowed}")).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Problem>),
    /// It is not there.
    #[error("there is no {0} of this number")]
    Missing(Thing),
    /// There are as many as there may be.
    #[error("there are {most} {thing}s already, and no more may be (booking.{limit})")]
    TooMany {
        /// Of what.
        thing: Thing,
        /// How many there may be.
        most: usize,
        /// The key of the configuration.
        limit: &'static str,
    },
    /// The files of all creatives take the memory that is for them.
    #[error("the files of all creatives take the memory that is for them (booking.creative_memory)")]
    NoMemory,
    /// The file is too large, or empty.
    #[error("image: a file of 1 to {0} bytes")]
    FileSize(usize),
    /// The advertiser has campaigns.
    #[error("the advertiser has campaigns: delete them first")]
    HasCampaigns,
    /// The campaign has money.
    #[error(
        "the campaign has money left or kept back: pay it out first, with a payment of a negative amount"
    )]
    HasMoney,
    /// The file is not the one that was looked at.
    #[error("the creative's file is damaged: upload it again")]
    Damaged,
    /// The image cannot be used, or nobody can look at it now.
    #[error(transparent)]
    Image(#[from] AskError),
    /// The ledger refuses, or cannot keep anything.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] BookingStoreError),
    /// No key can be made.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The change broke off.
    #[error("the change broke off: {0}")]
    Broken(#[from] JoinError),
}

impl From<Problem> for BookingError {
    fn from(problem: Problem) -> Self {
        Self::Invalid(vec![problem])
    }
}

/// A creative to be added.
#[derive(Clone, Debug)]
pub struct Upload {
    /// What it is made for.
    pub format: OverlayFormat,
    /// The image file.
    pub file: Bytes,
    /// Where a click leads.
    pub click_url: Option<String>,
    /// What it is about.
    pub categories: BTreeSet<Arc<str>>,
    /// Whether the operator uploads it.
    pub by_operator: bool,
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
            let advertiser = Advertiser { id, name, domains, created_at: now() };
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
            let booking = Booking { advertiser, name, created_at: now(), campaign };
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

    /// Adds a creative, once a worker has looked at its file.
    ///
    /// # Errors
    /// When a value is not allowed, the image cannot be used, there are too many, there is no such campaign, or the store fails.
    pub async fn add_creative(&self, campaign: CampaignId, upload: Upload) -> Result<Creative, BookingError> {
        let inner = &self.0;
        let advertiser = inner.advertiser(inner.booking(campaign)?.advertiser)?;
        let most = inner.config.creative_bytes;
        if !(1..=most).contains(&upload.file.len()) {
            return Err(BookingError::FileSize(most));
        }
        let click_url =
            upload.click_url.map(|url| rules::click_url(&url, &advertiser.domains)).transpose()?;
        let categories = rules::words("categories", &upload.categories)?;
        inner.check_room_for(campaign, upload.file.len())?;
        let look = {
            let _one_at_a_time = inner.looking.lock().await;
            inner.intake.look(upload.format, upload.file.clone()).await?
        };
        self.change(move |inner| async move {
            // Others may have come, or the campaign gone, in the meantime.
            inner.booking(campaign)?;
            inner.check_room_for(campaign, upload.file.len())?;
            let is_approved = upload.by_operator && inner.config.approve_operator_uploads;
            let creative = Creative {
                id: inner.write().next_creative(),
                campaign,
                format: upload.format,
                media_type: MediaType::of(&upload.file),
                bytes: upload.file.len(),
                hash: ContentHash::of(&upload.file),
                look,
                click_url,
                categories,
                approval: if is_approved { Approval::Approved } else { Approval::Pending },
                reason: None,
                created_at: now(),
                is_ready: true,
            };
            inner.store.insert_creative(&creative, &upload.file).await?;
            // Of what a request was read into, no more than the file is to stay.
            inner.write().put_creative(creative.clone(), Some(Bytes::copy_from_slice(&upload.file)));
            tracing::info!(creative = creative.id, campaign = campaign.0, "creative added");
            Ok(creative)
        })
        .await
    }

    /// Allows a creative.
    ///
    /// # Errors
    /// When there is no such creative, its file is damaged, or the store fails.
    pub async fn approve(&self, id: CreativeId) -> Result<Creative, BookingError> {
        self.judge(id, Approval::Approved, None).await
    }

    /// Forbids a creative, with a reason.
    ///
    /// # Errors
    /// When there is no such creative, the reason is none, or the store fails.
    pub async fn reject(&self, id: CreativeId, reason: &str) -> Result<Creative, BookingError> {
        let reason = rules::line("reason", reason, rules::MAX_REASON)?;
        self.judge(id, Approval::Rejected, Some(reason)).await
    }

    async fn judge(
        &self,
        id: CreativeId,
        approval: Approval,
        reason: Option<String>,
    ) -> Result<Creative, BookingError> {
        self.change(move |inner| async move {
            let before = inner.creative(id)?;
            if approval == Approval::Approved && !before.is_ready {
                return Err(BookingError::Damaged);
            }
            let creative = Creative { approval, reason, ..before };
            inner.store.update_creative(&creative).await?;
            inner.write().put_creative(creative.clone(), None);
            tracing::info!(creative = id, ?approval, "creative judged");
            Ok(creative)
        })
        .await
    }

    /// Deletes a creative; where it is on the air, it stays until its slot is over.
    ///
    /// # Errors
    /// When there is no such creative, or the store fails.
    pub async fn delete_creative(&self, id: CreativeId) -> Result<(), BookingError> {
        self.change(move |inner| async move {
            inner.creative(id)?;
            inner.store.delete_creative(id).await?;
            inner.write().remove_creative(id);
            tracing::info!(creative = id, "creative deleted");
            Ok(())
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

    fn check_room_for(&self, campaign: CampaignId, bytes: usize) -> Result<(), BookingError> {
        let register = self.read();
        let most = self.config.creatives_per_campaign;
        check_room(register.creatives_of(campaign).count(), Thing::Creative, most, "creatives_per_campaign")?;
        let is_room = register.file_bytes().saturating_add(bytes) <= self.config.creative_memory;
        if is_room { Ok(()) } else { Err(BookingError::NoMemory) }
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

fn now() -> UnixMillis {
    clock::unix_millis(clock::wall())
}
