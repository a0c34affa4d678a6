"""Linked actions with the real daemon: linked, shown, changed on disk, switched, gone; and what is no action beside them."""
import json
import os
import shutil
import signal
import unittest

from daemon import Home, manifest_of, wait_for
from house import SLOW

UNPINNED = "sha256:bound-at-release"


def text(name, version="1.0.0", intent="greet somebody", connector_hash=UNPINNED, approval=False, extra=""):
    return f"""+++
name = "{name}"
version = "{version}"
source = "github://acme/actions/{name}@{version}"

[[requires.connectors]]
name = "github://acme/fixture"
version = "1.0.0"
hash = "{connector_hash}"
capabilities = ["echo"]

[match]
intent = "{intent}"

[[inputs]]
name = "word"
type = "string"
description = "what is said"

[approval]
required = {"true" if approval else "false"}

[[execute]]
id = "say"
connector = "github://acme/fixture"
op = "echo"
effect = "read"
{extra}
+++
# The title of {name}

Says it.
"""


class Action(unittest.TestCase):
    def setUp(self):
        self.home = Home()
        self.addCleanup(self.home.__exit__)
        self.folder = self.home.root / "actions"
        self.folder.mkdir()
        self.home.start()

    def put(self, name, content=None, file=None, **more):
        """As editors do it: a new file takes the place of the old one."""
        path = self.folder / (file or f"{name}.md")
        new = path.with_name(path.name + ".new")
        new.write_text(text(name, **more) if content is None else content)
        new.rename(path)
        return path

    def link(self, path=None, code=0):
        done = self.home.cli("action", "link", path or self.folder, "--json")
        self.assertEqual(done.code, code, (done.out, done.err))
        return json.loads(done.out) if done.out else done.err

    def listed(self):
        return self.home.request("GET", "/v1/actions").json

    def names(self):
        return [action["name"] for action in self.listed()["items"]]

    def show(self, name, status=200):
        answer = self.home.request("GET", "/v1/actions/" + name)
        self.assertEqual(answer.status, status, answer.body)
        return answer.json

    def await_action(self, condition, what):
        """The parent looks once a second, and 2 s is what is promised."""
        return wait_for(lambda: condition(self.listed()), what, seconds=2 if SLOW == 1 else 10)

    def events(self, kind):
        return [event["payload"] for event in self.home.events("--type", kind)]

    def test_from_link_to_unlink(self):
        self.put("say-hello")
        self.put("ask-first", approval=True)
        linked = self.link()
        self.assertEqual(linked["path"], str(self.folder))
        self.assertEqual([a["name"] for a in linked["actions"]], ["ask-first", "say-hello"])
        self.assertEqual(linked["load_errors"], [])
        shown = self.show("say-hello")
        self.assertEqual((shown["tool"], shown["title"], shown["enabled"], shown["linked"], shown["signed"]),
                         ("say_hello", "The title of say-hello", True, True, False))
        self.assertEqual(shown["path"], str(self.folder / "say-hello.md"))
        self.assertIn("Says it.", shown["body"])
        self.assertEqual(shown["requires"]["connectors"][0]["status"], "missing")
        self.assertTrue(shown["hints"]["read_only"])
        self.assertEqual(len(self.events("action.linked")), 2)
        out = self.home.ok("action", "list").out
        self.assertIn("say-hello", out)
        self.assertIn("1 missing", out)
        self.assertIn("a person decides", self.home.ok("action", "show", "ask-first").out)
        self.link()  # twice is once
        self.assertEqual(len(self.events("action.linked")), 2)
        self.assertEqual(self.home.cli("action", "unlink", "say-hello").code, 1)  # it is the folder's
        self.home.ok("action", "unlink", self.folder)
        self.assertEqual(self.listed(), {"items": [], "load_errors": []})
        self.assertEqual(sorted(e["aileron.action.fqn"] for e in self.events("action.unlinked")),
                         ["ask-first", "say-hello"])
        self.assertEqual(self.home.cli("action", "unlink", self.folder).code, 1)
        self.show("say-hello", 404)

    def test_the_pinned_hash_is_compared_and_shown(self):
        folder = self.home.link("fixture", port=1)
        actual = folder["content_hash"]
        self.put("free")
        self.put("right", connector_hash=actual)
        self.put("wrong", connector_hash="sha256:" + "0" * 64)
        self.link()
        seen = {a["name"]: a["requires"]["connectors"][0] for a in self.listed()["items"]}
        self.assertEqual({name: c["pinned"] for name, c in seen.items()},
                         {"free": "unpinned", "right": "match", "wrong": "differs"})
        self.assertEqual({(c["status"], c["actual_hash"]) for c in seen.values()}, {("linked", actual)})
        self.assertEqual(seen["free"]["hosts"], ["127.0.0.1:1"])
        self.assertIn("not as pinned", self.home.ok("action", "list").out)
        own = 'hosts = ["127.0.0.1:1", "elsewhere.example:443"]'
        self.put("free", text("free").replace('capabilities = ["echo"]', 'capabilities = ["echo"]\n' + own))
        free = self.await_action(lambda s: s["items"][0]["problems"] and s["items"][0], "the hosts of its own")
        self.assertEqual(free["requires"]["connectors"][0]["hosts"], ["127.0.0.1:1", "elsewhere.example:443"])
        self.assertIn("'elsewhere.example:443' is no host", free["problems"][0])

    def test_a_connector_that_changes_is_told_without_being_used(self):
        first = self.home.link("fixture", port=1)["content_hash"]
        self.put("say")
        self.link()
        self.assertEqual(self.show("say")["requires"]["connectors"][0]["actual_hash"], first)
        folder = self.home.root / "connector-fixture"
        replaced = folder / "manifest.new"
        replaced.write_text(manifest_of("fixture", 2))
        replaced.rename(folder / "manifest.toml")
        # The list is of what was seen last; nothing but the parent looks meanwhile.
        changed = wait_for(lambda: self.events("connector.changed"), "the record", seconds=2 if SLOW == 1 else 10)
        self.assertEqual(changed[0]["aileron.connector.previous_hash"], first)
        told = self.listed()["items"][0]["requires"]["connectors"][0]
        self.assertEqual((told["actual_hash"], told["hosts"]),
                         (changed[0]["aileron.connector.hash"], ["127.0.0.1:2"]))
        # What is replaced is seen by the very next use, before anybody was told.
        replaced.write_text(manifest_of("fixture", 3))
        replaced.rename(folder / "manifest.toml")
        self.assertEqual(self.show("say")["requires"]["connectors"][0]["hosts"], ["127.0.0.1:3"])

    def test_bad_files_beside_good_ones(self):
        self.put("good")
        self.put("bad", 'no front matter\n')
        self.put("worse", text("worse").replace('op = "echo"', 'op = "shout"\nbogus = 1'))
        done = self.home.cli("action", "link", self.folder)
        self.assertEqual(done.code, 1)
        self.assertIn("Linked good", done.out)
        self.assertIn(f"{self.folder}/bad.md:1: ", done.err)
        listed = self.listed()
        self.assertEqual([a["name"] for a in listed["items"]], ["good"])
        errors = {e["file"]: e for e in listed["load_errors"]}
        self.assertEqual(errors[str(self.folder / "bad.md")]["line"], 1)
        wrong = text("worse").replace('op = "echo"', 'op = "shout"\nbogus = 1').splitlines()
        self.assertEqual(errors[str(self.folder / "worse.md")]["line"], wrong.index("bogus = 1") + 1)
        self.put("worse")
        self.await_action(lambda s: len(s["items"]) == 2, "the mended file")
        # A file that is named by itself must be one.
        self.assertIn("bad.md', line 1: ", self.link(self.folder / "bad.md", code=1))
        self.home.ok("action", "unlink", self.folder)
        self.assertEqual(self.names(), [])

    def test_changes_on_disk_are_seen(self):
        path = self.put("say")
        self.link()
        before = self.show("say")["hash"]
        with open(path, "r+") as file:  # in place, of the same length
            content = file.read()
            file.seek(0)
            file.write(content.replace("greet somebody", "greet everyone"))
        changed = self.await_action(lambda s: s["items"][0]["match"]["intent"] == "greet everyone" and s["items"][0],
                                    "the edit")
        event = self.events("action.changed")[0]
        self.assertEqual((event["aileron.action.previous_hash"], event["aileron.action.hash"]),
                         (before, changed["hash"]))
        self.put("say", version="2.0.0")  # replaced by another file
        self.await_action(lambda s: s["items"][0]["version"] == "2.0.0", "the other file")
        self.put("more")
        self.await_action(lambda s: len(s["items"]) == 2, "the new file")
        path.unlink()
        self.await_action(lambda s: [a["name"] for a in s["items"]] == ["more"], "the deletion")
        self.assertEqual(self.events("action.unlinked")[0]["aileron.action.fqn"], "say")
        # Broken for a while, it is told by its name and is none that went.
        self.put("more", text("more").replace("[match]", "[mutch]"))
        fault = self.await_action(lambda s: s["load_errors"] and s["load_errors"][0], "the broken file")
        self.assertEqual(fault["action"], "more")
        self.show("more", fault_status(fault["class"]))
        self.put("more")
        self.await_action(lambda s: s["items"] and not s["load_errors"], "the mended file")
        self.assertEqual(len(self.events("action.unlinked")), 1)

    def test_a_folder_that_goes_and_comes_back(self):
        self.put("say")
        self.link()
        aside = self.folder.with_name("aside")
        self.folder.rename(aside)
        fault = self.await_action(lambda s: not s["items"] and s["load_errors"], "the loss")[0]
        self.assertEqual(fault["file"], str(self.folder))
        self.home.ok("daemon", "restart")
        self.assertEqual(self.names(), [])
        aside.rename(self.folder)
        self.await_action(lambda s: [a["name"] for a in s["items"]] == ["say"], "the return")

    def test_a_changed_file_is_recorded_over_a_restart(self):
        self.put("say")
        self.link()
        self.home.ok("daemon", "stop")
        self.put("say", intent="greet nobody")
        self.home.start()
        self.assertEqual(self.show("say")["match"]["intent"], "greet nobody")
        self.assertEqual(len(self.events("action.changed")), 1)
        self.assertEqual(len(self.events("action.linked")), 1)
        # A control that died knows all of it again, and watches on.
        os.kill(self.home.process("control"), signal.SIGKILL)
        wait_for(lambda: self.home.cli("action", "show", "say").code == 0, "the next control")
        self.put("say", intent="greet all")
        self.await_action(lambda s: s["items"][0]["match"]["intent"] == "greet all", "the edit")

    def test_switched_off_and_on(self):
        self.put("say")
        self.link()
        self.assertEqual(self.home.ok("action", "disable", "say").out, "say is off: it is offered to nobody\n")
        self.home.ok("action", "disable", "say")
        self.assertFalse(self.show("say")["enabled"])
        self.home.ok("daemon", "restart")
        self.assertFalse(self.show("say")["enabled"])
        self.put("say", version="1.0.1")
        self.await_action(lambda s: s["items"][0]["version"] == "1.0.1", "the edit")
        self.assertFalse(self.show("say")["enabled"])
        self.home.ok("action", "enable", "say")
        self.assertTrue(self.show("say")["enabled"])
        self.assertEqual((len(self.events("action.disabled")), len(self.events("action.enabled"))), (1, 1))
        self.assertEqual(self.home.cli("action", "enable", "nothing").code, 1)
        self.assertEqual(self.home.request("PATCH", "/v1/actions/say", {"enabled": "no"}).status, 400)

    def test_one_name_twice_is_nobodys(self):
        self.put("say", file="one.md")
        self.link()
        self.put("say", file="two.md")
        faults = self.await_action(lambda s: not s["items"] and s["load_errors"], "the twins")
        done = self.home.cli("action", "link", self.folder / "two.md")
        self.assertEqual(done.code, 1)
        self.assertIn("is linked all the same", done.err)
        self.assertNotIn("no action yet", done.err)
        self.home.ok("action", "unlink", self.folder / "two.md")
        self.assertEqual({f["file"] for f in faults}, {str(self.folder / "one.md"), str(self.folder / "two.md")})
        self.assertIn("one.md", next(f["message"] for f in faults if f["file"].endswith("two.md")))
        (self.folder / "two.md").unlink()
        self.await_action(lambda s: [a["name"] for a in s["items"]] == ["say"], "the one that is left")
        self.assertEqual(self.events("action.unlinked"), [])

    def test_tools_that_collide_are_left_out(self):
        for name in ("a-b", "a.b", "check-action-status", "c"):
            self.put(name)
        self.link(code=1)
        tools = {a["name"]: a["tool"] for a in self.listed()["items"]}
        self.assertEqual(tools, {"a-b": "", "a.b": "", "c": "c", "check-action-status": ""})
        problems = {a["name"]: a.get("tool_problem", "") for a in self.listed()["items"]}
        self.assertIn("'a.b'", problems["a-b"])
        self.assertIn("built in", problems["check-action-status"])
        self.home.ok("action", "disable", "a.b")  # the other one does not become it
        self.assertEqual(self.show("a-b")["tool"], "")

    def test_a_preview_whose_operation_is_nobodys_is_told_and_works(self):
        preview = '\n[approval.preview]\nop = "echo"\n[approval.preview.render]\nWord = "word"\n'
        self.put("say", text("say", approval=True).replace("required = true\n", "required = true\n" + preview))
        done = self.link(code=1)
        self.assertEqual([a["name"] for a in done["actions"]], ["say"])
        self.assertEqual(len(self.show("say")["problems"]), 1)

    def test_special_files_and_hostile_names(self):
        self.put("good")
        os.mkfifo(self.folder / "pipe.md")
        (self.folder / "folder.md").mkdir()
        outside = self.home.root / "outside.md"
        outside.write_text(text("outside"))
        (self.folder / "link.md").symlink_to(outside)
        (self.folder / "dangling.md").symlink_to("nowhere.md")
        (self.folder / "secret.md").write_text(text("secret"))
        os.chmod(self.folder / "secret.md", 0)
        (self.folder / "large.md").write_bytes(b"x" * ((1 << 20) + 1))
        (self.folder / "binary.md").write_bytes(bytes(range(256)) * 8)
        (self.folder / "line\nbreak \x1b[31m.md").write_text(text("line"))
        with open(bytes(self.folder) + b"/\xff\xfe.md", "w") as file:
            file.write(text("bytes"))
        (self.folder / ("x" * 252 + ".md")).write_text(text("long"))
        (self.folder / "quote'\".md").write_text(text("quote"))
        (self.folder / "empty.md").write_text("")
        answer = self.link(code=1)
        expected = {"good", "long", "quote"} | ({"secret"} if os.geteuid() == 0 else set())
        self.assertEqual({a["name"] for a in answer["actions"]}, expected)
        messages = {os.path.basename(e["file"]): e["message"] for e in answer["load_errors"]}
        self.assertIn("not an ordinary file", messages["pipe.md"])
        self.assertIn("not an ordinary file", messages["folder.md"])
        self.assertIn("symbolic link", messages["link.md"])
        self.assertIn("symbolic link", messages["dangling.md"])
        self.assertIn("larger", messages["large.md"])
        self.assertIn("characters that cannot be seen", messages["line\nbreak \x1b[31m.md"])
        shown = self.home.cli("action", "list")
        self.assertNotIn("\x1b", shown.out + shown.err)
        # Each of them named by itself is refused, and leaves nothing behind.
        for name in ("pipe.md", "folder.md", "link.md", "large.md", "empty.md"):
            self.link(self.folder / name, code=1)
        self.assertEqual(len(self.listed()["load_errors"]), len(answer["load_errors"]))
        for path in ("relative", "/nonexistent", str(self.folder / "nothing.md")):
            self.assertEqual(self.home.request("POST", "/v1/actions/link", {"path": path}).status, 400, path)
        for body in ({}, {"path": "/a", "name": "b"}):
            self.assertEqual(self.home.request("POST", "/v1/actions/unlink", body).status, 400)

    def test_a_file_by_itself(self):
        path = self.put("say")
        self.put("other")
        os.chdir(self.folder)
        self.addCleanup(os.chdir, "/")
        self.assertEqual(self.link("say.md")["path"], str(path))
        self.assertEqual(self.names(), ["say"])
        path.write_text("nothing")
        self.await_action(lambda s: not s["items"], "the broken file")
        self.home.ok("action", "unlink", "say")  # by the name that it had
        self.assertEqual(self.listed()["load_errors"], [])
        self.put("say")
        self.link("say.md")
        path.unlink()
        fault = self.await_action(lambda s: not s["items"] and s["load_errors"], "the loss")[0]
        self.assertIn("is not there", fault["message"])
        self.put("say", version="3.0.0")
        self.await_action(lambda s: s["items"] and s["items"][0]["version"] == "3.0.0", "the return")
        self.link()  # its folder, too: the file is one all the same
        self.assertEqual(self.names(), ["other", "say"])
        self.home.ok("action", "unlink", "say.md")
        self.assertEqual(self.names(), ["other", "say"])
        self.home.ok("action", "unlink", ".")
        self.assertEqual(self.names(), [])

    def test_five_hundred(self):
        for i in range(500):
            (self.folder / f"n{i:03}.md").write_text(text(f"number-{i:03}"))
        self.assertEqual(len(self.link()["actions"]), 500)
        self.put("number-250", version="2.0.0", file="n250.md")
        self.await_action(lambda s: s["items"][250]["version"] == "2.0.0", "one of them")
        self.assertEqual(len(self.events("action.changed")), 1)
        shutil.rmtree(self.folder)
        self.await_action(lambda s: not s["items"], "the end of all")
        self.home.ok("audit", "verify")


def fault_status(name):
    return {"parse_error": 400, "validation_error": 422}[name]


if __name__ == "__main__":
    unittest.main()
