#!/usr/bin/env python3
"""Writes 100,000 text files of 10 KiB (1 GiB), searches them all, and asks something small all the time meanwhile.

    python3 examples/python/grep_gigabyte.py --url http://127.0.0.1:8080 --key sk-... [--files 100000]

Standard library only. Prints when the first result came, how long all took, and what the small request waited. Exit
code 1 if a result is missing or the search says that it is not complete. What is written stays below /grep-gigabyte.
"""

import argparse
import base64
import http.client
import json
import sys
import threading
import time
import urllib.parse

ROOT = "/grep-gigabyte"
FILES_PER_REQUEST = 200
FILES_PER_DIRECTORY = 1000
LINES_PER_FILE = 220
# One file in so many has what is searched for.
ONE_IN = 100


class Server:
    def __init__(self, url, key):
        self.netloc = urllib.parse.urlsplit(url).netloc
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.connection = http.client.HTTPConnection(self.netloc, timeout=600)

    def ask(self, method, params, **headers):
        body = json.dumps({"params": params})
        self.connection.request("POST", f"/api/nfs/{method}", body, {**self.headers, **headers})
        return self.connection.getresponse()

    def call(self, method, params):
        answer = json.load(self.ask(method, params))
        if "error" in answer:
            sys.exit(f"{method}: {answer['error']['message']}")
        return answer["result"]


def text(number):
    lines = f"the quick brown fox jumps over the lazy dog {number}\n" * LINES_PER_FILE
    return lines + ("needle\n" if number % ONE_IN == 0 else "")


def write(server, files):
    for first in range(0, files, FILES_PER_REQUEST):
        batch = []
        for number in range(first, min(first + FILES_PER_REQUEST, files)):
            data = base64.b64encode(text(number).encode()).decode()
            path = f"{ROOT}/d{number // FILES_PER_DIRECTORY}/f{number}.txt"
            batch.append([path, {"__type__": "bytes", "data": data}])
        server.call("write_batch", {"files": batch})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--files", type=int, default=100_000)
    options = parser.parse_args()
    server = Server(options.url, options.key)
    began = time.monotonic()
    write(server, options.files)
    print(f"{options.files} files written in {time.monotonic() - began:.1f} s")

    waits, over = [], threading.Event()

    def small_requests():
        other = Server(options.url, options.key)
        while not over.is_set():
            began = time.monotonic()
            assert other.call("exists", {"path": f"{ROOT}/d0/f0.txt"})["exists"] is True
            waits.append(time.monotonic() - began)

    beside = threading.Thread(target=small_requests)
    beside.start()
    began, first, lines = time.monotonic(), None, []
    pattern = {"pattern": "needle", "path": ROOT, "max_results": 10_000}
    for line in server.ask("grep", pattern, Accept="application/x-ndjson"):
        first = first or time.monotonic() - began
        lines.append(json.loads(line))
    took = time.monotonic() - began
    over.set()
    beside.join()
    *found, end = lines
    print(f"grep: first result after {first * 1e3:.1f} ms, {len(found)} results in {took:.2f} s")
    waits.sort()
    p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    print(
        f"exists meanwhile: {len(waits)} answers, p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, "
        f"worst {waits[-1] * 1e3:.2f} ms"
    )
    right = end.get("complete") is True and len(found) == -(-options.files // ONE_IN)
    sys.exit(0 if right else f"wrong: {end}")


if __name__ == "__main__":
    main()
