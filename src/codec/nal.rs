//! NAL units of H.264 and H.265 in a payload: behind lengths, behind start codes, and from one to the other.

use bytes::{BufMut, Bytes, BytesMut};

use super::Malformed;

/// Bytes of a NAL unit's length in the canonical payload.
pub const LENGTH_SIZE: u8 = 4;

const LENGTH_BYTES: usize = LENGTH_SIZE as usize;
const START_CODE: [u8; 3] = [0, 0, 1];

/// The NAL units of a canonical payload (4-byte lengths). Empty ones are passed over, so every slice has a first
/// byte. After an error there is nothing more.
pub fn units(payload: &[u8]) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    Units { payload, at: 0, length_size: LENGTH_BYTES }
}

/// Brings NAL units behind lengths of `length_size` bytes (1, 2 or 4) into the canonical form. Every length is checked
/// and empty NAL units are dropped; a payload that is canonical already comes back as it is, uncopied. The result is
/// empty when there is no NAL unit in the payload.
pub fn to_canonical(payload: Bytes, length_size: u8) -> Result<Bytes, Malformed> {
    check_length_size(length_size)?;
    let mut canonical_len = 0;
    for unit in (Units { payload: &payload, at: 0, length_size: usize::from(length_size) }) {
        canonical_len += LENGTH_BYTES + unit?.len();
    }
    // Dropping an empty unit of a canonical payload makes it shorter, so equal lengths mean that nothing changes.
    if length_size == LENGTH_SIZE && canonical_len == payload.len() {
        return Ok(payload);
    }
    let mut canonical = BytesMut::with_capacity(canonical_len);
    for unit in (Units { payload: &payload, at: 0, length_size: usize::from(length_size) }) {
        put_unit(&mut canonical, unit?);
    }
    Ok(canonical.freeze())
}

/// The canonical form of a byte stream with start codes (H.264 and H.265 Annex B). Bytes before the first start code
/// must be zero.
pub fn from_annex_b(stream: &[u8]) -> Result<Bytes, Malformed> {
    let Some(first) = find_start_code(stream) else {
        return Err(Malformed::Missing { element: "start code" });
    };
    if let Some(&byte) = stream.iter().take(first).find(|&&byte| byte != 0) {
        return Err(Malformed::Invalid { element: "leading_zero_8bits", value: u64::from(byte) });
    }
    let mut canonical = BytesMut::with_capacity(stream.len() + LENGTH_BYTES);
    let mut rest = stream.get(first + START_CODE.len()..).unwrap_or_default();
    loop {
        let next = find_start_code(rest);
        let unit = rest.get(..next.unwrap_or(rest.len())).unwrap_or_default();
        // A NAL unit never ends in a zero byte: zeros here are trailing ones, or the first of a 4-byte start code.
        let unit = trim_trailing_zeros(unit);
        if !unit.is_empty() {
            put_unit(&mut canonical, unit);
        }
        let Some(next) = next else { break };
        rest = rest.get(next + START_CODE.len()..).unwrap_or_default();
    }
    Ok(canonical.freeze())
}

/// A canonical payload as a byte stream with 4-byte start codes (H.264 and H.265 Annex B).
pub fn to_annex_b(payload: &[u8]) -> Result<Bytes, Malformed> {
    let mut stream = BytesMut::with_capacity(payload.len());
    for unit in units(payload) {
        stream.put_u8(0);
        stream.put_slice(&START_CODE);
        stream.put_slice(unit?);
    }
    Ok(stream.freeze())
}

/// NAL units as a canonical payload; empty ones are dropped.
pub fn join<'a>(units: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut payload = BytesMut::new();
    for unit in units.into_iter().filter(|unit| !unit.is_empty()) {
        put_unit(&mut payload, unit);
    }
    payload.freeze()
}

/// Checks what `lengthSizeMinusOne` of a configuration record says, plus one: 1, 2 or 4.
pub(super) fn check_length_size(length_size: u8) -> Result<(), Malformed> {
    match length_size {
        1 | 2 | 4 => Ok(()),
        other => Err(Malformed::Invalid { element: "NAL unit length size", value: u64::from(other) }),
    }
}

