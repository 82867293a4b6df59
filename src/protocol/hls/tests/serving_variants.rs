//! The routes where the programme has variants: who gets which, and what both load.

use std::time::Duration;

use http::StatusCode;
use tokio::time::timeout;

use super::super::Config;
use super::stage::*;
use super::support::PICTURE;
use crate::hub::{Item, Program};

/// Where a playlist's segments and parts are, as absolute paths; what it hints at comes last.
fn addresses(folder: &str, playlist: &str) -> Vec<String> {
    let session = folder.strip_suffix('/').unwrap().rsplit_once('/').unwrap().0;
    let uri = |line: &str| match line.split('"').nth(1) {
        Some(uri) => uri.to_owned(),
        None => line.to_owned(),
    };
    let media = playlist.lines().map(uri).filter(|uri| uri.ends_with(".m4s"));
    let absolute = |uri: String| match uri.strip_prefix("../") {
        Some(beside) => format!("{session}/{beside}"),
        None => format!("{folder}{uri}"),
    };
    media.map(absolute).collect()
}

/// A stage where those who read German get variant 1, and the folders of two players who have loaded their playlists.
async fn two_variants() -> (Stage, [String; 2]) {
    let mut stage = Stage::new(&Config::default());
    let german = "de".parse().ok();
    let channel = stage.hub.channel(&"kitchen".parse().unwrap()).unwrap();
    assert!(channel.arrange(2, move |cohort| u8::from(cohort.consent && cohort.language == german)));
    stage.write(1).await;
    let loading = ["lang=fr", "consent=1&lang=de-AT&device=phone&tags=news,sport"]
        .map(|query| tokio::spawn(stage.get_owned(format!("/hls/kitchen/index.m3u8?{query}"))));
    settle().await;
    stage.write(500).await;
    let mut folders = Vec::new();
    for loading in loading {
        let response = loading.await.unwrap();
        assert_eq!(header(&response, "cache-control"), "private, no-cache", "it depends on who asks");
        let text = text(response).await;
        let folder = text.lines().last().unwrap().strip_suffix("index.m3u8").unwrap();
        folders.push(format!("/hls/kitchen/{folder}"));
    }
    (stage, folders.try_into().unwrap())
}

impl Stage {
    /// Both players' playlists: where their files are.
    async fn listed(&self, folders: &[String; 2]) -> [Vec<String>; 2] {
        let mut listed = Vec::new();
        for folder in folders {
            listed.push(addresses(folder, &text(self.get(&format!("{folder}index.m3u8")).await).await));
        }
        listed.try_into().unwrap()
    }

