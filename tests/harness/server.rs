//! The real HTTP server over a world, on a free port of the loopback interface.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use nexus_lite::http::{AppState, Running};

use super::client::Client;
use super::world::{Who, World};

/// How long a stop waits for requests under way.
const GRACE: Duration = Duration::from_secs(5);

/// A running server.
pub(crate) struct Server {
    running: Running,
}

impl Server {
    /// Serves `world`.
    pub(crate) fn start(world: &World) -> Self {
        Self::with(world, |_| {})
    }

    /// Serves `world` with a last word on the state.
    pub(crate) fn with(world: &World, tune: impl FnOnce(&mut AppState)) -> Self {
        let mut state = world.app.state();
        tune(&mut state);
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let running = nexus_lite::http::Server::start(state, any_port, GRACE).expect("a free port");
        Self { running }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running.addr()
    }

    /// A client that shows the key of `who`, and names the agent.
    pub(crate) fn client(&self, world: &World, who: Who) -> Client {
        Client::new(self.address(), world.key(who)).acting_as(who.agent())
    }

    /// Stops serving; the world stays.
    pub(crate) async fn stop(self) {
        self.running.stop().await;
    }
}
