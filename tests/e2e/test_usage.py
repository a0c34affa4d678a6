"""What is wrong with a command line is told as that (exit 2), and changes nothing."""
import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
import unittest

import test_vault
from daemon import Home, manifest_of
from house import connector

FQN = "github://acme/fixture"


class Usage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = Home()
        cls.home.init()
        cls.home.link("fixture", port=443)

    @classmethod
    def tearDownClass(cls):
        cls.home.__exit__()

    def refused(self, *args, part, code=2, **more):
        done = self.home.cli(*args, **more)
        self.assertEqual(done.code, code, (args, done.out, done.err))
        self.assertIn(part, done.err, args)
        return done

    def test_values_of_flags(self):
        for args, part in (
                (["vault", "tune", "--target", "10x"], "--target"),
                (["vault", "tune", "--target", "20s"], "--target"),
                (["vault", "list", "--scope", "bogus"], "--scope"),
                (["binding", "list", "--kind", "bogus"], "--kind"),
                (["audit", "list", "--limit", "5000"], "--limit"),
                (["audit", "list", "--limit", "0"], "1 to 1000"),
                (["runs", "--limit", "0"], "1 to 1000"),
                (["sessions", "--limit", "0"], "1 to 1000"),
                (["connector", "call", FQN, "--op", "echo", "--args", "{bad"], "--args"),
                (["connector", "call", FQN, "--op", "echo", "--args", "[1]"], "not an object"),
                (["connector", "call", FQN, "--op", "echo", "--timeout", "3y"], "--timeout"),
                (["daemon", "run", "--bind", "0.0.0.0:80"], "loopback"),
                (["daemon", "run", "--auto-lock", "bogus"], "--auto-lock"),
                (["daemon", "start", "--bind", "0.0.0.0:80"], "--bind")):
            self.refused(*args, part=part)

    def test_a_variable_is_read_as_its_flag(self):
        with Home(AILERON_BIND="0.0.0.0:80") as home:
            done = home.cli("daemon", "start")
            self.assertEqual(done.code, 2, done.err)
            self.assertIn("loopback", done.err)

    def test_a_group_has_help(self):
        for words in (["vault"], ["vault", "member"]):
            for flag in ("--help", "-h"):
                done = self.home.cli(*words, flag)
                self.assertEqual(done.code, 0, done.err)
                self.assertIn(f"usage: aileron {' '.join(words)} VERB", done.out)

    def test_help_as_json(self):
        every = {verb["name"]: verb for verb in self.home.ok("help", "--json").lines}
        self.assertEqual(every["vault init"]["summary"], self.home.ok("help", "vault", "init", "--json").json["summary"])
        self.assertNotIn("manual", every, "what is hidden from people")
        for words in (["help", "vault", "member", "--json"], ["vault", "member", "--help", "--json"]):
            self.assertEqual([verb["name"] for verb in self.home.ok(*words).lines],
                             [name for name in every if name.startswith("vault member ")])
        for words in (["help", "audit", "export", "--json"], ["audit", "export", "--help", "--json"]):
            verb = self.home.ok(*words).json
            self.assertEqual((verb, verb["usage"]), (every["audit export"], "aileron audit export [flags]"))
            self.assertEqual([(flag["name"], flag.get("value")) for flag in verb["flags"]],
                             [("output", "FILE"), ("json", None), ("help", None)])
        self.refused("help", "vualt", "--json", part="vault")

    def test_scripts_as_json(self):
        for words, member in ((["completion", "bash"], "script"), (["completion", "fish"], "script"), (["manual"], "page")):
            self.assertEqual(self.home.ok(*words, "--json").json, {member: self.home.ok(*words).out})

    def test_an_export_says_that_it_was_written(self):
        file = self.home.root / "said.jsonl"
        self.assertEqual(self.home.ok("audit", "export", "--json", "--output", file).json, {"written": True, "path": str(file)})
        self.assertEqual(self.home.ok("audit", "export", "--output", self.home.root / "too.jsonl").out, "Wrote the export\n")
        self.assertIn("event_type", self.home.ok("audit", "export", "--json").out)

    def on_a_terminal(self, columns, *args):
        terminal, program = pty.openpty()
        self.addCleanup(os.close, terminal)
        fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(self.home.command(*args), env={**self.home.env, "NO_COLOR": "1"}, stdin=subprocess.DEVNULL, stdout=program)
        os.close(program)
        said = b""
        try:
            while piece := os.read(terminal, 65536):
                said += piece
        except OSError:  # EIO: nobody has the other end any more
            pass
        self.assertEqual(process.wait(), 0)
        return said.decode().replace("\r\n", "\n")

    def test_ids_are_whole_on_a_narrow_terminal(self):
        there = {event["event"]["audit_id"] for event in self.home.ok("audit", "list", "--json").lines}
        for columns in (80, 60, 200):
            said = self.on_a_terminal(columns, "audit", "list")
            self.assertLessEqual(there, set(re.findall(r"audit-[0-9a-f-]{36}(?![^\s])", said)), (columns, said))
            self.assertLessEqual(max(map(len, said.splitlines())), max(columns, 80), said)

    def test_flags_that_would_be_ignored(self):
        for flags in (["--region", "eu-west-1"], ["--access-key-id", "A"], ["--username", "ada"], ["--device"], ["--no-browser"]):
            self.refused("binding", "setup", FQN, "--identity", "work", "--value-file", "-", "--yes", *flags, stdin="v",
                         part=f"{flags[0]} means nothing for a credential of kind 'api_key'")
        self.assertEqual(self.home.ok("binding", "list", "--json").lines, [])

    def test_a_key_file_for_nothing_goes_again(self):
        key = self.home.root / "robot.key"
        wrong = self.home.root / "wrong"
        wrong.write_text("wrong")
        self.refused("vault", "member", "add", "BAD/", "--new-key-file", key, part="invalid_identity", code=1)
        self.assertFalse(key.exists())
        self.refused("vault", "member", "add", "robot", "--new-key-file", key, "--passphrase-file", wrong,
                     part="wrong_passphrase", code=77)
        self.assertFalse(key.exists())
        self.home.ok("vault", "member", "add", "robot", "--new-key-file", key)
        made = key.read_bytes()
        self.refused("vault", "member", "add", "robot", "--new-key-file", key, part="conflict", code=1)
        self.assertEqual(key.read_bytes(), made, "a file that was there was touched")

    def test_a_passphrase_that_others_may_read_is_told(self):
        file = self.home.root / "passphrase"
        file.write_text(self.home.env["AILERON_VAULT_PASSPHRASE"])
        for mode, told in ((0o644, True), (0o600, False)):
            file.chmod(mode)
            self.home.ok("vault", "lock")
            self.assertEqual("others may read" in self.home.ok("vault", "unlock", "--passphrase-file", file).err, told)

    def test_a_broken_manifest_is_named_with_its_line(self):
        folder = self.home.root / "odd"
        folder.mkdir()
        shutil.copy(connector("fixture"), folder / "connector.wasm")
        good = manifest_of("fixture", 443).replace("fixture", "odd")
        for bad, said, line in (("\n\nnot toml =", "parse_error", 3),
                                (good.replace("[capabilities.network]", "[capabilities.netwrk]"), "parse_error", 6),
                                (good.replace('"1.0.0"', '"x"'), "validation_error", 3)):
            (folder / "manifest.toml").write_text(bad)
            done = self.refused("connector", "link", folder, part=f"{folder}/manifest.toml:{line}: ", code=1)
            self.assertIn(said, done.err)
        (folder / "manifest.toml").write_text(good)
        self.home.ok("connector", "link", folder)
        (folder / "manifest.toml").write_text(good + "x")
        for verb in (["connector", "show", "odd"], ["connector", "call", "odd", "--op", "echo"]):
            self.refused(*verb, part=f"{folder}/manifest.toml:{good.count(chr(10)) + 1}: ", code=1)


