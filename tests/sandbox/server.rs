use std::collections::BTreeSet;

use nexus_lite::rpc::registry::METHODS;
use serde_json::{Value, json};

use super::{AMPLE, Scene, run, walls};
use crate::harness::client::{Client, LIVENESS};

/// How a program asks the server, in Python.
const ASK: &str = r#"
import http.client, json, os, socket
KEY = os.environ.get("NEXUS_API_KEY", "")
class Server(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ["NEXUS_SOCKET"])
def ask(verb, path, body=None, key=KEY, **more):
    server = Server("localhost", timeout=25)
    headers = {"Authorization": "Bearer " + key} if key else {}
    server.request(verb, path, body, {**headers, **{name.replace("_", "-"): value for name, value in more.items()}})
    answer = server.getresponse()
    return answer.status, answer.read()
def call(method, key=KEY, **params):
    status, body = ask("POST", "/api/nfs/" + method, json.dumps({"params": params}), key)
    return json.loads(body)
def code(method, **params):
    return call(method, **params).get("error", {}).get("code", 0)
def show(**what): print(json.dumps(what))
"#;

/// The lines of a program that asks the server with [`ASK`], one object.
fn told(answer: &Value) -> Value {
    let mut all = serde_json::Map::new();
    for line in answer["stdout"].as_str().expect("text").lines() {
        let Ok(Value::Object(line)) = serde_json::from_str(line) else { panic!("{line}: {answer:.3000}") };
        all.extend(line);
    }
    assert_eq!(answer["exit_code"], 0, "{answer:.3000}");
    all.into()
}

fn asking(program: &str) -> String {
    format!("{ASK}\n{program}")
}

/// Whether programs see the server's socket behind these walls.
fn is_shown(walls: &str) -> bool {
    walls == "bubblewrap"
}

/// The walls that show it, which may be none.
fn showing() -> Option<Scene> {
    walls().into_iter().find(|walls| is_shown(walls)).map(Scene::new)
}

fn key_of(scene: &Scene, user: &str) -> Value {
    scene.client().rpc("admin_create_key", &json!({"user_id": user, "name": "k"})).expect("a key")
}

/// Alice with her key, who may write below `/a`; `/a/seen` is there for her, `/b/secret` is not.
fn alice(scene: &Scene) -> Client {
    let mut admin = scene.client();
    for (path, body) in [("/a/seen", "for alice"), ("/b/secret", "not for alice")] {
        admin.rpc("write", &json!({"path": path, "content": body})).expect("written");
    }
    let grant = json!({"subject": ["user", "alice"], "relation": "direct_owner", "object": ["file", "/a"]});
    admin.rpc("rebac_create", &grant).expect("granted");
    Client::new(scene.server.address(), key_of(scene, "alice")["api_key"].as_str())
}

fn sandbox(client: &mut Client, name: &str) -> Value {
    client.rpc("sandbox_get_or_create", &json!({"name": name})).expect("made")
}

#[test]
fn a_program_works_in_the_tree_with_the_rights_of_who_runs_it() {
    let Some(scene) = showing() else { return };
    let mut alice = alice(&scene);
    let made = sandbox(&mut alice, "work");
    assert_eq!(made["capabilities"]["server"], true, "{made}");
    let id = made["sandbox_id"].as_str().expect("an id");
    let program = asking(
        r#"
import base64
show(read=base64.b64decode(call("read", path="/a/seen")["result"]["data"]).decode())
show(written=code("write", path="/a/made", content="by a program"))
show(put=ask("PUT", "/files/a/raw", b"x" * (1 << 20))[0], got=len(ask("GET", "/files/a/raw")[1]))
show(secret=code("read", path="/b/secret"), foreign=code("write", path="/b/made", content="x"))
show(raw_secret=ask("GET", "/files/b/secret")[0])
found = ask("POST", "/api/nfs/grep", json.dumps({"params": {"pattern": "alice", "path": "/"}}))[1].decode()
show(seen="/a/seen" in found, unseen="secret" in found)
"#,
    );
    let params = json!({"sandbox_id": id, "language": "python", "code": program, "timeout": 25.0});
    let done = told(&alice.rpc("sandbox_run", &params).expect("run"));
    let wanted = json!({
        "read": "for alice", "written": 0, "put": 201, "got": 1 << 20, "secret": -32004, "foreign": -32004,
        "raw_secret": 403, "seen": true, "unseen": false,
    });
    assert_eq!(done, wanted);
    let written = alice.rpc("read", &json!({"path": "/a/made"})).expect("hers");
    assert_eq!(crate::rpc::text_of(&written), "by a program");
    let info = alice.rpc("get_metadata", &json!({"path": "/a/made"})).expect("hers");
    assert!(info.to_string().contains("alice"), "written by whoever ran the program: {info}");
    let rows =
        scene.client().rpc("admin_audit_query", &json!({"op": "write", "actor": "user:alice"})).expect("the audit");
    assert!(rows.to_string().contains("\"sandbox:"), "the audit tells that it was a program: {rows}");
}

