//! A client and a server of this module, on a virtual clock.

use std::time::Duration;

use super::*;
use crate::protocol::rtmp::wire::capabilities::CAN_FORWARD;
use crate::protocol::rtmp::wire::chunk::{CSID_AUDIO, CSID_VIDEO, write_message};
use crate::protocol::rtmp::wire::message::{AUDIO, VIDEO};

/// A whole publish session; gives the events of both ends.
fn publish_session(split: Split<'_>) -> (Vec<Event>, Vec<ClientEvent>) {
    let mut pair = Pair::new(publish());
    pair.run(split).unwrap();
    assert!(pair.server.accept_publish());
    pair.run(split).unwrap();

    let mut data = metadata();
    data.insert(0, "@setDataFrame".into());
    pair.client.send_data(0, &data).unwrap();
    let picture: Vec<u8> = (0..30_000_u32).map(|at| (at * 13) as u8).collect();
    for number in 0..8_u32 {
        let timestamp = 0xff_ff00 + number * 40;
        pair.client.send_audio(timestamp, &[0xaf, 1, number as u8]).unwrap();
        pair.client.send_video(timestamp, &picture[..number as usize * 4000 + 1]).unwrap();
    }
    pair.client.stop();
    pair.run(split).unwrap();
    (pair.server_events, pair.client_events)
}

#[test]
fn a_publish_session_is_the_same_however_the_bytes_are_split() {
    let whole = publish_session(&mut |waiting| waiting);
    assert!(matches!(&whole.0[0], Event::Publish(_)));
    assert_eq!(whole.0[1], Event::Data { timestamp: 0, values: metadata() });
    assert_eq!(whole.0[2], Event::Audio(media(0xff_ff00, &[0xaf, 1, 0])));
    assert!(matches!(&whole.0[17], Event::Video(video) if video.body.len() == 28_001));
    assert_eq!(whole.0[18..], [Event::Unpublish]);
    assert!(matches!(&whole.1[..2], [ClientEvent::Connected { .. }, ClientEvent::Publishing]));

    assert_eq!(publish_session(&mut |_| 1), whole);
    for seed in 1..20 {
        let mut numbers = Numbers::new(seed);
        assert_eq!(publish_session(&mut |_| numbers.below(5000)), whole, "seed {seed}");
    }
}

#[test]
fn a_publish_request_tells_address_client_and_capabilities() {
    let pair = Pair::accepted(publish());
    let Some(Event::Publish(request)) = pair.server_events.first() else { panic!("no request") };
    assert_eq!(request.address.app, "live");
    assert_eq!(request.address.key(), Some("KEY"));
    assert_eq!(request.address.parameter("a"), Some("b"));
    assert_eq!(request.tc_url.as_deref(), Some("rtmp://host/live"));
    assert_eq!(request.flash_ver.as_deref(), Some("FMLE/3.0 (compatible; onair)"));
    assert_eq!(request.capabilities.video, [("*".to_owned(), CAN_FORWARD)]);
    assert_eq!(request.capabilities.caps_ex, CAPS_RECONNECT | CAPS_MOD_EX);
    let Some(ClientEvent::Connected { capabilities }) = pair.client_events.first() else {
        panic!("not connected")
    };
    assert_eq!(capabilities.fourcc_list, ["avc1", "hvc1", "av01", "mp4a", "Opus"]);
    assert_eq!(capabilities.caps_ex, CAPS_RECONNECT);
}

