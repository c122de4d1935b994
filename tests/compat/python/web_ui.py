"""What the web UI sends from a page on another port: login, reload, browse, upload, open, and every screen after that.

Each request carries the headers of a browser and is preceded by the preflight that a browser sends; what the page could
not read, because a header is missing, fails here too.
"""

import base64
import io
import sys
import uuid
import zipfile

import httpx
from proof import Ledger, connection

URL, KEY, HOST_DIR = connection()
ORIGIN = sys.argv[4]
HOME = "/tenant:default/user:admin"
ledger = Ledger("web_ui")
http = httpx.Client(timeout=30)
number = 0


def preflight(method, path, headers):
    answer = http.options(
        URL + path,
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": ",".join(sorted(headers)),
        },
    )
    allowed = answer.headers.get("access-control-allow-headers", "").lower()
    assert answer.status_code in (200, 204), (answer.status_code, answer.text)
    assert answer.headers.get("access-control-allow-origin") == ORIGIN, dict(answer.headers)
    assert method in answer.headers.get("access-control-allow-methods", ""), dict(answer.headers)
    assert all(name.lower() in allowed for name in headers), (headers, allowed)


def fetch(method, path, body=None, key=KEY):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    preflight(method, path, headers)
    answer = http.request(method, URL + path, headers={**headers, "Origin": ORIGIN}, json=body)
    assert answer.headers.get("access-control-allow-origin") == ORIGIN, (path, dict(answer.headers))
    return answer


def rpc(method, params=None):
    """Its result; the id is a number, as the page sends it."""
    global number
    number += 1
    ledger.called.add(method)
    body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
    answer = fetch("POST", f"/api/nfs/{method}", body)
    assert answer.status_code == 200, (method, answer.status_code, answer.text)
    said = answer.json()
    if said.get("error"):
        raise RuntimeError(f"RPC error [{said['error']['code']}]: {said['error']['message']}")
    assert said["id"] == number, said
    return flat(said["result"])


def flat(value):
    """The page unwraps bytes and times wherever they are."""
    if isinstance(value, list):
        return [flat(item) for item in value]
    if isinstance(value, dict):
        if value.get("__type__") == "bytes":
            return base64.b64decode(value["data"])
        if value.get("__type__") == "datetime":
            return value["data"]
        return {name: flat(item) for name, item in value.items()}
    return value


def wrapped(content):
    return {"__type__": "bytes", "data": base64.b64encode(content).decode()}


