//! One viewer over WHEP.
//!
//! A thorough viewer opens and checks every packet. The others do until they have joined; then they look at headers
//! only, and give the library a packet a second of each stream, so that it goes on telling the server what it receives.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::crypto::from_feature_flags;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpPacket;
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig, RtcError};
use thiserror::Error;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout};

use super::http::{Connection, HttpError};
use super::source::Mark;
use super::stage::{Record, Stage};
use super::target::source_address;
use super::viewer::{Destination, JOIN_TIMEOUT};
use crate::clock;
use crate::net::udp::{Inbox, receive_trains};

/// How long after joining it is looked how far behind the viewer is.
const SETTLED: Duration = Duration::from_secs(1);
/// What the kernel may keep for a viewer until he is read for: more than a GOP.
const RECEIVE_BUFFER: usize = 2 << 20;
/// After joining, one packet of each stream in this time goes to the library.
const SAMPLE: Duration = Duration::from_secs(1);
/// The most streams in a session that are told apart: sound, picture, and their retransmissions.
const STREAMS: usize = 8;

/// Why a viewer is not served any more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WhepError {
    /// A socket failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The server did not answer the offer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The answer, or what came after it, makes no session.
    #[error(transparent)]
    Session(#[from] RtcError),
    /// The answer is no SDP.
    #[error("the server's answer cannot be read: {0}")]
    Answer(String),
    /// Nothing comes.
    #[error("not served within {} s", JOIN_TIMEOUT.as_secs())]
    Unserved,
    /// The session is over.
    #[error("the server has ended the session")]
    Closed,
}

/// Where all viewers of a measurement receive: they run on one thread.
pub type SharedInbox = Rc<RefCell<Inbox>>;

/// Watches the stream until the session ends.
///
/// # Errors
/// See [`WhepError`]; it never ends otherwise.
pub async fn watch(
    destination: &Destination,
    number: usize,
    thorough: bool,
    record: &RefCell<Record>,
    inbox: &SharedInbox,
    stage: &Stage,
) -> Result<(), WhepError> {
    let mut viewer = Viewer::offer(destination, number, thorough, record, stage).await?;
    let joined = async {
        while record.borrow().joined.is_none() {
            viewer.step(inbox).await?;
        }
        Ok(())
    };
    timeout(JOIN_TIMEOUT, joined).await.map_err(|_| WhepError::Unserved).flatten()?;
    loop {
        viewer.step(inbox).await?;
    }
}

struct Viewer<'a> {
    rtc: Box<Rtc>,
    socket: UdpSocket,
    local: SocketAddr,
    thorough: bool,
    began: Duration,
    /// The streams by SSRC, and when the library was last given a packet of each.
    sampled: HashMap<u32, Duration>,
    /// The stream with the pictures, as soon as one was seen.
    video: Option<u32>,
    picture: Option<Picture>,
    record: &'a RefCell<Record>,
    stage: &'a Stage,
}

/// A picture that has begun to arrive.
struct Picture {
    mark: Mark,
    timestamp: u32,
    first: u16,
    packets: u16,
}

impl<'a> Viewer<'a> {
    /// Sends the offer and takes the answer.
    async fn offer(
        destination: &Destination,
        number: usize,
        thorough: bool,
        record: &'a RefCell<Record>,
        stage: &'a Stage,
    ) -> Result<Self, WhepError> {
        let from = source_address(destination.address, number);
        let socket = UdpSocket::bind((from, 0)).await?;
        receive_trains(&socket);
        // One thread reads for all viewers, so later than each would for himself.
        SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER)?;
        let local = socket.local_addr()?;
        let mut connection = Connection::new(destination.connect(number).await?);
        let began = stage.now();

