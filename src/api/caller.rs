//! Who is asking: the operator, an advertiser, or anybody.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::{Api, Here};
use crate::auth::bearer;
use crate::booking::AdvertiserId;
use crate::http::{ApiError, Connection, RequestHost};

/// A request with the admin token; others are refused.
pub(super) struct Operator;

/// A request with the admin token or without any; one with a wrong token is refused rather than served less.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Operator,
    Anybody,
}

/// Who books: the operator, or an advertiser with the own key; others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Booker {
    Operator,
    Advertiser(AdvertiserId),
}

impl Booker {
    /// Whether the one of the advertiser's things is any business of the caller's. To others they are not there.
    pub(super) fn may_see(self, advertiser: AdvertiserId) -> bool {
        self == Self::Operator || self == Self::Advertiser(advertiser)
    }

    pub(super) fn is_operator(self) -> bool {
        self == Self::Operator
    }

    /// Refuses advertisers what is the operator's.
    pub(super) fn check_operator(self) -> Result<(), ApiError> {
        if self.is_operator() {
            return Ok(());
        }
        Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", "this is for the operator"))
    }
}

impl FromRequestParts<Arc<Api>> for Booker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        booker(api, &parts.headers).ok_or_else(|| {
            let message = "send the admin token or the advertiser's key as Authorization: Bearer TOKEN";
            ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
                .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"onair\""))
        })
    }
}

/// Who books, if it is anybody who may.
pub(super) fn booker(api: &Api, headers: &HeaderMap) -> Option<Booker> {
    let shown = bearer(headers)?;
    if api.token.is(shown) {
        return Some(Booker::Operator);
    }
    api.bookings.advertiser_for(shown).map(Booker::Advertiser)
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        if !parts.headers.contains_key(AUTHORIZATION) {
            return Ok(Self::Anybody);
        }
        match bearer(&parts.headers) {
            Some(token) if api.token.is(token) => Ok(Self::Operator),
            _ => Err(ApiError::unauthorized()),
        }
    }
}

impl FromRequestParts<Arc<Api>> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        match Caller::from_request_parts(parts, api).await? {
            Caller::Operator => Ok(Self),
            Caller::Anybody => Err(ApiError::unauthorized()),
        }
    }
}

impl FromRequestParts<Arc<Api>> for Here {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Infallible> {
        let secure = parts.extensions.get::<Connection>().is_some_and(Connection::is_secure);
        Ok(Self::of(api, parts.extensions.get::<RequestHost>(), secure))
    }
}
