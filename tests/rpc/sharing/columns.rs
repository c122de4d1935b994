use std::time::Duration;

use nexus_lite::model::TupleRow;
use nexus_lite::store::{Origin, Sql, StoreError, WriteOp, WriteTx, entities, tuples};
use serde_json::{Value, json};

use crate::harness::client::Failure;
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, NOT_SUPPORTED, PRECONDITION, grant, ok, read, refused, text_of, write};

const TABLE: &str = "name,age,password\nann,30,hunter2\nben,20,hunter3\n";
const PATH: &str = "/data/users.csv";
/// What nobody with column rules may ever be told.
const SECRET: &str = "hunter";
const INDETERMINATE: i64 = -32015;

fn rules() -> Value {
    json!({"hidden_columns": ["password"], "aggregations": {"age": "mean"}})
}

fn wanted(subject: Value, columns: Value) -> Value {
    json!({"subject": subject, "relation": "dynamic_viewer", "object": ["file", PATH], "column_config": columns})
}

/// `/data/users.csv` of alice.
async fn table() -> World {
    let world = World::new().await;
    write(&world, Who::Admin, PATH, TABLE).await;
    grant(&world, ("user", "alice"), "direct_owner", "/data").await;
    world
}

async fn bind(world: &World, subject: Value, columns: Value) -> String {
    let id = ok(world, Who::Alice, "rebac_create", wanted(subject, columns)).await;
    id.as_str().expect("an id").to_owned()
}

/// Every way to bytes of the file, and to where they could be had later.
fn ways() -> Vec<(&'static str, Value)> {
    vec![
        ("read", json!({"path": PATH})),
        ("read", json!({"path": PATH, "return_metadata": true})),
        ("read_bulk", json!({"paths": [PATH]})),
        ("read_range", json!({"path": PATH, "start": 0, "end": 1000})),
        ("get_version", json!({"path": PATH, "version": 1})),
        ("diff_versions", json!({"path": PATH, "v1": 1, "v2": 2, "mode": "content"})),
        ("grep", json!({"pattern": ".*", "path": PATH})),
        ("grep", json!({"pattern": ".*", "path": "/data"})),
        ("copy", json!({"src_path": PATH, "dst_path": "/bob/copy.csv"})),
        ("rename", json!({"old_path": PATH, "new_path": "/bob/moved.csv"})),
        ("rename", json!({"old_path": "/data", "new_path": "/bob/data"})),
        ("rename_bulk", json!({"renames": [[PATH, "/bob/moved.csv"]]})),
        ("delete", json!({"path": PATH})),
        ("delete_bulk", json!({"paths": [PATH, "/data"], "recursive": true})),
        ("rmdir", json!({"path": "/data", "recursive": true})),
        ("workspace_restore", json!({"workspace_path": "/data", "snapshot_number": 1})),
        ("edit", json!({"path": PATH, "edits": [{"old_str": "hunter2", "new_str": "x"}], "preview": true})),
        ("export_metadata", json!({"prefix": "/data"})),
        (
            "import_metadata",
            json!({"data": format!("{{\"path\":\"/bob/y.csv\",\"etag\":\"{}\"}}",
                                   nexus_lite::model::ContentHash::of(TABLE.as_bytes()).to_hex())}),
        ),
        ("read_with_dynamic_viewer", json!({"file_path": PATH, "subject": ["user", "bob"]})),
        ("read_with_dynamic_viewer", json!({"file_path": PATH, "subject": ["user", "alice"]})),
        ("get_dynamic_viewer_config", json!({"file_path": PATH, "subject": ["user", "bob"]})),
        ("read_bulk", json!({"paths": ["/bob/copy.csv", "/bob/moved.csv", "/bob/y.csv", "/bob/data/users.csv"]})),
        ("grep", json!({"pattern": ".*", "path": "/bob"})),
    ]
}

