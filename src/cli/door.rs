//! Where a command asks: a running server over HTTP, or the data directory of a stopped one, under its lock.
//!
//! Both speak the methods of the API and nothing else, so that a command is written once. Owns no rule.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::running::runtime;
use super::waves::client::{Answer, Client, Target, with_client};
use super::waves::judge::result_of;
use super::{Failure, contexts, exit, offline, print};
use crate::app::App;
use crate::rpc::{Params, RequestContext, dispatch};

/// The directory of a command to which none is named.
const DATA_DIR: &str = "./nexus-data";

/// The options of every command that asks something.
#[derive(Debug, Clone, clap::Args)]
pub struct Door {
    /// The data directory of a server that is not running; ./nexus-data where no server is named.
    #[arg(long, global = true, env = "NEXUS_LITE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// A running server; then no data directory is touched.
    #[arg(long, global = true)]
    url: Option<String>,
    /// The running server of this name (`nexus-lite context`); without any of these, the one in use.
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "url")]
    context: Option<String>,
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
        if let Some(target) = self.context()? {
            return Ok(Session::Online(target));
        }
        let runtime = runtime()?;
        let data_dir = self.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR));
        let opened = runtime.block_on(offline::open(data_dir));
        let app = opened.map_err(|failure| match failure.code {
            exit::LOCKED => failure.hint("a server is running there; ask it: --url http://127.0.0.1:8080 --key sk-…"),
            _ => failure,
        })?;
        Ok(Session::Offline(Box::new((app, runtime))))
    }

    /// Whether a running server would be asked.
    pub fn is_online(&self) -> Result<bool, Failure> {
        Ok(self.url.is_some() || self.context()?.is_some())
    }

    /// The server that a context names: that of --context, else, where no directory is given either, the one in use.
    fn context(&self) -> Result<Option<Target>, Failure> {
        match (&self.context, &self.data_dir) {
            (None, Some(_)) => Ok(None),
            (name, _) => contexts::target(name.as_deref()),
        }
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

    /// Whether a running server is asked.
    #[must_use]
    pub fn is_online(&self) -> bool {
        matches!(self, Self::Online(_))
    }

    /// Puts a local file at a path of a running server, as a stream; `sent` hears of each part's bytes.
    pub fn upload(
        &self,
        path: &str,
        file: std::fs::File,
        new: bool,
        sent: impl Fn(u64) + Send + 'static,
    ) -> Result<(), Failure> {
        let Self::Online(target) = self else {
            return Err(Failure::new(exit::SOFTWARE, "a stopped server's directory takes no streams"));
        };
        let (named, path) = (target.url.clone(), path.to_owned());
        let sending = move |client: Client| async move { client.put_file(&path, file, new, sent).await };
        let answer = with_client(target.clone(), sending).map_err(no_thread)?;
        match answer.status {
            200..300 => Ok(()),
            _ => Err(failed(&named, &answer)),
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
    let answer = asked.map_err(no_thread)?;
    result_of(&answer).map_err(|_| failed(&named, &answer))
}

fn no_thread(error: std::io::Error) -> Failure {
    Failure::new(exit::OS, format!("the client's thread could not be started: {error}"))
}

/// The failure that an answer of the server `named` is: in its own words, if it has any.
fn failed(named: &str, answer: &Answer) -> Failure {
    let said = answer.body.as_ref().ok().and_then(|body| serde_json::from_slice::<Value>(body).ok());
    match said.map(|mut said| said["error"].take()).filter(|error| error["message"].is_string()) {
        Some(error) => refused(&error),
        None if answer.status == 0 => {
            let why = answer.body.as_ref().err().map_or("no reply", String::as_str);
            Failure::new(exit::UNAVAILABLE, format!("{named}: {why}")).hint("is the server running there?")
        }
        None => Failure::new(exit::UNAVAILABLE, format!("{named}: HTTP {}", answer.status)),
    }
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
