"""Agent programs: our entry in their files, launches and their ends, and the real ones, driven by a model on loopback."""
import json
import os
import pathlib
import pty
import select
import signal
import stat
import subprocess
import time
import unittest

import agents
from daemon import Home, manifest_of, wait_for
from house import SLOW
from model import Model
from service import Service
from skips import without
from test_run import action

FQN = "github://acme/fixture"
TOOL = "send_note"
CLAUDE = """#!/bin/sh
printf '%s\\n' "$@" > args
env > env
for given; do case $given in --mcp-config=*) cat "${given#*=}" > config;; esac; done
: > started
"""


class Base(unittest.TestCase):
    def setUp(self):
        self.home = Home(AILERON_LOG_LEVEL="debug")
        self.addCleanup(self.home.__exit__)
        self.work = self.home.root / "work"
        self.work.mkdir()
        self.programs = self.home.root / "programs"
        self.programs.mkdir()
        self.env = {"PATH": f"{self.programs}:/usr/bin:/bin"}

    def program(self, name, text):
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def sessions(self):
        return self.home.ok("sessions", "list", "--json").lines

    def valid(self):
        return [agent for agent in self.home.ok("mcp", "list", "--json").lines if "revoked_at" not in agent]

    def tokens(self):
        folder = self.home.state / "run" / "agents"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def launched(self):
        folder = self.home.state / "run" / "launch"
        return list(folder.iterdir()) if folder.exists() else []

    def start(self, *args, **more):
        return subprocess.Popen(self.home.command("launch", *args), env={**self.home.env, **self.env}, cwd=self.work,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                start_new_session=True, **more)

    def launch(self, *args):
        process = self.start(*args)
        out, err = process.communicate(timeout=60 * SLOW)
        return process.returncode, out, err


