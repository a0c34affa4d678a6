"""The vault from the command line: members, passphrases, exports, old files, and what an attacker does to the file."""
import json
import os
import pathlib
import shutil
import signal
import unittest

from daemon import Home, wait_for

VERSION_1 = """{
  "version": 1,
  "salt": "YWlsZXJvbi10ZXN0LXNsdA==",
  "verification": "AAECAwQFBgcICQoL6FCEw8qboOuVKZufFAMr1tVnxbb27+vNhLOM2jHnr10=",
  "secrets": {
    "api_key/stripe/work": {
      "value": "EBESExQVFhcYGRobbS9HsPiv19gOVXOjhSNemSZ56sW3qhKvSQtD75OYig==",
      "metadata": {
        "Type": "api_key",
        "Environment": "",
        "Labels": {
          "connector_fqn": "github.com/acme/stripe-connector",
          "created_at": "1767225600",
          "identity": "work",
          "service": "stripe",
          "status": "active"
        }
      }
    }
  }
}"""


class Vault(unittest.TestCase):
    def setUp(self):
        self.home = Home()
        self.addCleanup(self.home.__exit__)

    def file(self):
        return self.home.state / "vault" / "secrets.json"

    def put(self, path, value):
        self.home.ok("vault", "put", path, "--value-file", "-", stdin=value)

    def told(self, event):
        """payload of the newest of these"""
        return self.home.events("--type", event)[0]["payload"]

    def state(self):
        return self.home.ok("vault", "status", "--json").json["state"]

    def test_life(self):
        self.assertEqual(self.state(), "missing")
        self.home.init()
        self.assertEqual(self.state(), "unlocked")
        self.assertNotEqual(self.home.cli("vault", "init").code, 0)
        self.put("secret/one", "1")
        self.assertEqual([e["path"] for e in self.home.ok("vault", "list", "--json").lines], ["secret/one"])
        meta = self.home.ok("vault", "get-meta", "secret/one", "--json").json
        self.assertNotIn("value", meta)
        self.assertEqual([e["verified"] for e in self.home.ok("vault", "list", "--json").lines], [True])
        self.assertNotIn("not verified", self.home.ok("vault", "list").err)
        self.home.ok("vault", "lock")
        self.assertEqual(self.state(), "locked")
        self.assertEqual([e["verified"] for e in self.home.ok("vault", "list", "--json").lines], [False])
        # That there is nothing is as little verified as what there is.
        for empty in (("vault", "list", "--prefix", "none/"), ("binding", "list")):
            self.assertIn("not verified", self.home.ok(*empty).err)
        self.assertEqual(self.home.request("GET", "/v1/bindings").json, {"items": [], "verified": False})
        self.assertEqual(self.home.cli("vault", "unlock", env={"AILERON_VAULT_PASSPHRASE": "wrong"}).code, 77)
        self.home.ok("vault", "unlock")
        self.home.ok("vault", "delete", "secret/one", "--yes")
        self.assertEqual(self.home.ok("vault", "list", "--json").lines, [])

    def test_tries_are_throttled(self):
        self.home.init()
        self.home.ok("vault", "lock")
        for _ in range(4):
            done = self.home.cli("vault", "unlock", env={"AILERON_VAULT_PASSPHRASE": "wrong"})
        self.assertEqual(done.code, 77)
        done = self.home.cli("vault", "unlock", env={"AILERON_VAULT_PASSPHRASE": "wrong"})
        self.assertRegex(done.err, r"throttled: too many wrong passphrases; wait [0-9]+ s\n")
        self.assertEqual(done.err.count("wait"), 1, done.err)

    def test_members_and_passphrases(self):
        self.home.init()
        self.put("secret/one", "1")
        key, new = self.home.root / "robot.key", self.home.root / "new"
        self.home.ok("vault", "member", "add", "robot", "--new-key-file", key)
        self.home.ok("vault", "lock")
        self.home.ok("vault", "unlock", "--key-file", key, env={"AILERON_VAULT_PASSPHRASE": ""})
        new.write_text("another passphrase\n")
        self.home.ok("vault", "passwd", "--new-passphrase-file", new, "--keep-backups")
        self.assertEqual(self.told("vault.passphrase_changed"), {"aileron.vault.kind": "passphrase", "aileron.vault.member": "owner"})
        self.home.ok("vault", "lock")
        self.assertEqual(self.home.cli("vault", "unlock").code, 77)
        self.home.ok("vault", "unlock", "--passphrase-file", new)
        self.home.ok("vault", "member", "remove", "robot", "--yes", "--passphrase-file", new, "--keep-backups")
        self.home.ok("vault", "lock")
        self.assertEqual(self.home.cli("vault", "unlock", "--key-file", key, env={"AILERON_VAULT_PASSPHRASE": ""}).code, 77)
        self.home.ok("vault", "unlock", "--passphrase-file", new)
        self.assertEqual([e["path"] for e in self.home.ok("vault", "list", "--json").lines], ["secret/one"])

    def test_version_1_is_upgraded_with_a_backup(self):
        self.home.state.mkdir(mode=0o700)
        (self.home.state / "secrets.json").write_text(VERSION_1)
        self.home.ok("vault", "unlock")
        self.assertFalse((self.home.state / "secrets.json").exists())
        self.assertEqual(json.loads(self.file().read_text())["version"], 2)
        backups = self.home.ok("vault", "backup", "list", "--json").lines
        self.assertEqual(len(backups), 1)
        binding = self.home.ok("binding", "inspect", "api_key/stripe/work", "--json").json
        self.assertEqual(binding["connector_fqn"], "github.com/acme/stripe-connector")

    def test_a_backup_is_deleted_by_who_can_unlock(self):
        self.home.state.mkdir(mode=0o700)
        (self.home.state / "secrets.json").write_text(VERSION_1)
        self.home.ok("vault", "unlock")
        name = self.home.ok("vault", "backup", "list", "--json").lines[0]["name"]
        self.home.ok("vault", "lock")
        file = self.home.root / "p"
        file.write_text(self.home.env.pop("AILERON_VAULT_PASSPHRASE"))
        done = self.home.cli("vault", "backup", "delete", name, "--yes")
        self.assertEqual(done.code, 77)
        self.assertIn("--passphrase-file", done.err)
        self.home.ok("vault", "backup", "delete", name, "--yes", "--passphrase-file", file)
        self.assertEqual(self.home.ok("vault", "backup", "list", "--json").lines, [])

    def test_an_export_goes_to_another_home(self):
        self.home.init()
        self.put("secret/one", "1")
        passphrase, file = self.home.root / "p", self.home.root / "export.json"
        passphrase.write_text("for the journey")
        self.home.ok("vault", "export", "--output", file, "--new-passphrase-file", passphrase)
        self.assertEqual(self.told("vault.exported"), {"aileron.vault.entries": 1, "aileron.vault.kind": "passphrase",
                                                       "aileron.vault.member": "owner"})
        with Home() as other:
            other.init()
            other.ok("vault", "import", file, "--import-passphrase-file", passphrase)
            self.assertEqual([e["path"] for e in other.ok("vault", "list", "--json").lines], ["secret/one"])
            other.ok("vault", "import", file, "--import-passphrase-file", passphrase, "--replace")
            self.assertEqual([event["payload"] for event in other.events("--type", "vault.imported")], [
                {"aileron.vault.added": 0, "aileron.vault.kept": 0, "aileron.vault.replaced": 1},
                {"aileron.vault.added": 1, "aileron.vault.kept": 0, "aileron.vault.replaced": 0}])

    def test_an_older_file_is_refused_until_it_is_accepted_by_name(self):
        self.home.init()
        self.put("secret/one", "1")
        old = self.home.root / "old"
        shutil.copy(self.file(), old)
        self.put("secret/two", "2")
        self.home.ok("vault", "lock")
        self.home.ok("daemon", "stop")
        shutil.copy(old, self.file())
        done = self.home.cli("vault", "unlock")
        self.assertEqual(done.code, 77)
        self.assertIn("vault_rolled_back", done.err)
        self.home.ok("vault", "unlock", "--accept-rollback")
        self.assertIn("vault.rollback_accepted", [e["event_type"] for e in self.home.events()])

    def bring_back(self, file):
        self.home.ok("vault", "lock")
        self.home.ok("daemon", "stop")
        shutil.copy(file, self.file())

    def generation(self):
        return json.loads(self.file().read_text())["generation"]

    def test_a_file_that_is_put_back_is_seen(self):
        self.home.init()
        whole = self.file().read_bytes()
        for damage, state in ((self.file().unlink, "missing"), (lambda: self.file().write_bytes(whole[:-20]), "locked")):
            self.home.ok("vault", "unlock")
            damage()
            self.home.ok("vault", "lock")
            self.assertEqual(self.state(), state)
            self.file().write_bytes(whole)
            self.file().chmod(0o600)
            status = self.home.ok("vault", "status", "--json").json
            self.assertEqual((status["state"], status.get("trouble", "")), ("locked", ""))
        self.home.ok("vault", "unlock")

    def test_what_an_accepted_file_replaced_cannot_come_back_unseen(self):
        self.home.init()
        old, given_up = self.home.root / "old", self.home.root / "given-up"
        self.put("secret/one", "1")
        shutil.copy(self.file(), old)
        self.put("secret/given-up", "2")
        shutil.copy(self.file(), given_up)
        newest = self.generation()
        self.bring_back(old)
        self.home.ok("vault", "unlock", "--accept-rollback")
        self.assertEqual(self.generation(), newest + 1)
        self.assertEqual(self.told("vault.rollback_asked")["aileron.vault.generation"], json.loads(old.read_text())["generation"])
        accepted = self.told("vault.rollback_accepted")
        self.assertEqual((accepted["aileron.vault.generation"], accepted["aileron.vault.member"]), (newest + 1, "owner"))
        self.put("secret/new", "3")
        self.bring_back(given_up)
        done = self.home.cli("vault", "unlock")
        self.assertEqual(done.code, 77)
        self.assertIn("vault_rolled_back", done.err)
        # Nor does the line that goes on have to be accepted again.
        self.home.ok("vault", "unlock", "--accept-rollback")
        self.home.ok("vault", "lock")
        self.home.ok("vault", "unlock")
        self.assertEqual([e["path"] for e in self.home.ok("vault", "list", "--json").lines],
                         ["secret/given-up", "secret/one"])
        self.assertEqual(len(self.home.events("--type", "vault.rollback_accepted")), 2)

    def test_a_file_that_was_changed_is_refused(self):
        self.home.init()
        self.put("secret/one", "1")
        self.put("secret/two", "2")
        self.home.ok("daemon", "stop")
        text = self.file().read_text()
        document = json.loads(text)
        self.file().write_text(text[:len(text) // 2])
        done = self.home.cli("vault", "unlock")
        self.assertIn("vault_truncated", done.err)
        self.home.ok("daemon", "stop")
        one, two = document["secrets"]["secret/one"], document["secrets"]["secret/two"]
        one["value"], two["value"] = two["value"], one["value"]
        self.file().write_text(json.dumps(document, indent=2))
        done = self.home.cli("vault", "unlock")
        self.assertNotEqual(done.code, 0)
        self.assertRegex(done.err, "vault_[a-z_]+")

    def test_signals_lock(self):
        self.home.init()
        os.kill(self.home.discovery["pid"], signal.SIGUSR1)
        wait_for(lambda: self.state() == "locked", "the vault to be locked")

    def test_values_come_from_no_argument(self):
        self.home.init()
        self.assertEqual(self.home.cli("vault", "put", "secret/one", "value").code, 2)

    def test_a_value_comes_from_one_place(self):
        self.home.init()
        file = self.home.root / "value"
        file.write_text("of the file")
        done = self.home.cli("vault", "put", "secret/one", "--value-file", file, "-", stdin="of standard input")
        self.assertEqual(done.code, 2, done)
        self.assertEqual(self.home.ok("vault", "list", "--json").lines, [])

    def test_the_keepers_folder_is_nobody_elses(self):
        self.home.init()
        control = self.home.process("control")
        self.assertEqual([os.readlink(fd) for fd in pathlib.Path(f"/proc/{control}/fd").iterdir()
                          if "/vault" in os.readlink(fd)], [])


if __name__ == "__main__":
    unittest.main()
