//! Tokens of every kind that holds, and of those that do not.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::clock;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

struct Site {
    vouchers: Vouchers,
    shared: EncodingKey,
    ed25519: EncodingKey,
    rsa: EncodingKey,
    rsa_public: String,
}

fn site(issuer: &str) -> Site {
    let shared = EncodingKey::from_secret(SECRET);
    let pair = Ed25519KeyPair::generate().unwrap();
    let der: Vec<u8> = pair.to_pkcs8v1().unwrap().as_ref().to_vec();
    let ed25519 = EncodingKey::from_ed_der(&der);
    let der: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
    // RSA's own form is in the last field; before it are 26 bytes that say that it is RSA.
    let rsa = EncodingKey::from_rsa_der(&der.as_ref()[26..]);
    let set: Vec<Value> = [
        (&shared, Algorithm::HS256, "shared"),
        (&ed25519, Algorithm::EdDSA, "ed"),
        (&rsa, Algorithm::RS256, "rsa"),
    ]
    .into_iter()
    .map(|(key, algorithm, id)| {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(id);
        jwk
    })
    .collect();
    let rsa_public = set[2]["n"].as_str().unwrap().to_owned();
    let keys = keys(&json!({ "keys": set }).to_string()).unwrap();
    let vouchers = Vouchers { keys, issuer: issuer.to_owned(), audience: "onair".to_owned() };
    Site { vouchers, shared, ed25519, rsa, rsa_public }
}

fn now() -> i64 {
    clock::unix_now() / 1000
}

fn claims() -> Value {
    json!({"iss": "https://site.example", "aud": "onair", "sub": "42", "name": "Grace", "exp": now() + 3600})
}

fn sign(algorithm: Algorithm, id: Option<&str>, claims: &Value, key: &EncodingKey) -> String {
    let mut header = Header::new(algorithm);
    header.kid = id.map(str::to_owned);
    encode(&header, claims, key).unwrap()
}

fn kitchen() -> ChannelName {
    "kitchen".parse().unwrap()
}

#[test]
fn each_kind_of_key_vouches_with_and_without_its_id() {
    let site = site("");
    for (algorithm, id, key) in [
        (Algorithm::HS256, "shared", &site.shared),
        (Algorithm::EdDSA, "ed", &site.ed25519),
        (Algorithm::RS256, "rsa", &site.rsa),
    ] {
        for id in [Some(id), None] {
            let voucher = site.vouchers.check(&sign(algorithm, id, &claims(), key), &kitchen()).unwrap();
            assert_eq!((voucher.subject.as_str(), voucher.name.as_deref()), ("42", Some("Grace")));
            assert_eq!(voucher.issuer, "https://site.example");
            assert!(voucher.expires > now() * 1000);
        }
    }
}

#[test]
fn b34_tokens_that_do_not_hold_are_refused() {
    let site = site("https://site.example");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims();
        change(&mut claims);
        sign(Algorithm::HS256, None, &claims, &site.shared)
    };
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims()));
    let confused = EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(&site.rsa_public).unwrap());
    let other = EncodingKey::from_secret(b"another secret of thirty-two bytes or so");
    let good = with(&|_| {});
    assert!(site.vouchers.check(&good, &kitchen()).is_ok());
    let (head, rest) = good.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let mut promoted = claims();
    promoted["sub"] = json!("1");
    for (why, token) in [
        ("nothing", String::new()),
        ("no token", "a.b.c".to_owned()),
        ("alg none", none),
        ("another key", sign(Algorithm::HS256, None, &claims(), &other)),
        ("another key under a known id", sign(Algorithm::HS256, Some("shared"), &claims(), &other)),
        ("the public key as a secret", sign(Algorithm::HS256, Some("rsa"), &claims(), &confused)),
        ("an algorithm that is not meant", sign(Algorithm::HS512, None, &claims(), &site.shared)),
        ("an id that is not known", sign(Algorithm::HS256, Some("x"), &claims(), &site.shared)),
        ("claims that were not signed", format!("{head}.{}.{signature}", part(&promoted))),
        ("another audience", with(&|claims| claims["aud"] = json!("elsewhere"))),
        ("no audience", with(&|claims| drop(claims.as_object_mut().unwrap().remove("aud")))),
        ("another issuer", with(&|claims| claims["iss"] = json!("https://evil.example"))),
        ("no issuer", with(&|claims| drop(claims.as_object_mut().unwrap().remove("iss")))),
        ("run out", with(&|claims| claims["exp"] = json!(now() - 60))),
        ("no end", with(&|claims| drop(claims.as_object_mut().unwrap().remove("exp")))),
        ("not yet", with(&|claims| claims["nbf"] = json!(now() + 600))),
        ("nobody", with(&|claims| drop(claims.as_object_mut().unwrap().remove("sub")))),
        ("another channel", with(&|claims| claims["channel"] = json!("garden"))),
        ("4 KiB", with(&|claims| claims["name"] = json!("x".repeat(4096)))),
    ] {
        assert!(site.vouchers.check(&token, &kitchen()).is_err(), "{why}");
    }
    let here = with(&|claims| claims["channel"] = json!("kitchen"));
    assert!(site.vouchers.check(&here, &kitchen()).is_ok());
}

#[test]
fn without_keys_nobody_vouches_and_weak_keys_are_refused() {
    let none = Vouchers::load(None, "", "onair").unwrap();
    let token = sign(Algorithm::HS256, None, &claims(), &EncodingKey::from_secret(SECRET));
    assert!(matches!(none.check(&token, &kitchen()), Err(VoucherError::UnknownKey)));
    let short = URL_SAFE_NO_PAD.encode("short");
    for bad in [
        "",
        "{}",
        "{\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
        &format!("{{\"keys\":[{{\"kty\":\"oct\",\"k\":\"{short}\"}}]}}"),
    ] {
        assert!(keys(bad).is_err(), "{bad}");
    }
    assert!(Vouchers::load(Some(Path::new("/nonexistent")), "", "onair").is_err());
}
