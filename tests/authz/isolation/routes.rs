//! The same for what is no method: files, subscriptions, events, public skills, pages.

use super::{Door, Names, Nest, OTHERS, difference, leaks, normal, shown, tried};

/// A request: verb, target, headers, body.
type Request = (&'static str, String, Vec<(&'static str, String)>, String);

/// Every route, as it is called with the things of `n`.
fn requests(n: &Names) -> Vec<Request> {
    let mut all: Vec<Request> = Vec::new();
    let tagged = format!("\"{}\"", n["hash"]);
    for kind in ["file", "new", "directory", "gone", "table", "skill_file", "home"] {
        let target = format!("/files{}", n[kind]);
        for verb in ["GET", "HEAD", "PUT", "DELETE"] {
            all.push((verb, target.clone(), vec![], String::new()));
            all.push((verb, target.clone(), vec![("If-None-Match", tagged.clone())], String::new()));
            all.push((verb, target.clone(), vec![("If-Match", tagged.clone())], String::new()));
        }
        all.push(("GET", target, vec![("Range", "bytes=0-3".to_owned())], String::new()));
    }
    let one = format!("/api/subscriptions/{}", n["subscription"]);
    all.push(("GET", one.clone(), vec![], String::new()));
    all.push(("PATCH", one.clone(), vec![], r#"{"enabled": false, "name": "renamed"}"#.to_owned()));
    all.push(("POST", format!("{one}/test"), vec![], String::new()));
    all.push(("DELETE", one, vec![], String::new()));
    for query in ["", "?limit=1", "?limit=1&offset=1", "?enabled_only=true"] {
        all.push(("GET", format!("/api/subscriptions{query}"), vec![], String::new()));
    }
    for query in ["wait=0&since=0".to_owned(), format!("wait=0&since=0&path={}/**", n["home"])] {
        all.push(("GET", format!("/api/events?{query}"), vec![], String::new()));
    }
    let skills = "/.well-known/agent-skills";
    for name in ["index.json".to_owned(), format!("{}/SKILL.md", n["skill"]), format!("{}.zip", n["skill"])] {
        for verb in ["GET", "HEAD"] {
            all.push((verb, format!("{skills}/{name}"), vec![], String::new()));
        }
    }
    // Whom else one says to be.
    let agent = vec![("X-Agent-ID", n["agent"].clone())];
    let tenant = vec![("X-Nexus-Tenant-ID", n["tenant"].clone()), ("X-Tenant-ID", n["tenant"].clone())];
    let subject = vec![("X-Nexus-Subject", format!("user:{}", n["user"]))];
    for headers in [agent, [tenant, subject].concat()] {
        all.push(("GET", "/api/auth/whoami".to_owned(), headers.clone(), String::new()));
        all.push(("POST", "/api/nfs/list".to_owned(), headers.clone(), r#"{"params": {"path": "/"}}"#.to_owned()));
        all.push(("GET", "/api/subscriptions".to_owned(), headers.clone(), String::new()));
        all.push(("GET", "/api/events?wait=0&since=0".to_owned(), headers, String::new()));
    }
    for page in PAGES {
        all.push(("GET", page.to_owned(), vec![], String::new()));
    }
    all
}

/// What is the same for everybody.
const PAGES: [&str; 11] = [
    "/health",
    "/ready",
    "/metrics",
    "/openapi.json",
    "/openrpc.json",
    "/docs",
    "/docs/page.js",
    "/docs/page.css",
    "/redoc",
    "/api/nfs/status",
    "/api/auth/whoami",
];
/// Pages that count what the whole server does.
const COUNTING: [&str; 2] = ["/metrics", "/ready"];

/// Calls every route with everything of the others' and of nobody's.
pub(super) fn reach(door: &mut Door, own: &Nest, others: &[Nest; 2]) -> Vec<String> {
    let made = tried(others).each_ref().map(requests);
    let mut wrong = unlisted(door, own, &made[0]);
    for at in 0..made[0].len() {
        for caller in own.callers() {
            let mut alike: Option<String> = None;
            for (verb, target, headers, body) in made.each_ref().map(|requests| &requests[at]) {
                let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let answer = door.send(&caller.key, verb, target, &headers, body.as_bytes());
                let cell = format!("{verb} {target} {headers:?} as {}", caller.role);
                let sent = format!("{target} {headers:?}");
                for (word, nest) in OTHERS.iter().zip(others) {
                    for secret in leaks(&answer, &sent, word, nest) {
                        wrong.push(format!("{cell}: reveals {secret}: {}", shown(&answer)));
                    }
                }
                if COUNTING.contains(&target.as_str()) {
                    continue;
                }
                let normal = normal(&answer);
                match &alike {
                    None => alike = Some(normal),
                    Some(first) if *first == normal => {}
                    Some(first) => wrong.push(format!("{cell}: {}", difference(first, &normal))),
                }
            }
        }
    }
    wrong
}

/// The routes of the server's own description that are called by no request.
fn unlisted(door: &mut Door, own: &Nest, requests: &[Request]) -> Vec<String> {
    let document = door.send(&own.admin.key, "GET", "/openapi.json", &[], b"").json();
    let paths = document["paths"].as_object().expect("paths");
    let mut missing = Vec::new();
    for (path, operations) in paths.iter().filter(|(path, _)| !path.starts_with("/api/nfs/")) {
        let (before, after) = path
            .split_once('{')
            .map_or((path.as_str(), None), |(before, rest)| (before, rest.rsplit_once('}').map(|(_, after)| after)));
        for verb in operations.as_object().expect("verbs").keys().filter(|verb| *verb != "parameters") {
            let called = requests.iter().any(|(asked, target, ..)| {
                let target = target.split('?').next().unwrap_or_default();
                asked.eq_ignore_ascii_case(verb)
                    && match after {
                        None => target == before,
                        Some(after) => target.starts_with(before) && target.ends_with(after),
                    }
            });
            // Making one names nothing; those of the others were made by it.
            let names_nothing = verb == "post" && path == "/api/subscriptions";
            if !called && !names_nothing {
                missing.push(format!("{verb} {path} is in no request of the matrix"));
            }
        }
    }
    missing
}
