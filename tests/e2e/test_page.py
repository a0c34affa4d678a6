"""The page of `aileron open`, in a real browser."""
import base64
import contextlib
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import unittest
import urllib.parse

from daemon import PASSPHRASE, Home, manifest_of, wait_for
from house import ROOT, SLOW
from service import Service
from skips import without
from test_oauth import Provider, browse, manifest as oauth_manifest

NODE = ROOT / "tests" / "e2e" / "node"
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; font-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
VIEWS = ["Approvals", "Runs", "Sessions", "Actions", "Bindings", "Vault", "Processes", "Audit", "Doctor"]
# Where pictures for the documentation go, when they are wanted: AILERON_IMAGES=docs/images
IMAGES = os.environ.get("AILERON_IMAGES")


# What a service, an agent or a file might say to be taken for something else.
HOSTILE = ('<script>globalThis.owned=1</script><img src=x onerror="globalThis.owned=1">"><svg/onload=alert(1)> javascript:alert(1) '
           "\u202e\u2066 pay\u200bpal \u0007\u001b[31m \\u0000 \ufeff\U000e0041 {{7*7}} ")
LONG = HOSTILE + "x" * 20000
ID = "act-20260101T000000-9f3c2b1a0d4e5f67"


def soiled(value, text=HOSTILE, keep=()):
    """The value with hostile text behind every string in it, but for members that are named"""
    if isinstance(value, dict):
        return {name: one if name in keep else soiled(one, text, keep) for name, one in value.items()}
    if isinstance(value, list):
        return [soiled(one, text, keep) for one in value]
    return value + text if isinstance(value, str) else value


def pending(number=1, **more):
    """An approval as the daemon tells it"""
    return {"id": f"act-20260101T000000-{number:016x}", "kind": "action", "state": "pending_approval", "run_id": f"01J{number}",
            "title": "Send a mail", "action_name": "send-mail", "args": {"to": "ada@example.com", "subject": "Lunch", "count": 3, "tags": ["a", "b"]},
            "session_id": "01JSESSION", "requested_at": "2026-01-01T00:00:00Z", "expires_at": "2099-01-01T00:00:00Z",
            "caller": {"id": "01JAGENT", "name": "claude"}, "working_dir": "/home/ada/project", "session_ended": False,
            "editable": True, "grantable": True, "confirm": "none", "vault_locked": False, "digest": "sha256:" + "0f" * 32,
            "preview": {"fields": [{"label": "Thread", "value": "Lunch on Friday"}, {"label": "Notes", "value": "one\ntwo", "multiline": True},
                                   {"label": "Phone", "missing": True}]},
            "input_fields": [{"label": "To", "value": "ada@example.com"}, {"label": "Subject", "value": "Lunch"}],
            "steps": [{"id": "send", "op": "mail.send", "effect": "write", "connector": "github://acme/mail", "publisher": "acme",
                       "content_hash": "sha256:" + "ab" * 32, "pinned": "unpinned", "linked": True, "signed": False,
                       "hosts": ["mail.example.com:443"], "binding": "oauth2/mail/ada", "credential": "oauth2", "identity": "ada@example.com",
                       "arguments": {"to": "ada@example.com", "raw": "Subject: Lunch"}}], **more}


def stream(*events):
    return "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)


def watching(*items):
    """What is told to who watches the approvals, and to who asks for them"""
    told = {"items": list(items)}
    return [["GET", "/v1/action-approvals/watch", 200, stream(("snapshot", told)), "text/event-stream"], ["GET", "/v1/action-approvals", 200, told]]


class Browser:
    """Chromium, driven by page.mjs: browser.wait(text="…"), browser.click(name="…", tab="two") …"""

    def __init__(self):
        self.process = subprocess.Popen(["node", "page.mjs"], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "PAGE_TIMEOUT_MS": str(30000 * SLOW)})

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

    def shot(self, name, home, **command):
        if IMAGES:
            folder = ROOT / IMAGES
            folder.mkdir(parents=True, exist_ok=True)
            self.browser.shot(path=str(folder / f"{name}.png"), home=str(home.root), **command)


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
        self.browser.wait(text="This page's sign-in is over")  # its stream ends, and nobody has to do anything
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
        self.shot("page-vault", home)
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

    def test_a_key_file_unlocks_the_vault(self):
        home = self.home()
        home.init()
        key = home.root / "robot.key"
        home.ok("vault", "member", "add", "robot", "--new-key-file", key)
        home.ok("vault", "lock")
        base = self.enter(home, "/vault")
        self.browser.click(name="With a key file instead")
        self.assert_accessible("unlock with a key file")
        other = home.root / "other.key"
        other.write_bytes(key.read_bytes() + b"x")
        self.browser.attach(label="Key file of the vault", path=str(other))
        self.browser.click(name="Unlock")
        self.browser.wait(text="a key file has 32 bytes", of="[role=alert]")
        other.write_bytes(bytes(32))
        self.browser.attach(label="Key file of the vault", path=str(other))
        self.browser.click(name="Unlock")
        self.browser.wait(text="wrong key file", of="[role=alert]")
        self.browser.attach(label="Key file of the vault", path=str(key))
        self.browser.click(name="Unlock")
        self.browser.wait(text="Store a secret")
        self.assertEqual(home.ok("vault", "status", "--json").json["state"], "unlocked")
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
                if view == "Processes" and tab == "light":
                    self.shot("page-processes", home, tab=tab)
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
        self.browser.open_all(of="details")
        self.browser.fill(label="Name of the client", value="my client")
        self.browser.click(name="Make a token")
        self.browser.wait(text="shown this once")
        token = self.browser.run(script="document.querySelector('input[readonly]').value")
        self.assertEqual([agent["name"] for agent in home.request("GET", "/v1/agents").json["items"]], ["my client"])
        # It is a session, too, that only the token's end ends.
        self.browser.click(name="Refresh")
        sessions = "[...document.querySelector('table').querySelectorAll('tbody tr')].map(row => [row.innerText.includes('my client'), row.querySelectorAll('button').length])"
        wait_for(lambda: [True, 0] in self.browser.run(script=sessions), "the client's session")
        # An agent's token is none of a person's.
        self.assertEqual(home.request("GET", "/v1/action-approvals", token=token, check=False).status, 403)
        self.browser.click(name="Revoke the agent my client")
        self.browser.click(name="Revoke")
        self.browser.wait(text="revoked")
        self.assertIn("revoked_at", home.request("GET", "/v1/agents").json["items"][0])
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


