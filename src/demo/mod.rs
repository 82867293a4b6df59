//! The demonstration: a clip with clock, flash and beep, published over real RTMP to this very server.

mod advertisers;
pub mod bidders;
mod clip;
mod publish;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use crate::api::Ports;
use crate::api::channels::{Directory, DirectoryError};
use crate::booking::{BookingError, Bookings};
use crate::media::ChannelName;
use crate::sale::{self, Sale};
use publish::publish;

/// Two minutes of clock, flash and beep; how it was made is told in `media-fixtures/README.md`.
const CLIP: &[u8] = include_bytes!("../../media-fixtures/demo.flv");

/// The channel of the demonstration.
const CHANNEL: &str = "demo";

/// Why there is no demonstration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// It has nowhere to publish.
    #[error("the demonstration needs rtmp.listen")]
    NoRtmp,
    /// Its channel cannot be made.
    #[error(transparent)]
    Channel(#[from] DirectoryError),
    /// Its advertisers cannot book anything.
    #[error("the demonstration's advertisers: {0}")]
    Booking(#[from] BookingError),
    /// Its slots cannot be set.
    #[error(transparent)]
    Sale(#[from] sale::AskError),
}

/// Where to look.
#[derive(Debug)]
pub struct Links(Ports);

/// Makes the demonstration's channel, if there is none, puts the clip on the air until the process ends, and has
/// advertisers compete for a slot every half a minute, if anything is sold.
///
/// # Errors
/// When the channel cannot be made or there is no RTMP listener.
pub async fn begin(
    directory: &Directory,
    ports: Ports,
    bookings: &Bookings,
    sale: Option<&Sale>,
) -> Result<Links, DemoError> {
    let port = ports.rtmp.ok_or(DemoError::NoRtmp)?;
    let name: ChannelName = CHANNEL.parse().expect("a valid name");
    // The key of an earlier start is not known any more: only its digest is kept.
    let key = match directory.channel(&name) {
        Some(_) => directory.rotate_key(name.clone()).await?,
        None => directory.create(name.clone(), "The onair demonstration".to_owned()).await?,
    };
    if let Some(sale) = sale
        && let Err(error) = advertisers::book(&name, bookings, sale).await
    {
        // There is no worker, for instance: all else is there to be seen.
        tracing::warn!(%error, "the demonstration goes on without overlays");
    }
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    tokio::spawn(publish(server, key.expose().to_owned()));
    Ok(Links(ports))
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ports { http, https, rtmp, .. } = self.0;
        writeln!(f, "\nonair is on the air. Open:\n")?;
        if let Some(port) = http {
            writeln!(
                f,
                "  watch        http://localhost:{port}/{CHANNEL}  (the page draws overlays, for a click)"
            )?;
            writeln!(f, "  burned in    http://localhost:{port}/{CHANNEL}?overlays=burned")?;
        }
        if let Some(port) = https {
            writeln!(
                f,
                "  over HTTPS   https://localhost:{port}/{CHANNEL}  (certificate made at start: the browser will ask)"
            )?;
        }
        if let Some(port) = http {
            writeln!(f, "  all channels http://localhost:{port}/")?;
            writeln!(f, "  HLS          http://localhost:{port}/hls/{CHANNEL}/index.m3u8")?;
            writeln!(f, "  HTTP-FLV     http://localhost:{port}/live/{CHANNEL}.flv")?;
        }
        if let Some(port) = rtmp {
            writeln!(f, "  RTMP         rtmp://localhost:{port}/live/{CHANNEL}")?;
        }
        write!(
            f,
            "\nThe clock in the picture is the clock of this machine: what it lags behind is the delay. Ctrl-C ends it."
        )
    }
}
