"""A bare client of MCP: lines to aileron-guest, or requests to /mcp, with nothing between the test and the wire."""
import http.client
import itertools
import json
import os
import queue
import subprocess
import threading
import urllib.parse

from house import BUILD, SLOW

GUEST = BUILD / "bin" / "aileron-guest"
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
MODERN = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
TASKS = {**MODERN, "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}}


def register(home, name="tester", kind="registered", **more):
    """An agent, with its token where the guest finds it"""
    got = home.request("POST", "/v1/agents", {"name": name, "kind": kind, **more})
    assert got.status == 201, got.body
    agent = got.json
    folder = home.state / "run" / "agents"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(folder / agent["id"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(agent["token"])
    return agent


class Guest:
    """aileron-guest as an agent program starts it."""

    def __init__(self, home, agent, cwd=None, env=None):
        self.process = subprocess.Popen([GUEST, "mcp", "--as", agent["id"]], env={**home.env, **(env or {})}, cwd=cwd,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.ids = itertools.count()
        self.answers, self.said, self.changed = {}, queue.Queue(), threading.Condition()
        self.ended = False
        self.readers = [threading.Thread(target=target, daemon=True) for target in (self.read, self.process.stderr.read)]
        for thread in self.readers:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            assert message["jsonrpc"] == "2.0", line
            with self.changed:
                if "method" in message:
                    self.said.put(message)
                else:
                    assert message.get("id") not in self.answers, "answered twice"
                    self.answers[message.get("id")] = message
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def begin(self, method, params=None):
        id = next(self.ids)
        self.send({"jsonrpc": "2.0", "id": id, "method": method, **({"params": params} if params is not None else {})})
        return id

    def answer(self, id, seconds=20):
        with self.changed:
            assert self.changed.wait_for(lambda: id in self.answers or self.ended, seconds * SLOW), f"no answer to {id}"
            assert id in self.answers, "the guest ended"
            return self.answers[id]

    def ask(self, method, params=None, seconds=20):
        answer = self.answer(self.begin(method, params), seconds)
        assert "result" in answer, answer
        return answer["result"]

    def notify(self, method, params=None):
        self.send({"jsonrpc": "2.0", "method": method, **({"params": params} if params is not None else {})})

    def hear(self, method, seconds=20):
        """The next notification of that name; what comes before it is dropped"""
        while True:
            message = self.said.get(timeout=seconds * SLOW)
            if message["method"] == method:
                return message

    def hello(self, **more):
        result = self.ask("initialize", {**HELLO, **more})
        self.notify("notifications/initialized")
        return result

    def call(self, name, arguments=None, **more):
        return self.ask("tools/call", {"name": name, "arguments": arguments or {}, **more})

    def tools(self):
        return [tool["name"] for tool in self.ask("tools/list")["tools"]]

    def close(self):
        if not self.process.stdin.closed:
            self.process.stdin.close()
        code = self.process.wait(10 * SLOW)
        with self.changed:
            self.changed.wait_for(lambda: self.ended, 10 * SLOW)
        for thread in self.readers:
            thread.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return code


class Web:
    """A client of Streamable HTTP, one request a connection."""

    def __init__(self, home, token):
        self.address = urllib.parse.urlsplit(home.discovery["url"])
        self.token, self.session, self.ids = token, None, itertools.count()

    def raw(self, method, body=None, headers=None, path="/mcp"):
        conn = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=30 * SLOW)
        sent = {"Accept": "application/json, text/event-stream", **({"Content-Type": "application/json"} if body else {}),
                **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
                **({"Mcp-Session-Id": self.session} if self.session else {}), **(headers or {})}
        try:
            conn.request(method, path, json.dumps(body) if body is not None else None, sent)
            got = conn.getresponse()
            return got.status, got.headers, got.read().decode()
        finally:
            conn.close()

    def post(self, method, params=None, notification=False):
        body = {"jsonrpc": "2.0", "method": method, **({"params": params} if params is not None else {})}
        if not notification:
            body["id"] = next(self.ids)
        headers = {}
        if "_meta" in (params or {}):
            headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
            name = params.get("name") or params.get("taskId")
            headers.update({"Mcp-Name": name} if name else {})
        status, got, text = self.raw("POST", body, headers)
        if got.get("Mcp-Session-Id"):
            self.session = got["Mcp-Session-Id"]
        if notification:
            assert status == 202, (status, text)
            return None
        if got.get("Content-Type") == "text/event-stream":
            messages = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
            return next(message for message in messages if message.get("id") == body["id"])
        assert text, status
        return json.loads(text)

    def ask(self, method, params=None):
        answer = self.post(method, params)
        assert "result" in answer, answer
        return answer["result"]

    def hello(self):
        result = self.ask("initialize", HELLO)
        self.post("notifications/initialized", notification=True)
        return result

    def call(self, name, arguments=None, **more):
        return self.ask("tools/call", {"name": name, "arguments": arguments or {}, **more})

    def tools(self):
        return [tool["name"] for tool in self.ask("tools/list")["tools"]]
