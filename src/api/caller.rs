//! Who is asking: the operator, or anybody.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::{Api, Here};
use crate::auth::bearer;
use crate::http::{ApiError, Connection, RequestHost};

/// A request with the admin token; others are refused.
pub(super) struct Operator;

/// A request with the admin token or without any; one with a wrong token is refused rather than served less.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Operator,
    Anybody,
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
