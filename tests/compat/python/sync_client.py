"""Every operation of the synchronous client, each proven by a second call."""

import asyncio
import base64
import io
import os
import uuid
import zipfile
from datetime import UTC, datetime, timedelta

from nexus_client import RemoteNexusFS
from nexus_client.client import RemoteMemory
from nexus_client.exceptions import (
    ConflictError,
    InvalidPathError,
    NexusError,
    NexusFileNotFoundError,
    NexusPermissionError,
    ValidationError,
)
from proof import Ledger, connection, raises

URL, KEY, HOST_DIR = connection()
ledger = Ledger("sync_client")
ledger.listen(RemoteNexusFS)
ledger.listen(RemoteMemory)
nx = RemoteNexusFS(URL, api_key=KEY)
ME = "admin"


def files():
    with ledger.proven("write", "read", "exists", "delete"):
        written = nx.write("/sync/a.txt", "one\ntwo ü\n")
        assert written["etag"] == written["bytes_written"]["etag"], written
        assert nx.read("/sync/a.txt") == "one\ntwo ü\n".encode()
        detailed = nx.read("/sync/a.txt", return_metadata=True)
        assert detailed["content"] == "one\ntwo ü\n".encode() and detailed["version"] == 1, detailed
        raises(NexusFileNotFoundError, nx.read, "/sync/none.txt")
        raises(InvalidPathError, nx.read, "/sync/../a.txt")
        raises(ConflictError, nx.write, "/sync/a.txt", b"x", if_match="0" * 64)
        raises(FileExistsError, nx.write, "/sync/a.txt", b"x", if_none_match=True)
        assert nx.write("/sync/a.txt", b"three\n", if_match=written["etag"])["version"] == 2
        nx.write("/sync/gone.txt", bytes(range(256)))
        assert nx.read("/sync/gone.txt") == bytes(range(256))
        assert nx.exists("/sync/gone.txt") is True
        nx.delete("/sync/gone.txt")
        assert nx.exists("/sync/gone.txt") is False
    with ledger.proven("append", "get_etag", "stat", "read_range"):
        nx.append("/sync/log.txt", "a")
        etag = nx.append("/sync/log.txt", b"bc")["etag"]
        assert nx.get_etag("/sync/log.txt") == etag
        assert nx.stat("/sync/log.txt")["size"] == 3
        assert nx.read_range("/sync/log.txt", 1, 3) == b"bc"
        assert b"".join(nx.stream("/sync/log.txt", chunk_size=2)) == b"abc"
    with ledger.proven("write_batch", "read_bulk", "write_stream"):
        rows = nx.write_batch([("/sync/b/1.txt", b"1"), ("/sync/b/2.txt", b"22")])
        assert [row["size"] for row in rows] == [1, 2], rows
        assert nx.read_bulk(["/sync/b/1.txt", "/sync/b/none"]) == {"/sync/b/1.txt": b"1", "/sync/b/none": None}
        assert nx.write_stream("/sync/stream.bin", iter([b"x" * 1000, b"y"]))["size"] == 1001
        assert nx.read("/sync/stream.bin")[-2:] == b"xy"
    with ledger.proven("rename", "rename_bulk", "delete_bulk"):
        nx.rename("/sync/b/1.txt", "/sync/b/one.txt")
        assert nx.read("/sync/b/one.txt") == b"1" and not nx.exists("/sync/b/1.txt")
        done = nx.rename_bulk([("/sync/b/2.txt", "/sync/b/two.txt"), ("/sync/none", "/sync/b/x")])
        assert done["/sync/b/2.txt"]["success"] and not done["/sync/none"]["success"], done
        done = nx.delete_bulk(["/sync/b/one.txt", "/sync/b", "/sync/none"], recursive=True)
        assert done["/sync/b"]["success"] and not done["/sync/none"]["success"], done
        assert not nx.exists("/sync/b/two.txt")
    with ledger.proven("mkdir", "is_directory", "rmdir", "list", "get_available_namespaces"):
        nx.mkdir("/sync/d/e", parents=True)
        raises(FileExistsError, nx.mkdir, "/sync/d/e")
        nx.mkdir("/sync/d/e", exist_ok=True)
        assert nx.is_directory("/sync/d/e") and not nx.is_directory("/sync/a.txt")
        nx.write("/sync/d/e/f.txt", b"f")
        assert nx.list("/sync/d") == ["/sync/d/e", "/sync/d/e/f.txt"], nx.list("/sync/d")
        rows = nx.list("/sync", recursive=False, details=True)
        assert {"/sync/a.txt": 6}.items() <= {row["path"]: row["size"] for row in rows}.items(), rows
        raises(NexusError, nx.rmdir, "/sync/d")
        nx.rmdir("/sync/d", recursive=True)
        assert not nx.exists("/sync/d/e/f.txt")
        assert "workspace" in nx.get_available_namespaces()
    with ledger.proven("glob", "grep"):
        assert nx.glob("*.txt", "/sync") == ["/sync/a.txt", "/sync/log.txt"], nx.glob("*.txt", "/sync")
        found = nx.grep("THR", "/sync", file_pattern="*.txt", ignore_case=True)
        assert [(hit["file"], hit["line"], hit["content"]) for hit in found] == [("/sync/a.txt", 1, "three")], found
    for old in ("chmod", "chown", "chgrp", "grant_user", "grant_group", "deny_user", "revoke_acl", "get_acl"):
        arguments = {"chmod": (0o644,), "deny_user": ("bob",), "get_acl": ()}.get(old)
        if arguments is None:
            arguments = ("bob",) if old in ("chown", "chgrp") else ("user", "bob")
        with ledger.differs(f"RemoteNexusFS.{old}", "the client itself raises NotImplementedError, with any server"):
            getattr(nx, old)("/sync/a.txt", *arguments)


