"""Skips of what the checks bring: they say why, and with AILERON_NO_SKIP=1, as in tools/check, they are failures."""
import os

NO_SKIP = os.environ.get("AILERON_NO_SKIP") == "1"


def without(test, what):
    """`what` is missing, which tools/install-packages check or tools/check itself brings"""
    if NO_SKIP:
        test.fail(f"{what} is missing, and AILERON_NO_SKIP is set")
    test.skipTest(f"{what} is missing")
