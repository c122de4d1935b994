//! The HTTP face of the failing control (`store::control`): the methods of the seven waves, on a free loopback port.
//!
//! Used by `waves --control` and by tests only. As in the incumbent, each request runs on a thread of a pool.

use std::net::TcpListener;
use std::sync::mpsc;

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use crate::store::StoreError;
use crate::store::control::{ControlAnswer, ControlStore};

/// How many results wait for the thread that starts the server.
const HANDOVER: usize = 1;

/// A running control server; stops when it is told to.
#[derive(Debug)]
pub struct ControlServer {
    port: u16,
    handle: actix_web::dev::ServerHandle,
    thread: std::thread::JoinHandle<std::io::Result<()>>,
}

impl ControlServer {
    /// Starts it on a free port of the loopback address, on a thread and a runtime of its own.
    pub fn start(store: ControlStore) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let (started, handle) = mpsc::sync_channel(HANDOVER);
        let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    App::new()
                        .app_data(web::Data::new(store.clone()))
                        .route(
                            "/health",
                            web::get().to(|| async { HttpResponse::Ok().json(json!({ "status": "healthy" })) }),
                        )
                        .route("/api/nfs/{method}", web::post().to(call))
                };
                let server =
                    HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(1).listen(listener)?.run();
                // The receiver waits below; it cannot be gone.
                let _ = started.send(server.handle());
                server.await
            })
        })?;
        match handle.recv() {
            Ok(handle) => Ok(Self { port, handle, thread }),
            Err(_) => Err(thread.join().map_or_else(
                |_| std::io::Error::other("it panicked"),
                |end| end.err().unwrap_or_else(|| std::io::Error::other("it ended at once")),
            )),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Stops it and waits until it has stopped.
    pub fn stop(self) {
        drop(self.handle.stop(false));
        // How it ended is of no interest any more.
        let _ = self.thread.join();
    }
}

async fn call(store: web::Data<ControlStore>, method: web::Path<String>, body: web::Json<Value>) -> HttpResponse {
    let (method, body) = (method.into_inner(), body.into_inner());
    let id = body["id"].clone();
    let params = if body["params"].is_object() { body["params"].clone() } else { json!({}) };
    let asked = method.clone();
    let rows = web::block(move || {
        // Listings leave out what they cannot check; everything else fails.
        let leave_out = matches!(asked.as_str(), "skills_list" | "list");
        store.answer(&ControlAnswer::key(&asked, &params), "admin", leave_out)
    })
    .await;
    match rows {
        Ok(Ok(rows)) => {
            HttpResponse::Ok().json(json!({ "jsonrpc": "2.0", "id": id, "result": result(&method, &rows) }))
        }
        Ok(Err(error)) => failed(&id, &error),
        Err(_) => HttpResponse::InternalServerError().body("Internal Server Error"),
    }
}

fn failed(id: &Value, error: &StoreError) -> HttpResponse {
    let error = json!({ "code": -32603, "message": format!("Internal error: {error}") });
    HttpResponse::Ok().json(json!({ "jsonrpc": "2.0", "id": id, "error": error }))
}

fn result(method: &str, rows: &[String]) -> Value {
    let rows: Vec<Value> = rows.iter().filter_map(|row| serde_json::from_str(row).ok()).collect();
    match method {
        "skills_list" => json!({ "count": rows.len(), "skills": rows }),
        "list" => json!({ "files": rows }),
        "sandbox_get_or_create" => rows.into_iter().next().unwrap_or_default(),
        "sandbox_list" => json!({ "sandboxes": rows }),
        _ => Value::Array(rows),
    }
}