def versions():
    with ledger.proven("list_versions", "get_version", "rollback", "diff_versions", "get_metadata"):
        rows = nx.list_versions("/sync/a.txt")
        assert [row["version"] for row in rows] == [2, 1], rows
        assert nx.get_version("/sync/a.txt", 1) == "one\ntwo ü\n".encode()
        difference = nx.diff_versions("/sync/a.txt", 1, 2, mode="content")
        assert "-one\n" in difference and "+three\n" in difference, difference
        assert nx.diff_versions("/sync/a.txt", 1, 2)["content_changed"] is True
        nx.rollback("/sync/a.txt", 1)
        assert nx.read("/sync/a.txt") == "one\ntwo ü\n".encode()
        assert nx.get_metadata("/sync/a.txt")["version"] == 3
    with ledger.proven("batch_get_content_ids"):
        ids = nx.batch_get_content_ids(["/sync/a.txt", "/sync/none"])
        assert ids == {"/sync/a.txt": nx.get_etag("/sync/a.txt"), "/sync/none": None}, ids
    reason = "metadata goes to the client and comes from it; the server writes and reads no file of its machine"
    with ledger.differs("RemoteNexusFS.export_metadata", reason):
        nx.export_metadata("/tmp/metadata.jsonl")
    with ledger.differs("RemoteNexusFS.import_metadata", reason):
        nx.import_metadata("/tmp/metadata.jsonl")
    with ledger.proven("export_metadata", "import_metadata"):
        lines = nx._call_rpc("export_metadata", {"prefix": "/sync"})
        assert lines["count"] == len(lines["data"].splitlines()) >= 3, lines
        again = nx._call_rpc("import_metadata", {"data": lines["data"]})
        assert again["created"] == 0 and again["skipped"] == lines["count"], again


