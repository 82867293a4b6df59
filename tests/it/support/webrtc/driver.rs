//! A peer's own task: the library, its socket, and what it sees.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use onair::clock;
use onair::media::{Codec, Kind};
use str0m::format::Codec as RtpCodec;
use str0m::media::{Frequency, KeyframeRequestKind, MediaKind, MediaTime, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RawPacket;
use str0m::rtp::rtcp::Rtcp;
use str0m::{Event, IceConnectionState, Input, Output, Rtc};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::Unit;

/// What a test asks of its peer.
pub type Command = Box<dyn FnOnce(&mut Driver) + Send>;

/// A frame that has come, whole.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What it is in.
    pub codec: Codec,
    /// Its time on the RTP clock, wraps taken out.
    pub ticks: u64,
    /// The numbers of its packets, wraps taken out.
    pub sequence: RangeInclusive<u64>,
    /// Nothing is missing between the one before and it.
    pub contiguous: bool,
    /// The bytes, H.264 in Annex B.
    pub data: Arc<[u8]>,
    /// When its first packet came.
    pub arrived: Instant,
}

/// A sender's report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Whose.
    pub ssrc: u32,
    /// The wall clock.
    pub wall: SystemTime,
    /// The RTP time at that moment.
    pub rtp: u32,
    /// Packets sent before.
    pub packets: u32,
}

/// What a peer sees, in order.
#[derive(Debug)]
pub enum Happening {
    /// A check was answered: the server knows the peer's address.
    Checked,
    /// ICE and DTLS are done.
    Connected,
    /// A frame is whole.
    Frame(Frame),
    /// A media packet came, of this source.
    Packet(u32),
    /// A report came.
    Report(Report),
    /// The server reports so many packets lost.
    Nack(usize),
    /// The server asks for a keyframe.
    KeyframeRequest,
    /// The server says that a stream is over.
    Bye,
    /// So many packets were reported lost to the server.
    Nacked(usize),
    /// The server was asked for a keyframe.
    KeyframeRequested,
    /// The session is over.
    Gone,
}

/// A peer within its task.
pub struct Driver {
    /// The library.
    pub rtc: Rtc,
    /// Frames that are still to be sent.
    pub outbound: VecDeque<Unit>,
    /// Datagrams that are sent as they are, before anything else.
    pub raw: VecDeque<Vec<u8>>,
    /// Which of the library's datagrams are not sent.
    pub mute: fn(&[u8]) -> bool,
    /// Where the server, or what stands for it, is.
    pub server: SocketAddr,
    /// A viewer asks for a keyframe when something is missing for good.
    pub asks_when_lost: bool,
    /// The sections of the offer.
    pub sections: Vec<(MediaKind, Mid)>,
    socket: UdpSocket,
    local: SocketAddr,
    happenings: mpsc::UnboundedSender<Happening>,
}

impl Driver {
    /// A peer on this socket.
    pub fn new(
        rtc: Rtc,
        socket: UdpSocket,
        server: SocketAddr,
        happenings: mpsc::UnboundedSender<Happening>,
    ) -> Self {
        let local = socket.local_addr().expect("an address");
        Self {
            rtc,
            outbound: VecDeque::new(),
            raw: VecDeque::new(),
            mute: |_| false,
            server,
            asks_when_lost: false,
            sections: Vec::new(),
            socket,
            local,
            happenings,
        }
    }