/// What a NAL unit is, as far as placing parameter sets goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// An access unit delimiter: nothing may stand before it.
    Delimiter,
    /// A parameter set.
    Set(SetId),
    /// A slice: parameter sets after it come too late.
    Slice,
    /// Anything else.
    Other,
}

/// Names a parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SetId {
    /// Which kind, in the order of dependence: sets refer to sets of a smaller rank. 0 to 2.
    pub(super) rank: u8,
    /// The id within the kind.
    pub(super) id: u8,
}

/// Puts those of `sets` that the payload does not carry itself before its slices: after an access unit delimiter, and
/// after in-band sets that they may refer to. `sets` are in the order of rank. The payload comes back uncopied
/// when nothing is missing, and when its lengths are wrong.
pub(super) fn with_missing_sets<'a>(
    payload: Bytes,
    sets: impl Iterator<Item = &'a Bytes>,
    role: impl Fn(&[u8]) -> Role,
) -> Bytes {
    let mut present = [[0u128; 2]; 3];
    // Where sets of each rank go: after the last unit that must precede them.
    let mut insert_at = [0usize; 3];
    let mut units = Units { payload: &payload, at: 0, length_size: LENGTH_BYTES };
    while let Some(unit) = units.next() {
        let Ok(unit) = unit else { return payload };
        let at = units.at;
        match role(unit) {
            Role::Delimiter => insert_at = [at; 3],
            Role::Set(SetId { rank, id }) => {
                if let Some(ids) = present.get_mut(usize::from(rank)) {
                    ids[usize::from(id >> 7)] |= 1 << (id & 127);
                }
                for position in insert_at.iter_mut().skip(usize::from(rank) + 1) {
                    *position = at;
                }
            }
            Role::Slice => break,
            Role::Other => {}
        }
    }
    let is_missing = |set: &&Bytes| match role(set) {
        Role::Set(SetId { rank, id }) => {
            present.get(usize::from(rank)).is_some_and(|ids| ids[usize::from(id >> 7)] >> (id & 127) & 1 == 0)
        }
        _ => false,
    };
    let missing: Vec<&Bytes> = sets.filter(is_missing).collect();
    if missing.is_empty() {
        return payload;
    }
    let added: usize = missing.iter().map(|set| LENGTH_BYTES + set.len()).sum();
    let mut whole = BytesMut::with_capacity(payload.len() + added);
    let mut copied = 0;
    for set in missing {
        if let Role::Set(SetId { rank, .. }) = role(set) {
            let until = insert_at.get(usize::from(rank)).copied().unwrap_or(copied).max(copied);
            whole.put_slice(payload.get(copied..until).unwrap_or_default());
            copied = until;
        }
        put_unit(&mut whole, set);
    }
    whole.put_slice(payload.get(copied..).unwrap_or_default());
    whole.freeze()
}

fn put_unit(to: &mut BytesMut, unit: &[u8]) {
    // Payloads come in messages of less than 16 MiB and cannot reach the limit of the length field.
    to.put_u32(u32::try_from(unit.len()).unwrap_or(u32::MAX));
    to.put_slice(unit);
}

fn find_start_code(stream: &[u8]) -> Option<usize> {
    stream.windows(START_CODE.len()).position(|window| window == START_CODE)
}

fn trim_trailing_zeros(unit: &[u8]) -> &[u8] {
    let len = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    unit.get(..len).unwrap_or_default()
}

struct Units<'a> {
    payload: &'a [u8],
    /// The next length field; at most `payload.len()`.
    at: usize,
    length_size: usize,
}

