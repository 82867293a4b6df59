//! WHIP and WHEP over HTTP, as a client speaks it.

use std::net::SocketAddr;

use crate::support::http::{Response, request};

/// The media type of an offer.
pub const SDP: &str = "application/sdp";
/// The media type of what a PATCH carries.
pub const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// A session as HTTP knows it.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Where HTTP is served.
    pub server: SocketAddr,
    /// The session's path.
    pub location: String,
    /// Its present entity tag, quotes included.
    pub etag: String,
    /// The stream key that every request shows, if one does.
    pub key: Option<String>,
    /// `Link` headers of the answer.
    pub links: Vec<String>,
}

/// POSTs an offer to `/whip/CHANNEL` or `/whep/CHANNEL`.
pub async fn post(server: SocketAddr, path: &str, key: Option<&str>, offer: &str) -> Response {
    with_key(server, "POST", path, key, &[("content-type", SDP)], offer.as_bytes()).await
}

/// The body of an answer with this status; anything else fails with what the server says.
pub async fn text_of(response: Response, status: u16) -> String {
    let got = response.status;
    let text = String::from_utf8(response.bytes().await).expect("text");
    assert_eq!(got, status, "{text}");
    text
}

/// The status, the error's code and its words.
pub async fn refusal(response: Response) -> (u16, String, String) {
    let status = response.status;
    let error = response.json().await["error"].take();
    let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
    (status, text("code"), text("message"))
}

async fn with_key(
    server: SocketAddr,
    method: &str,
    path: &str,
    key: Option<&str>,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let mut headers = headers.to_vec();
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    request(server, method, path, &headers, body).await
}

impl Resource {
    /// From the answer to a POST.
    pub fn of(server: SocketAddr, key: Option<&str>, response: &Response) -> Self {
        let header = |name| response.header(name).unwrap_or_else(|| panic!("no {name}")).to_owned();
        Self {
            server,
            location: header("location"),
            etag: header("etag"),
            key: key.map(str::to_owned),
            links: response.headers_named("link").map(str::to_owned).collect(),
        }
    }

    /// A request to the session.
    pub async fn ask(&self, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        with_key(self.server, method, &self.location, self.key.as_deref(), headers, body).await
    }

    /// A PATCH with this entity tag.
    pub async fn patch(&self, etag: &str, fragment: &str) -> Response {
        let headers = [("content-type", FRAGMENT), ("if-match", etag)];
        self.ask("PATCH", &headers, fragment.as_bytes()).await
    }

    /// Ends the session; gives the status.
    pub async fn delete(&self) -> u16 {
        self.ask("DELETE", &[], b"").await.status
    }

    /// The path of the session's events, from the `Link` header.
    pub fn events(&self) -> &str {
        let link =
            self.links.iter().find(|link| link.contains("server-sent-events")).expect("a link to events");
        link.strip_prefix('<').and_then(|link| link.split_once('>')).expect("a link").0
    }
}
