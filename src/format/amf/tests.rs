//! Reading and writing of AMF, and what a hostile peer may send instead.

use bytes::BytesMut;

use super::{AmfError, MAX_DEPTH, Value, amf0, amf3};

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = BytesMut::new();
    amf0::encode(value, &mut out);
    out.to_vec()
}

fn decode0(bytes: &[u8]) -> Result<Value, AmfError> {
    amf0::decode(&mut &bytes[..])
}

fn decode3(bytes: &[u8]) -> Result<Value, AmfError> {
    amf3::decode(&mut &bytes[..])
}

/// One property `a` whose value is `inner`, as an AMF0 object.
fn object0(inner: &[u8]) -> Vec<u8> {
    [&[3, 0, 1, b'a'][..], inner, &[0, 0, 9]].concat()
}

#[test]
fn every_kind_of_value_survives_a_round_trip() {
    let value = Value::object([
        ("width", 1920.0.into()),
        ("stereo", true.into()),
        ("encoder", "é obs-output".into()),
        ("long", "x".repeat(70_000).into()),
        ("list", vec![Value::Null, Value::Undefined, Value::Date(1.5e12)].into()),
        ("nested", Value::ecma_array([("", 1.0.into()), ("k", Value::object([]))])),
    ]);
    let bytes = encoded(&value);
    let mut input = &bytes[..];
    assert_eq!(amf0::decode(&mut input), Ok(value));
    assert!(input.is_empty());
}

#[test]
fn decode_leaves_what_follows_and_decode_all_reads_it() {
    let bytes = [encoded(&"connect".into()), encoded(&1.0.into())].concat();
    let mut input = &bytes[..];
    assert_eq!(amf0::decode(&mut input), Ok("connect".into()));
    assert_eq!(input.len(), 9);
    assert_eq!(amf0::decode_all(&bytes), Ok(vec!["connect".into(), 1.0.into()]));
}

#[test]
fn property_finds_the_last_of_a_name() {
    let value = Value::object([("a", 1.0.into()), ("a", 2.0.into())]);
    assert_eq!(value.property("a").and_then(Value::as_f64), Some(2.0));
    assert_eq!(value.property("b"), None);
    assert_eq!(Value::Null.property("a"), None);
}

#[test]
fn a_typed_object_and_a_document_lose_their_wrapping() {
    let typed = [&[0x10, 0, 1, b'C'][..], &[0, 1, b'a', 5], &[0, 0, 9]].concat();
    assert_eq!(decode0(&typed), Ok(Value::object([("a", Value::Null)])));
    assert_eq!(decode0(&[0x0f, 0, 0, 0, 2, b'<', b'>']), Ok("<>".into()));
}

#[test]
fn text_that_is_not_utf8_is_replaced_not_refused() {
    assert_eq!(decode0(&[2, 0, 2, b'a', 0xff]), Ok("a\u{fffd}".into()));
}

#[test]
fn an_amf0_reference_repeats_the_object() {
    let message = [object0(&[5]), vec![7, 0, 0]].concat();
    let object = Value::object([("a", Value::Null)]);
    assert_eq!(amf0::decode_all(&message), Ok(vec![object.clone(), object]));
}

#[test]
fn the_switch_to_amf3_reads_one_value_and_returns() {
    let message = [0x11, 0x06, 0x05, b'h', b'i', 0x05];
    assert_eq!(amf0::decode_all(&message), Ok(vec!["hi".into(), Value::Null]));
}

#[test]
fn amf3_integers_are_signed_29_bit_numbers() {
    assert_eq!(decode3(&[4, 0x7f]), Ok(127.0.into()));
    assert_eq!(decode3(&[4, 0x81, 0x00]), Ok(128.0.into()));
    assert_eq!(decode3(&[4, 0xff, 0xff, 0xff, 0xff]), Ok((-1.0).into()));
    assert_eq!(decode3(&[4, 0xbf, 0xff, 0xff, 0xff]), Ok(268_435_455.0.into()));
}

