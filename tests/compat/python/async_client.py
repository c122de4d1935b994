"""Every operation of the asynchronous client, many of them at once, each proven by a second call."""

import asyncio
import os
from datetime import UTC, datetime, timedelta

from nexus_client import AsyncRemoteNexusFS
from nexus_client.async_client import AsyncACE, AsyncAdminAPI, AsyncRemoteMemory
from nexus_client.exceptions import ConflictError, NexusError, NexusFileNotFoundError
from proof import Ledger, connection, raises_later, run

URL, KEY, HOST_DIR = connection()
ledger = Ledger("async_client")
CLASSES = (AsyncRemoteNexusFS, AsyncRemoteMemory, AsyncAdminAPI, AsyncACE)
for each in CLASSES:
    ledger.listen(each)
ME = "admin"


async def files(nx):
    with ledger.proven("write", "read", "exists", "delete"):
        names = [f"/async/{number}.txt" for number in range(20)]
        await asyncio.gather(*[nx.write(name, f"body of {name}") for name in names])
        bodies = await asyncio.gather(*[nx.read(name) for name in names])
        assert [body.decode() for body in bodies] == [f"body of {name}" for name in names]
        await raises_later(ConflictError, nx.write(names[0], b"x", if_match="0" * 64))
        await raises_later(NexusFileNotFoundError, nx.read("/async/none"))
        assert (await nx.read(names[1], return_metadata=True))["version"] == 1
        await nx.delete(names[2])
        assert await nx.exists(names[2]) is False and await nx.exists(names[3]) is True
    with ledger.proven("append", "stat", "read_range", "write_batch", "read_bulk", "write_stream"):
        await nx.append(names[0], b"!")
        size = len(f"body of {names[0]}") + 1
        assert (await nx.stat(names[0]))["size"] == size
        assert await nx.read_range(names[0], 0, 4) == b"body"
        parts = [part async for part in nx.stream(names[0], chunk_size=5)]
        assert b"".join(parts) == f"body of {names[0]}!".encode()
        await nx.write_batch([("/async/b/1", b"1"), ("/async/b/2", b"2")])
        assert await nx.read_bulk(["/async/b/1", "/async/b/2"]) == {"/async/b/1": b"1", "/async/b/2": b"2"}
        await nx.write_stream("/async/b/3", iter([b"3", b"4"]))
        assert await nx.read("/async/b/3") == b"34"
    with ledger.proven("rename", "rename_bulk", "delete_bulk", "mkdir", "rmdir", "is_directory", "list"):
        await nx.rename("/async/b/1", "/async/b/one")
        await nx.rename_bulk([("/async/b/2", "/async/b/two")])
        await nx.mkdir("/async/d/e", parents=True)
        assert await nx.is_directory("/async/d/e")
        listed = await nx.list("/async/b", recursive=False)
        assert listed == ["/async/b/3", "/async/b/one", "/async/b/two"], listed
        assert (await nx.delete_bulk(["/async/b/one", "/async/b/none"]))["/async/b/one"]["success"]
        await nx.rmdir("/async/b", recursive=True)
        assert await nx.list("/async/b") == []
    with ledger.proven("glob", "grep"):
        assert names[5] in await nx.glob("*.txt", "/async")
        found = await nx.grep(r"async/7\.", "/async")
        assert [hit["file"] for hit in found] == [names[7]], found
    with ledger.differs(
        "AsyncRemoteNexusFS.delete(if_match)", "the contract's delete takes no if_match: an unknown parameter is refused"
    ):
        await nx.delete(names[4], if_match="0" * 64)
    with ledger.proven("list_versions", "get_version", "rollback", "diff_versions", "get_metadata"):
        await nx.write(names[1], "second")
        assert [row["version"] for row in await nx.list_versions(names[1])] == [2, 1]
        assert await nx.get_version(names[1], 1) == f"body of {names[1]}".encode()
        assert "+second" in await nx.diff_versions(names[1], 1, 2, mode="content")
        await nx.rollback(names[1], 1)
        assert (await nx.get_metadata(names[1]))["version"] == 3


