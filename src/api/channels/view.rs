//! How a channel looks in JSON.

use serde::Serialize;
use utoipa::ToSchema;

use super::super::caller::Caller;
use super::super::{Api, Here};
use super::Record;
use crate::auth::AccessKey;
use crate::clock;
use crate::hub::{SourceFigures, Status};
use crate::media::{ChannelName, Kind, Params, Track};

/// A list of channels.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChannelList {
    /// By name.
    pub(super) channels: Vec<ChannelView>,
}

/// A channel at this moment.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChannelView {
    /// The lasting name.
    name: String,
    /// What viewers read.
    title: String,
    /// A publisher is there.
    live: bool,
    /// The publisher went away a moment ago and may return.
    interrupted: bool,
    /// Since when the publisher is there, RFC 3339.
    since: Option<String>,
    /// The broadcast's tracks.
    tracks: Vec<TrackView>,
    /// Picture and sound together, bits a second.
    bitrate: Option<u64>,
    /// Pictures a second, as they arrive.
    frame_rate: Option<f64>,
    /// Distance of the last two keyframes, seconds.
    gop_seconds: Option<f64>,
    viewers: ViewersView,
    urls: Urls,
    /// For the operator only.
    #[serde(flatten)]
    operator: Option<OperatorView>,
}

/// What only the operator sees of a channel.
#[derive(Serialize, ToSchema)]
pub(crate) struct OperatorView {
    /// When the channel was made, RFC 3339.
    created_at: String,
    /// What the publisher speaks.
    publisher: Option<&'static str>,
    /// What the broadcaster should change, in words.
    warnings: Vec<String>,
}

/// A track of a broadcast.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrackView {
    /// Its number in the broadcast.
    id: u8,
    /// `video` or `audio`.
    kind: &'static str,
    /// The codec's name.
    codec: &'static str,
    /// Bits a second; of the first picture and the first sound only.
    bitrate: Option<u64>,
    /// Pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    /// Pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    /// Samples a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_rate: Option<u32>,
    /// Sound channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<u8>,
}

/// Who watches, in all and by protocol.
#[derive(Serialize, ToSchema)]
pub(crate) struct ViewersView {
    /// In all.
    total: u64,
    /// By protocol.
    #[serde(flatten)]
    by_protocol: std::collections::BTreeMap<&'static str, u64>,
}

/// Where a channel is found.
#[derive(Serialize, ToSchema)]
pub(crate) struct Urls {
    /// Plays over RTMP; absent when RTMP is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    rtmp: Option<String>,
    /// The page.
    watch: String,
    /// HLS.
    hls: String,
    /// FLV over HTTP.
    flv: String,
    /// Publishes over WebRTC, with the stream key as bearer token; absent when WebRTC is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    whip: Option<String>,
    /// Plays over WebRTC; absent when WebRTC is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    whep: Option<String>,
    /// Publishes over RTMP, key included; only where the key is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    publish: Option<String>,
}

/// A channel with its stream key, shown when the key is made and never again.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyView {
    /// The lasting name.
    name: String,
    /// What viewers read.
    title: String,
    /// What the broadcaster's app needs: a secret.
    stream_key: String,
    urls: Urls,
}

/// A refusal.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorDetail,
}

/// What was refused.
#[derive(Serialize, ToSchema)]
struct ErrorDetail {
    /// For programs.
    code: String,
    /// For people.
    message: String,
}

impl ChannelView {
    pub(super) fn of(api: &Api, channel: Record, caller: Caller, here: &Here) -> Self {
        let status = api.hub.channel(&channel.name).map(|channel| channel.status());
        let urls = Urls::of(api, &channel.name, None, here);
        let mut view = Self {
            name: channel.name.to_string(),
            title: channel.title,
            live: false,
            interrupted: false,
            since: None,
            tracks: Vec::new(),
            bitrate: None,
            frame_rate: None,
            gop_seconds: None,
            viewers: ViewersView { total: 0, by_protocol: std::collections::BTreeMap::new() },
            urls,
            operator: (caller == Caller::Operator).then(|| OperatorView {
                created_at: clock::rfc3339(channel.created_at),
                publisher: None,
                warnings: Vec::new(),
            }),
        };
        if let Some(status) = status {
            view.fill(status);
        }
        view
    }

    fn fill(&mut self, status: Status) {
        let figures = status.figures;
        self.live = status.live;
        self.interrupted = status.interrupted;
        self.since = status.since.map(clock::rfc3339);
        self.tracks = tracks(&status.tracks, &figures);
        if status.live {
            self.bitrate = Some(figures.video_bitrate + figures.audio_bitrate);
            self.frame_rate = Some(figures.frame_rate);
            self.gop_seconds = figures.gop.map(|gop| gop.as_secs_f64());
        }
        self.viewers.total = status.viewers.iter().map(|(_, count)| count).sum();
        self.viewers.by_protocol =
            status.viewers.into_iter().map(|(protocol, count)| (protocol.label(), count)).collect();
        if let Some(operator) = &mut self.operator {
            operator.publisher = status.publisher.map(|protocol| protocol.label());
            operator.warnings = figures.warnings;
        }
    }
}

fn tracks(tracks: &[std::sync::Arc<Track>], figures: &SourceFigures) -> Vec<TrackView> {
    // The figures are sums of all tracks of a kind: they speak of a track only where it is the kind's one.
    let sole = |kind: Kind| tracks.iter().filter(|track| track.kind() == kind).count() == 1;
    let view = |track: &std::sync::Arc<Track>| {
        let (kind, bitrate) = match track.kind() {
            Kind::Video => ("video", figures.video_bitrate),
            Kind::Audio => ("audio", figures.audio_bitrate),
        };
        let mut view = TrackView {
            id: track.id.0,
            kind,
            codec: track.codec.name(),
            bitrate: sole(track.kind()).then_some(bitrate),
            width: None,
            height: None,
            sample_rate: None,
            channels: None,
        };
        match track.params {
            Params::Video(video) => {
                view.width = Some(video.width);
                view.height = Some(video.height);
            }
            Params::Audio(audio) => {
                view.sample_rate = Some(audio.sample_rate);
                view.channels = Some(audio.channels);
            }
        }
        view
    };
    tracks.iter().map(view).collect()
}

impl Urls {
    fn of(api: &Api, name: &ChannelName, key: Option<&AccessKey>, here: &Here) -> Self {
        let (base, rtmp) = (&here.base, here.rtmp(&api.ports));
        Self {
            publish: key.and_then(|key| Some(format!("{}/{}", rtmp.as_ref()?, key.expose()))),
            rtmp: rtmp.map(|application| format!("{application}/{name}")),
            watch: format!("{base}/{name}"),
            hls: format!("{base}/hls/{name}/index.m3u8"),
            flv: format!("{base}/live/{name}.flv"),
            whip: api.ports.webrtc.map(|_| format!("{base}/whip/{name}")),
            whep: api.ports.webrtc.map(|_| format!("{base}/whep/{name}")),
        }
    }
}

impl KeyView {
    pub(super) fn of(api: &Api, name: &ChannelName, title: String, key: &AccessKey, here: &Here) -> Self {
        Self {
            name: name.to_string(),
            title,
            stream_key: key.expose().to_owned(),
            urls: Urls::of(api, name, Some(key), here),
        }
    }
}