def workspaces():
    place = "/workspace/sync"
    with ledger.proven("register_workspace", "list_workspaces", "get_workspace_info"):
        made = nx.register_workspace(place, name="ws", description="d", metadata={"k": 1}, ttl=timedelta(hours=1))
        assert made["path"] == place and made["name"] == "ws", made
        assert place in [row["path"] for row in nx.list_workspaces()]
        assert nx.get_workspace_info(place)["metadata"] == {"k": 1}
        assert nx.get_workspace_info("/workspace/none") is None
    with ledger.proven("workspace_snapshot", "workspace_log", "workspace_diff", "workspace_restore"):
        nx.write(f"{place}/f.txt", b"1")
        first = nx.workspace_snapshot(place, description="before", tags=["t"])
        assert first["file_count"] == 1 and first["total_size_bytes"] == 1, first
        nx.write(f"{place}/f.txt", b"22")
        nx.write(f"{place}/g.txt", b"g")
        second = nx.workspace_snapshot(place)
        numbers = [row["snapshot_number"] for row in nx.workspace_log(place)]
        assert numbers == [second["snapshot_number"], first["snapshot_number"]], numbers
        changed = nx.workspace_diff(numbers[1], numbers[0], place)
        assert [row["path"] for row in changed["added"]] == ["g.txt"], changed
        assert [row["path"] for row in changed["modified"]] == ["f.txt"], changed
        done = nx.workspace_restore(numbers[1], place)
        assert done["files_restored"] == 1 and done["files_deleted"] == 1, done
        assert nx.read(f"{place}/f.txt") == b"1" and not nx.exists(f"{place}/g.txt")
    with ledger.proven("unregister_workspace"):
        assert nx.unregister_workspace(place) is True
        assert nx.get_workspace_info(place) is None and nx.exists(f"{place}/f.txt")
    with ledger.proven("register_memory", "list_registered_memories", "get_memory_info", "unregister_memory"):
        nx.register_memory("/memory/sync", name="m")
        assert "/memory/sync" in [row["path"] for row in nx.list_registered_memories()]
        assert nx.get_memory_info("/memory/sync")["name"] == "m"
        assert nx.unregister_memory("/memory/sync") is True
        assert nx.get_memory_info("/memory/sync") is None
    with ledger.differs(
        "RemoteNexusFS.list_memories",
        "the name is that of the memory records; directories are listed by list_registered_memories",
    ):
        assert isinstance(nx.list_memories(), list)
    with ledger.proven("load_workspace_memory_config"):
        config = {"workspaces": [{"path": "/workspace/loaded", "name": "l"}], "memories": [{"path": "/memory/loaded"}]}
        counts = nx.load_workspace_memory_config(**config)
        assert (counts["workspaces_registered"], counts["memories_registered"]) == (1, 1)
        assert nx.get_workspace_info("/workspace/loaded")["name"] == "l"
        assert nx.get_memory_info("/memory/loaded")["path"] == "/memory/loaded"
        counts = nx.load_workspace_memory_config(**config)
        assert (counts["workspaces_skipped"], counts["memories_skipped"]) == (1, 1)