#[test]
fn a_program_is_never_an_admin_and_calls_only_what_is_for_programs() {
    let Some(scene) = showing() else { return };
    drop(alice(&scene));
    let mallory = key_of(&scene, "mallory");
    let mut mallory = Client::new(scene.server.address(), mallory["api_key"].as_str());
    mallory.rpc("mkdir", &json!({"path": "/workspace/mallory", "parents": true})).expect_err("no right to");
    let id = scene.sandbox("admin");
    let names: Vec<_> = METHODS.iter().map(|entry| entry.name).collect();
    let grant = json!({"subject": ["user", "bob"], "relation": "direct_owner", "object": ["file", "/hers"]});
    let mut admin = scene.client();
    admin.rpc("write", &json!({"path": "/hers/file", "content": "bob's"})).expect("written");
    admin.rpc("rebac_create", &grant).expect("granted");
    let bob = key_of(&scene, "bob");
    let mut bob = Client::new(scene.server.address(), bob["api_key"].as_str());
    bob.rpc("write", &json!({"path": "/hers/own", "content": "bob's own"})).expect("his");
    admin.rpc("read", &json!({"path": "/hers/own"})).expect("an admin reads everything");
    let program = asking(&format!(
        r#"
show(others=code("read", path="/hers/own"), health=ask("GET", "/health")[0])
for path in ["/ready", "/metrics", "/docs", "/openapi.json", "/api/subscriptions", "/api/auth/whoami", "/api/events", "/api/nfs/status"]:
    status = ask("GET", path)[0]
    if status not in (404, 405): show(**{{path: status}})
refused = "programs in sandboxes cannot call"
show(open=[name for name in {names:?} if refused not in json.dumps(call(name))])
show(unknown=code("no_such_method"))
"#
    ));
    let done = told(&scene.run(&id, "python", &program, AMPLE));
    let open: BTreeSet<&str> =
        done["open"].as_array().expect("a list").iter().map(|name| name.as_str().expect("a name")).collect();
    for name in ["list", "read", "write", "grep", "workspace_snapshot", "query_memories", "skills_list"] {
        assert!(open.contains(name), "{name}: {open:?}");
    }
    for (name, forbidden) in [
        ("sandbox_run", "sandbox_"),
        ("admin_create_key", "admin_"),
        ("register_agent", "register_"),
        ("rebac_create", "rebac_c"),
        ("add_mount", "_mount"),
        ("share_with_user", "share"),
        ("provision_user", "provision"),
    ] {
        let found: Vec<_> =
            open.iter().filter(|open| open.contains(forbidden) && !open.starts_with("rebac_check")).collect();
        assert!(!open.contains(name) && found.is_empty(), "{found:?}");
    }
    let rest = (&done["others"], &done["health"], &done["unknown"]);
    assert_eq!(rest, (&json!(-32004), &json!(404), &json!(-32601)), "{done}");
    assert_eq!(done.as_object().expect("an object").len(), 4, "only these were answered: {done}");
}

