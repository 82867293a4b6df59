//! `onair bench`: measures this server, or another, under a load of viewers, publishers or people who talk.
//!
//! The server is a child on one processor; the publisher and all viewers are one thread on another. What is published is
//! made by arithmetic ([`source`]); every picture carries its number and the moment it was sent, so that viewers tell
//! delays and losses. A sample of the viewers looks at every picture ([`viewer`], [`player`]); the others are a
//! [`crowd`] that throws its bytes away, or they would be slower than the server.

mod auction;
mod audience;
mod baseline;
mod child;
mod comments;
mod crowd;
mod http;
mod machine;
mod measure;
mod options;
mod player;
mod playlist;
mod publisher;
mod report;
mod samples;
mod server;
mod source;
mod stage;
mod target;
mod usage;
mod viewer;
mod whep;

use std::error::Error;
use std::process::ExitCode;

use clap::Subcommand;

/// Measures a server under load.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Viewers or publishers of streams.
    #[command(flatten)]
    Stream(options::Command),
    /// Viewers of rooms who talk and send hearts
    Comments(comments::Options),
    /// Decisions of auctions, and the commits of their reservations
    Auction(auction::Options),
}

/// Measures what the command asks for and prints the report. It makes a runtime of its own.
pub fn run(command: Command) -> ExitCode {
    let report: Result<String, Box<dyn Error>> = match command {
        Command::Stream(command) => {
            let json = command.common().json;
            let report =
                measure::run(&command).map(|report| if json { report.json() } else { report.table() });
            report.map_err(Into::into)
        }
        Command::Comments(options) => {
            comments::run(&options).map(|report| report.text(options.common.json)).map_err(Into::into)
        }
        Command::Auction(options) => {
            auction::run(&options).map(|report| report.text(options.json)).map_err(Into::into)
        }
    };
    match report {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("onair bench: {error}");
            ExitCode::FAILURE
        }
    }
}
