//! Variants of the programme: outside slots they list everybody's files, in them their own, and a player gets his frames.

use super::super::pace::PackagerConfig;
use super::super::playlist::{Form, multivariant};
use super::programme::Programme;
use super::support::*;
use crate::hub::Item;
use crate::media::{Cue, CueId, CueOrigin, CueState, Frame, MediaTime, TrackId};

fn seconds(seconds: f64) -> MediaTime {
    MediaTime::from_millis((seconds * 1000.0) as i64)
}

fn source(gop: usize, length: f64) -> Vec<Frame> {
    interleaved([pictures(30.0, gop, length), sounds(SOUND, length)])
}

/// The source with something drawn into its picture from the one time until the other, by an encoder that begins with a keyframe
/// and puts one every two seconds.
fn drawn(source: &[Frame], what: &str, from: MediaTime, until: MediaTime) -> Vec<Frame> {
    let mut frames = source.to_vec();
    let is_drawn = |frame: &&mut Frame| frame.track == PICTURE && (from..until).contains(&frame.dts);
    for (number, frame) in frames.iter_mut().filter(is_drawn).enumerate() {
        frame.payload = [what.as_bytes(), &frame.payload].concat().into();
        frame.keyframe = number % 60 == 0;
    }
    frames
}

const PART: MediaTime = MediaTime::from_millis(200);

#[test]
fn only_a_slot_is_kept_apart() {
    // Where a slot begins in a GOP does not matter; it ends at a keyframe.
    for (gop, from, until) in
        [(60, 9.0, 14.0), (60, 9.4, 16.0), (30, 9.0, 14.0), (30, 8.5, 13.0), (50, 9.0, 15.0)]
    {
        let (from, until) = (seconds(from), seconds(until));
        let source = source(gop, 26.0);
        let [one, other] = ["one", "other"].map(|what| drawn(&source, what, from, until));
        // Both are drawn, or one passes the source.
        for (everybody, few) in [(&one, &other), (&one, &source), (&source, &other)] {
            let mut programme = Programme::of(endless(), &[picture(), sound(1, 0)]);
            programme.play(everybody, few);
            programme.both(Item::Ended);
            programme.assert_plays(few);
            programme.assert_shared(true, MediaTime::ZERO, from - PART);
            programme.assert_shared(false, from, until);
            let [everybody, few] = [0, 1].map(|variant| programme.variant(variant).main().unwrap());
            // The picture is the same again from the keyframe on; the parts, from the next one on that begins a segment. Its
            // first may have a frame of sound from before that the other variant has in the part before.
            let mut begin = everybody.segments().iter().filter(|segment| segment.parts[0].independent);
            let again = begin.find(|segment| segment.start >= until).unwrap().start;
            assert!(again - until < seconds(2.0));
            programme.assert_shared(true, again + PART, seconds(26.0));
            assert_durations(few, 0.0);
            assert_eq!(everybody.pace(), few.pace());
            let last = few.segments().iter().rev().find(|segment| segment.duration.is_some()).unwrap();
            let same = everybody.segment(last.same_as.unwrap()).unwrap();
            assert_eq!((same.start, same.duration), (last.start, last.duration));
            let held_once = last.parts.iter().zip(&same.parts);
            assert!(held_once.into_iter().all(|(here, there)| here.bytes.as_ptr() == there.bytes.as_ptr()));
        }
    }
}

#[test]
fn who_comes_late_shares_all_that_is_still_there() {
    // Timestamps in milliseconds: sound is counted from wherever one begins, and would be counted otherwise from here.
    let (tracks, source) = ([picture(), sound(1, 0)], source(60, 40.0));
    let at = |time| source.iter().position(|frame| frame.dts >= seconds(time)).unwrap();
    for joins in [20.5, 21.3] {
        let mut programme = Programme::of_everybody(endless(), &tracks);
        source[..at(joins)].iter().for_each(|frame| programme.feed(0, frame.clone()));
        // The hub has eight seconds at least, from a keyframe on.
        programme.join(&tracks, &source[at(12.0)..at(joins)]);
        let first = &programme.variant(1).main().unwrap().segments()[0];
        assert_eq!(
            (first.start, first.msn, first.same_as),
            (seconds(12.0), 1, Some(7)),
            "it is there at once"
        );
        source[at(joins)..].iter().for_each(|frame| programme.both(frame.clone()));
        programme.both(Item::Ended);
        programme.assert_shared(true, seconds(12.0), seconds(40.0));
        assert!(programme.segments.values().all(|uri| uri.starts_with("../main/")));
    }
}

