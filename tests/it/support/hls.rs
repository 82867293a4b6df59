//! A broadcast as an HLS player has it at the end: playlist, init segment and segments.

use super::fmp4::{self, Sample, Track};
use super::http::{Response, request};
use super::{Server, in_time};

/// One rendition of a broadcast that is over.
pub struct Rendition {
    /// The media playlist.
    pub playlist: String,
    /// The init segment.
    pub init: Vec<u8>,
    segments: Vec<Vec<u8>>,
}

impl Rendition {
    /// The main rendition of a broadcast whose first player was given this multivariant playlist, once it is over.
    pub async fn of_ended(server: &Server, multivariant: Response) -> Self {
        assert_eq!(multivariant.status, 200);
        let multivariant = String::from_utf8(multivariant.bytes().await).expect("text");
        let main = multivariant.lines().rfind(|line| !line.starts_with('#')).expect("a rendition");
        let folder = format!("/hls/kitchen/{}", main.rsplit_once('/').expect("a folder").0);
        let whole = async {
            while !get(server, &format!("{folder}/index.m3u8")).await.ends_with(b"#EXT-X-ENDLIST\n") {}
        };
        in_time("the end of the playlist", whole).await;
        Self::fetch(server, &folder).await
    }

    async fn fetch(server: &Server, folder: &str) -> Self {
        let playlist = String::from_utf8(get(server, &format!("{folder}/index.m3u8")).await).expect("text");
        assert!(playlist.ends_with("#EXT-X-ENDLIST\n"), "the broadcast is over:\n{playlist}");
        let map = playlist
            .split_once("#EXT-X-MAP:URI=\"")
            .and_then(|(_, map)| map.split_once('"'))
            .expect("a map")
            .0;
        let init = get(server, &format!("{folder}/{map}")).await;
        let mut segments = Vec::new();
        for uri in playlist.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            segments.push(get(server, &format!("{folder}/{uri}")).await);
        }
        Self { playlist, init, segments }
    }

    /// All samples of a track, with times in milliseconds.
    pub fn samples(&self, track: Track) -> Vec<Sample> {
        let timescale = i64::from(track.timescale);
        let millis = |ticks: i64| (ticks * 1_000 + timescale / 2).div_euclid(timescale);
        let samples = self.segments.iter().flat_map(|segment| fmp4::samples(segment, track));
        samples.map(|sample| Sample { dts: millis(sample.dts), pts: millis(sample.pts), ..sample }).collect()
    }

    /// One file that plays.
    pub fn file(&self) -> Vec<u8> {
        [&self.init[..], &self.segments.concat()].concat()
    }
}

async fn get(server: &Server, path: &str) -> Vec<u8> {
    let response = request(server.http, "GET", path, &[], b"").await;
    assert_eq!(response.status, 200, "{path}");
    response.bytes().await
}
