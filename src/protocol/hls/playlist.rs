//! The text of playlists (RFC 8216bis): multivariant, media, and delta updates of media playlists.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::SystemTime;

use crate::codec;
use crate::media::{Kind, MediaTime, Track};

use super::date_range::{DateRanges, date};
use super::media_playlist::{MediaPlaylist, Position, Segment};
use super::packager::Packager;
use super::resource::{Resource, rendition_of};

/// Parts are listed as far from the end, in target durations.
const PARTS_LISTED: i64 = 3;
/// Delta updates leave out what is farther from the end, in target durations: the least that is allowed.
const SKIP_UNTIL: i64 = 6;
/// `HOLD-BACK` in target durations and `PART-HOLD-BACK` in part targets.
const HOLD_BACK: i64 = 3;

/// Which form of a media playlist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// All of it.
    #[default]
    Full,
    /// A delta update: older segments left out.
    Delta,
    /// A delta update that leaves out older date ranges as well.
    DeltaWithDateRanges,
}

/// The multivariant playlist; media playlists are in the folder `session` beside it. `None` until there is
/// something to list.
pub fn multivariant(packager: &Packager, session: &str) -> Option<String> {
    let main = packager.main().filter(|main| main.newest().is_some())?;
    let tracks: Vec<&Track> = packager.main_tracks().map(|track| &**track).collect();
    let alternatives: Vec<(&MediaPlaylist, &Track)> = packager.alternatives().collect();
    let mut out = String::with_capacity(512);
    out.push_str("#EXTM3U\n#EXT-X-VERSION:9\n");

    let sound =
        tracks.iter().copied().find(|track| track.kind() == Kind::Audio).filter(|_| !alternatives.is_empty());
    if let Some(sound) = sound {
        rendition(&mut out, sound, 1, None);
        for (number, (playlist, track)) in (2..).zip(&alternatives) {
            rendition(&mut out, track, number, Some(&format!("{session}/{}/index.m3u8", playlist.name())));
        }
    }

    let mut codecs: Vec<String> = tracks.iter().map(|track| codec::mime(track, true)).collect();
    codecs.extend(alternatives.iter().map(|(_, track)| codec::mime(track, true)));
    let mut seen = Vec::new();
    codecs.retain(|codec| {
        !seen.contains(codec) && {
            seen.push(codec.clone());
            true
        }
    });
    let bandwidth = main.bandwidth();
    let _ = write!(
        out,
        "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\"",
        bandwidth.peak.max(1),
        bandwidth.average.max(1),
        codecs.join(",")
    );
    if let Some(picture) = tracks.iter().find_map(|track| track.video()) {
        let _ = write!(out, ",RESOLUTION={}x{}", picture.width, picture.height);
        if main.pace().constant {
            let _ = write!(out, ",FRAME-RATE={:.3}", 1.0 / main.pace().frame.as_secs_f64());
        }
    }
    if sound.is_some() {
        out.push_str(",AUDIO=\"audio\"");
    }
    let _ = write!(out, "\n{session}/{}/index.m3u8\n", main.name());
    Some(out)
}

/// `EXT-X-MEDIA` of a sound; the first is in the main rendition and has no playlist of its own.
fn rendition(out: &mut String, track: &Track, number: usize, uri: Option<&str>) {
    let _ = write!(out, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio {number}\",AUTOSELECT=YES");
    out.push_str(if uri.is_none() { ",DEFAULT=YES" } else { ",DEFAULT=NO" });
    if let Some(audio) = track.audio() {
        let _ = write!(out, ",CHANNELS=\"{}\"", audio.channels);
    }
    if let Some(uri) = uri {
        let _ = write!(out, ",URI=\"{uri}\"");
    }
    out.push('\n');
}

/// What a media playlist tells besides its own segments.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The wall clock at media time zero.
    pub epoch: SystemTime,
    /// The broadcast's cues.
    pub date_ranges: &'a DateRanges,
    /// The broadcast's renditions, this one among them, each with its newest part.
    pub renditions: &'a [(&'a str, Option<Position>)],
}