class Files(Base):
    """`mcp install` and `uninstall`"""

    def install(self, name, *flags, env=None):
        return self.home.cli("mcp", "install", name, "--json", *flags, env=env)

    def test_each_agent_there_and_back(self):
        places = {"claude": ".claude.json", "codex": ".codex/config.toml", "goose": ".config/goose/config.yaml",
                  "opencode": ".config/opencode/opencode.json", "gemini": ".gemini/settings.json", "cursor": ".cursor/mcp.json",
                  "vscode": ".config/Code/User/mcp.json", "pi": ".pi/agent/mcp.json"}
        before = {"claude": '{\n  // mine\n  "theme": "dark"\n}\n', "codex": '# mine\nmodel = "m"\n\n[tui]\nx = 1\n',
                  "goose": "# mine\nGOOSE_MODE: approve\nextensions:\n  developer:\n    enabled: true # yes\n",
                  "vscode": '{\n\t"servers": {}, // mine\n\t"inputs": [ ]\n}\n', "gemini": '{"mine":{}, "mcpServers": { }}'}
        for name, place in places.items():
            with self.subTest(name):
                file = self.home.root / place
                text = before.get(name)
                if text is not None:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(text)
                    file.chmod(0o640)
                done = self.install(name).json
                self.assertEqual((done["done"], done["file"]), ("installed", str(file)))
                self.assertIn(done["id"], file.read_text())
                self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600 if text is None else 0o640)
                self.assertNotIn("Bash(", file.read_text())
                self.assertEqual(self.tokens(), [done["id"]])
                token = self.home.state / "run" / "agents" / done["id"]
                self.assertEqual(stat.S_IMODE(token.stat().st_mode), 0o600)
                self.assertTrue(token.read_text().startswith("agent_"))
                if text is not None:
                    self.assertEqual(pathlib.Path(done["backup"]).read_text(), text)
                    self.assertIn("mine", file.read_text())
                again = file.read_bytes()
                self.assertEqual(self.install(name).json["done"], "nothing")
                self.assertEqual(file.read_bytes(), again)
                self.assertEqual(self.home.ok("mcp", "uninstall", name, "--json").json["done"], "uninstalled")
                self.assertEqual(file.read_text() if file.exists() else None, text)
                self.assertEqual((self.tokens(), self.valid()), ([], []))
                self.assertEqual(self.home.ok("mcp", "uninstall", name, "--json").json["done"], "nothing")
                # What a person had before the first of all changes is what is kept, and nothing else.
                backup = file.with_name(file.name + ".before-aileron")
                self.assertEqual(backup.read_text() if backup.exists() else None, text)
                if text is not None:
                    file.write_text(text.replace("mine", "mine still"))
                    self.assertEqual(self.install(name).json["backup"], str(backup))
                    self.assertEqual(backup.read_text(), text)
                    self.home.ok("mcp", "uninstall", name)
                    if name == "codex":
                        self.assertEqual(file.read_text(), text.replace("mine", "mine still"))

    def test_what_was_there_stays_when_ours_goes(self):
        file, backup = self.home.root / ".claude.json", self.home.root / ".claude.json.before-aileron"
        for text in ("", "{}", "{}\n"):
            file.write_text(text)
            self.install("claude")
            self.home.ok("mcp", "uninstall", "claude")
            self.assertEqual(file.read_text(), text)
            backup.unlink()
        file.unlink()
        # Nobody's but ours, also where the entry was replaced meanwhile.
        self.home.ok("mcp", "revoke", self.install("claude").json["id"])
        self.install("claude")
        uninstall = lambda *flags: self.home.ok("mcp", "uninstall", "claude", *flags)
        told = uninstall("--dry-run", "--json").json
        self.assertEqual((told["done"], told["gone"]), ("nothing", True))
        self.assertIn("which would go with it", uninstall("--dry-run").out)
        self.assertTrue(file.exists())
        self.assertIn("is gone", uninstall().out)
        self.assertFalse(file.exists())
        self.install("claude")
        told = uninstall("--json").json
        self.assertEqual((told["done"], told["gone"], file.exists()), ("uninstalled", True, False))
        self.assertFalse(uninstall("--json").json["gone"])
        # The agent has written to it, and a link to it is somebody's.
        self.install("claude")
        file.write_text(file.read_text().replace("{", '{\n  "theme": "dark",', 1))
        self.assertFalse(uninstall("--dry-run", "--json").json["gone"])
        self.assertNotIn("go with it", uninstall("--dry-run").out)
        self.assertNotIn("is gone", uninstall().out)
        self.assertEqual(json.loads(file.read_text())["theme"], "dark")
        for left in (file, backup):
            left.unlink(missing_ok=True)
        self.install("claude")
        file.rename(self.home.root / "dotfiles.json")
        file.symlink_to(self.home.root / "dotfiles.json")
        self.home.ok("mcp", "uninstall", "claude")
        self.assertEqual(json.loads(file.read_text()), {})

    def test_a_stale_entry_is_replaced_and_its_agent_revoked(self):
        first = self.install("claude").json["id"]
        self.home.ok("mcp", "revoke", first)
        second = self.install("claude").json["id"]
        self.assertNotEqual(first, second)
        # An entry for another place of the guest is ours all the same.
        file = self.home.root / ".claude.json"
        file.write_text(file.read_text().replace("/bin/aileron-guest", "/old/aileron-guest"))
        third = self.install("claude").json["id"]
        self.assertEqual([agent["id"] for agent in self.valid()], [third])
        self.assertEqual(self.tokens(), [third])
        self.assertNotIn(second, file.read_text())

    def test_what_is_not_ours_stays(self):
        file = self.home.root / ".claude.json"
        text = '{"mcpServers": {"aileron": {"command": "mine"}}}'
        file.write_text(text)
        done = self.install("claude")
        self.assertEqual(done.code, 1)
        self.assertIn("--force", done.err)
        self.assertEqual(self.home.cli("mcp", "uninstall", "claude").code, 1)
        self.assertEqual(file.read_text(), text)
        self.assertEqual(self.install("claude", "--force").json["done"], "installed")
        self.assertIn("aileron-guest", file.read_text())

    def test_a_failure_leaves_nothing(self):
        for text in ('{"mcpServers": ', '{"mcpServers": []}'):
            file = self.home.root / ".claude.json"
            file.write_text(text)
            self.assertNotEqual(self.install("claude").code, 0)
            self.assertEqual(file.read_text(), text)
            self.assertEqual((self.tokens(), self.valid()), ([], []))
        # It cannot be written where it is.
        (self.home.root / ".cursor").write_text("a file")
        self.assertNotEqual(self.install("cursor").code, 0)
        self.assertEqual((self.tokens(), self.valid()), ([], []))

    def test_links_variables_and_dry_runs(self):
        real = self.home.root / "dotfiles.json"
        real.write_text("{}\n")
        (self.home.root / ".claude.json").symlink_to(real)
        shown = self.home.ok("mcp", "install", "claude", "--dry-run").out
        self.assertIn("aileron-guest", shown)
        self.assertEqual((real.read_text(), self.tokens()), ("{}\n", []))
        self.assertEqual(self.home.ok("mcp", "install", "claude", "--dry-run", "--json").json["done"], "nothing")
        self.install("claude").json
        self.assertEqual(self.home.ok("mcp", "uninstall", "claude", "--dry-run", "--json").json["done"], "nothing")
        self.assertTrue((self.home.root / ".claude.json").is_symlink())
        self.assertIn("aileron-guest", real.read_text())
        other = self.home.root / "other"
        self.assertEqual(self.install("codex", env={"CODEX_HOME": str(other)}).json["file"], str(other / "config.toml"))
        (self.home.root / ".config/opencode").mkdir(parents=True)
        (self.home.root / ".config/opencode/opencode.jsonc").write_text("{ /* mine */ }\n")
        self.assertTrue(self.install("opencode").json["file"].endswith(".jsonc"))

    def test_tokens_for_http(self):
        made = self.home.ok("mcp", "token", "bench", "--json").json
        self.assertEqual((made["kind"], made["name"]), ("http", "bench"))
        headers = {"Accept": "application/json, text/event-stream"}
        ping = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}
        self.assertEqual(self.home.request("POST", "/mcp", ping, made["token"], headers, check=False).status, 200)
        self.home.ok("mcp", "revoke", made["id"])
        self.assertEqual(self.home.request("POST", "/mcp", ping, made["token"], headers, check=False).status, 401)
        self.assertEqual(self.home.cli("mcp", "revoke", made["id"]).code, 1)


