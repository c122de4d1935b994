//! Trajectories, feedback and playbooks, by their names and by the older ones.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::world::{Setup, Who, World};
use crate::rpc::{DENIED, EXISTS, INVALID_PARAMS, NOT_FOUND, PRECONDITION, ok, refused};

async fn start(world: &World, who: Who, task: &str) -> Value {
    ok(world, who, "ace_start_trajectory", json!({"task_description": task, "task_type": "test"})).await["trajectory_id"]
        .clone()
}

fn of(id: &Value) -> Value {
    json!({"trajectory_id": id})
}

#[tokio::test]
async fn a_trajectory_from_its_begin_to_its_end() {
    let world = World::new().await;
    let id = start(&world, Who::Alice, "sort the mail").await;
    for (number, (kind, result)) in
        [("action", json!({"moved": 3})), ("observation", json!("quiet")), ("decision", json!(null))]
            .into_iter()
            .enumerate()
    {
        let step =
            json!({"trajectory_id": id, "step_type": kind, "description": format!("step {number}"), "result": result});
        assert_eq!(ok(&world, Who::Alice, "ace_log_trajectory_step", step).await, json!({"success": true}));
    }
    world.clock.as_ref().expect("a clock").advance(Duration::from_millis(1_500));
    let open = ok(&world, Who::Alice, "ace_get_trajectory", of(&id)).await;
    assert_eq!((&open["status"], &open["duration_ms"]), (&json!("in_progress"), &Value::Null));
    let end = json!({"trajectory_id": id, "status": "partial", "success_score": 0.6, "error_message": "two are left"});
    assert_eq!(ok(&world, Who::Alice, "ace_complete_trajectory", end.clone()).await, of(&id));
    let whole = ok(&world, Who::Alice, "ace_get_trajectory", of(&id)).await;
    let steps = whole["steps"].as_array().expect("steps");
    let said: Vec<_> =
        steps.iter().map(|s| (s["number"].clone(), s["description"].clone(), s["result"].clone())).collect();
    assert_eq!(
        said,
        [
            (json!(1), json!("step 0"), json!({"moved": 3})),
            (json!(2), json!("step 1"), json!("quiet")),
            (json!(3), json!("step 2"), json!(null))
        ]
    );
    let rows = ok(&world, Who::Alice, "ace_query_trajectories", json!({})).await;
    let expected = json!([{
        "trajectory_id": id, "user_id": "alice", "agent_id": null, "task_description": "sort the mail", "task_type": "test",
        "status": "partial", "success_score": 0.6, "duration_ms": 1_500, "started_at": "2026-01-02T03:04:05.000000",
        "completed_at": "2026-01-02T03:04:06.500000", "path": null, "error_message": "two are left",
    }]);
    assert_eq!(rows, expected);
    // It ends once, and takes no steps afterwards.
    refused(&world, Who::Alice, "ace_complete_trajectory", end, PRECONDITION).await;
    let late = json!({"trajectory_id": id, "step_type": "action", "description": "late"});
    refused(&world, Who::Alice, "ace_log_trajectory_step", late, PRECONDITION).await;
    world.close().await;
}

#[tokio::test]
async fn feedback_changes_the_score() {
    let world = World::new().await;
    let id = start(&world, Who::Alice, "t").await;
    let score = |strategy: Value| {
        let (world, id) = (&world, id.clone());
        async move {
            let params = json!({"trajectory_id": id, "strategy": strategy});
            ok(world, Who::Alice, "ace_get_effective_score", params).await["effective_score"]
                .as_f64()
                .expect("a number")
        }
    };
    assert_eq!(score(json!(null)).await, 0.0, "nobody said anything");
    let end = json!({"trajectory_id": id, "status": "success", "success_score": 0.9});
    ok(&world, Who::Alice, "ace_complete_trajectory", end).await;
    assert_eq!(score(json!("latest")).await, 0.9);
    let silent = json!({"trajectory_id": id, "feedback_type": "note", "message": "no score"});
    ok(&world, Who::Alice, "ace_add_feedback", silent).await;
    let human = json!({"trajectory_id": id, "feedback_type": "human", "score": 0.3, "source": "bob", "message": "slow",
        "metrics": {"seconds": 12.5}});
    let feedback = ok(&world, Who::Alice, "ace_add_feedback", human).await["feedback_id"].clone();
    assert_eq!(score(json!("latest")).await, 0.3);
    assert_eq!(score(json!("average")).await, 0.6);
    assert_eq!(score(json!("weighted")).await, 0.5);
    let said = ok(&world, Who::Alice, "ace_get_trajectory_feedback", of(&id)).await;
    assert_eq!(
        said[1],
        json!({"feedback_id": feedback, "feedback_type": "human", "revised_score": 0.3, "source": "bob", "message": "slow",
            "metrics": {"seconds": 12.5}, "created_at": "2026-01-02T03:04:05.000000"})
    );
    assert_eq!((said[0]["message"].clone(), said.as_array().map(Vec::len)), (json!("no score"), Some(2)));
    for params in [json!({"trajectory_id": id, "strategy": "best"}), json!({"trajectory_id": 5})] {
        refused(&world, Who::Alice, "ace_get_effective_score", params, INVALID_PARAMS).await;
    }
    let odd = json!({"trajectory_id": id, "feedback_type": "human", "score": 2});
    refused(&world, Who::Alice, "ace_add_feedback", odd, INVALID_PARAMS).await;
    let long = json!({"trajectory_id": id, "feedback_type": "human", "metrics": "x".repeat(20_000)});
    refused(&world, Who::Alice, "ace_add_feedback", long, INVALID_PARAMS).await;
    world.close().await;
}

