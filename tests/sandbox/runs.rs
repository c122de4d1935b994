use std::io::Write as _;
use std::process::Stdio;

use nexus_lite::cli::load::wire::{call_bytes, request};
use serde_json::json;

use super::{HOLDS_ON, Scene, run, walls};
use crate::harness::client::Client;
use crate::harness::process::program;

#[test]
fn a_program_answers_with_what_it_did() {
    for walls in walls() {
        let scene = Scene::new(walls);
        let id = scene.sandbox("work");
        let status = scene.client().rpc("sandbox_status", &json!({"sandbox_id": id})).expect("there");
        let capabilities = &status["capabilities"];
        assert_eq!((&capabilities["run"], &capabilities["walls"]), (&json!(true), &json!(walls)), "{status}");
        let done = scene.run(&id, "bash", "echo out; echo err >&2; echo kept > file; cat; exit 3", 10.0);
        assert_eq!((&done["stdout"], &done["stderr"]), (&json!("out\n"), &json!("err\n")), "{done}");
        assert_eq!((&done["exit_code"], &done["ended"]), (&json!(3), &json!("exited")), "{done}");
        assert!(done["execution_time"].as_f64().is_some_and(|seconds| seconds > 0.0), "{done}");
        for (language, code) in [
            ("python", "import json, tempfile\nprint(open('file').read().strip(), tempfile.mkdtemp() != '')"),
            ("javascript", "console.log(require('fs').readFileSync('file', 'utf8').trim(), true)"),
            ("sh", "cat file | tr -d '\\n'; echo ' true' | sed s/true/true/"),
        ] {
            if language == "javascript" && !scene.speaks(language) {
                continue;
            }
            let done = scene.run(&id, language, code, 20.0);
            assert!(
                done["stdout"].as_str().is_some_and(|out| out.to_lowercase() == "kept true\n"),
                "{language}: {done}"
            );
        }
        let killed = scene.run(&id, "bash", "kill -9 $$", 10.0);
        assert_eq!((&killed["exit_code"], &killed["ended"]), (&json!(137), &json!("exited")), "{killed}");
        let params = json!({"sandbox_id": id, "language": "bash", "code": "echo $NEXUS_URL $NEXUS_API_KEY",
                            "nexus_url": "http://here", "nexus_api_key": "sk-x"});
        assert_eq!(scene.client().rpc("sandbox_run", &params).expect("run")["stdout"], "http://here sk-x\n");
        assert!(
            std::fs::read_dir(scene.files(&id))
                .expect("there")
                .flatten()
                .all(|entry| { !entry.file_name().to_string_lossy().starts_with(".run-") })
        );
        for (language, code, seconds) in [("cobol", "x", 1.0), ("bash", "x", 0.0), ("bash", "x", 1e9)] {
            assert_eq!(scene.try_run(&id, language, code, seconds).expect_err("refused").code, -32602);
        }
        scene.client().rpc("sandbox_pause", &json!({"sandbox_id": id})).expect("paused");
        assert_eq!(scene.try_run(&id, "bash", "true", 1.0).expect_err("paused").code, -32021);
    }
}