class Launches(Base):
    """With a program that stands in for Claude Code."""

    def comes(self, name):
        wait_for((self.work / name).exists, f"'{name}' to be written")

    def test_too_many_variables_are_refused(self):
        self.program("claude", CLAUDE + "exit 0\n")
        self.env.update({f"FILLER_{i}": "x" for i in range(4096)})
        code, _, err = self.launch("claude")
        self.assertEqual(code, 1, err)
        self.assertIn("more than 4096 variables", err)
        self.assertEqual((self.sessions(), (self.work / "args").exists()), ([], False))

    def test_a_configuration_that_is_wrong_starts_nothing(self):
        self.program("claude", CLAUDE + "exit 0\n")
        self.home.start()
        (self.home.state / "config.yaml").write_text("gateway:\n  anthropic: nowhere\n")
        code, _, err = self.launch("claude")
        self.assertEqual(code, 1, err)
        self.assertIn("config.yaml:2)", err)
        self.assertEqual((self.sessions(), (self.work / "args").exists()), ([], False))

    def test_what_it_is_started_with(self):
        self.program("claude", CLAUDE + "exit 7\n")
        env = {**self.env, "AILERON_TOKEN": "", "AILERON_URL": "http://elsewhere"}
        self.env = {name: value for name, value in env.items() if value}
        code, _, err = self.launch("claude", "--", "-p", "two words")
        self.assertEqual(code, 7, err)
        session, = self.sessions()
        self.assertEqual((session["status"], session["exit_code"], session["agent"]), ("ended", 7, "claude"))
        self.assertEqual(session["working_dir"], str(self.work))
        self.assertIn(session["id"], err)
        args = (self.work / "args").read_text().splitlines()
        self.assertEqual(args[1:], ["--strict-mcp-config", "--allowedTools=mcp__aileron", "-p", "two words"])
        config = json.loads((self.work / "config").read_text())["mcpServers"]["aileron"]
        self.assertEqual(config["args"][:2], ["mcp", "--as"])
        env = dict(line.split("=", 1) for line in (self.work / "env").read_text().splitlines() if "=" in line)
        self.assertEqual(env["AILERON_SESSION_ID"], session["id"])
        self.assertEqual(env["AILERON_APPROVAL_URL"], env["AILERON_URL"] + "/approvals")
        self.assertEqual(env["AILERON_URL"], self.home.discovery["url"])
        self.assertTrue(env["ANTHROPIC_BASE_URL"].startswith(env["AILERON_URL"] + "/llm/"), env["ANTHROPIC_BASE_URL"])
        self.assertFalse(any("/llm/" in arg for arg in args))
        self.assertNotIn("AILERON_VAULT_PASSPHRASE", env)
        self.assertNotIn("agent_", (self.work / "args").read_text() + (self.work / "config").read_text() +
                         (self.work / "env").read_text())
        self.assertEqual((self.tokens(), self.valid(), self.launched()), ([], [], []))
        types = [event["event_type"] for event in reversed(self.home.events())]
        for one in ("session.started", "agent.registered", "agent.revoked", "session.ended"):
            self.assertIn(one, types)

    def test_its_own_flags_are_passed_on(self):
        self.program("claude", CLAUDE + "exit 7\n")
        code, _, err = self.launch("claude", "--model", "m", "--json", "--", "--help")
        self.assertEqual(code, 7, err)
        self.assertEqual((self.work / "args").read_text().splitlines()[3:], ["--model", "m", "--json", "--", "--help"])

    def test_an_agent_that_is_not_there(self):
        code, _, err = self.launch("goose")
        self.assertNotIn(code, (0, 127))
        self.assertIn(str(self.programs), err)
        self.assertIn("goose-docs.ai", err)
        self.assertIn("claude", self.launch("nothing")[2])
        self.assertIn("mcp install cursor", self.launch("cursor")[2])
        self.program("claude", "#!/no/such/interpreter\n")
        code, _, err = self.launch("claude")
        self.assertEqual(code, 1)
        self.assertEqual([session["status"] for session in self.sessions()], ["orphaned"])
        self.assertEqual((self.tokens(), self.valid(), self.launched()), ([], [], []))

    def test_signals_reach_it(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            (self.work / "started").unlink(missing_ok=True)
            self.program("claude", CLAUDE + "exec sleep 300\n")
            process = self.start("claude")
            self.comes("started")
            process.send_signal(number)
            process.communicate(timeout=30 * SLOW)
            self.assertEqual(process.returncode, 128 + number)
            self.assertEqual(self.sessions()[0]["exit_code"], 128 + number)
        (self.work / "started").unlink()
        self.program("claude", "#!/bin/sh\ntrap 'exit 5' TERM\n: > started\nwhile :; do sleep 0.05; done\n")
        process = self.start("claude")
        self.comes("started")
        process.terminate()
        process.communicate(timeout=30 * SLOW)
        self.assertEqual(process.returncode, 5)
        self.assertEqual(self.valid(), [])

    def test_a_killed_launch_ends_its_session(self):
        self.program("claude", CLAUDE + "exec sleep 300\n")
        process = self.start("claude")
        self.comes("config")
        agent, = self.valid()
        self.assertEqual((agent["kind"], agent["session"]), ("launch", self.sessions()[0]["id"]))
        process.kill()
        process.wait()
        wait_for(lambda: self.sessions()[0]["status"] == "orphaned", "the session to end")
        wait_for(lambda: self.valid() == [], "the token to be revoked")
        # The next one clears away what it left.
        self.program("claude", "#!/bin/sh\nexit 0\n")
        self.assertEqual(self.launch("claude")[0], 0)
        self.assertEqual((self.tokens(), self.launched()), ([], []))
        process.stdout.close()
        process.stderr.close()

    def test_it_outlives_the_daemon(self):
        self.program("claude", CLAUDE + "while [ ! -e go ]; do sleep 0.05; done\nexit 3\n")
        process = self.start("claude")
        self.comes("started")
        agent, = self.valid()
        self.home.ok("daemon", "restart")
        wait_for(lambda: self.sessions()[0]["status"] == "running", "the session to be taken up again")
        self.assertEqual([one["id"] for one in self.valid()], [agent["id"]])
        (self.work / "go").touch()
        process.communicate(timeout=30 * SLOW)
        self.assertEqual(process.returncode, 3)
        self.assertEqual(self.sessions()[0]["exit_code"], 3)
        self.assertEqual(self.valid(), [])

    def test_the_terminal_is_its_own(self):
        """A shell with job control: stop, go on, end."""
        self.program("claude", "#!/bin/sh\necho up $(ps -o stat= -p $$ | grep -c +)\ntrap 'exit 9' INT\nread line\necho got $line\nread line\n")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.work)
            os.execve("/bin/bash", ["bash", "--norc", "-i"], {**self.home.env, **self.env, "PS1": "$ ", "TERM": "dumb"})
        said = ""

        def until(text):
            nonlocal said
            deadline = time.monotonic() + 30 * SLOW
            while text not in said:
                self.assertGreater(deadline, time.monotonic(), said)
                if select.select([terminal], [], [], 0.2)[0]:
                    said += os.read(terminal, 4096).decode(errors="replace")
            said = said[said.index(text) + len(text):]

        try:
            os.write(terminal, (" ".join(self.home.command("launch", "claude")) + "\n").encode())
            until("up 1")
            os.write(terminal, b"\x1a")
            until("Stopped")
            os.write(terminal, b"fg\n")
            until("launch claude")
            os.write(terminal, b"hello\n")
            until("got hello")
            os.write(terminal, b"\x03")
            until("$ ")
            os.write(terminal, b"echo code $?\n")
            until("code 9")
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(terminal)