#[test]
fn who_comes_in_the_middle_of_a_slot_begins_with_his_own() {
    let (tracks, source) = ([picture(), sound(1, 0)], source(60, 30.0));
    let (from, until) = (seconds(13.0), seconds(20.0));
    let (everybody, few) = (drawn(&source, "one", from, until), drawn(&source, "other", from, until));
    let at = |time| source.iter().position(|frame| frame.dts >= seconds(time)).unwrap();
    let mut programme = Programme::of_everybody(endless(), &tracks);
    everybody[..at(17.0)].iter().for_each(|frame| programme.feed(0, frame.clone()));
    programme.join(&tracks, &few[at(13.0)..at(17.0)]);
    programme.play(&everybody[at(17.0)..], &few[at(17.0)..]);
    programme.both(Item::Ended);
    programme.assert_shared(false, from, until);
    programme.assert_shared(true, until, seconds(30.0));
    // He gets the sound of that segment, which begins a moment before its picture.
    let begins =
        |frame: &&Frame| frame.dts >= if frame.track == PICTURE { from } else { from - seconds(0.03) };
    programme.assert_plays(&few.iter().filter(begins).cloned().collect::<Vec<_>>());
}

#[test]
fn an_interruption_is_one_in_both_and_nothing_is_kept_apart_for_it() {
    let source = source(60, 10.3);
    let mut programme = Programme::of(endless(), &[picture(), sound(1, 0)]);
    let mut all = Vec::new();
    for begins in [0, 14_000, 30_000] {
        let part: Vec<Frame> = source
            .iter()
            .cloned()
            .map(|mut frame| {
                frame.dts += MediaTime::from_millis(begins);
                frame.pts = frame.dts;
                frame
            })
            .collect();
        programme.play(&part, &part);
        programme.both(Item::Interrupted);
        all.extend(part);
    }
    programme.both(Item::Ended);
    programme.assert_shared(true, MediaTime::ZERO, seconds(40.0));
    let few = programme.variant(1).main().unwrap();
    assert_eq!(few.segments().iter().filter(|segment| segment.discontinuity).count(), 2);
    assert!(programme.segments.values().all(|uri| uri.starts_with("../main/")));
}

#[test]
fn frames_that_one_variant_alone_has_missed_keep_the_next_segment_apart_and_no_more() {
    let source = source(60, 24.0);
    for misses in [0, 1] {
        let mut programme = Programme::of(endless(), &[picture(), sound(1, 0)]);
        let (missed, on) = (seconds(9.0), seconds(12.0));
        for frame in &source {
            for variant in [0, 1] {
                match variant == misses && frame.dts >= missed && frame.dts < on {
                    true if frame.dts == missed => programme.feed(variant, Item::Lagged(1)),
                    true => {}
                    false => programme.feed(variant, frame.clone()),
                }
            }
        }
        programme.both(Item::Ended);
        programme.assert_shared(true, MediaTime::ZERO, missed - PART);
        programme.assert_shared(true, seconds(14.0), seconds(24.0));
        if misses == 0 {
            programme.assert_shared(false, missed, on);
            programme.assert_plays(&source);
        }
    }
}

#[test]
fn a_variant_that_is_ahead_waits_for_everybody_s_but_not_for_ever() {
    let source = source(60, 16.0);
    let until = |time: f64| source.iter().position(|frame| frame.dts >= seconds(time)).unwrap();
    let end = |programme: &Programme| programme.variant(1).main().unwrap().end();
    let mut programme = Programme::of(endless(), &[picture(), sound(1, 0)]);
    source[..until(8.0)].iter().for_each(|frame| programme.both(frame.clone()));
    source[until(8.0)..until(8.9)].iter().for_each(|frame| programme.feed(1, frame.clone()));
    assert_eq!(end(&programme), seconds(8.0), "it waits");
    source[until(8.0)..until(8.9)].iter().for_each(|frame| programme.feed(0, frame.clone()));
    assert!(end(&programme) > seconds(8.6), "it goes on");
    programme.assert_shared(true, MediaTime::ZERO, seconds(8.9));
    // Everybody's stands still and does not say so.
    source[until(8.9)..until(12.0)].iter().for_each(|frame| programme.feed(1, frame.clone()));
    assert!((seconds(10.6)..seconds(11.2)).contains(&end(&programme)), "{:?}", end(&programme));
    // It does.
    programme.feed(0, Item::Interrupted);
    assert_eq!(end(&programme), seconds(12.0), "nothing is waited for any more");
    programme.feed(1, Item::Interrupted);
    source[until(14.0)..].iter().for_each(|frame| programme.both(frame.clone()));
    programme.feed(1, Item::Ended);
    assert!(programme.variant(1).has_ended() && !programme.variants.has_ended());
    programme.feed(0, Item::Ended);
    assert!(programme.variants.has_ended());
    programme.assert_shared(true, seconds(14.0), seconds(16.0));
}

