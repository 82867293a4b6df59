//! A document as it is written. Links are texts here, because a document may hold anything; [`super::select`] takes what
//! can be followed.

use super::Mode;
use super::error::VastError;
use super::xml::Element;

/// Advertisements of a document that are looked at.
pub const MAX_ADS: usize = 32;
/// Overlays of an advertisement that are looked at.
pub const MAX_OVERLAYS: usize = 32;
/// Links of one kind that are kept of an advertisement.
pub const MAX_LINKS: usize = 64;

/// A document (`VAST`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The version as it is written; empty when it is not.
    pub version: String,
    /// The advertisements, in their order, [`MAX_ADS`] at most.
    pub ads: Vec<Ad>,
    /// Whom to tell that there is no advertisement (`Error` beside the advertisements).
    pub errors: Vec<String>,
}

/// An advertisement (`Ad`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ad {
    /// `id`.
    pub id: Option<String>,
    /// Its place in a pod.
    pub sequence: Option<u32>,
    /// Where the wrapped document is; `None` for an inline advertisement.
    pub wrapper: Option<Wrapper>,
    /// Whom to tell that it was shown; `about:blank` is nobody.
    pub impressions: Vec<String>,
    /// Whom to tell why it was not.
    pub errors: Vec<String>,
    /// Whom to tell that it could be seen, could not, or that this is not known.
    pub viewable: Viewable,
    /// `AdSystem`.
    pub system: Option<String>,
    /// `AdTitle`.
    pub title: Option<String>,
    /// The name of this one serving (4.1).
    pub serving_id: Option<String>,
    /// For how many seconds it may be kept.
    pub expires_seconds: Option<u32>,
    /// What it is about, each with the authority whose list that is of.
    pub categories: Vec<(Option<String>, String)>,
    /// Registry and name of each creative.
    pub universal_ids: Vec<(String, String)>,
    /// How many linear creatives there are; they are not read.
    pub linear: usize,
    /// The overlays: alternatives of one another within a creative.
    pub overlays: Vec<NonLinear>,
    /// Events of the overlays.
    pub tracking: Vec<Tracking>,
}

/// What a wrapper says about what it wraps (`Wrapper`, VAST 4.3 §3.19).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapper {
    /// `VASTAdTagURI`.
    pub uri: String,
    /// Whether what is wrapped may be a wrapper itself.
    pub follow_additional_wrappers: bool,
    /// Whether any advertisement of what is wrapped may be taken, not only the first.
    pub allow_multiple_ads: bool,
    /// Whether the next advertisement beside the wrapper may be taken when the wrapper leads to none.
    pub fallback_on_no_ad: bool,
    /// Categories that what is wrapped must not be about.
    pub blocked_categories: Vec<String>,
}

/// `ViewableImpression`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Viewable {
    /// `Viewable`.
    pub viewable: Vec<String>,
    /// `NotViewable`.
    pub not_viewable: Vec<String>,
    /// `ViewUndetermined`.
    pub undetermined: Vec<String>,
}

/// Whom to tell of an event (`Tracking`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracking {
    /// Which.
    pub event: String,
    /// Whom.
    pub link: String,
}

/// An overlay (`NonLinear`, VAST 4.3 §3.18).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NonLinear {
    /// `id`.
    pub id: Option<String>,
    /// In device-independent pixels.
    pub width: Option<u32>,
    /// In device-independent pixels.
    pub height: Option<u32>,
    /// Whether it may be drawn in another size.
    pub scalable: bool,
    /// Whether it keeps its proportions then.
    pub maintain_aspect_ratio: bool,
    /// The shortest time that it should be shown, in milliseconds.
    pub min_duration_ms: Option<u32>,
    /// How long it is shown, in milliseconds (2026).
    pub duration_ms: Option<u32>,
    /// What it needs to run, if it runs.
    pub api_framework: Option<String>,
    /// What is shown: alternatives.
    pub resources: Vec<Resource>,
    /// Where a click leads.
    pub click_through: Option<String>,
    /// Whom to tell of a click.
    pub click_tracking: Vec<String>,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Which element it was.
    pub kind: ResourceKind,
    /// Its media type, where it has one.
    pub media_type: Option<String>,
    /// The link, or for HTML the text itself.
    pub value: String,
}

