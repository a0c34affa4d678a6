"""A person's home with a daemon of its own: the real programs, the real command line, and every answer of the API held
against the schema that the daemon itself publishes."""
import contextlib
import ctypes
import dataclasses
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse

import jsonschema

from house import BUILD, ROOT, SANITIZED, SLOW, connector, environment

AILERON = BUILD / "bin" / "aileron"
PASSPHRASE = "correct horse battery staple"


@dataclasses.dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self):
        assert self.code == 0, (self.code, self.out, self.err)
        return json.loads(self.out)

    @property
    def lines(self):
        """NDJSON, as lists print it; an empty list prints []"""
        assert self.code == 0, (self.code, self.out, self.err)
        return [] if self.out.strip() == "[]" else [json.loads(line) for line in self.out.splitlines()]


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Home:
    """with Home() as home: home.cli("vault", "init") …; the daemon is ended at the end, however that comes."""

    def __init__(self, ca=None, **env):
        self.folder = tempfile.TemporaryDirectory(prefix="aileron-home-")
        self.root = pathlib.Path(self.folder.name)
        self.state = self.root / ".aileron"
        self.env = environment(AILERON_HOME=str(self.state), AILERON_VAULT_PASSPHRASE=PASSPHRASE,
                               AILERON_CA_FILE=str(ca) if ca else None, **env)
        self.env["HOME"] = str(self.root)
        self.schema = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cli("daemon", "stop")
        with contextlib.suppress(OSError, ValueError, KeyError):
            os.kill(json.loads((self.state / "daemon.json").read_text())["pid"], signal.SIGKILL)
        self.folder.cleanup()

    # ------------------------------------------------------------------------------------------------ the command line

    def command(self, *args):
        return [str(AILERON), *map(str, args)]

    def cli(self, *args, stdin=None, env=None, timeout=60):
        """One verb, without a terminal."""
        done = subprocess.run(self.command(*args), env={**self.env, **(env or {})}, input=stdin, capture_output=True,
                              timeout=timeout * SLOW, text=True, start_new_session=True)
        return Ran(done.returncode, done.stdout, done.stderr)

    def ok(self, *args, **more):
        done = self.cli(*args, **more)
        assert done.code == 0, (args, done.code, done.out, done.err)
        return done

    def start(self):
        self.ok("daemon", "start")
        return self.discovery

    @property
    def discovery(self):
        return json.loads((self.state / "daemon.json").read_text())

    def process(self, name):
        """pid of a child of the daemon, as `status` shows it; None while it does not run"""
        for process in self.ok("status", "--json").json["processes"]:
            if process["role"] == name:
                return process.get("pid")
        raise KeyError(name)

    # ------------------------------------------------------------------------------------------------------------ the API

    def request(self, method, path, body=None, token=None, headers=None, check=True):
        """Over TCP with the daemon's token (token="" sends none); the answer is checked against its schema."""
        where = self.discovery
        address = urllib.parse.urlsplit(where["url"])
        conn = http.client.HTTPConnection(address.hostname, address.port, timeout=30 * SLOW)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        if token != "":
            sent["Authorization"] = "Bearer " + (token or where["token"])
        sent.update(headers or {})
        try:
            conn.request(method, path, json.dumps(body) if isinstance(body, (dict, list)) else body, sent)
            got = conn.getresponse()
            answer = Answer(got.status, got.headers, got.read().decode())
        finally:
            conn.close()
        if check:
            self.validate(method, path, answer)
        return answer

    def openapi(self):
        if self.schema is None:
            self.schema = self.request("GET", "/openapi.json", token="", check=False).json
        return self.schema

    def validate(self, method, path, answer):
        """Whether the answer is one that the API's own description allows."""
        document = self.openapi()
        path = path.split("?")[0]
        for route, methods in document["paths"].items():
            pattern = re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", re.escape(route))
            operation = methods.get(method.lower())
            if operation is None or not re.fullmatch(pattern, path):
                continue
            responses = operation["responses"]
            said = responses.get(str(answer.status)) or responses.get("default")
            assert said is not None, f"{method} {route} answers {answer.status}, which its description does not know"
            if "$ref" in said:
                said = resolve(document, said["$ref"])
            for kind, content in said.get("content", {}).items():
                if kind == "application/json" and answer.headers.get("Content-Type", "").startswith(kind):
                    schema = {**content["schema"], "components": document["components"]}
                    jsonschema.Draft202012Validator(schema).validate(answer.json)
            return
        assert answer.status in (401, 404, 405), f"no route of the description fits {method} {path}"

    # ------------------------------------------------------------------------------------------------------------- helpers

    def init(self):
        self.ok("vault", "init")

    def link(self, name, port=None, manifest=None, fqn=None, folder=None):
        """Links a copy of an example connector whose manifest names this machine's port."""
        folder = self.root / ("connector-" + (folder or fqn or name))
        folder.mkdir(exist_ok=True)
        shutil.copy(connector(name), folder / "connector.wasm")
        (folder / "manifest.toml").write_text(manifest or manifest_of(name, port))
        return self.ok("connector", "link", folder, *(["--name", fqn] if fqn else []), "--json").json

    def events(self, *flags):
        return [line["event"] for line in self.ok("audit", "list", "--limit", "1000", "--json", *flags).lines]


def resolve(document, ref):
    for part in ref.lstrip("#/").split("/"):
        document = document[part]
    return document


def manifest_of(name, port, credential='kind = "api_key"'):
    """A manifest for the example connectors that reaches this machine alone."""
    return f"""[connector]
name = "github://acme/{name}"
version = "1.0.0"
publisher = "acme"

[capabilities.network]
hosts = ["127.0.0.1:{port}"]

[capabilities.credential]
{credential}
"""


def adopt_orphans():
    """From now on whatever loses its parent below this process becomes its child, instead of escaping what is looked at."""
    PR_SET_CHILD_SUBREAPER = 36
    assert ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def programs_below(root=None):
    """{pid: name} of the programs of ours that run below a process, without those that have ended"""
    parents, names = {}, {}
    for proc in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name, _, rest = (proc / "stat").read_text().partition("(")[2].rpartition(")")
            state, parent = rest.split()[:2]
            parents[int(proc.name)] = int(parent)
            if name.startswith("aileron") and state not in "ZX":
                names[int(proc.name)] = name
    root = root or os.getpid()

    def is_below(pid):
        while pid not in (0, root):
            pid = parents.get(pid, 0)
        return pid == root
    return {pid: name for pid, name in names.items() if is_below(pid)}


def wait_for(condition, what, seconds=20):
    """Polls for what is told by nothing that could be waited on; answers what the condition gave."""
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        got = condition()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds * SLOW} s for {what}")
