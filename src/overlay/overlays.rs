//! Takes slots on, and has them drawn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc};

use super::driver::{Command, Driver, Expected, Pending};
use super::image::{self, Image, Memory};
use super::metrics::Metrics;
use super::placement::Format;
use super::slots::{NewSlot, Refusal, Slot, Slots};
use super::splice::{Ask, LEAD, Limits, SlotEvent};
use super::{Config, VariantSet};
use crate::av::worker::ipc::{OverlayId, Size};
use crate::av::worker::{StartError, Workers};
use crate::context::Life;
use crate::hub::Channel;
use crate::media::{ChannelName, Codec, MediaTime, Track};
use crate::{clock, metrics};

/// Longer than an image may take to be decoded, until its slot is there.
const IMAGE_GRACE: Duration = Duration::from_secs(1);

/// Pictures that are larger than this are burned in once (2560×1440).
const MOST_SHARED_PIXELS: u32 = 3_686_400;

/// Events of slots that somebody who listens may be behind.
const EVENTS: usize = 1024;

/// A slot that somebody wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// What it looks like.
    pub format: Format,
    /// The first moment with it, in media time; `None` for as soon as it can be.
    pub start: Option<MediaTime>,
    /// How long it is to be on.
    pub duration: Duration,
    /// In which variants of the programme.
    pub variants: VariantSet,
}

/// An overlay that somebody wants to see.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where and when.
    pub wanted: Wanted,
    /// The image file.
    pub image: Bytes,
}

/// Why a slot is not taken on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The channel is not on the air.
    #[error("the channel is not live")]
    Offline,
    /// There is no picture to draw on.
    #[error("the broadcast has no picture")]
    NoPicture,
    /// The picture is in a codec that overlays cannot be drawn into.
    #[error("overlays are drawn into H.264; this broadcast is {0}")]
    Codec(Codec),
    /// The picture is too small.
    #[error("the picture is too small: overlays need at least {0}×{0} pixels")]
    TooSmall(u32),
    /// No worker is there for it.
    #[error(transparent)]
    Worker(#[from] StartError),
    /// The worker did not come.
    #[error("the media worker {0}")]
    WorkerFailed(String),
    /// The slot may not be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The image is too large a file, or empty.
    #[error("image: a file of 1 to {most} bytes")]
    ImageSize {
        /// The most bytes.
        most: usize,
    },
    /// The image cannot be used; the text says why.
    #[error("image: {0}")]
    Image(String),
    /// The images of all slots take too much memory.
    #[error("the images of the slots that wait take all the memory that is for them: try again later")]
    NoMemory,
}

/// All overlays of the server. Clones are the same.
#[derive(Clone, Debug)]
pub struct Overlays(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    workers: Workers,
    life: Life,
    memory: Memory,
    metrics: Metrics,
    slots: Mutex<Slots>,
    events: broadcast::Sender<(OverlayId, SlotEvent)>,
    /// A queue holds at most three commands of each slot that is not over, of which a channel has `max_waiting`.
    drivers: Mutex<HashMap<ChannelName, mpsc::UnboundedSender<Command>>>,
}

impl Overlays {
    /// Overlays that these workers draw.
    pub fn new(config: &Config, workers: Workers, life: Life, metrics: &metrics::Metrics) -> Self {
        let own = Metrics::default();
        own.register(metrics);
        // Numbers go on where they stood before a restart, as time does: nobody asks for a thousand slots a millisecond.
        let first = u64::try_from(clock::unix_now()).unwrap_or_default() * 1000;
        Self(Arc::new(Inner {
            config: config.clone(),
            workers,
            life,
            memory: Memory::new(config.image_memory),
            metrics: own,
            slots: Mutex::new(Slots::new(config.clone(), first)),
            events: broadcast::Sender::new(EVENTS),
            drivers: Mutex::default(),
        }))
    }

    /// The largest image file, in bytes.
    pub fn max_image(&self) -> usize {
        self.0.config.image_bytes
    }