def relations():
    doc, bob = ("file", "/sync/a.txt"), ("user", "bob")
    with ledger.proven("rebac_create", "rebac_check", "rebac_check_batch", "rebac_expand", "rebac_explain"):
        assert nx.rebac_check(bob, "read", doc) is False
        grant = nx.rebac_create(bob, "direct_viewer", doc, expires_at=datetime.now(UTC) + timedelta(hours=1))
        assert nx.rebac_check(bob, "read", doc) is True
        assert nx.rebac_check_batch([(bob, "read", doc), (bob, "write", doc)]) == [True, False]
        assert bob in nx.rebac_expand("read", doc)
        told = nx.rebac_explain(bob, "read", doc)
        assert told["result"] is True and "bob" in told["reason"], told
    with ledger.proven("rebac_list_tuples", "rebac_delete"):
        rows = nx.rebac_list_tuples(subject=bob)
        assert [row["tuple_id"] for row in rows] == [grant], rows
        assert nx.rebac_delete(grant) is True
        assert nx.rebac_check(bob, "read", doc) is False
        assert nx.rebac_list_tuples(subject=bob) == []
    with ledger.proven("namespace_create", "namespace_list", "namespace_delete", "get_namespace", "register_namespace"):
        config = {"relations": {"reader": {}}, "permissions": {"look": ["reader"]}}
        nx.namespace_create("lamp", config)
        assert "lamp" in [row["object_type"] for row in nx.namespace_list()]
        lit = nx.rebac_create(bob, "reader", ("lamp", "1"))
        assert nx.rebac_check(bob, "look", ("lamp", "1")) is True
        assert nx.get_namespace("lamp")["config"]["permissions"] == {"look": ["reader"]}
        raises(NexusError, nx.namespace_delete, "lamp")
        nx.rebac_delete(lit)
        assert nx.namespace_delete("lamp") is True
        nx.register_namespace({"object_type": "lantern", "config": config})
        assert nx.get_namespace("lantern")["object_type"] == "lantern"
    with ledger.proven("get_rebac_option"):
        assert nx.get_rebac_option("max_depth")["value"] is None, "there is no limit of depth"
    with ledger.refused("set_rebac_option"):
        nx.set_rebac_option("max_depth", 5)
    with ledger.proven("share_with_user", "list_outgoing_shares", "list_incoming_shares", "revoke_share"):
        share = nx.share_with_user(doc, "carol", relation="editor", expires_at=datetime.now(UTC) + timedelta(days=1))
        assert nx.rebac_check(("user", "carol"), "write", doc) is True
        mine = [row for row in nx.list_outgoing_shares(resource=doc) if row["share_id"] == share]
        assert mine[0]["recipient_id"] == "carol" and mine[0]["permission_level"] == "editor", mine
        theirs = nx.list_incoming_shares("carol")
        assert [row["share_id"] for row in theirs] == [share], theirs
        assert nx.revoke_share(doc, "carol") is True
        assert nx.rebac_check(("user", "carol"), "write", doc) is False
    with ledger.proven("revoke_share_by_id"):
        share = nx.share_with_user(doc, "carol")
        assert nx.revoke_share_by_id(share) is True
        assert nx.rebac_check(("user", "carol"), "read", doc) is False
    with ledger.proven("make_public", "make_private"):
        nx.make_public(doc)
        assert nx.rebac_list_tuples(object=doc, relation="public_discoverable")
        assert nx.make_private(doc) is True
        assert not nx.rebac_list_tuples(object=doc, relation="public_discoverable")
    with ledger.proven("grant_consent", "revoke_consent", "rebac_expand_with_privacy"):
        nx.rebac_create(bob, "direct_viewer", doc)
        requester = ("user", "dora")
        assert bob not in nx.rebac_expand_with_privacy("read", doc, requester=requester)
        nx.grant_consent(bob, requester)
        assert bob in nx.rebac_expand_with_privacy("read", doc, requester=requester)
        assert nx.revoke_consent(bob, requester) is True
        assert bob not in nx.rebac_expand_with_privacy("read", doc, requester=requester)
    with ledger.proven("get_dynamic_viewer_config", "apply_dynamic_viewer_filter", "read_with_dynamic_viewer"):
        table = "name,age,pay\nann,30,100\nben,50,300\n"
        nx.write("/sync/people.csv", table)
        columns = {"hidden_columns": ["pay"], "aggregations": {"age": "mean"}, "visible_columns": ["name"]}
        nx.rebac_create(("user", "erin"), "dynamic_viewer", ("file", "/sync/people.csv"), column_config=columns)
        config = nx.get_dynamic_viewer_config(("user", "erin"), "/sync/people.csv")
        assert config["hidden_columns"] == ["pay"], config
        seen = nx.read_with_dynamic_viewer("/sync/people.csv", ("user", "erin"))
        content = seen["content"] if isinstance(seen["content"], bytes) else seen["content"].encode()
        assert seen["is_filtered"] and b"ann" in content and b"300" not in content and b"pay" not in content, seen
        shown = nx.apply_dynamic_viewer_filter(table, columns)
        assert "300" not in shown["filtered_data"] and shown["aggregations"]["age"]["mean"] == 40, shown


