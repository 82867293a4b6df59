//! The handshake of both ends, and what else arrives on an RTMP port.

use bytes::BytesMut;

use super::digest::tests::{answer_is_signed, signed_c1};
use super::*;

fn random(seed: u8) -> [u8; RANDOM_LENGTH] {
    std::array::from_fn(|at| (at as u8).wrapping_mul(31).wrapping_add(seed))
}

#[test]
fn client_and_server_complete_a_plain_handshake() {
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    let mut client = ClientHandshake::new(&random(1), &mut to_server);
    let mut server = ServerHandshake::new(random(2));
    assert_eq!(server.receive(&mut to_server, &mut to_client), Ok(false));
    assert_eq!(to_client.len(), 1 + 2 * PACKET_LENGTH);
    assert_eq!(&to_client[1 + PACKET_LENGTH + 8..], &random(1), "S2 returns C1");
    assert_eq!(client.receive(&mut to_client, &mut to_server), Ok(true));
    assert_eq!(&to_server[8..], &random(2), "C2 returns S1");
    to_server.extend_from_slice(b"next");
    assert_eq!(server.receive(&mut to_server, &mut to_client), Ok(true));
    assert_eq!(&to_server[..], b"next");
}

#[test]
fn a_signed_client_gets_a_signed_answer_in_its_own_scheme() {
    for scheme in [0, 1] {
        let c1 = signed_c1(scheme, &random(7)).unwrap();
        let mut input = BytesMut::from(&[&[3][..], &c1].concat()[..]);
        let mut out = BytesMut::new();
        assert_eq!(ServerHandshake::new(random(9)).receive(&mut input, &mut out), Ok(false));
        let (s1, s2) = out[1..].split_at(PACKET_LENGTH);
        assert_eq!(answer_is_signed(scheme, &c1, s1, s2), Some(true));
    }
}

#[test]
fn a_client_with_a_version_but_no_signature_is_answered_plainly() {
    let c1 = [&[0, 0, 0, 0, 9, 0, 124, 2][..], &random(3)].concat();
    let mut input = BytesMut::from(&[&[3][..], &c1].concat()[..]);
    let mut out = BytesMut::new();
    assert_eq!(ServerHandshake::new(random(4)).receive(&mut input, &mut out), Ok(false));
    assert_eq!(&out[5..9], &[0; 4]);
    assert_eq!(&out[1 + PACKET_LENGTH..], &c1);
}

#[test]
fn b2_other_protocols_are_told_by_their_first_byte() {
    let refused = |first: &[u8]| {
        let mut server = ServerHandshake::new(random(0));
        server.receive(&mut BytesMut::from(first), &mut BytesMut::new())
    };
    assert_eq!(refused(b"G"), Err(HandshakeError::Http));
    assert_eq!(refused(b"PRI * HTTP/2.0"), Err(HandshakeError::Http));
    assert_eq!(refused(&[0x16, 3, 1]), Err(HandshakeError::Tls));
    assert_eq!(refused(&[6]), Err(HandshakeError::Encrypted(6)));
    assert_eq!(refused(&[0]), Err(HandshakeError::Version(0)));
    assert_eq!(refused(&[3]), Ok(false));
    assert_eq!(refused(&[]), Ok(false));
}
