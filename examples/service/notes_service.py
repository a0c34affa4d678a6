#!/usr/bin/env python3
"""The notes service that the example connectors talk to: a small HTTPS API on loopback, for trying and for tests.

    notes_service.py FOLDER [--stay]

Makes a certificate for notes.example.com and 127.0.0.1 in FOLDER (cert.pem, its own authority), listens on a free port of 127.0.0.1,
prints one line `{"port": …, "ca": "…"}` and serves until its standard input ends (with --stay: until it is killed). The token is read from the environment
variable NOTES_TOKEN; a request without it as a bearer token is answered 401.
"""
import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import threading


def make_certificate(folder):
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", key, "-out", cert, "-subj", "/CN=notes.example.com",
         "-addext", "subjectAltName=DNS:notes.example.com,IP:127.0.0.1"],
        check=True, capture_output=True)
    return cert, key


class Notes(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    token = ""
    notes = [{"id": 1, "title": "water the plants"}, {"id": 2, "title": "read the manifest"}]
    lock = threading.Lock()

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def allowed(self):
        if self.path != "/v1/notes":
            self.answer(404, {"error": "no such resource"})
        elif self.headers.get("Authorization") != "Bearer " + self.token:
            self.answer(401, {"error": "the token is missing or wrong"})
        else:
            return True
        return False

    def do_GET(self):
        if self.allowed():
            with self.lock:
                self.answer(200, {"notes": self.notes})

    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 65536))
        if not self.allowed():
            return
        with self.lock:
            note = {"id": len(self.notes) + 1, "title": str(json.loads(body).get("title", ""))}
            self.notes.append(note)
        self.answer(201, note)

    def log_message(self, *_):
        pass


def main():
    folder = pathlib.Path(sys.argv[1])
    Notes.token = os.environ.pop("NOTES_TOKEN", "")
    cert, key = make_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Notes)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": server.server_address[1], "ca": str(cert)}), flush=True)
    if "--stay" in sys.argv:
        threading.Event().wait()
    sys.stdin.read()


if __name__ == "__main__":
    main()
