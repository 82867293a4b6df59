//! Fragmented MP4 as a player reads it: by other code than the server's, and only what the tests look at.

use bytes::Bytes;

/// A sample, in its track's ticks.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Decoding time.
    pub dts: i64,
    /// Presentation time.
    pub pts: i64,
    /// How long it lasts.
    pub duration: u32,
    /// A decoder can start here.
    pub sync: bool,
    /// The bytes.
    pub payload: Bytes,
}

/// The boxes one after the other: type and content.
pub fn boxes(mut data: &[u8]) -> Vec<([u8; 4], &[u8])> {
    let mut boxes = Vec::new();
    while !data.is_empty() {
        let size = u32_at(data, 0) as usize;
        assert!((8..=data.len()).contains(&size), "a box of {size} bytes in {}", data.len());
        boxes.push((data[4..8].try_into().expect("four bytes"), &data[8..size]));
        data = &data[size..];
    }
    boxes
}

/// The content of the first box on this path.
pub fn find<'a>(data: &'a [u8], path: &[&[u8; 4]]) -> &'a [u8] {
    path.iter().fold(data, |data, kind| {
        let found = boxes(data).into_iter().find(|(known, _)| known == *kind);
        found.unwrap_or_else(|| panic!("no box {}", kind.escape_ascii())).1
    })
}

/// A track of an init segment.
#[derive(Clone, Copy, Debug)]
pub struct Track {
    /// Its number in fragments.
    pub id: u32,
    /// Its ticks a second.
    pub timescale: u32,
    /// The type of its sample entry.
    pub entry: [u8; 4],
}

/// The tracks of an init segment.
pub fn tracks(init: &[u8]) -> Vec<Track> {
    let traks = boxes(find(init, &[b"moov"])).into_iter().filter(|(kind, _)| kind == b"trak");
    let track = |trak: &[u8]| {
        let (tkhd, mdhd) = (find(trak, &[b"tkhd"]), find(trak, &[b"mdia", b"mdhd"]));
        let stsd = find(trak, &[b"mdia", b"minf", b"stbl", b"stsd"]);
        // Version 1 has two times of eight bytes before both fields, version 0 of four.
        Track {
            id: u32_at(tkhd, if tkhd[0] == 1 { 20 } else { 12 }),
            timescale: u32_at(mdhd, if mdhd[0] == 1 { 20 } else { 12 }),
            entry: stsd[12..16].try_into().expect("four bytes"),
        }
    };
    traks.map(|(_, trak)| track(trak)).collect()
}

/// The samples of one track in a segment.
pub fn samples(segment: &[u8], track: Track) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut moof: Option<&[u8]> = None;
    for (kind, content) in boxes(segment) {
        match (&kind, moof) {
            (b"moof", _) => moof = Some(content),
            (b"mdat", Some(moof)) => {
                let trafs = boxes(moof).into_iter().filter(|(kind, _)| kind == b"traf");
                let ours = trafs.filter(|(_, traf)| u32_at(find(traf, &[b"tfhd"]), 4) == track.id);
                // Offsets count from the beginning of the moof, header included; mdat's header comes between.
                ours.for_each(|(_, traf)| fragment(traf, content, moof.len() + 16, &mut samples));
            }
            _ => {}
        }
    }
    samples
}

fn fragment(traf: &[u8], mdat: &[u8], mdat_at: usize, samples: &mut Vec<Sample>) {
    let tfhd = find(traf, &[b"tfhd"]);
    let mut fields = tfhd[8..].chunks_exact(4).map(|field| u32_at(field, 0));
    let flags = u32_at(tfhd, 0);
    assert_eq!(flags & 0x1, 0, "offsets are relative to the moof");
    let mut default = |bit: u32| (flags & bit != 0).then(|| fields.next().expect("a field"));
    let (_entry, duration, size, sample_flags) = (default(0x2), default(0x8), default(0x10), default(0x20));
    let tfdt = find(traf, &[b"tfdt"]);
    let mut dts = if tfdt[0] == 1 { u64_at(tfdt, 4) } else { u64::from(u32_at(tfdt, 4)) } as i64;
    for (_, trun) in boxes(traf).into_iter().filter(|(kind, _)| kind == b"trun") {
        let flags = u32_at(trun, 0);
        let mut fields = trun[8..].chunks_exact(4).map(|field| u32_at(field, 0));
        let mut next = |bit: u32| (flags & bit != 0).then(|| fields.next().expect("a field"));
        let mut at = next(0x1).expect("an offset") as usize - mdat_at;
        let mut first_flags = next(0x4);
        for _ in 0..u32_at(trun, 4) {
            let duration = next(0x100).or(duration).expect("a duration");
            let size = next(0x200).or(size).expect("a size") as usize;
            let sample_flags = next(0x400).or(first_flags.take()).or(sample_flags).unwrap_or(0);
            let composition = next(0x800).unwrap_or(0) as i32;
            let payload = Bytes::copy_from_slice(&mdat[at..at + size]);
            let sync = sample_flags & 0x1_0000 == 0;
            samples.push(Sample { dts, pts: dts + i64::from(composition), duration, sync, payload });
            dts += i64::from(duration);
            at += size;
        }
    }
}

fn u32_at(data: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(data[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(data: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(data[at..at + 8].try_into().expect("eight bytes"))
}
