//! The server for programs in sandboxes: a socket that they alone see, passes instead of keys, a few routes.
//!
//! It is a server of its own, with a thread, connections and memory of its own, so that no program takes them from anybody
//! else. Owns these bounds. Must never know how programs are confined or what a pass is worth.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use tokio::sync::{mpsc, watch};

use super::server::DISCONNECT_DEADLINE;
use super::state::{AppState, Limits, Shared};
use super::{gate, routes};

/// Connections of all programs together.
const CONNECTIONS: usize = 128;
/// Bodies of all their requests that are being read or worked on, bytes.
const BODIES_BYTES: usize = 64 << 20;
/// Bodies that are waited for at the same time.
const BODIES_WAITED_FOR: usize = 32;
/// Files over 64 KiB that are sent at the same time.
const UPLOADS: usize = 4;
/// How long an idle connection is kept: others may wait for its place.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Serves each socket that is made for programs, until `doors` says that it is over, or another server does so.
pub(super) async fn serve(app: AppState, mut doors: watch::Receiver<bool>, grace: Duration) {
    let (attendant, mut made) = mpsc::unbounded_channel();
    app.services.sandboxes.attend(attendant);
    let app = AppState { limits: limits(&app.limits), ..app };
    let mut serving: Vec<(ServerHandle, web::Data<Shared>)> = Vec::new();
    loop {
        let listener = tokio::select! {
            listener = made.recv() => listener,
            _ = doors.wait_for(|closed| *closed) => None,
        };
        let Some(listener) = listener else { break };
        match begin(app.clone(), listener, grace) {
            Ok(begun) => serving.push(begun),
            Err(error) => tracing::error!(%error, "the socket for programs in sandboxes is not served"),
        }
    }
    // From now on no program is shown a socket.
    drop(made);
    for (handle, shared) in serving {
        shared.close_doors();
        handle.stop(true).await;
    }
}

/// The bounds of the server are those of each request, too.
fn limits(outside: &Limits) -> Limits {
    Limits {
        bodies_bytes: BODIES_BYTES.max(outside.body_bytes),
        bodies_waited_for: BODIES_WAITED_FOR,
        uploads: UPLOADS,
        connections: CONNECTIONS,
        keep_alive: KEEP_ALIVE,
        workers: 1,
        ..outside.clone()
    }
}

fn begin(app: AppState, listener: UnixListener, grace: Duration) -> io::Result<(ServerHandle, web::Data<Shared>)> {
    let limits = app.limits.clone();
    let shared = web::Data::new(Shared::new(app, true, limits.uploads));
    // What a host name is compared with; a socket has none.
    shared.address.get_or_init(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let data = shared.clone();
    let app = move || {
        App::new()
            .app_data(web::Data::new(data.for_thread()))
            .configure(routes::configure_inside)
            .wrap(from_fn(gate::gate))
    };
    let server = HttpServer::new(app)
        .workers(limits.workers)
        .max_connections(limits.connections)
        .keep_alive(limits.keep_alive)
        .client_request_timeout(limits.head_deadline)
        .client_disconnect_timeout(DISCONNECT_DEADLINE)
        .h1_allow_half_closed(false)
        .shutdown_timeout(grace.as_secs())
        .disable_signals()
        .listen_uds(listener)?
        .run();
    let handle = server.handle();
    actix_web::rt::spawn(async {
        if let Err(error) = server.await {
            tracing::error!(%error, "the server of programs in sandboxes ended with an error");
        }
    });
    Ok((handle, shared))
}
