//! Flights and day-parts.

use super::*;

#[test]
fn a_week_has_its_hours_in_its_own_time_zone() {
    // Thursday, 1970-01-01, 18:00 to 20:00 where the clock is an hour ahead: 17:00 to 19:00 UTC.
    let mut days = [0; 7];
    days[3] = 0b11 << 18;
    let schedule = Schedule { start: 0, end: 30 * DAY, hours: DayParts { days, offset_minutes: 60 } };
    let hours: Vec<i64> = (0..7 * 24).filter(|hour| schedule.is_running(hour * HOUR)).collect();
    assert_eq!(hours, [17, 18]);
    assert!(!schedule.is_running(-DAY * 7 + 17 * HOUR), "before the flight");
    assert_eq!(schedule.running_between(0, 7 * DAY), 2 * HOUR);
    assert_eq!(schedule.running_between(17 * HOUR + 5, 18 * HOUR + 7), HOUR + 2);
    assert_eq!(schedule.running_between(i64::MIN, i64::MAX), 5 * 2 * HOUR, "five Thursdays in thirty days");
    assert_eq!(schedule.running_between(20 * HOUR, 10 * HOUR), 0);
}

#[test]
fn intervals_add_up() {
    let mut random = crate::random::Random::new(3);
    for _ in 0..500 {
        let days = std::array::from_fn(|_| random.next() as u32 & 0xff_ffff);
        let offset_minutes = random.below(1441) as i16 - 720;
        let end = random.below(20 * DAY as usize) as i64;
        let schedule = Schedule { start: 5 * HOUR, end, hours: DayParts { days, offset_minutes } };
        let mut cuts: Vec<i64> = (0..3).map(|_| random.below(21 * DAY as usize) as i64).collect();
        cuts.sort_unstable();
        let [a, b, c] = cuts[..] else { unreachable!() };
        let parts = schedule.running_between(a, b) + schedule.running_between(b, c);
        assert_eq!(parts, schedule.running_between(a, c));
        assert!(parts <= c - a);
        let minute = schedule.running_between(a, a + 1);
        assert_eq!(minute == 1, schedule.is_running(a));
    }
}
