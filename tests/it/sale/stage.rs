//! A server that sells, a broadcast in real time whose encoder can be made to say things, an advertiser with money, and
//! viewers.

use std::time::Duration;

use onair::clock;
use onair::format::amf::Value as Amf;
use onair::format::flv::file::Tag;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::overlay::stage::{WHITE, server};
use crate::support::{Channel, Encoder, Fixture, Server, Viewer, http};

const BOUNDARY: &str = "----onair";
/// The recording that is on the air, over and over.
pub const RECORDING: &str = "h264-aac";
/// Its length.
const PERIOD: u32 = 6_000;

/// Everything that a sale needs.
pub struct Stage {
    pub server: Server,
    pub channel: Channel,
    /// What the encoder is to say.
    say: mpsc::Sender<Vec<Amf>>,
}

impl Stage {
    /// With changed settings; the broadcast is on the air.
    pub async fn set(change: impl FnOnce(&mut onair::config::Config)) -> Self {
        Self::set_ahead(0, change).await
    }

    /// The same with an encoder whose clock is so many milliseconds ahead from its first frame on.
    pub async fn set_ahead(lead: u32, change: impl FnOnce(&mut onair::config::Config)) -> Self {
        let server = server(|config| {
            config.cues.gap = Duration::from_millis(500);
            // So that slots are settled while a test waits for it.
            config.sale.max_viewer_delay = Duration::from_secs(1);
            config.booking.report_k = 1;
            change(config);
        })
        .await;
        let channel = server.channel("kitchen").await;
        let say = broadcast(&server, &channel, lead).await;
        server.until_tracks(&channel.name, 2).await;
        Self { server, channel, say }
    }

    /// A data message of the encoder, at its place in the stream.
    pub async fn say(&self, values: &[Amf]) {
        self.say.send(values.to_vec()).await.expect("it is on the air");
    }

    /// A request of the operator's that must be answered so.
    pub async fn operator(&self, method: &str, path: &str, body: Value, status: u16) -> Value {
        let body = (!body.is_null()).then_some(body);
        let response = self.server.operator(method, path, body).await;
        let got = response.status;
        let answer = if status == 204 { Value::Null } else { response.json().await };
        assert_eq!(got, status, "{method} {path}: {answer}");
        answer
    }

    /// A campaign with so much money and a white lower third; gives its number.
    pub async fn campaign(&self, cpm: &str, amount: &str, terms: Value) -> u64 {
        self.campaign_with(WHITE, cpm, amount, terms).await
    }

    /// The same with another lower third.
    pub async fn campaign_with(&self, image: &[u8], cpm: &str, amount: &str, terms: Value) -> u64 {
        let advertiser =
            self.operator("POST", "/api/v1/advertisers", json!({ "name": "Soups & Co" }), 201).await;
        let path = format!("/api/v1/advertisers/{}/campaigns", advertiser["id"]);
        // So short a flight that its plan is in nobody's way.
        let end = clock::rfc3339(clock::wall() + Duration::from_secs(300));
        let mut form = json!({ "name": "Soup", "cpm": cpm, "start": "2020-01-01T00:00:00Z", "end": end });
        form.as_object_mut().expect("an object").extend(terms.as_object().cloned().unwrap_or_default());
        let id = self.operator("POST", &path, form, 201).await["id"].as_u64().expect("a number");
        self.creative(id, image).await;
        if amount != "0" {
            let payment = json!({ "number": 1, "amount": amount });
            self.operator("POST", &format!("/api/v1/campaigns/{id}/payments"), payment, 200).await;
        }
        id
    }

    async fn creative(&self, campaign: u64, image: &[u8]) {
        let fields: [(&str, &[u8]); 3] =
            [("image", image), ("format", b"lower_third"), ("click_url", b"https://soup.example/")];
        let mut body = Vec::new();
        for (name, value) in fields {
            let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.extend_from_slice(&[head.as_bytes(), value, b"\r\n"].concat());
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let authorization = format!("Bearer {}", self.server.token);
        let headers = [("authorization", authorization.as_str()), ("content-type", content_type.as_str())];
        let path = format!("/api/v1/campaigns/{campaign}/creatives");
        let response = http::request(self.server.http, "POST", &path, &headers, &body).await;
        let (status, body) = (response.status, response.json().await);
        assert_eq!(
            (status, &body["state"], &body["ready"]),
            (201, &json!("approved"), &json!(true)),
            "{body}"
        );
    }

    /// Opens a slot; gives its cue's number.
    pub async fn cue(&self, cue: Value) -> String {
        let path = format!("/api/v1/channels/{}/cues", self.channel.name);
        let opened = self.operator("POST", &path, cue, 202).await;
        opened["id"].as_str().expect("a number").to_owned()
    }

    /// A moment of media time that is so far ahead that a worker is ready by then, however busy the machine is.
    pub async fn soon(&self, viewer: &mut Viewer) -> i64 {
        (viewer.frame().await.dts + 2500) * 1_000_000
    }

    /// A cue and what came of it.
    pub async fn show(&self, cue: &str) -> Value {
        self.operator("GET", &format!("/api/v1/cues/{cue}"), Value::Null, 200).await
    }

    /// Watches until a cue is over.
    pub async fn over(&self, cue: &str, viewers: &mut [Viewer]) -> Value {
        loop {
            for viewer in viewers.iter_mut() {
                viewer.frames(10).await;
            }
            let shown = self.show(cue).await;
            if shown["stage"] == "over" {
                return shown;
            }
        }
    }

    /// Watches until what was kept back for a cue is settled.
    pub async fn settled(&self, cue: &str, viewers: &mut [Viewer]) -> Value {
        loop {
            for viewer in viewers.iter_mut() {
                viewer.frames(25).await;
            }
            let shown = self.show(cue).await;
            if !shown["settled"].is_null() {
                return shown;
            }
        }
    }

    /// Watches until the channel has a cue beside those that are known.
    pub async fn next_cue(&self, known: &[String], viewers: &mut [Viewer]) -> String {
        let path = format!("/api/v1/channels/{}/cues", self.channel.name);
        loop {
            for viewer in viewers.iter_mut() {
                viewer.frames(10).await;
            }
            let cues = self.operator("GET", &path, Value::Null, 200).await;
            let mut ids = cues["cues"].as_array().expect("a list").iter();
            let id =
                ids.find_map(|cue| cue["id"].as_str().filter(|id| !known.iter().any(|known| known == id)));
            if let Some(id) = id {
                return id.to_owned();
            }
        }
    }
}

/// Puts a recording on the air in real time, over and over, for as long as the runtime lives.
async fn broadcast(server: &Server, channel: &Channel, lead: u32) -> mpsc::Sender<Vec<Amf>> {
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let (say, mut said) = mpsc::channel::<Vec<Amf>>(8);
    tokio::spawn(async move {
        let begun = clock::monotonic();
        for round in 0.. {
            for tag in Fixture::read(RECORDING).later(PERIOD * round).tags {
                let due = begun + Duration::from_millis(tag.timestamp_ms.saturating_sub(lead).into());
                loop {
                    tokio::select! {
                        () = sleep_until(due.into()) => break,
                        Some(values) = said.recv() => encoder.data(tag.timestamp_ms, &values).await,
                    }
                }
                if encoder.try_send(&[tag] as &[Tag]).await.is_err() {
                    return;
                }
            }
        }
    });
    say
}