/// Tries every way as `who`; what he is told holds nothing that is hidden, in any form.
async fn nothing_leaks(world: &World, who: Who) {
    use base64::Engine as _;
    for (method, params) in ways() {
        let said = match world.rpc(who, method, params.clone()).await {
            Ok(answer) => answer.to_string(),
            Err(Failure { message, data, .. }) => format!("{message} {data}"),
        };
        let sent = params.to_string();
        assert!(!said.contains(SECRET) || sent.contains(SECRET), "{who:?} {method} {params}: {said}");
        for part in said.split('"').filter(|part| part.len() > 8) {
            let bytes = base64::engine::general_purpose::STANDARD.decode(part).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(SECRET), "{who:?} {method} {params}: {text}");
        }
    }
}

#[tokio::test]
async fn whoever_has_column_rules_is_shown_what_they_show_and_no_more() {
    let world = table().await;
    write(&world, Who::Alice, PATH, TABLE).await;
    write(&world, Who::Admin, "/bob/z", "z").await;
    grant(&world, ("user", "bob"), "direct_owner", "/bob").await;
    ok(&world, Who::Alice, "register_workspace", json!({"path": "/data"})).await;
    ok(&world, Who::Alice, "workspace_snapshot", json!({"workspace_path": "/data"})).await;
    let shown = "name,mean(age)\nann,25.0\nben,25.0\n";
    // Without any other right, with a right to read, and with one to write.
    bind(&world, json!(["user", "bob"]), rules()).await;
    for more in [None, Some("direct_viewer"), Some("direct_editor")] {
        if let Some(relation) = more {
            grant(&world, ("user", "bob"), relation, "/data").await;
        }
        assert_eq!(read(&world, Who::Bob, PATH).await, shown, "{more:?}");
        nothing_leaks(&world, Who::Bob).await;
        assert_eq!(read(&world, Who::Alice, PATH).await, TABLE, "{more:?}: it is where it was, and as it was");
    }
    let found = ok(&world, Who::Bob, "grep", json!({"pattern": ".*", "path": "/data"})).await;
    assert_eq!((&found["complete"], &found["reason"]), (&json!(false), &json!("files_partial")));
    assert_eq!(found["files_skipped"]["partial"], 1);
    // What is said about the file stays: that it is there.
    assert_eq!(ok(&world, Who::Bob, "exists", json!({"path": PATH})).await, json!({"exists": true}));

    let seen = ok(&world, Who::Bob, "read", json!({"path": PATH, "return_metadata": true})).await;
    let etag = nexus_lite::model::ContentHash::of(shown.as_bytes()).to_hex();
    assert_eq!((&seen["etag"], &seen["size"], &seen["version"]), (&json!(etag), &json!(shown.len()), &json!(2)));
    for who in [Who::Stranger, Who::Grace, Who::Agent, Who::OtherUser, Who::OtherAdmin] {
        refused(&world, who, "read", json!({"path": PATH}), DENIED).await;
        nothing_leaks(&world, who).await;
    }
    for who in [Who::Admin, Who::Instance, Who::Heir] {
        assert_eq!(read(&world, who, PATH).await, TABLE, "{who:?}");
    }
}

