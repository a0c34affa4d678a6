"""One canary for each kind of secret, a whole round of use, and a search for all of them in every process, file and line."""
import json
import os
import pathlib
import unittest

from daemon import Home
from house import SANITIZED
from service import Service
from test_leak import LEAKS, memory_of, spellings

PASSPHRASE = 'pA55phr4se "Qz8~ canary'
VALUE = 'cAn4ry"Zq7~\\kW/x+%&=<9Vb>m'
OTHER = "second-canary-8f3b1d77a04c"
EXPORT = "export-canary-5d21aa90"


def search(blob, *secrets):
    return [(secret[:6], name) for secret in secrets for name, spelled in spellings(secret).items() if spelled in blob]


def family(home):
    """{name: pid} of the daemon and all that it started"""
    found = {"parent": home.discovery["pid"]}
    for process in home.ok("status", "--json").json["processes"]:
        if process.get("pid") and process["running"]:
            found[process["role"]] = process["pid"]
    for runner in home.ok("status", "--json").json["runners"]:
        found[f"runner {runner['pid']}"] = runner["pid"]
    return found


class Leak(unittest.TestCase):
    def use_everything(self, home, service):
        value = home.root / "value"
        value.write_text(VALUE)
        home.ok("vault", "init")
        home.link("fixture", service.port)
        home.ok("binding", "setup", "github://acme/fixture", "--identity", "work", "--value-file", value, "--yes")
        home.ok("vault", "put", "secret/other", "--value-file", "-", stdin=OTHER)
        value.unlink()
        url = f"https://127.0.0.1:{service.port}"
        for op, args in (("http_cred", {"url": url + "/echo"}), *(("leak_through", {"url": f"{url}/leak?as={how}", "to": to})
                         for how in LEAKS for to in ("log", "error", "stdout", "trap"))):
            done = home.cli("connector", "call", "github://acme/fixture", "--op", op, "--json", "--args",
                            json.dumps({**args, "credential": "api_key"}))
            self.said += [done.out, done.err]
        self.assertIn(VALUE, [headers.get("authorization", "").removeprefix("Bearer ") for _, _, headers, _ in service.seen])
        passphrase = home.root / "export-passphrase"
        passphrase.write_text(EXPORT)
        home.ok("vault", "export", "--output", home.root / "export.json", "--new-passphrase-file", passphrase)
        passphrase.unlink()
        self.said.append(home.ok("audit", "export").out)
        self.said.append(home.ok("vault", "list", "--json").out)
        for wrong in ("wrong-1", "wrong-2"):
            home.cli("vault", "unlock", env={"AILERON_VAULT_PASSPHRASE": wrong})

    def test_nowhere(self):
        self.said = []
        service = Service()
        self.addCleanup(service.close)
        secrets = (PASSPHRASE, VALUE, OTHER, EXPORT)
        with Home(ca=service.ca) as home:
            home.env["AILERON_VAULT_PASSPHRASE"] = PASSPHRASE
            self.use_everything(home, service)
            token = home.discovery["token"]
            for text in self.said:
                self.assertEqual(search(text.encode(), *secrets, token), [], text[:1000])
            for path in [p for p in home.root.rglob("*") if p.is_file() and not p.is_symlink()]:
                self.assertEqual(search(path.read_bytes(), *secrets), [], path)
                if path.name != "daemon.json":
                    self.assertEqual(search(path.read_bytes(), token), [], path)
            members = family(home)
            for name, pid in members.items():
                with self.subTest(name):
                    self.look_at_process(name, pid, secrets, token)
            if os.geteuid() != 0 or SANITIZED:
                print("skipped: reading the processes' memory takes root and a build without sanitizers")
                return
            for name, pid in members.items():
                with self.subTest(name, memory=True):
                    self.look_at_memory(name, pid)
            home.ok("vault", "lock")
            self.assertEqual(search(memory_of(members["keeper"]), PASSPHRASE, VALUE, OTHER, EXPORT), [],
                             "the keeper keeps what it knew after it was locked")

    def look_at_process(self, name, pid, secrets, token):
        proc = pathlib.Path(f"/proc/{pid}")
        self.assertEqual(search((proc / "cmdline").read_bytes(), *secrets, token), [])
        self.assertRegex((proc / "limits").read_text(), r"Max core file size +0 +0 ")
        self.assertRegex((proc / "status").read_text(), r"VmSwap:\s+0 kB")
        if os.geteuid() == 0:
            self.assertEqual(search((proc / "environ").read_bytes(), *secrets, token), [])

    def look_at_memory(self, name, pid):
        blob = memory_of(pid)
        self.assertGreater(len(blob), 100_000, "the search saw nothing")
        # A value lies in the keeper while the vault is open, sealed; and in egress for the length of a call alone.
        self.assertEqual(search(blob, PASSPHRASE, VALUE, OTHER, EXPORT), [], name)

    def test_the_search_finds_what_is_there(self):
        with Home() as home:
            home.start()
            if os.geteuid() == 0 and not SANITIZED:
                token = home.discovery["token"]
                self.assertTrue(search(memory_of(home.process("control")), token), "control checks the token: it must be there")


if __name__ == "__main__":
    unittest.main()
