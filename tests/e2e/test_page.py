"""The page of `aileron open`, in a real browser."""
import base64
import http.client
import json
import os
import shutil
import subprocess
import unittest
import urllib.parse

from daemon import PASSPHRASE, Home, wait_for
from house import ROOT, SLOW
from service import Service
from skips import without

NODE = ROOT / "tests" / "e2e" / "node"
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; font-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
VIEWS = ["Approvals", "Runs", "Sessions", "Actions", "Bindings", "Vault", "Processes", "Audit", "Doctor"]
# Where pictures for the documentation go, when they are wanted: AILERON_IMAGES=docs/images
IMAGES = os.environ.get("AILERON_IMAGES")


class Browser:
    """Chromium, driven by page.mjs: browser.wait(text="…"), browser.click(name="…", tab="two") …"""

    def __init__(self):
        self.process = subprocess.Popen(["node", "page.mjs"], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "PAGE_TIMEOUT_MS": str(15000 * SLOW)})

    def __getattr__(self, name):
        def ask(**command):
            self.process.stdin.write(json.dumps({"do": name, **command}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            assert line, "the browser's driver has ended"
            answer = json.loads(line)
            assert "error" not in answer, f"{name} {command}: {answer['error']}"
            return answer["value"]
        return ask

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class PageTest(unittest.TestCase):
    def setUp(self):
        if shutil.which("chromium") is None and "CHROMIUM" not in os.environ:
            without(self, "chromium")
        if not (NODE / "node_modules" / "axe-core").exists():
            without(self, "axe-core (npm ci in tests/e2e/node)")
        self.browser = Browser()
        self.addCleanup(self.browser.close)

    def home(self, **more):
        home = Home(**more)
        self.addCleanup(home.__exit__)
        home.start()
        return home

    def code(self, home):
        return home.request("POST", "/v1/person/codes").json["code"]

    def enter(self, home, path="/approvals", **how):
        """Opens a view as `aileron open` does; answers the base URL."""
        base = home.discovery["url"].rstrip("/")
        self.browser.open(url=f"{base}{path}#code={self.code(home)}", **how)
        self.browser.wait(text="Sign out", tab=how.get("tab", "one"))
        return base

    def assert_quiet(self, base):
        """No script failed, nothing was refused by the policy, nobody else was asked anything."""
        seen = self.browser.seen()
        self.assertEqual(seen["troubles"], [])
        self.assertEqual([url for url in seen["requests"] if not url.startswith(base + "/")], [])

    def assert_accessible(self, what, **command):
        found = self.browser.axe(**command)
        self.assertEqual(found, [], what)

    def shot(self, name, **command):
        if IMAGES:
            folder = ROOT / IMAGES
            folder.mkdir(parents=True, exist_ok=True)
            self.browser.shot(path=str(folder / f"{name}.png"), **command)


class Pages(PageTest):
    def test_it_is_served_under_each_view_with_its_policy(self):
        home = self.home()
        base = home.discovery["url"].rstrip("/")
        first = home.request("GET", "/", token="", check=False)
        self.assertNotIn("<style", first.body)
        self.assertNotRegex(first.body, r"<script(?![^>]* src=)")
        for path in ["/", *("/" + view.lower() for view in VIEWS)]:
            answer = home.request("GET", path + "?x=1", token="", check=False)
            self.assertEqual((answer.status, answer.body), (200, first.body), path)
            self.assertEqual(answer.headers["Content-Security-Policy"], POLICY)
            self.assertEqual(answer.headers["Referrer-Policy"], "no-referrer")
        for path in ("/page.js", "/page.css", "/icon.svg"):
            self.assertEqual(home.request("GET", path, token="", check=False).status, 200)
        self.assertEqual(home.request("GET", "/approvals/x", token="", check=False).status, 404)
        self.browser.open(url=base + "/")
        self.browser.wait(text="aileron open")
        self.assert_accessible("signed out")
        self.assert_quiet(base)

    def test_the_code_is_good_once_and_leaves_the_address_bar(self):
        home = self.home()
        base = home.discovery["url"].rstrip("/")
        code = self.code(home)
        self.browser.open(url=f"{base}/vault#code={code}")
        self.browser.wait(text="Sign out")
        self.assertEqual(self.browser.url(), base + "/vault")
        self.browser.open(tab="two", who="another", url=f"{base}/approvals?focus=act-20260101T000000-9f3c2b1a0d4e5f67#code={code}")
        self.browser.wait(tab="two", text="The code in the address was not accepted")
        self.browser.wait(tab="two", text="aileron open approval act-20260101T000000-9f3c2b1a0d4e5f67")
        # A link that is opened in another tab of the same browser needs no code, and survives a reload.
        self.browser.open(tab="three", url=f"{base}/doctor")
        self.browser.wait(tab="three", text="Sign out")
        self.browser.reload(tab="three")
        self.browser.wait(tab="three", text="Sign out")
        # Signed out in one, signed out in all.
        self.browser.click(name="Sign out")
        self.browser.wait(text="You have signed out.")
        self.browser.wait(tab="three", text="You have signed out in another tab.")
        self.assert_quiet(base)

    def test_a_token_that_is_revoked_ends_the_session_and_says_how_to_come_back(self):
        home = self.home()
        base = self.enter(home, "/vault")
        token = self.browser.run(script="sessionStorage.getItem('aileron.token')")
        self.assertEqual(home.request("DELETE", "/v1/person/tokens/current", token=token).status, 204)
        self.browser.go(name="Audit")
        self.browser.wait(text="This page's sign-in is over")
        self.browser.wait(text="aileron open")
        self.assertIsNone(self.browser.run(script="sessionStorage.getItem('aileron.token')"))
        self.assert_quiet(base)

    def test_the_vault_is_made_locked_and_unlocked_and_takes_secrets_that_control_cannot_read(self):
        home = self.home()
        base = self.enter(home, "/vault")
        self.browser.fill(label="New passphrase", value=PASSPHRASE)
        self.browser.fill(label="The same once more", value=PASSPHRASE + "x")
        self.browser.click(name="Make the vault")
        self.browser.wait(text="the two passphrases differ")
        self.browser.fill(label="New passphrase", value=PASSPHRASE)
        self.browser.fill(label="The same once more", value=PASSPHRASE)
        self.browser.click(name="Make the vault")
        self.browser.wait(text="Store a secret")
        self.assertEqual(home.ok("vault", "status", "--json").json["state"], "unlocked")
        secret = "sk-páge-0001-\U0001f511"
        self.browser.fill(label="Path", value="user/mail")
        self.browser.fill(label="Environment", value="prüf")
        self.browser.fill(label="Value", value=secret)
        self.browser.click(name="Store")
        self.browser.wait(text="user/mail")
        self.assert_accessible("vault")
        self.shot("page-vault")
        meta = home.ok("vault", "get-meta", "user/mail", "--json").json
        self.assertEqual(meta["metadata"]["environment"], "prüf")
        self.browser.click(name="Lock")
        self.browser.wait(text="Passphrase of the vault")
        self.browser.fill(label="Passphrase of the vault", value="wrong")
        self.browser.click(name="Unlock")
        self.browser.wait(text="passphrase", of="[role=alert]")
        self.browser.fill(label="Passphrase of the vault", value=PASSPHRASE)
        self.browser.click(name="Unlock")
        self.browser.wait(text="Store a secret")
        self.assertEqual(home.ok("vault", "status", "--json").json["state"], "unlocked")
        spellings = [text.encode() for text in (secret, PASSPHRASE)]
        spellings += [base64.b64encode(text).rstrip(b"=")[:-1] for text in spellings]
        for file in [path for path in home.state.rglob("*") if path.is_file()]:
            for spelling in spellings:
                self.assertNotIn(spelling, file.read_bytes(), file)
        self.browser.click(name="Delete user/mail")
        self.browser.wait(text="Its value is gone for good.")
        self.browser.click(name="Delete", exact=True)
        self.browser.gone(text="user/mail")
        self.assert_quiet(base)

    def test_a_browser_without_x25519_is_sent_to_the_terminal(self):
        home = self.home()
        self.browser.without_x25519()
        base = self.enter(home, "/vault")
        self.browser.wait(text="This browser cannot seal secrets")
        self.browser.wait(text="aileron vault init")
        self.assertEqual(self.browser.count(of="input[type=password]"), 0)
        self.assert_quiet(base)

    def test_every_view_is_accessible_in_light_and_dark_and_fits_a_telephone(self):
        home = self.home()
        home.init()
        home.link("fixture", port=9)
        for tab, how in (("light", {"dark": False}), ("dark", {"dark": True}), ("small", {"width": 360, "height": 740})):
            base = self.enter(home, tab=tab, who=tab, **how)
            for view in VIEWS:
                self.browser.go(name=view, tab=tab)
                self.browser.settle(tab=tab)
                self.assert_accessible(f"{view} {tab}", tab=tab)
                self.assertLessEqual(self.browser.overflow(tab=tab), 0, f"{view} {tab}")
                if view in ("Processes", "Doctor", "Audit") and tab == "light":
                    self.shot("page-" + view.lower(), tab=tab)
        self.assert_quiet(base)

    def test_processes_show_their_proofs_and_doctor_its_checks(self):
        home = self.home()
        base = self.enter(home, "/processes")
        for role in ("control", "keeper", "egress"):
            self.browser.wait(text=role)
        self.browser.wait(text="proofs")
        proof = self.browser.text(of="main")
        self.assertIn("confined", proof)
        self.browser.go(name="Doctor")
        self.browser.wait(text="database")
        self.browser.wait(text="under your own user id")
        self.browser.go(name="Sessions")
        home.request("POST", "/v1/sessions", {"agent": "claude", "working_dir": "/home/ada"})
        self.browser.click(name="Refresh")
        self.browser.wait(text="/home/ada")
        self.browser.click(name="End the session of claude")
        self.browser.click(name="End", exact=True)
        self.browser.wait(text="orphaned")
        self.assert_quiet(base)

    def test_five_thousand_events_stay_usable(self):
        home = self.home()
        self.record(home, 5000)
        base = self.enter(home, "/audit")
        self.browser.wait(text="row 4999")
        self.assertEqual(self.browser.count(of="tbody tr"), 100)
        took = self.browser.run(script="performance.now()")
        for page in range(3):
            self.browser.click(role="link", name="Older")
            self.browser.wait_url(pattern="before_seq=")
            self.browser.settle()
        self.assertLess(self.browser.run(script="performance.now()") - took, 10000 * SLOW)
        self.assertEqual(self.browser.count(of="tbody tr"), 100)
        self.browser.click(role="link", name="Newest")
        self.browser.wait(text="row 4999")
        self.browser.fill(label="Event", value="daemon.started")
        self.browser.click(name="Filter")
        self.browser.wait_url(pattern="type=daemon.started")
        self.browser.settle()
        self.assertEqual(self.browser.count(of="tbody tr"), 1)
        self.browser.click(name="Verify the chain")
        self.browser.wait(text="The chain is intact")
        self.assert_accessible("audit, filtered")
        self.assert_quiet(base)

    def record(self, home, count):
        """Events of a program beside the daemon, over one connection"""
        address = urllib.parse.urlsplit(home.discovery["url"])
        conn = http.client.HTTPConnection(address.hostname, address.port, timeout=30 * SLOW)
        headers = {"Content-Type": "application/json", "Authorization": "Bearer " + home.discovery["token"]}
        for number in range(count):
            event = {"event_type": "tool.call.forwarded", "actor": {"type": "service", "id": "counter"},
                     "payload": {"aileron.reason": f"row {number}"}}
            conn.request("POST", "/v1/audit", json.dumps(event), headers)
            answer = conn.getresponse()
            answer.read()
            self.assertEqual(answer.status, 201)
        conn.close()


if __name__ == "__main__":
    unittest.main()