#[tokio::test]
async fn groups_everybody_and_agents_are_bound_as_well() {
    for (subject, member) in [
        (json!(["group", "staff"]), true),
        (json!(["group", "staff", "member"]), true),
        (json!(["group", "all"]), true),
        (json!(["*", "*"]), false),
    ] {
        let world = table().await;
        if member {
            for (who, group) in [(json!(["user", "grace"]), "staff"), (json!(["group", "staff", "member"]), "all")] {
                let tuple = json!({"subject": who, "relation": "member", "object": ["group", group]});
                ok(&world, Who::Admin, "rebac_create", tuple).await;
            }
        }
        grant(&world, ("user", "grace"), "direct_viewer", "/data").await;
        assert_eq!(read(&world, Who::Grace, PATH).await, TABLE);
        let id = bind(&world, subject.clone(), rules()).await;
        assert!(!read(&world, Who::Grace, PATH).await.contains(SECRET), "{subject}");
        nothing_leaks(&world, Who::Grace).await;
        let config = json!({"subject": ["user", "grace"], "file_path": PATH});
        let seen = ok(&world, Who::Grace, "get_dynamic_viewer_config", config.clone()).await;
        assert_eq!(seen["hidden_columns"], json!(["password"]), "{subject}");
        ok(&world, Who::Alice, "rebac_delete", json!({"tuple_id": id})).await;
        assert_eq!(ok(&world, Who::Alice, "get_dynamic_viewer_config", config).await, json!(null));
        assert_eq!(read(&world, Who::Grace, PATH).await, TABLE, "{subject}: its other right is as it was");
    }
    // An agent that inherits is bound by what binds its owner, and by what binds itself.
    let world = table().await;
    bind(&world, json!(["agent", "alice,Heir"]), rules()).await;
    assert_eq!(read(&world, Who::Alice, PATH).await, TABLE);
    assert!(!read(&world, Who::Heir, PATH).await.contains(SECRET));
    nothing_leaks(&world, Who::Heir).await;
    let world = table().await;
    bind(&world, json!(["user", "alice"]), rules()).await;
    for who in [Who::Alice, Who::Heir] {
        assert!(!read(&world, who, PATH).await.contains(SECRET), "{who:?}");
    }
    refused(&world, Who::Agent, "read", json!({"path": PATH}), DENIED).await;
}

#[tokio::test]
async fn several_grants_show_what_all_of_them_show() {
    let world = table().await;
    let member = json!({"subject": ["user", "bob"], "relation": "member", "object": ["group", "staff"]});
    ok(&world, Who::Admin, "rebac_create", member).await;
    bind(&world, json!(["user", "bob"]), json!({"visible_columns": ["name", "age"]})).await;
    assert_eq!(read(&world, Who::Bob, PATH).await, "name,age\nann,30\nben,20\n");
    bind(&world, json!(["group", "staff"]), rules()).await;
    assert_eq!(read(&world, Who::Bob, PATH).await, "name,mean(age)\nann,25.0\nben,25.0\n");
    let other = json!({"aggregations": {"age": "max"}, "hidden_columns": ["password"]});
    bind(&world, json!(["*", "*"]), other).await;
    assert_eq!(read(&world, Who::Bob, PATH).await, "name\nann\nben\n", "two figures of one column are none");
    // Said again, the rules of a grant are those of the last time; one that ends, ends.
    let mut none = wanted(json!(["*", "*"]), json!({"visible_columns": ["password"]}));
    none["expires_at"] = json!("2026-01-02T03:05:05Z");
    ok(&world, Who::Alice, "rebac_create", none).await;
    let left = refused(&world, Who::Bob, "read", json!({"path": PATH}), PRECONDITION).await;
    assert!(left.message.contains("no column is left"), "{}", left.message);
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(read(&world, Who::Bob, PATH).await, "name,mean(age)\nann,25.0\nben,25.0\n");
}

