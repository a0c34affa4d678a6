"""OAuth against a real authorization server, with a real browser in front of it."""
import json
import re
import subprocess
import unittest
import urllib.error
import urllib.parse
import urllib.request

from daemon import Home, wait_for
from house import ROOT, SLOW
from service import Service

NODE = ROOT / "tests" / "e2e" / "node"


class Provider:
    """oidc-provider (npm) on loopback"""

    def __init__(self):
        self.process = subprocess.Popen(["node", "oauth.mjs"], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.port = json.loads(self.process.stdout.readline())["port"]

    def tell(self, **values):
        return self.ask(values)["requests"]

    def secrets(self):
        """{what: [all that there were]} of tokens, verifiers and device codes"""
        return self.ask({})["secrets"]

    def tokens(self):
        """(access tokens given, refresh tokens given, refresh tokens taken back), each in order"""
        told = self.ask({})
        return told["secrets"].get("access_token", []), told["secrets"].get("refresh_token", []), told["spent"]

    def ask(self, values):
        self.process.stdin.write(json.dumps({"set": values}) + "\n")
        self.process.stdin.flush()
        while not (line := self.process.stdout.readline()).startswith("{"):  # the library has a word to say, too
            assert line, "the authorization server has ended"
        return json.loads(line)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def browse(url, manner="allow"):
    """What a person does at the authorization server"""
    done = subprocess.run(["node", "browser.mjs", url, manner], cwd=NODE, capture_output=True, text=True, timeout=120 * SLOW)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def manifest(provider, service, scopes=("mail.read", "mail.send"), device=False, token_port=None):
    more = f'device_authorization_url = "http://127.0.0.1:{provider.port}/device/auth"\n' if device else ""
    return f"""[connector]
name = "github://acme/mail"
version = "1.0.0"

[capabilities.network]
hosts = ["127.0.0.1:{service.port}"]

[capabilities.credential]
kind = "oauth2"

[capabilities.credential.oauth2]
authorize_url = "http://127.0.0.1:{provider.port}/auth"
token_url = "http://127.0.0.1:{token_port or provider.port}/token"
client_id = "desktop-client-1"
scopes = {json.dumps(list(scopes))}
{more}"""


class OAuth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.provider = Provider()
        cls.service = Service()

    @classmethod
    def tearDownClass(cls):
        cls.provider.close()
        cls.service.close()

    def setUp(self):
        self.provider.tell(down=False, tokenLifetime=3600, clockAhead=0, clockLeap=0, expiresIn=None)
        self.before = self.provider.tokens()
        self.service.seen.clear()

    def home(self, **manifest_options):
        home = Home(ca=self.service.ca)
        self.addCleanup(home.__exit__)
        home.init()
        home.link("fixture", manifest=manifest(self.provider, self.service, **manifest_options))
        return home

    def begin(self, home, *verb):
        """Starts a verb that waits for the browser; gives the process and the URL that it printed"""
        process = subprocess.Popen(home.command(*verb), env=home.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close(), process.stderr.close()))
        text = ""
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/(auth\?|device\?)\S+", text)):
            line = process.stderr.readline()
            if line == "":
                raise AssertionError(f"no URL came: {text}{process.stdout.read()}")
            text += line
        return process, found[0]

    def end(self, process):
        out, err = process.communicate(timeout=60 * SLOW)
        return process.returncode, out, err

    def set_up(self, home, identity="alice"):
        process, url = self.begin(home, "binding", "setup", "github://acme/mail", "--identity", identity, "--no-browser", "--yes")
        page = browse(url)
        code, out, err = self.end(process)
        self.assertEqual(code, 0, (out, err, page))

    def call(self, home, path="/ok"):
        return home.cli("connector", "call", "github://acme/mail", "--op", "http_cred", "--json", "--args", json.dumps(
            {"url": f"https://127.0.0.1:{self.service.port}{path}", "credential": "oauth2"}))

    def bearers(self):
        return [headers.get("authorization", "") for _, _, headers, _ in self.service.seen]

    def test_a_person_consents_and_a_call_carries_the_token(self):
        home = self.home()
        self.set_up(home)
        binding = home.ok("binding", "inspect", "oauth2/mail/alice", "--json").json
        self.assertEqual(binding["granted_scopes"], ["mail.read", "mail.send"])
        self.assertTrue(binding["refresh_token_present"])
        self.assertEqual(self.call(home).code, 0)
        self.assertRegex(self.bearers()[0], r"^Bearer \S{20,}$")
        token = self.bearers()[0].removeprefix("Bearer ")
        for path in [p for p in home.state.rglob("*") if p.is_file()]:
            self.assertNotIn(token.encode(), path.read_bytes(), path)
        self.assertNotIn(token, json.dumps(home.events()))

    def test_a_person_refuses(self):
        home = self.home()
        process, url = self.begin(home, "binding", "setup", "github://acme/mail", "--identity", "alice", "--no-browser", "--yes")
        browse(url, "deny")
        code, out, err = self.end(process)
        self.assertEqual(code, 1)
        self.assertIn("access_denied", err)
        self.assertEqual(home.ok("binding", "list", "--json").lines, [])

    def test_a_token_that_ends_is_refreshed_once_for_many_calls(self):
        self.provider.tell(tokenLifetime=61)
        home = self.home()
        self.set_up(home)
        wait_for(lambda: self.call(home).code == 0 and len(set(self.bearers())) > 1, "a refreshed token", 10)
        events = [event["event_type"] for event in home.events()]
        self.assertIn("binding.refreshed", events)

    def since(self):
        """Like Provider.tokens(), of this test alone"""
        return tuple(now[len(before):] for now, before in zip(self.provider.tokens(), self.before))

    def test_a_refresh_token_that_is_rotated_each_time_is_kept_each_time(self):
        self.provider.tell(tokenLifetime=30)  # within the minute before its end: each call refreshes
        home = self.home()
        self.set_up(home)
        for turn in range(1, 4):
            if turn == 3:  # what it finds now was written, and is not what it remembers
                home.ok("vault", "lock")
                home.ok("vault", "unlock")
            done = self.call(home)
            self.assertEqual(done.code, 0, done)
            access, refresh, spent = self.since()
            self.assertEqual(len(set(refresh)), turn + 1)
            self.assertEqual(spent, refresh[:-1], "each was used once, and the last one is still good")
            self.assertEqual(self.bearers()[-1], "Bearer " + access[-1])
        self.assertEqual([event["event_type"] for event in home.events()].count("binding.refreshed"), 3)
        self.assertEqual(home.ok("binding", "inspect", "oauth2/mail/alice", "--json").json["status"], "active")

    def test_a_code_that_has_expired_is_refused_and_another_is_good(self):
        home = self.home()
        process, url = self.begin(home, "binding", "setup", "github://acme/mail", "--identity", "alice", "--no-browser", "--yes")
        self.provider.tell(clockLeap=3600)  # a code lives for a minute
        browse(url)
        code, out, err = self.end(process)
        self.assertEqual(code, 1, (out, err))
        self.assertRegex(err, "token_exchange_failed: .*invalid_grant")
        self.assertEqual(home.ok("binding", "list", "--json").lines, [])
        self.provider.tell(clockLeap=0)
        self.set_up(home)
        self.assertEqual(self.call(home).code, 0)

    def test_a_clock_that_is_off_neither_ends_a_token_nor_keeps_it(self):
        for ahead in (7200, -1800):  # not so late that the browser takes its cookies for old ones
            with self.subTest(ahead=ahead):
                self.setUp()
                self.provider.tell(clockAhead=ahead, tokenLifetime=1200)
                home = self.home()
                self.set_up(home)
                for _ in range(2):
                    self.assertEqual(self.call(home).code, 0)
                self.assertEqual(self.since()[2], [], "twenty minutes are as many by any clock")
                self.provider.tell(tokenLifetime=30)
                process, url = self.begin(home, "binding", "reauthorize", "oauth2/mail/alice", "--no-browser", "--yes")
                browse(url)
                self.assertEqual(self.end(process)[0], 0)
                self.assertEqual(self.call(home).code, 0)
                self.assertEqual(len(self.since()[2]), 1)

    def test_a_token_that_ends_at_once_is_refreshed_once_a_call(self):
        self.provider.tell(expiresIn=1)
        home = self.home()
        self.set_up(home)
        for turn in range(1, 4):
            self.assertEqual(self.call(home).code, 0)
            self.assertEqual(len(self.since()[2]), turn)
        self.assertEqual(len(self.bearers()), 3)

    def test_a_lifetime_that_is_none_is_as_if_it_had_not_been_said(self):
        for expires in (0, -3600):
            with self.subTest(expires_in=expires):
                self.setUp()
                self.provider.tell(expiresIn=expires)
                home = self.home()
                self.set_up(home)
                for _ in range(2):
                    self.assertEqual(self.call(home).code, 0)
                self.assertEqual(self.since()[2], [])
                self.assertEqual(len(set(self.bearers())), 1)

    def test_a_refresh_that_says_no_lifetime_is_no_loop(self):
        self.provider.tell(expiresIn=1)
        home = self.home()
        self.set_up(home)
        self.provider.tell(expiresIn=0)
        for turn in range(1, 3):
            self.assertEqual(self.call(home).code, 0)
            self.assertEqual(len(self.since()[2]), turn)

    def test_a_dead_token_endpoint_is_a_network_error_and_no_binding(self):
        home = self.home()
        process, url = self.begin(home, "binding", "setup", "github://acme/mail", "--identity", "alice", "--no-browser", "--yes")
        self.provider.tell(down=True)
        browse(url)
        code, out, err = self.end(process)
        self.assertEqual(code, 1)
        self.assertEqual(home.ok("binding", "list", "--json").lines, [])

    def come_back(self, process, url, query):
        """The browser comes back with something that no honest server sent; the command line fails, and gives what it said"""
        redirect = urllib.parse.unquote(re.search(r"redirect_uri=([^&]+)", url)[1])
        with self.assertRaises(urllib.error.HTTPError):
            urllib.request.urlopen(redirect + query)
        code, out, err = self.end(process)
        self.assertEqual(code, 1, (out, err))
        return err

    def test_a_wrong_state_ends_the_flow(self):
        home = self.home()
        process, url = self.begin(home, "binding", "setup", "github://acme/mail", "--identity", "alice", "--no-browser", "--yes")
        self.assertIn("state_mismatch", self.come_back(process, url, "?code=x&state=forged"))

    def test_a_redirect_without_a_code_is_told(self):
        home = self.home()
        egress = home.process("egress")
        for query in ("?state={}", "?state={}&code="):
            process, url = self.begin(home, "binding", "setup", "github://acme/mail", "--identity", "alice", "--no-browser", "--yes")
            state = re.search(r"[?&]state=([^&]+)", url)[1]
            said = self.come_back(process, url, query.format(state))
            self.assertRegex(said, "token_exchange_failed: .* without a code from the authorization server")
        self.assertEqual(home.ok("binding", "list", "--json").lines, [])
        self.assertEqual(home.process("egress"), egress)

    def test_an_empty_code_is_refused_before_egress_hears_of_it(self):
        from test_operations import Relay

        class Emptying(Relay):
            def body_of(self, asked):
                body = super().body_of(asked)
                return json.dumps({**json.loads(body), "code": ""}) if asked.path.endswith("/oauth2/finish") else body
        home = self.home()
        egress = home.process("egress")
        relay = Emptying(home)
        self.addCleanup(relay.close)
        direct = dict(home.env)
        home.env.update(AILERON_API_URL=relay.url, AILERON_TOKEN=home.discovery["token"])
        process, url = self.begin(home, "binding", "setup", "github://acme/mail", "--identity", "alice", "--no-browser", "--yes")
        browse(url)
        code, out, err = self.end(process)
        home.env = direct
        self.assertEqual(code, 1, (out, err))
        self.assertRegex(err, "invalid_request: .*code")
        self.assertEqual(relay.wrong, [])
        self.set_up(home)
        self.assertEqual(self.call(home).code, 0)
        self.assertEqual(home.process("egress"), egress)

    def test_the_device_flow(self):
        home = self.home(device=True)
        process, url = self.begin(home, "binding", "setup", "github://acme/mail", "--identity", "phone", "--device", "--yes")
        browse(url)
        code, out, err = self.end(process)
        self.assertEqual(code, 0, (out, err))
        self.assertEqual(self.call(home).code, 0)

    def test_more_scopes_make_it_stale_until_it_is_authorized_anew(self):
        home = self.home(scopes=("mail.read",))
        self.set_up(home)
        home.link("fixture", manifest=manifest(self.provider, self.service))
        binding = home.ok("binding", "inspect", "oauth2/mail/alice", "--json").json
        self.assertEqual((binding["status"], binding["stale_reason"], binding["missing_scopes"]),
                         ("stale", "scope_drift", ["mail.send"]))
        process, url = self.begin(home, "binding", "reauthorize", "oauth2/mail/alice", "--no-browser", "--yes")
        browse(url)
        self.assertEqual(self.end(process)[0], 0)
        after = home.ok("binding", "inspect", "oauth2/mail/alice", "--json").json
        self.assertEqual((after["status"], after["created_at"]), ("active", binding["created_at"]))


if __name__ == "__main__":
    unittest.main()
