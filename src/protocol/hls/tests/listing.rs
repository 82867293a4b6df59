//! The text of playlists, read by an independent parser and compared line by line.

use bytes::Bytes;
use m3u8_rs::Playlist;

use super::super::pace::PackagerConfig;
use super::super::packager::Packager;
use super::super::playlist::{Form, multivariant};
use super::support::*;
use crate::format::scte35::{Command, SpliceInfoSection, slot};
use crate::media::{Cue, CueId, CueOrigin, CueState, MediaTime};

fn live(seconds: f64) -> Packager {
    let mut packager = packager(PackagerConfig::default(), [picture(), sound(1, 0)]);
    let frames = interleaved([pictures(30.0, 60, seconds), sounds(SOUND, seconds)]);
    frames.into_iter().for_each(|frame| packager.frame(frame));
    packager
}

#[test]
fn live_playlist_reads_so() {
    let expected = "\
#EXTM3U
#EXT-X-VERSION:10
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,CAN-SKIP-DATERANGES=YES,HOLD-BACK=6.0,PART-HOLD-BACK=0.600
#EXT-X-PART-INF:PART-TARGET=0.200
#EXT-X-MEDIA-SEQUENCE:1
#EXT-X-DISCONTINUITY-SEQUENCE:0
#EXT-X-MAP:URI=\"init0.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T12:00:00.000Z
#EXT-X-PART:DURATION=0.20000,URI=\"1.0.m4s\",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.20000,URI=\"1.1.m4s\"
#EXT-X-PART:DURATION=0.20000,URI=\"1.2.m4s\"
#EXT-X-PART:DURATION=0.20000,URI=\"1.3.m4s\"
#EXT-X-PART:DURATION=0.20000,URI=\"1.4.m4s\"
#EXT-X-PART:DURATION=0.20000,URI=\"1.5.m4s\"
#EXT-X-PART:DURATION=0.20000,URI=\"1.6.m4s\"
#EXT-X-PART:DURATION=0.20000,URI=\"1.7.m4s\"
#EXT-X-PART:DURATION=0.20000,URI=\"1.8.m4s\"
#EXT-X-PART:DURATION=0.20000,URI=\"1.9.m4s\"
#EXTINF:2.00000,
1.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T12:00:02.000Z
#EXT-X-PART:DURATION=0.20000,URI=\"2.0.m4s\",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.20000,URI=\"2.1.m4s\"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"2.2.m4s\"
";
    assert_eq!(text(&live(2.5), Form::Full), expected);
}

#[test]
fn multivariant_playlist_tells_codecs_size_and_rate() {
    let text = multivariant(&live(7.0), "1abc").unwrap();
    let Ok((_, Playlist::MasterPlaylist(playlist))) = m3u8_rs::parse_playlist(text.as_bytes()) else {
        panic!("{text}")
    };
    let [variant] = &playlist.variants[..] else { panic!("{text}") };
    assert_eq!(variant.uri, "1abc/main/index.m3u8");
    assert!(variant.codecs.as_ref().unwrap().starts_with("avc3."));
    assert!(variant.codecs.as_ref().unwrap().ends_with(",mp4a.40.2"));
    assert_eq!(variant.resolution.map(|size| (size.width, size.height)), Some((1280, 720)));
    assert_eq!(variant.frame_rate, Some(30.0));
    assert!(variant.bandwidth >= variant.average_bandwidth.unwrap() && variant.bandwidth > 1000);
    assert_eq!(multivariant(&Packager::new(PackagerConfig::default()), "x"), None, "nothing to list yet");
}

#[test]
fn window_moves_on_and_departed_segments_are_still_served() {
    let packager = live(100.0);
    let playlist = packager.main().unwrap();
    let text = text(&packager, Form::Full);
    let Ok((_, Playlist::MediaPlaylist(read))) = m3u8_rs::parse_playlist(text.as_bytes()) else {
        panic!("{text}")
    };
    assert_eq!(read.target_duration, 2);
    assert_eq!(read.media_sequence, playlist.first_msn());
    let listed: f32 = read.segments.iter().map(|segment| segment.duration).sum();
    assert!((30.0..34.1).contains(&listed), "{listed} s");
    assert!(read.segments.iter().all(|segment| segment.program_date_time.is_some()));
    let parts = text.lines().filter(|line| line.starts_with("#EXT-X-PART:")).count();
    assert!((25..=41).contains(&parts), "{parts} parts: those of the last three target durations");
    assert!(playlist.segment(playlist.first_msn() - 5).is_some(), "a player may still ask for it");
    assert!(playlist.segment(0).is_none());
}

