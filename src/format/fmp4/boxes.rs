//! Writing boxes: a length, a type, what is inside.

use bytes::BufMut;

/// Writes a box of type `kind` around what `body` writes.
pub(super) fn boxed(out: &mut Vec<u8>, kind: &[u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(kind);
    body(out);
    // Our boxes are far below 4 GiB: init segments are kilobytes, and the one large box (mdat) is sized by itself.
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Writes a full box: a box that begins with a version and 24 bits of flags.
pub(super) fn full_boxed(
    out: &mut Vec<u8>,
    kind: &[u8; 4],
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut Vec<u8>),
) {
    boxed(out, kind, |out| {
        out.put_u32(u32::from(version) << 24 | flags & 0x00ff_ffff);
        body(out);
    });
}