def mounts():
    os.makedirs(os.path.join(HOST_DIR, "docs"), exist_ok=True)
    with open(os.path.join(HOST_DIR, "docs", "h.txt"), "w", encoding="utf-8") as file:
        file.write("from the host")
    config = {"data_dir": HOST_DIR}
    with ledger.proven("add_mount", "list_mounts", "get_mount", "has_mount", "sync_mount"):
        assert nx.add_mount("/mnt/host", "local", config, readonly=True) == "/mnt/host"
        assert "/mnt/host" in [row["mount_point"] for row in nx.list_mounts()]
        assert nx.get_mount("/mnt/host")["readonly"] is True
        assert nx.has_mount("/mnt/host") is True and nx.has_mount("/mnt/none") is False
        nx.sync_mount("/mnt/host")
        assert nx.read("/mnt/host/docs/h.txt") == b"from the host"
    with ledger.proven("sync_mount_async", "get_sync_job", "list_sync_jobs", "cancel_sync_job"):
        job = nx.sync_mount_async("/mnt/host")["job_id"]
        while nx.get_sync_job(job)["status"] in ("pending", "running"):
            pass
        assert nx.get_sync_job(job)["status"] == "completed", nx.get_sync_job(job)
        assert job in [row["id"] for row in nx.list_sync_jobs(mount_point="/mnt/host")]
        assert nx.cancel_sync_job(job)["success"] is False, "it has ended"
    with ledger.proven("remove_mount"):
        assert nx.remove_mount("/mnt/host")["removed"] is True
        assert nx.has_mount("/mnt/host") is False
    with ledger.proven("save_mount", "list_saved_mounts", "load_mount", "delete_saved_mount"):
        assert nx.save_mount("/mnt/saved", "local", config, description="kept")
        assert "/mnt/saved" in [row["mount_point"] for row in nx.list_saved_mounts()]
        assert nx.load_mount("/mnt/saved") == "/mnt/saved" and nx.has_mount("/mnt/saved")
        nx.remove_mount("/mnt/saved")
        nx.delete_saved_mount("/mnt/saved")
        assert "/mnt/saved" not in [row["mount_point"] for row in nx.list_saved_mounts()]
    with ledger.proven("list_connectors"):
        offered = [row["name"] for row in nx.list_connectors() if row["available"]]
        assert offered == ["local"], offered


def agents():
    name = f"{ME},Sync"
    with ledger.proven("register_agent", "list_agents", "get_agent", "delete_agent"):
        made = nx.register_agent(name, "Sync", description="d", generate_api_key=True)
        assert made["agent_id"] == name and made["api_key"].startswith("sk-"), sorted(made)
        agent = RemoteNexusFS(URL, api_key=made["api_key"])
        assert agent.agent_id == name
        raises(NexusError, agent.read, "/sync/a.txt")
        assert name in [row["agent_id"] for row in nx.list_agents()]
        assert nx.get_agent(name)["name"] == "Sync" and nx.get_agent(f"{ME},None") is None
        assert nx.delete_agent(name) is True
        assert nx.get_agent(name) is None
        raises(NexusError, agent.exists, "/")
        agent.close()


