//! The demonstration: a clip with clock, flash and beep, published over real RTMP to this very server.

mod clip;
mod publish;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use crate::api::Ports;
use crate::api::channels::{Directory, DirectoryError};
use crate::media::ChannelName;
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
}

/// Where to look.
#[derive(Debug)]
pub struct Links(Ports);

/// Makes the demonstration's channel, if there is none, and puts the clip on the air until the process ends.
///
/// # Errors
/// When the channel cannot be made or there is no RTMP listener.
pub async fn begin(directory: &Directory, ports: Ports) -> Result<Links, DemoError> {
    let port = ports.rtmp.ok_or(DemoError::NoRtmp)?;
    let name: ChannelName = CHANNEL.parse().expect("a valid name");
    // The key of an earlier start is not known any more: only its digest is kept.
    let key = match directory.channel(&name) {
        Some(_) => directory.rotate_key(name).await?,
        None => directory.create(name, "The onair demonstration".to_owned()).await?,
    };
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    tokio::spawn(publish(server, key.expose().to_owned()));
    Ok(Links(ports))
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ports { http, https, rtmp, .. } = self.0;
        writeln!(f, "\nonair is on the air. Open:\n")?;
        if let Some(port) = http {
            writeln!(f, "  watch        http://localhost:{port}/{CHANNEL}")?;
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