#[tokio::test]
async fn a_table_that_the_rules_do_not_fit_is_not_shown() {
    let world = table().await;
    grant(&world, ("user", "bob"), "direct_viewer", "/data").await;
    bind(&world, json!(["user", "bob"]), rules()).await;
    for other in [
        "name,age,passwd\nann,30,hunter2\n",
        "name;age;password\nann;30;hunter2\n",
        "name,age,password\nann,30\nhunter2,1,2,3\n",
        "name,age,password\nann,\"30,hunter2\n",
        "name,age,password\nann,hunter2,30\n",
        "name,age,password,password\nann,1,2,hunter2\n",
        "",
    ] {
        write(&world, Who::Alice, PATH, other).await;
        for (method, params) in [
            ("read", json!({"path": PATH})),
            ("read_with_dynamic_viewer", json!({"file_path": PATH, "subject": ["user", "bob"]})),
        ] {
            let failure = refused(&world, Who::Bob, method, params, PRECONDITION).await;
            assert!(!failure.message.contains(SECRET), "{}", failure.message);
        }
        nothing_leaks(&world, Who::Bob).await;
    }
    let latin = json!({"path": PATH, "content": {"__type__": "bytes", "data": "bmFtZSxhZ2UscGFzc3dvcmQK6Swx/GYK"}});
    ok(&world, Who::Alice, "write", latin).await;
    refused(&world, Who::Bob, "read", json!({"path": PATH}), PRECONDITION).await;
    write(&world, Who::Alice, PATH, TABLE).await;
    assert!(read(&world, Who::Bob, PATH).await.starts_with("name,mean(age)\n"), "it fits again");
    // Under another name it is the same table.
    ok(&world, Who::Alice, "rename", json!({"old_path": PATH, "new_path": "/data/users.txt"})).await;
    assert!(!read(&world, Who::Bob, "/data/users.txt").await.contains(SECRET));
}

/// Puts a grant there whose rules cannot be read.
struct Corrupt(Option<String>);

impl WriteOp for Corrupt {
    const NAME: &'static str = "test_corrupt";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let object = entities::intern(tx, "default", "file", PATH)?;
        let subject = entities::intern(tx, "default", "user", "bob")?;
        let tuple = TupleRow {
            tuple_id: "corrupt".into(),
            object,
            relation: "dynamic_viewer".into(),
            subject,
            subject_relation: None,
            created_at_us: tx.now_us(),
            expires_at_us: None,
            condition: self.0.clone(),
            created_by: "test".into(),
            rev: 0,
        };
        tuples::put(tx, tuple).map(|_| ())
    }
    fn bytes(&self) -> usize {
        1
    }
}

