"""Linked connectors and their credentials, from the command line to the service and back."""
import json
import os
import subprocess
import unittest

from daemon import Home, manifest_of
from house import connector
from service import Service

FQN = "github://acme/fixture"


class Binding(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service()

    @classmethod
    def tearDownClass(cls):
        cls.service.close()

    def setUp(self):
        self.service.seen.clear()
        self.home = Home(ca=self.service.ca)
        self.addCleanup(self.home.__exit__)
        self.home.init()

    def link(self, credential='kind = "api_key"', **more):
        return self.home.link("fixture", manifest=manifest_of("fixture", self.service.port, credential), **more)

    def bind(self, *flags, value="the-value-1", identity="work", code=0):
        done = self.home.cli("binding", "setup", FQN, "--identity", identity, "--value-file", "-", "--yes", *flags, stdin=value)
        self.assertEqual(done.code, code, (done.out, done.err))
        return done

    def call(self, op="http_cred", path="/ok", kind="api_key", fqn=FQN, **args):
        return self.home.cli("connector", "call", fqn, "--op", op, "--json", "--args", json.dumps(
            {"url": f"https://127.0.0.1:{self.service.port}{path}", "credential": kind, **args}))

    def header(self, name):
        return [headers.get(name) for _, _, headers, _ in self.service.seen]

    def test_from_link_to_call(self):
        linked = self.link()
        self.assertEqual((linked["fqn"], linked["linked"], linked["signed"]), (FQN, True, False))
        refused = self.call()
        self.assertEqual(refused.code, 1)
        self.assertIn("binding_required", refused.out + refused.err)
        self.assertEqual(self.service.seen, [])
        self.bind()
        self.assertEqual(self.call().code, 0)
        self.assertEqual(self.header("authorization"), ["Bearer the-value-1"])
        event = self.home.events()[0]
        self.assertEqual(event["event_type"], "execution.succeeded")
        self.assertEqual(event["payload"]["aileron.binding.name"], "api_key/fixture/work")
        self.assertTrue(event["payload"]["aileron.connector.linked"])
        self.assertIn("linked", self.home.ok("connector", "list").out)

    def test_rebind_and_revoke(self):
        self.link()
        self.bind()
        before = self.home.ok("binding", "inspect", "api_key/fixture/work", "--json").json
        self.home.ok("binding", "rebind", "api_key/fixture/work", "--value-file", "-", "--yes", stdin="the-value-2")
        self.call()
        self.assertEqual(self.header("authorization"), ["Bearer the-value-2"])
        after = self.home.ok("binding", "inspect", "api_key/fixture/work", "--json").json
        self.assertEqual(after["created_at"], before["created_at"])
        self.home.ok("binding", "revoke", "api_key/fixture/work", "--yes")
        self.assertEqual(self.call().code, 1)
        self.assertEqual(self.home.ok("binding", "list", "--json").lines, [])

    def test_the_same_name_twice(self):
        self.link()
        self.bind()
        self.bind(code=1)

    def test_two_that_fit_are_told_apart_by_nobody(self):
        self.link()
        self.bind()
        self.bind(identity="home")
        refused = self.call()
        self.assertEqual(refused.code, 1)
        self.assertIn("api_key/fixture/home", refused.out + refused.err)
        self.assertEqual(self.service.seen, [])

    def test_each_use_is_on_record_with_its_call(self):
        self.link()
        self.bind()
        for _ in range(3):
            self.assertEqual(self.call().code, 0)
        events = self.home.events()[::-1]  # the oldest first

        def of(kind):
            return [(at, e["payload"]) for at, e in enumerate(events) if e["event_type"] == kind]
        started = {said["aileron.execution.id"]: at for at, said in of("execution.started")}
        ended = {said["aileron.execution.id"]: at for at, said in of("execution.succeeded")}
        read = of("vault.credential.read")
        self.assertEqual(len(read), 3)
        self.assertEqual({said["aileron.execution.id"] for _, said in read}, set(started))
        for at, said in read:
            self.assertEqual((said["aileron.connector.operation"], said["aileron.connector.linked"], said["aileron.credential.host"]),
                             ("http_cred", True, f"127.0.0.1:{self.service.port}"))
            self.assertEqual(said["aileron.binding.name"], "api_key/fixture/work")
            call = said["aileron.execution.id"]
            self.assertTrue(started[call] < at < ended[call])

    def test_basic(self):
        self.link('kind = "basic"')
        self.bind("--username", "ada", value="pass")
        self.assertEqual(self.call(kind="basic").code, 0)
        self.assertEqual(self.header("authorization"), ["Basic YWRhOnBhc3M="])
        before = self.home.ok("binding", "list", "--json").lines
        refused = self.home.cli("binding", "rebind", "basic/fixture/work", "--username", "a:b", "--value-file", "-", "--yes",
                                stdin="pass")
        self.assertEqual(refused.code, 1, refused.out)
        self.assertIn("no ':'", refused.err)
        self.assertEqual(self.home.ok("binding", "list", "--json").lines, before)

    def test_aws_signature(self):
        self.link('kind = "aws_sigv4"\nservice = "s3"\nregion = "eu-west-1"')
        self.bind("--access-key-id", "AKIDEXAMPLE", value="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
        done = self.call(kind="aws_sigv4")
        self.assertEqual(done.code, 0, (done.out, done.err))
        self.assertRegex(self.header("authorization")[0], r"^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-west-1/s3/aws4_request, ")

    def test_signing_key(self):
        self.link('kind = "signing_key"\nalgorithm = "ed25519"\nkey_id = "k1"')
        key = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], check=True, capture_output=True, text=True).stdout
        self.bind(value=key)
        done = self.call(kind="signing_key")
        self.assertEqual(done.code, 0, (done.out, done.err))
        self.assertTrue(self.header("signature")[0])
        self.assertIn('keyid="k1"', self.header("signature-input")[0])

    def test_what_is_no_signing_key_is_refused_when_it_is_bound(self):
        self.link('kind = "signing_key"\nalgorithm = "ed25519"\nkey_id = "k1"')
        rsa = subprocess.run(["openssl", "genpkey", "-algorithm", "rsa"], check=True, capture_output=True, text=True).stdout
        for garbage in ("no key of any kind", "x" * 33, rsa):
            refused = self.bind(value=garbage, code=1)
            self.assertIn("validation_error", refused.err)
            self.assertIn("32 bytes of seed", refused.err)
            self.assertNotIn(garbage, refused.out + refused.err)
        self.assertEqual(self.home.ok("binding", "list", "--json").lines, [])
        self.bind(value="x" * 32)
        self.assertEqual(self.call(kind="signing_key").code, 0)
        first = self.home.ok("vault", "get-meta", "signing_key/fixture/work", "--json").json
        refused = self.home.cli("binding", "rebind", "signing_key/fixture/work", "--value-file", "-", "--yes", stdin="no key")
        self.assertEqual(refused.code, 1, (refused.out, refused.err))
        self.assertIn("32 bytes of seed", refused.err)
        self.assertEqual(self.home.ok("vault", "get-meta", "signing_key/fixture/work", "--json").json, first)
        self.assertEqual(self.call(kind="signing_key").code, 0)

    def test_another_host_was_not_consented(self):
        self.link()
        self.bind()
        other = Service()
        self.addCleanup(other.close)
        self.home.link("fixture", manifest=manifest_of("fixture", other.port))
        refused = self.home.cli("connector", "call", FQN, "--op", "http_cred", "--json", "--args", json.dumps(
            {"url": f"https://127.0.0.1:{other.port}/ok", "credential": "api_key"}))
        self.assertEqual(refused.code, 1)
        self.assertIn("consented", refused.out + refused.err)
        self.assertEqual(other.seen, [])

    def test_a_change_on_disk_is_told_at_its_use(self):
        self.link()
        self.bind()
        self.call()
        manifest = self.home.root / "connector-fixture" / "manifest.toml"
        manifest.write_text(manifest.read_text() + "\n# another version\n")
        done = self.home.cli("connector", "call", FQN, "--op", "echo")
        self.assertIn("changed since its last use", done.err)
        again = self.call().json["report"]
        self.assertEqual((again["changed"], "previous_hash" in again), (False, False))
        manifest.write_text(manifest.read_text() + "# and another\n")
        report = self.call().json["report"]
        self.assertEqual((report["changed"], report["previous_hash"]), (True, again["content_hash"]))
        self.assertNotEqual(report["content_hash"], report["previous_hash"])
        changed = [event for event in self.home.events() if event["event_type"] == "connector.changed"]
        self.assertEqual(len(changed), 2)
        self.assertNotEqual(changed[0]["payload"]["aileron.connector.hash"], changed[0]["payload"]["aileron.connector.previous_hash"])

    def test_a_folder_that_calls_itself_otherwise_is_linked_anew(self):
        """bindings and consent are under the name"""
        self.link()
        self.bind()
        manifest = self.home.root / "connector-fixture" / "manifest.toml"
        whole = manifest.read_text()
        manifest.write_text(whole.replace(FQN, "github://acme/other"))
        for done in (self.call(), self.home.cli("connector", "show", FQN),
                     self.home.cli("binding", "rebind", "api_key/fixture/work", "--value-file", "-", "--yes", stdin="x")):
            self.assertEqual(done.code, 1, (done.out, done.err))
            self.assertIn("github://acme/other", done.err)
            self.assertIn("connector link", done.err)
        self.assertEqual(self.service.seen, [])
        self.assertEqual([event for event in self.home.events() if event["event_type"] == "connector.changed"], [])
        self.assertEqual(self.home.ok("connector", "link", manifest.parent, "--json").json["fqn"], "github://acme/other")
        self.home.ok("connector", "unlink", FQN)
        mine = self.link(fqn="mine")
        manifest = self.home.root / "connector-mine" / "manifest.toml"
        manifest.write_text(whole.replace(FQN, "github://acme/other"))
        self.assertEqual(self.home.ok("connector", "show", "mine", "--json").json["fqn"], mine["fqn"])

    def test_an_agents_credential_is_no_binding(self):
        self.home.ok("vault", "put", "agents/claude/oauth", "--value-file", "-", stdin="x")
        self.assertEqual(self.home.ok("binding", "list", "--json").lines, [])
        self.assertNotEqual(self.home.cli("binding", "revoke", "agents/claude/oauth", "--yes").code, 0)
        self.assertEqual([e["path"] for e in self.home.ok("vault", "list", "--json").lines], ["agents/claude/oauth"])

    def test_what_cannot_be_linked(self):
        folder = self.home.root / "odd"
        folder.mkdir()
        for prepare in (lambda: None, lambda: (folder / "manifest.toml").write_text("not toml ="),
                        lambda: (folder / "connector.wasm").symlink_to(connector("fixture"))):
            prepare()
            done = self.home.cli("connector", "link", folder)
            self.assertEqual(done.code, 1, (done.out, done.err))
        self.assertEqual(self.home.ok("connector", "list", "--json").lines, [])
        self.assertEqual(self.home.cli("connector", "link", self.home.root / "nowhere").code, 1)

    def test_a_name_of_the_users_own(self):
        linked = self.link(fqn="mine")
        self.assertEqual(linked["fqn"], "local://user/mine")
        self.home.ok("connector", "unlink", "mine")
        self.assertEqual(self.home.ok("connector", "list", "--json").lines, [])
        # As lists show it.
        self.assertEqual(self.link(fqn="local://user/mine", folder="again")["fqn"], "local://user/mine")
        self.home.ok("connector", "unlink", "mine")
        for name in ("local://user/", "local://user/local://user/mine", "local://other/mine"):
            self.assertEqual(self.home.cli("connector", "link", linked["path"], "--name", name).code, 1, name)

    def test_while_the_vault_is_locked(self):
        self.link()
        self.bind()
        self.home.ok("vault", "lock")
        passphrase = self.home.env.pop("AILERON_VAULT_PASSPHRASE")
        listed = self.home.ok("binding", "list", "--json").lines
        self.assertEqual((listed[0]["name"], listed[0]["verified"]), ("api_key/fixture/work", False))
        refused = self.call()
        self.assertEqual(refused.code, 77, (refused.out, refused.err))
        answer = self.home.request("POST", "/v1/connectors/github:%2F%2Facme%2Ffixture/call", {"op": "http_cred", "args": {
            "url": f"https://127.0.0.1:{self.service.port}/ok", "credential": "api_key"}})
        self.assertEqual((answer.status, answer.json["error"]["class"]), (412, "binding_required"))
        details = answer.json["error"]["details"]
        self.assertEqual((details["required"], details["ran"]), ("vault.passphrase", "no"))
        self.assertEqual(self.home.cli("vault", "put", "secret/x", "--value-file", "-", stdin="y").code, 77)
        self.assertEqual(self.service.seen, [])
        self.home.env["AILERON_VAULT_PASSPHRASE"] = passphrase
        self.assertEqual(self.call().code, 0)
        self.assertEqual(len(self.service.seen), 1)

    def test_what_is_left_open_by_a_crash_is_told_as_interrupted(self):
        self.link()
        self.bind()
        self.service.hold.clear()
        self.service.asked.clear()
        process = subprocess.Popen(self.home.command("connector", "call", FQN, "--op", "http_cred", "--args", json.dumps(
            {"url": f"https://127.0.0.1:{self.service.port}/hold", "credential": "api_key"})), env=self.home.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.assertTrue(self.service.asked.wait(60))
        # Control first: while it lives it may see the others go, and record that the call failed.
        for pid in (self.home.process("control"), self.home.discovery["pid"]):
            os.kill(pid, 9)
        process.wait(60)
        self.service.hold.set()
        ended = [e for e in self.home.events() if e["event_type"] == "execution.failed"]
        self.assertEqual(len(ended), 1)
        self.assertEqual(ended[0]["payload"]["aileron.reason"], "interrupted")
        self.assertEqual(len(self.service.seen), 1)


class WithoutVault(unittest.TestCase):
    def test_a_connector_that_needs_no_credential_needs_no_vault(self):
        with Home() as home:
            manifest = manifest_of("fixture", 443)
            home.link("fixture", manifest=manifest[:manifest.index("[capabilities.credential]")])
            del home.env["AILERON_VAULT_PASSPHRASE"]
            done = home.ok("connector", "call", FQN, "--op", "echo", "--args", '{"value":"hello"}')
            self.assertIn('"hello"', done.out)
            self.assertEqual(home.ok("vault", "status", "--json").json["state"], "missing")

    def test_what_is_not_bound_makes_no_vault(self):
        with Home() as home:
            home.link("fixture", port=443)
            refused = home.cli("connector", "call", FQN, "--op", "http_cred", "--args", json.dumps(
                {"url": "https://127.0.0.1:443/ok", "credential": "api_key"}))
            self.assertEqual(refused.code, 1, (refused.out, refused.err))
            self.assertIn("aileron binding setup", refused.err)
            self.assertEqual(home.ok("vault", "status", "--json").json["state"], "missing")


if __name__ == "__main__":
    unittest.main()
