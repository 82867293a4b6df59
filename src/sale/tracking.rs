//! Overlays for players that know sessions of AWS Elemental MediaTailor, such as Shaka Player: a session is asked for once, and
//! what stands again and again, instead of being told over a line.
//!
//! Such a player can lay an image over the picture and not move the picture aside: it is told of lower thirds and corners only.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::interval;
use url::form_urlencoded;

use super::guided::{BEHIND, Placement, Seat, Told};
use super::pages::{channel_of, new_session, seated};
use super::server::Sale;
use crate::av::worker::ipc::Size;
use crate::clock;
use crate::http::{ApiError, ClientAddress, ClientPlace, Connection, RequestHost, for_everyone};
use crate::hub::Channel;
use crate::media::{About, ChannelName, Cohort, MediaTime, OverlayFormat};

/// How often it is looked for players that ask no more.
const SWEEP: Duration = Duration::from_secs(5);
/// A player is so far behind at most when it takes away what is not told any more.
const BEHIND_LIVE: MediaTime = MediaTime::from_millis(10_000);
/// What overlays are placed on, in pixels; players are told percentages of it.
const CANVAS: Size = Size { width: 1920, height: 1080 };

/// The players that there are.
#[derive(Default)]
pub(super) struct Players(Mutex<HashMap<u64, Player>>);

struct Player {
    /// Its place in the audience.
    _seat: Seat,
    events: mpsc::Receiver<Told>,
    placements: BTreeMap<String, Placement>,
    /// When it has not asked for too long.
    until: Instant,
}

impl Player {
    /// Takes in what it was told since it has asked, and forgets what is over: the broadcast is at `newest`.
    fn listen(&mut self, newest: MediaTime) {
        while let Ok(told) = self.events.try_recv() {
            match told {
                Told::Placed(placement) => drop(self.placements.insert(placement.id.clone(), *placement)),
                Told::Withdrawn(id) => drop(self.placements.remove(&id)),
            }
        }
        self.placements.retain(|_, placement| newest < MediaTime::from_nanos(placement.end_ns) + BEHIND_LIVE);
    }
}

impl Players {
    fn all(&self) -> MutexGuard<'_, HashMap<u64, Player>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a player says when it asks for a session: MediaTailor's own form, or the parameters alone, as Shaka Player sends them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    #[serde(rename = "adsParams")]
    parameters: Option<About>,
    #[serde(flatten)]
    alone: About,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    manifest_url: String,
    tracking_url: String,
}

/// The routes.
pub(super) fn router() -> Router<Sale> {
    for_everyone(
        Router::new()
            .route("/v1/session/{channel}", post(begin))
            .route("/v1/tracking/{channel}/{session}", get(follow))
            .route("/v1/tracking/{channel}/{session}/{overlay}", get(resource)),
    )
}

async fn begin(
    State(sale): State<Sale>,
    Path(name): Path<String>,
    Extension(address): Extension<ClientAddress>,
    place: ClientPlace,
    body: Bytes,
) -> Result<Json<Session>, ApiError> {
    let channel = channel_of(&sale, &name)?;
    let asked = match &body[..] {
        [] => Asked::default(),
        body => serde_json::from_slice(body).map_err(|error| ApiError::bad_request(error.to_string()))?,
    };
    let session = new_session()?;
    let about = asked.parameters.unwrap_or(asked.alone);
    let cohort = about.cohort(sale.inner().countries.of(place));
    let is_guided = sale.place(channel.name(), session, cohort, address)?;
    let (name, word) = (channel.name(), sale.inner().pages.sign(session, channel.name()));
    let query = if is_guided { format!("session={word}") } else { query_of(&about) };
    let mark = if query.is_empty() { "" } else { "?" };
    Ok(Json(Session {
        manifest_url: format!("/hls/{name}/index.m3u8{mark}{query}"),
        tracking_url: format!("/v1/tracking/{name}/{word}"),
    }))
}

