#!/usr/bin/env python3
"""The seven waves against a server that speaks the Nexus HTTP API, every body checked. Standard library only.

    nexus-lite demo                                  # in another terminal; it prints the path of its manifest
    python3 seven_waves.py                           # right bodies from one serial run before the load
    python3 seven_waves.py --expect DIR/demo-manifest.json --rounds 5 --scale 3

Against Nexus 0.6.4:

    python3 seven_waves.py --nexus --url http://127.0.0.1:8080 --key sk-...

`--nexus` asks rebac_list_tuples with the parameters that Nexus knows, and takes the answer that no sandbox provider is
configured for a right one. A wave passes only if every body is right: no error object, the full list, not HTTP 200
alone. The exit code is 0 if all are, 1 on any miss, 69 if there is no server.
"""
import argparse
import datetime
import http.client
import json
import sys
import threading
import time
import urllib.parse

DEMO_KEY = "sk-default_admin_dddddddd_eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
HOME = "/tenant:default/user:admin"
SANDBOXES = ("admin,ImpersonatedUser", "admin,UntrustedAgent")
TIMEOUT_SECONDS = 120  # the incumbent freezes for up to 90 s
HEALTH_PAUSE_SECONDS = 0.01
REASONS_SHOWN = 10
NO_PROVIDER = "No sandbox providers available"


def plan(nexus):
    """The thirty operations: (wave, method, params)."""
    agent = lambda name: {"subject": ["agent", name]} if nexus else {"subject_type": "agent", "subject_id": name}
    lists = lambda wave, *paths: [(wave, "list", {"path": path}) for path in paths]
    skills = lambda wave, times: [(wave, "skills_list", {})] * times
    operations = [(1, "list_mounts", {})] + lists(1, "/", "/tenant:default/", HOME + "/")
    operations += [(2, "list_agents", {}), (2, "rebac_list_tuples", agent("admin")), (2, "list_workspaces", {})]
    operations += skills(3, 5)
    operations += lists(4, *(f"{HOME}/{folder}/" for folder in ("skill", "agent", "workspace")))
    operations += skills(5, 3)
    operations += [(6, "sandbox_get_or_create", {"name": name}) for name in SANDBOXES]
    operations += skills(7, 10)
    return operations, ("rebac_list_tuples", agent("admin,UntrustedAgent"))