#[tokio::test]
async fn another_persons_attempts_are_not_there() {
    let world = World::new().await;
    let id = start(&world, Who::Alice, "the secret task").await;
    let its = start(&world, Who::Agent, "the task of the agent").await;
    for who in [Who::Bob, Who::Stranger, Who::Agent, Who::OtherUser, Who::OtherAdmin] {
        let rows = ok(&world, who, "ace_query_trajectories", json!({})).await;
        assert!(!rows.to_string().contains("secret"), "{who:?}: {rows}");
        let missing = refused(&world, who, "ace_get_trajectory", json!({"trajectory_id": "none"}), NOT_FOUND).await;
        for method in ["ace_get_trajectory", "ace_get_trajectory_feedback", "ace_get_effective_score"] {
            let hidden = refused(&world, who, method, of(&id), NOT_FOUND).await;
            assert_eq!(
                hidden.message.replace(id.as_str().expect("an id"), "none"),
                missing.message,
                "{who:?} {method}"
            );
        }
        let step = json!({"trajectory_id": id, "step_type": "action", "description": "d"});
        refused(&world, who, "ace_log_trajectory_step", step, NOT_FOUND).await;
        refused(&world, who, "ace_add_feedback", json!({"trajectory_id": id, "feedback_type": "x"}), NOT_FOUND).await;
    }
    let own = ok(&world, Who::Agent, "ace_query_trajectories", json!({})).await;
    assert_eq!(own[0]["trajectory_id"], its);
    assert_eq!(ok(&world, Who::Heir, "ace_query_trajectories", json!({})).await.as_array().map(Vec::len), Some(2));
    let of_agent = ok(&world, Who::Alice, "query_trajectories", json!({"agent_id": "alice,Helper"})).await;
    assert_eq!((&of_agent["trajectories"][0]["trajectory_id"], &of_agent["complete"]), (&its, &json!(true)));
    assert_eq!(of_agent["trajectories"].as_array().map(Vec::len), Some(1));
    // A grant lets one person see it, and no more.
    let grant = json!({"subject": ["user", "bob"], "relation": "viewer", "object": ["trajectory", id]});
    ok(&world, Who::Alice, "rebac_create", grant).await;
    assert_eq!(ok(&world, Who::Bob, "ace_query_trajectories", json!({})).await[0]["trajectory_id"], id);
    refused(&world, Who::Bob, "ace_add_feedback", json!({"trajectory_id": id, "feedback_type": "x"}), DENIED).await;
    refused(&world, Who::Edith, "ace_get_trajectory", of(&id), NOT_FOUND).await;
    world.close().await;
}

#[tokio::test]
async fn the_queue_tells_what_waits_and_that_nothing_is_learned() {
    let world = World::new().await;
    let (low, high) = (start(&world, Who::Alice, "low").await, start(&world, Who::Alice, "high").await);
    start(&world, Who::Alice, "not marked").await;
    for (id, priority) in [(&low, json!(1)), (&high, json!(9))] {
        let mark = json!({"trajectory_id": id, "reason": "again", "priority": priority});
        assert_eq!(ok(&world, Who::Alice, "ace_mark_for_relearning", mark).await, json!({"success": true}));
    }
    let queue = ok(&world, Who::Alice, "process_relearning", json!({"limit": 5})).await;
    let ids: Vec<_> =
        queue["results"].as_array().expect("rows").iter().map(|row| row["trajectory_id"].clone()).collect();
    assert_eq!((ids, &queue["complete"]), (vec![high.clone(), low], &json!(true)));
    assert!(queue["results"][0]["success"] == json!(false) && queue["results"][0]["error"].is_string());
    let first = ok(&world, Who::Alice, "process_relearning", json!({"limit": 1})).await;
    assert_eq!((&first["results"][0]["trajectory_id"], &first["complete"]), (&high, &json!(false)));
    assert_eq!(ok(&world, Who::Bob, "process_relearning", json!({})).await["results"], json!([]));
    world.close().await;
}