#[test]
fn delta_update_leaves_out_what_the_player_has() {
    let packager = live(61.0);
    let (full, delta) = (text(&packager, Form::Full), text(&packager, Form::Delta));
    assert_eq!(
        delta,
        text(&packager, Form::DeltaWithDateRanges).replace(",RECENTLY-REMOVED-DATERANGES=\"\"", "")
    );
    let skip = delta.lines().find_map(|line| line.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS=")).unwrap();
    let skipped: usize = skip.parse().unwrap();
    let count = |text: &str| text.lines().filter(|line| line.starts_with("#EXTINF")).count();
    assert_eq!(count(&delta) + skipped, count(&full));
    let kept: f64 = delta
        .lines()
        .filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(',')?.parse::<f64>().ok())
        .sum();
    assert!(kept >= 12.0, "nothing within the skip boundary is left out: {kept}");
    assert!(full.ends_with(delta.rsplit_once("#EXT-X-SKIP").unwrap().1.split_once('\n').unwrap().1));
    assert!(!delta.contains("#EXT-X-MAP"), "the player has it");
    assert!(!text(&live(8.0), Form::Delta).contains("#EXT-X-SKIP"), "nothing to leave out yet");
}

#[test]
fn delta_update_after_an_interruption_still_has_what_the_player_may_lack() {
    let mut packager = live(40.0);
    packager.interrupted();
    for mut frame in interleaved([pictures(30.0, 60, 1.0), sounds(SOUND, 1.0)]) {
        frame.dts += MediaTime::from_millis(90_000);
        frame.pts = frame.dts;
        packager.frame(frame);
    }
    let delta = text(&packager, Form::Delta);
    let kept: Vec<&str> = delta.lines().filter(|line| line.starts_with("#EXTINF")).collect();
    assert!((6..=7).contains(&kept.len()), "twelve seconds by duration, however long the gap: {delta}");
    assert!(delta.contains("#EXT-X-PART:DURATION=0.20000,URI=\"19.0.m4s\""), "{delta}");
}

#[test]
fn target_duration_and_part_target_never_change() {
    let mut packager = packager(PackagerConfig::default(), [picture(), sound(1, 0)]);
    let mut promised = None;
    for frame in interleaved([pictures(25.0, 40, 60.0), sounds(SOUND, 60.0)]) {
        packager.frame(frame);
        if packager.main().is_some() {
            let text = text(&packager, Form::Full);
            let head: Vec<String> = text
                .lines()
                .filter(|line| {
                    line.starts_with("#EXT-X-TARGETDURATION") || line.starts_with("#EXT-X-PART-INF")
                })
                .map(str::to_owned)
                .collect();
            assert_eq!(promised.get_or_insert_with(|| head.clone()), &head);
        }
    }
    assert_eq!(promised.unwrap()[0], "#EXT-X-TARGETDURATION:3");
}

#[test]
fn every_hinted_part_comes_under_its_name() {
    for gop in [60, 50, 75] {
        let mut packager = packager(PackagerConfig::default(), [picture()]);
        let mut missed = 0;
        let mut hinted = None;
        for frame in pictures(25.0, gop, 40.0) {
            packager.frame(frame);
            let Some(playlist) = packager.main() else { continue };
            let newest = playlist.newest().unwrap();
            if let Some((before, hint)) = hinted
                && before != newest
            {
                missed += usize::from(hint != newest);
            }
            hinted = Some((newest, playlist.next()));
        }
        assert_eq!(missed, 0, "a regular source is foreseen");
    }
}

#[test]
fn rendition_reports_tell_the_other_rendition_s_newest_part() {
    let mut packager = packager(PackagerConfig::default(), [picture(), sound(1, 0), sound(2, 1)]);
    let sounds = [sounds(SOUND, 9.0), sounds(crate::media::TrackId(2), 9.0)];
    let [first, second] = sounds;
    interleaved([pictures(30.0, 60, 9.0), first, second]).into_iter().for_each(|frame| packager.frame(frame));
    let other = packager.playlists().nth(1).unwrap();
    let newest = other.newest().unwrap();
    let report = format!(
        "#EXT-X-RENDITION-REPORT:URI=\"../audio2/index.m3u8\",LAST-MSN={},LAST-PART={}",
        newest.msn, newest.part
    );
    assert!(text(&packager, Form::Full).lines().any(|line| line == report));
    assert!(text_of(&packager, other, Form::Full).contains("URI=\"../main/index.m3u8\""));
}