    /// Takes a slot on; its image is decoded by then.
    ///
    /// # Errors
    /// Why it is not taken on.
    pub async fn ask(&self, channel: &Arc<Channel>, request: Request) -> Result<OverlayId, AskError> {
        let asked = self.try_ask(channel, request).await;
        match &asked {
            Ok(id) => tracing::info!(channel = %channel.name(), overlay = id.0, "overlay asked for"),
            Err(error) => {
                self.0.metrics.refused.inc();
                tracing::info!(channel = %channel.name(), %error, "overlay refused");
            }
        }
        asked
    }

    async fn try_ask(&self, channel: &Arc<Channel>, request: Request) -> Result<OverlayId, AskError> {
        let reserved = self.reserve(channel, request.wanted)?;
        let image = self.decode(request.image, reserved.fit()).await?;
        Ok(reserved.show(image))
    }

    /// Takes a time for a slot, and has a worker get ready if it is near. It is given back unless it is [shown](Reserved::show).
    ///
    /// # Errors
    /// Why the slot may not be.
    pub fn reserve(&self, channel: &Arc<Channel>, wanted: Wanted) -> Result<Reserved, AskError> {
        self.0.workers.available()?;
        let status = channel.status();
        let (broadcast, newest) = channel.newest().filter(|_| status.live).ok_or(AskError::Offline)?;
        let canvas = canvas(&status.tracks)?;
        let Wanted { format, start, duration, variants } = wanted;
        if format.place(canvas, canvas).is_none() {
            return Err(AskError::TooSmall(Format::MIN_SIDE));
        }
        let channel_name = channel.name().clone();
        let asked = NewSlot { channel: channel_name, broadcast, format, start, duration, variants };
        let id = self.slots().ask(asked, newest, clock::wall())?;
        let (overlays, channel) = (self.clone(), Arc::clone(channel));
        let reserved = Reserved { overlays, channel, id, broadcast, wanted, canvas, shown: false };
        if start.is_none_or(|start| start <= newest + LEAD) {
            // By the time that it is known what is shown, a worker has caught up with the source.
            let until = clock::monotonic() + self.0.config.image_time + IMAGE_GRACE;
            self.tell(&reserved.channel, Command::Expect(Expected { id, variants, until }));
        }
        Ok(reserved)
    }

    /// Has an image file decoded, no larger than `fit`.
    ///
    /// # Errors
    /// When it cannot be used, or there is no worker or memory for it.
    pub async fn decode(&self, file: Bytes, fit: Size) -> Result<Image, AskError> {
        let sprite = image::decode(&self.0.workers, &self.0.config, file, fit).await?;
        self.0.memory.keep(sprite).ok_or(AskError::NoMemory)
    }

    /// What becomes of slots, from now on.
    pub fn events(&self) -> broadcast::Receiver<(OverlayId, SlotEvent)> {
        self.0.events.subscribe()
    }

    /// The slot of this name.
    pub fn slot(&self, id: OverlayId) -> Option<Slot> {
        self.slots().get(id).cloned()
    }

    /// Withdraws a slot; one that is on ends with the next frames.
    pub fn cancel(&self, id: OverlayId) {
        let withdrawn = self.slots().withdraw(id);
        if let Some(driver) = withdrawn.and_then(|channel| self.drivers().get(&channel).cloned()) {
            // A driver that is gone has closed all its slots.
            let _ = driver.send(Command::Cancel(id));
        }
    }

    /// Ends a slot at `at` instead of later, or with the next frames where that is past.
    pub fn shorten(&self, id: OverlayId, at: MediaTime) {
        let channel = self.slot(id).filter(|slot| slot.over.is_none()).map(|slot| slot.asked.channel);
        if let Some(driver) = channel.and_then(|channel| self.drivers().get(&channel).cloned()) {
            // A driver that is gone has closed all its slots.
            let _ = driver.send(Command::Shorten(id, at));
        }
    }