/// The same said in a query: who watches the programme gets the variant for such viewers.
fn query_of(About { lang, device, consent, tags }: &About) -> String {
    let said = [("lang", lang), ("device", device), ("consent", consent), ("tags", tags)];
    let said = said.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(said).finish()
}

async fn follow(
    State(sale): State<Sale>,
    Path((name, word)): Path<(String, String)>,
    Extension(address): Extension<ClientAddress>,
    host: Option<Extension<RequestHost>>,
    Extension(connection): Extension<Connection>,
) -> Result<Response, ApiError> {
    let (channel, session) = sale.known(&name, &word)?;
    let placements = sale.placements(&channel, session, address)?;
    let base = sale.base(host.as_deref(), &connection);
    let told = placements.iter().filter(|placement| is_laid_over(placement.format));
    let avails: Vec<Value> =
        told.map(|placement| avail(placement, &base, &format!("{name}/{word}"))).collect();
    Ok(uncached(json!({ "avails": avails, "nonLinearAvails": [], "nextToken": null })))
}

/// What an overlay looks like, and where: what `staticResource` leads to.
async fn resource(
    State(sale): State<Sale>,
    Path((name, word, id)): Path<(String, String, String)>,
    Extension(address): Extension<ClientAddress>,
    host: Option<Extension<RequestHost>>,
    Extension(connection): Extension<Connection>,
) -> Result<Response, ApiError> {
    let (channel, session) = sale.known(&name, &word)?;
    let placements = sale.placements(&channel, session, address)?;
    let found = placements.into_iter().find(|placement| placement.id == id);
    let placement = found.ok_or_else(|| ApiError::not_found("there is no such overlay, or not any more"))?;
    let (left, top) = corner(placement.format);
    let url = format!("{}{}", sale.base(host.as_deref(), &connection), placement.image);
    let source = json!([{ "url": url, "type": placement.media_type }]);
    Ok(uncached(
        json!({ "apps": [{ "placeholder": { "left": left, "top": top }, "data": { "source": source } }] }),
    ))
}

fn uncached(value: Value) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(value)).into_response()
}

impl Sale {
    /// The channel, and the session whose word that is.
    fn known(&self, name: &str, word: &str) -> Result<(Arc<Channel>, u64), ApiError> {
        let channel = channel_of(self, name)?;
        let session = self.inner().pages.verify(word, channel.name());
        let session =
            session.ok_or_else(|| ApiError::not_found("there is no such session, or not any more"))?;
        Ok((channel, session))
    }

    /// Gives a player its place; whether overlays are its own to draw.
    fn place(
        &self,
        channel: &ChannelName,
        session: u64,
        cohort: Cohort,
        address: ClientAddress,
    ) -> Result<bool, ApiError> {
        let players = &self.inner().players;
        let (sender, events) = mpsc::channel(BEHIND);
        let Some(seat) = seated(self, channel, session, cohort, address, sender)? else { return Ok(false) };
        let until = clock::monotonic() + self.inner().config.player_timeout;
        let player = Player { _seat: seat, events, placements: BTreeMap::new(), until };
        let before = players.all().insert(session, player);
        // A seat is given back when nothing is locked.
        drop(before);
        Ok(true)
    }

    /// What a player is to draw. One that was gone for too long is nobody of whom anything is known.
    fn placements(
        &self,
        channel: &Channel,
        session: u64,
        address: ClientAddress,
    ) -> Result<Vec<Placement>, ApiError> {
        let newest = channel.newest().map_or(MediaTime::ZERO, |(_, newest)| newest);
        let players = &self.inner().players;
        let is_known = players.all().contains_key(&session);
        if !is_known {
            self.place(channel.name(), session, Cohort::everybody(), address)?;
        }
        let mut all = players.all();
        let Some(player) = all.get_mut(&session) else { return Ok(Vec::new()) };
        player.until = clock::monotonic() + self.inner().config.player_timeout;
        player.listen(newest);
        Ok(player.placements.values().cloned().collect())
    }

