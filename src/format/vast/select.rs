//! What of an advertisement can be shown in a slot.

use super::Mode;
use super::document::{Ad, Document, MAX_LINKS, NonLinear, Resource, ResourceKind};
use super::error::VastError;
use crate::format::category::with_those_above;
use crate::format::link::Link;

/// Sides of an image that are never exceeded, in pixels: the largest frame of video that is made.
const MAX_SIDE: u32 = 4096;

/// Categories of an overlay that are kept.
const MAX_CATEGORIES: usize = 64;

/// What can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The picture that it is shown on, in pixels.
    pub canvas: (u32, u32),
    /// Media types of resources that can be shown.
    pub media_types: &'a [&'a str],
    /// How long the slot is, in milliseconds; `u32::MAX` where that is not known yet, and [`Overlay::min_duration_ms`] is to be
    /// looked at later.
    pub slot_ms: u32,
    /// Categories that are not shown, with those below them.
    pub blocked_categories: &'a [&'a str],
    /// How closely the document has to follow the standard.
    pub mode: Mode,
}

/// An overlay that can be shown, with everybody who is to be told of it. Links that are none are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// What is shown.
    pub resource: Option<Link>,
    /// Its media type.
    pub media_type: String,
    /// Width and height as they are stated, in device-independent pixels.
    pub size: (u32, u32),
    /// The shortest time that it should be shown, in milliseconds.
    pub min_duration_ms: Option<u32>,
    /// Where a click leads.
    pub click_through: Option<Link>,
    /// Whom to tell of a click.
    pub click_tracking: Vec<Link>,
    /// Whom to tell that it was shown, once.
    pub impressions: Vec<Link>,
    /// Whom to tell that it could be seen.
    pub viewable: Vec<Link>,
    /// Whom to tell of what happens to it: event and link.
    pub tracking: Vec<(String, Link)>,
    /// Whom to tell if it fails after all.
    pub errors: Vec<Link>,
    /// The name of this one serving.
    pub serving_id: Option<String>,
    /// Registry and name of the creative.
    pub universal_id: Option<(String, String)>,
    /// What it is about.
    pub categories: Vec<String>,
}

/// Why nothing of it can be shown, and who is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("VAST error {}: {error}", error.code())]
pub struct Refusal {
    /// Why.
    pub error: VastError,
    /// Whom to tell: `[ERRORCODE]` in them is the error's code.
    pub errors: Vec<Link>,
}

impl Refusal {
    /// A refusal that is told to whom a document or an advertisement names.
    pub fn new(error: VastError, errors: &[String]) -> Self {
        Self { error, errors: followed(errors) }
    }
}

/// The links among texts; the others, and `about:blank`, are not followed.
pub(super) fn followed(links: &[String]) -> Vec<Link> {
    links.iter().filter_map(|link| Link::parse(link).ok()).collect()
}

impl Document {
    /// Refuses a version that is not read.
    ///
    /// # Errors
    /// [`VastError::Version`], with all error beacons of the document.
    pub fn check_version(&self, mode: Mode) -> Result<(), Refusal> {
        if mode == Mode::Lenient || self.is_known_version() {
            return Ok(());
        }
        let errors = self.errors.iter().chain(self.ads.iter().flat_map(|ad| &ad.errors));
        let errors: Vec<String> = errors.take(MAX_LINKS).cloned().collect();
        Err(Refusal::new(VastError::Version, &errors))
    }
}

impl Ad {
    /// The overlay of an inline advertisement that is shown: of the alternatives, the first that can be.
    ///
    /// # Errors
    /// The code of the first alternative's problem when none can be shown, with the advertisement's error beacons.
    pub fn overlay(&self, wanted: &Wanted<'_>) -> Result<Overlay, Refusal> {
        self.showable(wanted).map_err(|error| Refusal::new(error, &self.errors))
    }