#[test]
fn what_came_of_a_run_ends_with_it_with_its_sandbox_and_with_who_asked() {
    for walls in walls() {
        let mut scene = Scene::new(walls);
        // The program ends, its children do not.
        let id = scene.sandbox("background");
        let pipe = scene.pipe(&id);
        scene.run(&id, "bash", "exec 7>pipe; sleep 1000 & (sleep 1000 &) ; printf x >&7; exit 0", 20.0);
        pipe.wait();
        pipe.wait_for_the_end();

        // Whoever asked hangs up.
        let id = scene.sandbox("hang-up");
        let pipe = scene.pipe(&id);
        let params = json!({"sandbox_id": id, "language": "bash", "code": HOLDS_ON});
        let mut connection = std::net::TcpStream::connect(scene.server.address()).expect("connected");
        connection.write_all(&call_bytes(1, Some(&scene.key), None, "sandbox_run", &params)).expect("sent");
        pipe.wait();
        drop(connection);
        pipe.wait_for_the_end();

        // It is stopped.
        let id = scene.sandbox("stop");
        let pipe = scene.pipe(&id);
        let client = scene.client();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| run(client, &id, "bash", HOLDS_ON, 100.0));
            pipe.wait();
            scene.client().rpc("sandbox_stop", &json!({"sandbox_id": id})).expect("stopped");
            pipe.wait_for_the_end();
            assert_eq!(running.join().expect("answered")["ended"], "cancelled");
        });

        // The server is killed.
        let id = scene.sandbox("kill");
        let pipe = scene.pipe(&id);
        let params = json!({"sandbox_id": id, "language": "bash", "code": HOLDS_ON});
        let (address, key) = (scene.server.address(), scene.key.clone());
        let asking = std::thread::spawn(move || Client::new(address, Some(&key)).call("sandbox_run", &params).is_ok());
        pipe.wait();
        scene.server.kill();
        pipe.wait_for_the_end();
        assert!(!asking.join().expect("no panic"), "nobody answered");
    }
}

#[test]
fn others_run_nothing_in_it_and_the_log_knows_who_did() {
    let scene = Scene::new("auto");
    let id = scene.sandbox("mine");
    let mut admin = scene.client();
    let made = admin.rpc("admin_create_key", &json!({"user_id": "mallory", "name": "m"})).expect("a key");
    let mut mallory = Client::new(scene.server.address(), made["api_key"].as_str());
    let params = json!({"sandbox_id": id, "language": "bash", "code": "touch stolen"});
    assert_eq!(mallory.rpc("sandbox_run", &params).expect_err("not hers").code, -32000);
    assert!(!scene.files(&id).join("stolen").exists());
    scene.run(&id, "bash", "true", 10.0);
    let rows = admin.rpc("admin_audit_query", &json!({"limit": 20})).expect("the log").to_string();
    assert!(rows.contains("sandbox_begin_run") && rows.contains("sandbox_end_run"), "{rows}");
    let metrics = String::from_utf8(admin.get("/metrics").expect("metrics").body).expect("text");
    assert!(metrics.contains("sandbox_runs_total{ended=\"exited\"} 1"), "{metrics}");
}

#[test]
fn a_run_that_is_asked_for_again_with_its_key_is_not_run_again() {
    let scene = Scene::new("auto");
    let id = scene.sandbox("once");
    let code = "echo x >> file; wc -l < file";
    let mut client = scene.client();
    let mut ask = |key: Option<&str>| {
        let params = json!({"sandbox_id": id, "language": "bash", "code": code});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "sandbox_run", "params": params}).to_string();
        let bearer = format!("Bearer {}", scene.key);
        let mut headers = vec![("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        headers.extend(key.map(|key| ("Idempotency-Key", key)));
        let answer = client.exchange(&request("POST", "/api/nfs/sandbox_run", &headers, body.as_bytes()));
        answer.expect("answered").rpc().expect("run")
    };
    let first = ask(Some("one"));
    assert_eq!(first["stdout"], "1\n");
    assert_eq!(ask(Some("one")), first, "the answer of the first");
    assert_eq!(ask(None)["stdout"], "2\n", "the second to run");
}

