//! Who can be shown something at a cue: groups of the programme's viewers, and pages.

use std::sync::PoisonError;

use super::config::Delivery;
use super::decision::{Job, millis};
use super::record::Outcome;
use super::variants::Arranged;
use crate::auction::Cohorts;
use crate::hub::Watching;
use crate::media::{Cohort, Kind};
use crate::overlay::{AskError, Reserved, Wanted};

/// The most cohorts of pages that are sold apart.
const MAX_COHORTS: usize = 32;

/// Who can be shown something, and how.
pub(super) struct Audience {
    /// The programme's viewers: those groups that an overlay can be drawn for.
    pub burned: Vec<Group>,
    /// Pages that draw.
    pub guided: Option<Cohorts>,
}

/// A group of the programme's viewers, and the time that is taken in what they get.
pub(super) struct Group {
    pub cohort: Cohort,
    pub count: u32,
    /// Its place among all groups, and who gets which variant.
    pub place: usize,
    pub arranged: Arranged,
    pub time: Reserved,
}

impl Job {
    /// Who can be shown something. The overlay's time is taken first: a worker catches up with the source in the meantime.
    pub(super) fn audience(&self) -> Result<Audience, Outcome> {
        let inner = self.sale.inner();
        let delivery = self.sale.settings(self.channel.name()).delivery;
        let viewers = match delivery {
            Delivery::Guided => Vec::new(),
            _ => self.channel.audience(),
        };
        let pages: Vec<Cohort> =
            inner.guided.audience(self.channel.name()).into_iter().map(|(_, cohort)| cohort).collect();
        let mut guided = (!pages.is_empty()).then(|| Cohorts::group(pages, inner.config.k, MAX_COHORTS));
        let mut obstacle = Outcome::NoAudience;
        let has_picture = self.channel.status().tracks.iter().any(|track| track.kind() == Kind::Video);
        if !has_picture && guided.take().is_some() {
            obstacle = Outcome::NoPlace { why: AskError::NoPicture.to_string() };
        }
        let mut burned = Vec::new();
        let arranged = (!viewers.is_empty()).then(|| self.arrange(&viewers));
        let groups = arranged.iter().flat_map(|arranged| {
            arranged.cohorts.groups().enumerate().map(move |(place, group)| (arranged, place, group))
        });
        for (arranged, place, (cohort, count)) in groups {
            let wanted = Wanted {
                format: self.slot.format,
                start: Some(self.slot.cue.start),
                duration: millis(self.slot.cue.duration),
                variants: arranged.drawn_in(place),
            };
            match inner.overlays.reserve(&self.channel, wanted) {
                Ok(time) => {
                    let (cohort, arranged) = (cohort.clone(), arranged.clone());
                    burned.push(Group { cohort, count, place, arranged, time });
                }
                Err(error) => obstacle = Outcome::NoPlace { why: error.to_string() },
            }
        }
        if burned.is_empty() && guided.is_none() { Err(obstacle) } else { Ok(Audience { burned, guided }) }
    }

    /// Parts the programme's viewers into groups: who is to get another variant goes over while bidders are asked.
    fn arrange(&self, viewers: &[Watching]) -> Arranged {
        let inner = self.sale.inner();
        let at_most = usize::from(inner.overlays.variants_of(&self.channel));
        let viewers = viewers.iter().map(|viewer| Cohort::clone(&viewer.cohort));
        let cohorts = Cohorts::group(viewers, inner.config.k, at_most);
        let arranged = self.variants.lock().unwrap_or_else(PoisonError::into_inner).arrange(cohorts);
        let of = arranged.clone();
        self.channel.arrange(arranged.in_use, move |cohort| of.variant_of(cohort));
        arranged
    }
}
