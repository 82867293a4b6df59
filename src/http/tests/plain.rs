//! HTTP/1.1 without TLS.

use socket2::SockRef;

use super::*;

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

#[tokio::test]
async fn answers_carry_the_host_they_were_asked_by() {
    let server = start(None).await;
    let answer = server.get("/").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("localhost"), "{answer}");
    assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
    assert_eq!(status(&server.exchange(b"GET / HTTP/1.0\r\n\r\n").await), "200");
    let absolute = b"GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    assert!(server.exchange(absolute).await.ends_with("a.example"));
}

#[tokio::test]
async fn b26_a_host_that_is_doubled_missing_or_foreign_is_refused() {
    let server = start(None).await;
    for head in [
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n",
        "GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n",
        "GET / HTTP/1.1\r\nHost: a.example/path\r\n",
        "GET / HTTP/1.1\r\nHost: user@a.example\r\n",
        "GET / HTTP/1.1\r\nHost: a.example, b.example\r\n",
        "GET / HTTP/1.1\r\nHost: \"><script>\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n",
    ] {
        let answer = server.exchange(format!("{head}Connection: close\r\n\r\n").as_bytes()).await;
        assert_eq!(status(&answer), "400", "{head} {answer}");
        assert!(answer.contains("{\"error\":{\"code\":\"bad_request\""), "{answer}");
    }
}

#[tokio::test]
async fn b26_ambiguous_paths_are_refused_and_never_redirected() {
    let server = start(None).await;
    for target in [
        "//evil.com",
        "//evil.com/..",
        "/page//evil.com",
        "/page/../../etc/passwd",
        "/page/%2e%2e/x",
        "/page/..%2f..%2fetc",
        "/page/a%2fb",
        "/page/a%5cb",
        "/page/%00",
        "/page/a%0d%0aX-Evil:1",
        "/page/%zz",
        "/\\evil.com",
    ] {
        let answer = server.get(target).await;
        assert_eq!(status(&answer), "400", "{target}: {answer}");
        assert!(!answer.to_lowercase().contains("location:"), "{target}: {answer}");
    }
    for (target, expected) in [("/page", "404"), ("/nothing/", "404"), ("/page/a%20b", "200")] {
        let answer = server.get(target).await;
        assert_eq!(status(&answer), expected, "{target}: {answer}");
        assert!(!answer.to_lowercase().contains("location:"), "{target}: {answer}");
    }
    assert_eq!(status(&server.get(&format!("/page/{}", "a".repeat(5000))).await), "414");
}

#[tokio::test]
async fn b26_a_request_hidden_in_another_ones_body_is_never_answered() {
    let server = start(None).await;
    let hidden = "GET /page/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for framing in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 5\r\nContent-Length: 90\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 90\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Content-Length\r\n : 5\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n0\r\n\r\n{hidden}");
        let answer = server.exchange(request.as_bytes()).await;
        assert!(!answer.contains("page/hidden"), "{framing}: {answer}");
    }
}

#[tokio::test]
async fn b26_methods_and_versions_of_other_purposes_are_refused() {
    let server = start(None).await;
    for head in
        ["CONNECT evil.com:443 HTTP/1.1\r\nHost: evil.com:443\r\n", "TRACE / HTTP/1.1\r\nHost: localhost\r\n"]
    {
        assert_eq!(
            status(&server.exchange(format!("{head}Connection: close\r\n\r\n").as_bytes()).await),
            "405"
        );
    }
    let other_protocols: [&[u8]; 3] = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"\x03\x00\x00\x00\x00\x00\x00\x00\x00",
    ];
    for bytes in other_protocols {
        let answer = server.exchange(bytes).await;
        assert!(answer.is_empty() || status(&answer) == "400" || status(&answer) == "505", "{answer}");
    }
    let doubtful =
        server.exchange(b"DELETE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&doubtful), "405");
    assert!(doubtful.contains("allow: GET"), "{doubtful}");
}

#[tokio::test]
async fn a_range_bomb_gets_the_whole_once() {
    let server = start(None).await;
    let ranges = "0-,".repeat(1300);
    let request =
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nRange: bytes={ranges}0-\r\nConnection: close\r\n\r\n");
    let answer = server.exchange(request.as_bytes()).await;
    assert_eq!(status(&answer), "200");
    assert!(answer.len() < 1000, "{}", answer.len());
}

