//! The API on listeners of its own.

use std::net::{Ipv4Addr, SocketAddr};

use crate::support::Server;
use crate::support::http::request;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_listener_takes_metrics_and_health_away_from_the_public_one() {
    let together = Server::start().await;
    let apart = Server::with(|config| config.admin.listen = Some((Ipv4Addr::LOCALHOST, 0).into())).await;
    let shown = request(apart.http, "GET", "/api/v1/server", &[], b"").await.json().await;
    let port = shown["ports"]["admin"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(request(together.http, "GET", path, &[], b"").await.status, 200, "{path}");
        assert_eq!(request(admin, "GET", path, &[], b"").await.status, 200, "{path}");
        assert_eq!(request(apart.http, "GET", path, &[], b"").await.status, 404, "{path}");
    }
    assert_eq!(request(admin, "GET", "/api/v1/channels", &[], b"").await.status, 404);
}