class Bindings(PageTest):
    def call(self, home, service, kind):
        return home.cli("connector", "call", "github://acme/fixture", "--op", "http_cred", "--json", "--args", json.dumps(
            {"url": f"https://127.0.0.1:{service.port}/ok", "credential": kind}))

    def test_what_is_no_signing_key_is_refused(self):
        service = Service()
        self.addCleanup(service.close)
        home = self.home(ca=service.ca)
        home.init()
        home.link("fixture", manifest=manifest_of("fixture", service.port, 'kind = "signing_key"\nalgorithm = "ed25519"'))
        base = self.enter(home, "/bindings?new=github%3A%2F%2Facme%2Ffixture")
        self.browser.fill(label="Who are you there?", value="work")
        self.browser.fill(label="Signing key", value="no key of any kind")
        self.browser.check(label="This connector may use")
        self.browser.click(name="Bind")
        self.browser.wait(text="the value is no Ed25519 private key")
        self.assertEqual(home.ok("binding", "list", "--json").lines, [])
        self.browser.fill(label="Signing key", value="x" * 32)
        self.browser.click(name="Bind")
        self.browser.wait(text="signing_key/fixture/work")
        self.browser.click(role="link", name="Give it another value")
        self.browser.fill(label="Signing key", value="x" * 31)
        self.browser.check(label="This connector may use")
        self.browser.click(name="Bind")
        self.browser.wait(text="the value is no Ed25519 private key")
        self.assertEqual(self.call(home, service, "signing_key").code, 0)
        self.assertTrue(service.seen[-1][2]["signature"])
        self.assert_quiet(base)

    def test_an_api_key_is_bound_used_bound_again_and_revoked(self):
        service = Service()
        self.addCleanup(service.close)
        home = self.home(ca=service.ca)
        home.init()
        home.link("fixture", port=service.port)
        base = self.enter(home, "/bindings")
        self.browser.click(role="link", name="github://acme/fixture")
        self.browser.wait(text="May reach")
        self.assertIn("unsigned", self.browser.text(of="main"))
        self.assert_accessible("binding")
        self.browser.fill(label="Who are you there?", value="work")
        self.browser.fill(label="Account", value="ädä \U0001f511 at acme")
        self.browser.fill(label="API key", value="sk-first-0001")
        self.browser.check(label="This connector may use")
        self.browser.click(name="Bind")
        self.browser.wait(text="api_key/fixture/work")
        self.shot("page-bindings", home)
        self.assertEqual(home.ok("binding", "inspect", "api_key/fixture/work", "--json").json["account"], "ädä \U0001f511 at acme")
        self.assertEqual(self.call(home, service, "api_key").code, 0)
        self.assertIn("sk-first-0001", service.seen[-1][2]["authorization"])
        home.ok("vault", "lock")
        self.browser.click(role="link", name="Give it another value")
        self.browser.wait(text="The vault is locked.")
        self.browser.fill(label="Passphrase of the vault", value=PASSPHRASE)
        self.browser.click(name="Unlock")
        self.browser.fill(label="API key", value="sk-second-0002")
        self.browser.check(label="This connector may use")
        self.browser.click(name="Bind")
        self.browser.wait(text="Bind a credential to")
        self.assertEqual(self.call(home, service, "api_key").code, 0)
        self.assertIn("sk-second-0002", service.seen[-1][2]["authorization"])
        self.browser.click(name="Revoke api_key/fixture/work")
        self.browser.wait(text="Its value is deleted.")
        self.browser.click(name="Revoke")
        self.browser.wait(text="There is nothing here yet.")
        self.assertEqual(home.ok("binding", "list", "--json").lines, [])
        self.assert_quiet(base)

    def test_oauth_from_the_page(self):
        service, provider = Service(), Provider()
        self.addCleanup(service.close)
        self.addCleanup(provider.close)
        home = self.home(ca=service.ca)
        home.init()
        home.link("fixture", manifest=oauth_manifest(provider, service).replace("acme/mail", "acme/fixture"))
        base = self.enter(home, "/bindings")
        for path in ("/bindings?new=github%3A%2F%2Facme%2Ffixture", "/bindings?again=oauth2%2Ffixture%2Falice"):
            self.browser.open(url=base + path)
            self.browser.wait(text="Go to the authorization server")
            if "new" in path:
                self.browser.fill(label="Who are you there?", value="alice")
            self.browser.check(label="This connector may use")
            self.browser.click(name="Go to the authorization server")
            self.browser.wait_url(pattern=f":{provider.port}/")
            self.browser.consent(until=base)
            self.browser.wait(text="Authorized: ")
            self.browser.wait_url(pattern="/bindings$")  # once it has been read
            self.assertEqual(self.browser.url(), base + "/bindings")
            self.assertEqual(self.call(home, service, "oauth2").code, 0)
            self.assertRegex(service.seen[-1][2]["authorization"], r"^Bearer \S{20,}$")
        self.assertEqual(self.browser.seen()["troubles"], [])


    def test_a_device_code_from_the_page(self):
        service, provider = Service(), Provider()
        self.addCleanup(service.close)
        self.addCleanup(provider.close)
        home = self.home(ca=service.ca)
        home.init()
        home.link("fixture", manifest=oauth_manifest(provider, service, device=True).replace("acme/mail", "acme/fixture"))
        base = self.enter(home, "/bindings?new=github%3A%2F%2Facme%2Ffixture")
        self.browser.fill(label="Who are you there?", value="phone")
        self.browser.check(label="With a code that I type on another device")
        self.browser.check(label="This connector may use")
        self.browser.fill(label="Passphrase of the vault", value="wrong")
        self.browser.click(name="Get a code")
        self.browser.wait(text="passphrase", of="[role=alert]")
        self.browser.fill(label="Passphrase of the vault", value=PASSPHRASE)
        self.browser.click(name="Get a code")
        self.browser.wait(text="Waiting until it is typed")
        self.assert_accessible("a device code")
        browse(self.browser.run(script="document.querySelector('[aria-label^=Code] a').href"))
        self.browser.wait(text="oauth2/fixture/phone")
        self.assertEqual(self.browser.url(), base + "/bindings")
        self.assertEqual(self.call(home, service, "oauth2").code, 0)
        self.assertNotIn(PASSPHRASE, json.dumps(self.browser.seen()["sent"]))
        self.assertEqual(self.browser.seen()["troubles"], [])


