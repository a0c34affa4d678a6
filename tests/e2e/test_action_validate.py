"""aileron action validate: reads files, says what is wrong with them, and never starts a daemon."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = sorted(str(path) for path in (SOURCE / "examples" / "actions").glob("*.md"))
PROGRAM = pathlib.Path(os.environ["AILERON_BUILD"]) / "bin" / "aileron"


class Validate(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def validate(self, *arguments):
        env = {"HOME": str(self.folder / "home"), "PATH": "/usr/bin:/bin", "ASAN_OPTIONS": "detect_leaks=0"}
        run = subprocess.run([PROGRAM, "action", "validate", *arguments], env=env, cwd=self.folder, capture_output=True, text=True,
                             timeout=60)
        self.assertFalse((self.folder / "home").exists(), "it began a state directory")
        return run

    def write(self, name, text):
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    def test_the_examples_are_right(self):
        self.assertEqual(len(EXAMPLES), 3)
        run = self.validate(*EXAMPLES)
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "3 files: no problem\n", ""))

    def test_problems_have_file_and_line(self):
        good = pathlib.Path(EXAMPLES[0]).read_text()
        cases = {
            "empty.md": ("", "empty.md: the file is empty"),
            "open.md": ("\n+++\n", "open.md:2: the front matter that begins here"),
            "key.md": (good.replace("editable", "editble"), "key.md:25: unknown key: approval.editble"),
            "reference.md": (good.replace("${args.title}", "${args.titel}"), "reference.md:40: '${args.titel}' names no input"),
            "denied.md": (good.replace('"add_note", ', ""), "denied.md:32: action 'add-note' has no capability 'add_note'"),
            "terminal.md": ("\x1b[2J\n", "terminal.md:1: an action begins with a line '+++', not with '\\x1b[2J'"),
        }
        for name, (text, expected) in cases.items():
            with self.subTest(name):
                run = self.validate(self.write(name, text), EXAMPLES[1])
                self.assertEqual(run.returncode, 1)
                self.assertTrue(run.stdout.startswith(expected), run.stdout)
                self.assertEqual(run.stdout.count("\n"), 1)
                self.assertEqual(run.stderr, "")
        run = self.validate("nowhere.md")
        self.assertEqual(run.returncode, 1)
        self.assertIn("nowhere.md: cannot open", run.stdout)

    def test_a_preview_needs_its_reader(self):
        run = self.validate(EXAMPLES[0])
        self.assertEqual(run.returncode, 1)
        self.assertIn("add-note.md:28: the preview's operation 'list_notes' is no step with 'idempotent = true'", run.stdout)

    def test_json_is_one_object_a_file(self):
        bad = self.write("bad.md", "---\n")
        run = self.validate("--json", bad, *EXAMPLES)
        self.assertEqual(run.returncode, 1)
        told = [json.loads(line) for line in run.stdout.splitlines()]
        self.assertEqual([row["valid"] for row in told], [False, True, True, True])
        self.assertEqual({key: told[0][key] for key in ("file", "line", "class")},
                         {"file": "bad.md", "line": 1, "class": "parse_error"})

    def test_too_large_is_refused(self):
        run = self.validate(self.write("large.md", b"+++\n" + b"#" * (1 << 20)))
        self.assertEqual(run.returncode, 1)
        self.assertIn("large.md: ", run.stdout)


if __name__ == "__main__":
    unittest.main()
