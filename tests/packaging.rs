//! The container image is made from the same package list, command and ports as a plain machine: nothing is said twice.
//! Reads files only; no server is started.

use std::{collections::BTreeSet, fs, path::Path};

/// A file of the repository as text.
fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of a script or Dockerfile that do something: no comments, no blank lines.
fn instructions(path: &str) -> Vec<String> {
    let text = file(path).replace("\\\n", " ");
    text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(String::from).collect()
}

/// `(group, package)` of each line of the package list.
fn packages() -> Vec<(String, String)> {
    let parse = |line: String| {
        let mut words = line.split_whitespace().map(String::from);
        (words.next().unwrap(), words.next().unwrap_or_else(|| panic!("no package in: {line}")))
    };
    instructions("scripts/packages.txt").into_iter().map(parse).collect()
}

/// The value of the first `key = value` line after `[section]` of a TOML file, as written.
fn toml_value(path: &str, section: &str, key: &str) -> Option<String> {
    let text = format!("\n{}", file(path));
    let (_, rest) = text.split_once(&format!("\n[{section}]\n"))?;
    let lines = rest.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split_once('='))
        .find(|(k, _)| k.trim() == key)
        .map(|(_, v)| v.trim().to_owned())
}

#[test]
fn package_list_has_known_groups_and_no_duplicates() {
    let packages = packages();
    let groups: BTreeSet<&str> = packages.iter().map(|(group, _)| group.as_str()).collect();
    assert_eq!(groups, BTreeSet::from(["build", "run", "test"]));
    let names: BTreeSet<&str> = packages.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names.len(), packages.len(), "a package is listed twice");
}

#[test]
fn only_install_packages_calls_apt() {
    for path in ["Dockerfile", "Makefile", ".ci/run", "scripts/test", "scripts/install-tools"] {
        for line in instructions(path) {
            assert!(
                !line.contains("apt-get ") && !line.contains("apt "),
                "{path} installs by itself: {line}"
            );
        }
    }
}

#[test]
fn makefile_installs_every_group_of_the_list() {
    let makefile = instructions("Makefile");
    let installed: BTreeSet<&str> = makefile
        .iter()
        .filter_map(|line| line.strip_prefix("@scripts/install-packages "))
        .flat_map(str::split_whitespace)
        .collect();
    assert_eq!(installed, BTreeSet::from(["build", "run", "test"]));
}

#[test]
fn image_is_built_by_the_same_script_and_command() {
    let dockerfile = instructions("Dockerfile");
    let runs = |what: &str| dockerfile.iter().any(|line| line.starts_with("RUN") && line.contains(what));
    assert!(runs("scripts/install-packages build"), "the build stage installs the group `build`");
    assert!(runs("scripts/install-packages run"), "the final stage installs the group `run`");
    assert!(runs("make build"), "the binary is made by `make build`");
    assert!(!runs("cargo "), "cargo is called by the Makefile only");
    assert_eq!(dockerfile.iter().filter(|line| line.starts_with("FROM")).count(), 2, "two stages");
}

#[test]
fn image_has_the_media_worker_beside_the_server() {
    let copies = instructions("Dockerfile").into_iter().filter(|line| line.starts_with("COPY --from=build"));
    let copied: Vec<String> =
        copies.flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    for program in ["/src/target/release/onair", "/src/target/release/onair-worker", "/usr/local/bin/"] {
        assert!(copied.iter().any(|word| word == program), "{program} is not in {copied:?}");
    }
}

/// The server must build and run where there is no media library, and be free of the library's licence.
#[test]
fn only_the_feature_worker_needs_the_media_library() {
    let feature = toml_value("Cargo.toml", "features", "worker").expect("Cargo.toml has a feature worker");
    assert!(feature.contains("dep:ffmpeg-the-third"));
    assert_eq!(toml_value("Cargo.toml", "features", "default"), None, "and it is off by default");
    let manifest = file("Cargo.toml");
    let library = manifest.lines().find(|line| line.starts_with("ffmpeg-the-third")).expect("a dependency");
    assert!(library.contains("optional = true"));
    let worker = manifest.split("[[bin]]").find(|bin| bin.contains("onair-worker")).expect("a program");
    assert!(worker.contains("required-features = [\"worker\"]"));
}

#[test]
fn image_has_the_rust_version_of_the_package() {
    let version =
        toml_value("Cargo.toml", "package", "rust-version").expect("Cargo.toml names a rust-version");
    let from = format!("FROM rust:{}-bookworm", version.trim_matches('"'));
    assert!(instructions("Dockerfile")[0].starts_with(&from), "the Dockerfile begins with {from}");
}

#[test]
fn image_does_not_run_as_root() {
    let dockerfile = instructions("Dockerfile");
    let user =
        dockerfile.iter().rposition(|line| line.starts_with("USER ")).expect("the Dockerfile has a USER");
    let entry =
        dockerfile.iter().rposition(|line| line.starts_with("ENTRYPOINT")).expect("… and an ENTRYPOINT");
    assert!(user < entry);
    assert!(!["USER root", "USER 0"].contains(&dockerfile[user].as_str()));
}

#[test]
fn image_exposes_every_default_port() {
    let dockerfile = instructions("Dockerfile");
    let exposed: BTreeSet<&str> = dockerfile
        .iter()
        .filter_map(|line| line.strip_prefix("EXPOSE "))
        .flat_map(str::split_whitespace)
        .collect();
    let port = |section, key| {
        let value = toml_value("config.toml", section, key)
            .unwrap_or_else(|| panic!("config.toml has no {section}.{key}"));
        let address = value.split('"').nth(1).unwrap_or_default().to_owned();
        address.rsplit_once(':').map(|(_, port)| port.to_owned()).filter(|port| !port.is_empty())
    };
    for (section, key, transports) in [
        ("http", "listen", &["tcp"][..]),
        ("http", "tls_listen", &["tcp"]),
        ("rtmp", "listen", &["tcp"]),
        ("rtmp", "tls_listen", &["tcp"]),
        ("webrtc", "listen", &["udp", "tcp"]),
    ] {
        let Some(port) = port(section, key) else { continue };
        for transport in transports {
            let wanted = format!("{port}/{transport}");
            assert!(exposed.contains(wanted.as_str()), "{section}.{key} listens on {wanted}: EXPOSE it");
        }
    }
}
