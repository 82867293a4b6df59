//! `onair bench`: measures this server, or another, under a load of viewers or publishers.
//!
//! The server is a child on one processor; the publisher and all viewers are one thread on another. What is published is
//! made by arithmetic ([`source`]); every picture carries its number and the moment it was sent, so that viewers tell
//! delays and losses. A sample of the viewers looks at every picture ([`viewer`], [`player`]); the others are a
//! [`crowd`] that throws its bytes away, or they would be slower than the server.

mod audience;
mod baseline;
mod child;
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

use std::process::ExitCode;

pub use options::Command;

/// Measures what the command asks for and prints the report. It makes a runtime of its own.
pub fn run(command: Command) -> ExitCode {
    let json = command.common().json;
    match measure::run(&command) {
        Ok(report) => {
            println!("{}", if json { report.json() } else { report.table() });
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("onair bench: {error}");
            ExitCode::FAILURE
        }
    }
}