    /// Writes down what has become of a slot.
    pub(super) fn note(&self, channel: &ChannelName, id: OverlayId, event: &SlotEvent) {
        if !self.slots().note(id, event, clock::wall()) {
            return;
        }
        // Perhaps nobody listens.
        let _ = self.0.events.send((id, event.clone()));
        match event {
            SlotEvent::Ready => tracing::debug!(%channel, overlay = id.0, "a worker is ready"),
            SlotEvent::Began { first_pts, delay } => {
                tracing::info!(%channel, overlay = id.0, ?first_pts, ?delay, "overlay on the air");
            }
            SlotEvent::Closed { shown, why } => {
                self.0.metrics.over(*why);
                self.0.metrics.frames.inc_by(shown.frames);
                tracing::info!(%channel, overlay = id.0, ?shown, why = why.label(), "overlay over");
            }
        }
    }

    /// The most variants of a programme that are burned in at one time.
    pub(super) fn variants(&self) -> u8 {
        self.0.config.variants
    }

    /// The same for what is on the air in a channel: of large pictures a worker's memory holds no second.
    pub fn variants_of(&self, channel: &Channel) -> u8 {
        match canvas(&channel.status().tracks) {
            Ok(Size { width, height }) if width.saturating_mul(height) <= MOST_SHARED_PIXELS => {
                self.variants()
            }
            _ => 1,
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.0.config.limits()
    }

    pub(super) fn workers(&self) -> &Workers {
        &self.0.workers
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Tells a channel's driver, which is started if there is none.
    fn tell(&self, channel: &Arc<Channel>, command: Command) {
        let mut drivers = self.drivers();
        let command = match drivers.get(channel.name()) {
            Some(driver) => match driver.send(command) {
                Ok(()) => return,
                Err(mpsc::error::SendError(command)) => command,
            },
            None => command,
        };
        let (sender, commands) = mpsc::unbounded_channel();
        // The receiver is here.
        let _ = sender.send(command);
        drivers.insert(channel.name().clone(), sender);
        let driver = Driver::new(self.clone(), Arc::clone(channel), commands);
        self.0.life.spawn(driver.run());
    }

    /// Ends a driver that has nothing to do; `false` when something has come in the meantime.
    pub(super) fn dismiss(&self, channel: &ChannelName, commands: &mpsc::UnboundedReceiver<Command>) -> bool {
        let mut drivers = self.drivers();
        if !commands.is_empty() {
            return false;
        }
        drivers.remove(channel);
        true
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drivers(&self) -> MutexGuard<'_, HashMap<ChannelName, mpsc::UnboundedSender<Command>>> {
        self.0.drivers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time that is taken for a slot of which nobody knows yet. Dropped, it is free again.
#[derive(Debug)]
pub struct Reserved {
    overlays: Overlays,
    channel: Arc<Channel>,
    id: OverlayId,
    broadcast: u64,
    wanted: Wanted,
    canvas: Size,
    shown: bool,
}

impl Reserved {
    /// The slot's name.
    pub const fn id(&self) -> OverlayId {
        self.id
    }

    /// The size that an image for it is decoded to.
    pub fn fit(&self) -> Size {
        self.wanted.format.fit(self.canvas)
    }

    /// Has an image shown in the slot.
    pub fn show(mut self, image: Image) -> OverlayId {
        self.shown = true;
        let Wanted { format, start, duration, variants } = self.wanted;
        let ask = Ask { id: self.id, start, duration: duration.into() };
        let pending = Pending { ask, variants, broadcast: self.broadcast, format, image };
        self.overlays.tell(&self.channel, Command::Ask(pending));
        self.id
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.shown {
            self.overlays.slots().forget(self.id);
            self.overlays.tell(&self.channel, Command::Cancel(self.id));
        }
    }
}

/// The size of the picture that viewers get.
fn canvas(tracks: &[Arc<Track>]) -> Result<Size, AskError> {
    let pictures = tracks.iter().filter_map(|track| Some((track, track.video()?)));
    let lead = pictures.min_by_key(|(track, _)| (track.group, track.rank, track.id));
    let (track, video) = lead.ok_or(AskError::NoPicture)?;
    match track.codec {
        Codec::H264 => Ok(Size { width: video.width, height: video.height }),
        other => Err(AskError::Codec(other)),
    }
}
