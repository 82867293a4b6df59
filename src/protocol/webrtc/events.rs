//! What a WHEP session's resource tells as it happens: server-sent events (WebRTC-HTTP Egress Protocol Core Extensions, of the
//! repository of draft-ietf-wish-whep).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::registry::{Registry, SessionId};
use crate::context::Life;
use crate::format::scte35::slot;
use crate::hub::{Announcements, Channel};
use crate::media::{Cue, MediaTime};

/// How often the number of viewers is told, if it has changed, and the session's end is noticed.
const INTERVAL: Duration = Duration::from_secs(2);

/// The events that there are, as the answer to a POST lists them.
pub(super) const EVENTS: &str = "active,inactive,viewercount,reconnect,scte35";

/// Something that is waited for, again and again.
type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An endless body of events, which ends with its session.
pub(super) struct Events {
    channel: Arc<Channel>,
    changes: Later<watch::Receiver<u64>>,
    cues: Later<(Announcements, Cue, MediaTime)>,
    draining: Later<()>,
    tick: Interval,
    registry: Registry,
    session: SessionId,
    /// Where to go when this server goes down: the same place, which is another one by then.
    url: String,
    active: Option<bool>,
    viewers: Option<u64>,
    pending: VecDeque<Bytes>,
    ended: bool,
}

impl Events {
    pub fn new(channel: Arc<Channel>, life: Life, registry: Registry, session: SessionId) -> Self {
        let mut tick = interval(INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            changes: changed(channel.changes()),
            cues: announced(channel.announcements()),
            url: format!("/whep/{}", channel.name()),
            channel,
            draining: Box::pin(async move { life.draining().await }),
            tick,
            registry,
            session,
            active: None,
            viewers: None,
            pending: VecDeque::new(),
            ended: false,
        }
    }

    /// Adds what is news.
    fn look(&mut self) {
        let active = self.channel.is_live();
        if self.active != Some(active) {
            self.active = Some(active);
            self.push(if active { "active" } else { "inactive" }, "{}");
        }
        let viewers = self.channel.status().viewers.iter().map(|(_, count)| count).sum();
        if self.viewers != Some(viewers) {
            self.viewers = Some(viewers);
            self.push("viewercount", &format!("{{\"viewercount\":{viewers}}}"));
        }
    }

    fn push(&mut self, event: &str, data: &str) {
        self.pending.push_back(Bytes::from(format!("event: {event}\ndata: {data}\n\n")));
    }
}

/// Waits for the next change and gives the receiver back. A channel that is deleted changes no more.
fn changed(mut changes: watch::Receiver<u64>) -> Later<watch::Receiver<u64>> {
    Box::pin(async move {
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        changes
    })
}

/// Waits for the next cue and gives the place among them back.
fn announced(mut announcements: Announcements) -> Later<(Announcements, Cue, MediaTime)> {
    Box::pin(async move {
        let (cue, now) = announcements.next().await;
        (announcements, cue, now)
    })
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(chunk) = self.pending.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            if self.draining.as_mut().poll(context).is_ready() {
                let data = format!("{{\"url\":\"{}\"}}", self.url);
                self.push("reconnect", &data);
                self.ended = true;
                continue;
            }
            if let Poll::Ready(changes) = self.changes.as_mut().poll(context) {
                self.changes = changed(changes);
                self.look();
                continue;
            }
            if let Poll::Ready((announcements, cue, now)) = self.cues.as_mut().poll(context) {
                self.cues = announced(announcements);
                // The draft's example is the section itself in base64 of the standard alphabet, in no JSON.
                self.push("scte35", &STANDARD.encode(slot::of_cue(&cue, now)));
                continue;
            }
            if self.tick.poll_tick(context).is_ready() {
                self.look();
                self.ended = self.registry.get(&self.session).is_none();
                continue;
            }
            return Poll::Pending;
        }
    }
}
