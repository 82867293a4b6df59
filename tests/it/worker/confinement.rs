//! The walls around a worker, seen from outside and run against from inside.

use std::os::unix::process::ExitStatusExt;

use tokio::process::Command;

use super::failure::processes;
use super::material::{WORKER, config};
use crate::support::in_time;
use onair::av::worker::{Config, Workers};
use onair::metrics::Metrics;

#[tokio::test]
async fn an_idle_worker_is_confined_already() {
    let config = Config { memory: (512 << 20) + 1, ..config() };
    let _workers = Workers::start(&config, &Metrics::new());
    let process = in_time("a process", processes(&config)).await[0];
    // It greets when it is confined; the process is there a moment before.
    in_time("confinement", async {
        loop {
            let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
            let has = |line: &str| status.lines().any(|other| other.split_whitespace().eq(line.split(' ')));
            if has("Seccomp: 2") && has("NoNewPrivs: 1") {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).expect("it lives");
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).expect("such a limit");
        line[name.len()..].split_whitespace().next().expect("a number").to_owned()
    };
    assert_eq!(limit("Max data size"), config.memory.to_string());
    assert_eq!((limit("Max open files"), limit("Max core file size")), ("0".to_owned(), "0".to_owned()));
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).expect("it lives").count();
    assert_eq!(files, 3, "it has its pipes, and nothing else");
    let environment = std::fs::read(format!("/proc/{process}/environ")).expect("it lives");
    assert!(environment.is_empty(), "and knows nothing of ours");
}

async fn attempt(what: &str) -> (Option<i32>, Option<i32>, String) {
    let output = Command::new(WORKER).args(["prove", what]).output();
    let output = in_time(what, output).await.expect("the worker");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), output.status.signal(), said)
}

#[tokio::test]
async fn from_inside_there_is_no_way_out() {
    let (code, _, said) = attempt("file").await;
    assert_eq!(code, Some(1), "a file cannot be opened: {said}");
    for what in ["socket", "program", "process"] {
        let (_, signal, said) = attempt(what).await;
        assert_eq!(signal, Some(libc::SIGSYS), "{what}: the attempt ends the process: {said}");
    }
    let (_, signal, said) = attempt("memory").await;
    assert_eq!(signal, Some(libc::SIGABRT), "{said}");
    assert!(said.contains("memory allocation"), "{said}");
}