class Real(Base):
    """The real ones, in a network of nothing but loopback."""

    @classmethod
    def setUpClass(cls):
        reason = agents.loopback_alone()
        if reason is not None:
            print("skipped: needs a network of its own,", reason)
            raise unittest.SkipTest(reason)

    def ready(self, name, gated=False, calls=()):
        program, missing = agents.program(name)
        if missing is not None:
            without(self, missing)
        service = Service()
        self.addCleanup(service.close)
        self.model = Model(calls)
        self.addCleanup(self.model.close)
        self.home.env["AILERON_CA_FILE"] = str(service.ca)
        self.home.init()
        self.home.link("fixture", manifest=manifest_of("fixture", service.port))
        self.home.ok("binding", "setup", FQN, "--identity", "work", "--value-file", "-", "--yes", stdin="the-value-1")
        file = self.home.root / "send-note.md"
        file.write_text(action("send-note", service.port, gated=gated))
        self.home.ok("action", "link", file)
        self.env = {"PATH": f"{program.parent}:/usr/bin:/bin", "NO_COLOR": "1", "TERM": "dumb"}
        return str(program), service

    def run_agent(self, command, **more):
        done = subprocess.run(command, env={**self.home.env, **self.env}, cwd=self.work, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=240, **more)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def lists_our_tools(self, client):
        """Our own log shows the handshake and the list, and the model was offered the tool."""
        lines = [json.loads(line) for line in (self.home.state / "daemon.log").read_text().splitlines() if line.startswith("{")]
        said = [line for line in lines if line.get("event") in ("mcp_handshake", "mcp_listed")]
        # Clients of 2026-07-28 shake no hands: each request says who they are.
        self.assertTrue(any(client in line["client"] for line in said), said)
        self.assertTrue(any(line.get("method") == "tools/list" for line in said), said)
        self.assertTrue(any(name.endswith(TOOL) for name in self.model.tools), sorted(self.model.tools))

    def by_launch(self, name, *args):
        self.run_agent(self.home.command("launch", name, "--", *args))
        session = self.sessions()[0]
        self.assertEqual((session["agent"], session["exit_code"]), (name, 0))
        self.assertEqual((self.tokens(), self.valid(), self.launched()), ([], [], []))

    def as_claude(self):
        self.env.update(ANTHROPIC_BASE_URL=self.model.url, ANTHROPIC_API_KEY="sk-ant-dummy", ENABLE_TOOL_SEARCH="false",
                        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", DISABLE_AUTOUPDATER="1")

    def as_codex(self):
        """Its arguments: a provider of our own, and a model whose tools it offers by name."""
        self.env.update(OPENAI_API_KEY="sk-dummy")
        provider = f'{{ name = "fake", base_url = "{self.model.url}/v1", env_key = "OPENAI_API_KEY", wire_api = "responses" }}'
        return ["exec", "--skip-git-repo-check", "-m", "gpt-5.1", "-c", 'model_provider="fake"', "-c",
                f"model_providers.fake={provider}", "say done"]

    def as_opencode(self):
        self.env.update(OPENCODE_DISABLE_AUTOUPDATE="1", OPENCODE_DISABLE_MODELS_FETCH="1", OPENCODE_CONFIG_CONTENT=json.dumps({
            "provider": {"fake": {"npm": "@ai-sdk/openai-compatible", "name": "fake", "models": {"m": {"name": "m"}},
                                  "options": {"baseURL": self.model.url + "/v1", "apiKey": "dummy"}}},
            "model": "fake/m", "autoupdate": False}))

    def test_claude_launched(self):
        self.ready("claude")
        self.as_claude()
        self.by_launch("claude", "-p", "say done")
        self.lists_our_tools("claude-code")

    def test_claude_by_way_of_the_gateway(self):
        """No key of its own, and no address of the model: what it is launched with leads there."""
        self.home.state.mkdir(mode=0o700)
        config = self.home.state / "config.yaml"
        config.write_text("gateway:\n  upstream_allow_private: true\n")
        self.ready("claude")
        self.home.ok("daemon", "stop")
        config.write_text(f"gateway:\n  upstream_allow_private: true\n  anthropic: {self.model.url}\n")
        self.as_claude()
        del self.env["ANTHROPIC_BASE_URL"]
        self.by_launch("claude", "-p", "say done")
        self.assertTrue(any(name.endswith(TOOL) for name in self.model.tools), sorted(self.model.tools))
        self.assertEqual(self.model.authorizations, {"sk-ant-dummy"})

    def test_claude_installed(self):
        program, _ = self.ready("claude")
        self.as_claude()
        self.home.ok("mcp", "install", "claude")
        self.run_agent([program, "-p", "say done"])
        self.lists_our_tools("claude-code")

    def test_codex_launched(self):
        self.ready("codex")
        self.by_launch("codex", *self.as_codex())
        self.lists_our_tools("codex")

    def test_codex_by_way_of_the_gateway(self):
        """What lets it through is in no argument, which every user of the machine can read."""
        self.home.state.mkdir(mode=0o700)
        config = self.home.state / "config.yaml"
        config.write_text("gateway:\n  upstream_allow_private: true\n")
        program, _ = self.ready("codex")
        self.home.ok("daemon", "stop")
        config.write_text(f"gateway:\n  upstream_allow_private: true\n  openai: {self.model.url}\n")
        self.program("codex", f"#!/bin/sh\ntr '\\0' '\\n' < /proc/$$/cmdline > args\nenv > env\nexec {program} \"$@\"\n")
        self.env.update(PATH=f"{self.programs}:{self.env['PATH']}", OPENAI_API_KEY="sk-dummy")
        self.by_launch("codex", "exec", "--skip-git-repo-check", "-m", "gpt-5.1", "say done")
        self.assertTrue(any(name.endswith(TOOL) for name in self.model.tools), sorted(self.model.tools))
        self.assertEqual(self.model.authorizations, {"Bearer sk-dummy"})
        env = dict(line.split("=", 1) for line in (self.work / "env").read_text().splitlines() if "=" in line)
        args = (self.work / "args").read_text()
        self.assertIn("/llm/-/openai/v1", args)
        self.assertEqual(len(env["AILERON_GATEWAY_CAPABILITY"]), 43)
        self.assertNotIn(env["AILERON_GATEWAY_CAPABILITY"], args)

    def test_codex_installed(self):
        program, _ = self.ready("codex")
        args = self.as_codex()
        self.home.ok("mcp", "install", "codex")
        self.run_agent([program, *args])
        self.lists_our_tools("codex")

    def test_gemini_installed(self):
        program, _ = self.ready("gemini")
        self.env.update(GEMINI_API_KEY="dummy", GOOGLE_GEMINI_BASE_URL=self.model.url)
        settings = self.home.root / ".gemini" / "settings.json"
        settings.parent.mkdir()
        settings.write_text('{\n  // mine\n  "security": {"auth": {"selectedType": "gemini-api-key"}}\n}\n')
        self.home.ok("mcp", "install", "gemini")
        self.run_agent([program, "--skip-trust", "-m", "gemini-2.5-flash", "-p", "say done"])
        self.lists_our_tools("gemini-cli")

    def test_opencode_launched(self):
        self.ready("opencode")
        self.as_opencode()
        self.by_launch("opencode", "run", "say done")
        self.lists_our_tools("opencode")

    def test_opencode_installed(self):
        program, _ = self.ready("opencode")
        self.as_opencode()
        self.home.ok("mcp", "install", "opencode")
        self.run_agent([program, "run", "say done"])
        self.lists_our_tools("opencode")

    def test_claude_calls_and_a_person_approves(self):
        _, service = self.ready("claude", gated=True, calls=[(TOOL, {"path": "/ok"})])
        self.as_claude()
        process = self.start("claude", "--", "-p", "send it")
        pending = wait_for(lambda: self.home.request("GET", "/v1/action-approvals").json["items"], "the request", 60)[0]
        self.assertEqual((pending["action_name"], pending["caller"]["name"]), ("send-note", "claude"))
        self.assertEqual(pending["session_id"], self.sessions()[0]["id"])
        self.assertEqual(service.seen, [])
        self.assertEqual(self.home.request("POST", f"/v1/action-approvals/{pending['id']}/decide", {"approved": True}).status, 204)
        run = wait_for(lambda: (run := self.home.request("GET", f"/v1/runs/{pending['run_id']}").json)["state"] not in
                       ("pending_approval", "queued", "running") and run, "the run")
        self.assertEqual(run["state"], "completed", run)
        self.assertEqual(len(service.seen), 1)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, out + err)
        # What the agent was told at once.
        self.assertTrue(any("pending_approval" in text for text in self.model.results), self.model.results)


if __name__ == "__main__":
    unittest.main()