def mail_action(service, grants):
    """An action that asks, with a preview, over the example connector that does as it is told"""
    return f"""+++
name = "send-mail"
version = "1.0.0"
source = "github://acme/actions/send-mail@1.0.0"

[[requires.connectors]]
name = "github://acme/fixture"
version = "1.0.0"
hash = "sha256:bound-at-release"
capabilities = ["http_cred", "echo"]

[match]
intent = "send a mail"

[[inputs]]
name = "to"
type = "string"
label = "To"
description = "An address."

[[inputs]]
name = "subject"
type = "string"
label = "Subject"
description = "In one line."

[approval]
required = true
editable = true
grants = {grants}

[approval.preview]
op = "echo"
args = {{ value = "The thread of ${{args.subject}}" }}
render = {{ "Thread so far" = "value", "Phone" = "phone" }}

[[execute]]
id = "send"
connector = "github://acme/fixture"
op = "http_cred"
effect = "write"
idempotent = false

[execute.inputs]
url = "https://127.0.0.1:{service.port}/ok"
credential = "api_key"
method = "POST"
body = "${{args.subject}}"
+++

# Send a mail

Sends one mail. The user is asked first.
"""


# What says that the preview's operation may run before a person was asked.
THREAD_ACTION = """+++
name = "show-thread"
version = "1.0.0"
source = "github://acme/actions/show-thread@1.0.0"

[[requires.connectors]]
name = "github://acme/fixture"
version = "1.0.0"
hash = "sha256:bound-at-release"
capabilities = ["echo"]

[match]
intent = "show a thread"

[[inputs]]
name = "value"
type = "string"
description = "Its subject."

[approval]
required = false

[[execute]]
id = "look"
connector = "github://acme/fixture"
op = "echo"
effect = "read"
idempotent = true
+++

# Show a thread
"""


class DecidingTest(PageTest):
    """A daemon with an action that asks, and a service behind it"""

    def stage(self, config=None, grants="false", **env):
        self.service = Service()
        self.addCleanup(self.service.close)
        home = Home(ca=self.service.ca, **env)
        self.addCleanup(home.__exit__)
        if config:
            home.state.mkdir(mode=0o700)
            (home.state / "config.yaml").write_text(config)
            (home.state / "config.yaml").chmod(0o600)
        home.start()
        home.init()
        home.link("fixture", port=self.service.port)
        home.ok("binding", "setup", "github://acme/fixture", "--identity", "ada", "--account", "ada@example.com", "--value-file", self.key_file(home), "--yes")
        folder = home.root / "actions"
        folder.mkdir()
        (folder / "send-mail.md").write_text(mail_action(self.service, grants))
        (folder / "show-thread.md").write_text(THREAD_ACTION)
        home.ok("action", "link", folder)
        return home

    def key_file(self, home):
        path = home.root / "key"
        path.write_text("sk-mail-0001\n")
        path.chmod(0o600)
        return path

    def run_action(self, home, subject="Lunch on Friday", **more):
        answer = home.request("POST", "/v1/actions/send-mail/run", {"args": {"to": "ada@example.com", "subject": subject}, **more})
        self.assertEqual(answer.status, 202, answer.body)
        return answer.json

    def state(self, home, run):
        return home.request("GET", "/v1/runs/" + run["run_id"]).json["state"]