#[test]
fn a_shared_file_stays_as_long_as_a_playlist_lists_it() {
    // What is drawn for everybody is so large that the budget holds little else.
    let config = PackagerConfig { window_bytes: 1 << 20, ..PackagerConfig::default() };
    let source: Vec<Frame> = source(60, 40.0);
    let (from, until) = (seconds(21.0), seconds(26.0));
    let mut everybody = drawn(&source, "one", from, until);
    let few = drawn(&source, "other", from, until);
    for frame in everybody.iter_mut().filter(|frame| frame.payload.starts_with(b"one")) {
        frame.payload = vec![1; 12_000].into();
    }
    let mut programme = Programme::of(config, &[picture(), sound(1, 0)]);
    let end = source.iter().position(|frame| frame.dts >= seconds(27.0)).unwrap();
    programme.play(&everybody[..end], &few[..end]);
    let [main, other] = [0, 1].map(|variant| programme.variant(variant).main().unwrap());
    assert!(main.segments()[0].start >= seconds(20.0), "{:?}", main.segments()[0].start);
    let listed: Vec<u64> = other.segments().iter().filter_map(|segment| segment.same_as).collect();
    let forgotten = listed.iter().filter(|msn| main.segment(**msn).is_none()).count();
    assert!(forgotten > 5, "{listed:?}");
    for segment in other.segments().iter().filter(|segment| segment.duration.is_some()) {
        let bytes: Vec<u8> = segment.parts.iter().flat_map(|part| part.bytes.to_vec()).collect();
        if let Some(msn) = segment.same_as {
            assert_eq!(programme.fetch(&format!("../main/{msn}.m4s")).unwrap(), bytes);
            assert_eq!(programme.fetch(&format!("../main/{msn}.0.m4s")).unwrap(), segment.parts[0].bytes);
        }
        assert_eq!(programme.fetch(&format!("{}.m4s", segment.msn)).unwrap(), bytes);
    }
    assert!(programme.fetch("../main/999.m4s").is_none() && programme.fetch("../main/1.99.m4s").is_none());
}

#[test]
fn alternative_sounds_are_shared_as_well() {
    let tracks = [picture(), sound(1, 0), sound(2, 1)];
    let source = interleaved([pictures(30.0, 60, 24.0), sounds(SOUND, 24.0), sounds(TrackId(2), 24.0)]);
    let (from, until) = (seconds(9.0), seconds(14.0));
    let [everybody, few] = ["one", "other"].map(|what| drawn(&source, what, from, until));
    let mut programme = Programme::of(endless(), &tracks);
    programme.play(&everybody, &few);
    programme.both(Item::Ended);
    let other = programme.variant(1).playlists().nth(1).unwrap();
    assert_eq!(other.name(), "audio2.1");
    assert!(
        other.segments().iter().all(|segment| segment.same_as == Some(segment.msn)),
        "nothing is drawn into it"
    );
    assert_eq!(all_samples(other, 1).len(), sounds(SOUND, 24.0).len());
    let text = text_of(programme.variant(1), other, Form::Full);
    assert!(text.contains("\n../audio2/3.m4s\n") && text.contains("#EXT-X-MAP:URI=\"init0.mp4\""), "{text}");
    let multivariant = multivariant(programme.variant(1), "s").unwrap();
    assert!(multivariant.contains("URI=\"s/audio2.1/index.m3u8\""), "{multivariant}");
    assert!(multivariant.ends_with("\ns/main.1/index.m3u8\n"), "{multivariant}");
}

