//! Changing networks: ICE restarts that are used, that are not, and that fail.

use str0m::IceCreds;

use super::stage::on_air_over_rtmp;
use crate::support::relay::{Direction, Path};
use crate::support::webrtc::Options;
use crate::support::webrtc::session::fragment;
use crate::support::webrtc::stun::Stun;
use crate::support::{Relay, WhepPlayer, in_time};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_who_changes_networks_restarts_ice_and_stays() {
    let mut stage = on_air_over_rtmp("kitchen").await;
    let relay = Relay::start(stage.server.udp, 1, Path::CLEAN, Path::CLEAN).await;
    let options = Options { via: Some(relay.address), ..Options::default() };
    let mut player = WhepPlayer::with(&stage.server, "kitchen", options).await;
    player.until_pictures(30).await;
    let (location, etag) = (player.session.resource.location.clone(), player.session.resource.etag.clone());

    let taken = relay.counts(Direction::Down).taken;
    relay.reroute();
    player.session.restart_ice().await;
    let restarted = player.session.resource.clone();
    assert!(restarted.etag != etag && restarted.location == location);
    assert_eq!(stage.server.metrics().await.value("onair_webrtc_sessions"), 1.0);

    // The checks with the new credentials have moved the session to the new address.
    in_time("an answer to the new address", async {
        while relay.counts(Direction::Down).taken == taken {
            tokio::task::yield_now().await;
        }
    })
    .await;
    stage.watched(player).await;
    assert_eq!(restarted.patch(&etag, &fragment(&IceCreds::new())).await.status, 412, "the old entity tag");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_is_never_used_changes_nothing() {
    let mut stage = on_air_over_rtmp("kitchen").await;
    let mut player = WhepPlayer::join(&stage.server, "kitchen").await;
    player.until_pictures(30).await;
    let etag = player.session.resource.etag.clone();
    for if_match in [etag.as_str(), "*", "*"] {
        let (creds, restart) = player.session.prepare_restart(if_match).await;
        let text = restart.fragment;
        assert!(text.contains("a=ice-ufrag:") && text.contains("a=ice-pwd:"), "{text}");
        assert!(
            text.contains(&format!("{} {} typ host", stage.server.udp.ip(), stage.server.udp.port())),
            "{text}"
        );
        assert!(!text.contains(&creds.ufrag), "{text}");
    }
    // The checks with the old credentials go on being answered, and so does the stream.
    stage.watched(player).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_whose_checks_are_forged_changes_nothing() {
    let mut stage = on_air_over_rtmp("kitchen").await;
    let mut player = WhepPlayer::join(&stage.server, "kitchen").await;
    player.until_pictures(30).await;
    let (creds, restart) = player.session.prepare_restart("*").await;
    let ufrag = restart.fragment.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).expect("a name");
    let server = IceCreds { ufrag: ufrag.to_owned(), pass: "not the password, but long".to_owned() };
    let forged = Stun::check(1, &server, &creds).authentic(&server.pass).fingerprinted();
    player.session.send_raw(vec![forged.bytes(); 5]).await;
    stage.server.until_counted("onair_webrtc_discarded_total{reason=\"forged check\"}", 5.0).await;
    stage.watched(player).await;
}