class Deciding(DecidingTest):
    def test_approved_here_it_runs_and_says_what_came_of_it(self):
        home = self.stage()
        base = self.enter(home)
        self.browser.wait(text="Nothing waits for you.")
        run = self.run_action(home)
        self.browser.wait(text="Send a mail")
        self.browser.wait(text="The thread of Lunch on Friday")
        card = self.browser.text(**{"in": "Send a mail"})
        for wanted in ("http_cred", "github://acme/fixture", f"127.0.0.1:{self.service.port}", "ada@example.com", "acme", "unsigned", "Lunch on Friday",
                       "api_key/fixture/ada", "expires in", "n/a"):
            self.assertIn(wanted, card)
        self.assert_accessible("a real approval")
        self.shot("page-approvals", home)
        self.assertEqual(self.service.seen, [])
        self.browser.click(name="Approve")
        self.browser.wait(text="Approved by you")
        self.browser.wait(text="completed")
        self.assertEqual(self.state(home, run), "completed")
        self.assertEqual([(method, body) for method, _, _, body in self.service.seen], [("POST", b"Lunch on Friday")])
        self.browser.go(name="Runs")
        self.browser.wait(text="send-mail")
        self.shot("page-runs", home)
        self.assert_accessible("runs")
        self.browser.open(url=f"{base}/runs?id={run['run_id']}")
        self.browser.wait(text="Attempts")
        self.assert_accessible("a run")
        self.browser.go(name="Actions")
        self.browser.wait(text="send-mail")
        self.assert_accessible("actions")
        self.browser.click(name="Disable send-mail")
        self.browser.wait(text="disabled")
        self.assertFalse(home.request("GET", "/v1/actions/send-mail").json["enabled"])
        self.browser.click(role="link", name="send-mail")
        self.browser.wait(text="What its author says")
        self.assert_accessible("an action")
        self.assert_quiet(base)

    def test_two_tabs_decide_and_one_wins(self):
        home = self.stage()
        run = self.run_action(home)
        item = home.request("GET", "/v1/action-approvals").json["items"][0]
        base = self.enter(home, tab="one", who="one")
        # What the second tab last heard is that it waits.
        self.browser.stub(who="two", answers=watching(item))
        self.enter(home, tab="two", who="two")
        self.enter(home, tab="three", who="three")
        for tab in ("one", "two", "three"):
            self.browser.wait(text="Send a mail", tab=tab)
        self.browser.click(name="Deny", tab="one")
        self.browser.wait(text="Denied by you", tab="one")
        self.browser.wait(text="Denied elsewhere", tab="three")
        self.browser.click(name="Approve", tab="two")
        self.browser.wait(text="No longer pending", tab="two")
        self.browser.wait(text="denied", tab="two")
        self.assertEqual(self.state(home, run), "denied")
        self.assertEqual(self.service.seen, [])
        self.assert_quiet(base)

    def test_a_locked_vault_is_unlocked_from_the_card(self):
        home = self.stage()
        base = self.enter(home)
        run = self.run_action(home)
        self.browser.wait(text="Send a mail")
        home.ok("vault", "lock")
        self.browser.click(name="Approve")
        self.browser.wait(text="The vault is locked")
        self.assertEqual(self.state(home, run), "pending_approval")
        self.browser.fill(label="Passphrase of the vault", value=PASSPHRASE)
        self.browser.click(name="Unlock")
        self.browser.gone(text="Unlock it, then approve.")
        self.browser.click(name="Approve")
        self.browser.wait(text="completed")
        self.assertEqual(self.state(home, run), "completed")
        self.assert_quiet(base)

    def test_edited_arguments_are_what_runs(self):
        home = self.stage()
        base = self.enter(home)
        run = self.run_action(home)
        self.browser.click(name="Edit arguments")
        self.browser.fill(label="Arguments, as JSON", value='{"to":"ada@example.com","subject":5}')
        self.browser.click(name="Approve as edited")
        self.browser.wait(text="subject", of="[role=alert]")
        self.browser.fill(label="Arguments, as JSON", value='{"to":"ada@example.com","subject":"Dinner <b>\\u202e"}')
        self.browser.click(name="Approve as edited")
        self.browser.wait(text="completed")
        self.assertEqual(self.service.seen[0][3].decode(), "Dinner <b>\u202e")
        self.assertTrue(home.request("GET", "/v1/runs/" + run["run_id"]).json["edited"])
        self.assert_quiet(base)

    def test_where_each_approval_asks_for_the_passphrase_it_is_sealed_and_bound(self):
        home = self.stage("approvals:\n  confirm: passphrase\n  grants: true\n", grants="true")
        base = self.enter(home)
        run = self.run_action(home)
        self.browser.wait(text="Send a mail")
        self.browser.click(name="Approve")
        self.browser.wait(text="type the passphrase to confirm")
        self.browser.fill(label="Passphrase, to confirm", value="wrong")
        self.browser.click(name="Approve")
        self.browser.wait(text="passphrase", of="[role=alert]")
        self.assertEqual(self.state(home, run), "pending_approval")
        self.browser.click(name="Edit arguments")
        self.browser.fill(label="Arguments, as JSON", value='{"to":"ada@example.com","subject":"Grüße \U0001f511"}')
        self.browser.fill(label="Passphrase, to confirm", value=PASSPHRASE)
        self.browser.click(name="Approve for 15 minutes …")
        self.browser.click(name="Approve and allow for 15 minutes")
        self.browser.wait(text="completed")
        self.browser.wait(text="What runs without asking now")
        self.assertNotIn(PASSPHRASE, json.dumps(self.browser.seen()["sent"]))
        self.assertEqual(len(home.request("GET", "/v1/grants").json["items"]), 1)
        self.browser.click(name="Revoke this grant")
        self.browser.click(name="Revoke")
        self.browser.gone(text="What runs without asking now")
        self.assertEqual(home.request("GET", "/v1/grants").json["items"], [])
        self.assert_quiet(base)


    def test_folders_are_linked_and_unlinked(self):
        home = self.stage()
        folder = home.root / "more"
        folder.mkdir()
        file = folder / "send-more.md"
        file.write_text(mail_action(self.service, "false").replace("send-mail", "send-more"))
        base = self.enter(home, "/actions")
        self.browser.wait(text="send-mail")
        self.browser.open_all(of="details")
        self.assert_accessible("linking")
        self.browser.fill(label="Path of actions", value=str(folder / "nothing.md"))
        self.browser.click(name="Link")
        self.browser.wait(text="nothing.md", of="[role=alert]")
        self.browser.fill(label="Path of actions", value=str(file))
        self.browser.click(name="Link")
        self.browser.click(role="link", name="send-more")
        self.browser.click(name="Unlink send-more")
        self.browser.click(name="Unlink", exact=True)
        self.browser.wait(text="Actions and connectors")
        self.browser.settle()
        self.assertEqual([one["name"] for one in home.request("GET", "/v1/actions").json["items"] if one["name"] == "send-more"], [])
        self.assertTrue(file.exists())
        self.browser.click(role="link", name="github://acme/fixture")
        path = home.request("GET", "/v1/connectors/github%3A%2F%2Facme%2Ffixture").json["path"]
        self.browser.click(name="Unlink github://acme/fixture")
        self.browser.click(name="Unlink", exact=True)
        self.browser.wait(text="There is nothing here yet.")
        self.browser.open_all(of="details")
        self.browser.fill(label="Path of a connector", value=path)
        self.browser.click(name="Link", of="section:last-of-type")
        self.browser.wait(text="github://acme/fixture")
        self.assert_quiet(base)

    def test_a_run_is_followed_and_cancelled(self):
        home = self.stage()
        base = self.enter(home, "/runs")
        run = self.run_action(home)
        self.browser.open(url=f"{base}/runs?id={run['run_id']}")
        self.browser.wait(text="pending approval")
        self.assert_accessible("a run that waits")
        self.browser.click(name="Cancel this run")
        self.browser.click(name="Cancel this run", of="dialog")
        self.browser.wait(text="cancelled", of="main")
        self.assertEqual(self.state(home, run), "cancelled")
        other = self.run_action(home, "Dinner")
        self.browser.open(url=f"{base}/runs?id={other['run_id']}")
        self.browser.wait(text="pending approval")
        home.request("POST", f"/v1/action-approvals/{other['approval_id']}/decide", {"approved": True})
        self.browser.wait(text="completed")
        self.assert_quiet(base)

    def test_a_tab_behind_has_no_stream_and_catches_up_when_it_is_looked_at(self):
        home = self.stage()
        base = self.enter(home)
        self.browser.wait(text="This list is live.")
        watched = self.watched()
        self.show(False)
        self.browser.wait(text="Not live")
        self.run_action(home)
        self.assertEqual(self.watched(), watched)
        self.show(True)
        self.browser.wait(text="Send a mail")
        self.browser.wait(text="This list is live.")
        self.assertEqual(self.watched(), watched + 1)
        self.assert_quiet(base)

    def test_of_many_tabs_one_has_the_stream_and_all_are_told(self):
        home = self.stage()
        base = self.enter(home)
        self.browser.wait(text="This list is live.")
        tabs = [f"tab {number}" for number in range(7)]
        for tab in tabs:
            self.browser.open(tab=tab, url=base + "/approvals")
            self.browser.wait(tab=tab, text="asked every few seconds")
        self.assertEqual(self.watched(), 1)
        self.run_action(home)
        for tab in ("one", *tabs):
            self.browser.wait(tab=tab, text="Send a mail")
        self.browser.click(tab=tabs[-1], name="Deny")
        self.browser.wait(tab=tabs[-1], text="Denied by you")
        # The stream goes to another tab when the first one is left.
        self.browser.open(tab="one", url="about:blank")
        wait_for(lambda: self.watched() == 2, "another tab to watch")
        self.assertEqual(self.browser.seen()["troubles"], [])

    def watched(self):
        return sum(url.endswith("/watch") for url in self.browser.seen()["requests"])

    def show(self, shown):
        self.browser.run(script=f"""Object.defineProperty(document, "hidden", {{configurable: true, get: () => {json.dumps(not shown)}}});
                                    document.dispatchEvent(new Event("visibilitychange"));""")


