//! The commands: `serve`, `demo`, `check`, `bench`.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{App, StartError};
use crate::av::worker::Workers;
use crate::config::{Config, Invalid};
use crate::demo;
use crate::net::files;
use crate::net::tls::{CertificateError, Certificates};
use crate::{bench, log};

/// The exit code for a wrong configuration, as for wrong arguments.
const MISCONFIGURED: u8 = 2;

/// The file that is read when none is named and it is there.
const DEFAULT_FILE: &str = "config.toml";

/// Where the demonstration serves HTTPS.
const DEMO_HTTPS_PORT: u16 = 8443;

#[derive(Parser)]
#[command(
    name = "onair",
    version,
    about = "Live video server: RTMP in; RTMP, HTTP-FLV and low-latency HLS out"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server until SIGTERM or Ctrl-C; SIGHUP reloads the keys marked so in config.toml
    Serve(ConfigFile),
    /// Run the server with a demonstration broadcast, and print its links
    Demo(ConfigFile),
    /// Check the configuration without binding anything
    Check(ConfigFile),
    /// Measure this or another server under load
    #[command(subcommand)]
    Bench(bench::Command),
}

#[derive(Args)]
struct ConfigFile {
    /// The configuration; without it, config.toml where there is one, else the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn load(&self) -> Result<Config, Invalid> {
        let default = Path::new(DEFAULT_FILE);
        let file = self.config.as_deref().or_else(|| default.exists().then_some(default));
        Config::load(file, std::env::vars())
    }
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(file) => with_config(&file, |config| serve(&file, &config, false)),
        Command::Demo(file) => with_config(&file, |config| serve(&file, &for_demo(config), true)),
        Command::Check(file) => with_config(&file, |config| check(&config)),
        Command::Bench(command) => bench::run(command),
    }
}

fn with_config(file: &ConfigFile, then: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match file.load() {
        Ok(config) => then(config),
        Err(invalid) => {
            eprintln!("{invalid}");
            ExitCode::from(MISCONFIGURED)
        }
    }
}

fn check(config: &Config) -> ExitCode {
    if let Some(error) = certificate_problem(config) {
        eprintln!("tls: {error}");
        return ExitCode::from(MISCONFIGURED);
    }
    println!("the configuration is right");
    for (key, address) in config.listeners() {
        println!("  {key} = {address}");
    }
    println!("  {}", worker(config));
    ExitCode::SUCCESS
}

/// Whether there is a media worker, and how the kernel confines it: a line for people.
fn worker(config: &Config) -> String {
    if config.worker.max_jobs == 0 {
        return "no media worker: worker.max_jobs is 0".to_owned();
    }
    let asked = Runtime::new()
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(Workers::ask(&config.worker)));
    match asked {
        Ok(hello) => {
            let lacking: Vec<&str> = hello.confinement.lacking().collect();
            let walls = match lacking.as_slice() {
                [] => "confined".to_owned(),
                lacking => format!("confined, but this kernel lacks {}", lacking.join(" and ")),
            };
            format!("media worker: {}, {walls}", hello.libraries)
        }
        Err(reason) => format!(
            "no media worker: {reason}. Pictures are not converted, overlays are not burned in; all else works"
        ),
    }
}

/// Why a certificate that is configured cannot be used.
fn certificate_problem(config: &Config) -> Option<CertificateError> {
    config.tls.cert.as_ref().and_then(|_| Certificates::load(&config.tls).err())
}

/// Every connection is an open file.
fn allow_open_files(config: &Config) {
    let wanted = (config.http.max_connections + config.rtmp.max_connections) as u64;
    match files::allow_open_files() {
        Ok(limit) if limit < wanted => {
            tracing::warn!(
                limit,
                wanted,
                "the limit on open files is below the limits on connections: raise ulimit -n"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit on open files was not raised"),
    }
}

/// The demonstration has HTTPS too, with a certificate of its own making where there is none.
fn for_demo(mut config: Config) -> Config {
    if config.http.tls_listen.is_none() && config.tls.cert.is_none() {
        config.http.tls_listen = config.http.listen.map(|plain| {
            // Port 0 stays 0: whichever is free.
            let port = if plain.port() == 0 { 0 } else { DEMO_HTTPS_PORT };
            SocketAddr::new(plain.ip(), port)
        });
        config.tls.self_signed = true;
    }
    config
}

fn serve(file: &ConfigFile, config: &Config, with_demo: bool) -> ExitCode {
    let log = log::init(&config.log);
    allow_open_files(config);
    let ended = Runtime::new().map_err(StartError::Runtime).map_err(Box::from).and_then(|runtime| {
        runtime.block_on(async {
            // Before anything can be seen to run: whoever sees it may send a signal.
            let signals = Signals::receive()?;
            let mut config = config.clone();
            if with_demo {
                demo::bidders::begin(&mut config.sale, &config.data.dir).await?;
            }
            let app = App::start(&config, log).await?;
            if with_demo {
                let links = demo::begin(&app.directory, app.ports, &app.bookings, app.sale.as_ref()).await?;
                println!("{links}");
            }
            signals.until_told(&app, file).await;
            app.shutdown().await;
            Ok(())
        })
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err::<(), Box<dyn Error>>(error) => {
            eprintln!("onair: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What an operator tells the running server.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on signals wait to be read, instead of ending the process.
    fn receive() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for SIGTERM or Ctrl-C; reloads on SIGHUP.
    async fn until_told(mut self, app: &App, file: &ConfigFile) {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => match file.load() {
                    Ok(config) => app.reload(&config),
                    Err(invalid) => tracing::error!(%invalid, "the configuration was not reloaded"),
                },
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
            }
        }
    }
}
