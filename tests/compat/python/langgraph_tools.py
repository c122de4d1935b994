"""The client's tools for LangGraph, called as the framework calls them."""

from nexus_client import AsyncRemoteNexusFS
from nexus_client.langgraph.prompt import skills_discover
from nexus_client.langgraph.tools import get_nexus_tools, list_connectors, list_skills
from proof import Ledger, connection, run

URL, KEY, _ = connection()
ledger = Ledger("langgraph_tools")
ledger.listen(AsyncRemoteNexusFS)
CONFIG = {"metadata": {"x_auth": f"Bearer {KEY}", "nexus_server_url": URL, "sandbox_id": "none"}}


async def main():
    tools = {tool.name: tool.coroutine for tool in get_nexus_tools()}
    with ledger.proven("write", "exists", "read", "glob", "grep", "stat"):
        said = await tools["write_file"](path="/mnt/nexus/graph/a.py", content="import os\nprint(1)\n", config=CONFIG)
        assert said == "Successfully wrote 19 bytes to /graph/a.py", said
        assert "import os" in await tools["read_file"](read_cmd="cat /graph/a.py", config=CONFIG)
        assert "/graph/a.py" in await tools["glob_files"](pattern="*.py", path="/graph", config=CONFIG)
        found = await tools["grep_files"](pattern="print", path="/graph", config=CONFIG)
        assert "/graph/a.py:2:print(1)" in found, found
        assert "No matches" in await tools["grep_files"](pattern="absent", path="/graph", config=CONFIG)
        assert "not found" in (await tools["read_file"](read_cmd="cat /graph/none", config=CONFIG)).lower()
    with ledger.proven("list_mounts"):
        assert "/" in [row["mount_point"] for row in await list_connectors(CONFIG)]
    absent = "the client's asynchronous class has no such operation, with any server"
    with ledger.differs("langgraph.list_skills", absent):
        await list_skills(CONFIG)
    for language in ("python", "bash"):
        answer = await tools[language](**{"code" if language == "python" else "command": "1"}, config=CONFIG)
        assert answer.startswith("Error executing"), answer
    # There is no such sandbox; the other scripts show that one runs.
    ledger.called.discard("sandbox_run")
    later = "the method of a later server; skills_list and skills_search do its work"
    try:
        await skills_discover(CONFIG)
    except Exception:  # noqa: BLE001
        ledger.differences["langgraph.skills_discover"] = later
    ledger.called.discard("skills_discover")
    unknown = set(tools) - {"grep_files", "glob_files", "read_file", "write_file", "python", "bash"}
    assert not unknown, unknown
    ledger.finish()


run(main)
