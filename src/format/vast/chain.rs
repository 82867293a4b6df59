//! Wrappers, followed: a machine that says what to fetch, is given what came, and ends with an overlay or without.
//!
//! ```text
//! Chain::new(document) → step() → Fetch(link) → received(text) or failed() → step() → … → Done(overlay) | Failed
//! ```
//!
//! Impressions, errors, clicks and events of all wrappers on the way are the overlay's too (VAST 4.3 §2.4.4).

use std::collections::VecDeque;

use super::document::{Ad, Document};
use super::error::VastError;
use super::select::{Overlay, Refusal, Wanted, followed};
use crate::format::link::Link;

/// Wrappers between the first document and the advertisement (VAST 4.3 §2.4.4.5).
pub const MAX_WRAPPERS: usize = 5;
/// Documents that are fetched in all, where a wrapper allows to fall back to another.
const MAX_FETCHES: usize = 10;
/// Refusals that are kept, to be told.
const MAX_REFUSALS: usize = 16;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Fetch this, and say what came.
    Fetch(Link),
    /// This is shown.
    Done(Box<Overlay>),
    /// Nothing can be shown; the first of the refusals says why.
    Failed,
}

/// Wrappers on the way to an advertisement.
#[derive(Clone, Debug)]
pub struct Chain {
    levels: Vec<Level>,
    fetches: usize,
    is_waiting: bool,
    refusals: Vec<Refusal>,
}

/// A document, and how it was come by.
#[derive(Clone, Debug)]
struct Level {
    /// What of it was not tried yet.
    ads: VecDeque<Ad>,
    /// The wrapper that led here; none for the first document.
    via: Option<Ad>,
}

impl Chain {
    /// Begins with a document.
    pub fn new(document: Document) -> Self {
        let mut chain = Self { levels: Vec::new(), fetches: 0, is_waiting: false, refusals: Vec::new() };
        chain.enter(document, None);
        chain
    }

    /// What is to be done next. After [`Step::Fetch`] it is the same until something has come.
    pub fn step(&mut self, wanted: &Wanted<'_>) -> Step {
        while let Some(level) = self.levels.last() {
            let Some(ad) = level.ads.front() else {
                self.leave();
                continue;
            };
            let tried = match &ad.wrapper {
                // It is still the first, and its link was looked at.
                Some(wrapper) if self.is_waiting => link_of(&wrapper.uri),
                Some(wrapper) => self.may_follow(&wrapper.uri),
                None => match self.take(ad, wanted) {
                    Ok(overlay) => return Step::Done(Box::new(overlay)),
                    Err(error) => Err(error),
                },
            };
            match tried {
                Ok(link) => {
                    self.fetches += usize::from(!self.is_waiting);
                    self.is_waiting = true;
                    return Step::Fetch(link);
                }
                Err(error) => self.give_up(error),
            }
        }
        Step::Failed
    }

    /// What was to be fetched has come.
    pub fn received(&mut self, text: &str, wanted: &Wanted<'_>) {
        if !self.is_waiting {
            return;
        }
        let document = match Document::read(text, wanted.mode) {
            Err(error) => return self.failed(error),
            Ok(document) => document,
        };
        match document.check_version(wanted.mode) {
            Err(refusal) => {
                let kept = self.refusals.len();
                self.failed(refusal.error);
                // Beside the wrappers, the document itself names somebody.
                if let Some(kept) = self.refusals.get_mut(kept) {
                    kept.errors.extend(refusal.errors);
                }
            }
            Ok(()) => {
                self.is_waiting = false;
                let wrapper = self.levels.last_mut().and_then(|level| level.ads.pop_front());
                self.enter(document, wrapper);
            }
        }
    }

    /// What was to be fetched did not come: [`VastError::WrapperTimeout`], or what else was wrong.
    pub fn failed(&mut self, error: VastError) {
        if std::mem::take(&mut self.is_waiting) {
            self.give_up(error);
        }
    }