#[test]
fn discontinuities_that_leave_the_window_are_counted() {
    let mut packager = packager(PackagerConfig::default(), [picture()]);
    for round in 0..6 {
        for mut frame in pictures(30.0, 60, 14.0) {
            frame.dts += MediaTime::from_millis(round * 20_000);
            frame.pts = frame.dts;
            packager.frame(frame);
        }
        packager.interrupted();
    }
    let text = text(&packager, Form::Full);
    let listed = text.lines().filter(|line| *line == "#EXT-X-DISCONTINUITY").count() as u64;
    assert_eq!(packager.main().unwrap().discontinuity_sequence() + listed, 5);
    assert!(packager.main().unwrap().discontinuity_sequence() > 0);
}

fn cue(id: &str, revision: u32, state: CueState, start: i64, duration: Option<i64>) -> Cue {
    Cue {
        id: CueId::new(id),
        revision,
        state,
        start: MediaTime::from_millis(start),
        duration: duration.map(MediaTime::from_millis),
        origin: CueOrigin::Publisher,
        scte35: None,
    }
}

fn date_ranges(packager: &Packager) -> Vec<String> {
    let text = text(packager, Form::Full);
    text.lines().filter_map(|line| Some(line.strip_prefix("#EXT-X-DATERANGE:")?.to_owned())).collect()
}

/// The same without the sections.
fn slots(packager: &Packager) -> Vec<String> {
    let slot = |range: String| match range.split_once(",SCTE35-") {
        Some((slot, _)) => slot.to_owned(),
        None => range,
    };
    date_ranges(packager).into_iter().map(slot).collect()
}

#[test]
fn cues_are_date_ranges_whose_attributes_never_change() {
    let mut packager = live(8.0);
    packager.cue(cue("a\"b", 1, CueState::Announced, 10_000, Some(15_000)));
    let first = "ID=\"a_b\",START-DATE=\"2026-03-01T12:00:10.000Z\",PLANNED-DURATION=15.000";
    assert_eq!(slots(&packager), [first]);
    packager.cue(cue("a\"b", 1, CueState::Announced, 10_000, Some(20_000)));
    assert_eq!(slots(&packager), [first], "a repetition says nothing new");
    packager.cue(cue("a\"b", 2, CueState::Announced, 10_000, Some(20_000)));
    assert_eq!(slots(&packager), [format!("{first},DURATION=20.000")]);

    packager.cue(cue("moved", 1, CueState::Announced, 30_000, None));
    packager.cue(cue("moved", 2, CueState::Announced, 40_000, None));
    let listed = slots(&packager);
    assert_eq!(listed[1], "ID=\"moved\",START-DATE=\"2026-03-01T12:00:30.000Z\",DURATION=0.000");
    assert_eq!(listed[2], "ID=\"moved-2\",START-DATE=\"2026-03-01T12:00:40.000Z\"");
    packager.cue(cue("moved", 3, CueState::Cancelled, 40_000, None));
    assert!(slots(&packager)[2].ends_with(",DURATION=0.000"));
    packager.cue(cue("never heard of", 1, CueState::Cancelled, 0, None));
    assert_eq!(slots(&packager).len(), 3);
}

#[test]
fn a_cue_that_came_without_a_section_gets_one_that_stays() {
    let mut packager = live(8.0);
    packager.cue(cue("halftime", 1, CueState::Announced, 10_000, Some(15_000)));
    let announced = date_ranges(&packager);
    let section = |range: &str| {
        let (_, hex) = range.split_once(",SCTE35-OUT=0x").expect("a section");
        let hex = hex.split(',').next().expect("digits");
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        SpliceInfoSection::decode(&bytes).unwrap()
    };
    let read = section(&announced[0]);
    assert_eq!(read.command, Command::TimeSignal(Some(900_000)));
    let segmentation = read.segmentations().next().unwrap().segmentation.as_ref().unwrap();
    assert_eq!((segmentation.type_id, segmentation.duration), (0x38, Some(15 * 90_000)));
    packager.cue(cue("halftime", 2, CueState::Announced, 10_000, Some(5_000)));
    packager.cue(cue("halftime", 3, CueState::Cancelled, 10_000, Some(5_000)));
    assert_eq!(section(&date_ranges(&packager)[0]), read, "attributes never change");
    assert!(date_ranges(&packager)[0].contains(",DURATION=5.000,"));
}

