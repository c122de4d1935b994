//! `/.well-known/agent-skills/`: the skills for everybody, without a key.

use actix_web::http::Method;
use serde_json::{Value, json};

use super::super::skills;
use super::describe::{Described, JSON, parameter, schema};
use super::{Operation, Route, none};

/// Of every answer with one of them.
const HEADERS: &[&str] = &["ETag", "X-Nexus-Revision"];
/// What can stand in the address of a skill.
const NAME: &str = "^[a-z0-9]+(-[a-z0-9]+)*$";

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    Route {
        patterns: &["/.well-known/agent-skills/index.json"],
        parameters: none,
        operations: &[
            Operation { verb: Method::GET, serve: |r, _| Box::pin(skills::index(r)), describe: index },
            Operation { verb: Method::HEAD, serve: |r, _| Box::pin(skills::index(r)), describe: index_head },
        ],
    },
    Route {
        patterns: &["/.well-known/agent-skills/{name}/SKILL.md"],
        parameters: name,
        operations: &[
            Operation { verb: Method::GET, serve: |r, _| Box::pin(skills::file(r)), describe: text },
            Operation { verb: Method::HEAD, serve: |r, _| Box::pin(skills::file(r)), describe: text_head },
        ],
    },
    Route {
        patterns: &["/.well-known/agent-skills/{name}.zip"],
        parameters: name,
        operations: &[
            Operation { verb: Method::GET, serve: |r, _| Box::pin(skills::file(r)), describe: archive },
            Operation { verb: Method::HEAD, serve: |r, _| Box::pin(skills::file(r)), describe: archive_head },
        ],
    },
];

fn name() -> Vec<Value> {
    vec![parameter(
        "path",
        "name",
        "The name of the skill",
        json!({ "type": "string", "pattern": NAME, "maxLength": 64 }),
    )]
}

fn described(id: &str, summary: &str, content: &[(&'static str, Value)]) -> Described {
    let tags = json!({ "type": "string" });
    Described::new(id, "skills", summary)
        .keyless()
        .takes(vec![parameter("header", "If-None-Match", "The tags of what the caller has", tags)])
        .answers(200, "It", content, HEADERS)
        .answers(304, "What the caller has still holds", &[], HEADERS)
}

fn of_one(id: &str, summary: &str, content: &[(&'static str, Value)]) -> Described {
    let described = described(id, summary, content);
    let missing = "No such skill for everybody, or it is handed out in the other form";
    // A HEAD has no body, whatever is answered.
    let body = [(JSON, schema("Detail"))];
    described.answers(404, missing, if content.is_empty() { &[] } else { &body }, &[])
}

fn index() -> Described {
    described(
        "skill_index",
        "The skills for everybody, each with its address and digest",
        &[(JSON, schema("SkillIndex"))],
    )
}

fn index_head() -> Described {
    described("skill_index_head", "The headers of the index", &[])
}

fn text() -> Described {
    of_one("skill_text", "A skill that is one file", &[("text/markdown", json!({ "type": "string" }))])
}

fn text_head() -> Described {
    of_one("skill_text_head", "The headers of a skill that is one file", &[])
}

fn archive() -> Described {
    let bytes = json!({ "type": "string", "format": "binary" });
    of_one("skill_archive", "A skill of several files, as a zip archive", &[("application/zip", bytes)])
}

fn archive_head() -> Described {
    of_one("skill_archive_head", "The headers of a skill of several files", &[])
}
