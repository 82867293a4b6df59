//! Blocking reloads: when a request is answered, and which are refused.

use super::super::pace::PackagerConfig;
use super::super::packager::Packager;
use super::super::playlist::Form;
use super::super::reload::{BadReload, Readiness, Reload};
use super::support::*;

/// Five parts into the fourth segment.
fn live() -> Packager {
    let mut packager = packager(PackagerConfig::default(), [picture()]);
    pictures(30.0, 60, 7.0).into_iter().for_each(|frame| packager.frame(frame));
    assert_eq!(packager.main().unwrap().newest().map(|newest| (newest.msn, newest.part)), Some((4, 4)));
    packager
}

fn ask(packager: &Packager, query: &str) -> Result<Readiness, BadReload> {
    packager.main().unwrap().readiness(&Reload::parse(query)?)
}

#[test]
fn request_is_answered_once_the_part_or_segment_is_there() {
    let packager = live();
    for ready in
        ["", "_HLS_msn=4&_HLS_part=4", "_HLS_msn=3", "_HLS_msn=1&_HLS_part=0", "_HLS_skip=YES", "x=y&&=&z"]
    {
        assert_eq!(ask(&packager, ready), Ok(Readiness::Ready), "{ready}");
    }
    for wait in [
        "_HLS_msn=4&_HLS_part=5",
        "_HLS_msn=4",
        "_HLS_msn=5&_HLS_part=0",
        "_HLS_msn=6",
        "_HLS_msn=4&_HLS_part=10",
    ] {
        assert_eq!(ask(&packager, wait), Ok(Readiness::Wait), "{wait}");
    }
}

#[test]
fn part_beyond_the_last_of_its_segment_is_the_first_of_the_next() {
    let packager = live();
    assert_eq!(ask(&packager, "_HLS_msn=3&_HLS_part=10"), Ok(Readiness::Ready));
    let mut packager = self::packager(PackagerConfig::default(), [picture()]);
    pictures(30.0, 60, 6.0).into_iter().for_each(|frame| packager.frame(frame));
    // All ten parts of segment 3 are there; whether an eleventh comes is not known.
    assert_eq!(ask(&packager, "_HLS_msn=3&_HLS_part=10"), Ok(Readiness::Wait));
}

#[test]
fn b31_requests_for_what_no_player_can_know_are_refused() {
    let packager = live();
    for far in [
        "_HLS_msn=7",
        "_HLS_msn=18446744073709551615",
        "_HLS_msn=7&_HLS_part=0",
        "_HLS_msn=4&_HLS_part=25",
        "_HLS_msn=4&_HLS_part=18446744073709551615",
        "_HLS_msn=6&_HLS_part=16",
    ] {
        assert_eq!(ask(&packager, far), Err(BadReload::TooFarAhead), "{far}");
    }
}

#[test]
fn b31_nonsense_is_refused() {
    assert_eq!(Reload::parse("_HLS_part=1"), Err(BadReload::PartAlone));
    for bad in [
        "_HLS_msn=-1",
        "_HLS_msn=",
        "_HLS_msn=1.5",
        "_HLS_msn=0x10",
        "_HLS_msn=1&_HLS_msn=2",
        "_HLS_msn=1&_HLS_part=a",
        "_HLS_msn=99999999999999999999",
        "_HLS_msn=%31",
        "_HLS_msn=1&_HLS_part=-1",
        "_HLS_msn=01",
    ] {
        assert_eq!(Reload::parse(bad), Err(BadReload::Number), "{bad}");
    }
}

#[test]
fn skip_directives_choose_the_form() {
    let form = |query| Reload::parse(query).unwrap().form;
    assert_eq!(form("_HLS_skip=YES"), Form::Delta);
    assert_eq!(form("_HLS_skip=v2&_HLS_msn=1"), Form::DeltaWithDateRanges);
    assert_eq!((form(""), form("_HLS_skip=maybe")), (Form::Full, Form::Full));
}

#[test]
fn nothing_waits_for_a_broadcast_that_is_over() {
    let mut packager = live();
    packager.ended();
    assert_eq!(ask(&packager, "_HLS_msn=5&_HLS_part=0"), Ok(Readiness::Ready));
    assert_eq!(ask(&packager, "_HLS_msn=4001"), Ok(Readiness::Ready));
    assert!(text(&packager, Form::Full).ends_with("#EXT-X-ENDLIST\n"));
}
