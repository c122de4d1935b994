use serde_json::json;

use super::{AMPLE, Scene, run, walls};
use crate::harness::client::Client;

/// Replaces a directory of the copy by a link that leads out, and the other way round, until it is told to end.
const RACE: &str = r#"
import os
os.chdir(os.environ["NEXUS_MOUNT"] + "/w")
open("../../racing", "w").close()
os.symlink("CANARY", "link")
n = 0
while not os.path.exists("../../enough"):
    os.rename("dir", "aside"); os.rename("link", "dir")
    os.rename("dir", "link"); os.rename("aside", "dir")
    n += 1
print(n > 0)
"#;
/// Times that files are brought back meanwhile.
const SYNCS: usize = 40;

fn text(client: &mut Client, path: &str) -> String {
    let read = client.rpc("read", &json!({"path": path})).unwrap_or_else(|e| panic!("{path}: {e:?}"));
    crate::rpc::text_of(&read)
}

#[test]
fn a_program_works_on_a_copy_of_the_tree() {
    for walls in walls() {
        let scene = Scene::new(walls);
        let mut client = scene.client();
        for (path, body) in [("/w/in.txt", "in"), ("/w/sub/gone", "x"), ("/w/kept", "kept")] {
            client.rpc("write", &json!({"path": path, "content": body})).expect("written");
        }
        let id = scene.sandbox("work");
        let params = json!({"sandbox_id": id, "workspace": "/w"});
        let connected = client.rpc("sandbox_connect", &params).expect("connected");
        let seen = connected["mount_path"].as_str().expect("a path").to_owned();
        let code = format!(
            "import os; os.chdir('{seen}'); assert os.path.samefile('.', os.environ['NEXUS_MOUNT'])\n\
             open('w/in.txt', 'a').write(' and out'); os.remove('w/sub/gone'); os.makedirs('w/made')\n\
             open('w/made/new', 'w').write('new'); os.symlink('/etc/passwd', 'w/passwd'); print(os.listdir('.'))"
        );
        let done = scene.run(&id, "python", &code, 20.0);
        assert_eq!(done["stdout"], "['w']\n", "{walls}: {done}");
        assert_eq!(text(&mut client, "/w/in.txt"), "in", "it is a copy");
        let ended = client.rpc("sandbox_disconnect", &json!({"sandbox_id": id})).expect("disconnected");
        let changes = &ended["changes"];
        let counts =
            ["created", "updated", "deleted", "unchanged"].map(|what| changes[format!("files_{what}")].clone());
        assert_eq!(counts, [1, 1, 1, 1].map(|n| json!(n)), "{walls}: {ended}");
        assert_eq!(changes["not_taken"][0]["path"], "/w/passwd", "{ended}");
        assert_eq!(text(&mut client, "/w/in.txt"), "in and out");
        assert_eq!(text(&mut client, "/w/made/new"), "new");
        let kept = client.rpc(
            "sandbox_run",
            &json!({"sandbox_id": id, "language": "bash",
                                                     "code": "cat nexus-kept-1/w/kept; ls nexus 2>&1 | wc -l"}),
        );
        assert_eq!(kept.expect("run")["stdout"], "kept1\n");
        client.rpc("sandbox_stop", &json!({"sandbox_id": id})).expect("stopped");
    }
}

#[test]
fn a_race_with_links_brings_nothing_of_the_machine_into_the_tree() {
    for walls in walls() {
        let scene = Scene::new(walls);
        let canary = scene.dir.path().join("canary");
        std::fs::create_dir(&canary).expect("a directory");
        for name in ["file", "secret"] {
            std::fs::write(canary.join(name), "of the machine").expect("written");
        }
        let mut client = scene.client();
        client.rpc("write", &json!({"path": "/w/dir/file", "content": "of the tree"})).expect("written");
        let id = scene.sandbox("race");
        client.rpc("sandbox_connect", &json!({"sandbox_id": id, "workspace": "/w"})).expect("connected");
        let code = RACE.replace("CANARY", canary.to_str().expect("UTF-8"));
        std::thread::scope(|scope| {
            let (racer, id, code) = (scene.client(), &id, &code);
            let racing = scope.spawn(move || run(racer, id, "python", code, AMPLE));
            let began = scene.files(id).join("racing");
            while !began.exists() && !racing.is_finished() {
                client.rpc("exists", &json!({"path": "/w"})).expect("answered");
            }
            let mut refused = 0;
            for _ in 0..SYNCS {
                let synced = client.rpc("sandbox_sync", &json!({"sandbox_id": id})).expect("brought back");
                refused += synced["changes"]["not_taken"].as_array().expect("a list").len();
            }
            std::fs::write(scene.files(id).join("enough"), "").expect("written");
            let done = racing.join().expect("no panic");
            assert_eq!(done["stdout"], "True\n", "{walls}: {done}");
            assert!(refused > 0, "{walls}: a link was met");
        });
        let there = client.rpc("list", &json!({"path": "/w", "recursive": true, "details": false})).expect("listed");
        let there = there["files"].as_array().expect("files");
        let stolen: Vec<_> = there.iter().filter(|path| path.to_string().contains("secret")).collect();
        assert!(stolen.is_empty(), "{walls}: {stolen:?}");
        // The program took it away again and again, so it may be gone; what is there is what was there.
        for path in there.iter().filter_map(|path| path.as_str()).filter(|path| path.ends_with("/file")) {
            assert_eq!(text(&mut client, path), "of the tree", "{walls}");
        }
        client.rpc("sandbox_stop", &json!({"sandbox_id": id})).expect("stopped");
        assert_eq!(std::fs::read_to_string(canary.join("secret")).expect("there"), "of the machine");
    }
}