class Client:
    """Connections that are kept, one per place in a wave."""

    def __init__(self, url, key):
        self.address = urllib.parse.urlsplit(url)
        self.key = key
        self.idle = []
        self.lock = threading.Lock()

    def connect(self):
        kind = http.client.HTTPSConnection if self.address.scheme == "https" else http.client.HTTPConnection
        return kind(self.address.hostname, self.address.port, timeout=TIMEOUT_SECONDS)

    def request(self, verb, path, body=None):
        """(status, bytes); raises OSError or HTTPException."""
        headers = {"Authorization": "Bearer " + self.key, "Content-Type": "application/json"}
        with self.lock:
            connection = self.idle.pop() if self.idle else None
        for fresh in ([False] if connection else []) + [True]:
            connection = self.connect() if fresh else connection
            try:
                connection.request(verb, self.address.path.rstrip("/") + path, body, headers)
                reply = connection.getresponse()
                answer = reply.status, reply.read()
                break
            except (OSError, http.client.HTTPException):
                connection.close()
                if fresh:
                    raise
        with self.lock:
            self.idle.append(connection)
        return answer

    def call(self, method, params):
        """(result, None) or (None, what is wrong)."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        try:
            status, raw = self.request("POST", "/api/nfs/" + method, body)
        except (OSError, http.client.HTTPException) as error:
            return None, f"no reply: {error!r}"
        try:
            reply = json.loads(raw)
        except ValueError:
            return None, f"HTTP {status}, not JSON: {raw[:80]!r}"
        if not isinstance(reply, dict):
            return None, f"HTTP {status}, not an object: {raw[:80]!r}"
        if reply.get("error"):
            return None, "error: " + str(reply["error"].get("message"))
        if status != 200 or "result" not in reply:
            return None, f"HTTP {status} without a result: {raw[:80]!r}"
        return reply["result"], None


def moment(value):
    """A time of the wire, as text or wrapper, in UTC; None if it is none."""
    text = value.get("data") if isinstance(value, dict) else value
    try:
        at = datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=datetime.timezone.utc)


def matches_pattern(kind, wanted, found):
    """The patterns of the manifest: what cannot be known beforehand is still looked at."""
    if kind == "$time_us":
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return moment(found) == epoch + datetime.timedelta(microseconds=wanted)
    tests = {
        "anything": lambda: True,
        "text": lambda: isinstance(found, str) and found != "",
        "number": lambda: isinstance(found, (int, float)) and not isinstance(found, bool),
        "time": lambda: moment(found) is not None,
    }
    return kind == "$any" and tests[wanted]()


def difference(place, wanted, found):
    """The first place where a body is not as it should be, or None."""
    if isinstance(wanted, dict) and len(wanted) == 1 and next(iter(wanted)).startswith("$"):
        kind, inner = next(iter(wanted.items()))
        if kind == "$optional":
            return difference(place, inner, found)
        return None if matches_pattern(kind, inner, found) else f"{place} is {found!r:.80}, not {kind} {inner}"
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            if key in found:
                wrong = difference(f"{place}.{key}", value, found[key])
                if wrong:
                    return wrong
            elif not (isinstance(value, dict) and "$optional" in value):
                return f"{place}.{key} is missing"
        unknown = [key for key in found if key not in wanted]
        return f"{place}.{unknown[0]} should not be there" if unknown else None
    if isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            gone = [item for item in wanted if item not in found]
            return f"{place} has {len(found)} of {len(wanted)} entries" + (f"; missing: {gone[0]!r:.80}" if gone else "")
        return next(filter(None, (difference(f"{place}[{n}]", w, f) for n, (w, f) in enumerate(zip(wanted, found)))), None)
    same = wanted == found and isinstance(wanted, bool) == isinstance(found, bool)
    return None if same else f"{place} is {found!r:.80}, not {wanted!r:.80}"


def name(method, params):
    """Method and texts of the parameters."""
    texts = [" ".join(v) if isinstance(v, list) else v for v in params.values()]
    return " ".join([method] + texts)


def moving(result):
    """Masks what changes in a sandbox from one answer to the next."""
    masks = {"last_active_at": "time", "expires_at": "time", "uptime_seconds": "number"}
    masked = {**result, **{key: {"$any": kind} for key, kind in masks.items() if key in result}}
    return {**masked, **{key: {"$optional": {"$any": "anything"}} for key in ("verified", "provider_status")}}


def serial_run(client, operations, nexus):
    """What the server answers when it is asked one after the other."""
    expected = {}
    for _, method, params in operations:
        if name(method, params) in expected:
            continue
        result, wrong = client.call(method, params)
        if wrong is None:
            expected[name(method, params)] = moving(result) if method == "sandbox_get_or_create" else result
        elif not (nexus and NO_PROVIDER in wrong):
            print(f"serial run: {name(method, params)}: {wrong}", file=sys.stderr)
    return expected


def at_once(client, operations):
    """Sends all at the same moment: (seconds, result, what is wrong) in order."""
    start, answers = threading.Barrier(len(operations)), [None] * len(operations)

    def one(at):
        _, method, params = operations[at]
        start.wait()
        began = time.perf_counter()
        result, wrong = client.call(method, params)
        answers[at] = time.perf_counter() - began, result, wrong

    threads = [threading.Thread(target=one, args=(at,)) for at in range(len(operations))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def watch_health(client, over, seen):
    while not over.is_set():
        began = time.perf_counter()
        try:
            status, _ = client.request("GET", "/health")
        except (OSError, http.client.HTTPException):
            status = 0
        seen.append((time.perf_counter() - began, status == 200))
        over.wait(HEALTH_PAUSE_SECONDS)


def percentile(times, share):
    ordered = sorted(times)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)] * 1000


def judge(method, params, result, wrong, expected, witnessed, nexus):
    """None if the answer is right, else what is wrong with it."""
    if wrong is not None:
        return None if nexus and NO_PROVIDER in wrong else wrong
    key = name(method, params)
    if key not in expected:
        return "no body is known to be right"
    wrong = difference("result", expected[key], result)
    if wrong is None and method == "rebac_list_tuples" and result == [] and not witnessed:
        return "empty, and the tuples of admin,UntrustedAgent are gone, too"
    return wrong


def report(rows, seen, expectations):
    """Prints the table; returns whether all is right."""
    print(f"right bodies from {expectations}\n")
    lines = {}
    for wave, key, seconds, wrong in rows:
        lines.setdefault((wave, key), []).append((seconds, wrong))
    width = max(len(key) for _, key in lines)
    print(f"wave  {'operation':{width}}   sent right    p50 ms    p99 ms  verdict")
    for (wave, key), answers in lines.items():
        times, right = [s for s, _ in answers], sum(1 for _, wrong in answers if wrong is None)
        verdict = "right" if right == len(answers) else "WRONG"
        p50, p99 = percentile(times, 50), percentile(times, 99)
        print(f"{wave:>4}  {key:{width}}  {len(answers):>5} {right:>5} {p50:>9.2f} {p99:>9.2f}  {verdict}")
    if seen:
        worst, failed = max(s for s, _ in seen) * 1000, sum(1 for _, ok in seen if not ok)
        print(f"\n/health meanwhile: worst {worst:.2f} ms of {len(seen)} polls, {failed} failed")
    reasons = {}
    for _, key, _, wrong in rows:
        if wrong is not None:
            reasons[f"{key}: {wrong}"] = reasons.get(f"{key}: {wrong}", 0) + 1
    for reason, count in sorted(reasons.items(), key=lambda item: -item[1])[:REASONS_SHOWN]:
        print(f"{count} x {reason}")
    right = sum(1 for row in rows if row[3] is None)
    print(f"{right} of {len(rows)} right: {'every body is right' if right == len(rows) else 'FAILED'}")
    return right == len(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--key", default=DEMO_KEY, help="default: the key of the demo")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--expect", metavar="FILE", help="the right bodies, e.g. the demo's manifest")
    source.add_argument("--serial", action="store_true", help="the right bodies from one serial run (the default)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--scale", type=int, default=1, help="how many times as wide")
    parser.add_argument("--nexus", action="store_true", help="the server is Nexus 0.6.4 (see above)")
    args = parser.parse_args()

    client = Client(args.url, args.key)
    operations, witness = plan(args.nexus)
    result, wrong = client.call(*witness)
    if wrong and wrong.startswith("no reply"):
        print(f"error: {args.url}: {wrong}", file=sys.stderr)
        sys.exit(69)
    witnessed = wrong is None and bool(result)
    if args.expect:
        with open(args.expect, encoding="utf-8") as opened:
            read = json.load(opened)
        expected = {name(o["method"], o["params"]): o["result"] for o in read["operations"]}
        expectations = f"{args.expect} ({read['source']})"
    else:
        expected, expectations = serial_run(client, operations, args.nexus), "one serial run before the load"

    over, seen, rows, made = threading.Event(), [], [], {}
    watcher = threading.Thread(target=watch_health, args=(client, over, seen), daemon=True)
    watcher.start()
    for _ in range(args.rounds):
        for wave in range(1, 8):
            wide = [o for o in operations if o[0] == wave for _ in range(args.scale)]
            for (_, method, params), (seconds, result, wrong) in zip(wide, at_once(client, wide)):
                wrong = judge(method, params, result, wrong, expected, witnessed, args.nexus)
                if method == "sandbox_get_or_create" and wrong is None and result is not None:
                    first = made.setdefault(params["name"], result["sandbox_id"])
                    wrong = None if first == result["sandbox_id"] else "two sandboxes for one name"
                rows.append((wave, name(method, params), seconds, wrong))
    over.set()
    watcher.join()
    rows.sort(key=lambda row: row[0])
    sys.exit(0 if report(rows, seen, expectations) else 1)


if __name__ == "__main__":
    main()
