"""The command line with a person in front of it: a terminal of our own, typed into and read."""
import os
import pty
import select
import subprocess
import termios
import time
import unittest

from daemon import Home
from house import SLOW
from service import Service


class Person:
    """One verb on a terminal; see(text) waits until it is on the screen, type(text) answers."""

    def __init__(self, home, *args, env=None):
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (50, 100))
        environment = {**home.env, "TERM": "xterm", **(env or {})}
        environment.pop("AILERON_VAULT_PASSPHRASE", None)
        self.process = subprocess.Popen(home.command(*args), env=environment, stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True, preexec_fn=lambda: os.close(os.open(os.ttyname(slave), os.O_RDWR)))
        os.close(slave)
        self.screen = ""
        self.seen = 0

    def read(self, end):
        ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
        if not ready:
            raise AssertionError(f"nothing more came: {self.screen}")
        try:
            piece = os.read(self.master, 4096)
        except OSError:
            piece = b""
        self.screen += piece.decode(errors="replace")
        return len(piece) > 0

    def see(self, text, seconds=30):
        end = time.monotonic() + seconds * SLOW
        while text not in self.screen[self.seen:]:
            if not self.read(end):
                raise AssertionError(f"'{text}' never came: {self.screen}")
        self.seen = self.screen.index(text, self.seen) + len(text)
        return self

    def type(self, text):
        os.write(self.master, text.encode())
        return self

    def end(self, seconds=60):
        end = time.monotonic() + seconds * SLOW
        while self.read(end):
            pass
        os.close(self.master)
        return self.process.wait(30 * SLOW)


class Terminal(unittest.TestCase):
    def setUp(self):
        self.home = Home()
        self.addCleanup(self.home.__exit__)

    def person(self, *args, **more):
        return Person(self.home, *args, **more)

    def test_a_first_secret_makes_the_vault(self):
        person = self.person("vault", "put", "secret/one")
        person.see("There is no vault yet").see("New vault passphrase: ").type("first pass\n")
        person.see("Confirm passphrase: ").type("first pass\n").see("Value: ").type("the value\n").see("Stored secret/one")
        self.assertEqual(person.end(), 0)
        self.assertNotIn("first pass", person.screen)
        self.assertNotIn("the value", person.screen)
        self.assertEqual(self.home.ok("vault", "unlock", env={"AILERON_VAULT_PASSPHRASE": "first pass"}).code, 0)

    def test_two_passphrases_that_differ_make_nothing(self):
        person = self.person("vault", "init")
        person.see("New vault passphrase: ").type("one\n").see("Confirm passphrase: ").type("two\n").see("not the same")
        self.assertEqual(person.end(), 77)
        self.assertEqual(self.home.ok("vault", "status", "--json").json["state"], "missing")

    def test_a_wrong_passphrase_may_be_corrected_once(self):
        self.home.init()
        self.home.ok("vault", "lock")
        person = self.person("vault", "unlock")
        person.see("Vault passphrase: ").type("wrong\n").see("once more").see("Vault passphrase: ")
        person.type("correct horse battery staple\n").see("unlocked")
        self.assertEqual(person.end(), 0)
        self.home.ok("vault", "lock")
        person = self.person("vault", "unlock")
        person.see("Vault passphrase: ").type("wrong\n").see("Vault passphrase: ").type("wrong again\n").see("wrong_passphrase")
        self.assertEqual(person.end(), 77)

    def test_deleting_is_asked_about(self):
        self.home.init()
        self.home.ok("vault", "put", "secret/one", "-", stdin="x")
        person = self.person("vault", "delete", "secret/one")
        person.see("Delete secret/one? [y/N]: ").type("\n").see("cancelled")
        self.assertEqual(person.end(), 0)
        self.assertEqual(len(self.home.ok("vault", "list", "--json").lines), 1)
        person = self.person("vault", "delete", "secret/one")
        person.see("[y/N]: ").type("y\n").see("Deleted secret/one")
        self.assertEqual(person.end(), 0)
        self.assertNotEqual(self.home.cli("vault", "delete", "secret/one").code, 0)

    def test_binding_shows_what_it_is_for_and_asks(self):
        service = Service()
        self.addCleanup(service.close)
        self.home.init()
        self.home.link("fixture", service.port)
        person = self.person("binding", "setup", "fixture")
        person.see("github://acme/fixture").see("linked, unsigned").see(f"127.0.0.1:{service.port}").see("[y/N]: ").type("y\n")
        person.see("Who are you there").type("work\n").see("API key: ").type("the-key\n").see("api_key/fixture/work")
        self.assertEqual(person.end(), 0)
        self.assertNotIn("the-key", person.screen)
        person = self.person("binding", "setup", "fixture", "--identity", "home")
        person.see("[y/N]: ").type("n\n").see("cancelled")
        self.assertEqual(person.end(), 0)
        self.assertEqual([b["name"] for b in self.home.ok("binding", "list", "--json").lines], ["api_key/fixture/work"])

    def test_interrupting_a_question_gives_the_terminal_back(self):
        self.home.init()
        self.home.ok("vault", "lock")
        person = self.person("vault", "unlock")
        person.see("Vault passphrase: ")
        self.assertFalse(termios.tcgetattr(person.master)[3] & termios.ECHO)
        person.type("half\x03")
        person.process.wait(30 * SLOW)
        self.assertTrue(termios.tcgetattr(person.master)[3] & termios.ECHO)
        self.assertEqual(person.process.returncode, -2)
        os.close(person.master)

    def test_colours_and_widths_are_for_terminals(self):
        self.home.start()
        person = self.person("status")
        self.assertEqual(person.end(), 0)
        self.assertIn("\033[", person.screen)
        person = self.person("status", env={"NO_COLOR": "1"})
        self.assertEqual(person.end(), 0)
        self.assertNotIn("\033[", person.screen)
        self.assertNotIn("\033[", self.home.ok("status").out)
        person = self.person("audit", "list", env={"NO_COLOR": "1"})
        self.assertEqual(person.end(), 0)
        self.assertLessEqual(max(len(line.rstrip("\r")) for line in person.screen.split("\n")), 100)


if __name__ == "__main__":
    unittest.main()
