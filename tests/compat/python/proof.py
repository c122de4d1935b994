"""What the scripts of this folder share: who they are, what they have proven, and how they say it.

A script calls every operation that a client offers. `proven` names the methods whose effect the block below it has
asserted, `refused` those that must answer with a typed refusal. At the end the ledger goes to standard output as one
object, and a public operation that nobody has called fails the script.
"""

import asyncio
import contextlib
import inspect
import json
import re
import sys
import traceback

# The number of a truthful "not supported here".
NOT_SUPPORTED = -32013


class Ledger:
    def __init__(self, name):
        self.name = name
        self.methods = {}
        self.called = set()
        self.operations = set()
        self.differences = {}
        self.failures = []

    def listen(self, client_class):
        """Writes down which methods go out and which operations are used."""
        outer = self
        call = client_class.__dict__.get("_call_rpc")
        if call is not None:

            def heard(this, method, *args, **kwargs):
                outer.called.add(method)
                return call(this, method, *args, **kwargs)

            client_class._call_rpc = heard
        for name, operation in public(client_class).items():
            setattr(client_class, name, self._counting(f"{client_class.__name__}.{name}", operation))

    def _counting(self, full_name, operation):
        def counted(*args, **kwargs):
            self.operations.add(full_name)
            return operation(*args, **kwargs)

        counted.of = operation
        return counted

    @contextlib.contextmanager
    def proven(self, *methods):
        """The block asserts what these methods do."""
        try:
            yield
            for method in methods:
                self.methods[method] = {"verdict": "works"}
        except Exception:  # noqa: BLE001: every failure is told, none ends the script
            self._failed(" ".join(methods))

    @contextlib.contextmanager
    def refused(self, method):
        """The block calls what this server does not offer; it must say so, with a reason."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            said = re.search(r"RPC error \[(-?\d+)\]: (.+)", str(error), re.DOTALL)
            if said and int(said.group(1)) == NOT_SUPPORTED and len(said.group(2)) > 20:
                self.methods[method] = {"verdict": "refused", "reason": said.group(2)}
            else:
                self._failed(method)
        else:
            self.failures.append(f"{method}: answered, and should be refused")

    @contextlib.contextmanager
    def differs(self, operation, because):
        """The block shows an operation that fails here on purpose, or in every server."""
        try:
            yield
        except Exception:  # noqa: BLE001
            self.differences[operation] = because
        else:
            self.failures.append(f"{operation}: works, and is said to differ: {because}")

    def _failed(self, what):
        lines = traceback.format_exc().strip().splitlines()
        frames = [line.strip() for line in lines if "line " in line and "compat" in line]
        self.failures.append(f"{what}: {lines[-1]} ({frames[-1] if frames else ''})")

    def finish(self, *classes):
        for cls in classes:
            for name in public(cls):
                if f"{cls.__name__}.{name}" not in self.operations:
                    self.failures.append(f"{cls.__name__}.{name}: no line of the script calls it")
        if not self.failures:
            for method in sorted(self.called - set(self.methods)):
                self.failures.append(f"{method}: called, and nothing says what it did")
        print(json.dumps({
            "script": self.name,
            "methods": self.methods,
            "operations": len(self.operations),
            "differences": self.differences,
            "failures": self.failures,
        }))
        sys.exit(1 if self.failures else 0)


def public(cls):
    """The operations that a class offers."""
    return {
        name: getattr(value, "of", value)
        for name, value in vars(cls).items()
        if not name.startswith("_") and inspect.isfunction(value)
    }


def raises(kind, call, *args, **kwargs):
    """What it raises; nothing else will do."""
    try:
        call(*args, **kwargs)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was to come")


async def raises_later(kind, waiting):
    try:
        await waiting
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was to come")


def connection():
    """Address, the key of the one who rules all, a directory of the host that may be mounted."""
    url, key, host_dir = sys.argv[1:4]
    return url, key, host_dir


def run(main):
    asyncio.run(main())
