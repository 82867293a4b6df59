//! The shipped file, overrides, and mistakes with their places.

use super::*;

const SHIPPED: &str = include_str!("../../config.toml");

fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, Invalid> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse("config.toml", text, variables)
}

fn problem(text: &str, variables: &[(&str, &str)]) -> String {
    parse(text, variables).expect_err("a mistake").to_string()
}

#[test]
fn the_shipped_file_is_the_defaults_and_says_everything() {
    assert_eq!(parse(SHIPPED, &[]).unwrap(), Config::default());
    let shipped: Table = SHIPPED.parse().unwrap();
    let defaults = Table::try_from(Config::default()).unwrap();
    for (section, keys) in &defaults {
        let keys = keys.as_table().unwrap();
        let written = shipped[section].as_table().unwrap();
        assert_eq!(written, keys, "[{section}]");
    }
    assert_eq!(shipped.len(), defaults.len());
}

#[test]
fn every_shipped_key_has_a_sentence() {
    let mut previous = "";
    for line in SHIPPED.lines() {
        let names_something = line.contains('=') && !line.starts_with('#');
        let sentence = previous.starts_with("# ") && previous.ends_with(['.', ')']);
        assert!(!names_something || sentence, "{line:?} has no sentence above it: {previous:?}");
        assert!(line.len() <= 120, "{line:?} is too long to read");
        previous = line;
    }
}

#[test]
fn nothing_said_means_the_defaults() {
    let config = parse("", &[]).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(
        config.listeners(),
        [("http.listen", "0.0.0.0:8080".parse().unwrap()), ("rtmp.listen", "0.0.0.0:1935".parse().unwrap()),]
    );
}

#[test]
fn variables_override_the_file() {
    let file = "[http]\nlisten = \"127.0.0.1:1\"\nmax_connections = 7\n[tls]\nself_signed = false\n";
    let variables = [
        ("ONAIR_HTTP__LISTEN", "127.0.0.1:0"),
        ("ONAIR_HTTP__MAX_CONNECTIONS", "9"),
        ("ONAIR_TLS__SELF_SIGNED", "true"),
        ("ONAIR_DATA__DIR", "/var/lib/onair"),
        ("ONAIR_LOG__FORMAT", "json"),
        ("ONAIR_UNRELATED", "x"),
        ("PATH", "/bin"),
    ];
    let config = parse(file, &variables).unwrap();
    assert_eq!(config.http.listen, Some("127.0.0.1:0".parse().unwrap()));
    assert_eq!(config.http.max_connections, 9);
    assert!(config.tls.self_signed);
    assert_eq!(config.data.dir.to_str(), Some("/var/lib/onair"));
    assert_eq!(config.log.format, log::Format::Json);
}

#[test]
fn an_empty_variable_switches_a_listener_off() {
    let config = parse("", &[("ONAIR_RTMP__LISTEN", "")]).unwrap();
    assert_eq!(config.rtmp.listen, None);
}

#[test]
fn mistakes_name_file_line_key_and_what_is_allowed() {
    let cases: [(&str, &[&str]); 10] = [
        ("\n[http]\nlisen = \"\"\n", &["config.toml:3: http.lisen: unknown key", "listen, ", "tls_listen"]),
        ("[htttp]\n", &["config.toml:1: htttp: unknown section", "http, "]),
        ("listen = 1\n", &["config.toml:1: listen: a key without a section"]),
        (
            "[http]\nlisten = 8080\n",
            &["config.toml:2: http.listen: ", "string", "(the default is \"0.0.0.0:8080\")"],
        ),
        ("[http]\nlisten = \"8080\"\n", &["config.toml:2: http.listen: ", "IP:PORT"]),
        ("[http]\nmax_connections = -1\n", &["config.toml:2: http.max_connections: ", "usize"]),
        ("[http]\nidle_timeout = \"10\"\n", &["config.toml:2: http.idle_timeout: ", "\"10s\""]),
        ("[log]\nformat = \"xml\"\n", &["config.toml:2: log.format: ", "text", "json"]),
        ("[http]\nlisten = \n", &["config.toml:2: "]),
        ("[log]\n\nfilter = \"onair=loud=er\"\n", &["config.toml:3: log.filter: ", "debug"]),
    ];
    for (text, expected) in cases {
        let message = problem(text, &[]);
        for part in expected {
            assert!(message.contains(part), "{text:?}: {message:?} lacks {part:?}");
        }
    }
    let message = problem("", &[("ONAIR_HTTP__MAX_CONNECTIONS", "many")]);
    assert!(message.starts_with("ONAIR_HTTP__MAX_CONNECTIONS: http.max_connections: "), "{message}");
    let message = problem("", &[("ONAIR_HTTP__PORT", "80")]);
    assert!(message.contains("ONAIR_HTTP__PORT: http.port: unknown key"), "{message}");
    let missing = Config::load(Some(Path::new("/nonexistent/onair.toml")), []).unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent/onair.toml: "), "{missing}");
}

