//! `copy`.

use serde_json::json;

use super::super::*;
use super::shared_world;

#[tokio::test]
async fn makes_a_file_of_its_own() {
    let world = shared_world().await;
    for (name, body) in [("small", "one".to_owned()), ("large", "x".repeat(70_000))] {
        let (source, goal) = (format!("/w/alice/{name}"), format!("/w/alice/made/{name}"));
        let written = write(&world, Who::Alice, &source, &body).await;
        let copy = ok(&world, Who::Alice, "copy", json!({"src_path": source, "dst_path": goal})).await;
        assert_eq!((&copy["copied"], &copy["etag"]), (&json!(true), &written["etag"]));
        assert_eq!((&copy["version"], &copy["size"]), (&json!(1), &json!(body.len())));
        write(&world, Who::Alice, &source, "another").await;
        assert!(read(&world, Who::Bob, &goal).await == body, "{name}: the source changed, the copy did not");
    }
}

#[tokio::test]
async fn a_copied_skill_is_a_skill() {
    let world = shared_world().await;
    let folder = "/tenant:default/user:alice/skill";
    let body = "---\nname: copied\ndescription: d\n---\n";
    ok(&world, Who::Admin, "mkdir", json!({"path": folder, "parents": true})).await;
    grant(&world, ("user", "alice"), "direct_owner", folder).await;
    write(&world, Who::Alice, "/w/alice/skill.txt", body).await;
    let to = format!("{folder}/copied/SKILL.md");
    ok(&world, Who::Alice, "copy", json!({"src_path": "/w/alice/skill.txt", "dst_path": to})).await;
    let skills = ok(&world, Who::Alice, "skills_list", json!({})).await;
    assert!(skills.to_string().contains("copied"), "{skills}");
}

#[tokio::test]
async fn needs_both_rights_and_overwrites_nothing() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "one").await;
    write(&world, Who::Alice, "/w/alice/b.txt", "two").await;
    write(&world, Who::Admin, "/w/other/c.txt", "secret").await;
    let head = world.head().await;
    let copy = |from: &str, to: &str| json!({"src_path": from, "dst_path": to});
    for (who, from, to, code) in [
        (Who::Alice, "/w/other/c.txt", "/w/alice/c.txt", DENIED),
        (Who::Alice, "/w/other/none.txt", "/w/alice/c.txt", DENIED),
        (Who::Alice, "/w/alice/a.txt", "/w/other/d.txt", DENIED),
        (Who::Bob, "/w/alice/a.txt", "/w/alice/d.txt", DENIED),
        (Who::Agent, "/w/alice/a.txt", "/w/alice/d.txt", DENIED),
        (Who::Stranger, "/w/alice/a.txt", "/w/alice/d.txt", DENIED),
        (Who::OtherAdmin, "/w/alice/a.txt", "/w/alice/d.txt", DENIED),
        (Who::Alice, "/w/alice/a.txt", "/w/alice/b.txt", EXISTS),
        (Who::Alice, "/w/alice/a.txt", "/w/alice/a.txt", EXISTS),
        (Who::Alice, "/w/alice/none.txt", "/w/alice/d.txt", NOT_FOUND),
        (Who::Alice, "/w/alice", "/w/alice/d.txt", PRECONDITION),
        (Who::Alice, "/w/alice/a.txt", "/w/alice/b.txt/d", PRECONDITION),
    ] {
        let said = refused(&world, who, "copy", copy(from, to), code).await;
        assert!(!said.message.contains("secret"));
    }
    assert_eq!(world.head().await, head);
    ok(&world, Who::Heir, "copy", copy("/w/alice/a.txt", "/w/alice/d.txt")).await;
    assert_eq!(read(&world, Who::Alice, "/w/alice/d.txt").await, "one");
}

#[tokio::test]
async fn the_right_is_looked_at_again_by_the_writer() {
    let world = shared_world().await;
    // Not hers: who owns a file keeps it.
    write(&world, Who::Admin, "/w/alice/a.txt", "one").await;
    for (method, params) in [
        ("copy", json!({"src_path": "/w/alice/a.txt", "dst_path": "/w/alice/c.txt"})),
        ("append", json!({"path": "/w/alice/a.txt", "content": "x"})),
        ("write_batch", json!({"files": [["/w/alice/d.txt", "x"], ["/w/alice/a.txt", "x"]]})),
        ("edit", json!({"path": "/w/alice/a.txt", "edits": [{"old_str": "one", "new_str": "x"}]})),
    ] {
        let held = world.hold_writer();
        let asked = world.rpc(Who::Alice, method, params);
        // Admitted before the editor's right goes: the snapshot still has it, the writer does not.
        let revoked = world.rpc(Who::Admin, "rebac_list_tuples", json!({"object": ["file", "/w/alice"]})).await;
        let tuples = revoked.expect("tuples");
        let id = tuples.as_array().expect("a list").iter().find(|t| t["subject_id"] == "alice").expect("her right");
        let gone = world.rpc(Who::Admin, "rebac_delete", json!({"tuple_id": id["tuple_id"]}));
        let release = async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            held.release();
        };
        // The revocation is polled, and so admitted, first.
        let (gone, asked, ()) = futures_util::future::join3(gone, asked, release).await;
        gone.expect("revoked");
        assert_eq!(asked.expect_err(method).code, DENIED, "{method}");
        assert_eq!(read(&world, Who::Admin, "/w/alice/a.txt").await, "one", "{method}");
        assert_eq!(list(&world, Who::Admin, "/w/alice", true).await, ["/w/alice/a.txt"], "{method}");
        grant(&world, ("user", "alice"), "direct_editor", "/w/alice").await;
    }
}
