//! What was acknowledged is there after the process was killed, once.

use std::collections::{HashMap, HashSet};

use onair::store::{self, Store};
use serde_json::json;

use crate::support::ChatClient;
use crate::support::process::Process;

const AUTHORS: usize = 10;
const COMMENTS: usize = 1000;

/// Sends the comments that are not acknowledged yet, until `enough` are.
async fn send(client: &mut ChatClient, author: usize, acknowledged: &mut HashSet<String>, enough: usize) {
    for number in 0..COMMENTS {
        let id = format!("a{author}-{number}");
        if !acknowledged.contains(&id) {
            client
                .send(&json!({"type": "comment", "id": id, "text": format!("text {author} {number}")}))
                .await;
        }
    }
    while acknowledged.len() < enough {
        let event = client.event("accepted").await;
        acknowledged.insert(event["id"].as_str().unwrap().to_owned());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_amid_ten_thousand_comments_loses_and_doubles_none() {
    let settings = "[chat]\nopen_when_offline = true\ncomment_burst = 1000\ncomment_interval = \"0s\"\n\
                    message_burst = 10000\nreadable_per_second = 0\nhistory = 100\n";
    let mut server = Process::start(settings).await;
    server.channel("kitchen").await;
    let mut acknowledged = vec![HashSet::new(); AUTHORS];
    let mut cookies: Vec<Option<String>> = vec![None; AUTHORS];
    // Killed in the middle, and again; the third time everything gets through.
    for (round, enough) in [COMMENTS / 4, COMMENTS / 2, COMMENTS].into_iter().enumerate() {
        let origin = format!("http://{}", server.http);
        let mut clients = Vec::new();
        for cookie in &mut cookies {
            let mut headers = vec![("Origin", origin.clone())];
            headers.extend(cookie.clone().map(|cookie| ("Cookie", cookie)));
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let mut client = ChatClient::connect(server.http, "kitchen", &headers).await.unwrap();
            client.enter(json!({"last": 0})).await;
            *cookie = client.cookie.clone().or(cookie.take());
            clients.push(client);
        }
        let authors = clients.iter_mut().zip(&mut acknowledged).enumerate();
        for (author, (client, acknowledged)) in authors {
            send(client, author, acknowledged, enough).await;
        }
        if round < 2 {
            server = server.killed_and_started_again().await;
        }
    }
    let store = Store::open(&store::Config::default(), &server.data()).await.unwrap();
    let bodies: Vec<String> =
        sqlx::query_scalar("SELECT body FROM chat_comment").fetch_all(store.pool()).await.unwrap();
    let mut kept: HashMap<String, u32> = HashMap::new();
    for body in bodies {
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        *kept.entry(body["text"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(kept.len(), AUTHORS * COMMENTS);
    assert!(kept.values().all(|count| *count == 1), "none twice");
}