#[test]
fn scte35_sections_go_into_the_attribute_of_their_kind() {
    let section = |hex: &str| -> Bytes {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    // A splice_insert out of the programme, its return, and a time_signal that is cut off.
    let out = "FC302000000000000000FFF00F05000003E87FFF7E002932E0000100000000A1B2C3D4";
    let back = "FC302000000000000000FFF00F05000003E87F5F7E002932E0000100000000A1B2C3D4";
    let broken = "FC304B00000000000000FFF00506FE055D4A8000350233435545494A0000017FFF00000DBBA0";
    let mut packager = live(6.0);
    for (index, hex) in [out, back, broken].into_iter().enumerate() {
        let scte35 = Some(section(hex));
        packager.cue(Cue { scte35, ..cue(&index.to_string(), 1, CueState::Announced, 9000, None) });
    }
    let listed = date_ranges(&packager);
    assert!(listed[0].ends_with(&format!(",SCTE35-OUT=0x{out}")), "{}", listed[0]);
    assert!(listed[1].ends_with(&format!(",SCTE35-IN=0x{back}")), "{}", listed[1]);
    assert!(listed[2].ends_with(&format!(",SCTE35-CMD=0x{broken}")), "{}", listed[2]);
}

#[test]
fn a_slot_goes_out_where_it_begins_and_comes_back_in_where_it_ends() {
    let mut packager = self::packager(PackagerConfig::default(), [picture()]);
    let text = |section: Bytes| section.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    let plain = |id, revision, duration| cue(id, revision, CueState::Announced, 10_000, Some(duration));
    let [whole, running] = ["whole", "running"].map(|id| plain(id, 1, 3_000));
    let withdrawn = cue("withdrawn", 2, CueState::Cancelled, 10_000, Some(3_000));
    let ended = |cue: &Cue| Cue { duration: Some(MediaTime::from_millis(2_000)), ..cue.clone() };
    for frame in pictures(30.0, 60, 16.0) {
        let time = frame.dts;
        packager.frame(frame);
        if time == MediaTime::from_millis(8_000) {
            for cue in [&whole, &running, &plain("withdrawn", 1, 3_000)] {
                packager.cue(cue.clone());
            }
            packager.cue(withdrawn.clone());
            let listed = date_ranges(&packager);
            let out = text(slot::overlay_start(&whole));
            assert!(
                listed[0].ends_with(&format!(",PLANNED-DURATION=3.000,SCTE35-OUT=0x{out}")),
                "{listed:?}"
            );
            let cancel = text(slot::overlay_cancel(&withdrawn));
            assert!(listed[2].contains(",DURATION=0.000,SCTE35-OUT=0x"), "{listed:?}");
            assert!(listed[2].ends_with(&format!(",SCTE35-CMD=0x{cancel}")), "{listed:?}");
        }
        if packager.main().is_some_and(|main| main.end() == MediaTime::from_millis(12_000)) {
            packager.cue(cue("running", 2, CueState::Cancelled, 10_000, Some(3_000)));
        }
        if packager.main().is_some_and(|main| main.end() < MediaTime::from_millis(13_000)) {
            let whole = date_ranges(&packager).into_iter().next();
            assert!(whole.is_none_or(|range| !range.contains("SCTE35-IN")), "it is on still");
        }
    }
    let listed = date_ranges(&packager);
    let back = text(slot::overlay_end(&whole));
    assert!(listed[0].contains(",PLANNED-DURATION=3.000,DURATION=3.000,SCTE35-OUT=0x"), "{listed:?}");
    assert!(listed[0].ends_with(&format!(",SCTE35-IN=0x{back}")), "{listed:?}");
    let back = text(slot::overlay_end(&ended(&running)));
    assert!(listed[1].contains(",DURATION=2.000,"), "{listed:?}");
    assert!(listed[1].ends_with(&format!(",SCTE35-IN=0x{back}")), "{listed:?}");
    assert!(!listed[2].contains("SCTE35-IN"), "{listed:?}");
}

#[test]
fn b38_storm_of_cues_is_bounded_and_old_cues_leave_with_their_segments() {
    let mut packager = live(10.0);
    for index in 0..1000 {
        packager.cue(cue(&index.to_string(), 1, CueState::Announced, 5000, Some(i64::MAX)));
    }
    assert_eq!(date_ranges(&packager).len(), 64);

    let mut packager = self::packager(PackagerConfig::default(), [picture()]);
    for frame in pictures(30.0, 60, 100.0) {
        if frame.dts == MediaTime::from_millis(20_000) {
            packager.cue(cue("early", 1, CueState::Announced, 21_000, Some(5_000)));
        }
        if frame.dts == MediaTime::from_millis(55_000) {
            assert_eq!(date_ranges(&packager).len(), 1, "part of it is still listed");
            assert!(!text(&packager, Form::DeltaWithDateRanges).contains("#EXT-X-DATERANGE"));
            assert!(text(&packager, Form::Delta).contains("#EXT-X-DATERANGE"));
        }
        if frame.dts == MediaTime::from_millis(64_000) {
            assert_eq!(date_ranges(&packager).len(), 0);
            let delta = text(&packager, Form::DeltaWithDateRanges);
            assert!(delta.contains("RECENTLY-REMOVED-DATERANGES=\"early\""), "{delta}");
        }
        packager.frame(frame);
    }
}