async def mounts(nx):
    os.makedirs(os.path.join(HOST_DIR, "async"), exist_ok=True)
    with open(os.path.join(HOST_DIR, "async", "h.txt"), "w", encoding="utf-8") as file:
        file.write("host")
    with ledger.proven("add_mount", "list_mounts", "sync_mount", "remove_mount", "list_connectors"):
        await nx.add_mount("/mnt/async", "local", {"data_dir": HOST_DIR}, readonly=True)
        assert "/mnt/async" in [row["mount_point"] for row in await nx.list_mounts()]
        await nx.sync_mount("/mnt/async")
        assert await nx.read("/mnt/async/async/h.txt") == b"host"
        job = (await nx.sync_mount_async("/mnt/async"))["job_id"]
        while (await nx.get_sync_job(job))["status"] in ("pending", "running"):
            pass
        assert "local" in [row["name"] for row in await nx.list_connectors("storage") if row["available"]]
    with ledger.proven("sync_mount_async", "get_sync_job", "list_sync_jobs", "cancel_sync_job"):
        assert job in [row["id"] for row in await nx.list_sync_jobs()]
        assert (await nx.cancel_sync_job(job))["success"] is False
        assert (await nx.remove_mount("/mnt/async"))["removed"] is True


async def people(nx):
    with ledger.proven("register_memory", "list_registered_memories", "get_memory_info", "unregister_memory"):
        await nx.register_memory("/memory/async", name="m")
        assert "/memory/async" in [row["path"] for row in await nx.list_registered_memories()]
        assert (await nx.get_memory_info("/memory/async"))["name"] == "m"
        assert await nx.unregister_memory("/memory/async") is True
    name = f"{ME},Async"
    with ledger.proven("register_agent", "list_agents", "get_agent", "delete_agent"):
        key = (await nx.register_agent(name, "Async", generate_api_key=True))["api_key"]
        async with AsyncRemoteNexusFS(URL, api_key=key) as agent:
            assert agent.agent_id == name
            await raises_later(NexusError, agent.read("/async/1.txt"))
        assert name in [row["agent_id"] for row in await nx.list_agents()]
        assert (await nx.get_agent(name))["name"] == "Async"
        assert await nx.delete_agent(name) is True and await nx.get_agent(name) is None
    doc = ("file", "/async/1.txt")
    with ledger.proven("share_with_user", "list_outgoing_shares", "list_incoming_shares", "revoke_share"):
        share = await nx.share_with_user(doc, "fred", expires_at=datetime.now(UTC) + timedelta(days=1))
        assert share in [row["share_id"] for row in await nx.list_outgoing_shares(resource=doc)]
        assert [row["share_id"] for row in await nx.list_incoming_shares("fred")] == [share]
        assert await nx.revoke_share(doc, "fred") is True
        assert await nx.list_incoming_shares("fred") == []
    with ledger.proven("revoke_share_by_id"):
        assert await nx.revoke_share_by_id(await nx.share_with_user(doc, "fred")) is True
        assert await nx.list_incoming_shares("fred") == []


async def keys(nx):
    admin = AsyncAdminAPI(nx)
    with ledger.proven("admin_create_key", "admin_list_keys", "admin_get_key", "admin_update_key", "admin_revoke_key"):
        made = await admin.create_key("gina", "laptop", expires_days=3)
        async with AsyncRemoteNexusFS(URL, api_key=made["api_key"]) as hers:
            assert await hers.list("/") == [] and hers.tenant_id == "default"
            assert made["key_id"] in [row["key_id"] for row in await admin.list_keys(user_id="gina")]
            assert (await admin.get_key(made["key_id"]))["name"] == "laptop"
            await admin.update_key(made["key_id"], name="old laptop")
            assert (await admin.get_key(made["key_id"]))["name"] == "old laptop"
            assert await admin.revoke_key(made["key_id"]) is True
            await raises_later(NexusError, hers.list("/"))


