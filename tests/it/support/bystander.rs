//! An innocent publisher with two viewers, who must notice nothing of what others do to the server.

use onair::format::flv::file::Tag;

use super::packet::{Packet, assert_same};
use super::{Encoder, Fixture, Server, Viewer};

/// Milliseconds by which each round of the recording is later than the one before.
const ROUND: u32 = 2_100;

/// A healthy broadcast beside the trouble.
pub struct Bystander {
    encoder: Encoder,
    viewers: [Viewer; 2],
    fixture: Fixture,
    rounds: u32,
}

impl Bystander {
    /// On a channel of its own, on the air and watched over RTMP and HTTP-FLV.
    pub async fn enter(server: &Server) -> Self {
        let channel = server.channel("bystander").await;
        let fixture = Fixture::read("short").until_last_picture();
        let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
        let viewers = Viewer::of_each(server, &channel.name).await;
        let (start, rest) = fixture.tags.split_at(fixture.until_joinable());
        let (start, rest) = (start.to_vec(), rest.to_vec());
        encoder.send(&start).await;
        let mut bystander = Self { encoder, viewers, fixture, rounds: 0 };
        let expected = bystander.fixture.expected();
        bystander.receives(&expected[..1]).await;
        bystander.encoder.send(&rest).await;
        bystander.receives(&expected[1..]).await;
        bystander
    }

    /// Two more seconds come through whole, in order and in time.
    pub async fn is_not_affected(&mut self) {
        self.rounds += 1;
        let shift = self.rounds * ROUND;
        let round = self.fixture.clone().later(shift);
        let frames: Vec<Tag> = round.tags.iter().filter(|tag| tag.body[1] == 1).cloned().collect();
        let expected: Vec<Packet> = super::fixture::packets(&frames);
        self.encoder.send(&frames).await;
        self.receives(&expected).await;
    }

    async fn receives(&mut self, expected: &[Packet]) {
        for viewer in &mut self.viewers {
            let received = viewer.frames(expected.len()).await;
            assert_same(&format!("the bystander's {} viewer", viewer.protocol), &received, expected);
        }
    }
}
