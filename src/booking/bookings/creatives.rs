//! Creatives: added once a worker has looked at them, judged by the operator, deleted.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::{Bookings, Inner, check_room};
use crate::auction::campaign::Approval;
use crate::booking::creative::{ContentHash, Creative, CreativeId, MediaType};
use crate::booking::error::{BookingError, Thing};
use crate::booking::rules;
use crate::clock;
use crate::ledger::CampaignId;
use crate::media::OverlayFormat;

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

impl Bookings {
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
                created_at: clock::unix_now(),
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
}

impl Inner {
    fn check_room_for(&self, campaign: CampaignId, bytes: usize) -> Result<(), BookingError> {
        let register = self.read();
        let most = self.config.creatives_per_campaign;
        check_room(register.creatives_of(campaign).count(), Thing::Creative, most, "creatives_per_campaign")?;
        let is_room = register.file_bytes().saturating_add(bytes) <= self.config.creative_memory;
        if is_room { Ok(()) } else { Err(BookingError::NoMemory) }
    }
}