#[tokio::test]
async fn heads_and_bodies_beyond_the_limits_are_refused() {
    let server = start(None).await;
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(40_000));
    assert_eq!(status(&server.exchange(long.as_bytes()).await), "431");
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "A: b\r\n".repeat(200));
    assert_eq!(status(&server.exchange(many.as_bytes()).await), "431");
    let post = |body: &str, length: usize| {
        format!(
            "POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let good = "{\"pizza\":\"four seasons\"}";
    assert!(server.exchange(post(good, good.len()).as_bytes()).await.ends_with("four seasons"));
    let large = format!("{{\"pizza\":\"{}\"}}", "a".repeat(2000));
    assert_eq!(status(&server.exchange(post(&large, large.len()).as_bytes()).await), "413");
    assert_eq!(status(&server.exchange(post("{\"pizza\":", 9).as_bytes()).await), "400");
    assert_eq!(status(&server.exchange(post("{\"pizza\":1}", 11).as_bytes()).await), "422");
    // A body that does not come is waited for as long as for any answer.
    assert_eq!(status(&server.exchange(post("{", 500).as_bytes()).await), "504");
    let chunks = format!("100\r\n{}\r\n", "a".repeat(256)).repeat(8);
    let endless = format!(
        "POST /order HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunks}"
    );
    assert_eq!(status(&server.exchange(endless.as_bytes()).await), "413");
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_waited_for() {
    let server = start(None).await;
    let mut stream = server.connect().await;
    let closed = async {
        for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'a')) {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, closed).await.expect("the server closes");
    server.connections_end().await;
}

#[tokio::test]
async fn a_panic_ends_its_request_and_nothing_else() {
    let server = start(None).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /fails HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let answers = until_closed(&mut stream).await;
    assert!(answers.starts_with("HTTP/1.1 500") && answers.contains("HTTP/1.1 200"), "{answers}");
    assert!(!answers.contains("on purpose"), "{answers}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up() {
    let server = start(None).await;
    assert_eq!(status(&server.get("/never").await), "504");
}

#[tokio::test]
async fn b30_a_viewer_who_stops_reading_is_dropped() {
    let server = start(None).await;
    for path in ["/endless", "/stream"] {
        let mut stream = server.connect().await;
        SockRef::from(&stream).set_recv_buffer_size(16 << 10).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
        let mut begin = [0; 1000];
        stream.read_exact(&mut begin).await.unwrap();
        assert!(begin.starts_with(b"HTTP/1.1 200"));
        server.connections_end().await;
    }
}

#[tokio::test]
async fn a_stream_is_whole_and_ends_with_the_connection() {
    let server = start(None).await;
    let expected: String = (0..100_000).filter(|n| n % 100 != 99).map(|n| format!("line {n}\n")).collect();
    for (version, chunked) in [("1.1", true), ("1.0", false)] {
        let request = format!("GET /lines HTTP/{version}\r\nHost: localhost\r\n\r\n");
        let answer = server.exchange(request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        assert!(head.contains("connection: close") && !head.contains("content-length"), "{head}");
        assert_eq!(head.contains("transfer-encoding: chunked"), chunked, "{head}");
        let body = if chunked { joined_chunks(body) } else { body.to_owned() };
        assert!(body == expected, "{} of {} bytes", body.len(), expected.len());
    }
    let head_only =
        server.exchange(b"HEAD /lines HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(head_only.ends_with("\r\n\r\n") && head_only.len() < 1000, "{}", head_only.len());
}

/// The content of a body in chunks, which must end with the empty one.
fn joined_chunks(mut body: &str) -> String {
    let mut joined = String::new();
    loop {
        let (length, rest) = body.split_once("\r\n").unwrap();
        let (chunk, rest) = rest.split_at(usize::from_str_radix(length, 16).unwrap());
        body = rest.strip_prefix("\r\n").unwrap();
        if chunk.is_empty() {
            assert!(body.is_empty(), "nothing follows the last chunk");
            return joined;
        }
        joined.push_str(chunk);
    }
}

#[tokio::test]
async fn a_viewer_who_leaves_a_silent_stream_is_noticed() {
    let server = start(None).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /silence HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.unwrap();
    drop(stream);
    server.connections_end().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_so() {
    let server = start(None).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).await.unwrap();
        held.push(stream);
    }
    let mut extra = server.connect().await;
    let answer = until_closed(&mut extra).await;
    assert!(status(&answer) == "503" && answer.ends_with("too many connections"), "{answer}");
    drop(held);
    server.connections_end().await;
    assert_eq!(status(&server.get("/").await), "200");
    assert!(server.metrics.text().contains("onair_http_refused_total{reason=\"connections\"} 1\n"));
}

#[tokio::test]
async fn draining_closes_idle_connections_and_lets_requests_finish() {
    let server = start(None).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut begin = [0; 12];
    idle.read_exact(&mut begin).await.unwrap();
    let mut busy = server.connect().await;
    busy.write_all(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    while !server.metrics.text().contains("onair_http_connections 2\n") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.life.drain();
    until_closed(&mut idle).await;
    assert_eq!(status(&until_closed(&mut busy).await), "504");
    tokio::time::timeout(SOON, server.life.ended()).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn b36_strangers_cannot_multiply_the_series() {
    let server = start(None).await;
    let mut stream = server.connect().await;
    let mut requests = String::new();
    for number in 0..2000 {
        requests += &format!(
            "M{number} /page/p{number}?q={number} HTTP/1.1\r\nHost: h{number}.example\r\nUser-Agent: a{number}\r\n\r\n\
             GET /n{number} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        );
    }
    requests += "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let (mut reader, mut writer) = stream.split();
    let (sent, answers) = tokio::join!(writer.write_all(requests.as_bytes()), until_closed(&mut reader));
    sent.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 4001);
    let text = server.metrics.text();
    assert!(text.lines().count() < 60, "{text}");
    assert!(!text.contains("n1999") && !text.contains("M1999"), "{text}");
}
