//! The API for operators, pages and scripts; health and metrics; the pages themselves.

mod advertisers;
mod caller;
mod campaigns;
pub mod channels;
mod creatives;
mod cues;
mod health;
mod overlays;
mod pages;
mod reports;
mod server;
mod studio;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::{Json, Router};
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::auth::{AdminToken, Studio};
use crate::booking::Bookings;
use crate::context::Life;
use crate::http::{RequestHost, for_everyone};
use crate::hub::Hub;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::overlay::Overlays;
use crate::sale::Sale;
use crate::setting;
use crate::store::Store;
use channels::Directory;

pub use pages::frames;
pub use server::Ports;

/// The port that `rtmp://` means without one.
const RTMP_PORT: u16 = 1935;

/// Metrics and health on a listener of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Where; off, they are with everything else.
    #[serde(with = "setting::address")]
    pub listen: Option<SocketAddr>,
}

/// What the API speaks for.
pub struct Api {
    /// The channels there are.
    pub directory: Arc<Directory>,
    /// Their broadcasts.
    pub hub: Hub,
    /// The operator's secret.
    pub token: AdminToken,
    /// Broadcasters who are signed in in the browser.
    pub studio: Studio,
    /// What is burned into programmes.
    pub overlays: Overlays,
    /// What is sold at cues, if anything is.
    pub sale: Option<Sale>,
    /// Advertisers, campaigns, creatives.
    pub bookings: Bookings,
    /// The money.
    pub ledger: Ledger,
    /// The database, asked for signs of life.
    pub store: Store,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// The ports that the listeners got.
    pub ports: Ports,
    /// The address viewers use, if the configuration names one.
    pub public_base: Option<String>,
    /// Which sites may have watch pages in frames: see [`frames`].
    pub frames: HeaderValue,
    /// Whether the server is going down.
    pub life: Life,
}

/// Pages and API. `others` describes the routes of other parts.
pub fn router(api: &Arc<Api>, others: Option<OpenApi>) -> Router {
    let (routes, mut document) = OpenApiRouter::with_openapi(document())
        .routes(routes!(channels::list, channels::create))
        .routes(routes!(channels::show, channels::update, channels::delete))
        .routes(routes!(channels::rotate_key))
        .routes(routes!(studio::show, studio::sign_in, studio::sign_out))
        .routes(routes!(server::show))
        .routes(routes!(overlays::create).layer(DefaultBodyLimit::max(overlays::max_form(&api.overlays))))
        .routes(routes!(overlays::show, overlays::cancel))
        .routes(routes!(cues::create, cues::list))
        .routes(routes!(cues::show, cues::update, cues::cancel))
        .routes(routes!(cues::veto))
        .routes(routes!(cues::hold_off))
        .routes(routes!(cues::settings, cues::set))
        .routes(routes!(advertisers::list, advertisers::create))
        .routes(routes!(advertisers::show, advertisers::update, advertisers::delete))
        .routes(routes!(advertisers::rotate_key))
        .routes(routes!(campaigns::list, campaigns::create))
        .routes(routes!(campaigns::show, campaigns::update, campaigns::delete))
        .routes(routes!(campaigns::pay))
        .routes(routes!(creatives::create).layer(DefaultBodyLimit::max(creatives::max_form(&api.bookings))))
        .routes(routes!(creatives::list))
        .routes(routes!(creatives::show, creatives::delete))
        .routes(routes!(creatives::image))
        .routes(routes!(creatives::approve))
        .routes(routes!(creatives::reject))
        .routes(routes!(reports::of_all))
        .routes(routes!(reports::of_campaign))
        .routes(routes!(reports::of_channel))
        .split_for_parts();
    if let Some(others) = others {
        document.merge(others);
    }
    let document = Arc::new(document);
    let routes = routes
        .route("/api/openapi.json", axum::routing::get(move || async move { Json(document) }))
        .with_state(api.clone());
    for_everyone(routes).merge(pages::router(api))
}

/// Health and metrics.
pub fn admin_router(api: &Arc<Api>) -> Router {
    health::router(api)
}

fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("onair")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Channels of a live video server, and what is advertised there. Operators show the admin token as a bearer token, \
             broadcasters the stream key of their channel, advertisers their key. Amounts are decimal texts, exact to the \
             nano, in the one currency of the server.",
        ))
        .build();
    let mut components = Components::new();
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme("admin", scheme.clone());
    components.add_security_scheme("stream_key", scheme.clone());
    components.add_security_scheme("advertiser_key", scheme);
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// Where a request's sender reaches the server.
struct Here {
    /// Scheme and authority.
    base: String,
    /// Host alone.
    host: String,
}

impl Here {
    /// From the configuration, else from what the sender called us; it is told to the sender only.
    fn of(api: &Api, host: Option<&RequestHost>, secure: bool) -> Self {
        if let Some(base) = &api.public_base {
            let authority = base.split_once("://").map_or(base.as_str(), |(_, authority)| authority);
            return Self {
                base: base.clone(),
                host: RequestHost::from_authority(authority).name().to_owned(),
            };
        }
        let host = host.cloned().unwrap_or_else(|| RequestHost::from_authority("localhost"));
        Self { base: host.base(secure), host: host.name().to_owned() }
    }

    fn rtmp(&self, ports: &Ports) -> Option<String> {
        match ports.rtmp? {
            RTMP_PORT => Some(format!("rtmp://{}/live", self.host)),
            port => Some(format!("rtmp://{}:{port}/live", self.host)),
        }
    }
}