#[test]
fn bidders_are_written_as_the_documents_say() {
    let documents = include_str!("../../docs/bidders.md");
    let example = documents.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let config = parse(example, &[]).unwrap();
    assert_eq!(
        config.sale.bidders.iter().map(|bidder| bidder.name.as_str()).collect::<Vec<_>>(),
        ["dsp-one", "lab"]
    );
    assert_eq!(config.sale.hosts["dsp.lan"].to_string(), "10.0.0.7");
    for (text, expected) in [
        (
            "name = \"b\"\nurl = \"https://b.example/\"\ncolour = 1\n",
            "unknown field `colour`, expected one of `name`",
        ),
        ("name = \"b\"\n", "missing field `url`"),
        ("name = \"b\"\nurl = \"https://10.0.0.1/\"\n", "the link leads to a private or special address"),
        ("name = \"b\"\nurl = \"ftp://b.example/\"\n", "only http and https are followed"),
        ("name = \"b\"\nurl = \"https://b.example/\"\nversion = \"3.0\"\n", "expected `2.5` or `2.6`"),
        (
            "name = \"B\"\nurl = \"https://b.example/\"\ncredit_limit = 1\n",
            "\"B\": name: must have 1 to 40 characters",
        ),
    ] {
        let message = problem(&format!("[[sale.bidders]]\n{text}"), &[]);
        assert!(
            message.starts_with("config.toml:1: sale.bidders: ") && message.contains(expected),
            "{message}"
        );
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "[http]\nlisten = 1\nport = 2\n[tls]\ncert = \"c.pem\"\n";
    let Invalid(problems) = parse(text, &[("ONAIR_LOG__FORMAT", "xml")]).unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["http.listen", "http.port", "log.format", "tls.key"]);
}

#[test]
fn settings_that_do_not_go_together_are_mistakes() {
    let message = problem("[http]\ntls_listen = \"0.0.0.0:8443\"\n", &[]);
    assert!(message.starts_with("config.toml:2: http.tls_listen: needs a certificate"), "{message}");
    let message = problem("[rtmp]\nlisten = \"127.0.0.1:8080\"\n", &[]);
    assert!(
        message.starts_with("config.toml:2: rtmp.listen: 127.0.0.1:8080 is taken by http.listen"),
        "{message}"
    );
    parse("[rtmp]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n", &[]).unwrap();
    let message = problem("[overlay]\nimage_bytes = \"100KiB\"\n", &[]);
    assert!(
        message.starts_with("default: booking.creative_bytes: no more than overlay.image_bytes"),
        "{message}"
    );
    let message = problem("[booking]\nreport_k = 0\n", &[]);
    assert!(message.starts_with("config.toml:2: booking.report_k: at least 1"), "{message}");
    let message = problem(
        "[sale]\ncurrency = \"EUR\"\n[[sale.bidders]]\nname = \"b\"\nurl = \"https://b.example/\"\n",
        &[],
    );
    assert!(
        message.contains("config.toml:3: sale.bidders: \"b\": credit_limit: must be more than nothing"),
        "{message}"
    );
    assert!(message.contains("sale.seller: currency: \"EUR\""), "{message}");
    for site in ["https://news.example/", "news.example", "https://*.news.example x", ""] {
        let message =
            problem(&format!("[http]\nembed_from = [\"https://a.example\", \"*\", {site:?}]\n"), &[]);
        assert!(message.contains("http.embed_from") && message.contains("origin"), "{message}");
    }
    let message = problem("[overlay]\nvariants = 5\n", &[]);
    assert!(message.contains("overlay.variants") && message.contains("1 to 4"), "{message}");
    let message = problem("[http]\npublic_url = \"https://live.example.org/path\"\n", &[]);
    assert!(message.contains("http.public_url"), "{message}");
}