    /// Writes so many frames, with something else drawn into each variant's pictures.
    async fn write_apart(&mut self, program: &mut Program, count: usize) {
        for _ in 0..count {
            self.publisher.as_mut().unwrap().write(self.frames.next().unwrap());
            let source = timeout(Duration::ZERO, program.next_batch()).await.unwrap_or_default();
            for item in source {
                for (variant, what) in [(0, "for many"), (1, "for few")] {
                    let mut item = item.clone();
                    if let Item::Frame(frame) = &mut item
                        && frame.track == PICTURE
                    {
                        frame.payload = [what.as_bytes(), &frame.payload].concat().into();
                    }
                    program.write(variant, item);
                }
            }
            settle().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn players_of_two_variants_load_the_same_files_but_for_the_slot() {
    let (mut stage, folders) = two_variants().await;
    assert_eq!(folders[1], folders[0].replace("/main/", "/main.1/"));
    stage.write(80).await;
    let [many, few] = stage.listed(&folders).await;
    assert_eq!(many, few, "segments, parts, and what is hinted at");
    assert!(many.len() > 20 && many.iter().all(|address| address.starts_with(&folders[0])));

    let channel = stage.hub.channel(&"kitchen".parse().unwrap()).unwrap();
    let mut program = channel.take_program(2).unwrap();
    let hinted = few.last().unwrap().clone();
    stage.write_apart(&mut program, 120).await;
    let [many, few] = stage.listed(&folders).await;
    for (folder, listed, what) in [(&folders[0], &many, "for many"), (&folders[1], &few, "for few")] {
        let newest = &listed[listed.len() - 2];
        assert!(newest.starts_with(folder), "{newest}");
        let bytes = bytes(stage.get(newest).await).await;
        assert!(bytes.windows(what.len()).any(|window| window == what.as_bytes()), "{what}");
        assert!(listed.last().unwrap().starts_with(folder), "hinted at");
    }
    assert!(many.contains(&hinted), "everybody's next part came under its name");

    assert!(program.give_back());
    stage.write(400).await;
    let [many, few] = stage.listed(&folders).await;
    assert_eq!(many[many.len() - 20..], few[few.len() - 20..]);
    // A player of the variant waits for what comes next, wherever it will be.
    let (msn, part) = {
        let playlist = text(stage.get(&format!("{}index.m3u8", folders[1])).await).await;
        let newest = playlist.lines().filter(|line| line.starts_with("#EXTINF")).count() as u64 + 1;
        let parts = playlist.rsplit_once(".m4s\n#EXT-X-PROGRAM").unwrap().1.matches("#EXT-X-PART:").count();
        (newest, parts)
    };
    let path = format!("{}index.m3u8?_HLS_msn={msn}&_HLS_part={part}", folders[1]);
    let waiting = [path, few.last().unwrap().clone()].map(|path| tokio::spawn(stage.get_owned(path)));
    settle().await;
    assert!(waiting.iter().all(|request| !request.is_finished()));
    stage.write(20).await;
    let [reloaded, media] = waiting;
    let reloaded = addresses(&folders[1], &text(reloaded.await.unwrap()).await);
    assert!(reloaded[..reloaded.len() - 1].contains(few.last().unwrap()));
    assert!(!bytes(media.await.unwrap()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn b26_variants_that_are_not_there_are_not_found() {
    let (mut stage, [many, few]) = two_variants().await;
    stage.write(80).await;
    for file in ["index.m3u8", "1.m4s", "init0.mp4"] {
        assert_eq!(stage.get(&format!("{few}{file}")).await.status(), StatusCode::OK, "{file}");
        for other in
            ["main.0", "main.2", "main.01", "main.1.1", "main.", "main.1.", ".1", "audio0.1", "main.256"]
        {
            let path = format!("{}{file}", many.replace("/main/", &format!("/{other}/")));
            let response = stage.get(&path).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(header(&response, "cache-control"), "no-store", "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_be_read_gets_what_everybody_gets() {
    let (mut stage, _) = two_variants().await;
    stage.write(80).await;
    for (query, few) in [
        ("", false),
        ("consent=1&lang=de", true),
        ("session=nobody%27s&consent=1&lang=de", true),
        ("consent=0&lang=de", false),
        ("consent=1&lang=deutsch", false),
        ("consent=1&lang=de&device=fridge", true),
        ("consent=1&lang=de&lang=fr", false),
        ("consent=1&lang=%ff%fe", false),
        ("&&=&consent", false),
    ] {
        let text = text(stage.get(&format!("/hls/kitchen/index.m3u8?{query}")).await).await;
        assert_eq!(text.ends_with("/main.1/index.m3u8\n"), few, "{query}: {text}");
    }
    assert!(stage.metrics.text().contains("onair_hls_packaged 1\n"), "one session serves them all");
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_variant_later_finds_it_in_the_same_session() {
    let (mut stage, folder) = Stage::playing(&Config::default()).await;
    let channel = stage.hub.channel(&"kitchen".parse().unwrap()).unwrap();
    assert!(channel.arrange(2, |cohort| u8::from(cohort.consent)));
    let few = text(stage.get("/hls/kitchen/index.m3u8?consent=1").await).await;
    let few = format!("/hls/kitchen/{}", few.lines().last().unwrap().strip_suffix("index.m3u8").unwrap());
    assert_eq!(few, folder.replace("/main/", "/main.1/"));
    stage.write(80).await;
    let [many, few] = stage.listed(&[folder, few]).await;
    assert_eq!(many, few);
    stage.hub.end_all();
    settle().await;
    assert_eq!(stage.get("/hls/kitchen/index.m3u8?consent=1").await.status(), StatusCode::NOT_FOUND);
}
