//! What is shown of what was sold: images for the programme, placements for pages.

use std::collections::{HashMap, HashSet};

use super::audience::Group;
use super::decision::Job;
use super::exchange::account::is_bidders;
use super::guided::{Shown, Standing};
use crate::auction::external::External;
use crate::auction::{Cohorts, sale};
use crate::ledger::{CampaignId, Lot, SlotId};
use crate::media::MediaTime;
use crate::overlay::{Image, Reserved};

impl Job {
    /// Decodes what is to be drawn for each lot of the programme's viewers.
    ///
    /// # Errors
    /// When a creative cannot be shown: it is broken from now on.
    pub(super) async fn images(
        &self,
        sale: &sale::Sale,
        groups: &[Group],
        broken: &mut HashSet<u64>,
    ) -> Result<HashMap<usize, Image>, ()> {
        let mut images = HashMap::new();
        for (number, (lot, place)) in sale.reservation.lots.iter().zip(&sale.traces).enumerate() {
            let Some(group) = groups.get(*place) else { continue };
            let image = self.image(&group.time, lot.campaign, lot.creative).await;
            let Some(image) = image else {
                broken.insert(lot.creative);
                return Err(());
            };
            images.insert(number, image);
        }
        Ok(images)
    }

    /// What pages draw of a lot. `external` is what its bidder says, if it came from outside.
    pub(super) fn shown(&self, lots: &[Lot], lot: usize, external: Option<&External>) -> Option<Shown> {
        let inner = self.sale.inner();
        let sold = lots.get(lot)?;
        let lot = u16::try_from(lot).ok()?;
        if is_bidders(sold.campaign) {
            let creative = inner.exchange.creative(sold.campaign, sold.creative)?;
            let external = external?;
            let domain = external.advertiser_domains.first().map(AsRef::as_ref);
            return Some(Shown {
                lot,
                campaign: None,
                creative: sold.creative,
                image: format!("/creatives/{}/{}", sold.campaign, sold.creative),
                media_type: creative.media_type().as_str(),
                is_clickable: inner.exchange.is_clickable(sold.campaign, sold.creative, external),
                advertiser: domain.unwrap_or(creative.host()).to_owned(),
            });
        }
        let file = inner.bookings.creative_file(sold.creative)?;
        let advertiser = inner.bookings.booking(sold.campaign)?.advertiser;
        Some(Shown {
            lot,
            campaign: Some(inner.bookings.campaign(sold.campaign)?),
            creative: sold.creative,
            image: format!("/api/v1/creatives/{}/image", sold.creative),
            media_type: file.media_type.as_str(),
            is_clickable: file.click_url.is_some(),
            advertiser: inner.bookings.advertiser(advertiser)?.name,
        })
    }

    pub(super) fn standing(&self, slot: SlotId, cohorts: Cohorts, lots: Vec<Option<Shown>>) -> Standing {
        let start = self.slot.cue.start;
        let duration = self.slot.cue.duration.unwrap_or(MediaTime::ZERO);
        Standing {
            cue: self.number,
            revision: self.slot.cue.revision,
            slot,
            format: self.slot.format,
            start,
            end: start + duration,
            duration,
            began_at: self.began_at,
            starts_at: self.starts_at,
            deadline: self.deadline(),
            cohorts,
            lots,
            granted: HashSet::new(),
        }
    }

    async fn image(&self, place: &Reserved, campaign: CampaignId, creative: u64) -> Option<Image> {
        let inner = self.sale.inner();
        let fit = place.fit();
        if let Some(image) = inner.images.find(campaign, creative, fit) {
            return Some(image);
        }
        let file = match is_bidders(campaign) {
            true => inner.exchange.creative(campaign, creative)?.file.clone(),
            false => inner.bookings.creative_file(creative)?.bytes.clone(),
        };
        match inner.overlays.decode(file, fit).await {
            Ok(image) => {
                inner.images.keep(campaign, creative, fit, image.clone());
                Some(image)
            }
            Err(error) => {
                tracing::error!(channel = %self.channel.name(), creative, %error, "a creative cannot be shown");
                None
            }
        }
    }
}
