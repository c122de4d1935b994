//! `/.well-known/agent-skills/`: what is public is there without a key, and nothing else is.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Answer, Served, Who, object, text};
use crate::rpc::{grant, ok, revoke, write};

const INDEX: &str = "/.well-known/agent-skills/index.json";
const TENANT: &str = "/tenant:default/skill";

fn skill(name: &str) -> String {
    format!("---\nname: {name}\ndescription: What {name} is for\n---\n\n# {name}\n")
}

async fn put(served: &Served, path: &str, name: &str) {
    write(&served.world, Who::Instance, &format!("{path}/SKILL.md"), &skill(name)).await;
}

async fn get(served: &Served, path: &str, headers: &[(&str, &str)]) -> Answer {
    served.send(Who::Anonymous, "GET", path, headers, b"").await
}

async fn names(served: &Served) -> Vec<String> {
    let index = object(&get(served, INDEX, &[]).await);
    assert_eq!(index["$schema"], "https://schemas.agentskills.io/discovery/0.2.0/schema.json");
    let skills = index["skills"].as_array().expect("skills");
    skills.iter().map(|entry| entry["name"].as_str().expect("a name").to_owned()).collect()
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[tokio::test]
async fn public_skills_are_found_and_fetched_without_a_key() {
    let served = Served::new().await;
    assert_eq!(names(&served).await, Vec::<String>::new());
    put(&served, "/skill/one-file", "one-file").await;
    put(&served, &format!("{TENANT}/many-files"), "many-files").await;
    write(&served.world, Who::Instance, &format!("{TENANT}/many-files/scripts/a.py"), "print(1)").await;
    write(&served.world, Who::Instance, &format!("{TENANT}/many-files/private.txt"), "the secret").await;
    grant(&served.world, ("*", "*"), "direct_viewer", "/skill/one-file").await;
    for file in ["SKILL.md", "scripts"] {
        grant(&served.world, ("*", "*"), "direct_viewer", &format!("{TENANT}/many-files/{file}")).await;
    }
    let index = get(&served, INDEX, &[]).await;
    assert_eq!(index.header("content-type"), Some("application/json"));
    assert_eq!(index.header("cache-control"), Some("public, no-cache"));
    let entries = object(&index)["skills"].as_array().expect("skills").clone();
    let kinds: Vec<(&Value, &Value)> = entries.iter().map(|entry| (&entry["name"], &entry["type"])).collect();
    assert_eq!(kinds, [(&json!("many-files"), &json!("archive")), (&json!("one-file"), &json!("skill-md"))]);
    assert_eq!(entries[1]["url"], "/.well-known/agent-skills/one-file/SKILL.md");
    assert_eq!(entries[1]["description"], "What one-file is for");
    for entry in &entries {
        let answer = get(&served, entry["url"].as_str().expect("a url"), &[]).await;
        assert_eq!((answer.status, &entry["digest"]), (200, &json!(digest(&answer.body))));
    }
    let packed = get(&served, "/.well-known/agent-skills/many-files.zip", &[]).await;
    let mut meter = nexus_lite::service::skills::archive::Meter::default();
    let members = nexus_lite::service::skills::archive::read(&packed.body, &mut meter).expect("an archive");
    let paths: Vec<_> = members.iter().map(|member| member.path.as_str()).collect();
    assert_eq!(paths, ["SKILL.md", "scripts/a.py"], "what is not public is not in it");
    // Whoever has it is told so.
    let etag = index.header("etag").expect("a tag").to_owned();
    let again = get(&served, INDEX, &[("If-None-Match", &etag)]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    put(&served, "/skill/other", "other").await;
    assert_eq!(get(&served, INDEX, &[("If-None-Match", &etag)]).await.status, 304, "nothing public has changed");
    put(&served, "/skill/one-file", "one-file-now").await;
    assert_eq!(get(&served, INDEX, &[("If-None-Match", &etag)]).await.status, 200);
    assert_eq!(served.send(Who::Anonymous, "POST", INDEX, &[], b"{}").await.status, 405);
    served.stop().await;
}

#[tokio::test]
async fn nothing_else_is_told() {
    let served = Served::new().await;
    put(&served, "/skill/hidden", "hidden").await;
    put(&served, "/skill/for-alice", "for-alice").await;
    grant(&served.world, ("user", "alice"), "direct_viewer", "/skill/for-alice").await;
    // A person's own is not shared, whoever may read it; nor is what no address can name.
    put(&served, "/tenant:default/user:alice/skill/own", "own").await;
    grant(&served.world, ("*", "*"), "direct_viewer", "/tenant:default/user:alice/skill/own").await;
    put(&served, "/skill/Big_Name", "Big_Name").await;
    grant(&served.world, ("*", "*"), "direct_viewer", "/skill/Big_Name").await;
    assert_eq!(names(&served).await, Vec::<String>::new());
    let missing = get(&served, "/.well-known/agent-skills/nothing/SKILL.md", &[]).await;
    for name in ["hidden", "for-alice", "own", "Big_Name", "..", "%2e%2e", "hidden%2f.."] {
        for path in [format!("{name}/SKILL.md"), format!("{name}.zip"), format!("{name}/other.md"), name.to_owned()] {
            let answer = get(&served, &format!("/.well-known/agent-skills/{path}"), &[]).await;
            assert_eq!((answer.status, text(&answer)), (404, text(&missing)), "{path}");
            // A key that is sent along changes nothing.
            let keyed = served.send(Who::Instance, "GET", &format!("/.well-known/agent-skills/{path}"), &[], b"").await;
            assert_eq!(keyed.status, 404, "{path}");
        }
    }
    // What ceases to be public is gone at once.
    grant(&served.world, ("*", "*"), "direct_viewer", "/skill/hidden").await;
    assert_eq!(names(&served).await, ["hidden"]);
    assert_eq!(get(&served, "/.well-known/agent-skills/hidden/SKILL.md", &[]).await.status, 200);
    revoke(&served.world, "/skill/hidden").await;
    assert_eq!(names(&served).await, Vec::<String>::new());
    assert_eq!(get(&served, "/.well-known/agent-skills/hidden/SKILL.md", &[]).await.status, 404);
    assert_eq!(ok(&served.world, Who::Alice, "skills_list", json!({})).await["count"], 3, "hers see more");
    served.stop().await;
}