#[test]
fn amf3_objects_share_strings_traits_and_objects() {
    // An array of: a dynamic class "C" with fixed "a" and dynamic "b"; the same class by reference; the first again.
    let first = [&[0x0a, 0x1b, 3, b'C', 3, b'a', 4, 1][..], &[3, b'b', 6, 3, b'v'], &[1]].concat();
    let second = [0x0a, 0x01, 4, 2, 1];
    let array = [&[9, 7, 1][..], &first, &second, &[0x0a, 2]].concat();
    let object = Value::object([("a", 1.0.into()), ("b", "v".into())]);
    let expected = vec![object.clone(), Value::object([("a", 2.0.into())]), object];
    assert_eq!(decode3(&array), Ok(Value::StrictArray(expected)));
}

#[test]
fn amf3_arrays_with_names_become_associative() {
    let array = [9, 3, 3, b'n', 3, 1, 2];
    let expected = Value::ecma_array([("n", true.into()), ("0", false.into())]);
    assert_eq!(decode3(&array), Ok(expected));
}

#[test]
fn amf3_binary_dates_documents_and_vectors_have_plain_forms() {
    assert_eq!(decode3(&[0x0c, 5, 0xfc, 0x30]), Ok("fc30".into()));
    assert_eq!(decode3(&[0x08, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Ok(Value::Date(0.0)));
    assert_eq!(decode3(&[0x0b, 7, b'<', b'a', b'>']), Ok("<a>".into()));
    assert_eq!(decode3(&[0x0d, 3, 0, 0xff, 0xff, 0xff, 0xff]), Ok(vec![(-1.0).into()].into()));
    assert_eq!(decode3(&[0x10, 3, 0, 1, 1]), Ok(vec![Value::Null].into()));
    let wrapper = [&[0x0a, 0x07, 67][..], b"flex.messaging.io.ArrayCollection", &[9, 3, 1, 1]].concat();
    assert_eq!(decode3(&wrapper), Ok(vec![Value::Null].into()));
}

#[test]
fn b11_values_nested_ten_thousand_deep_are_refused() {
    let objects = [3, 0, 1, b'a'].repeat(10_000);
    assert_eq!(decode0(&objects), Err(AmfError::TooDeep));
    let arrays = [0x0a, 0, 0, 0, 1].repeat(10_000);
    assert_eq!(decode0(&arrays), Err(AmfError::TooDeep));
    assert_eq!(decode3(&[9, 3, 1].repeat(10_000)), Err(AmfError::TooDeep));
    let deepest = (0..MAX_DEPTH).fold(vec![5], |inner, _| object0(&inner));
    assert!(decode0(&deepest).is_ok());
    assert_eq!(decode0(&object0(&deepest)), Err(AmfError::TooDeep));
}

#[test]
fn b12_a_count_that_the_input_cannot_hold_is_refused() {
    let refused = |bytes: &[u8]| matches!(decode0(bytes), Err(AmfError::Truncated { .. }));
    assert!(refused(&[0x0a, 0xff, 0xff, 0xff, 0xff, 5, 5]));
    let refused = |bytes: &[u8]| matches!(decode3(bytes), Err(AmfError::Truncated { .. }));
    assert!(refused(&[9, 0xff, 0xff, 0xff, 0xff, 1, 1]));
    assert!(refused(&[0x0f, 0xff, 0xff, 0xff, 0xff, 0]));
    assert!(refused(&[0x0a, 0xff, 0xff, 0xff, 0xfb, 3, b'C', 1]));
}

#[test]
fn b12_a_true_count_beyond_the_limit_is_refused() {
    let mut list = vec![0x0a, 0, 2, 0, 0];
    list.resize(5 + 0x2_0000, 5);
    assert_eq!(decode0(&list), Err(AmfError::TooManyValues));
}

#[test]
fn b13_a_string_longer_than_the_input_is_refused() {
    let expected = Err(AmfError::Truncated { needed: 0xffff, remaining: 1 });
    assert_eq!(decode0(&[2, 0xff, 0xff, b'a']), expected);
    let expected = Err(AmfError::Truncated { needed: 0xffff_ffff, remaining: 1 });
    assert_eq!(decode0(&[0x0c, 0xff, 0xff, 0xff, 0xff, b'a']), expected);
    assert!(matches!(decode3(&[6, 0xff, 0xff, 0xff, 0xff, b'a']), Err(AmfError::Truncated { .. })));
}

#[test]
fn b14_the_count_of_an_associative_array_is_not_believed() {
    for count in [[0, 0, 0, 0], [0, 0, 0, 9], [0xff; 4]] {
        let bytes = [&[8][..], &count, &[0, 1, b'a', 5, 0, 0, 9]].concat();
        assert_eq!(decode0(&bytes), Ok(Value::ecma_array([("a", Value::Null)])));
    }
}

#[test]
fn b14_reference_loops_are_refused() {
    assert_eq!(decode0(&object0(&[7, 0, 0])), Err(AmfError::ReferenceLoop(0)));
    assert_eq!(decode0(&[7, 0, 0]), Err(AmfError::UnknownReference(0)));
    assert_eq!(decode3(&[9, 3, 1, 9, 0]), Err(AmfError::ReferenceLoop(0)));
    assert_eq!(decode3(&[9, 0]), Err(AmfError::UnknownReference(0)));
    assert_eq!(decode3(&[6, 0]), Err(AmfError::UnknownReference(0)));
}

#[test]
fn b14_references_cost_what_they_expand_to() {
    // Each array holds the one before it twice: 2^20 values from a few bytes.
    let mut doubling0 = vec![0x0a, 0, 0, 0, 20, 0x0a, 0, 0, 0, 0];
    let mut doubling3 = vec![9, 41, 1, 9, 1, 1];
    for previous in 1..20_u8 {
        doubling0.extend([0x0a, 0, 0, 0, 2, 7, 0, previous, 7, 0, previous]);
        doubling3.extend([9, 5, 1, 9, previous << 1, 9, previous << 1]);
    }
    assert_eq!(decode0(&doubling0), Err(AmfError::TooManyValues));
    assert_eq!(decode3(&doubling3), Err(AmfError::TooManyValues));
    // One string of 60,000 bytes, named 100 times.
    let mut text = vec![9, 0x81, 0x49, 1, 6, 0x87, 0xa9, 0x41];
    text.resize(text.len() + 60_000, b'x');
    text.extend([6, 0].repeat(99));
    assert_eq!(decode3(&text), Err(AmfError::TooMuchText));
}

#[test]
fn b14_a_chain_of_references_is_as_deep_as_what_it_expands_to() {
    // Each wrapper holds the one before it; nothing is nested on the wire.
    let name = b"flex.messaging.io.ArrayList";
    let mut chain = [&[9, 0x81, 0x49, 1, 0x0a, 7, 55][..], name, &[1]].concat();
    for previous in 1..100_u8 {
        chain.extend([0x0a, 1, 0x0a]);
        chain.extend(if previous < 64 { vec![previous << 1] } else { vec![0x81, previous << 1 & 0x7f] });
    }
    assert_eq!(decode3(&chain), Err(AmfError::TooDeep));
}

#[test]
fn b14_numbers_that_are_not_finite_are_kept() {
    let number = decode0(&encoded(&f64::NAN.into())).ok().and_then(|value| value.as_f64());
    assert!(number.is_some_and(f64::is_nan));
    assert_eq!(decode0(&encoded(&f64::INFINITY.into())), Ok(f64::INFINITY.into()));
}

#[test]
fn b14_an_object_without_end_is_refused() {
    assert_eq!(decode0(&[3, 0, 1, b'a', 5]), Err(AmfError::MissingObjectEnd));
    assert_eq!(decode0(&[8, 0, 0, 0, 1, 0, 1, b'a', 5]), Err(AmfError::MissingObjectEnd));
    assert_eq!(decode3(&[9, 1, 3, b'a', 1]), Err(AmfError::MissingObjectEnd));
}

#[test]
fn reserved_and_unknown_types_are_refused() {
    assert_eq!(decode0(&[4]), Err(AmfError::UnknownMarker(4)));
    assert_eq!(decode0(&[0x12]), Err(AmfError::UnknownMarker(0x12)));
    assert_eq!(decode3(&[0x11]), Err(AmfError::UnknownMarker(0x11)));
    assert_eq!(decode3(&[0x0a, 7, 3, b'C']), Err(AmfError::Externalizable));
}
