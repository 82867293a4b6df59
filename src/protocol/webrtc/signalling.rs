//! What WHIP and WHEP have in common over HTTP: offers in, answers and entity tags out (RFC 9725 §4).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use tokio::sync::oneshot;

use super::events::EVENTS;
use super::fragment::{Fragment, InvalidFragment};
use super::offer::{InvalidOffer, Offer, Role};
use super::peer::OpenError;
use super::registry::{Entry, SessionId};
use super::server::Shared;
use super::shard::{Command, Open, Purpose};
use crate::http::ApiError;
use crate::hub::{Channel, SubscribeError};
use crate::media::ChannelName;

/// The media type of offers and answers.
pub(super) const SDP: &str = "application/sdp";
/// The media type of a PATCH.
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// The relation of a session to its events.
const EVENTS_REL: &str = "urn:ietf:params:whep:ext:core:server-sent-events";
/// How long a shard may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The `Link` header of a STUN or TURN server from `URL` or `URL USERNAME CREDENTIAL`; `None` when it is neither.
pub(super) fn ice_server_link(text: &str) -> Option<HeaderValue> {
    let mut words = text.split_ascii_whitespace();
    let url = words.next()?;
    let quotable = |word: &str| {
        word.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'<' | b'>'))
    };
    let link = match (url.split_once(':')?.0, words.next(), words.next(), words.next()) {
        ("stun" | "stuns", None, None, None) if quotable(url) => format!("<{url}>; rel=\"ice-server\""),
        ("turn" | "turns", Some(username), Some(credential), None)
            if [url, username, credential].into_iter().all(quotable) =>
        {
            format!(
                "<{url}>; rel=\"ice-server\"; username=\"{username}\"; credential=\"{credential}\"; credential-type=\"password\""
            )
        }
        _ => return None,
    };
    HeaderValue::from_str(&link).ok()
}

/// The channel of a path.
pub(super) fn channel(shared: &Shared, name: &str) -> Result<Arc<Channel>, ApiError> {
    name.parse::<ChannelName>()
        .ok()
        .and_then(|name| shared.context.hub.channel(&name))
        .ok_or_else(|| ApiError::not_found("there is no such channel"))
}

/// Reads the offer of a POST.
pub(super) fn read_offer(headers: &HeaderMap, body: &[u8], role: Role) -> Result<Offer, ApiError> {
    expect_type(headers, SDP)?;
    let text = std::str::from_utf8(body).map_err(|_| ApiError::bad_request("the offer is not UTF-8"))?;
    Offer::parse(text, role).map_err(|error: InvalidOffer| {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_offer", error.to_string())
    })
}

/// Makes a session and answers 201 with its URL, entity tag and SDP.
pub(super) async fn open(
    shared: &Shared,
    asker: SocketAddr,
    channel: Arc<Channel>,
    offer: Offer,
    purpose: Purpose,
) -> Result<Response, ApiError> {
    let busy = |reason| {
        shared.metrics.refused(reason);
        ApiError::unavailable("the server has as many WebRTC sessions as it can take")
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("5"))
    };
    if shared.context.life.is_draining() {
        return Err(busy("draining"));
    }
    let id = SessionId::random().ok_or_else(ApiError::internal)?;
    let path = match purpose {
        Purpose::Publish => "whip",
        Purpose::Watch(..) => "whep",
    };
    let location = format!("/{path}/{}/{}", channel.name(), id.as_path());
    let addresses = shared.addresses(asker);
    let open = Open { id: id.clone(), offer, purpose, addresses, channel, asker };
    let (reply, answer) = oneshot::channel();
    if shared.next_shard().commands.try_send(Command::Open(Box::new(open), reply)).is_err() {
        return Err(busy("busy"));
    }
    let answer = match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => answer,
        _ => return Err(busy("busy")),
    };
    let sdp = answer.map_err(|error| match error {
        OpenError::Full => busy("sessions"),
        OpenError::Stream(SubscribeError::Offline) => offline(SubscribeError::Offline.to_string()),
        OpenError::Stream(error @ SubscribeError::Busy(_)) => {
            shared.metrics.refused("busy");
            ApiError::unavailable(error.to_string())
                .with_header(header::RETRY_AFTER, HeaderValue::from_static("10"))
        }
        OpenError::Stream(error) => not_over_webrtc(format!("{error}: watch over HLS")),
        OpenError::Random => ApiError::internal(),
        OpenError::Offer(reason) => {
            shared.metrics.refused("offer");
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_offer", reason)
        }
    })?;
    let entry = shared.registry.get(&id).ok_or_else(ApiError::internal)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(SDP)),
        (header::LOCATION, value(&location)?),
        (header::ETAG, value(&entity_tag(&entry))?),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let mut response = (StatusCode::CREATED, headers, sdp).into_response();
    if path == "whep" {
        let link = format!("<{location}/events>; rel=\"{EVENTS_REL}\"; events=\"{EVENTS}\"");
        response.headers_mut().append(header::LINK, value(&link)?);
    }
    for link in &shared.links {
        response.headers_mut().append(header::LINK, link.clone());
    }
    Ok(response)
}