#[test]
fn a_player_gets_the_chunks_made_for_all_viewers() {
    for split in [1, 777, usize::MAX] {
        let mut pair = Pair::accepted(play());
        assert!(
            matches!(&pair.server_events[..], [Event::Play(request)] if request.address.stream == "show")
        );
        assert!(pair.client_events.contains(&ClientEvent::Playing));
        let told = pair.client_events.len();

        let (stream_id, chunk_size) = (pair.server.play_stream().unwrap(), pair.server.out_chunk_size());
        assert_eq!((stream_id, chunk_size), (1, 65_536));
        let picture = vec![0x17; 200_000];
        let (out, timestamp) = (&mut pair.to_client, u32::MAX);
        let parts: [&[u8]; 2] = [&picture[..5], &picture[5..]];
        write_message(out, CSID_VIDEO, timestamp, VIDEO, stream_id, chunk_size, &parts).unwrap();
        write_message(out, CSID_AUDIO, 20, AUDIO, stream_id, chunk_size, &[&[0xaf, 1, 2]]).unwrap();
        pair.run(&mut |_| split).unwrap();
        let expected =
            [ClientEvent::Video(media(u32::MAX, &picture)), ClientEvent::Audio(media(20, &[0xaf, 1, 2]))];
        assert_eq!(pair.client_events[told..], expected);

        pair.client.stop();
        pair.run(&mut |_| split).unwrap();
        assert_eq!(pair.server_events.last(), Some(&Event::StopPlay));
        assert_eq!(pair.client_events.last(), Some(&ClientEvent::Closed));
    }
}

#[test]
fn a_refused_publisher_is_told_why_in_words() {
    for (refusal, expected) in [
        (PublishRefusal::BadName, "NetStream.Publish.BadName"),
        (PublishRefusal::Denied, "NetStream.Publish.Denied"),
        (PublishRefusal::Failed, "NetStream.Publish.Failed"),
    ] {
        let mut pair = Pair::new(publish());
        pair.run(&mut |waiting| waiting).unwrap();
        pair.server.reject_publish(refusal, "This stream key is not known.");
        let Err(SessionError::Refused { code, description }) = pair.run(&mut |waiting| waiting) else {
            panic!("accepted")
        };
        assert_eq!((code.as_str(), description.as_str()), (expected, "This stream key is not known."));
    }
}

#[test]
fn a_refused_player_is_told_why_in_words() {
    for (refusal, expected) in [
        (PlayRefusal::StreamNotFound, "NetStream.Play.StreamNotFound"),
        (PlayRefusal::Failed, "NetStream.Play.Failed"),
    ] {
        let mut pair = Pair::new(play());
        pair.run(&mut |waiting| waiting).unwrap();
        pair.server.reject_play(refusal, "Nothing is on.");
        let refused = pair.run(&mut |waiting| waiting);
        assert!(matches!(refused, Err(SessionError::Refused { code, .. }) if code == expected));
    }
}

#[test]
fn media_before_acceptance_is_dropped() {
    let mut pair = Pair::accepted(publish());
    let mut early = Pair::new(publish());
    early.run(&mut |waiting| waiting).unwrap();
    // An impatient encoder: what another client sends once it is accepted.
    pair.client.send_video(0, &[0x17, 0]).unwrap();
    pair.poll();
    early.to_server = pair.to_server.split();
    early.run(&mut |waiting| waiting).unwrap();
    assert_eq!(early.server_events.len(), 1);
    assert_eq!(early.server.ignored(), 1);
}

#[test]
fn statuses_in_the_middle_of_a_session_arrive() {
    let mut pair = Pair::accepted(publish());
    pair.server.end_publish("Replaced by a newer connection with the same key.");
    pair.run(&mut |waiting| waiting).unwrap();
    let expected =
        ("error", "NetStream.Publish.BadName", "Replaced by a newer connection with the same key.");
    assert_eq!(pair.last_status(), Some(expected));

    let mut pair = Pair::accepted(play());
    pair.server.end_play(PlayEnd::Unpublished, "The publisher left.");
    pair.run(&mut |waiting| waiting).unwrap();
    assert_eq!(pair.last_status(), Some(("status", "NetStream.Play.UnpublishNotify", "The publisher left.")));
    pair.server.resume_play("It is back.");
    pair.run(&mut |waiting| waiting).unwrap();
    assert_eq!(pair.last_status(), Some(("status", "NetStream.Play.PublishNotify", "It is back.")));
    pair.server.end_play(PlayEnd::Stopped, "It is over.");
    pair.run(&mut |waiting| waiting).unwrap();
    assert_eq!(pair.last_status(), Some(("status", "NetStream.Play.Stop", "It is over.")));
    assert_eq!(pair.server.play_stream(), None);

    pair.server.close("The server is going down.");
    pair.run(&mut |waiting| waiting).unwrap();
    let expected = ("status", "NetConnection.Connect.Closed", "The server is going down.");
    assert_eq!(pair.last_status(), Some(expected));
    assert_eq!(pair.client_events.last(), Some(&ClientEvent::Closed));
}