    /// Lives until the session is over, or the test has dropped its end.
    pub async fn live(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut buffer = [0; 2048];
        loop {
            while let Some(datagram) = self.raw.pop_front() {
                self.transmit(self.server, &datagram).await;
            }
            let Some(wake_at) = self.poll().await else {
                self.tell(Happening::Gone);
                return;
            };
            if let Some(unit) = self.outbound.pop_front() {
                self.write(&unit);
                continue;
            }
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    // An unreachable server shows as an error of the socket, too.
                    if let Ok((length, source)) = received {
                        self.receive(source, &buffer[..length]);
                    }
                }
                command = commands.recv() => match command {
                    Some(command) => command(&mut self),
                    None => return,
                },
                () = tokio::time::sleep_until(wake_at.into()) => {}
            }
            let now = clock::monotonic();
            let _ = self.rtc.handle_input(Input::Timeout(now));
        }
    }

    fn tell(&self, happening: Happening) {
        // The test may have lost interest.
        let _ = self.happenings.send(happening);
    }

    fn receive(&mut self, source: SocketAddr, datagram: &[u8]) {
        let Ok(contents) = datagram.try_into() else { return };
        let receive = Receive { proto: Protocol::Udp, source, destination: self.local, contents };
        // What is wrong with a datagram shows in what does not happen.
        let _ = self.rtc.handle_input(Input::Receive(clock::monotonic(), receive));
    }

    async fn transmit(&self, to: SocketAddr, datagram: &[u8]) {
        let _ = self.socket.send_to(datagram, to).await;
    }

    /// Sends and tells what there is; gives when to ask again, `None` when the session is over.
    async fn poll(&mut self) -> Option<Instant> {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => return self.rtc.is_alive().then_some(at),
                Ok(Output::Transmit(transmit)) => {
                    if !(self.mute)(&transmit.contents) {
                        self.transmit(transmit.destination, &transmit.contents).await;
                    }
                }
                Ok(Output::Event(event)) => self.event(event),
                Err(_) => return None,
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Connected => self.tell(Happening::Connected),
            Event::MediaData(data) => {
                let codec = match data.params.spec().codec {
                    RtpCodec::H264 => Codec::H264,
                    RtpCodec::Vp8 => Codec::Vp8,
                    RtpCodec::Vp9 => Codec::Vp9,
                    RtpCodec::Av1 => Codec::Av1,
                    RtpCodec::Opus => Codec::Opus,
                    other => panic!("{other:?} was not agreed on"),
                };
                if !data.contiguous && codec.kind() == Kind::Video && self.asks_when_lost {
                    self.request_keyframe();
                }
                self.tell(Happening::Frame(Frame {
                    codec,
                    ticks: data.time.numer(),
                    sequence: **data.seq_range.start()..=**data.seq_range.end(),
                    contiguous: data.contiguous,
                    data: data.data,
                    arrived: data.network_time,
                }));
            }
            Event::KeyframeRequest(_) => self.tell(Happening::KeyframeRequest),
            Event::RawPacket(packet) => self.raw_packet(*packet),
            Event::IceConnectionStateChange(
                IceConnectionState::Connected | IceConnectionState::Completed,
            ) => {
                self.tell(Happening::Checked);
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) | Event::Closed => {
                self.tell(Happening::Gone);
            }
            _ => {}
        }
    }

    fn raw_packet(&mut self, packet: RawPacket) {
        match packet {
            RawPacket::RtpRx(header, _) => self.tell(Happening::Packet(*header.ssrc)),
            RawPacket::RtcpRx(Rtcp::SenderReport(report)) => {
                let info = report.sender_info;
                self.tell(Happening::Report(Report {
                    ssrc: *info.ssrc,
                    wall: info.ntp_time,
                    rtp: info.rtp_time.numer() as u32,
                    packets: info.sender_packet_count,
                }));
            }
            RawPacket::RtcpRx(Rtcp::Nack(nack)) => self.tell(Happening::Nack(lost(&nack))),
            RawPacket::RtcpRx(Rtcp::Goodbye(_)) => self.tell(Happening::Bye),
            RawPacket::RtcpTx(Rtcp::Nack(nack)) => self.tell(Happening::Nacked(lost(&nack))),
            RawPacket::RtcpTx(Rtcp::Pli(_) | Rtcp::Fir(_)) => self.tell(Happening::KeyframeRequested),
            _ => {}
        }
    }

    /// Asks for a keyframe.
    pub fn request_keyframe(&mut self) {
        let video = self.sections.iter().find(|(kind, _)| kind.is_video()).expect("a picture").1;
        let mut writer = self.rtc.writer(video).expect("a writer");
        writer.request_keyframe(None, KeyframeRequestKind::Pli).expect("the server may be asked");
    }

    /// Gives the library a frame.
    fn write(&mut self, unit: &Unit) {
        let now = clock::monotonic();
        let kind = if unit.is_picture() { MediaKind::Video } else { MediaKind::Audio };
        let mid = self.sections.iter().find(|(of, _)| *of == kind).expect("a section").1;
        let clock_rate = if unit.is_picture() { Frequency::NINETY_KHZ } else { Frequency::FORTY_EIGHT_KHZ };
        let ticks = u64::from(unit.millis) * u64::from(clock_rate.get()) / 1000;
        let payload_type = self.payload_type(mid, unit.codec).expect("the codec was agreed on");
        let writer = self.rtc.writer(mid).expect("a writer");
        writer
            .write(payload_type, now, MediaTime::new(ticks, clock_rate), &unit.data[..])
            .expect("the library takes the frame");
        self.rtc.handle_input(Input::Timeout(now)).expect("the library takes the time");
    }

    /// SSRC and payload type of what is sent in a codec.
    pub fn source(&mut self, codec: Codec) -> (u32, u8) {
        let is_audio = codec == Codec::Opus;
        let mid = self.sections.iter().find(|(kind, _)| kind.is_audio() == is_audio).expect("a section").1;
        let payload_type = self.payload_type(mid, codec).expect("the codec was agreed on");
        let mut api = self.rtc.direct_api();
        (*api.stream_tx_by_mid(mid, None).expect("a stream").ssrc(), *payload_type)
    }

    fn payload_type(&mut self, mid: Mid, codec: Codec) -> Option<Pt> {
        let wanted = match codec {
            Codec::H264 => RtpCodec::H264,
            Codec::Vp8 => RtpCodec::Vp8,
            Codec::Vp9 => RtpCodec::Vp9,
            Codec::Av1 => RtpCodec::Av1,
            _ => RtpCodec::Opus,
        };
        let writer = self.rtc.writer(mid)?;
        writer.payload_params().find(|params| params.spec().codec == wanted).map(|params| params.pt())
    }
}

fn lost(nack: &str0m::rtp::rtcp::Nack) -> usize {
    nack.reports.iter().map(|entry| 1 + entry.blp.count_ones() as usize).sum()
}