class Earlier(unittest.TestCase):
    def test_a_binding_without_consent_says_so(self):
        with Home() as home:
            home.state.mkdir(mode=0o700)
            (home.state / "secrets.json").write_text(test_vault.VERSION_1.replace(
                "github.com/acme/stripe-connector", "github://acme/fixture"))
            home.ok("vault", "unlock")
            name = "api_key/stripe/work"
            self.assertIn("needs consent", home.ok("binding", "list").out)
            self.assertIn(f"aileron binding hosts {name}", home.ok("binding", "inspect", name).out)
            self.assertFalse(home.request("GET", "/v1/bindings/api_key%2Fstripe%2Fwork").json["consented"])
            home.link("fixture", port=443)
            done = home.cli("connector", "call", FQN, "--op", "http_cred", "--json", "--args", json.dumps(
                {"url": "https://127.0.0.1:443/", "credential": "api_key"}))
            self.assertEqual(done.code, 1)
            self.assertIn(f"aileron binding hosts {name}", done.out + done.err)
            unlock = home.root / "p"
            unlock.write_text(home.env["AILERON_VAULT_PASSPHRASE"])
            home.ok("binding", "hosts", name, "--yes", "--passphrase-file", unlock)
            after = home.ok("binding", "inspect", name, "--json").json
            self.assertEqual((after["consented"], after["hosts"]), (True, ["127.0.0.1:443"]))
            self.assertNotIn("needs consent", home.ok("binding", "list").out)


if __name__ == "__main__":
    unittest.main()
