//! The form that asks for an overlay.

use std::time::Duration;

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;
use utoipa::ToSchema;

use crate::http::ApiError;
use crate::media::MediaTime;
use crate::overlay::placement::Format;
use crate::overlay::{Request, VariantSet, Wanted};

/// What a form may have beside the image, in bytes.
pub(super) const AROUND: usize = 16 << 10;
/// The longest value that is not the image, in bytes.
const LONGEST_VALUE: usize = 64;

/// An overlay to be shown.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the form, which is read field by field")]
pub(in crate::api) struct Form {
    /// PNG, APNG, JPEG, WebP, GIF or SVG.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    format: Format,
    /// How long the overlay is to be on, in milliseconds.
    duration_ms: u64,
    /// The first moment with it, in nanoseconds of media time; as soon as possible when it is left out or `now`.
    start_ns: Option<i64>,
}

/// Reads the form.
pub(super) async fn read(mut form: Multipart, max_image: usize) -> Result<Request, ApiError> {
    let (mut image, mut format, mut duration, mut start) = (None, None, None, None);
    while let Some(mut field) = form.next_field().await.map_err(unreadable)? {
        match field.name().unwrap_or_default() {
            "image" => image = Some(bytes(&mut field, max_image).await?),
            "format" => format = Some(parse_format(&text(&mut field, LONGEST_VALUE).await?)?),
            "duration_ms" => duration = Some(parse_duration(&text(&mut field, LONGEST_VALUE).await?)?),
            "start_ns" => start = parse_start(&text(&mut field, LONGEST_VALUE).await?)?,
            _ => {
                return Err(ApiError::invalid("the fields are image, format, duration_ms and start_ns"));
            }
        }
    }
    let image = image.ok_or_else(|| lacks("image: the file"))?;
    let wanted = Wanted {
        format: format.ok_or_else(|| lacks(FORMATS))?,
        duration: duration.ok_or_else(|| lacks("duration_ms: how long it is to be on"))?,
        start,
        variants: VariantSet::ALL,
    };
    Ok(Request { wanted, image })
}

/// The formats there are.
pub(in crate::api) const FORMATS: &str = "format: lower_third, corner, l_shape or double_box";

/// Refuses a form without a field.
pub(in crate::api) fn lacks(what: &str) -> ApiError {
    ApiError::invalid(format!("{what} is missing"))
}

/// A format by its name.
pub(in crate::api) fn parse_format(text: &str) -> Result<Format, ApiError> {
    let name: serde::de::value::StrDeserializer<'_, ValueError> = text.into_deserializer();
    Format::deserialize(name).map_err(|_| ApiError::invalid(FORMATS))
}

fn parse_duration(text: &str) -> Result<Duration, ApiError> {
    let millis =
        text.parse().map_err(|_| ApiError::invalid("duration_ms: a whole number of milliseconds"))?;
    Ok(Duration::from_millis(millis))
}

fn parse_start(text: &str) -> Result<Option<MediaTime>, ApiError> {
    match text {
        "" | "now" => Ok(None),
        nanos => match nanos.parse() {
            Ok(nanos) => Ok(Some(MediaTime::from_nanos(nanos))),
            Err(_) => Err(ApiError::invalid("start_ns: media time as a whole number of nanoseconds, or now")),
        },
    }
}

/// A file of so many bytes at most.
pub(in crate::api) async fn bytes(field: &mut Field<'_>, most: usize) -> Result<Bytes, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(unreadable)? {
        if bytes.len() + chunk.len() > most {
            return Err(too_large(format!("image: a file of 1 to {most} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

/// A text of so many bytes at most.
pub(in crate::api) async fn text(field: &mut Field<'_>, most: usize) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(unreadable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > most {
            return Err(ApiError::invalid("a value is too long"));
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::invalid("a value is not UTF-8"))
}

/// Refuses what is no form.
pub(in crate::api) fn unreadable(error: MultipartError) -> ApiError {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large("the form is too large".to_owned()),
        _ => ApiError::bad_request("the form could not be read: send multipart/form-data"),
    }
}

fn too_large(message: String) -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}