def memories():
    memory = nx.memory
    with ledger.proven("store_memory", "list_memories", "query_memories", "retrieve_memory"):
        one = memory.store("the sky is blue", memory_type="fact", scope="user", namespace="sky", path_key="colour")
        assert memory.store("the sky is grey", scope="user", namespace="sky", path_key="colour") == one, "upserted"
        two = memory.store("grass is green", scope="user", importance=0.9)
        assert {one, two} <= {row["memory_id"] for row in memory.list(scope="user")}
        assert "the sky is grey" in [row["content"] for row in memory.query(scope="user")]
        assert memory.retrieve(path="sky/colour")["content"] == "the sky is grey"
        assert memory.retrieve("sky", "none") is None
        hits = memory.search("grass", scope="user", search_mode="keyword")
        assert [row["memory_id"] for row in hits] == [two] and hits[0]["score"] > 0, hits
    with ledger.proven("deactivate_memory", "approve_memory", "delete_memory"):
        assert memory.deactivate(two) is True
        assert two not in {row["memory_id"] for row in memory.list(scope="user")}
        assert two in {row["memory_id"] for row in memory.list(scope="user", state="inactive")}
        assert memory.approve(two) is True
        assert two in {row["memory_id"] for row in memory.list(scope="user")}
        assert memory.delete(two) is True and memory.delete(two) is False
    with ledger.proven("approve_memory_batch", "deactivate_memory_batch", "delete_memory_batch"):
        batch = [memory.store(f"note {number}", scope="user") for number in range(3)]
        assert memory.deactivate_batch([*batch, "none"])["deactivated"] == 3
        assert memory.approve_batch(batch)["approved"] == 3
        done = memory.delete_batch([*batch, "none"])
        assert done["deleted"] == 3 and done["failed_ids"] == ["none"], done
    with ledger.proven("start_trajectory", "log_trajectory_step", "complete_trajectory", "query_trajectories"):
        run = memory.start_trajectory("sort the mail", task_type="mail")
        memory.log_step(run, "action", "opened it", result={"n": 1})
        memory.log_trajectory_step(run, "observation", "it is long")
        assert memory.complete_trajectory(run, "success", success_score=0.75) == run
        rows = [row for row in memory.query_trajectories() if row["trajectory_id"] == run]
        assert rows[0]["status"] == "success" and rows[0]["success_score"] == 0.75, rows
    with ledger.proven("query_playbooks"):
        book = nx.ace_create_playbook("legacy", description="d")["playbook_id"]
        assert book in [row["playbook_id"] for row in memory.query_playbooks()]
    with ledger.proven("get_playbook"):
        assert memory.get_playbook("legacy")["playbook_id"] == book and memory.get_playbook("none") is None
    with ledger.proven("process_relearning"):
        nx.ace_mark_for_relearning(run, "try again")
        assert run in [row["trajectory_id"] for row in memory.process_relearning()]
    with ledger.refused("curate_playbook"):
        memory.curate_playbook([one])
    with ledger.refused("batch_reflect"):
        memory.batch_reflect()


def learning():
    with ledger.proven("ace_start_trajectory", "ace_log_trajectory_step", "ace_complete_trajectory", "ace_query_trajectories"):
        run = nx.ace_start_trajectory("count sheep", task_type="sleep")["trajectory_id"]
        assert nx.ace_log_trajectory_step(run, "action", "one", result="ok")["success"] is True
        assert nx.ace_complete_trajectory(run, "partial", success_score=0.5)["trajectory_id"] == run
        rows = nx.ace_query_trajectories(task_type="sleep")
        assert [(row["trajectory_id"], row["status"]) for row in rows] == [(run, "partial")], rows
    with ledger.proven("ace_add_feedback", "ace_get_trajectory_feedback", "ace_get_effective_score"):
        nx.ace_add_feedback(run, "human", score=0.25, source="me", message="meh", metrics={"m": 1})
        nx.ace_add_feedback(run, "human", score=0.75)
        rows = nx.ace_get_trajectory_feedback(run)
        assert sorted(row["revised_score"] for row in rows) == [0.25, 0.75], rows
        assert nx.ace_get_effective_score(run)["effective_score"] == 0.75
        assert nx.ace_get_effective_score(run, strategy="average")["effective_score"] == 0.5
    with ledger.proven("ace_mark_for_relearning"):
        assert nx.ace_mark_for_relearning(run, "bad", priority=9)["success"] is True
    with ledger.proven("ace_create_playbook", "ace_get_playbook", "ace_query_playbooks"):
        book = nx.ace_create_playbook("sleep", description="how to", scope="user")["playbook_id"]
        assert nx.ace_get_playbook(book)["name"] == "sleep"
        assert nx.ace_get_playbook(str(uuid.uuid4())) is None
        assert book in [row["playbook_id"] for row in nx.ace_query_playbooks(scope="user")]


def archive(name, body="Body\n"):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{name}/SKILL.md", f"---\nname: {name}\ndescription: says {name}\n---\n{body}")
        file.writestr(f"{name}/scripts/run.py", "print(1)\n")
    return base64.b64encode(packed.getvalue()).decode()