/// The element that a resource was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// `StaticResource`: an image, or a script.
    Static,
    /// `IFrameResource`: a page.
    IFrame,
    /// `HTMLResource`: a piece of a page.
    Html,
    /// `MediaFile`: a video or an image (2026).
    Media,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// [`VastError::Xml`] when it is not well-formed or beyond the bounds, [`VastError::Schema`] when it is no VAST,
    /// [`VastError::Version`] when it is of another time.
    pub fn read(text: &str, mode: Mode) -> Result<Self, VastError> {
        let root = Element::read(text, mode).map_err(|_| VastError::Xml)?;
        if root.name == "VideoAdServingTemplate" {
            // VAST 1.0.
            return Err(VastError::Version);
        }
        if root.name != "VAST" {
            return Err(VastError::Schema);
        }
        Ok(Self {
            version: root.attribute("version").unwrap_or_default().to_owned(),
            ads: root.all("Ad").filter_map(Ad::read).take(MAX_ADS).collect(),
            errors: links(&root, "Error"),
        })
    }

    /// Whether the version is one from 2.0 to 4.3, or a later one of 4.
    pub fn is_known_version(&self) -> bool {
        let (major, minor) = self.version.split_once('.').unwrap_or((&self.version, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        matches!(major, "2" | "3" | "4") && minor.split('.').all(is_number)
    }
}

impl Ad {
    fn read(ad: &Element) -> Option<Self> {
        let (body, wrapper) = match (ad.child("InLine"), ad.child("Wrapper")) {
            (Some(inline), _) => (inline, None),
            (None, Some(wrapper)) => (wrapper, Some(Wrapper::read(wrapper))),
            (None, None) => return None,
        };
        let mut read = Self {
            id: ad.attribute("id").map(str::to_owned),
            sequence: ad.parsed("sequence"),
            wrapper,
            impressions: links(body, "Impression"),
            errors: links(body, "Error"),
            system: body.text_of("AdSystem"),
            title: body.text_of("AdTitle"),
            // 4.1 has it in the advertisement.
            serving_id: body.text_of("AdServingId"),
            expires_seconds: body.text_of("Expires").and_then(|text| text.parse().ok()),
            ..Self::default()
        };
        for category in body.all("Category").take(MAX_LINKS) {
            let authority = category.attribute("authority").map(str::to_owned);
            read.categories.push((authority, category.text().to_owned()));
        }
        for viewable in body.all("ViewableImpression").take(MAX_LINKS) {
            read.viewable.viewable.extend(links(viewable, "Viewable"));
            read.viewable.not_viewable.extend(links(viewable, "NotViewable"));
            read.viewable.undetermined.extend(links(viewable, "ViewUndetermined"));
        }
        for creative in body.all("Creatives").flat_map(|creatives| creatives.all("Creative")) {
            read.creative(creative);
        }
        Some(read)
    }

    fn creative(&mut self, creative: &Element) {
        for id in creative.all("UniversalAdId").take(MAX_LINKS) {
            // Before 4.1 the name was an attribute.
            let name = id.attribute("idValue").filter(|_| id.text().is_empty()).unwrap_or(id.text());
            let registry = id.attribute("idRegistry").unwrap_or_default();
            self.universal_ids.push((registry.to_owned(), name.to_owned()));
        }
        self.linear += creative.all("Linear").count();
        // The standard's own examples have `NonLinear` in both places.
        for place in creative.all("NonLinearAds").chain([creative]) {
            self.tracking.extend(tracking(place));
            for overlay in place.all("NonLinear") {
                self.tracking.extend(tracking(overlay));
                if self.overlays.len() < MAX_OVERLAYS {
                    self.overlays.push(NonLinear::read(overlay));
                }
            }
        }
        self.tracking.truncate(MAX_LINKS);
    }
}

impl Wrapper {
    fn read(wrapper: &Element) -> Self {
        let flag = |name, default| match wrapper.attribute(name) {
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            _ => default,
        };
        // VAST 1 called it `VASTAdTagURL` and had a `URL` in it, and so do some who say that they are 2.0.
        let old = || wrapper.child("VASTAdTagURL")?.text_of("URL");
        let blocked = wrapper.texts("BlockedAdCategories");
        let blocked = blocked.iter().flat_map(|list| list.split([',', ' '])).map(str::trim);
        Self {
            uri: wrapper.text_of("VASTAdTagURI").or_else(old).unwrap_or_default(),
            follow_additional_wrappers: flag("followAdditionalWrappers", true),
            allow_multiple_ads: flag("allowMultipleAds", false),
            fallback_on_no_ad: flag("fallbackOnNoAd", false),
            blocked_categories: blocked
                .filter(|name| !name.is_empty())
                .take(MAX_LINKS)
                .map(str::to_owned)
                .collect(),
        }
    }
}

impl NonLinear {
    fn read(overlay: &Element) -> Self {
        let is = |name| matches!(overlay.attribute(name), Some("true" | "1"));
        Self {
            id: overlay.attribute("id").map(str::to_owned),
            width: overlay.parsed("width"),
            height: overlay.parsed("height"),
            scalable: is("scalable"),
            maintain_aspect_ratio: is("maintainAspectRatio"),
            min_duration_ms: overlay.attribute("minSuggestedDuration").and_then(milliseconds),
            duration_ms: overlay.child("Duration").and_then(|duration| milliseconds(duration.text())),
            api_framework: overlay.attribute("apiFramework").map(str::to_owned),
            resources: resources(overlay).take(MAX_LINKS).collect(),
            click_through: overlay.text_of("NonLinearClickThrough"),
            click_tracking: links(overlay, "NonLinearClickTracking"),
        }
    }
}

fn resources(overlay: &Element) -> impl Iterator<Item = Resource> {
    let media = overlay.all("MediaFiles").flat_map(|files| files.children.iter());
    overlay.children.iter().chain(media).filter_map(|element| {
        let (kind, media_type) = match element.name.as_str() {
            "StaticResource" => (ResourceKind::Static, element.attribute("creativeType")),
            "IFrameResource" => (ResourceKind::IFrame, None),
            "HTMLResource" => (ResourceKind::Html, None),
            "MediaFile" => (ResourceKind::Media, element.attribute("type")),
            _ => return None,
        };
        let media_type = media_type.map(str::to_ascii_lowercase);
        Some(Resource { kind, media_type, value: element.text().to_owned() })
    })
}

fn tracking(place: &Element) -> impl Iterator<Item = Tracking> {
    let events = place.all("TrackingEvents").flat_map(|events| events.all("Tracking"));
    events.filter_map(|event| {
        Some(Tracking { event: event.attribute("event")?.to_owned(), link: event.text().to_owned() })
    })
}

fn links(element: &Element, name: &str) -> Vec<String> {
    element.all(name).take(MAX_LINKS).map(|child| child.text().to_owned()).collect()
}

/// `HH:MM:SS` or `HH:MM:SS.mmm`.
pub fn milliseconds(text: &str) -> Option<u32> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<u32> = clock.split(':').map(digits).collect::<Option<_>>()?;
    let [hours, minutes @ 0..60, seconds @ 0..60] = parts[..] else { return None };
    if fraction.len() > 3 {
        return None;
    }
    let millis = digits(fraction)? * [1, 100, 10, 1].get(fraction.len())?;
    hours.checked_mul(3_600_000)?.checked_add(minutes * 60_000 + seconds * 1000 + millis)
}

fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok())?
}
