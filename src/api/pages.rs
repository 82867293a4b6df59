//! The pages, built into the program.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderName, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use http::{HeaderMap, StatusCode};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::Api;
use crate::http::ApiError;
use crate::media::ChannelName;

/// What `web/` is built to. In a debug build the files are read when they are asked for.
#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Built;

/// Scripts and styles of our own and media from blobs (MSE); nothing inline, nothing from elsewhere, and no text becomes
/// markup but by the page library's own templates.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    media-src 'self' blob:; base-uri 'none'; form-action 'none'; \
    require-trusted-types-for 'script'; trusted-types svelte-trusted-html";

/// Added to it: the front page is in frames of our own only.
const OWN_FRAMES: &str = "frame-ancestors 'self'";

/// Added to it for the studio, where one tap goes live: nobody may lay another page over it.
const NO_FRAMES: &str = "frame-ancestors 'none'";

/// The header of both.
const PERMISSIONS_POLICY: &str = "permissions-policy";

/// What viewers' pages may ask the browser for.
const VIEWER_PERMISSIONS: &str = "camera=(), microphone=(), display-capture=()";

/// What the studio may ask the browser for.
const STUDIO_PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self)";

/// Encodings that a build may have prepared beside a file, the better first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

const NOT_BUILT: &str = "<!doctype html><meta charset=utf-8><title>onair</title>\
    <p>The server runs, but its pages are not built in. Run <code>make build</code>.</p>";

pub(super) fn router(api: &Arc<Api>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/{channel}", get(watch))
        .route("/studio/{channel}", get(studio))
        .route("/assets/{*path}", get(asset))
        .with_state(api.clone())
}

/// What watch pages add to the policy: these sites may have them in frames.
pub fn frames(embed_from: &[String]) -> HeaderValue {
    let policy = embed_from.iter().fold(OWN_FRAMES.to_owned(), |policy, site| format!("{policy} {site}"));
    // They are origins, as the configuration was checked for.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(OWN_FRAMES))
}

async fn index(headers: HeaderMap) -> Response {
    page("index.html", StatusCode::OK, &headers, HeaderValue::from_static(OWN_FRAMES))
}

/// The same page for every channel; the status tells a channel from a typing mistake.
async fn watch(State(api): State<Arc<Api>>, Path(channel): Path<String>, headers: HeaderMap) -> Response {
    page("watch.html", found(&api, &channel), &headers, api.frames.clone())
}

/// Where one goes live from a browser. The stream key is in the fragment of its address, which is not sent here.
async fn studio(State(api): State<Arc<Api>>, Path(channel): Path<String>, headers: HeaderMap) -> Response {
    let no_frames = HeaderValue::from_static(NO_FRAMES);
    let mut response = page("studio.html", found(&api, &channel), &headers, no_frames);
    let permissions = HeaderValue::from_static(STUDIO_PERMISSIONS);
    response.headers_mut().insert(PERMISSIONS_POLICY, permissions);
    response
}

fn found(api: &Api, channel: &str) -> StatusCode {
    let known = channel.parse::<ChannelName>().is_ok_and(|name| api.directory.channel(&name).is_some());
    if known { StatusCode::OK } else { StatusCode::NOT_FOUND }
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    // In a debug build names are looked up in the file system: they must stay below the folder.
    let plain = path.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    match plain.then(|| file(&format!("assets/{path}"), &headers)).flatten() {
        // The names carry a hash of the content.
        Some(response) => {
            ([(CACHE_CONTROL, "public, max-age=31536000, immutable")], response).into_response()
        }
        None => ApiError::not_found("there is no such file").into_response(),
    }
}

/// A page, which may be in such frames.
fn page(name: &str, status: StatusCode, headers: &HeaderMap, frames: HeaderValue) -> Response {
    let Some(response) = file(name, headers) else {
        let html = (StatusCode::SERVICE_UNAVAILABLE, [(CONTENT_TYPE, "text/html; charset=utf-8")], NOT_BUILT);
        return html.into_response();
    };
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (HeaderName::from_static(PERMISSIONS_POLICY), VIEWER_PERMISSIONS),
        (REFERRER_POLICY, "same-origin"),
        // A page names the assets of its build, so it must not outlive them.
        (CACHE_CONTROL, "no-cache"),
    ];
    let status =
        if response.status() == StatusCode::NOT_MODIFIED { StatusCode::NOT_MODIFIED } else { status };
    let mut response = (status, headers, response).into_response();
    // Of two policies both hold.
    response.headers_mut().append(CONTENT_SECURITY_POLICY, frames);
    response
}

fn file(name: &str, headers: &HeaderMap) -> Option<Response> {
    let plain = Built::get(name)?;
    let tag = entity_tag(&plain);
    let mut response = if headers.get_all(IF_NONE_MATCH).iter().any(|known| *known == tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (encoding, chosen) = encoded(name, headers).unwrap_or(("identity", plain));
        let mut response = ([(CONTENT_TYPE, media_type(name))], chosen.data).into_response();
        if encoding != "identity" {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    };
    response.headers_mut().insert(ETAG, tag);
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    Some(response)
}

/// The best encoding that the reader takes and the build prepared.
fn encoded(name: &str, headers: &HeaderMap) -> Option<(&'static str, EmbeddedFile)> {
    let accepted = headers.get(ACCEPT_ENCODING)?.to_str().ok()?;
    let accepts = |encoding: &str| {
        accepted.split(',').any(|offer| {
            let (name, weight) = offer.split_once(';').unwrap_or((offer, ""));
            name.trim().eq_ignore_ascii_case(encoding) && weight.trim() != "q=0"
        })
    };
    ENCODINGS
        .into_iter()
        .filter(|(encoding, _)| accepts(encoding))
        .find_map(|(encoding, suffix)| Some((encoding, Built::get(&format!("{name}{suffix}"))?)))
}

fn entity_tag(file: &EmbeddedFile) -> HeaderValue {
    let hash = file.metadata.sha256_hash();
    let tag: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    // Weak: the tag is the same for every encoding of the file.
    HeaderValue::from_str(&format!("W/\"{tag}\"")).unwrap_or(HeaderValue::from_static("W/\"0\""))
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}
