//! The media clock in SDP: which RTP timestamp media time zero has (RFC 7273 §5.2), so that a page that draws on a frame knows
//! which one it is. The WebRTC library does not know of it; browsers pass over it.

/// The description with the clock of each section. RTP timestamps are media time in the section's own unit, and an offset.
pub fn tell(description: &str, of_picture: u32, of_sound: u32) -> String {
    let mut told = String::with_capacity(description.len() + 128);
    for (place, section) in description.split("\r\nm=").enumerate() {
        if place == 0 {
            told.push_str(section);
            continue;
        }
        told.push_str("\r\nm=");
        told.push_str(section.trim_end_matches("\r\n"));
        let offset = match section.split(' ').next() {
            Some("video") => of_picture,
            Some("audio") => of_sound,
            _ => continue,
        };
        told.push_str(&format!("\r\na=ts-refclk:private\r\na=mediaclk:direct={offset}"));
    }
    if description.ends_with("\r\n") && !told.ends_with("\r\n") {
        told.push_str("\r\n");
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_of_sound_and_picture_has_it() {
        let description = "v=0\r\ns=-\r\nm=audio 9 X 111\r\na=mid:0\r\nm=application 9 Y\r\na=mid:1\r\nm=video 9 X 96\r\na=mid:2\r\n";
        let clock = |offset: u32| format!("a=ts-refclk:private\r\na=mediaclk:direct={offset}\r\n");
        let (of_picture, of_sound) = (clock(4_000_000_000), clock(7));
        let expected = format!(
            "v=0\r\ns=-\r\nm=audio 9 X 111\r\na=mid:0\r\n{of_sound}m=application 9 Y\r\na=mid:1\r\nm=video 9 X 96\r\na=mid:2\r\n{of_picture}"
        );
        assert_eq!(tell(description, 4_000_000_000, 7), expected);
        assert_eq!(tell("v=0\r\n", 1, 2), "v=0\r\n");
        assert_eq!(tell("", 1, 2), "");
    }
}
