//! Starting, a taken port, stopping.

use std::net::TcpListener;
use std::time::Duration;

use nexus_lite::http::{ServeError, Server};

use super::{Served, Who, local};
use crate::harness::client::LIVENESS;

use crate::harness::world::World;

#[tokio::test]
async fn a_taken_port_is_told_with_a_free_one() {
    let world = World::new().await;
    let taken = TcpListener::bind(local(0)).expect("a port");
    let address = taken.local_addr().expect("bound");
    let error = Server::start(world.app.state(), address, Duration::from_secs(1)).expect_err("taken");
    let ServeError::InUse { free, .. } = &error else { panic!("{error}") };
    if let Some(free) = free {
        assert_eq!(error.to_string(), format!("{address} is in use; try --port {free} (free)"));
        TcpListener::bind(local(*free)).expect("it is free");
    }
    world.close().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_a_stop() {
    let served = Served::new().await;
    let mut client = served.client(Who::Alice);
    let client = tokio::task::spawn_blocking(move || {
        assert_eq!(client.get("/health").expect("an answer").status, 200);
        client
    });
    let client = client.await.expect("no panic");
    let address = served.address();
    tokio::time::timeout(LIVENESS, served.stop()).await.expect("it stops");
    drop(client);
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[tokio::test]
async fn closed_doors_answer_503() {
    let served = Served::new().await;
    served.running.close_doors();
    for path in ["/health", "/ready", "/api/nfs/status"] {
        let answer = served.send(Who::Alice, "GET", path, &[], b"").await;
        assert_eq!(answer.status, 503, "{path}");
    }
    served.stop().await;
}

#[tokio::test]
async fn what_is_under_way_is_answered_before_the_end() {
    let served = Served::new().await;
    // The start sends a message of its own, which must not be taken for the call: let it go by first.
    tokio::task::yield_now().await;
    let before = served.world.rpc(Who::Instance, "mkdir", serde_json::json!({"path": "/before"})).await;
    before.expect("the writer answers");
    let held = served.world.hold_writer();
    let mut client = served.client(Who::Instance);
    let call = tokio::task::spawn_blocking(move || {
        client.rpc("mkdir", &serde_json::json!({"path": "/under/way", "parents": true}))
    });
    // The call has reached the writer, which stands still.
    let arrived = async {
        while served.world.store.status().writer_queue_depth < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIVENESS, arrived).await.expect("the call reaches the writer");
    let Served { world, running } = served;
    running.close_doors();
    let stopped = tokio::spawn(running.stop());
    held.release();
    call.await.expect("no panic").expect("the answer came");
    tokio::time::timeout(LIVENESS, stopped).await.expect("it stops").expect("no panic");
    world.close().await;
}
