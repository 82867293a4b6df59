//! Published vectors, and packets that are not what they claim to be.

use aws_lc_rs::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, UnboundCipherKey};

use super::cipher::Cipher;
use super::keys::{Label, Packets};
use super::*;
use crate::codec::samples::hex;

const PROFILES: [Profile; 3] = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmHmacSha1_80];

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

/// Two ends of one direction.
fn pair(profile: Profile) -> (Sealer, Opener) {
    let key: Vec<u8> = (0..profile.key_length() as u8).collect();
    let salt: Vec<u8> = (100..100 + profile.salt_length() as u8).collect();
    let master = MasterKey::new(profile, &key, &salt).unwrap();
    (Sealer::new(&master).unwrap(), Opener::new(&master).unwrap())
}

/// A receiver report of SSRC 0x01020304.
fn report() -> Vec<u8> {
    hex("80c9000101020304")
}

fn compound() -> Vec<u8> {
    let mut compound = report();
    compound.extend(hex("81ca000201020304010161000000000000"));
    compound
}

#[test]
fn keys_are_derived_as_in_rfc_3711_appendix_b3() {
    let master = MasterKey::new(
        Profile::Aes128CmHmacSha1_80,
        &hex("e1f97a0d3e018be0d64fa32c06de4139"),
        &hex("0ec675ad498afeebb6960b3aabe6"),
    )
    .unwrap();
    let derive = |label, length| master.derive(Packets::Rtp, label, length).unwrap();
    assert_eq!(derive(Label::Encryption, 16), hex("c61e7a93744f39ee10734afe3ff7a087"));
    assert_eq!(derive(Label::Salt, 14), hex("30cbbc08863d8c85d49db34a9ae1"));
    assert_eq!(derive(Label::Authentication, 20), hex("cebe321f6ff7716b6fd4ab49af256a156d38baa4"));
}

#[test]
fn the_key_stream_is_that_of_rfc_3711_appendix_b2() {
    let key = UnboundCipherKey::new(&AES_128, &hex("2b7e151628aed2a6abf7158809cf4f3c")).unwrap();
    let mut stream = [0; 48];
    let salt = array("f0f1f2f3f4f5f6f7f8f9fafbfcfd");
    Cipher::count(&EncryptingKey::ctr(key).unwrap(), &salt, 0, 0, &mut stream);
    let expected =
        "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0";
    assert_eq!(stream.to_vec(), hex(expected));
}

#[test]
fn a_packet_is_sealed_as_in_rfc_7714_section_16_1_1() {
    let key = UnboundKey::new(&AES_128_GCM, &hex("000102030405060708090a0b0c0d0e0f")).unwrap();
    let header = hex("8040f17b8041f8d35501a0b2");
    let mut packet = header.clone();
    packet.extend(b"Gallia est omnis divisa in partes tres");
    let nonce = Cipher::gcm_nonce(&array("517569642070726f2071756f"), 0x5501_a0b2, 0xf17b);
    Cipher::seal_gcm(&LessSafeKey::new(key), nonce, &header, &mut packet, 12);
    let expected = "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833\
                    899d7f27beb16a9152cf765ee4390cce";
    assert_eq!(packet, hex(expected));
}

#[test]
fn material_is_split_by_the_role_in_dtls() {
    for profile in PROFILES {
        let length = 2 * (profile.key_length() + profile.salt_length());
        let material = || KeyingMaterial::new((0..length as u8).collect(), profile);
        let (client, server) = material().split(true).unwrap();
        let (ours, theirs) = material().split(false).unwrap();
        let key = |master: &MasterKey| master.derive(Packets::Rtp, Label::Encryption, 16).unwrap();
        assert_eq!((key(&client), key(&server)), (key(&theirs), key(&ours)));
        assert_ne!(key(&client), key(&server));
        let short = KeyingMaterial::new(vec![0; length - 1], profile);
        assert_eq!(short.split(true).err(), Some(KeyError::Length));
    }
}

