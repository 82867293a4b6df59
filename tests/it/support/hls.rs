//! A broadcast as an HLS player has it: playlist, init segment and segments.

use super::fmp4::{self, Sample, Track};
use super::http::{Response, request};
use super::{Server, in_time};

/// One rendition of a broadcast.
pub struct Rendition {
    /// The media playlist.
    pub playlist: String,
    /// The init segment.
    pub init: Vec<u8>,
    /// Where the segments are.
    pub paths: Vec<String>,
    segments: Vec<Vec<u8>>,
}

impl Rendition {
    /// The main rendition of a broadcast whose first player was given this multivariant playlist, once it is over.
    pub async fn of_ended(server: &Server, multivariant: Response) -> Self {
        let folder = main_folder(multivariant).await;
        let whole = async {
            while !get(server, &format!("{folder}/index.m3u8")).await.ends_with(b"#EXT-X-ENDLIST\n") {}
        };
        in_time("the end of the playlist", whole).await;
        let rendition = Self::so_far(server, &folder).await;
        let playlist = &rendition.playlist;
        assert!(playlist.ends_with("#EXT-X-ENDLIST\n"), "the broadcast is over:\n{playlist}");
        rendition
    }

    /// The rendition in this folder, as far as its segments are complete.
    pub async fn so_far(server: &Server, folder: &str) -> Self {
        let playlist = String::from_utf8(get(server, &format!("{folder}/index.m3u8")).await).expect("text");
        let map = playlist
            .split_once("#EXT-X-MAP:URI=\"")
            .and_then(|(_, map)| map.split_once('"'))
            .expect("a map")
            .0;
        let init = get(server, &format!("{folder}/{map}")).await;
        let session = folder.rsplit_once('/').expect("a session").0;
        let uris = playlist.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let paths: Vec<String> = uris
            .map(|uri| match uri.strip_prefix("../") {
                Some(beside) => format!("{session}/{beside}"),
                None => format!("{folder}/{uri}"),
            })
            .collect();
        let mut segments = Vec::new();
        for path in &paths {
            segments.push(get(server, path).await);
        }
        Self { playlist, init, paths, segments }
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

/// The folder of the main rendition that a multivariant playlist names.
pub async fn main_folder(multivariant: Response) -> String {
    assert_eq!(multivariant.status, 200);
    let multivariant = String::from_utf8(multivariant.bytes().await).expect("text");
    let main = multivariant.lines().rfind(|line| !line.starts_with('#')).expect("a rendition");
    format!("/hls/kitchen/{}", main.rsplit_once('/').expect("a folder").0)
}

async fn get(server: &Server, path: &str) -> Vec<u8> {
    let response = request(server.http, "GET", path, &[], b"").await;
    assert_eq!(response.status, 200, "{path}");
    response.bytes().await
}
