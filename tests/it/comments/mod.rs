//! Rooms over the wire: WebSocket, event stream, who is let in, and what a crash leaves.

mod crash;
mod documented;
mod identity;
mod stream;
mod talk;

use onair::config::Config;

use crate::support::Server;

/// A server whose rooms are open all the time, with a channel.
async fn open_room(change: impl FnOnce(&mut Config)) -> Server {
    let server = Server::with(|config| {
        config.chat.open_when_offline = true;
        change(config);
    })
    .await;
    server.channel("kitchen").await;
    server
}