#[test]
fn the_key_of_a_program_opens_nothing_else_and_ends_with_it() {
    let Some(scene) = showing() else { return };
    let made = key_of(&scene, "carol");
    let carols = made["api_key"].as_str().expect("a key").to_owned();
    let mut carol = Client::new(scene.server.address(), Some(&carols));
    let id = sandbox(&mut carol, "work")["sandbox_id"].as_str().expect("an id").to_owned();
    let pipe = scene.pipe(&id);
    let program = asking(&format!(
        r#"
import time
status = lambda key, **more: ask("POST", "/api/nfs/exists", json.dumps({{"params": {{"path": "/"}}}}), key, **more)[0]
show(own=status(KEY), none=status(""), callers=status("{carols}"), demo=status("{demo}"), agent=status(KEY, X_Agent_ID="x"))
open("key", "w").write(KEY)
open("pipe", "w").write("x")
while not os.path.exists("go"): time.sleep(0.01)
show(revoked=status(KEY), leaked=KEY == "{carols}")
"#,
        demo = nexus_lite::auth::DEMO_KEY,
    ));
    let done = std::thread::scope(|scope| {
        let params = json!({"sandbox_id": id, "language": "python", "code": program, "timeout": 25.0});
        let running = scope.spawn(move || carol.rpc("sandbox_run", &params));
        pipe.wait();
        let pass = std::fs::read_to_string(scene.files(&id).join("key")).expect("a key");
        let mut outside = Client::new(scene.server.address(), Some(&pass));
        assert_eq!(outside.rpc("exists", &json!({"path": "/"})).expect_err("not from outside").code, 401);
        let revoke = json!({"key_id": made["key_id"]});
        scene.client().rpc("admin_revoke_key", &revoke).expect("revoked");
        std::fs::write(scene.files(&id).join("go"), "").expect("written");
        running.join().expect("no panic")
    });
    // Whoever ran it has lost the right to be answered; what the program saw is in its own files no more.
    assert!(done.is_err(), "{done:?}");
    pipe.wait_for_the_end();

    let mut dave = Client::new(scene.server.address(), key_of(&scene, "dave")["api_key"].as_str());
    let id = sandbox(&mut dave, "work")["sandbox_id"].as_str().expect("an id").to_owned();
    let mut go = |program: &str| {
        let params = json!({"sandbox_id": id, "language": "python", "code": asking(program), "timeout": 25.0});
        told(&dave.rpc("sandbox_run", &params).expect("run"))
    };
    let first = go(
        "open('old', 'w').write(KEY)\nshow(own=ask('POST', '/api/nfs/exists', '{\"params\": {\"path\": \"/\"}}')[0])",
    );
    assert_eq!(first, json!({"own": 200}));
    let second =
        go("old = open('old').read()\nshow(same=old == KEY, old=ask('POST', '/api/nfs/exists', '{}', old)[0])");
    assert_eq!(second, json!({"same": false, "old": 401}), "a key ends with its program");
}

/// What README shows.
const WITH_CURL: &str =
    r#"curl -sS --unix-socket $NEXUS_SOCKET $NEXUS_URL/files/a/seen -H "Authorization: Bearer $NEXUS_API_KEY""#;

#[test]
fn curl_and_node_find_the_server_by_their_environment() {
    let Some(scene) = showing() else { return };
    let mut alice = alice(&scene);
    let id = sandbox(&mut alice, "tools")["sandbox_id"].as_str().expect("an id").to_owned();
    let node = "const read = require('http').get({socketPath: process.env.NEXUS_SOCKET, path: '/files/a/seen', \
                headers: {Authorization: 'Bearer ' + process.env.NEXUS_API_KEY}}, a => a.pipe(process.stdout))";
    for (tool, language, program) in [("curl", "bash", WITH_CURL), ("node", "javascript", node)] {
        if !std::path::Path::new("/usr/bin").join(tool).exists() {
            continue;
        }
        let params = json!({"sandbox_id": id, "language": language, "code": program, "timeout": 25.0});
        let done = alice.rpc("sandbox_run", &params).expect("run");
        assert_eq!(done["stdout"], "for alice", "{done}");
    }
}

#[test]
fn an_agents_program_has_the_agents_rights() {
    let Some(scene) = showing() else { return };
    let mut alice = alice(&scene);
    let params = json!({"agent_id": "alice,robot", "name": "robot", "inherit_permissions": false});
    alice.rpc("register_agent", &params).expect("registered");
    let mut robot = alice.acting_as(Some("alice,robot"));
    let id = sandbox(&mut robot, "robots")["sandbox_id"].as_str().expect("an id").to_owned();
    let program = asking(
        "seen = lambda agent: json.loads(ask('POST', '/api/nfs/read', '{\"params\": {\"path\": \"/a/seen\"}}', \
         X_Agent_ID=agent)[1])\nshow(read=code('read', path='/a/seen'), named=seen('alice,robot')['error']['code'])",
    );
    let params = json!({"sandbox_id": id, "language": "python", "code": program, "timeout": 25.0});
    let done = told(&robot.rpc("sandbox_run", &params).expect("run"));
    assert_eq!(done, json!({"read": -32004, "named": -32004}), "alice may read it, her agent may not");
}

