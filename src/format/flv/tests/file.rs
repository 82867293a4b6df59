//! The file form.

use bytes::{Bytes, BytesMut};

use crate::format::flv::file::{FileError, Reader, Tag, TagKind, header, tag_header, tag_trailer, write_tag};

fn sample() -> (BytesMut, Vec<Tag>) {
    let mut out = BytesMut::from(&header(true, true)[..]);
    let tags = [
        Tag { kind: TagKind::Script, timestamp_ms: 0, body: Bytes::from_static(b"metadata") },
        Tag { kind: TagKind::Video, timestamp_ms: 0x0123_4567, body: Bytes::from(vec![7; 70_000]) },
        Tag { kind: TagKind::Audio, timestamp_ms: u32::MAX, body: Bytes::new() },
    ];
    for tag in &tags {
        let (head, tail) = tag.body.split_at(tag.body.len() / 2);
        write_tag(&mut out, tag.kind, tag.timestamp_ms, &[head, tail]);
    }
    (out, tags.into())
}

#[test]
fn what_is_written_is_read_however_it_is_cut() {
    let (bytes, tags) = sample();
    for step in [1, 7, 1000, bytes.len()] {
        let mut reader = Reader::new(1 << 20);
        let mut read = Vec::new();
        for chunk in bytes.chunks(step) {
            reader.push(chunk);
            while let Some(tag) = reader.next_tag().unwrap() {
                read.push(tag);
            }
        }
        assert_eq!(read, tags, "in steps of {step}");
    }
}

#[test]
fn a_tag_has_the_layout_of_the_specification() {
    let mut out = BytesMut::new();
    write_tag(&mut out, TagKind::Audio, 0x0102_0304, &[b"ab", b"c"]);
    assert_eq!(&out[..], b"\x08\0\0\x03\x02\x03\x04\x01\0\0\0abc\0\0\0\x0e");
    assert_eq!(tag_header(TagKind::Audio, 3, 0x0102_0304), out[..11]);
    assert_eq!(tag_trailer(3), out[14..]);
    assert_eq!(&header(true, false), b"FLV\x01\x01\0\0\0\x09\0\0\0\0");
    assert_eq!(&header(false, true), b"FLV\x01\x04\0\0\0\x09\0\0\0\0");
}

#[test]
fn other_bytes_are_refused_at_the_first_that_differs() {
    let read = |bytes: &[u8]| {
        let mut reader = Reader::new(100);
        reader.push(bytes);
        reader.next_tag()
    };
    assert_eq!(read(b"RI"), Err(FileError::Signature));
    assert_eq!(read(b"FLV\x02\x05\0\0\0\x09"), Err(FileError::Signature));
    assert_eq!(read(b"FLV\x01\x05\xff\0\0\x09"), Err(FileError::HeaderLength(0xFF00_0009)));
    assert_eq!(read(b"FLV\x01\x05\0\0\0\x08"), Err(FileError::HeaderLength(8)));
    assert_eq!(read(b"FL"), Ok(None));
    let after_header = |tag: &[u8]| read(&[&header(true, true)[..], tag].concat());
    assert_eq!(after_header(&[7; 11]), Err(FileError::TagType { kind: 7, position: 13 }));
    assert_eq!(after_header(&[0x29; 11]), Err(FileError::Encrypted { position: 13 }));
    let long = tag_header(TagKind::Video, 101, 0);
    assert_eq!(after_header(&long), Err(FileError::TooLong { position: 13, length: 101, max: 100 }));
    assert_eq!(after_header(&tag_header(TagKind::Video, 100, 0)), Ok(None));
}