async def memories(nx):
    memory = AsyncRemoteMemory(nx)
    with ledger.proven("store_memory", "list_memories", "query_memories", "retrieve_memory", "delete_memory"):
        one = await memory.store("water is wet", scope="user", namespace="water", path_key="state")
        assert one in {row["memory_id"] for row in await memory.list(scope="user", namespace="water")}
        assert "water is wet" in {row["content"] for row in await memory.query(scope="user")}
        assert (await memory.retrieve(path="water/state"))["content"] == "water is wet"
        assert (await memory.search("wet", scope="user", search_mode="keyword"))[0]["memory_id"] == one
        assert await memory.delete(one) is True and await memory.retrieve(path="water/state") is None
    ace = AsyncACE(nx)
    with ledger.proven(
        "ace_start_trajectory", "ace_log_trajectory_step", "ace_complete_trajectory", "ace_query_trajectories",
        "ace_add_feedback", "ace_get_trajectory_feedback", "ace_get_effective_score", "ace_mark_for_relearning",
    ):
        number = (await ace.start_trajectory("async work", task_type="async"))["trajectory_id"]
        await ace.log_step(number, "action", "did", result={"a": [1]})
        await ace.complete_trajectory(number, "failure", error_message="no")
        assert [row["status"] for row in await ace.query_trajectories(task_type="async")] == ["failure"]
        await ace.add_feedback(number, "human", score=0.5)
        assert [row["revised_score"] for row in await ace.get_trajectory_feedback(number)] == [0.5]
        assert (await ace.get_effective_score(number))["effective_score"] == 0.5
        assert (await ace.mark_for_relearning(number, "no"))["success"] is True
    with ledger.proven("ace_create_playbook", "ace_get_playbook", "ace_query_playbooks"):
        book = (await ace.create_playbook("async book", scope="user"))["playbook_id"]
        assert (await ace.get_playbook(book))["name"] == "async book"
        assert book in [row["playbook_id"] for row in await ace.query_playbooks()]


async def sandboxes(nx):
    with ledger.proven("sandbox_get_or_create", "sandbox_list", "sandbox_status", "sandbox_pause", "sandbox_resume"):
        box = await nx.sandbox_get_or_create("async box")
        number = box["sandbox_id"]
        assert number in [row["sandbox_id"] for row in (await nx.sandbox_list(verify_status=True))["sandboxes"]]
        assert (await nx.sandbox_status(number))["name"] == "async box"
        assert (await nx.sandbox_pause(number))["status"] == "paused"
        assert (await nx.sandbox_resume(number))["status"] == "active"
    with (ledger.proven if box["capabilities"]["run"] else ledger.refused)("sandbox_run"):
        assert (await nx.sandbox_run(number, "bash", "echo 1; exit 3"))["exit_code"] == 3
    with ledger.proven("sandbox_connect", "sandbox_disconnect"):
        await nx.write("/async-boxed.txt", b"one")
        assert (await nx.sandbox_connect(number, "local", "k"))["mount_status"]["files_visible"] > 0
        left = await nx.sandbox_disconnect(number, "local", "k")
        assert left["success"] and left["changes"]["files_unchanged"] > 0, left
    with ledger.proven("sandbox_stop"):
        assert (await nx.sandbox_stop(number))["status"] == "stopped"


async def elsewhere(nx):
    crash = "the client reads a field of a list, as with the original; the synchronous client works"
    with ledger.differs("AsyncRemoteNexusFS.oauth_list_providers", crash):
        await nx.oauth_list_providers()
    with ledger.differs("AsyncRemoteNexusFS.oauth_list_credentials", crash):
        await nx.oauth_list_credentials()
    with ledger.proven("oauth_list_providers", "oauth_list_credentials", "mcp_list_mounts"):
        assert await nx._call_rpc("oauth_list_providers", {}) == []
        assert await nx._call_rpc("oauth_list_credentials", {}) == []
        assert await nx.mcp_list_mounts() == []
    with ledger.differs(
        "AsyncRemoteNexusFS.skills_discover", "the method of a later server; skills_list and skills_search do its work"
    ):
        await nx.skills_discover()
    ledger.called.discard("skills_discover")
    for method, arguments in {
        "oauth_get_auth_url": ("gmail", "http://x"),
        "oauth_exchange_code": ("gmail", "c", "a@b", "http://x"),
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
            await getattr(nx, method)(*arguments)


async def main():
    async with AsyncRemoteNexusFS(URL, api_key=KEY) as nx:
        for part in (files, mounts, people, keys, memories, sandboxes, elsewhere):
            try:
                await part(nx)
            except Exception as error:  # noqa: BLE001
                ledger.failures.append(f"{part.__name__}: {error!r}")
        await nx.close()
    ledger.finish(*CLASSES)


run(main)