#[test]
fn no_other_socket_can_be_reached() {
    for walls in walls() {
        let scene = Scene::new(walls);
        let id = scene.sandbox("sockets");
        let near = scene.dir.path().join("near.sock");
        let named = std::os::unix::net::UnixListener::bind(&near).expect("a socket");
        let inside = std::os::unix::net::UnixListener::bind(scene.files(&id).join("inside.sock")).expect("a socket");
        use std::os::linux::net::SocketAddrExt as _;
        let name = format!("nexus-lite-{}", scene.server.id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
        let hidden = std::os::unix::net::UnixListener::bind_addr(&address).expect("a socket");
        let program = format!(
            r#"
import os, socket
reached = []
for path in ["{near}", "\0{name}", "/run/dbus/system_bus_socket", "/run/../{near}", "/proc/self/root{near}"]:
    try:
        s = socket.socket(socket.AF_UNIX); s.connect(path); reached.append(path)
    except OSError: pass
for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    try:
        socket.socket(socket.AF_UNIX, kind); reached.append(str(kind))
    except OSError: pass
try:
    s = socket.socket(socket.AF_UNIX); s.bind("own.sock"); reached.append("bound")
except OSError: pass
print(reached, sorted(name for name in os.environ if name.startswith("NEXUS") and name != "NEXUS_MOUNT"))
try: print([name for name in os.listdir("/run") if name != "nexus.sock"])
except OSError: print([])
"#,
            near = near.display(),
        );
        let done = scene.run(&id, "python", &program, 20.0);
        let wanted = match is_shown(walls) {
            true => "[] ['NEXUS_API_KEY', 'NEXUS_SOCKET', 'NEXUS_URL']\n[]\n",
            false => "[] []\n[]\n",
        };
        assert_eq!(done["stdout"], wanted, "{walls}: {done}");
        let status = scene.client().rpc("sandbox_status", &json!({"sandbox_id": id})).expect("there");
        assert_eq!(status["capabilities"]["server"], is_shown(walls), "{status}");
        drop((named, inside, hidden));
    }
}

/// Connections that say nothing, and requests that never end, from many processes; then one that asks.
const CROWD: &str = r#"
import time
pipe = open("pipe", "w")
held = []
def crowd():
    try:
        while len(held) < 2000:
            s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(os.environ["NEXUS_SOCKET"])
            s.sendall(b"POST /api/nfs/write HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16000000\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n\r\n" + b"x" * 70000)
            held.append(s)
    except OSError: pass
for n in range(8):
    if os.fork() == 0:
        crowd(); pipe.write("x"); pipe.flush(); time.sleep(100)
time.sleep(100)
"#;

#[test]
fn a_crowd_of_connections_hinders_nobody_outside() {
    let Some(scene) = showing() else { return };
    let id = scene.sandbox("crowd");
    let pipe = scene.pipe(&id);
    let other = scene.sandbox("other");
    std::thread::scope(|scope| {
        let (client, id) = (scene.client(), &id);
        let running = scope.spawn(move || run(client, id, "python", &asking(CROWD), 60.0));
        pipe.wait();
        let mut outside = scene.client();
        for n in 0..100 {
            let path = format!("/crowded/{n}");
            outside.rpc("write", &json!({"path": path, "content": "x"})).expect("written");
            assert_eq!(outside.rpc("exists", &json!({"path": path})).expect("answered")["exists"], true);
        }
        outside.rpc("sandbox_stop", &json!({"sandbox_id": id})).expect("stopped");
        assert_eq!(running.join().expect("no panic")["ended"], "cancelled");
    });
    let ask = asking("show(list=code('list', path='/'))");
    let done = run(scene.client(), &other, "python", &ask, LIVENESS.as_secs_f64());
    assert_eq!(told(&done), json!({"list": 0}), "and others are served again");
}