class Restarts(DecidingTest):
    def test_the_page_comes_back_with_the_daemon_and_a_code(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        home = self.stage(AILERON_BIND=f"127.0.0.1:{port}")
        base = self.enter(home)
        run = self.run_action(home)
        self.browser.wait(text="Send a mail")
        token = self.browser.run(script="sessionStorage.getItem('aileron.token')")
        home.ok("daemon", "stop")
        self.browser.wait(text="The daemon does not answer")
        home.start()
        # A token ends with the daemon that gave it out: another start at the same port could be anybody.
        self.browser.wait(text="This page's sign-in is over")
        self.assertEqual(home.request("GET", "/v1/status", token=token).status, 401)
        self.assertEqual(self.enter(home), base)
        # What waited waits; the vault is locked anew.
        self.browser.wait(text="This list is live.")
        self.browser.click(name="Approve")
        self.browser.wait(text="The vault is locked")
        self.browser.fill(label="Passphrase of the vault", value=PASSPHRASE)
        self.browser.click(name="Unlock")
        self.browser.gone(text="Unlock it, then approve.")
        self.browser.click(name="Approve")
        self.browser.wait(text="completed")
        self.assertEqual(self.state(home, run), "completed")
        self.assert_quiet(base)


class Squatter:
    """Whoever takes the port of a daemon that has ended: keeps what it is sent, and answers as it was told to."""

    PAGE = b"<!doctype html><title>squatter</title><p>All is well"

    def __init__(self, port, said=lambda path, body: (404, b"{}")):
        self.said, self.heard, squatter = said, [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                squatter.heard.append((self.command, self.path, str(self.headers), body.decode()))
                status, text = (200, squatter.PAGE) if self.command == "GET" and not self.path.startswith("/v1/") else squatter.said(self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if text is squatter.PAGE else "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_DELETE = answer

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address = daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def asked(self, path):
        return sum(one[1] == path for one in self.heard)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Squatted(PageTest):
    """The daemon is killed, and another program listens at its port: it learns nothing that is of use"""

    def squat(self, home, **how):
        where = home.discovery
        os.kill(where["pid"], signal.SIGKILL)
        port = urllib.parse.urlsplit(where["url"]).port
        squatter = []

        def bound():
            with contextlib.suppress(OSError):
                squatter.append(Squatter(port, **how))
            return bool(squatter)
        wait_for(bound, "the port of the daemon to be free")
        self.addCleanup(squatter[0].close)
        return squatter[0]

    def token(self, tab="one"):
        return self.browser.run(tab=tab, script="sessionStorage.getItem('aileron.token')")

    def assert_learnt_nothing(self, squatter, *secrets):
        self.assertGreater(squatter.asked("/v1/person/proof"), 0)
        for one in squatter.heard:
            self.assertNotIn("authorization", one[2].lower(), one)
            for secret in ("person_", *secrets):
                for part in one:
                    self.assertNotIn(secret, part, one)

    def test_a_page_that_is_open_sends_no_token(self):
        home = self.home()
        self.enter(home)
        self.browser.wait(text="This list is live.")
        token = self.token()
        squatter = self.squat(home)
        self.browser.wait(text="The daemon does not answer")
        for view in ("Runs", "Audit", "Vault", "Approvals"):
            self.browser.go(name=view)
            self.browser.settle()
        before = squatter.asked("/v1/person/proof")
        wait_for(lambda: squatter.asked("/v1/person/proof") > before + 1, "the page to ask again")
        self.assert_learnt_nothing(squatter, token)
        # One that answers, and cannot know, ends the sign-in.
        squatter.said = lambda path, body: (200, json.dumps({"proof": "5a" * 32, "status": "ok"}).encode())
        self.browser.wait(text="another program has taken the daemon's port")
        self.assertIsNone(self.token())
        self.assert_accessible("somebody else at the port")
        self.assert_learnt_nothing(squatter, token)

    def test_who_passes_the_question_on_to_the_daemon_elsewhere_gets_no_token(self):
        home = self.home()
        self.enter(home)
        self.browser.wait(text="This list is live.")
        token = self.token()

        def passed_on(path, body):
            answer = home.request("POST" if body else "GET", path, body.decode() or None, token="", headers={"Content-Type": "application/json"}, check=False)
            return answer.status, answer.body.encode()
        squatter = self.squat(home)
        home.start()
        squatter.said = passed_on
        self.browser.wait(text="another program has taken the daemon's port")
        self.assert_learnt_nothing(squatter, token)
        # And if it had one: it has ended with the daemon.
        self.assertEqual(home.request("GET", "/v1/status", token=token).status, 401)

    def test_a_passphrase_that_is_typed_too_late_is_sealed_to_nobody_else(self):
        home = self.home()
        home.init()
        home.ok("vault", "lock")
        self.enter(home, "/vault")
        self.browser.fill(label="Passphrase of the vault", value=PASSPHRASE)
        # A key pair of the squatter's, for which it would have the other half.
        theirs = json.dumps({"nonce": base64.b64encode(bytes(16)).decode(), "key_id": "00" * 8, "public_key": "09" + "00" * 31, "proof": "00" * 32}).encode()
        squatter = self.squat(home, said=lambda path, body: (200, theirs))
        with contextlib.suppress(AssertionError):  # it may have been signed out before
            self.browser.run(script="document.querySelector('form').requestSubmit()")
        self.browser.wait(text="another program has taken the daemon's port")
        self.assertEqual(squatter.asked("/v1/vault/unlock"), 0)
        self.assert_learnt_nothing(squatter, PASSPHRASE)

    def test_a_page_of_the_squatters_learns_what_has_ended(self):
        home = self.home()
        base = self.enter(home)
        self.browser.open(tab="two", url=base + "/doctor")
        self.browser.wait(tab="two", text="Sign out")
        token = self.token()
        squatter = self.squat(home)
        self.browser.wait(tab="two", text="The daemon does not answer")
        self.browser.reload()
        self.browser.wait(text="All is well")
        # Of our own origin, it reads what this tab had, and may ask the other tab.
        self.assertEqual(self.token(), token)
        before = squatter.asked("/v1/person/proof")
        self.browser.run(script="""globalThis.lent = []; globalThis.tabs = new BroadcastChannel("aileron.tabs");
                                   tabs.onmessage = ({data}) => lent.push(data); tabs.postMessage({wanted: true});""")
        wait_for(lambda: squatter.asked("/v1/person/proof") > before + 2, "the other tab to ask for a proof")
        self.assertEqual(self.browser.run(script="lent"), [])
        self.assert_learnt_nothing(squatter, token)
        home.start()
        self.assertEqual(home.request("GET", "/v1/status", token=token).status, 401)
        self.assertEqual(home.request("POST", "/v1/agents", {"name": "x", "kind": "http"}, token=token, check=False).status, 401)


class Approvals(PageTest):
    """The view of approvals against what the test says that the daemon answers"""

    def stubbed(self, *answers, **how):
        home = self.home()
        self.browser.stub(answers=[*answers, ["GET", "/v1/grants", 200, {"items": []}]], **how)
        return home

    def test_a_card_says_who_what_where_and_for_how_long(self):
        home = self.stubbed(*watching(pending()))
        base = self.enter(home)
        self.browser.wait(text="Send a mail")
        card = self.browser.text(**{"in": "Send a mail"})
        self.assertEqual(home.ok("open", "approval", ID, "--print").out.split("#")[0], f"{base}/approvals?focus={ID}")
        self.assertEqual(home.cli("open", "approval", "../x").code, 2)
        for wanted in ("claude", "01JSESSION", "/home/ada/project", "expires in", "mail.send", "github://acme/mail", "changes something",
                       "mail.example.com:443", "ada@example.com", "linked folder", "unsigned", "Lunch on Friday", "n/a", "list of 2"):
            self.assertIn(wanted, card)
        self.assertEqual(self.browser.run(script="document.title"), "(1) Approvals · Aileron")
        self.assert_accessible("approvals")
        self.assert_quiet(base)

    def test_what_waits_for_the_vault_and_for_its_preview_is_told(self):
        told = {"items": [pending(preview=None, preview_awaited=True)], "awaiting_vault": 2}
        home = self.stubbed(["GET", "/v1/action-approvals/watch", 200, stream(("snapshot", told)), "text/event-stream"], ["GET", "/v1/action-approvals", 200, told],
                            ["POST", "/v1/action-approvals/.*/decide", 204, None], ["GET", "/v1/action-approvals/.*/result", 200, {"status": "awaiting_vault"}])
        home.init()
        home.ok("vault", "lock")
        base = self.enter(home)
        self.browser.wait(text="2 approved runs wait for the vault to be unlocked")
        self.browser.wait(text="Not fetched yet", **{"in": "Send a mail"})
        self.browser.click(name="Approve")
        self.browser.wait(text="It runs when the vault is unlocked", **{"in": "Send a mail"})
        self.assert_accessible("waiting for the vault")
        self.browser.fill(label="Passphrase of the vault", value=PASSPHRASE, **{"in": "Send a mail"})
        self.browser.click(name="Unlock", **{"in": "Send a mail"})
        self.browser.gone(text="It runs when the vault is unlocked")
        self.browser.gone(text="2 approved runs wait")
        self.assertEqual(home.ok("vault", "status", "--json").json["state"], "unlocked")
        self.assert_quiet(base)

    def test_hostile_text_is_text_and_what_hides_is_shown(self):
        kept = ("id", "requested_at", "expires_at", "confirm", "effect", "kind", "state", "pinned")
        item = soiled(pending(), HOSTILE, kept)
        item["args"][HOSTILE] = LONG
        item["preview"]["fields"].append({"label": "Body", "value": LONG, "multiline": True})
        home = self.stubbed(*watching(item))
        base = self.enter(home)
        self.browser.wait(text="Send a mail")
        card = self.browser.text(of="main")
        self.assertIn("<script>globalThis.owned=1</script>", card)
        for mark in ("U+202E", "U+2066", "U+200B", "U+0007", "U+001B", "U+FEFF", "U+E0041"):
            self.assertIn(mark, card)
        self.assertNotIn("\u202e", card)
        self.assertIn("\\u0000", card)
        self.assertNotIn("x" * 2000, card)
        self.browser.click(name="Show all 20,", exact=False)
        self.assertIn("x" * 20000, self.browser.text(of="main"))
        self.assert_nothing_came_of_it()
        self.assertLessEqual(self.browser.overflow(), 0)
        self.assert_accessible("hostile approvals")
        self.assert_quiet(base)

    def assert_nothing_came_of_it(self, **command):
        self.assertIsNone(self.browser.run(script="globalThis.owned ?? null", **command))
        self.assertEqual(self.browser.count(of="script:not([src='/page.js']), img, svg, iframe, #root [style], a[href^='javascript']", **command), 0)

    def test_hostile_text_in_every_other_view(self):
        run = {"id": "01JRUN", "state": "completed", "action": "send-mail", "action_version": "1", "action_hash": "sha256:00", "caller": {"id": "x", "name": "claude"},
               "session": "s", "working_dir": "/w", "args": {"a": "b"}, "edited": True, "requested_at": "2026-01-01T00:00:00Z", "reason": "because",
               "output": {"subject": "hello"}, "decided_by": "user", "decided_at": "2026-01-01T00:00:00Z", "audit_id": "audit-1",
               "error": {"class": "network_error", "message": "no"},
               "attempts": [{"step": "s", "attempt": 1, "connector": "c", "content_hash": "sha256:0", "op": "o", "effect": "read", "binding": "b",
                             "started_at": "2026-01-01T00:00:00Z", "class": "c"}]}
        connector = {"fqn": "github://acme/mail", "version": "1", "publisher": "acme", "linked": True, "signed": False, "path": "/p", "content_hash": "sha256:0",
                     "credential_kind": "api_key", "linked_at": "2026-01-01T00:00:00Z", "changed": True, "any_public_host": False, "hosts": ["a:1"],
                     "credential": {"kind": "api_key", "scope": "s", "header": "h", "format": "f"}, "imports": ["i"],
                     "spawn": {"programs": [{"path": "/bin/x"}], "operations": [], "env_passthrough": ["A"], "credential_env_keys": ["B"], "fs_read": ["/r"], "fs_write": ["/w"]}}
        action = {"name": "send-mail", "version": "1", "title": "T", "source": "s", "hash": "sha256:0", "tool": "t", "tool_problem": "p", "enabled": True, "linked": True,
                  "signed": False, "path": "/p", "linked_at": "2026-01-01T00:00:00Z", "problems": ["x"], "body": "# <b>x</b>", "match": {"intent": "i"},
                  "inputs": [{"name": "n", "type": "string", "required": True, "description": "d"}],
                  "requires": {"connectors": [{"name": "c", "version": "1", "hash": "h", "capabilities": ["o"], "hosts": ["h"], "status": "linked", "actual_hash": "h", "pinned": "differs"}]},
                  "execute": [{"id": "s", "connector": "c", "op": "o", "effect": "write", "inputs": {"k": "v"}}], "approval": {"required": True, "editable": False, "grants": False}}
        binding = {"name": "api_key/mail/ada", "kind": "api_key", "service": "mail", "identity": "ada", "connector_fqn": "github://acme/mail", "created_at": "2026-01-01T00:00:00Z",
                   "status": "active", "verified": True, "hosts": ["a:1"], "account": "a", "username": "u", "granted_scopes": ["s"]}
        event = {"seq": 1, "prev": "0", "hash": "1", "trace_id": "2", "event": {"audit_id": "a", "event_type": "e", "timestamp": "t", "actor": {"type": "human", "id": "i", "identity_label": "l"},
                                                                            "payload": {"aileron.reason": "r"}}}
        kept = ("effect", "status", "pinned", "requested_at", "decided_at", "linked_at", "created_at", "started_at")
        bad = lambda value: soiled(value, HOSTILE, kept)  # noqa: E731
        home = self.stubbed(
            *watching(),
            ["GET", "/v1/runs/.*", 200, bad(run)], ["GET", "/v1/runs", 200, {"items": [bad(run)]}],
            ["GET", "/v1/sessions", 200, {"items": [bad({"id": "s", "started_at": "x", "ended_at": None, "agent": "a", "working_dir": "/w", "exit_code": None, "status": "running"})]}],
            ["GET", "/v1/agents", 200, {"items": [bad({"id": "a", "name": "n", "kind": "http", "program": "p", "created_at": "2026-01-01T00:00:00Z"})]}],
            ["GET", "/v1/actions/.*", 200, bad(action)],
            ["GET", "/v1/actions", 200, {"items": [bad(action)], "load_errors": [bad({"class": "c", "message": "m", "file": "f", "line": 3, "boundary": "b"})]}],
            ["GET", "/v1/connectors/.*", 200, bad(connector)], ["GET", "/v1/connectors", 200, {"items": [bad(connector)]}],
            ["GET", "/v1/bindings", 200, {"items": [bad(binding)], "verified": True}],
            ["GET", "/v1/vault/status", 200, {"locked": False, "state": "unlocked"}],
            ["GET", "/v1/vault", 200, {"entries": [bad({"path": "p", "scope": "user", "generation": 1, "metadata": {"type": "t", "environment": "e", "labels": {}}, "verified": True})], "verified": True}],
            ["GET", "/v1/vault/members", 200, {"members": [bad({"name": "m", "kind": "k", "created_at": "2026-01-01T00:00:00Z"})]}],
            ["GET", "/v1/status", 200, {"version": HOSTILE, "listen_addr": HOSTILE, "state_dir": HOSTILE, "started_at": HOSTILE, "runners": [bad({"pid": 1, "connector": "c", "content_hash": "h", "calls": 1, "confinement": {"proof": ["p"]}})],
                                        "processes": [bad({"role": "keeper", "running": False, "restarts": 1, "last_end": "e", "confinement": {"proof": ["p"], "missing": ["m"]}})]}],
            ["GET", "/v1/audit", 200, {"events": [bad(event)]}],
            ["GET", "/v1/doctor", 200, {"ok": False, "checks": [bad({"name": "n", "ok": False, "summary": "s", "advice": "a"})]}],
            width=360, height=740)
        base = self.enter(home)
        for path in [*("/" + view.lower() for view in VIEWS), "/runs?id=x", "/actions?name=x", "/actions?connector=x", "/bindings?new=x"]:
            self.browser.open(url=base + path)
            self.browser.settle()
            text = self.browser.text(of="main")
            if path != "/approvals":
                self.assertIn("<script>globalThis.owned=1</script>", text, path)
                self.assertIn("U+202E", text, path)
            self.assertNotIn("\u202e", text, path)
            self.assert_nothing_came_of_it()
            self.assertLessEqual(self.browser.overflow(), 0, path)
            self.assert_accessible(path)
        self.assert_quiet(base)

    def test_keys_choose_and_need_enter_to_decide(self):
        home = self.stubbed(*watching(pending(1, title="First"), pending(2, title="Second")), ["POST", "/v1/action-approvals/.*/decide", 204, None],
                            ["GET", "/v1/action-approvals/.*/result", 200, {"status": "completed", "result": "sent"}])
        base = self.enter(home)
        self.browser.wait(text="Second")
        for key in ("j", "j", "k", "j", "a"):
            self.browser.press(key=key)
        self.assertIn("Approve", self.browser.run(script="document.activeElement.textContent"))
        self.assertEqual(self.decided(), [])
        self.browser.press(key="Enter")
        self.browser.wait(text="Approved by you", **{"in": "Second"})
        self.browser.wait(text="completed", **{"in": "Second"})
        for key in ("k", "d"):
            self.browser.press(key=key)
        self.assertEqual(self.browser.run(script="document.activeElement.className"), "reason")
        self.browser.fill(label="Reason for a denial", value="not today", **{"in": "First"})
        self.browser.press(key="Enter")
        self.browser.wait(text="Denied by you", **{"in": "First"})
        self.assertEqual(self.decided(), [{"approved": True}, {"approved": False, "reason": "not today"}])
        self.assert_quiet(base)

    def decided(self):
        return [json.loads(body) for url, body in self.browser.seen()["sent"] if url.endswith("/decide")]

    def test_arguments_are_edited_a_grant_is_a_second_choice_and_a_stale_one_is_told(self):
        home = self.stubbed(*watching(pending(1, title="First"), pending(2, title="Second"), pending(3, title="Third")),
                            ["POST", "/v1/action-approvals/.*3/decide", 409, {"error": {"code": "approval_stale", "message": "the connector has changed", "request_id": "x"}}],
                            ["POST", "/v1/action-approvals/.*/decide", 204, None],
                            ["GET", "/v1/action-approvals/.*/result", 200, {"status": "refused", "reason": "connector"}])
        base = self.enter(home)
        first, second, third = ({"in": name} for name in ("First", "Second", "Third"))
        self.browser.click(name="Edit arguments", **first)
        self.browser.fill(label="Arguments, as JSON", value="{", **first)
        self.browser.click(name="Approve as edited", **first)
        self.browser.wait(text="the arguments are no JSON", **first)
        self.browser.fill(label="Arguments, as JSON", value='{"to":"bob@example.com"}', **first)
        self.browser.click(name="Approve as edited", **first)
        self.browser.wait(text="Approved by you", **first)
        self.browser.click(name="Approve for 15 minutes …", **second)
        self.browser.wait(text="any arguments")
        self.assert_accessible("grant")
        self.assertEqual(len(self.decided()), 1)
        self.browser.click(name="Approve and allow for 15 minutes")
        self.browser.wait(text="Approved by you", **second)
        self.browser.click(name="Approve", **third)
        self.browser.wait(text="the connector has changed", **third)
        self.browser.wait(text="refused", **third)
        self.assertEqual(self.decided(), [{"approved": True, "edited_payload": {"to": "bob@example.com"}}, {"approved": True, "grant": True}, {"approved": True}])
        self.assert_quiet(base)

    def test_what_is_focused_is_ringed_or_told_to_be_over(self):
        item = pending()
        home = self.stubbed(*watching(pending(7, title="Other"), item), ["GET", f"/v1/action-approvals/{ID}/result", 200, {"status": "denied"}])
        base = self.enter(home, f"/approvals?focus={item['id']}")
        self.browser.wait(text="Send a mail")
        self.assertEqual(self.browser.count(of=f"#card-{item['id']}.ring"), 1)
        self.browser.open(url=f"{base}/approvals?focus={ID}")
        self.browser.wait(text="is no longer pending")
        self.browser.wait(text="denied")
        self.assert_quiet(base)


if __name__ == "__main__":
    unittest.main()