def login():
    assert http.get(URL + "/health").json()["status"] in ("healthy", "ok")
    me = fetch("GET", "/api/auth/whoami").json()
    assert me["authenticated"] is True and me["user"] == "admin" and me["is_admin"] is True, me
    assert {"subject_type", "subject_id", "tenant_id"} <= set(me), me
    nobody = fetch("GET", "/api/auth/whoami", key="sk-default_nobody_00000000_00000000000000000000000000000000")
    assert nobody.status_code == 200 and nobody.json()["authenticated"] is False
    stranger = http.options(
        URL + "/api/nfs/list",
        headers={"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "POST"},
    )
    assert stranger.headers.get("access-control-allow-origin") not in ("*", "http://elsewhere.example")


def browse():
    with ledger.proven("mkdir", "write", "list", "read", "exists", "is_directory", "get_available_namespaces"):
        for folder in ("workspace", "skill", "agent", "memory", "connector", "resource"):
            rpc("mkdir", {"path": f"{HOME}/{folder}", "parents": True, "exist_ok": True})
        rpc("write", {"path": f"{HOME}/workspace/Résumé.md", "content": wrapped("# Ü\n".encode())})
        rows = rpc("list", {"path": f"{HOME}/", "recursive": False, "details": True})["files"]
        assert [row["path"] for row in rows if row["is_directory"]] == sorted(
            f"{HOME}/{folder}" for folder in ("workspace", "skill", "agent", "memory", "connector", "resource")
        ), rows
        row = rpc("list", {"path": f"{HOME}/workspace", "recursive": False, "details": True})["files"][0]
        assert row["size"] == 5 and {"mime_type", "created_at", "modified_at"} <= set(row), row
        assert rpc("read", {"path": row["path"]}) == "# Ü\n".encode()
        assert rpc("exists", {"path": row["path"]})["exists"] is True
        assert rpc("is_directory", {"path": f"{HOME}/skill"})["is_directory"] is True
        assert "workspace" in rpc("get_available_namespaces")["namespaces"]
    with ledger.proven("glob", "grep", "delete", "rmdir"):
        assert rpc("glob", {"pattern": "**/*.md", "path": f"{HOME}/workspace"})["matches"] == [row["path"]]
        assert rpc("grep", {"pattern": "Ü", "path": f"{HOME}/workspace", "max_results": 100})["results"][0]["line"] == 1
        rpc("write", {"path": f"{HOME}/workspace/new.md", "content": wrapped(rpc("read", {"path": row["path"]}))})
        rpc("delete", {"path": f"{HOME}/workspace/new.md"})
        assert rpc("exists", {"path": f"{HOME}/workspace/new.md"})["exists"] is False
        rpc("mkdir", {"path": f"{HOME}/workspace/d/e", "parents": True, "exist_ok": False})
        rpc("rmdir", {"path": f"{HOME}/workspace/d", "recursive": True})
        assert rpc("exists", {"path": f"{HOME}/workspace/d"})["exists"] is False
    with ledger.proven("list_versions", "get_version", "rollback"):
        rpc("write", {"path": row["path"], "content": wrapped(b"second")})
        assert [each["version"] for each in rpc("list_versions", {"path": row["path"]})] == [2, 1]
        assert rpc("get_version", {"path": row["path"], "version": 1}) == "# Ü\n".encode()
        rpc("rollback", {"path": row["path"], "version": 1})
        assert rpc("read", {"path": row["path"]}) == "# Ü\n".encode()


def permissions():
    path = f"{HOME}/workspace/Résumé.md"
    with ledger.proven("rebac_create", "rebac_list_tuples", "rebac_delete"):
        made = rpc("rebac_create", {"subject": ["user", "hal"], "relation": "direct_editor", "object": ["file", path]})
        rows = rpc("rebac_list_tuples", {"object": ["file", path]})
        mine = [each for each in rows if each["tuple_id"] == made][0]
        assert mine["subject_id"] == "hal" and mine["relation"] == "direct_editor" and mine["created_at"], mine
        assert mine["object_type"] == "file" and mine["object_id"] == path, mine
        assert rpc("rebac_delete", {"tuple_id": made}) is True
        assert made not in [each["tuple_id"] for each in rpc("rebac_list_tuples", {"object": ["file", path]})]


def screens():
    with ledger.proven("register_workspace", "list_workspaces", "get_workspace_info", "unregister_workspace"):
        place = f"{HOME}/workspace/ui"
        rpc("register_workspace", {"path": place, "name": "ui", "description": "d"})
        row = [each for each in rpc("list_workspaces") if each["path"] == place][0]
        assert {"name", "description", "created_at", "created_by", "metadata"} <= set(row), row
        assert rpc("get_workspace_info", {"path": place})["name"] == "ui"
        assert rpc("unregister_workspace", {"path": place}) is True
    with ledger.proven("register_memory", "list_registered_memories", "get_memory_info", "unregister_memory"):
        place = f"{HOME}/memory/ui"
        rpc("register_memory", {"path": place, "name": "ui"})
        assert rpc("get_memory_info", {"path": place})["path"] == place
        assert place in [each["path"] for each in rpc("list_registered_memories")]
        assert rpc("unregister_memory", {"path": place}) is True
    with ledger.proven("register_agent", "list_agents", "get_agent", "delete_agent"):
        made = rpc("register_agent", {
            "agent_id": "admin,Ui", "name": "Ui", "description": "d", "generate_api_key": True,
            "inherit_permissions": False, "metadata": {"platform": "langgraph", "endpoint_url": "http://localhost:2024"},
        })
        assert made["api_key"].startswith("sk-") and made["config_path"].endswith("config.yaml"), sorted(made)
        row = [each for each in rpc("list_agents") if each["agent_id"] == "admin,Ui"][0]
        assert row["has_api_key"] is True and row["inherit_permissions"] is False, row
        assert made["api_key"].encode() not in rpc("read", {"path": made["config_path"]}), "no key in a file"
        assert rpc("get_agent", {"agent_id": "admin,Ui"})["platform"] == "langgraph"
        assert rpc("delete_agent", {"agent_id": "admin,Ui"}) is True
    with ledger.proven("store_memory", "list_memories", "query_memories", "update_memory"):
        made = rpc("store_memory", {"content": "blue", "scope": "user"})["memory_id"]
        rows = rpc("query_memories", {"state": None, "limit": 100})["memories"]
        assert "blue" in [each["content"] for each in rows], rows
        changed = rpc("update_memory", {"memory_id": made, "content": "green", "importance": 0.9})["memory"]
        assert changed["content"] == "green" and changed["importance"] == 0.9, changed
        assert made in [each["memory_id"] for each in rpc("list_memories")["memories"]]
    with ledger.proven("deactivate_memory", "approve_memory", "delete_memory"):
        assert rpc("deactivate_memory", {"memory_id": made})["deactivated"] is True
        assert rpc("approve_memory", {"memory_id": made})["approved"] is True
        assert rpc("delete_memory", {"memory_id": made})["deleted"] is True
        assert made not in [each["memory_id"] for each in rpc("list_memories")["memories"]]


def skills():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("ui-skill/SKILL.md", "---\nname: ui-skill\ndescription: from the page\n---\nDo it.\n")
    data = base64.b64encode(packed.getvalue()).decode()
    with ledger.proven("skills_validate_zip", "skills_import", "skills_list", "skills_info", "skills_export"):
        assert rpc("skills_validate_zip", {"zip_data": data})["valid"] is True
        done = rpc("skills_import", {"zip_data": data, "tier": "personal", "allow_overwrite": False})
        assert done["imported_skills"] == ["ui-skill"], done
        row = [each for each in rpc("skills_list", {"include_metadata": True})["skills"] if each["name"] == "ui-skill"][0]
        assert {"description", "version", "author", "tier", "file_path"} <= set(row), row
        assert b"Do it." in rpc("read", {"path": row["file_path"]})
        assert rpc("skills_info", {"skill_name": "ui-skill"})["tier"] == "personal"
        assert rpc("skills_export", {"skill_name": "ui-skill", "format": "claude"})["zip_data"]
        rpc("rmdir", {"path": row["file_path"].rsplit("/", 1)[0], "recursive": True})
        assert "ui-skill" not in [each["name"] for each in rpc("skills_list")["skills"]]


def connectors():
    config = {"data_dir": HOST_DIR}
    with ledger.proven("list_mounts", "save_mount", "list_saved_mounts", "load_mount", "sync_mount"):
        assert {"mount_point", "priority", "readonly", "backend_type"} <= set(rpc("list_mounts")[0])
        place = "/mnt/ui"
        rpc("save_mount", {"mount_point": place, "backend_type": "local", "backend_config": config, "priority": 5})
        assert place in [each["mount_point"] for each in rpc("list_saved_mounts")]
        rpc("load_mount", {"mount_point": place})
        done = rpc("sync_mount", {"mount_point": place, "recursive": True})
        assert {"files_scanned", "files_created", "files_updated", "errors"} <= set(done), done
    with ledger.proven("remove_mount", "delete_saved_mount"):
        assert rpc("remove_mount", {"mount_point": place})["removed"] is True
        rpc("delete_saved_mount", {"mount_point": place})
        assert place not in [each["mount_point"] for each in rpc("list_saved_mounts")]
    with ledger.proven("oauth_list_providers", "oauth_list_credentials"):
        assert rpc("oauth_list_providers") == [] and rpc("oauth_list_credentials") == []
    for method, params in {
        "oauth_get_auth_url": {"provider": "gmail"},
        "oauth_exchange_code": {"provider": "gmail", "code": "c"},
        "oauth_revoke_credential": {"provider": "gmail", "user_email": "a@b"},
        "oauth_test_credential": {"provider": "gmail", "user_email": "a@b"},
    }.items():
        with ledger.refused(method):
            rpc(method, params)


def administration():
    with ledger.proven("admin_create_key", "admin_list_keys", "admin_get_key", "admin_update_key", "admin_revoke_key"):
        made = rpc("admin_create_key", {"user_id": "ina", "name": "page", "tenant_id": "default", "expires_days": 90})
        assert made["api_key"].startswith("sk-")
        page = rpc("admin_list_keys", {"user_id": "ina", "limit": 10, "offset": 0})
        assert page["total"] == 1 and page["keys"][0]["key_id"] == made["key_id"], page
        assert rpc("admin_get_key", {"key_id": made["key_id"]})["name"] == "page"
        assert rpc("admin_update_key", {"key_id": made["key_id"], "name": "new"})["name"] == "new"
        assert rpc("admin_revoke_key", {"key_id": made["key_id"]})["success"] is True
        assert fetch("GET", "/api/auth/whoami", key=made["api_key"]).json()["authenticated"] is False


def sandboxes():
    with ledger.proven("sandbox_create", "sandbox_get_or_create", "sandbox_list", "sandbox_status", "sandbox_stop"):
        asked = {"name": "admin,Ui", "provider": "docker", "ttl_minutes": 60, "verify_status": True}
        made = rpc("sandbox_get_or_create", asked)["sandbox_id"]
        row = rpc("sandbox_list", {"verify_status": True, "status": "active"})["sandboxes"][0]
        assert row["name"] == "admin,Ui" and {"sandbox_id", "status", "provider", "expires_at"} <= set(row), row
        assert rpc("sandbox_status", {"sandbox_id": made})["status"] == "active"
        assert rpc("sandbox_create", {"name": str(uuid.uuid4()), "provider": None})["status"] == "active"
        assert rpc("sandbox_stop", {"sandbox_id": made})["status"] == "stopped"
    with ledger.proven("sandbox_pause", "sandbox_resume"):
        box = rpc("sandbox_get_or_create", asked)
        made = box["sandbox_id"]
        assert rpc("sandbox_pause", {"sandbox_id": made})["status"] == "paused"
        assert rpc("sandbox_resume", {"sandbox_id": made})["status"] == "active"
    with (ledger.proven if box["capabilities"]["run"] else ledger.refused)("sandbox_run"):
        assert rpc("sandbox_run", {"sandbox_id": made, "language": "bash", "code": "echo 1"})["stdout"] == "1\n"
    place = {"sandbox_id": made, "provider": "docker", "sandbox_api_key": "k"}
    with ledger.proven("sandbox_connect", "sandbox_disconnect"):
        asked = {**place, "mount_path": "/mnt/nexus", "nexus_url": URL, "nexus_api_key": KEY}
        assert rpc("sandbox_connect", asked)["mount_status"]["success"]
        assert rpc("sandbox_connect", asked)["success"], "as often as a page is opened"
        assert rpc("sandbox_disconnect", place)["success"]


def main():
    for part in (login, browse, permissions, screens, skills, connectors, administration, sandboxes):
        try:
            part()
        except Exception as error:  # noqa: BLE001
            ledger.failures.append(f"{part.__name__}: {error!r}")
    ledger.finish()


main()