#[test]
fn a_reconnect_request_goes_only_to_clients_that_know_it() {
    let mut pair = Pair::accepted(publish());
    assert!(pair.server.request_reconnect(Some("rtmp://other/live"), "Maintenance."));
    pair.run(&mut |waiting| waiting).unwrap();
    let expected = ClientEvent::ReconnectRequest {
        tc_url: Some("rtmp://other/live".to_owned()),
        description: "Maintenance.".to_owned(),
    };
    assert_eq!(pair.client_events.last(), Some(&expected));

    let mut old = Pair::new(publish());
    old.client =
        ClientSession::new(ClientSettings::new("host", "live", publish()), &[9; RANDOM_LENGTH], old.now);
    old.run(&mut |waiting| waiting).unwrap();
    assert!(!old.server.request_reconnect(None, "Maintenance."));
}

#[test]
fn pings_are_answered_in_both_directions() {
    let mut pair = Pair::accepted(publish());
    pair.server.ping(1234);
    pair.run(&mut |waiting| waiting).unwrap();
    assert_eq!(pair.server_events.last(), Some(&Event::Pong(1234)));
}

#[test]
fn received_bytes_are_acknowledged_once_a_window() {
    let mut pair = Pair::accepted(publish());
    pair.to_client.clear();
    for number in 0..100 {
        pair.client.send_video(number, &[0; 60_000]).unwrap();
        pair.poll();
        pair.server_input.unsplit(pair.to_server.split());
        while pair.server.receive(&mut pair.server_input, pair.now).unwrap() == Intake::Backlogged {
            pair.poll();
        }
        pair.poll();
    }
    // Six megabytes, in windows of two and a half; an acknowledgement is a message of sixteen bytes.
    assert_eq!(pair.to_client.len(), 2 * 16);
    assert_eq!(pair.to_client[..12], [2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0]);
}

#[test]
fn b1_a_peer_that_never_asks_for_anything_is_timed_out() {
    let mut pair = Pair::new(publish());
    let begun = pair.now;
    pair.poll();
    let deadline = pair.server.next_timeout().unwrap();
    assert_eq!(deadline, begun + Duration::from_secs(10));
    // A byte a second, and the handshake is never complete.
    for byte in pair.to_server.split().iter().take(10) {
        assert!(pair.server.timeout(pair.now).is_ok());
        pair.server_input.extend_from_slice(&[*byte]);
        assert_eq!(pair.server.receive(&mut pair.server_input, pair.now), Ok(Intake::Drained));
        assert_eq!(pair.server.next_timeout(), Some(deadline));
        pair.now += Duration::from_secs(1);
    }
    assert_eq!(pair.server.timeout(pair.now), Err(SessionError::SetupTimeout));
    assert_eq!(pair.server.receive(&mut pair.server_input, pair.now), Err(SessionError::SetupTimeout));
}

#[test]
fn b1_the_time_to_ask_ends_with_the_request_and_begins_again_after_it() {
    let mut pair = Pair::new(publish());
    pair.run(&mut |waiting| waiting).unwrap();
    assert_eq!(pair.server.next_timeout(), None);
    pair.now += Duration::from_secs(3600);
    assert!(pair.server.accept_publish());
    pair.run(&mut |waiting| waiting).unwrap_err();
    pair.server.timeout(pair.now).unwrap();
    pair.client.stop();
    pair.poll();
    pair.server_input.unsplit(pair.to_server.split());
    assert_eq!(pair.server.receive(&mut pair.server_input, pair.now), Ok(Intake::Drained));
    assert_eq!(pair.server.next_timeout(), Some(pair.now + Duration::from_secs(10)));
}