#[test]
fn what_one_side_seals_the_other_opens() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        for _ in 0..3 {
            let (mut sealed, mut opened) = (b"before".to_vec(), b"before".to_vec());
            sealer.seal_rtcp(&compound(), &mut sealed).unwrap();
            assert_eq!(sealed[6..14], compound()[..8], "the head stays readable");
            assert_ne!(sealed[14..6 + compound().len()], compound()[8..]);
            opener.open_rtcp(&sealed[6..], &mut opened).unwrap();
            assert_eq!(opened[6..], compound());
        }
    }
}

#[test]
fn media_is_sealed_behind_what_is_there_and_grows_by_the_tag() {
    for profile in PROFILES {
        let (sealer, _) = pair(profile);
        let mut out = b"before".to_vec();
        sealer.seal_rtp(1, 7, &[0x80; 12], &[&[1; 50], &[2; 50]], &mut out);
        assert_eq!(out.len(), 6 + 12 + 100 + sealer.overhead());
        let mut next = Vec::new();
        sealer.seal_rtp(1, 8, &[0x80; 12], &[&[1; 50], &[2; 50]], &mut next);
        assert_ne!(out[6..], next, "another number is another key stream");
        let mut wrapped = Vec::new();
        sealer.seal_rtp(1, 7 + (1 << 16), &[0x80; 12], &[&[1; 50], &[2; 50]], &mut wrapped);
        assert_ne!(out[6..], wrapped, "the same sequence number after a wrap too");
    }
}

#[test]
fn b29_replayed_packets_are_refused_and_late_ones_taken_once() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let packets: Vec<Vec<u8>> = (0..200)
            .map(|_| {
                let mut sealed = Vec::new();
                sealer.seal_rtcp(&report(), &mut sealed).unwrap();
                sealed
            })
            .collect();
        let mut open = |number: usize| opener.open_rtcp(&packets[number], &mut Vec::new());
        assert_eq!((open(10), open(10)), (Ok(()), Err(OpenError::Replayed)));
        assert_eq!((open(9), open(9)), (Ok(()), Err(OpenError::Replayed)));
        assert_eq!(open(199), Ok(()));
        assert_eq!(open(71), Err(OpenError::Replayed), "too old to tell");
        assert_eq!((open(72), open(72)), (Ok(()), Err(OpenError::Replayed)));
    }
}

#[test]
fn each_ssrc_counts_its_packets_for_itself() {
    for profile in PROFILES {
        let (_, mut opener) = pair(profile);
        let mut first_of = |ssrc: u32| {
            let (mut sealer, _) = pair(profile);
            let (mut packet, mut sealed) = (report(), Vec::new());
            packet[4..8].copy_from_slice(&ssrc.to_be_bytes());
            sealer.seal_rtcp(&packet, &mut sealed).unwrap();
            opener.open_rtcp(&sealed, &mut Vec::new())
        };
        for ssrc in 0..16 {
            assert_eq!(first_of(ssrc), Ok(()));
            assert_eq!(first_of(ssrc), Err(OpenError::Replayed));
        }
        assert_eq!(first_of(16), Err(OpenError::Sender));
    }
}

#[test]
fn b29_forged_truncated_and_clear_packets_are_refused_and_leave_nothing_behind() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let mut sealed = Vec::new();
        sealer.seal_rtcp(&compound(), &mut sealed).unwrap();
        let mut out = b"before".to_vec();
        for byte in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[byte] ^= 1;
            assert!(opener.open_rtcp(&flipped, &mut out).is_err(), "{profile:?}: byte {byte} was changed");
        }
        for length in 0..sealed.len() {
            assert!(opener.open_rtcp(&sealed[..length], &mut out).is_err(), "{profile:?}: cut to {length}");
        }
        assert!(opener.open_rtcp(&compound(), &mut out).is_err());
        assert_eq!(out, b"before");
        assert_eq!(opener.open_rtcp(&sealed, &mut out), Ok(()), "the right one is not held up by the forged");
    }
}
