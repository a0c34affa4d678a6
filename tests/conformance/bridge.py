"""HTTP in front of a process that speaks lines: what the conformance suite needs to reach the door of lines.

The bridge is the tests' own. Each handshake gets a process of its own; all requests that stand alone share one, on which
their ids and progress tokens are made unique and put back. Every message comes from the process; what only HTTP has
(Host, status, session ids, whether a header says what the body says) is the bridge's, so scenarios about that alone say
nothing of the door and are not counted there.
"""
import http.server
import itertools
import json
import queue
import subprocess
import threading
import uuid

PREFIX = "io.modelcontextprotocol/"
MODERN = "2026-07-28"
LEGACY = {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}
STATUS = {-32601: 404, -32020: 400, -32021: 400, -32022: 400}


class Process:
    """one process and who waits for what it says"""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lock = threading.Lock()
        self.waiting = {}  # our id -> (queue, their id, their token)
        self.numbers = itertools.count(1)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def send(self, message):
        with self.lock:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def request(self, message):
        """a queue of what the process says of it, the response last"""
        ours, said = f"bridge-{next(self.numbers)}", queue.Queue()
        meta = (message.get("params") or {}).get("_meta", {})
        with self.lock:
            self.waiting[ours] = (said, message["id"], meta.get("progressToken"))
        if "progressToken" in meta:
            meta["progressToken"] = ours
        self.send({**message, "id": ours})
        return ours, said

    def read(self):
        for line in self.process.stdout:
            self.take(json.loads(line))

    def take(self, message):
        params = message.get("params", {})
        subscription = params.get("_meta", {}).get(PREFIX + "subscriptionId")
        with self.lock:
            if "method" not in message:
                ours = message.get("id")
            elif message["method"] == "notifications/progress":
                ours = params["progressToken"]
            else:
                ours = subscription
            entry = self.waiting.get(ours)
            # What names no request (logs, questions of a session) goes to whoever waits for an answer.
            entries = [entry] if entry else list(self.waiting.values()) if ours is None else []
            if "method" not in message:
                self.waiting.pop(ours, None)
        for said, theirs, token in entries:
            said.put(self.put_back(message, theirs, token, subscription))

    def put_back(self, message, theirs, token, subscription):
        message = json.loads(json.dumps(message))
        if "method" not in message:
            message["id"] = theirs
        elif message["method"] == "notifications/progress":
            message["params"]["progressToken"] = token
        if subscription is not None:
            message["params"]["_meta"][PREFIX + "subscriptionId"] = theirs
        return message

    def cancel(self, ours):
        with self.lock:
            self.waiting.pop(ours, None)
        if self.process.stdin.closed:
            return
        self.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": ours}})

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=30)
        self.reader.join()
        self.process.stdout.close()
        return code


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, message=None, headers=()):
        body = b"" if message is None else json.dumps(message).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def event(self, message):
        data = f"data: {json.dumps(message)}\n\n".encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def refuse(self, status, code, why, ident=None):
        error = {"jsonrpc": "2.0", "error": {"code": code, "message": why}}
        self.answer(status, error if ident is None else {**error, "id": ident})

    def is_foreign(self):
        port = self.server.server_address[1]
        return self.headers.get("Host") not in (f"localhost:{port}", f"127.0.0.1:{port}")

    def do_GET(self):
        self.answer(405, headers=[("Allow", "POST, DELETE")])

    def do_DELETE(self):
        process = self.server.sessions.pop(self.headers.get("Mcp-Session-Id"), None)
        if process:
            self.server.codes.append(process.close())
        self.answer(204 if process else 404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.is_foreign():
            self.refuse(403, -32600, "not here")
            return
        message = json.loads(body)
        claimed = ((message.get("params") or {}).get("_meta") or {}).get(PREFIX + "protocolVersion")
        version = self.headers.get("MCP-Protocol-Version")
        if claimed is not None or (message.get("method") != "initialize" and version and version not in LEGACY):
            self.post_modern(message, claimed, version)
        else:
            self.post_legacy(message)

    def post_modern(self, message, claimed, version):
        if "id" not in message:
            self.answer(202)
        elif claimed is not None and claimed != version:
            self.refuse(400, -32020, "the header is not the claim", message["id"])
        else:
            self.relay(self.server.shared, message, claimed is not None)

    def post_legacy(self, message):
        if message.get("method") == "initialize":
            name = uuid.uuid4().hex
            process = self.server.sessions[name] = Process(self.server.command)
            self.relay(process, message, False, [("Mcp-Session-Id", name)], legacy=True)
            return
        process = self.server.sessions.get(self.headers.get("Mcp-Session-Id"))
        if process is None:
            self.refuse(404, -32600, "no such session")
        elif "id" in message and "method" in message:
            self.relay(process, message, False, legacy=True)
        else:
            process.send(message)
            self.answer(202)

    def relay(self, process, message, claims, headers=(), legacy=False):
        ours, said = process.request(message)
        first = said.get(timeout=60)
        if "method" not in first:
            code = first.get("error", {}).get("code")
            status = 200 if code is None or legacy else STATUS.get(code, 200 if claims else 400)
            # A request whose _meta is incomplete is told apart from bad params by its status alone.
            meta = (message.get("params") or {}).get("_meta", {})
            if code == -32602 and not legacy and PREFIX + "clientCapabilities" not in meta:
                status = 400
            self.answer(status, first, headers)
            return
        self.send_response(200)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self.stream(first, said)
        except OSError:
            process.cancel(ours)
            self.close_connection = True

    def stream(self, first, said):
        message = first
        while True:
            self.event(message)
            if "method" not in message:
                break
            while True:
                try:
                    message = said.get(timeout=0.5)
                    break
                except queue.Empty:
                    self.wfile.write(b"8\r\n: here\n\n\r\n")  # fails when the client is gone
                    self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


class Bridge(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, command):
        super().__init__(("127.0.0.1", 0), Handler)
        self.command, self.sessions, self.shared, self.codes = command, {}, Process(command), []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        """the processes' exit codes"""
        self.shutdown()
        self.server_close()
        return self.codes + [process.close() for process in [self.shared, *self.sessions.values()]]
