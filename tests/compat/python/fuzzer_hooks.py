"""What the fuzzer must know of this server beside its document."""

import ast
import re
import threading

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection

# An address as the document has it that the server may not send to: no subscription of the fuzzer sends anything anywhere.
NOWHERE = "http://localhost:9/hook"
# As the document has it.
ADDRESS = re.compile(r"https?://[a-z0-9]+(\.[a-z][a-z0-9]*)*(:[1-9][0-9]{0,3})?(/[a-zA-Z0-9._-]*)*", re.ASCII)

# Python 3.11 counts the depth of what it parses in one place for all threads ("AST constructor recursion depth mismatch"),
# and the fuzzer's workers parse their own source.
PARSING = threading.RLock()
PARSE = ast.parse


def parse_alone(*args, **kwargs):
    with PARSING:
        return PARSE(*args, **kwargs)


ast.parse = parse_alone


@schemathesis.check
def rpc_refuses_what_breaks_the_schema(ctx, response, case):
    """A request that JSON-RPC refuses is answered with status 200 and an error object."""
    if response.status_code == 200 and case.path.startswith("/api/nfs/") and "error" in response.json():
        return
    negative_data_rejection(ctx, response, case)


@schemathesis.hook
def before_call(ctx, case, kwargs):
    if case.path == "/api/events" and case.method == "GET":
        does_not_wait(case)
    if case.path.startswith("/api/subscriptions") and isinstance(case.body, dict):
        case.body = sends_nothing(case.body)


def does_not_wait(case):
    """A stream has no end, and a wait is time: both are shown in tests/events."""
    query = dict(case.query or {})
    wait = query.get("wait", "0")
    if "wait" not in query or re.fullmatch("[0-9]{1,2}", str(wait)) and int(wait) <= 60:
        query["wait"] = "0"
    case.query = query


def sends_nothing(body):
    """What is a good address stays one, and what looks like one is no address at all. A body may be sent again, and be
    that of other cases, too."""
    url = body.get("url")
    if not isinstance(url, str) or not url.lower().startswith("http") or url == NOWHERE:
        return body
    return {**body, "url": NOWHERE if len(url) <= 2048 and ADDRESS.fullmatch(url) else "http://"}