    fn showable(&self, wanted: &Wanted<'_>) -> Result<Overlay, VastError> {
        if self.overlays.is_empty() {
            return Err(if self.linear > 0 { VastError::Linearity } else { VastError::NoAd });
        }
        // What cannot be counted cannot be sold; who wants no call says `about:blank`.
        if self.impressions.is_empty() {
            return Err(VastError::Schema);
        }
        let is_required = wanted.mode == Mode::Strict;
        if is_required && (self.system.is_none() || self.title.is_none()) {
            return Err(VastError::Schema);
        }
        let is_blocked =
            |category| with_those_above(category).any(|name| wanted.blocked_categories.contains(&name));
        if self.categories().any(is_blocked) {
            return Err(VastError::Category);
        }
        let mut first_error = None;
        for overlay in &self.overlays {
            match overlay.shown(wanted) {
                Ok(shown) => return Ok(self.complete(overlay, shown)),
                Err(error) => _ = first_error.get_or_insert(error),
            }
        }
        Err(first_error.unwrap_or(VastError::NonLinear))
    }

    /// What it is about: some write several in one element.
    fn categories(&self) -> impl Iterator<Item = &str> {
        let lists = self.categories.iter().flat_map(|(_, list)| list.split([',', ' ']));
        lists.filter(|category| !category.is_empty())
    }

    fn complete(&self, overlay: &NonLinear, shown: Overlay) -> Overlay {
        let tracking = self.tracking.iter();
        let tracking = tracking.filter_map(|to| Some((to.event.clone(), Link::parse(&to.link).ok()?)));
        Overlay {
            click_tracking: followed(&overlay.click_tracking),
            impressions: followed(&self.impressions),
            viewable: followed(&self.viewable.viewable),
            tracking: tracking.collect(),
            errors: followed(&self.errors),
            serving_id: self.serving_id.clone(),
            universal_id: self.universal_ids.first().cloned(),
            categories: self.categories().map(str::to_owned).take(MAX_CATEGORIES).collect(),
            ..shown
        }
    }
}

impl NonLinear {
    /// What is shown of an alternative.
    fn shown(&self, wanted: &Wanted<'_>) -> Result<Overlay, VastError> {
        let (Some(width @ 1..), Some(height @ 1..)) = (self.width, self.height) else {
            return Err(VastError::NonLinearSize);
        };
        let (canvas_width, canvas_height) = wanted.canvas;
        let fits = self.scalable || (width <= canvas_width && height <= canvas_height);
        if !fits || width > MAX_SIDE || height > MAX_SIDE {
            return Err(VastError::NonLinearSize);
        }
        if self.min_duration_ms.is_some_and(|shortest| shortest > wanted.slot_ms) {
            return Err(VastError::Duration);
        }
        // A script that needs a host is not run.
        if self.api_framework.as_ref().is_some_and(|framework| !framework.is_empty()) {
            return Err(VastError::NonLinearType);
        }
        let click_through = self.click_through.as_deref().filter(|link| !link.is_empty());
        let click_through = click_through.map(Link::parse).transpose().map_err(|_| VastError::NonLinear)?;
        let mut error = VastError::NonLinearType;
        for resource in &self.resources {
            let Some(media_type) = resource.shown_as(wanted) else { continue };
            match Link::parse(&resource.value) {
                Ok(link) => {
                    return Ok(Overlay {
                        resource: Some(link),
                        media_type,
                        size: (width, height),
                        min_duration_ms: self.min_duration_ms,
                        click_through,
                        ..Overlay::default()
                    });
                }
                Err(_) => error = VastError::NonLinearFetch,
            }
        }
        Err(error)
    }
}

impl Resource {
    /// The media type, if it is one that can be shown.
    fn shown_as(&self, wanted: &Wanted<'_>) -> Option<String> {
        if !matches!(self.kind, ResourceKind::Static | ResourceKind::Media) {
            return None;
        }
        let stated = self.media_type.as_deref().filter(|stated| !stated.is_empty());
        let media_type = match stated {
            None | Some("image/jpg") if wanted.mode == Mode::Lenient => media_type_of(&self.value)?,
            stated => stated?,
        };
        wanted.media_types.contains(&media_type).then(|| media_type.to_owned())
    }
}

/// The media type of an image by the end of its link.
pub fn media_type_of(link: &str) -> Option<&'static str> {
    let path = link.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    Some(match path.rsplit_once('.')?.1 {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        _ => return None,
    })
}
