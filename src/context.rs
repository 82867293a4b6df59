//! The handles that every protocol is given.

use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Pages, StreamKeys, Studio};
use crate::http::{ClientPlace, Countries};
use crate::hub::Hub;
use crate::media::{About, Cohort};

/// What a protocol needs of the rest of the server. Clones are the same server.
#[derive(Clone)]
pub struct Context {
    /// All channels.
    pub hub: Hub,
    /// Who may publish.
    pub keys: StreamKeys,
    /// Broadcasters who are signed in in the browser.
    pub studio: Studio,
    /// Pages that draw overlays themselves.
    pub pages: Pages,
    /// Where viewers are.
    pub countries: Arc<Countries>,
    /// The server's life.
    pub life: Life,
}

impl Context {
    /// Whom a viewer is counted with, by what is said of him and where he is.
    pub fn cohort(&self, about: &About, place: ClientPlace) -> Cohort {
        about.cohort(self.countries.of(place))
    }
}

#[cfg(test)]
impl Context {
    /// A server with these channels and nobody who may publish, for tests.
    pub fn of(hub: Hub) -> Self {
        let keys = StreamKeys::default();
        let token = crate::auth::AdminToken::for_tests();
        let (studio, pages) = (Studio::new(&token, keys.clone()), Pages::new(&token));
        Self { hub, keys, studio, pages, countries: Arc::default(), life: Life::default() }
    }
}

/// The server's life: running, draining, over. Clones are the same life.
#[derive(Clone, Debug, Default)]
pub struct Life {
    draining: CancellationToken,
    sessions: TaskTracker,
}

impl Life {
    /// Runs a session, which the end of the server waits for.
    pub fn spawn<F>(&self, session: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.sessions.spawn(session);
    }

    /// Waits until the server no longer takes new sessions and wants the present ones to end.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Whether the server wants its sessions to end.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Tells all sessions to end.
    pub fn drain(&self) {
        self.draining.cancel();
        self.sessions.close();
    }

    /// Waits until all sessions have ended; only after [`drain`](Self::drain).
    pub async fn ended(&self) {
        self.sessions.wait().await;
    }
}