        let config = RtcConfig::new().set_crypto_provider(Arc::new(from_feature_flags())).set_rtp_mode(true);
        let config = config.clear_codecs().enable_h264(true).enable_opus(true, false);
        let mut rtc = Box::new(config.build(clock::monotonic()));
        rtc.add_local_candidate(Candidate::host(local, "udp").map_err(RtcError::from)?);
        let (offer, pending) = offer(&mut rtc).ok_or(WhepError::Closed)?;
        let target = &destination.target;
        let answer = connection.offer(&target.host, &target.path, &offer).await?;
        let answer = String::from_utf8_lossy(&answer.body);
        let answer =
            SdpAnswer::from_sdp_string(&answer).map_err(|error| WhepError::Answer(error.to_string()))?;
        rtc.sdp_api().accept_answer(pending, answer)?;
        Ok(Self {
            rtc,
            socket,
            local,
            thorough,
            began,
            sampled: HashMap::new(),
            video: None,
            picture: None,
            record,
            stage,
        })
    }

    /// Waits for datagrams or for the library's time, and deals with them.
    async fn step(&mut self, inbox: &SharedInbox) -> Result<(), WhepError> {
        let wake_at = self.poll()?;
        tokio::select! {
            biased;
            ready = self.socket.readable() => {
                ready?;
                self.receive(inbox)
            }
            () = sleep_until(Instant::from_std(wake_at)) => {
                Ok(self.rtc.handle_input(Input::Timeout(clock::monotonic()))?)
            }
        }
    }

    fn poll(&mut self) -> Result<std::time::Instant, WhepError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                // What the kernel does not take at once is lost, as on any network.
                Output::Transmit(transmit) => {
                    drop(self.socket.try_send_to(&transmit.contents, transmit.destination));
                }
                Output::Event(Event::RtpPacket(packet)) => self.packet(&packet),
                Output::Event(
                    Event::Closed | Event::IceConnectionStateChange(IceConnectionState::Disconnected),
                ) => {
                    return Err(WhepError::Closed);
                }
                Output::Event(_) => {}
            }
        }
    }

    fn receive(&mut self, inbox: &SharedInbox) -> Result<(), WhepError> {
        let mut inbox = inbox.borrow_mut();
        match self.socket.try_io(Interest::READABLE, || inbox.receive(&self.socket)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let now = self.stage.now();
        for (source, datagram) in inbox.datagrams() {
            self.record.borrow_mut().bytes += datagram.len() as u64;
            if self.is_for_library(datagram, now) {
                let contents = datagram.try_into().map_err(RtcError::from)?;
                let receive = Receive { proto: Protocol::Udp, source, destination: self.local, contents };
                self.rtc.handle_input(Input::Receive(clock::monotonic(), receive))?;
                // Its buffer for received packets is small.
                self.poll()?;
            }
        }
        Ok(())
    }

    /// Notes what can be told of a datagram from outside, and whether more is wanted.
    fn is_for_library(&mut self, datagram: &[u8], now: Duration) -> bool {
        let Some(head) = datagram.first_chunk::<12>() else { return true };
        let is_media = matches!(head[0], 128..=191) && !matches!(head[1], 192..=223);
        if self.thorough || !is_media || !self.is_settled(now) {
            return true;
        }
        let ssrc = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        let is_last_of_picture = head[1] & 0x80 != 0;
        if self.video == Some(ssrc) && is_last_of_picture {
            let mut record = self.record.borrow_mut();
            record.progress(now, self.stage);
            record.frames += u64::from(self.stage.is_measuring());
        }
        let Some(sampled) = self.sampled.get_mut(&ssrc) else {
            // The packets that it is not given, it would take for lost.
            if let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc.into()) {
                stream.suppress_nack(true);
            }
            return self.sampled.len() < STREAMS && self.sampled.insert(ssrc, now).is_none();
        };
        let due = now >= *sampled + SAMPLE;
        if due {
            *sampled = now;
        }
        due
    }

    /// Whether joining is over, and all that is looked at after it.
    fn is_settled(&self, now: Duration) -> bool {
        self.record.borrow().joined.is_some_and(|joined| now > self.began + joined + 2 * SETTLED)
    }

    /// Takes an opened packet; a picture has arrived when all of its packets have, in order.
    fn packet(&mut self, packet: &RtpPacket) {
        let header = &packet.header;
        if let Some(mark) = Mark::find_all(&packet.payload).next() {
            self.video = Some(*header.ssrc);
            let (timestamp, first) = (header.timestamp, header.sequence_number);
            self.picture = Some(Picture { mark, timestamp, first, packets: 0 });
        }
        let Some(picture) = self.picture.as_mut().filter(|picture| picture.timestamp == header.timestamp)
        else {
            return;
        };
        picture.packets += 1;
        let span = header.sequence_number.wrapping_sub(picture.first);
        if !header.marker || span.wrapping_add(1) != picture.packets {
            return;
        }
        let mark = picture.mark;
        self.picture = None;
        let now = self.stage.now();
        // Once settled, the others' pictures are counted from outside.
        let counts = self.thorough || !self.is_settled(now);
        let mut record = self.record.borrow_mut();
        match record.joined {
            None if mark.is_keyframe() => record.joined = Some(now.saturating_sub(self.began)),
            None => {}
            Some(joined) if record.edge.is_none() && now > self.began + joined + SETTLED => {
                record.edge = Some(now.saturating_sub(mark.sent));
            }
            Some(_) => {}
        }
        record.progress(now, self.stage);
        if counts {
            record.picture(mark, now, self.stage);
        }
    }
}

/// An offer to receive a picture and sound.
fn offer(rtc: &mut Rtc) -> Option<(String, SdpPendingOffer)> {
    let mut api = rtc.sdp_api();
    api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
    api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
    let (offer, pending) = api.apply()?;
    Some((offer.to_sdp_string(), pending))
}