def skills():
    with ledger.proven("skills_create", "skills_list", "skills_info"):
        made = nx.skills_create("sync-basic", "for tests", template="data-analysis")
        assert made["skill_path"].endswith("/sync-basic/SKILL.md"), made
        assert "sync-basic" in [row["name"] for row in nx.skills_list()["skills"]]
        assert nx.skills_info("sync-basic")["description"] == "for tests"
        raises(ValidationError, nx.skills_info, "no-such-skill")
        raises(NexusError, nx.skills_create, "sync-basic", "again")
    with ledger.proven("skills_create_from_content", "skills_create_from_file"):
        nx.skills_create_from_content("sync-text", "from text", "# Do it\n", metadata={"licence": "MIT"})
        assert b"# Do it" in nx.read(nx.skills_info("sync-text")["file_path"])
        data = base64.b64encode(b"# From a file\n\nRead me.\n").decode()
        nx.skills_create_from_file("notes.md", file_data=data, name="sync-file", description="a file")
        assert b"Read me." in nx.read(nx.skills_info("sync-file")["file_path"])
    with ledger.proven("skills_fork", "skills_publish", "skills_search"):
        nx.skills_fork("sync-text", "sync-fork")
        assert b"# Do it" in nx.read(nx.skills_info("sync-fork")["file_path"])
        done = nx.skills_publish("sync-fork")
        assert done["target_tier"] == "tenant" and nx.exists(done["published_path"]), done
        assert "sync-fork" in [row["name"] for row in nx.skills_list(tier="tenant")["skills"]]
        found = nx.skills_search("from text")["results"]
        assert found[0]["skill_name"] in ("sync-text", "sync-fork") and found[0]["score"] >= 10, found
    with ledger.proven("skills_submit_approval", "skills_approve", "skills_reject", "skills_list_approvals"):
        wanted = nx.skills_submit_approval("sync-text", ME)["approval_id"]
        assert wanted in [row["approval_id"] for row in nx.skills_list_approvals(status="pending")["approvals"]]
        assert nx.skills_approve(wanted, ME, comments="good")["status"] == "approved"
        assert [row["status"] for row in nx.skills_list_approvals(skill_name="sync-text")["approvals"]] == ["approved"]
        other = nx.skills_submit_approval("sync-file", ME)["approval_id"]
        assert nx.skills_reject(other, ME)["status"] == "rejected"
        raises(NexusError, nx.skills_approve, other, ME)
    with ledger.proven("skills_validate_zip", "skills_import", "skills_export"):
        data = archive("sync-zip")
        verdict = nx.skills_validate_zip(data)
        assert verdict["valid"] and verdict["skills_found"] == ["sync-zip"], verdict
        assert not nx.skills_validate_zip(base64.b64encode(b"no archive").decode())["valid"]
        assert nx.skills_import(data, tier="personal")["imported_skills"] == ["sync-zip"]
        raises(ValidationError, nx.skills_import, data, tier="personal")
        nx.skills_import(archive("sync-zip", "New\n"), tier="personal", allow_overwrite=True)
        packed = nx.skills_export("sync-zip")
        names = zipfile.ZipFile(io.BytesIO(base64.b64decode(packed["zip_data"]))).namelist()
        assert {"manifest.json", "sync-zip/SKILL.md", "sync-zip/scripts/run.py"} <= set(names), names
        assert packed["filename"] == "sync-zip.skill" and packed["size_bytes"] > 0