/// What the program says on the command line: exit code, output, errors.
fn says(scene: &Scene, args: &[&str]) -> (Option<i32>, String, String) {
    let url = format!("http://{}", scene.server.address());
    let mut command = program("");
    command.args(["sandbox", "--url", &url, "--key", &scene.key]).args(args).stdin(Stdio::null());
    let output = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Connects to an address that everybody can be reached at, in Python.
const CONNECTS: &str = "import socket; socket.create_connection(('ADDRESS', PORT), 5); print('connected')";

#[test]
fn of_a_program_in_the_first_hour() {
    for walls in walls() {
        let scene = Scene::new(walls);
        let printed = says(&scene, &["run", "--", "python3", "-c", "print(1)"]);
        assert_eq!(printed, (Some(0), "1\n".to_owned(), String::new()), "{walls}");
        let own = scene.server.address();
        for (address, port) in [("127.0.0.1", own.port()), ("192.0.2.1", 80)] {
            let code = CONNECTS.replace("ADDRESS", address).replace("PORT", &port.to_string());
            let (code, out, err) = says(&scene, &["run", "--", "python3", "-c", &code]);
            assert!(code == Some(1) && out.is_empty() && err.contains("Error"), "{walls}: {code:?} {out} {err}");
        }
        for path in ["/etc/shadow", "/etc/passwd"] {
            let (code, out, err) = says(&scene, &["run", "--", "cat", path]);
            assert!(code == Some(1) && out.is_empty() && err.contains(path), "{walls}: {code:?} {out} {err}");
        }
    }
    let (code, out, err) = says(&Scene::new("none"), &["run", "--", "python3", "-c", "print(1)"]);
    assert!(code.is_some_and(|code| code != 0) && out.is_empty(), "{code:?} {out}");
    assert!(err.contains("bubblewrap is not installed") && err.contains("doctor"), "{err}");
}

#[test]
fn the_command_line_runs_a_command() {
    let scene = Scene::new("auto");
    let run = |args: &[&str]| says(&scene, args);
    let (code, out, err) = run(&["run", "--", "python3", "-c", "print(1); print('it''s')"]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "1\nits\n", ""));
    let (code, out, _) = run(&["run", "--", "cat", "/etc/shadow"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let (code, out, _) = run(&["run", "--name", "kept", "--language", "bash", "--", "echo $((6 * 7)); exit 4"]);
    assert_eq!((code, out.as_str()), (Some(4), "42\n"));
    let (code, out, _) = run(&["list"]);
    assert!(code == Some(0) && out.contains("kept") && out.lines().count() == 2, "{out}");
    let (code, out, err) = run(&["stop", "kept"]);
    assert!(code == Some(0) && out.contains("is stopped"), "{out} {err}");
    assert!(run(&["list"]).1.contains("no sandboxes"));
}

#[test]
fn the_command_line_works_on_files_of_the_tree() {
    let scene = Scene::new("auto");
    let mut client = scene.client();
    let mut write = |path: &str, body: &str| {
        client.rpc("write", &json!({"path": path, "content": body})).expect("written");
    };
    write("/w/in", "1");
    write("/w/old", "x");
    let run = |args: &[&str]| says(&scene, args);
    let script = "cd $NEXUS_MOUNT/w && cat in && echo 2 > out && rm old";
    let (code, out, err) = run(&["run", "--workspace", "/w", "--language", "bash", "--", script]);
    assert_eq!((code, out.as_str()), (Some(0), "1"), "{err}");
    assert_eq!(err, "brought back: 1 new, 0 changed, 1 removed\n");
    assert!(run(&["list"]).1.contains("no sandboxes"), "the one that was made for it is gone");

    let (code, out, err) = run(&["connect", "box", "/w"]);
    assert!(code == Some(0) && out.starts_with("2 files of /w"), "{out} {err}");
    let script = "cd $NEXUS_MOUNT/w && echo mine > in && ln -s in link";
    assert_eq!(run(&["run", "--name", "box", "--language", "bash", "--", script]).0, Some(0));
    write("/w/in", "theirs");
    let (code, out, _) = run(&["sync", "box"]);
    assert!(code == Some(1) && out.contains("conflict: /w/in: ") && out.contains("not taken: /w/link: "), "{out}");
    let (code, out, _) = run(&["disconnect", "box"]);
    assert!(code == Some(1) && out.contains("conflict: /w/in: "), "{out}");
    let (code, _, err) = run(&["sync", "box"]);
    assert!(code != Some(0) && err.contains("not connected"), "{err}");
    assert_eq!(run(&["stop", "box"]).0, Some(0));

    // What cannot come back is not thrown away with the sandbox.
    let script = "cd $NEXUS_MOUNT/w && ln -s in link";
    let (code, _, err) = run(&["run", "--workspace", "/w", "--language", "bash", "--", script]);
    assert!(code == Some(1) && err.contains("is kept"), "{err}");
    assert!(run(&["list"]).1.contains("run-"));
}