/// The lines that tell where files are, and of cues, of variant 1.
fn lines(programme: &Programme) -> Vec<String> {
    let text = text(programme.variant(1), Form::Full);
    let tells = |line: &&str| {
        line.contains(".m4s") || line.contains("REPORT") || line.starts_with("#EXT-X-DATERANGE")
    };
    text.lines().filter(tells).map(|line| line.replace("#EXT-X-PART:DURATION=0.20000,", "PART:")).collect()
}

#[test]
fn playlist_of_a_variant_reads_so() {
    let source = interleaved([pictures(30.0, 60, 24.0), sounds(SOUND, 24.0), sounds(TrackId(2), 24.0)]);
    let (from, until) = (seconds(2.8), seconds(4.0));
    let [everybody, few] = ["one", "other"].map(|what| drawn(&source, what, from, until));
    let mut programme = Programme::of(endless(), &[picture(), sound(1, 0), sound(2, 1)]);
    let end = |time| source.iter().position(|frame| frame.dts >= seconds(time)).unwrap();
    programme.play(&everybody[..end(2.61)], &few[..end(2.61)]);
    let hint = |programme: &Programme| {
        let hint = lines(programme).into_iter().find(|line| line.contains("HINT")).unwrap();
        hint.split('"').nth(1).unwrap().to_owned()
    };
    assert_eq!(hint(&programme), "../main/2.3.m4s", "as if all went on so");
    programme.play(&everybody[end(2.61)..end(3.01)], &few[end(2.61)..end(3.01)]);
    assert_eq!(hint(&programme), "3.1.m4s");
    let expected = "\
PART:URI=\"../main/1.0.m4s\",INDEPENDENT=YES
PART:URI=\"../main/1.1.m4s\"
PART:URI=\"../main/1.2.m4s\"
PART:URI=\"../main/1.3.m4s\"
PART:URI=\"../main/1.4.m4s\"
PART:URI=\"../main/1.5.m4s\"
PART:URI=\"../main/1.6.m4s\"
PART:URI=\"../main/1.7.m4s\"
PART:URI=\"../main/1.8.m4s\"
PART:URI=\"../main/1.9.m4s\"
../main/1.m4s
PART:URI=\"../main/2.0.m4s\",INDEPENDENT=YES
PART:URI=\"../main/2.1.m4s\"
PART:URI=\"../main/2.2.m4s\"
PART:URI=\"../main/2.3.m4s\"
../main/2.m4s
PART:URI=\"3.0.m4s\",INDEPENDENT=YES
PART:URI=\"3.1.m4s\"
PART:URI=\"3.2.m4s\"
PART:URI=\"3.3.m4s\"
PART:URI=\"3.4.m4s\"
PART:URI=\"3.5.m4s\"
3.m4s
PART:URI=\"../main/4.0.m4s\",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"../main/4.1.m4s\"
#EXT-X-RENDITION-REPORT:URI=\"../audio2.1/index.m3u8\",LAST-MSN=4,LAST-PART=0";
    programme.play(&everybody[end(3.01)..end(4.21)], &few[end(3.01)..end(4.21)]);
    assert_eq!(lines(&programme).join("\n"), expected);
}

#[test]
fn cues_of_a_variant_are_in_its_own_playlist() {
    let cue = |id: &str| Cue {
        id: CueId::new(id),
        revision: 1,
        state: CueState::Announced,
        start: seconds(7.0),
        duration: Some(seconds(3.0)),
        origin: CueOrigin::Api,
        scte35: None,
    };
    let mut programme = Programme::of(endless(), &[picture()]);
    for frame in pictures(30.0, 60, 12.0) {
        if frame.dts == seconds(5.0) {
            programme.both(cue("both"));
            programme.feed(1, cue("few"));
        }
        programme.both(frame);
    }
    let ranges = lines(&programme);
    let ranges: Vec<_> =
        ranges.iter().filter_map(|line| line.strip_prefix("#EXT-X-DATERANGE:")?.split(',').next()).collect();
    assert_eq!(ranges, ["ID=\"both\"", "ID=\"few\""]);
    assert!(!text(programme.variant(0), Form::Full).contains("few"));
    // The part that carries the message is another; the others are not.
    programme.assert_shared(true, MediaTime::ZERO, seconds(5.0));
    programme.assert_shared(false, seconds(5.0), seconds(5.2));
    programme.assert_shared(true, seconds(5.2), seconds(12.0));
}