def sandboxes():
    with ledger.proven("sandbox_create", "sandbox_get_or_create", "sandbox_list", "sandbox_status"):
        box = nx.sandbox_create("box", ttl_minutes=5, provider=None)
        assert box["name"] == "box" and box["status"] == "active", box
        number = box["sandbox_id"]
        raises(NexusError, nx.sandbox_create, "box", provider=None)
        assert nx.sandbox_get_or_create("box", provider="docker", ttl_minutes=60)["sandbox_id"] == number
        assert number in [row["sandbox_id"] for row in nx.sandbox_list()["sandboxes"]]
        assert nx.sandbox_status(number)["ttl_minutes"] == 5
        raises(NexusFileNotFoundError, nx.sandbox_status, "none")
    with (ledger.proven if box["capabilities"]["run"] else ledger.refused)("sandbox_run"):
        ran = nx.sandbox_run(number, "python", "print(1)")
        assert (ran["stdout"], ran["stderr"], ran["exit_code"]) == ("1\n", "", 0) and ran["execution_time"] > 0, ran
    with ledger.proven("sandbox_connect", "sandbox_disconnect"):
        nx.write("/sync/boxed.txt", b"one\n")
        joined = nx.sandbox_connect(number, "local", "k")
        assert joined["success"] and joined["mount_status"]["files_visible"] > 0, joined
        work = f"cd {joined['mount_path']}/sync && cat boxed.txt && echo two > boxed.txt && echo new > from-box.txt"
        ran = nx.sandbox_run(number, "bash", work) if box["capabilities"]["run"] else None
        assert ran is None or ran["stdout"] == "one\n", ran
        assert nx.read("/sync/boxed.txt") == b"one\n"
        left = nx.sandbox_disconnect(number, "local", "k")
        assert left["success"] and left["unmounted_at"], left
        assert ran is None or nx.read("/sync/boxed.txt") + nx.read("/sync/from-box.txt") == b"two\nnew\n"
    with ledger.proven("sandbox_pause", "sandbox_resume", "sandbox_stop"):
        assert nx.sandbox_pause(number)["status"] == "paused"
        assert nx.sandbox_resume(number)["status"] == "active"
        assert nx.sandbox_stop(number)["status"] == "stopped"
        assert number not in [row["sandbox_id"] for row in nx.sandbox_list(status="active")["sandboxes"]]


def elsewhere():
    """What needs another service: refused with the reason, or truthfully empty."""
    with ledger.proven("oauth_list_providers", "oauth_list_credentials", "mcp_list_mounts"):
        assert nx.oauth_list_providers() == [] and nx.oauth_list_credentials() == [] and nx.mcp_list_mounts() == []
    for method, arguments in {
        "oauth_get_auth_url": ("gmail",),
        "oauth_exchange_code": ("gmail", "c"),
        "oauth_revoke_credential": ("gmail", "a@b"),
        "oauth_test_credential": ("gmail", "a@b"),
        "mcp_connect": ("gmail",),
        "mcp_get_oauth_url": ("gmail", "http://x"),
        "mcp_list_tools": ("x",),
        "mcp_mount": ("x", "stdio", "true"),
        "mcp_unmount": ("x",),
        "mcp_sync": ("x",),
    }.items():
        with ledger.refused(method):
            getattr(nx, method)(*arguments)
    for method, arguments in {
        "initialize_semantic_search": (),
        "semantic_search": ("q",),
        "semantic_search_index": (),
        "semantic_search_stats": (),
    }.items():
        with ledger.refused(method):
            asyncio.run(getattr(nx, method)(*arguments))
    with ledger.proven("shutdown_parser_threads"):
        assert isinstance(nx.shutdown_parser_threads(), dict)
        assert nx.exists("/"), "nothing was shut that is needed"


def access():
    wrong = RemoteNexusFS(URL, api_key="sk-default_admin_00000000_00000000000000000000000000000000")
    error = raises(NexusError, wrong.exists, "/")
    assert "401" in str(error) or getattr(error, "status_code", 0) == 401, repr(error)
    wrong.close()


def main():
    for part in (
        files, versions, workspaces, relations, mounts, agents, memories, learning, skills, sandboxes, elsewhere, access,
    ):
        try:
            part()
        except Exception as error:  # noqa: BLE001
            ledger.failures.append(f"{part.__name__}: {error!r}")
    nx.close()
    _ = NexusPermissionError
    ledger.finish(RemoteNexusFS, RemoteMemory)


main()