#[tokio::test]
async fn rules_that_cannot_be_read_show_nothing() {
    let world = table().await;
    grant(&world, ("user", "bob"), "direct_viewer", "/data").await;
    for condition in [
        None,
        Some("{"),
        Some("{}"),
        Some("null"),
        Some(r#"{"type":"dynamic_viewer"}"#),
        Some(r#"{"type":"dynamic_viewer","column_config":{"hide":["password"]}}"#),
        Some(r#"{"type":"other","column_config":{"hidden_columns":["password"]}}"#),
    ] {
        let op = Corrupt(condition.map(str::to_owned));
        world.store.submit(Origin::system("corrupt"), op).await.expect("stored");
        refused(&world, Who::Bob, "read", json!({"path": PATH}), INDETERMINATE).await;
        nothing_leaks(&world, Who::Bob).await;
    }
}

#[tokio::test]
async fn rules_are_checked_before_they_are_kept() {
    let world = table().await;
    write(&world, Who::Alice, "/data/notes.txt", "notes").await;
    let with = |more: Value| {
        let mut params = wanted(json!(["user", "bob"]), rules());
        for (key, value) in more.as_object().expect("parameters") {
            params[key] = value.clone();
        }
        params
    };
    for wrong in [
        json!({"column_config": null}),
        json!({"column_config": []}),
        json!({"column_config": {"hidden_columns": ["password"], "visible_columns": ["password"]}}),
        json!({"column_config": {"aggregations": {"age": "guess"}}}),
        json!({"column_config": {"hidden_columns": ["salary"]}}),
        json!({"column_config": {"hide": ["password"]}}),
        json!({"relation": "direct_viewer"}),
        json!({"object": ["file", "/data/notes.txt"]}),
        json!({"object": ["file", "/data"]}),
        json!({"object": ["skill", "users.csv"]}),
    ] {
        refused(&world, Who::Alice, "rebac_create", with(wrong), INVALID_PARAMS).await;
    }
    for who in [Who::Bob, Who::Agent, Who::Stranger, Who::OtherAdmin] {
        refused(&world, who, "rebac_create", with(json!({})), DENIED).await;
    }
    // On a file that is not there yet nothing can be compared.
    let later = with(json!({"object": ["file", "/data/later.CSV"], "column_config": {"hidden_columns": ["salary"]}}));
    ok(&world, Who::Alice, "rebac_create", later).await;
    write(&world, Who::Alice, "/data/later.CSV", "name,salary\nann,1\n").await;
    assert_eq!(read(&world, Who::Bob, "/data/later.CSV").await, "name\nann\n");
}

#[tokio::test]
async fn a_table_is_read_as_somebody_is_shown_it() {
    let world = table().await;
    bind(&world, json!(["user", "bob"]), rules()).await;
    let of = |who: &str| json!({"file_path": PATH, "subject": ["user", who]});
    for who in [Who::Bob, Who::Alice, Who::Heir, Who::Admin] {
        let shown = ok(&world, who, "read_with_dynamic_viewer", of("bob")).await;
        assert_eq!(text_of(&shown["content"]), "name,mean(age)\nann,25.0\nben,25.0\n", "{who:?}");
        assert_eq!((&shown["is_filtered"], &shown["aggregations"]), (&json!(true), &json!({"age": {"mean": 25.0}})));
        assert_eq!(shown["config"]["hidden_columns"], json!(["password"]));
        assert_eq!((&shown["columns_shown"], &shown["aggregated_columns"]), (&json!(["name"]), &json!(["mean(age)"])));
        assert_eq!(
            ok(&world, who, "get_dynamic_viewer_config", of("bob")).await["aggregations"],
            json!({"age": "mean"})
        );
    }
    let whole = ok(&world, Who::Alice, "read_with_dynamic_viewer", of("alice")).await;
    assert_eq!((text_of(&whole["content"]).as_str(), &whole["is_filtered"]), (TABLE, &json!(false)));
    // Somebody who may not read it is shown nothing, whoever asks.
    for who in [Who::Alice, Who::Admin] {
        refused(&world, who, "read_with_dynamic_viewer", of("edith"), DENIED).await;
        assert_eq!(ok(&world, who, "get_dynamic_viewer_config", of("edith")).await, json!(null));
    }
    for who in [Who::Grace, Who::Stranger, Who::Agent, Who::OtherUser] {
        for method in ["read_with_dynamic_viewer", "get_dynamic_viewer_config"] {
            refused(&world, who, method, of("bob"), DENIED).await;
        }
    }
    // Who manages the file and is bound himself does not read it through others.
    bind(&world, json!(["user", "alice"]), json!({"visible_columns": ["age"]})).await;
    grant(&world, ("user", "edith"), "direct_viewer", "/data").await;
    let through = ok(&world, Who::Alice, "read_with_dynamic_viewer", of("edith")).await;
    assert_eq!(text_of(&through["content"]), "age\n30\n20\n");
}

#[tokio::test]
async fn rules_are_tried_on_a_text() {
    let world = World::new().await;
    let data = json!({"data": TABLE, "column_config": rules()});
    let shown = ok(&world, Who::Stranger, "apply_dynamic_viewer_filter", data).await;
    let wanted = json!({"filtered_data": "name,mean(age)\nann,25.0\nben,25.0\n", "aggregations": {"age": {"mean": 25.0}},
                        "columns_shown": ["name"], "aggregated_columns": ["mean(age)"]});
    assert_eq!(shown, wanted);
    let missing = json!({"data": "a,b\n", "column_config": {"hidden_columns": ["c"]}});
    refused(&world, Who::Stranger, "apply_dynamic_viewer_filter", missing, INVALID_PARAMS).await;
    let other = json!({"data": "{}", "column_config": {}, "file_format": "json"});
    refused(&world, Who::Stranger, "apply_dynamic_viewer_filter", other, NOT_SUPPORTED).await;
}
