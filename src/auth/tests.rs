//! Secrets: strong, private, void when replaced.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("onair-auth-{}-{name}", std::process::id()));
    drop(fs::remove_dir_all(&path));
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn the_first_start_makes_a_private_token_and_later_ones_read_it() {
    let dir = directory("first");
    let token = AdminToken::load_or_create(&dir).unwrap();
    let file = dir.join(TOKEN_FILE);
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.trim().len(), 32);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(token.is(text.trim()));
    assert!(!token.is(""));
    assert!(!token.is(&text.trim()[..31]));
    assert!(!token.is(&"x".repeat(4096)));
    assert!(AdminToken::load_or_create(&dir).unwrap().is(text.trim()));
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_token_open_to_others_is_closed_and_a_weak_one_refused() {
    let dir = directory("weak");
    let file = dir.join(TOKEN_FILE);
    fs::write(&file, "an-operators-own-long-token\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(AdminToken::load_or_create(&dir).unwrap().is("an-operators-own-long-token"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    for weak in ["", "\n", "secret", "a token with spaces in it is no token"] {
        fs::write(&file, weak).unwrap();
        assert!(matches!(AdminToken::load_or_create(&dir), Err(TokenError::Weak { .. })), "{weak:?}");
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn keys_are_of_160_bits_and_never_the_same() {
    let keys: HashSet<String> =
        (0..1000).map(|_| AccessKey::generate().unwrap().expose().to_owned()).collect();
    assert_eq!(keys.len(), 1000);
    assert!(keys.iter().all(|key| key.len() == 32 && key.bytes().all(|byte| ALPHABET.contains(&byte))));
    let used: HashSet<u8> = keys.iter().flat_map(|key| key.bytes()).collect();
    assert_eq!(used.len(), 32);
    assert_eq!(base32(&[0xff; SECRET_BYTES]), "z".repeat(32));
}

#[test]
fn b35_a_rotated_or_foreign_key_opens_nothing() {
    let keys = StreamKeys::default();
    let (kitchen, garden) = ("kitchen".parse().unwrap(), "garden".parse().unwrap());
    let (old, new, other) =
        (AccessKey::generate().unwrap(), AccessKey::generate().unwrap(), AccessKey::generate().unwrap());
    keys.set(&kitchen, old.digest());
    keys.set(&garden, other.digest());
    assert_eq!(keys.channel_for(old.expose()), Some(kitchen.clone()));
    keys.set(&kitchen, new.digest());
    assert_eq!(keys.channel_for(old.expose()), None);
    assert_eq!(keys.channel_for(new.expose()), Some(kitchen.clone()));
    assert_eq!(keys.channel_for(other.expose()), Some(garden));
    keys.remove(&kitchen);
    assert_eq!(keys.channel_for(new.expose()), None);
    for nonsense in ["", "kitchen", &"k".repeat(100_000), "\0", &new.expose().to_uppercase()] {
        assert_eq!(keys.channel_for(nonsense), None);
    }
}
