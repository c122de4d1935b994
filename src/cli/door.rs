//! Where a command asks: a running server over HTTP, or the data directory of a stopped one, under its lock.
//!
//! Both speak the methods of the API and nothing else, so that a command is written once. Owns no rule.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::running::runtime;
use super::waves::client::{Target, with_client};
use super::waves::judge::result_of;
use super::{Failure, exit, offline, print};
use crate::app::App;
use crate::rpc::{Params, RequestContext, dispatch};

/// The options of every command that asks something.
#[derive(Debug, Clone, clap::Args)]
pub struct Door {
    /// The data directory of a server that is not running.
    #[arg(long, global = true, env = "NEXUS_LITE_DATA_DIR", default_value = "./nexus-data")]
    data_dir: PathBuf,
    /// A running server; then the data directory is not touched.
    #[arg(long, global = true)]
    url: Option<String>,
    /// For --url: the key to ask with.
    #[arg(long, global = true, env = "NEXUS_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// An open door.
pub enum Session {
    /// A running server.
    Online(Target),
    /// A data directory; whoever can open it is the admin of the instance.
    Offline(Box<(App, Runtime)>),
}

impl Door {
    /// Opens it. `command` names the caller in the changelog.
    pub fn open(&self) -> Result<Session, Failure> {
        if let Some(url) = &self.url {
            let Some(key) = self.key.clone() else {
                return Err(Failure::new(exit::USAGE, "--url needs --key (or NEXUS_API_KEY)"));
            };
            return Ok(Session::Online(Target { url: url.clone(), key }));
        }
        let runtime = runtime()?;
        let opened = runtime.block_on(offline::open(&self.data_dir));
        let app = opened.map_err(|failure| match failure.code {
            exit::LOCKED => failure.hint("a server is running there; ask it: --url http://127.0.0.1:8080 --key sk-…"),
            _ => failure,
        })?;
        Ok(Session::Offline(Box::new((app, runtime))))
    }

    /// Whether a running server is asked.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.url.is_some()
    }

    /// Opens it, calls one method and closes it.
    pub fn ask(&self, method: &'static str, params: Value) -> Result<Value, Failure> {
        let session = self.open()?;
        let answer = session.call(method, params);
        session.close()?;
        answer
    }

    /// Prints an answer: as JSON if that was asked for, else as `people` words it.
    pub fn show(&self, answer: &Value, people: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        let text = match self.json {
            true => format!("{}\n", serde_json::to_string_pretty(answer).expect("JSON values serialise")),
            false => people(answer),
        };
        print(&text)
    }
}

impl Session {
    /// Calls one method.
    pub fn call(&self, method: &'static str, params: Value) -> Result<Value, Failure> {
        match self {
            Self::Online(target) => online(target.clone(), method, params),
            Self::Offline(opened) => opened.1.block_on(inside(&opened.0, method, params)),
        }
    }

    /// Closes it. An offline one gives the lock back.
    pub fn close(self) -> Result<(), Failure> {
        if let Self::Offline(opened) = self {
            let (app, runtime) = *opened;
            runtime.block_on(app.close(None))?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Online(_) => "Online",
            Self::Offline(_) => "Offline",
        })
    }
}

fn online(target: Target, method: &'static str, params: Value) -> Result<Value, Failure> {
    let named = target.url.clone();
    let asked = with_client(target, move |client| async move { client.call(method, &params).await });
    let answer = asked.map_err(|e| Failure::new(exit::OS, format!("the client's thread could not be started: {e}")))?;
    result_of(&answer).map_err(|reason| {
        let code = if answer.status == 0 { exit::UNAVAILABLE } else { exit::NO_PERMISSION };
        Failure::new(code, format!("{named}: {reason}"))
    })
}

async fn inside(app: &App, method: &'static str, params: Value) -> Result<Value, Failure> {
    let cx = RequestContext::new(offline::call(app, method), std::sync::Arc::clone(&app.services));
    let Value::Object(params) = params else {
        return Err(Failure::new(exit::SOFTWARE, format!("the parameters of {method} are no object: {params}")));
    };
    let mut out = Vec::new();
    match dispatch(&cx, method, Params::Value(params), &mut out).await {
        Ok(_) => serde_json::from_slice(&out)
            .map_err(|e| Failure::new(exit::SOFTWARE, format!("the answer of {method} is no JSON: {e}"))),
        Err(error) => Err(refused(&error.to_wire(&cx.call.request_id))),
    }
}

/// The failure that an error of a method is on the command line: what happened, and its hint.
fn refused(error: &Value) -> Failure {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let message = text(&error["message"]).unwrap_or_else(|| error.to_string());
    let code = if error["code"] == json!(-32004) { exit::NO_PERMISSION } else { exit::DATA };
    let failure = Failure::new(code, message);
    match text(&error["data"]["hint"]) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
