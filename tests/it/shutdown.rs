//! The program's signals and its configuration, as an operator meets them.

use std::process::Stdio;

use onair::format::flv::file::TagKind;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::support::packet::assert_same;
use crate::support::process::{ONAIR, Process, write_config};
use crate::support::{Encoder, Fixture, Peer, Player, Viewer, in_time};

/// A broadcast on the program, watched over both protocols.
async fn on_air(server: &Process) -> (Encoder, [Viewer; 2], Fixture) {
    let channel = server.channel("kitchen").await;
    let fixture = Fixture::read("short").until_last_picture();
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let mut viewers =
        [Viewer::rtmp_at(server.rtmp, "kitchen").await, Viewer::flv_at(server.http, "kitchen").await];
    encoder.send(&fixture.tags[..fixture.until_joinable()]).await;
    for viewer in &mut viewers {
        viewer.frame().await;
    }
    (encoder, viewers, fixture)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_tells_the_publisher_lets_viewers_go_and_exits_with_0() {
    let server = Process::start("").await;
    let (mut encoder, mut viewers, fixture) = on_air(&server).await;
    encoder.send(&fixture.tags[fixture.until_joinable()..]).await;
    for viewer in &mut viewers {
        viewer.frames(fixture.expected().len() - 1).await;
    }
    server.signal("TERM").await;
    let (code, description) = encoder.0.status().await.expect("the publisher is told");
    assert_eq!(code, "NetConnection.Connect.Closed");
    assert!(description.contains("shutting down"), "{description}");
    drop(encoder);
    for viewer in &mut viewers {
        viewer.until_end().await;
        assert_same(viewer.protocol, &viewer.packets(), &fixture.expected());
    }
    drop(viewers);
    assert_eq!(server.exited().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigint_ends_a_server_without_guests_at_once() {
    let server = Process::start("").await;
    server.signal("INT").await;
    assert_eq!(server.exited().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draining_server_takes_nobody_new_and_does_not_wait_for_those_who_do_not_read() {
    let mut server = Process::start("[rtmp]\nstall_timeout = \"1s\"\nsend_buffer = \"16KiB\"").await;
    let (mut encoder, viewers, fixture) = on_air(&server).await;
    let sleeper = Player::join(server.rtmp, "kitchen").await;
    let half_open = Peer::open(server.rtmp).await;
    let more = fixture.padded(256 << 10);
    encoder.send(&more.tags[more.until_joinable()..]).await;
    server.signal("TERM").await;
    server.logs("draining").await;
    let (http, rtmp) = (server.http, server.rtmp);
    let closed = async {
        // Between the signal and the end of the listeners lie microseconds.
        while TcpStream::connect(rtmp).await.is_ok() || TcpStream::connect(http).await.is_ok() {}
    };
    in_time("the listeners' end", closed).await;
    assert_eq!(server.exited().await.code(), Some(0));
    drop((encoder, viewers, sleeper, half_open));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_changes_limits_and_drops_nobody() {
    let mut server = Process::start("").await;
    let directory = server.config.parent().expect("a directory").to_owned();
    let (mut encoder, mut viewers, fixture) = on_air(&server).await;

    write_config(&directory, "[rtmp]\nmax_connections = 2\n");
    server.signal("HUP").await;
    server.logs("configuration reloaded").await;
    assert_eq!(Peer::open(server.rtmp).await.closed().await, "", "a third connection is one too many");

    write_config(&directory, "[rtmp]\nmax_connections = \"many\"\n");
    server.signal("HUP").await;
    let line = server.logs("the configuration was not reloaded").await;
    assert!(line.contains("rtmp.max_connections"), "{line}");
    assert_eq!(Peer::open(server.rtmp).await.closed().await, "", "the limit stays");

    write_config(&directory, "[rtmp]\nmax_connections = 100\n");
    server.signal("HUP").await;
    server.logs("configuration reloaded").await;
    Player::join(server.rtmp, "kitchen").await;

    encoder.send(&fixture.tags[fixture.until_joinable()..]).await;
    for viewer in &mut viewers {
        viewer.frames(fixture.expected().len() - 1).await;
        assert_same(viewer.protocol, &viewer.packets(), &fixture.expected());
    }
    assert!(viewers[0].tags.iter().any(|tag| tag.kind == TagKind::Video));
}

/// `onair check` with this configuration: exit code, standard output, standard error.
async fn check(config: &str, variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("config.toml");
    std::fs::write(&path, config).expect("room");
    let mut command = Command::new(ONAIR);
    command.arg("check").arg("--config").arg(&path).envs(variables.iter().copied()).stdin(Stdio::null());
    let output = in_time("onair check", command.output()).await.expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn check_accepts_what_is_right_and_binds_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let (code, said, complained) = check(&format!("[rtmp]\nlisten = \"{address}\"\n"), &[]).await;
    assert_eq!((code, complained.as_str()), (Some(0), ""));
    assert!(said.contains(&format!("rtmp.listen = {address}")), "{said}");
}

#[tokio::test]
async fn check_names_file_line_key_and_what_is_allowed() {
    let config = "[http]\nlisten = \"nowhere\"\n[rtmp]\nidle_timeout = \"0s\"\nlissen = \"127.0.0.1:1\"\n[no]\nkey = 1\n";
    let (code, _, complained) = check(config, &[("ONAIR_RTMP__MAX_CONNECTIONS", "many")]).await;
    assert_eq!(code, Some(2));
    for expected in [
        "config.toml:2: http.listen:",
        "config.toml:4: rtmp.idle_timeout: expected more than 0s",
        "config.toml:5: rtmp.lissen: unknown key; keys of [rtmp] are",
        "config.toml:6: no: unknown section; sections are",
        "ONAIR_RTMP__MAX_CONNECTIONS: rtmp.max_connections:",
    ] {
        assert!(complained.contains(expected), "{expected:?} is not in\n{complained}");
    }
    let (code, _, complained) = check("[http\n", &[]).await;
    assert_eq!(code, Some(2));
    assert!(complained.contains("config.toml:1:"), "{complained}");
}
