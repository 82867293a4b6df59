//! Overlays that are burned in by hand, for pages that watch the source: they draw them themselves. Nobody pays for them.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;

use super::config::Delivery;
use super::guided::{CLOSE_AFTER_MS, Guided, Placement, Told};
use super::server::Sale;
use crate::av::worker::ipc::OverlayId;
use crate::booking::creative::MediaType;
use crate::clock;
use crate::hub::Channel;
use crate::ledger::UnixMillis;
use crate::media::{ChannelName, MediaTime, OverlayFormat};
use crate::overlay::Request;
use crate::overlay::slots::Slot;
use crate::overlay::splice::{SlotEvent, Why};

/// The most of a channel that are kept: each is, until the viewer who is furthest behind has seen its end. The oldest goes.
const MAX_NOTICES: usize = 8;
/// From the last picture with an overlay to the first moment without: less than any picture lasts.
const AFTER_LAST: MediaTime = MediaTime::from_millis(1);

/// An overlay that pages draw for nothing.
pub(super) struct Notice {
    id: OverlayId,
    revision: u32,
    format: OverlayFormat,
    start: MediaTime,
    end: MediaTime,
    /// The wall clock at media time zero.
    began_at: UnixMillis,
    file: Bytes,
}

impl Notice {
    /// What pages are told: no token, because there is nothing to tell of it, and no advertiser.
    pub fn told(&self) -> Told {
        Told::Placed(Box::new(Placement {
            id: name(self.id),
            revision: self.revision,
            began_at: self.began_at,
            start_ns: self.start.as_nanos(),
            end_ns: self.end.as_nanos(),
            format: self.format,
            image: format!("/overlays/{}/image", self.id.0),
            media_type: MediaType::of(&self.file).as_str(),
            close_after_ms: CLOSE_AFTER_MS,
            paid: None,
        }))
    }

    /// The image.
    pub fn file(&self) -> &Bytes {
        &self.file
    }
}

/// An overlay that is asked for by hand, and may come to be.
pub struct ByHand {
    sale: Sale,
    channel: Arc<Channel>,
    file: Bytes,
    events: Receiver<(OverlayId, SlotEvent)>,
}

impl Sale {
    /// Before an overlay is asked for by hand: listens to what becomes of it.
    pub fn by_hand(&self, channel: &Arc<Channel>, request: &Request) -> ByHand {
        let events = self.inner().overlays.events();
        ByHand { sale: self.clone(), channel: Arc::clone(channel), file: request.image.clone(), events }
    }
}

impl ByHand {
    /// It has been taken on: pages that watch the source are told of it when its time is known.
    pub fn follow(self, id: OverlayId) {
        if self.sale.settings(self.channel.name()).delivery != Delivery::Burned {
            tokio::spawn(self.run(id));
        }
    }

    async fn run(mut self, id: OverlayId) {
        let sale = self.sale.clone();
        let inner = sale.inner();
        while let Some(slot) = inner.overlays.slot(id) {
            self.tell(&slot);
            if slot.over.is_some() {
                break;
            }
            loop {
                match self.events.recv().await {
                    Ok((of, _)) if of != id => {}
                    // What was missed is in the slot.
                    Ok(_) | Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return,
                }
            }
        }
        sleep(inner.config.max_viewer_delay).await;
        inner.guided.forget_notice(self.channel.name(), id);
    }

    /// Tells pages what is known of it by now.
    fn tell(&self, slot: &Slot) {
        let guided = &self.sale.inner().guided;
        let air = self.channel.on_air().filter(|air| air.broadcast == slot.asked.broadcast);
        let (Some(start), Some(air)) = (slot.asked.start.or(slot.shown.first_pts), air) else { return };
        let end = match (slot.over, slot.shown.last_pts) {
            (None | Some((Why::Completed, _)), _) => start + MediaTime::from(slot.asked.duration),
            (Some(_), Some(last)) => last + AFTER_LAST,
            (Some(_), None) => return guided.withdraw_notice(self.channel.name(), slot.id),
        };
        let began_at = clock::unix_millis(air.epoch);
        let (id, format, file) = (slot.id, slot.asked.format, self.file.clone());
        let notice = Notice { id, revision: 1, format, start, end, began_at, file };
        guided.notify(self.channel.name(), notice);
    }
}

impl Guided {
    /// Pages are told of an overlay, or that it ends at another time.
    fn notify(&self, channel: &ChannelName, mut notice: Notice) {
        let mut rooms = self.rooms();
        let room = rooms.entry(channel.clone()).or_default();
        if let Some(known) = room.notices.get(&notice.id) {
            if known.end == notice.end {
                return;
            }
            notice.revision = known.revision + 1;
        }
        room.tell_all(&notice.told());
        room.notices.insert(notice.id, notice);
        if room.notices.len() > MAX_NOTICES {
            room.notices.pop_first();
        }
    }

    fn withdraw_notice(&self, channel: &ChannelName, id: OverlayId) {
        let mut rooms = self.rooms();
        let Some(room) = rooms.get_mut(channel) else { return };
        if room.notices.remove(&id).is_some() {
            room.tell_all(&Told::Withdrawn(name(id)));
        }
    }

    fn forget_notice(&self, channel: &ChannelName, id: OverlayId) {
        let mut rooms = self.rooms();
        if let Some(room) = rooms.get_mut(channel) {
            room.notices.remove(&id);
            if room.is_empty() {
                rooms.remove(channel);
            }
        }
    }

    /// The image of an overlay that pages draw.
    pub fn notice_file(&self, id: OverlayId) -> Option<Bytes> {
        let rooms = self.rooms();
        let mut notices = rooms.values().filter_map(|room| room.notices.get(&id));
        notices.next().map(|notice| notice.file().clone())
    }
}

/// What pages know an overlay by: no cue has such a number.
fn name(id: OverlayId) -> String {
    format!("overlay-{}", id.0)
}