impl<'a> Units<'a> {
    fn next_unit(&mut self) -> Option<Result<&'a [u8], Malformed>> {
        let rest = self.payload.get(self.at..).filter(|rest| !rest.is_empty())?;
        let Some((length, rest)) = rest.split_at_checked(self.length_size) else {
            return Some(Err(Malformed::Truncated { element: "NAL unit length", bit: self.at * 8 }));
        };
        let len = length.iter().fold(0usize, |len, &byte| len << 8 | usize::from(byte));
        let Some(unit) = rest.get(..len) else {
            let (at, remaining) = (self.at, rest.len());
            return Some(Err(Malformed::Overrun { element: "NAL unit", at, len: len as u64, remaining }));
        };
        self.at += self.length_size + len;
        Some(Ok(unit))
    }
}

impl<'a> Iterator for Units<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_unit()? {
                Ok([]) => {}
                Ok(unit) => return Some(Ok(unit)),
                Err(error) => {
                    self.at = self.payload.len();
                    return Some(Err(error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(payload: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
        units(payload).collect()
    }

    #[test]
    fn a_canonical_payload_is_not_copied() {
        let payload = Bytes::from_static(&[0, 0, 0, 2, 9, 16, 0, 0, 0, 1, 5]);
        let canonical = to_canonical(payload.clone(), 4).unwrap();
        assert_eq!(canonical.as_ptr(), payload.as_ptr());
        assert_eq!(collect(&canonical).unwrap(), [&[9, 16][..], &[5][..]]);
    }

    #[test]
    fn shorter_lengths_become_four_bytes_and_empty_units_go() {
        let wanted: &[u8] = &[0, 0, 0, 2, 9, 16, 0, 0, 0, 1, 5];
        let forms: [(u8, &[u8]); 3] = [
            (1, &[2, 9, 16, 0, 1, 5, 0]),
            (2, &[0, 2, 9, 16, 0, 0, 0, 1, 5]),
            (4, &[0, 0, 0, 0, 0, 0, 0, 2, 9, 16, 0, 0, 0, 1, 5, 0, 0, 0, 0]),
        ];
        for (length_size, form) in forms {
            assert_eq!(to_canonical(Bytes::from_static(form), length_size).unwrap(), wanted);
        }
        assert!(to_canonical(Bytes::new(), 4).unwrap().is_empty());
    }

    #[test]
    fn b17_a_length_beyond_the_payload_or_of_three_bytes_is_refused() {
        let lies = Bytes::from_static(&[0, 0, 0, 1, 5, 0xff, 0xff, 0xff, 0xff, 7]);
        let overrun =
            Malformed::Overrun { element: "NAL unit", at: 5, len: u64::from(u32::MAX), remaining: 1 };
        assert_eq!(to_canonical(lies.clone(), 4), Err(overrun));
        let mut iterator = units(&lies);
        assert_eq!(iterator.next(), Some(Ok(&[5][..])));
        assert_eq!(iterator.next(), Some(Err(overrun)));
        assert_eq!(iterator.next(), None);
        let cut = Malformed::Truncated { element: "NAL unit length", bit: 40 };
        assert_eq!(to_canonical(lies.slice(..7), 4), Err(cut));
        for length_size in [0, 3, 5, 255] {
            let wrong = Malformed::Invalid { element: "NAL unit length size", value: u64::from(length_size) };
            assert_eq!(to_canonical(lies.clone(), length_size), Err(wrong));
        }
    }

    #[test]
    fn annex_b_goes_there_and_back() {
        let stream =
            [0, 0, 0, 0, 1, 9, 16, 0, 0, 1, 0x67, 0, 0, 3, 0, 0x80, 0, 0, 0, 1, 0, 0, 1, 0x65, 0, 0, 0];
        let payload = from_annex_b(&stream).unwrap();
        assert_eq!(collect(&payload).unwrap(), [&[9, 16][..], &[0x67, 0, 0, 3, 0, 0x80], &[0x65]]);
        let again = to_annex_b(&payload).unwrap();
        assert_eq!(&again[..7], [0, 0, 0, 1, 9, 16, 0]);
        assert_eq!(from_annex_b(&again).unwrap(), payload);
        assert_eq!(from_annex_b(&[0, 0, 2]), Err(Malformed::Missing { element: "start code" }));
        assert!(from_annex_b(&[7, 0, 0, 1, 5]).is_err());
    }
}
