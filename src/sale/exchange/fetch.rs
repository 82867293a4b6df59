//! Gets creatives before they may win: the image of a bid, through its wrappers, as a file that a worker has decoded.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::{CallError, Client};
use super::creatives::{Creative, Failure};
use crate::auction::bidder::openrtb::macros::Values;
use crate::auction::bidder::openrtb::request::{CANVAS, MEDIA_TYPES};
use crate::auction::external::Markup;
use crate::booking::Intake;
use crate::booking::creative::MediaType;
use crate::clock;
use crate::format::link::Link;
use crate::format::vast::{
    Chain, Document, MAX_DOCUMENT, Macros, Mode, Overlay, Refusal, Step, VastError, Wanted,
};
use crate::media::OverlayFormat;
use crate::overlay::AskError;

/// How long a creative may take, from its wrappers to its last byte.
const PATIENCE: Duration = Duration::from_secs(10);

/// A creative that is to be had.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// What is around it.
    pub markup: Markup,
    /// What it is made for.
    pub format: OverlayFormat,
    /// How long the slot is that it was offered for, in milliseconds. What is behind a wrapper is fetched for slots of any length.
    pub slot_ms: u32,
    /// What the bidder's creatives must not be about. What single channels block is looked at when it bids.
    pub blocked_categories: BTreeSet<String>,
    /// How closely documents have to follow the standard.
    pub mode: Mode,
    /// The largest file, in bytes.
    pub max_bytes: usize,
}

/// What has come of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fetched {
    /// The creative, or why it is not at hand.
    pub creative: Result<Creative, Failure>,
    /// What of its documents could not be shown, and who is to be told: also where there was something else to show.
    pub refusals: Vec<Refusal>,
}

/// Gets a creative.
pub(super) async fn fetch(client: &Client, intake: &dyn Intake, order: &Order) -> Fetched {
    let mut refusals = Vec::new();
    let creative = get(client, intake, order, &mut refusals).await;
    Fetched { creative, refusals }
}

async fn get(
    client: &Client,
    intake: &dyn Intake,
    order: &Order,
    refusals: &mut Vec<Refusal>,
) -> Result<Creative, Failure> {
    let deadline = clock::monotonic() + PATIENCE;
    let (link, overlay) = match &order.markup {
        Markup::Image(image) => (image.link.clone(), None),
        Markup::Vast(document) => {
            let mut overlay = resolve(client, document, order, deadline, refusals).await?;
            if order.markup.is_wrapper() {
                order.markup.links(None).take_out_of(&mut overlay);
            }
            let link = overlay.resource.clone();
            (link.ok_or_else(|| refused("there is no image"))?, Some(overlay))
        }
    };
    let mut refuse = |error| {
        let errors = overlay.as_ref().map(|overlay| overlay.errors.clone()).unwrap_or_default();
        refusals.push(Refusal { error, errors });
    };
    let (link, file) = image(client, &link, order.max_bytes, deadline)
        .await
        .inspect_err(|_| refuse(VastError::NonLinearFetch))?;
    // Whatever its link says: nothing that is a program of its own is read, as SVG would be.
    if MediaType::of(&file) == MediaType::Svg {
        refuse(VastError::NonLinearType);
        return Err(refused("it is none of PNG, JPEG, WebP and GIF"));
    }
    look(intake, order.format, file.clone()).await.inspect_err(|failure| {
        // Where nobody had time to look, nothing is wrong with it.
        if matches!(failure, Failure::Refused(_)) {
            refuse(VastError::NonLinear);
        }
    })?;
    Ok(Creative { file, link, overlay })
}

/// An image, and the link that it came from.
async fn image(
    client: &Client,
    link: &Link,
    max_bytes: usize,
    deadline: Instant,
) -> Result<(Link, Bytes), Failure> {
    let link = plain(link).map_err(|error| refused(&error))?;
    let file = client.fetch(&link, max_bytes, deadline).await.map_err(failure)?;
    Ok((link, file))
}

/// Follows the wrappers of a document.
async fn resolve(
    client: &Client,
    text: &str,
    order: &Order,
    deadline: Instant,
    refusals: &mut Vec<Refusal>,
) -> Result<Overlay, Failure> {
    let blocked: Vec<&str> = order.blocked_categories.iter().map(String::as_str).collect();
    let wanted = Wanted {
        canvas: CANVAS,
        media_types: &MEDIA_TYPES,
        // Of an advertisement itself, the same alternative as when it was judged: its key has that one's link.
        slot_ms: if order.markup.is_wrapper() { u32::MAX } else { order.slot_ms },
        blocked_categories: &blocked,
        mode: order.mode,
    };
    let document = Document::read(text, order.mode).map_err(|error| refused(&error))?;
    let mut chain = Chain::new(document);
    let mut absent = None;
    loop {
        match chain.step(&wanted) {
            Step::Done(overlay) => {
                refusals.extend_from_slice(chain.refusals());
                return Ok(*overlay);
            }
            Step::Failed => {
                refusals.extend_from_slice(chain.refusals());
                let first = chain.refusals().first().map_or(VastError::Undefined, |refusal| refusal.error);
                // What did not come may come another time.
                return Err(absent.unwrap_or_else(|| refused(&first)));
            }
            Step::Fetch(link) => {
                let fetched = match plain(&link) {
                    Ok(link) => client.fetch(&link, MAX_DOCUMENT, deadline).await,
                    Err(_) => {
                        chain.failed(VastError::Wrapper);
                        continue;
                    }
                };
                match fetched.map(|document| String::from_utf8(document.into())) {
                    Ok(Ok(document)) => chain.received(&document, &wanted),
                    Ok(Err(_)) => chain.failed(VastError::Xml),
                    Err(error) => {
                        let is_late = matches!(error, CallError::Late);
                        let is_passing = error.is_passing();
                        absent = is_passing.then(|| failure(error)).or(absent);
                        chain.failed(if is_late { VastError::WrapperTimeout } else { VastError::Wrapper });
                    }
                }
            }
        }
    }
}

/// Has a worker decode it.
async fn look(intake: &dyn Intake, format: OverlayFormat, file: Bytes) -> Result<(), Failure> {
    match intake.look(format, file).await {
        Ok(_) => Ok(()),
        Err(error @ (AskError::Image(_) | AskError::ImageSize { .. })) => Err(refused(&error)),
        Err(error) => Err(Failure::Absent(error.to_string())),
    }
}

/// A link as it is called when nothing was sold yet: its macros say so.
fn plain(link: &Link) -> Result<Link, crate::format::link::InvalidLink> {
    let values = Values { is_audit: true, ..Values::default() };
    let text = values.apply(link.as_str(), &BTreeSet::new());
    Link::parse(&Macros::default().apply(&text))
}

fn refused(error: &(impl ToString + ?Sized)) -> Failure {
    Failure::Refused(error.to_string())
}

fn failure(error: CallError) -> Failure {
    if error.is_passing() { Failure::Absent(error.to_string()) } else { Failure::Refused(error.to_string()) }
}
