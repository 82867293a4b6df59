//! The media clock in SDP: which RTP timestamp media time zero has (RFC 7273 §5.2), so that a page that draws on a frame knows
//! which one it is. The WebRTC library does not know of it; browsers pass over it.

/// The description with the clock of each section. RTP timestamps of all of them are media time in their own unit, and `offset`.
pub fn tell(description: &str, offset: u32) -> String {
    let mut told = String::with_capacity(description.len() + 128);
    for (place, section) in description.split("\r\nm=").enumerate() {
        if place == 0 {
            told.push_str(section);
            continue;
        }
        told.push_str("\r\nm=");
        told.push_str(section.trim_end_matches("\r\n"));
        if section.starts_with("audio ") || section.starts_with("video ") {
            told.push_str(&format!("\r\na=ts-refclk:private\r\na=mediaclk:direct={offset}"));
        }
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
        let clock = "a=ts-refclk:private\r\na=mediaclk:direct=4000000000\r\n";
        let expected = format!(
            "v=0\r\ns=-\r\nm=audio 9 X 111\r\na=mid:0\r\n{clock}m=application 9 Y\r\na=mid:1\r\nm=video 9 X 96\r\na=mid:2\r\n{clock}"
        );
        assert_eq!(tell(description, 4_000_000_000), expected);
        assert_eq!(tell("v=0\r\n", 1), "v=0\r\n");
        assert_eq!(tell("", 1), "");
    }
}
