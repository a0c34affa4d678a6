"""The gate, the request and the hostile service, through the real programs."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

from house import manifest_with, run
from service import Service, make_certificate
from skips import without

TOKEN = {"AILERON_DEV_TOKEN": "tok-123456789"}


class Network(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service()

    @classmethod
    def tearDownClass(cls):
        cls.service.close()

    def call(self, op, url, flags=(), env=TOKEN, **args):
        return run(op, {"url": url, **args}, ["--json", *self.service.flags("api.example.com", "other.example.com"), *flags],
                   env=env).line

    def failure(self, *args, **more):
        line = self.call(*args, **more)
        self.assertIn("error", line, line)
        return line["error"]

    def test_allowed_host(self):
        output = self.call("http", "https://api.example.com/ok")["output"]
        self.assertEqual((output["status"], output["body"]), (200, '{"ok":true}'))
        self.assertEqual(self.call("http", "https://API.Example.COM/ok")["output"]["status"], 200)

    def test_the_upstream_sees_the_credential_and_the_guest_does_not(self):
        output = self.call("http_cred", "https://api.example.com/echo", credential="api_key")["output"]
        self.assertEqual(self.service.seen[-1][2]["authorization"], "Bearer tok-123456789")
        self.assertNotIn("tok-123456789", output["body"])

    def test_denied_hosts(self):
        for url, requested in (("https://evil.example/", "network:evil.example:443"),
                               ("https://api.example.com:8443/", "network:api.example.com:8443")):
            error = self.failure("http", url)
            self.assertEqual((error["class"], error["boundary"]), ("capability_denied", "sandbox"))
            self.assertEqual(error["details"]["requested"], requested)
        self.assertEqual(self.failure("http", "ftp://api.example.com/")["details"]["scheme"], "ftp")
        self.assertEqual(self.failure("http", "not a url")["class"], "capability_denied")
        self.assertEqual(self.failure("http", "https://u:p@api.example.com/")["class"], "capability_denied")

    def test_without_a_token(self):
        result = run("http_cred", {"url": "https://api.example.com/ok", "credential": "api_key"}, self.service.flags())
        self.assertEqual(result.out, b'{"error":"binding_required: credential: no binding for this capability '
                                     b'(boundary=sandbox)"}\n')
        self.assertIn(b"AILERON_DEV_TOKEN", result.err)

    def test_the_kind_must_be_the_declared_one(self):
        error = self.failure("http_cred", "https://api.example.com/ok", credential="oauth2")
        self.assertEqual((error["class"], error["details"]["boundary_detail"]), ("capability_denied", "connector_manifest"))

    def test_envelope_errors(self):
        for envelope in ("", "{", "[]", '{"url":1}', '{"headers":{"a":1},"url":"https://api.example.com/"}', "null", "{}"):
            line = run("raw", {"envelope": envelope}, ["--json"]).line
            self.assertEqual(line["error"]["class"], "connector_runtime_error", envelope)
        result = run("raw", {"envelope": '{"URL":"https://api.example.com/ok","x":1,"body":null}'},
                     ["--json", *self.service.flags()]).line
        self.assertEqual(result["output"]["rc"], 0)

    def test_a_later_success_clears_the_error(self):
        output = self.call("recover", "https://api.example.com/ok")["output"]
        self.assertEqual(output, {"refused_first": True, "worked_then": True})

    def test_many_requests(self):
        self.assertEqual(self.call("many_requests", "https://api.example.com/ok", times=200)["output"], {"worked": 200})

    def test_statuses_reach_the_guest(self):
        output = self.call("http", "https://api.example.com/status?code=503&body=busy")["output"]
        self.assertEqual((output["status"], output["body"]), (503, "busy"))

    def test_headers_that_are_ours(self):
        for name in ("Host", "Content-Length", "Connection", "Transfer-Encoding", "Upgrade"):
            self.call("header_echo", "https://api.example.com/echo", header=name, header_value="evil")
            headers = self.service.seen[-1][2]
            self.assertEqual(headers.get("host"), "api.example.com")
            self.assertNotIn("evil", json.dumps(headers))
        self.call("header_echo", "https://api.example.com/echo", header="x-mine", header_value="kept")
        self.assertEqual(self.service.seen[-1][2].get("x-mine"), "kept")
        seen = len(self.service.seen)
        error = self.failure("header_echo", "https://api.example.com/echo", header="bad name", header_value="v")
        self.assertEqual((error["class"], len(self.service.seen)), ("connector_runtime_error", seen))

    def test_redirects_are_judged_at_each_hop(self):
        self.assertEqual(self.call("redirect", "https://api.example.com/redirects?left=10")["output"]["status"], 200)
        self.assertEqual(self.failure("redirect", "https://api.example.com/redirects?left=11")["class"], "network_error")
        error = self.failure("redirect", "https://api.example.com/redirect?to=https://evil.example/")
        self.assertEqual((error["class"], error["details"]["requested"]), ("capability_denied", "network:evil.example:443"))

    def test_the_credential_stays_at_its_origin(self):
        self.call("redirect", "https://api.example.com/redirect?to=https://other.example.com/echo", credential="api_key")
        method, path, headers, _ = self.service.seen[-1]
        self.assertEqual((path, headers["host"]), ("/echo", "other.example.com"))
        self.assertNotIn("authorization", headers)
        self.call("redirect", "https://api.example.com/redirect?to=/echo", credential="api_key")
        self.assertIn("authorization", self.service.seen[-1][2])

    def test_redirect_methods(self):
        for code, method, body in ((302, "GET", b""), (307, "POST", b"payload")):
            self.call("redirect", f"https://api.example.com/redirect?code={code}&to=/echo", method="POST", body="payload")
            self.assertEqual((self.service.seen[-1][0], self.service.seen[-1][3]), (method, body), code)

    def test_gzip(self):
        self.assertEqual(self.call("http", "https://api.example.com/gzip?bytes=5000")["output"]["body"], "g" * 5000)
        error = self.failure("http", "https://api.example.com/bomb")
        self.assertEqual((error["class"], error["details"]["limit"]), ("resource_limit_exceeded", "response_body"))

    def test_body_limits(self):
        error = self.failure("http", "https://api.example.com/size?bytes=3000", flags=["--limit", "response_body=2KiB"])
        self.assertEqual(error["details"]["limit"], "response_body")
        error = self.failure("http", "https://api.example.com/ok", flags=["--limit", "request_body=1KiB"], method="POST",
                             body="x" * 2000)
        self.assertEqual(error["details"]["limit"], "request_body")

    def test_hostile_answers(self):
        for path in ("bad-chunk", "endless-headers", "short", "close", "garbage"):
            error = self.failure("http", "https://api.example.com/" + path)
            self.assertEqual((path, error["class"]), (path, "network_error"))
        self.assertEqual(self.failure("http", "https://api.example.com/endless-body")["details"]["limit"], "response_body")
        error = self.failure("http", "https://api.example.com/drip", flags=["--limit", "wall_time=1500ms"])
        self.assertEqual(error["details"]["limit"], "wall_time")

    def test_certificates_are_checked(self):
        error = run("http", {"url": "https://api.example.com/ok"},
                    ["--json", "--resolve", f"api.example.com:443:127.0.0.1:{self.service.port}"]).line["error"]
        self.assertEqual(error["class"], "network_error")
        wrong = Service(names=("wrong.example",))
        try:
            error = run("http", {"url": "https://api.example.com/ok"}, ["--json", *wrong.flags()]).line["error"]
            self.assertEqual(error["class"], "network_error")
        finally:
            wrong.close()

    def test_a_credential_is_not_sent_in_the_clear(self):
        plain = Service(tls=False)
        try:
            with tempfile.TemporaryDirectory() as folder:
                toml = manifest_with('[connector]\nname = "github://example/f"\nversion = "1.0.0"\n[capabilities.network]\n'
                                     f'hosts = ["api.example.com:80", "127.0.0.1:{plain.port}"]\n'
                                     '[capabilities.credential]\nkind = "api_key"\n', folder)
                # The manifest names the loopback address literally: that opens it, and plain http to it.
                line = run("http_cred", {"url": f"http://127.0.0.1:{plain.port}/echo", "credential": "api_key"}, ["--json"],
                           env=TOKEN, toml=toml).line
                self.assertEqual(line["output"]["status"], 200, line)
        finally:
            plain.close()

    def test_flags_are_named(self):
        result = run("http", {"url": "https://api.example.com/ok"}, self.service.flags())
        self.assertIn(b"--resolve", result.err)
        self.assertIn(b"--ca-file", result.err)

    def test_trace_shows_calls_and_no_secret(self):
        result = run("http_cred", {"url": "https://api.example.com/ok", "credential": "api_key"},
                     ["--trace", *self.service.flags()], env=TOKEN)
        self.assertIn(b"http_request", result.err)
        self.assertNotIn(b"tok-123456789", result.err + result.out)


class Http2(unittest.TestCase):
    """Over a server that speaks HTTP/2 and nothing else."""

    def test_requests_over_http2(self):
        if shutil.which("nghttpd") is None:
            without(self, "nghttpd (Debian: nghttp2-server)")
        with tempfile.TemporaryDirectory() as folder:
            cert, key = make_certificate(folder)
            pathlib.Path(folder, "hello").write_text("over two")
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port = probe.getsockname()[1]
            server = subprocess.Popen(["nghttpd", "--address=127.0.0.1", "-d", folder, str(port), str(key), str(cert)],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                    self.assertIsNone(server.poll(), "nghttpd ended")
                flags = ["--json", "--resolve", f"api.example.com:443:127.0.0.1:{port}", "--ca-file", str(cert)]
                args = {"url": "https://api.example.com/hello", "credential": "api_key"}
                output = run("http_cred", args, flags, env=TOKEN).line["output"]
                self.assertEqual((output["status"], output["body"]), (200, "over two"))
                self.assertEqual(run("many_requests", {**args, "times": 50}, flags, env=TOKEN).line["output"], {"worked": 50})
            finally:
                server.kill()
                server.wait()


class RefusedAddresses(unittest.TestCase):
    """In a network namespace with nothing but loopback, so that a broken gate reaches nobody."""

    def test_private_addresses(self):
        done = subprocess.run(["unshare", "--user", "--map-root-user", "--net", sys.executable, "-B", __file__, "inside"],
                              capture_output=True, text=True, env=dict(os.environ))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


def inside():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    refused = ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "[::1]",
               "[fe80::1]", "[fd00:ec2::254]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "2130706433",
               "0x7f.1", "0177.0.0.1", "127.1", "localhost"]
    with tempfile.TemporaryDirectory() as folder:
        hosts = ", ".join('"%s:443"' % host.strip("[]") for host in refused)
        service = Service()
        for host in refused:
            # The permissive carve-out lets the name through, so that the address alone is judged.
            toml = manifest_with('[connector]\nname = "local://user/f"\nversion = "1.0.0"\norigin = "local"\n', folder)
            line = run("http", {"url": f"https://{host}/"}, ["--json"], toml=toml).line
            assert line.get("error", {}).get("class") == "capability_denied", (host, line)
        # What a manifest can never open by naming it.
        toml = manifest_with('[connector]\nname = "github://example/f"\nversion = "1.0.0"\n'
                             f'[capabilities.network]\nhosts = [{hosts}]\n', folder)
        for host in ("169.254.169.254", "0.0.0.0", "[fe80::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "2130706433"):
            line = run("http", {"url": f"https://{host}/"}, ["--json"], toml=toml).line
            assert line.get("error", {}).get("class") == "capability_denied", (host, line)
        # A redirect of a good host to the metadata service.
        toml = manifest_with('[connector]\nname = "github://example/f"\nversion = "1.0.0"\n'
                             '[capabilities.network]\nhosts = ["api.example.com:443", "169.254.169.254:80"]\n', folder)
        line = run("http", {"url": "https://api.example.com/redirect?to=http://169.254.169.254/latest/"},
                   ["--json", *service.flags()], toml=toml).line
        assert line.get("error", {}).get("class") == "capability_denied", line
        # --allow-private opens what a name gives, for that host and port alone.
        toml = manifest_with('[connector]\nname = "github://example/f"\nversion = "1.0.0"\n'
                             f'[capabilities.network]\nhosts = ["localhost:{service.port}"]\n', folder)
        url = {"url": f"https://localhost:{service.port}/ok"}
        line = run("http", url, ["--json"], toml=toml).line
        assert line["error"]["class"] == "capability_denied", line
        line = run("http", url, ["--json", "--allow-private", f"localhost:{service.port}"], toml=toml).line
        assert line["error"]["class"] == "network_error", line  # dialled; the certificate is for another name
        service.close()
    print("inside: done")


if __name__ == "__main__":
    if sys.argv[1:] == ["inside"]:
        inside()
    else:
        unittest.main()
