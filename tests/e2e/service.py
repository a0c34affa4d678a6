"""A TLS server on loopback that behaves and misbehaves by the path that is asked for.

`Service()` listens on a free port of 127.0.0.1 (or another address) as api.example.com and other.example.com, under a
certificate of its own. `seen` holds every request as (method, path, headers, body).
"""
import base64
import gzip
import json
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading
import urllib.parse

NAMES = ("api.example.com", "other.example.com", "notes.example.com")


def make_certificate(folder, names=NAMES):
    cert, key = pathlib.Path(folder) / "cert.pem", pathlib.Path(folder) / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", key, "-out", cert, "-subj", "/CN=" + names[0],
                    "-addext", "subjectAltName=" + ",".join(["IP:127.0.0.1", *("DNS:" + name for name in names)])],
                   check=True, capture_output=True)
    return cert, key


class Service:
    def __init__(self, tls=True, address="127.0.0.1", names=NAMES):
        self.folder = tempfile.TemporaryDirectory(prefix="aileron-service-")
        self.seen = []
        self.hold = threading.Event()  # /hold answers when it is set
        self.asked = threading.Event()  # set by a request for /hold
        self.context = None
        self.ca = None
        if tls:
            self.ca, key = make_certificate(self.folder.name, names)
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(self.ca, key)
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        self.accepting = threading.Thread(target=self._accept, daemon=True)
        self.accepting.start()

    def close(self):
        self.hold.set()
        if self.listener.fileno() >= 0:
            # Who waits in accept() is sent away first: when this process is stopped and goes on (a machine that is put to sleep),
            # the call begins anew, on whatever has the listener's number by then: another service, under this one's certificate.
            self.listener.shutdown(socket.SHUT_RDWR)
            self.accepting.join()
            self.listener.close()
        self.folder.cleanup()

    def flags(self, *hosts, port=443):
        """The harness's flags that put this service behind the names"""
        out = []
        for host in hosts or ("api.example.com",):
            out += ["--resolve", f"{host}:{port}:127.0.0.1:{self.port}"]
        return out + (["--ca-file", str(self.ca)] if self.ca else [])

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                conn = self.context.wrap_socket(conn, server_side=True)
            reader = conn.makefile("rb")
            while self._one(conn, reader):
                pass
        except (OSError, ValueError):
            pass
        finally:
            conn.close()

    def _one(self, conn, reader):
        first = reader.readline().split()
        if len(first) < 3:
            return False
        method, path = first[0].decode(), first[1].decode()
        headers = {}
        while (line := reader.readline().strip()):
            name, _, value = line.partition(b":")
            headers[name.decode().lower()] = value.strip().decode("latin-1")
        body = reader.read(int(headers.get("content-length", 0)))
        self.seen.append((method, path, headers, body))
        parts = urllib.parse.urlsplit(path)
        name = parts.path.strip("/").replace("-", "_").split("/")[0] or "ok"
        query = dict(urllib.parse.parse_qsl(parts.query))
        return getattr(self, "on_" + name, self.on_missing)(conn, query, headers, body)

    @staticmethod
    def answer(conn, status, body=b"", headers=()):
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers)
        conn.sendall(head.encode() + b"\r\n" + body)
        return True

    # what behaves

    def on_ok(self, conn, query, headers, body):
        return self.answer(conn, 200, b'{"ok":true}')

    def on_v1(self, conn, query, headers, body):
        """A collector of spans"""
        return self.answer(conn, 200, b"{}", [("Content-Type", "application/json")])

    def on_missing(self, conn, query, headers, body):
        return self.answer(conn, 404, b"nothing here")

    def on_status(self, conn, query, headers, body):
        return self.answer(conn, int(query["code"]), query.get("body", "").encode())

    def on_echo(self, conn, query, headers, body):
        """What arrived, as JSON"""
        return self.answer(conn, 200, json.dumps({"headers": headers, "body": body.decode("latin-1")}).encode())

    def on_gzip(self, conn, query, headers, body):
        packed = gzip.compress(b"g" * int(query.get("bytes", 1000)))
        return self.answer(conn, 200, packed, [("Content-Encoding", "gzip")])

    def on_size(self, conn, query, headers, body):
        return self.answer(conn, 200, b"s" * int(query["bytes"]))

    def on_redirect(self, conn, query, headers, body):
        return self.answer(conn, int(query.get("code", 302)), b"", [("Location", query["to"])])

    def on_redirects(self, conn, query, headers, body):
        left = int(query["left"])
        if left == 0:
            return self.on_ok(conn, query, headers, body)
        return self.answer(conn, 302, b"", [("Location", f"/redirects?left={left - 1}")])

    def on_hold(self, conn, query, headers, body):
        self.asked.set()
        self.hold.wait(60)
        return self.on_ok(conn, query, headers, body)

    # what a service must not do with a credential

    def on_leak(self, conn, query, headers, body):
        """The Authorization header in the spelling asked for"""
        value = headers.get("authorization", "").encode()
        secret = value.split(b" ", 1)[-1]
        how = query["as"]
        spelled = {
            "raw": secret,
            "base64": base64.b64encode(secret),
            "base64_1": base64.b64encode(b"x" + secret + b"yz"),
            "base64_2": base64.b64encode(b"xy" + secret + b"z"),
            "base64url": base64.urlsafe_b64encode(secret),
            "hex": secret.hex().encode(),
            "HEX": secret.hex().upper().encode(),
            "url": urllib.parse.quote(secret, safe="").encode(),
            "url_all": "".join(f"%{b:02x}" for b in secret).encode(),
            "json": json.dumps(secret.decode()).encode(),
            "json_u": "".join(f"\\u{b:04X}" for b in secret).encode(),
        }[how]
        return self.answer(conn, int(query.get("code", 200)), b"before " + spelled + b" after")

    # what attacks

    def on_bad_chunk(self, conn, query, headers, body):
        conn.sendall(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnot a chunk\r\n0\r\n\r\n")
        return False

    def on_endless_headers(self, conn, query, headers, body):
        conn.sendall(b"HTTP/1.1 200 X\r\n")
        while True:
            conn.sendall(b"X-Filler: " + b"f" * 1000 + b"\r\n")

    def on_endless_body(self, conn, query, headers, body):
        conn.sendall(b"HTTP/1.1 200 X\r\n\r\n")
        while True:
            conn.sendall(b"b" * 65536)

    def on_drip(self, conn, query, headers, body):
        conn.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 1000000\r\n\r\n")
        while not self.hold.wait(0.2):
            conn.sendall(b"d")
        return False

    def on_bomb(self, conn, query, headers, body):
        """64 KiB that inflate to 64 MiB"""
        packed = gzip.compress(b"\0" * (64 << 20))
        return self.answer(conn, 200, packed, [("Content-Encoding", "gzip")])

    def on_short(self, conn, query, headers, body):
        conn.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nshort")
        return False

    def on_close(self, conn, query, headers, body):
        return False

    def on_garbage(self, conn, query, headers, body):
        conn.sendall(b"\x00\x01\x02 this is not HTTP\r\n\r\n")
        return False
