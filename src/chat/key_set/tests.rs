//! A site that publishes its keys, changes them, and goes down.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A pair of keys of the site.
struct Pair {
    id: &'static str,
    key: EncodingKey,
}

impl Pair {
    fn new(id: &'static str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        Self { id, key: EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()) }
    }

    fn public(&self) -> Value {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.key, Algorithm::EdDSA).unwrap()).unwrap();
        jwk["kid"] = json!(self.id);
        jwk
    }

    fn token(&self) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.id.to_owned());
        let expires = clock::unix_now() / 1000 + 3600;
        encode(&header, &json!({"aud": "onair", "sub": "42", "exp": expires}), &self.key).unwrap()
    }
}

/// What the site publishes, and how often it was asked.
#[derive(Default)]
struct Site {
    body: RwLock<String>,
    asked: AtomicU32,
}

impl Site {
    fn publish(&self, keys: &[Value]) {
        *self.body.write().unwrap() = json!({ "keys": keys }).to_string();
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

/// A site, and a server that knows it and asks again no sooner than so.
async fn site(pause: Duration) -> (Arc<Site>, KeySet) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let jwks_url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let site = Arc::new(Site::default());
    let serving = Arc::clone(&site);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            serving.asked.fetch_add(1, Ordering::Relaxed);
            let body = serving.body.read().unwrap().clone();
            let status = if body.is_empty() { "503 Service Unavailable" } else { "200 OK" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let mut keys = KeySet::new(&Config { jwks_url, ..Config::default() }).unwrap();
    keys.remote.as_mut().unwrap().pause = pause;
    (site, keys)
}

fn kitchen() -> ChannelName {
    "kitchen".parse().unwrap()
}

#[tokio::test]
async fn keys_that_a_site_changes_or_cannot_show_hold_as_they_should() {
    let (site, keys) = site(Duration::ZERO).await;
    let (old, new) = (Pair::new("old"), Pair::new("new"));
    let secret =
        json!({"kty": "oct", "kid": "secret", "k": "YSBzZWNyZXQgb2YgYXQgbGVhc3QgdGhpcnR5LXR3byBieXRlcw"});
    let unknown = json!({"kty": "EC", "crv": "P-256", "kid": "ec", "x": "AA", "y": "AA"});
    // Not published yet.
    assert!(matches!(keys.check(&old.token(), &kitchen()).await, Err(VoucherError::UnknownKey)));
    site.publish(&[secret.clone(), unknown, old.public()]);
    assert_eq!(keys.check(&old.token(), &kitchen()).await.unwrap().subject, "42");
    assert_eq!(site.asked(), 2);
    assert!(keys.check(&old.token(), &kitchen()).await.is_ok());
    assert_eq!(site.asked(), 2, "a key that is known is not asked for");
    // What is published is no secret that anybody could vouch with.
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("secret".to_owned());
    let forged = EncodingKey::from_secret(b"a secret of at least thirty-two bytes");
    let forged =
        encode(&header, &json!({"aud": "onair", "sub": "1", "exp": i64::from(u32::MAX)}), &forged).unwrap();
    assert!(matches!(keys.check(&forged, &kitchen()).await, Err(VoucherError::UnknownKey)));
    // The site is down, and then shows nonsense.
    for body in ["", "<html>", "{\"keys\":[]}", &json!({ "keys": [secret] }).to_string()] {
        body.clone_into(&mut site.body.write().unwrap());
        assert!(keys.check(&new.token(), &kitchen()).await.is_err(), "{body}");
        assert!(keys.check(&old.token(), &kitchen()).await.is_ok(), "what was known holds: {body}");
    }
    site.publish(&[new.public()]);
    assert!(keys.check(&new.token(), &kitchen()).await.is_ok());
    assert!(keys.check(&old.token(), &kitchen()).await.is_err(), "what is withdrawn does not");
}

#[tokio::test]
async fn b34_tokens_of_unknown_keys_make_one_request_a_minute() {
    let (site, keys) = site(PAUSE).await;
    let known = Pair::new("known");
    site.publish(&[known.public()]);
    let keys = Arc::new(keys);
    let attempts: Vec<_> = (0..20)
        .map(|_| {
            let (keys, token) = (Arc::clone(&keys), Pair::new("stranger").token());
            tokio::spawn(async move { keys.check(&token, &kitchen()).await.is_err() })
        })
        .collect();
    for attempt in attempts {
        assert!(attempt.await.unwrap());
    }
    assert!(keys.check(&known.token(), &kitchen()).await.is_ok());
    assert_eq!(site.asked(), 1);
}

#[test]
fn a_url_is_one_that_can_be_fetched_and_there_is_no_file_beside_it() {
    let problems = |url: &str, file: Option<&str>| {
        let config = Config { jwks_url: url.to_owned(), jwks: file.map(Into::into), ..Config::default() };
        config.problems().len()
    };
    assert_eq!((problems("https://example.org/jwks.json", None), problems("", Some("keys.json"))), (0, 0));
    assert_eq!(problems("https://example.org/jwks.json", Some("keys.json")), 1);
    for url in ["file:///etc/passwd", "example.org/jwks.json", "https://", "ftp://example.org/"] {
        assert_eq!(problems(url, None), 1, "{url}");
    }
}
