//! One player of low-latency HLS: blocking reloads of the playlist, and every part once, over one connection.

use std::cell::RefCell;
use std::time::Duration;

use super::http::{Connection, Response};
use super::playlist::{Place, Playlist};
use super::source::Mark;
use super::stage::{Record, Stage};
use super::target::Target;
use super::viewer::{Destination, JOIN_TIMEOUT, ViewerError};
use tokio::time::timeout;

/// Plays the stream until a part is missed or the connection ends. A thorough player looks for the pictures in every
/// part; the others count parts, each of which covers some of the pictures that count.
///
/// # Errors
/// See [`ViewerError`].
pub async fn watch(
    destination: &Destination,
    number: usize,
    thorough: bool,
    record: &RefCell<Record>,
    stage: &Stage,
) -> Result<(), ViewerError> {
    let mut player = timeout(JOIN_TIMEOUT, Player::join(destination, number, thorough, record, stage))
        .await
        .map_err(|_| ViewerError::Unserved)
        .flatten()?;
    loop {
        timeout(JOIN_TIMEOUT, player.follow()).await.map_err(|_| ViewerError::Unserved).flatten()?;
    }
}

struct Player<'a> {
    connection: Connection,
    began: Duration,
    host: &'a str,
    /// The media playlist, without query.
    path: String,
    skips: bool,
    /// The part that is wanted next.
    next: Place,
    thorough: bool,
    record: &'a RefCell<Record>,
    stage: &'a Stage,
}

impl<'a> Player<'a> {
    async fn join(
        destination: &'a Destination,
        number: usize,
        thorough: bool,
        record: &'a RefCell<Record>,
        stage: &'a Stage,
    ) -> Result<Self, ViewerError> {
        let began = stage.now();
        let connection = Connection::new(destination.connect(number).await?);
        let Target { host, path, .. } = &destination.target;
        let mut player = Self {
            connection,
            began,
            host,
            path: path.clone(),
            skips: false,
            next: Place::default(),
            thorough,
            record,
            stage,
        };
        let multivariant = player.get(path).await?;
        let variant =
            Playlist::first_variant(text(&multivariant)?).ok_or(ViewerError::Playlist("no variant"))?;
        player.path = Target::resolve_path(path, variant);
        let first = player.get(&player.path.clone()).await?;
        let playlist = Playlist::parse(text(&first)?).ok_or(ViewerError::Playlist("no media playlist"))?;
        if !playlist.blocks {
            return Err(ViewerError::Playlist("no blocking reload"));
        }
        player.skips = playlist.skips;
        let map = playlist.map.as_deref().ok_or(ViewerError::Playlist("no EXT-X-MAP"))?;
        player.get(&Target::resolve_path(&player.path, map)).await?;

        let start = playlist.parts.iter().rev().find(|part| part.independent);
        player.next = start.ok_or(ViewerError::Playlist("no independent part"))?.place;
        player.fetch(&playlist).await?;
        Ok(player)
    }

    /// Waits for the next part and takes it, and what else has come.
    async fn follow(&mut self) -> Result<(), ViewerError> {
        let Place { msn, part } = self.next;
        let skip = if self.skips { "&_HLS_skip=YES" } else { "" };
        let request = format!("{}?_HLS_msn={msn}&_HLS_part={part}{skip}", self.path);
        let response = self.get(&request).await?;
        let playlist = Playlist::parse(text(&response)?).ok_or(ViewerError::Playlist("no media playlist"))?;
        self.fetch(&playlist).await
    }

    /// Takes the parts from the wanted one on. The last segment's parts may have become more than were expected, or
    /// fewer: then the wanted place is that of the first part of the next segment.
    async fn fetch(&mut self, playlist: &Playlist) -> Result<(), ViewerError> {
        let wanted = self.next;
        let listed = playlist.parts.iter();
        for part in listed.skip_while(|part| part.place < wanted) {
            let follows = part.place == self.next || part.place == Place { msn: self.next.msn + 1, part: 0 };
            if !follows {
                return Err(ViewerError::Playlist("a part was missed"));
            }
            let response = self.get(&Target::resolve_path(&self.path, &part.uri)).await?;
            self.note(&response);
            self.next = Place { part: part.place.part + 1, ..part.place };
        }
        self.next = self.next.max(playlist.next);
        Ok(())
    }

    fn note(&self, part: &Response) {
        let now = self.stage.now();
        let mut record = self.record.borrow_mut();
        record.progress(now, self.stage);
        // The first part begins with a keyframe.
        record.joined.get_or_insert(now - self.began);
        if !self.thorough {
            return;
        }
        // Of a part, the last picture tells how soon it was there.
        let mut newest: Option<Mark> = None;
        for mark in Mark::find_all(&part.body) {
            if self.stage.counted().contains(&mark.number) {
                record.frames += 1;
                newest = Some(mark);
            }
        }
        if let Some(mark) = newest {
            record.delays.push(now.saturating_sub(mark.sent));
        }
    }

    async fn get(&mut self, path: &str) -> Result<Response, ViewerError> {
        let response = self.connection.get(self.host, path).await?;
        self.record.borrow_mut().bytes += response.received;
        Ok(response)
    }
}

fn text(response: &Response) -> Result<&str, ViewerError> {
    std::str::from_utf8(&response.body).map_err(|_| ViewerError::Playlist("it is not text"))
}
