//! What can be asked of a measurement.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::audience::Output;
use super::target::Target;
use super::viewer::Protocol;

/// Measures a server under load: those it serves, its processor time and memory, joins and delays.
///
/// The server runs on one processor, the publisher and the viewers on another. Other programs that use them spoil the
/// figures; the report says how much they did.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Viewers of one stream over RTMP
    Rtmp(ViewerOptions),
    /// Viewers of one stream over HTTP-FLV
    Flv(ViewerOptions),
    /// Players of one stream over low-latency HLS
    Hls(ViewerOptions),
    /// Viewers of one stream over WHEP
    Whep(ViewerOptions),
    /// Publishers, each of an own stream, without viewers
    Publish(PublisherOptions),
}

/// What the server is loaded with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load<'a> {
    /// Viewers of one stream.
    Viewers(Output, &'a ViewerOptions),
    /// Publishers of many.
    Publishers(&'a PublisherOptions),
}

impl Command {
    pub(super) fn load(&self) -> Load<'_> {
        match self {
            Self::Rtmp(options) => Load::Viewers(Output::Stream(Protocol::Rtmp), options),
            Self::Flv(options) => Load::Viewers(Output::Stream(Protocol::Flv), options),
            Self::Hls(options) => Load::Viewers(Output::Hls, options),
            Self::Whep(options) => Load::Viewers(Output::Whep, options),
            Self::Publish(options) => Load::Publishers(options),
        }
    }

    pub(super) fn common(&self) -> &CommonOptions {
        match self.load() {
            Load::Viewers(_, options) => &options.common,
            Load::Publishers(options) => &options.common,
        }
    }

    pub(super) fn peer(&self) -> Option<Peer> {
        match self.load() {
            Load::Viewers(_, options) => options.peer,
            Load::Publishers(options) => options.peer,
        }
    }

    pub(super) fn baseline(&self) -> bool {
        match self.load() {
            Load::Viewers(_, options) => options.baseline,
            Load::Publishers(options) => options.baseline,
        }
    }

    pub(super) fn clients(&self) -> usize {
        match self.load() {
            Load::Viewers(_, options) => options.viewers as usize,
            Load::Publishers(options) => options.publishers as usize,
        }
    }

    pub(super) fn title(&self) -> &'static str {
        match self.load() {
            Load::Viewers(Output::Stream(Protocol::Rtmp), _) => "RTMP play",
            Load::Viewers(Output::Stream(Protocol::Flv), _) => "HTTP-FLV",
            Load::Viewers(Output::Hls, _) => "low-latency HLS",
            Load::Viewers(Output::Whep, _) => "WHEP",
            Load::Publishers(_) => "RTMP publish",
        }
    }
}

/// A measurement with viewers.
#[derive(Clone, Debug, Args)]
pub struct ViewerOptions {
    /// How many viewers
    #[arg(long, default_value_t = 1000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub viewers: u32,
    /// Viewers that join a second
    #[arg(long, default_value_t = 200, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub joins: u32,
    /// Viewers whose every picture is looked at; the others only count bytes or parts
    #[arg(long, default_value_t = 100, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub sample: u32,
    /// Measure this server too, in the same run
    #[arg(long, value_name = "SERVER", conflicts_with = "url")]
    pub peer: Option<Peer>,
    /// Measure a server that runs already: where its stream is played; with --publish-url
    #[arg(long, value_name = "URL", requires = "publish_url")]
    pub url: Option<Target>,
    /// Where its stream is published, over RTMP
    #[arg(long, value_name = "URL", requires = "url")]
    pub publish_url: Option<Target>,
    /// Its process, for processor time and memory
    #[arg(long, value_name = "PID", requires = "url")]
    pub pid: Option<u32>,
    /// Also measure what the machine needs just to write the stream to as many viewers
    #[arg(long)]
    pub baseline: bool,
    #[command(flatten)]
    pub common: CommonOptions,
}

/// A measurement with publishers.
#[derive(Clone, Debug, Args)]
pub struct PublisherOptions {
    /// How many publishers
    #[arg(long, default_value_t = 100, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub publishers: u32,
    /// Publishers that come in a second
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub joins: u32,
    /// Measure this server too, in the same run
    #[arg(long, value_name = "SERVER")]
    pub peer: Option<Peer>,
    /// Also measure what the machine needs just to write the stream to as many viewers
    #[arg(long)]
    pub baseline: bool,
    #[command(flatten)]
    pub common: CommonOptions,
}

/// What every measurement can be told.
#[derive(Clone, Debug, Args)]
pub struct CommonOptions {
    /// Seconds that are measured
    #[arg(long, default_value = "20", value_name = "SECONDS", value_parser = seconds)]
    pub duration: Duration,
    /// Seconds from the last join to the beginning of the measurement
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    pub warm_up: Duration,
    /// Report in JSON
    #[arg(long)]
    pub json: bool,
    /// The onair program to measure, instead of this one
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
}

/// Another server to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// nginx with the rtmp module, from Debian's packages nginx and libnginx-mod-rtmp
    NginxRtmp,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: u64 = text.parse().map_err(|_| "expected whole seconds".to_owned())?;
    match seconds {
        1..=86_400 => Ok(Duration::from_secs(seconds)),
        _ => Err("expected 1 to 86400 seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn a_measurement_needs_no_options() {
        let Command::Flv(options) = Program::try_parse_from(["bench", "flv"]).unwrap().command else {
            panic!("another load");
        };
        assert_eq!((options.viewers, options.common.duration), (1000, Duration::from_secs(20)));
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        for arguments in [
            vec!["bench"],
            vec!["bench", "rtmp", "--viewers", "0"],
            vec!["bench", "rtmp", "--duration", "0"],
            vec!["bench", "rtmp", "--url", "rtmp://h/live/a"],
            vec!["bench", "rtmp", "--pid", "7"],
            vec!["bench", "hls", "--url", "ftp://h/live/a", "--publish-url", "rtmp://h/live/a"],
        ] {
            assert!(Program::try_parse_from(&arguments).is_err(), "{arguments:?}");
        }
    }
}