    /// What was tried and could not be shown, and who is told: the first says why there is nothing.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    fn enter(&mut self, document: Document, via: Option<Ad>) {
        let wrapper = via.as_ref().and_then(|ad| ad.wrapper.as_ref());
        let only_first = wrapper.is_some_and(|wrapper| !wrapper.allow_multiple_ads);
        let mut ads: VecDeque<Ad> = document.ads.into();
        if only_first {
            ads.truncate(1);
        }
        let is_empty = ads.is_empty();
        self.levels.push(Level { ads, via });
        if is_empty {
            self.refuse(VastError::NoAd, &document.errors);
        }
    }

    /// All of the innermost document was tried in vain: the wrapper has led to nothing.
    fn leave(&mut self) {
        let via = self.levels.pop().and_then(|level| level.via);
        let may_fall_back = via.and_then(|ad| ad.wrapper).is_none_or(|wrapper| wrapper.fallback_on_no_ad);
        if !may_fall_back && let Some(level) = self.levels.last_mut() {
            level.ads.clear();
        }
    }

    fn may_follow(&self, uri: &str) -> Result<Link, VastError> {
        let is_last =
            |ad: &Ad| ad.wrapper.as_ref().is_some_and(|wrapper| !wrapper.follow_additional_wrappers);
        let is_forbidden = self.wrappers().any(is_last);
        if is_forbidden || self.levels.len() > MAX_WRAPPERS || self.fetches >= MAX_FETCHES {
            return Err(VastError::WrapperLimit);
        }
        link_of(uri)
    }

    fn wrappers(&self) -> impl Iterator<Item = &Ad> {
        self.levels.iter().filter_map(|level| level.via.as_ref())
    }

    fn take(&self, ad: &Ad, wanted: &Wanted<'_>) -> Result<Overlay, VastError> {
        let of_wrappers = self.wrappers().filter_map(|ad| ad.wrapper.as_ref());
        let of_wrappers = of_wrappers.flat_map(|wrapper| &wrapper.blocked_categories).map(String::as_str);
        let blocked: Vec<&str> = wanted.blocked_categories.iter().copied().chain(of_wrappers).collect();
        let wanted = Wanted { blocked_categories: &blocked, ..wanted.clone() };
        let mut overlay = ad.overlay(&wanted).map_err(|refusal| refusal.error)?;
        for wrapper in self.wrappers() {
            overlay.impressions.extend(followed(&wrapper.impressions));
            overlay.viewable.extend(followed(&wrapper.viewable.viewable));
            overlay.errors.extend(followed(&wrapper.errors));
            let clicks = wrapper.overlays.iter().flat_map(|of| &of.click_tracking);
            overlay.click_tracking.extend(clicks.filter_map(|link| Link::parse(link).ok()));
            let tracking = wrapper.tracking.iter();
            overlay
                .tracking
                .extend(tracking.filter_map(|to| Some((to.event.clone(), Link::parse(&to.link).ok()?))));
        }
        Ok(overlay)
    }

    /// The first advertisement of the innermost document cannot be shown.
    fn give_up(&mut self, error: VastError) {
        let Some(ad) = self.levels.last_mut().and_then(|level| level.ads.pop_front()) else { return };
        if let (Some(wrapper), Some(level)) = (&ad.wrapper, self.levels.last_mut())
            && !wrapper.fallback_on_no_ad
        {
            level.ads.clear();
        }
        self.refuse(error, &ad.errors);
    }

    fn refuse(&mut self, error: VastError, errors: &[String]) {
        if self.refusals.len() < MAX_REFUSALS {
            let wrappers = self.wrappers().flat_map(|ad| &ad.errors);
            let errors: Vec<String> = errors.iter().chain(wrappers).cloned().collect();
            self.refusals.push(Refusal::new(error, &errors));
        }
    }
}

fn link_of(uri: &str) -> Result<Link, VastError> {
    Link::parse(uri).map_err(|_| VastError::Wrapper)
}
