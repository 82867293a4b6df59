//! The `onair` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    onair::cli::run()
}