#[tokio::test]
async fn playbooks_by_id_and_by_name() {
    let world = World::new().await;
    let create = |name: &str, scope: &str| json!({"name": name, "description": "d", "scope": scope});
    let id = ok(&world, Who::Alice, "ace_create_playbook", create("default", "agent")).await["playbook_id"].clone();
    refused(&world, Who::Alice, "ace_create_playbook", create("default", "agent"), EXISTS).await;
    let ours = ok(&world, Who::Bob, "ace_create_playbook", create("default", "tenant")).await["playbook_id"].clone();
    let whole = ok(&world, Who::Alice, "ace_get_playbook", json!({"playbook_id": id})).await;
    let at = "2026-01-02T03:04:05.000000";
    let mut expected = json!({
        "playbook_id": id, "name": "default", "description": "d", "version": 1, "scope": "agent", "visibility": "private",
        "usage_count": 0, "success_rate": 0.0, "avg_improvement": 0.0, "updated_at": at, "path": null, "user_id": "alice",
        "agent_id": null, "created_at": at, "last_used_at": null, "content": {"strategies": []},
    });
    assert_eq!(whole, expected);
    for name in ["user_id", "agent_id", "created_at", "last_used_at", "content"] {
        expected.as_object_mut().expect("a row").shift_remove(name);
    }
    let rows = ok(&world, Who::Alice, "ace_query_playbooks", json!({"scope": "agent"})).await;
    assert_eq!(rows, json!([expected]));
    for (who, found) in
        [(Who::Alice, &id), (Who::Edith, &ours), (Who::Agent, &Value::Null), (Who::OtherUser, &Value::Null)]
    {
        let named = ok(&world, who, "get_playbook", json!({})).await;
        assert_eq!(&named["playbook_id"], found, "{who:?}");
        let hidden = ok(&world, who, "ace_get_playbook", json!({"playbook_id": id})).await;
        assert_eq!(hidden.is_null(), who != Who::Alice, "{who:?}");
        let listed = ok(&world, who, "query_playbooks", json!({})).await;
        assert_eq!(listed["complete"], true);
        assert_eq!(listed.to_string().contains(id.as_str().expect("an id")), who == Who::Alice, "{who:?}: {listed}");
    }
    refused(&world, Who::Agent, "ace_create_playbook", create("x", "user"), DENIED).await;
    refused(&world, Who::Admin, "ace_create_playbook", create("x", "global"), DENIED).await;
    world.close().await;
}

#[tokio::test]
async fn older_names_do_the_same_and_it_stays_over_a_restart() {
    let world = World::new().await;
    let begun =
        ok(&world, Who::Alice, "start_trajectory", json!({"task_description": "old", "context": {"user": "x"}})).await;
    let id = begun["trajectory_id"].clone();
    let step = json!({"trajectory_id": id, "step_type": "action", "description": "by the old name"});
    assert_eq!(ok(&world, Who::Alice, "log_trajectory_step", step.clone()).await, json!({"success": true}));
    ok(&world, Who::Alice, "complete_trajectory", json!({"trajectory_id": id, "status": "failure"})).await;
    let book = ok(&world, Who::Alice, "ace_create_playbook", json!({"name": "book"})).await["playbook_id"].clone();
    let (keys, path) = (world.keys(), world.path().to_owned());
    let _dir = world.close().await;
    let world = World::again(&path, Setup { seed: 2, ..Setup::default() }, keys).await;
    let whole = ok(&world, Who::Alice, "ace_get_trajectory", of(&id)).await;
    assert_eq!((&whole["status"], &whole["steps"][0]["description"]), (&json!("failure"), &json!("by the old name")));
    refused(&world, Who::Alice, "log_trajectory_step", step, PRECONDITION).await;
    assert_eq!(ok(&world, Who::Alice, "ace_get_playbook", json!({"playbook_id": book})).await["name"], "book");
    assert_eq!(world.store.check().await.expect("checked").violations, []);
    world.close().await;
}

#[tokio::test]
async fn a_trajectory_has_an_end_of_notes() {
    let world = World::with(Setup {
        tune: Box::new(|options| options.durability = nexus_lite::store::Durability::Relaxed),
        ..Setup::default()
    })
    .await;
    let id = start(&world, Who::Alice, "long").await;
    let step = json!({"trajectory_id": id, "step_type": "action", "description": "d"});
    for _ in 0..nexus_lite::service::trajectories::ops::NOTES_MAX {
        ok(&world, Who::Alice, "ace_log_trajectory_step", step.clone()).await;
    }
    refused(&world, Who::Alice, "ace_log_trajectory_step", step, PRECONDITION).await;
    world.close().await;
}