/// A media playlist, which is at `NAME/index.m3u8`.
pub fn media(playlist: &MediaPlaylist, around: &Surroundings<'_>, form: Form) -> String {
    let target = playlist.pace().target();
    let skip_until = times(target, SKIP_UNTIL);
    let can_skip = playlist.window() > skip_until;
    let segments = playlist.segments();
    let after = distances(segments);
    let skipped = match form {
        Form::Full => 0,
        _ if !can_skip => 0,
        _ => after.iter().take_while(|after| **after >= skip_until).count(),
    };
    let skips_ranges = skipped > 0 && form == Form::DeltaWithDateRanges;

    let boundary = segments.get(skipped).map_or(MediaTime::ZERO, |first| first.start);
    let mut out = String::with_capacity(4096);
    head(&mut out, playlist, can_skip.then_some(skip_until));
    if skipped > 0 {
        let _ = write!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
        if skips_ranges {
            let removed: Vec<&str> = around.date_ranges.removed_since(boundary).collect();
            let _ = write!(out, ",RECENTLY-REMOVED-DATERANGES=\"{}\"", removed.join("\t"));
        }
        out.push('\n');
    }
    let since = if skips_ranges { boundary } else { MediaTime::from_nanos(i64::MIN) };
    around.date_ranges.write(&mut out, around.epoch, since);

    let mut init = skipped.checked_sub(1).and_then(|last| segments.get(last)).map(|segment| segment.init);
    let original = rendition_of(playlist.name());
    for (segment, after) in
        segments.iter().zip(after).skip(skipped).filter(|(segment, _)| !segment.is_empty())
    {
        let parts = after <= times(target, PARTS_LISTED);
        let map = init.replace(segment.init) != Some(segment.init);
        write_segment(&mut out, segment, original, around.epoch, map, parts);
    }
    if playlist.has_ended() {
        out.push_str("#EXT-X-ENDLIST\n");
        return out;
    }
    let hint = Uri::of(Resource::Part(playlist.next()), playlist.next_shared().map(Resource::Part), original);
    let _ = writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{hint}\"");
    for (name, newest) in around.renditions.iter().filter(|(name, _)| *name != playlist.name()) {
        if let Some(newest) = newest {
            let (msn, part) = (newest.msn, newest.part);
            let _ = writeln!(
                out,
                "#EXT-X-RENDITION-REPORT:URI=\"../{name}/index.m3u8\",LAST-MSN={msn},LAST-PART={part}"
            );
        }
    }
    out
}

/// How much is listed after each segment. Durations count, not media time: an interruption is in the one, not in the
/// other.
fn distances(segments: &VecDeque<Arc<Segment>>) -> Vec<MediaTime> {
    let mut after = MediaTime::ZERO;
    let mut distances: Vec<MediaTime> = segments
        .iter()
        .rev()
        .map(|segment| {
            let distance = after;
            after += segment.covered();
            distance
        })
        .collect();
    distances.reverse();
    distances
}

fn head(out: &mut String, playlist: &MediaPlaylist, skip_until: Option<MediaTime>) {
    let pace = playlist.pace();
    let hold_back = HOLD_BACK * i64::from(pace.target_duration);
    out.push_str("#EXTM3U\n#EXT-X-VERSION:10\n");
    let _ = writeln!(out, "#EXT-X-TARGETDURATION:{}", pace.target_duration);
    out.push_str("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES");
    if let Some(until) = skip_until {
        let _ = write!(out, ",CAN-SKIP-UNTIL={:.1},CAN-SKIP-DATERANGES=YES", until.as_secs_f64());
    }
    let part_hold_back = times(pace.part_target, HOLD_BACK).as_secs_f64();
    let _ = writeln!(out, ",HOLD-BACK={hold_back}.0,PART-HOLD-BACK={part_hold_back:.3}");
    let _ = writeln!(out, "#EXT-X-PART-INF:PART-TARGET={:.3}", pace.part_target.as_secs_f64());
    let _ = writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{}", playlist.first_msn());
    let _ = writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", playlist.discontinuity_sequence());
}

fn write_segment(
    out: &mut String,
    segment: &Segment,
    original: &str,
    epoch: SystemTime,
    map: bool,
    parts: bool,
) {
    if segment.discontinuity {
        out.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if map {
        let _ = writeln!(out, "#EXT-X-MAP:URI=\"{}\"", Resource::Init(segment.init));
    }
    let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", date(epoch, segment.start));
    for (index, part) in segment.parts.iter().enumerate().filter(|_| parts) {
        let own = Resource::Part(Position { msn: segment.msn, part: index });
        let uri = Uri::of(own, part.same_as.map(Resource::Part), original);
        let _ = write!(out, "#EXT-X-PART:DURATION={:.5},URI=\"{uri}\"", part.duration.as_secs_f64());
        out.push_str(if part.independent { ",INDEPENDENT=YES\n" } else { "\n" });
    }
    if let Some(duration) = segment.duration {
        let own = Resource::Segment(segment.msn);
        let uri = Uri::of(own, segment.same_as.map(Resource::Segment), original);
        let _ = writeln!(out, "#EXTINF:{:.5},\n{uri}", duration.as_secs_f64());
    }
}

/// Where a file is, seen from the media playlist's folder.
enum Uri<'a> {
    /// In it.
    Own(Resource),
    /// In the folder of everybody's variant, beside it.
    Shared(&'a str, Resource),
}

impl<'a> Uri<'a> {
    fn of(own: Resource, shared: Option<Resource>, original: &'a str) -> Self {
        shared.map_or(Self::Own(own), |shared| Self::Shared(original, shared))
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(resource) => resource.fmt(f),
            Self::Shared(folder, resource) => write!(f, "../{folder}/{resource}"),
        }
    }
}

fn times(time: MediaTime, factor: i64) -> MediaTime {
    MediaTime::from_nanos(time.as_nanos().saturating_mul(factor))
}