    /// Forgets players that ask no more, so that nothing is sold for them.
    pub(super) async fn forget_players(self) {
        let mut ticks = interval(SWEEP.min(self.inner().config.player_timeout));
        loop {
            ticks.tick().await;
            let now = clock::monotonic();
            let gone: Vec<Player> = self
                .inner()
                .players
                .all()
                .extract_if(|_, player| player.until <= now)
                .map(|(_, player)| player)
                .collect();
            // Seats are given back when nothing is locked.
            drop(gone);
        }
    }

    /// What links begin with.
    fn base(&self, host: Option<&RequestHost>, connection: &Connection) -> String {
        match (&self.inner().public_base, host) {
            (Some(base), _) => base.clone(),
            (None, Some(host)) => host.base(connection.is_secure()),
            (None, None) => String::new(),
        }
    }
}

const fn is_laid_over(format: OverlayFormat) -> bool {
    matches!(format, OverlayFormat::LowerThird | OverlayFormat::Corner)
}

/// Left and top of the place, in percent of the picture.
fn corner(format: OverlayFormat) -> (f64, f64) {
    let place = format.place(CANVAS, format.fit(CANVAS)).map(|placement| placement.place);
    let percent = |at: u32, of: u32| f64::from(at) * 100.0 / f64::from(of);
    place.map_or((0.0, 0.0), |place| (percent(place.x, CANVAS.width), percent(place.y, CANVAS.height)))
}

fn avail(placement: &Placement, base: &str, session: &str) -> Value {
    let Placement { id, format, paid, .. } = placement;
    let start = placement.start_ns as f64 / 1e9;
    let length = (placement.end_ns - placement.start_ns) as f64 / 1e9;
    let fit = format.fit(CANVAS);
    let click = paid.as_ref().and_then(|paid| paid.click.as_ref()).map(|path| format!("{base}{path}"));
    let advertiser = paid.as_ref().map_or("", |paid| &paid.advertiser);
    let events = paid.as_ref().map_or(Vec::new(), |paid| events(base, &paid.token, start, length));
    let resource = format!("{base}/v1/tracking/{session}/{id}");
    let identity = json!({
        "adId": id, "adParameters": "", "adSystem": "onair", "adTitle": advertiser, "creativeAdId": "", "creativeId": id,
        "creativeSequence": "1",
    });
    let with = |fields: Value| merged(&identity, fields);
    let image = with(json!({
        "width": fit.width, "height": fit.height, "staticResource": resource, "clickThrough": click,
    }));
    let overlay = with(json!({
        "startTimeInSeconds": start, "durationInSeconds": length, "startTime": iso(start), "duration": iso(length),
        "skipOffset": null, "trackingEvents": events, "nonLinearAdList": [image],
    }));
    json!({
        "availId": id, "startTimeInSeconds": start, "durationInSeconds": length, "startTime": iso(start),
        "duration": iso(length), "adBreakTrackingEvents": [], "ads": [], "nonLinearAdsList": [overlay],
    })
}

/// Whom to tell how much of it was seen. That it was displayed is told with each: the first quartile may be too early for it.
fn events(base: &str, token: &str, start: f64, length: f64) -> Vec<Value> {
    let quartiles = [("firstQuartile", 0.25), ("midpoint", 0.5), ("thirdQuartile", 0.75), ("complete", 1.0)];
    let own = ["first_quartile", "midpoint", "third_quartile", "complete"];
    let event = |((name, part), own): ((&str, f64), &str)| {
        let beacons: Vec<String> =
            ["display", own].iter().map(|event| format!("{base}/i/{token}/{event}")).collect();
        json!({
            "eventType": name, "eventId": name, "beaconUrls": beacons, "startTimeInSeconds": start + length * part,
            "durationInSeconds": 0,
        })
    };
    quartiles.into_iter().zip(own).map(event).collect()
}

fn merged(one: &Value, other: Value) -> Value {
    let mut fields = one.as_object().cloned().unwrap_or_default();
    if let Value::Object(others) = other {
        fields.extend(others);
    }
    Value::Object(fields)
}

/// A duration in the form of ISO 8601.
fn iso(seconds: f64) -> String {
    format!("PT{seconds}S")
}