/// 409: nothing is on the air now, and when to ask again.
pub(super) fn offline(reason: String) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "offline", reason)
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("2"))
}

/// 422: the broadcast is live, but WebRTC does not carry what is in it.
pub(super) fn not_over_webrtc(reason: String) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "not_over_webrtc", reason)
}

/// The session of a path, if it is one of this channel and role.
pub(super) fn session(
    shared: &Shared,
    role: Role,
    channel: &str,
    session: &str,
) -> Result<(SessionId, Entry), ApiError> {
    let id = SessionId::from_path(session);
    shared
        .registry
        .get(&id)
        .filter(|entry| entry.role == role && entry.channel.as_str() == channel)
        .map(|entry| (id, entry))
        .ok_or_else(|| ApiError::not_found("there is no such session; it may have ended"))
}

/// DELETE: ends the session; entity tags play no part in it.
pub(super) fn delete(shared: &Shared, id: SessionId, entry: &Entry) -> Result<StatusCode, ApiError> {
    if !shared.command(entry, Command::Close(id)) {
        return Err(ApiError::unavailable("the server is busy; try again"));
    }
    Ok(StatusCode::OK)
}

/// PATCH: candidates, which need no answer, or an ICE restart.
pub(super) async fn patch(
    shared: &Shared,
    (id, entry): (SessionId, Entry),
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, ApiError> {
    expect_type(headers, FRAGMENT)?;
    let text = std::str::from_utf8(body).map_err(|_| ApiError::bad_request("the fragment is not UTF-8"))?;
    let fragment = Fragment::parse(text).map_err(|error: InvalidFragment| {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_fragment", error.to_string())
    })?;
    let Some(tag) = headers.get(header::IF_MATCH) else {
        return Err(ApiError::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition_required",
            "send If-Match with the session's entity tag, or * to restart ICE",
        ));
    };
    let current = entity_tag(&entry);
    let is_restart = fragment.credentials.ufrag != *entry.remote_ufrag;
    // RFC 9725 §4.3.3 means the asterisk of RFC 9110, but its example has it in quotes.
    let any = tag == "*" || tag == "\"*\"";
    if tag.as_bytes() != current.as_bytes() && !(is_restart && any) {
        return Err(ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            "ICE has been restarted since; the entity tag is out of date",
        ));
    }
    if !is_restart {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let (reply, answer) = oneshot::channel();
    if !shared.command(&entry, Command::Restart(id, fragment.credentials, reply)) {
        return Err(ApiError::unavailable("the server is busy; try again"));
    }
    let Ok(Ok(Some((text, ufrag)))) = tokio::time::timeout(PATIENCE, answer).await else {
        return Err(ApiError::not_found("there is no such session; it may have ended"));
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(FRAGMENT)),
        (header::ETAG, value(&entity_tag(&Entry { ufrag, ..entry }))?),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((StatusCode::OK, headers, text).into_response())
}

/// OPTIONS: what may be posted, and the servers that help to connect.
pub(super) fn options(shared: &Shared) -> Response {
    let accept_post = HeaderName::from_static("accept-post");
    let mut response =
        (StatusCode::NO_CONTENT, [(accept_post, HeaderValue::from_static(SDP))]).into_response();
    for link in &shared.links {
        response.headers_mut().append(header::LINK, link.clone());
    }
    response
}

/// The strong entity tag of a session: it changes with each ICE restart.
fn entity_tag(entry: &Entry) -> String {
    format!("\"{}\"", entry.ufrag)
}

fn expect_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), ApiError> {
    let found = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = found.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let message = format!("expected Content-Type: {wanted}");
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message))
}

fn value(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(|_| ApiError::internal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_become_links_and_nonsense_does_not() {
        let link = ice_server_link("turn:turn.example.org:3478?transport=udp ada s3cret").unwrap();
        assert_eq!(
            link.to_str().unwrap(),
            "<turn:turn.example.org:3478?transport=udp>; rel=\"ice-server\"; username=\"ada\"; credential=\"s3cret\"; credential-type=\"password\""
        );
        assert!(ice_server_link("stun:stun.example.org").is_some());
        for bad in ["", "stun", "http://a", "turn:a", "turn:a b", "turn:a b c d", "turn:a \"b c", "stun:a>b"]
        {
            assert!(ice_server_link(bad).is_none(), "{bad}");
        }
    }
}
