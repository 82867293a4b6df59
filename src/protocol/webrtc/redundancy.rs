//! Redundant sound in SDP: the WebRTC library does not know of it, so its answer is completed here (RFC 2198 §5).

/// The answer with `red` for the sound, of this payload type. `None` where the answer takes no Opus.
pub fn agree(answer: &str, payload_type: u8) -> Option<String> {
    let audio = answer.find("m=audio ")?;
    let end = answer[audio + 1..].find("\r\nm=").map_or(answer.len(), |at| audio + 1 + at + 2);
    let opus = answer[audio..end].lines().find_map(|line| {
        let (number, codec) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        codec.eq_ignore_ascii_case("opus/48000/2").then_some(number)
    })?;
    let media_line = audio + answer[audio..].find("\r\n")?;
    let (before, rest) = answer.split_at(media_line);
    let (section, after) = rest.split_at(end - media_line);
    Some(format!(
        "{before} {payload_type}{section}a=rtpmap:{payload_type} red/48000/2\r\n\
         a=fmtp:{payload_type} {opus}/{opus}\r\n{after}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n";
    const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtpmap:96 H264/90000\r\n";
    const SESSION: &str = "v=0\r\ns=-\r\n";

    #[test]
    fn the_sound_gets_it_wherever_it_stands() {
        let with = "m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n\
                    a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n";
        for sections in [[AUDIO, VIDEO], [VIDEO, AUDIO], [AUDIO, ""]] {
            let answer = [SESSION, sections[0], sections[1]].concat();
            assert_eq!(agree(&answer, 63).unwrap(), answer.replace(AUDIO, with));
        }
    }

    #[test]
    fn without_opus_there_is_none() {
        for answer in [[SESSION, VIDEO].concat(), AUDIO.replace("opus", "pcmu"), String::new()] {
            assert_eq!(agree(&answer, 63), None);
        }
    }
}
