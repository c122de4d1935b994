//! The failing control: the seven waves on a server of the incumbent's design, where reads write.
//!
//! It shows that the load and the judge can fail. The server is `store::control` behind `http::control`; nothing else
//! uses them.

use serde_json::{Value, json};

use super::super::demo::provision;
use super::client::Target;
use super::expect::Expectations;
use super::plan::operations;
use super::report::Report;
use super::{Failure, Load, exit};
use crate::http::control::ControlServer;
use crate::store::control::{ControlAnswer, ControlRow, ControlStore};

/// Makes the server, shows that it answers right when asked one after the other, and runs the load.
pub fn run(rounds: usize, scale: usize) -> Result<Report, Failure> {
    let dir = super::super::scratch::Scratch::new("nexus-lite-control")?;
    let expect = provision::expectations_of_a_dry_run();
    let store = ControlStore::create(&dir.path().join("control.db"), &answers(&expect))
        .map_err(|e| Failure::new(exit::OS, format!("the control's database: {e}")))?;
    let server =
        ControlServer::start(store).map_err(|e| Failure::new(exit::OS, format!("the control's server: {e}")))?;
    let target = Target { url: server.url(), key: super::DEMO_KEY.into() };
    let load =
        |expect, rounds, scale, serial| Load { target: target.clone(), expect: Some(expect), rounds, scale, serial };
    let outcome = super::run(load(expect.clone(), 1, 1, true)).and_then(|serial| {
        if !serial.passed() {
            let why = serial.reasons.first().map(|(_, reason)| reason.clone()).unwrap_or_default();
            return Err(Failure::new(exit::SOFTWARE, format!("the control is wrong even without load: {why}")));
        }
        let source = "what the control holds; asked one after the other it answers all of them right".to_owned();
        super::run(load(Expectations { source, ..expect }, rounds, scale, false))
    });
    server.stop();
    let report = outcome?;
    Ok(Report { target: format!("the incumbent's design ({})", report.target), ..report })
}

/// What the control's tables hold: the rows of each answer, each with the object that its permission is checked on.
fn answers(expect: &Expectations) -> Vec<ControlAnswer> {
    let mut made: Vec<ControlAnswer> = Vec::new();
    for operation in operations() {
        let Some(result) = expect.result_of(&operation) else { continue };
        let name = ControlAnswer::key(operation.method, &operation.params);
        if made.iter().any(|known| known.operation == name) {
            continue;
        }
        let rows = match operation.method {
            "skills_list" => rows(&result["skills"]),
            "list" => rows(&result["files"]),
            "sandbox_get_or_create" => vec![ControlRow { object: "/".into(), body: concrete(result).to_string() }],
            _ => rows(result),
        };
        made.push(ControlAnswer { operation: name, rows });
    }
    // Only one sandbox per name can be right, and the control never makes a second one.
    let sandboxes = operations().into_iter().filter(|o| o.method == "sandbox_get_or_create");
    let rows = sandboxes
        .filter_map(|o| expect.result_of(&o))
        .map(|row| ControlRow { object: "/".into(), body: concrete(row).to_string() });
    made.push(ControlAnswer { operation: ControlAnswer::key("sandbox_list", &json!({})), rows: rows.collect() });
    let (method, params) = super::plan::witness();
    let body = r#"{"relation":"direct_viewer"}"#.to_owned();
    let row = ControlRow { object: "/".into(), body };
    made.push(ControlAnswer { operation: ControlAnswer::key(method, &params), rows: vec![row] });
    made
}

fn rows(list: &Value) -> Vec<ControlRow> {
    let row = |body: &Value| {
        let named = ["file_path", "path", "mount_point", "config_path"].iter().find_map(|key| body.get(key));
        let object = named.unwrap_or(body).as_str().unwrap_or("/").to_owned();
        ControlRow { object, body: concrete(body).to_string() }
    };
    list.as_array().into_iter().flatten().map(row).collect()
}

/// Replaces the patterns of an expectation by something that fits them.
fn concrete(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(concrete).collect(),
        Value::Object(map) if map.len() == 1 => match map.iter().next() {
            Some((key, Value::String(kind))) if key == "$any" && kind == "number" => 1.into(),
            Some((key, Value::String(kind))) if key == "$any" && kind == "time" => "2026-01-01T00:00:00".into(),
            Some((key, Value::String(_))) if key == "$any" => "x".into(),
            Some((key, at)) if key == "$time_us" => crate::model::time::iso_utc(at.as_i64().unwrap_or_default()).into(),
            _ => Value::Object(map.iter().map(|(k, v)| (k.clone(), concrete(v))).collect()),
        },
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, v)| v.get("$optional").is_none());
            Value::Object(kept.map(|(k, v)| (k.clone(), concrete(v))).collect())
        }
        other => other.clone(),
    }
}
