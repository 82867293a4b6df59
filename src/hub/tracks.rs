//! The current tracks of a broadcast.

use std::sync::Arc;

use crate::media::{Kind, Track, TrackId};

/// The current tracks, in the order of their ids.
#[derive(Clone, Debug, Default)]
pub struct Tracks(Vec<Arc<Track>>);

impl Tracks {
    /// Adds a track, or replaces the one with the same id.
    pub fn set(&mut self, track: Arc<Track>) {
        match self.0.binary_search_by_key(&track.id, |known| known.id) {
            Ok(index) => self.0[index] = track,
            Err(index) => self.0.insert(index, track),
        }
    }

    /// The tracks.
    pub fn as_slice(&self) -> &[Arc<Track>] {
        &self.0
    }

    /// Picture or sound, for a known track.
    pub fn kind(&self, id: TrackId) -> Option<Kind> {
        self.0.iter().find(|track| track.id == id).map(|track| track.kind())
    }

    /// The track whose keyframes are the places to join: the preferred picture, or the preferred sound where there
    /// is no picture.
    pub fn lead(&self) -> Option<TrackId> {
        let preference =
            |track: &&Arc<Track>| (track.kind() == Kind::Audio, track.group, track.rank, track.id);
        self.0.iter().min_by_key(preference).map(|track| track.id)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::{AudioParams, Codec, Params};

    fn track(id: u8, codec: Codec, rank: u8) -> Arc<Track> {
        let params = Params::Audio(AudioParams { sample_rate: 48_000, channels: 2, frame_samples: None });
        Arc::new(Track { id: TrackId(id), group: 0, rank, codec, config: Bytes::new(), params })
    }

    #[test]
    fn the_preferred_picture_leads_else_the_preferred_sound() {
        let mut tracks = Tracks::default();
        assert_eq!(tracks.lead(), None);
        tracks.set(track(3, Codec::Opus, 1));
        tracks.set(track(1, Codec::Aac, 0));
        assert_eq!(tracks.lead(), Some(TrackId(1)));
        tracks.set(track(2, Codec::H264, 1));
        tracks.set(track(4, Codec::H264, 0));
        assert_eq!(tracks.lead(), Some(TrackId(4)));
        tracks.set(track(1, Codec::Opus, 0));
        assert_eq!(tracks.as_slice().len(), 4, "the same id replaces");
        assert_eq!((tracks.kind(TrackId(1)), tracks.kind(TrackId(9))), (Some(Kind::Audio), None));
    }
}
