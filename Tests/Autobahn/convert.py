"""Turns the case list of autobahntestsuite (Python 2) into a package for Python 3: convert.py SDIST_FOLDER TARGET_FOLDER

Run by scripts/autobahn on the archive it downloads, so that nothing of the suite has to stand in this repository.

Python 2's `str` is a string of bytes. The converted cases keep every payload as a `str` whose characters are those bytes
(latin-1), which has the same length, indices, comparison and concatenation; fuzz.py turns it into `bytes` where it meets the
socket and back. So no literal of a case is touched: only the syntax and the few calls that tell bytes from text are. Each
rewriting states how often it must apply, so that another release of the suite fails here rather than testing something else.
"""
import pathlib
import re
import shutil
import sys

COMPAT = '''"""What the cases use of Python 2 that tells bytes from text, on byte strings kept as latin-1 text."""
import binascii as _binascii

from autobahn.websocket.utf8validator import Utf8Validator as _Utf8Validator


def _octets(value):
    return value.encode("latin-1") if isinstance(value, str) else value


class binascii:
    @staticmethod
    def b2a_hex(value):
        return _binascii.b2a_hex(_octets(value)).decode("ascii")

    hexlify = b2a_hex


class Utf8Validator:
    def __init__(self):
        self._validator = _Utf8Validator()

    def reset(self):
        self._validator.reset()

    def validate(self, value):
        return self._validator.validate(_octets(value))
'''

# (pattern, replacement, how often over all case files)
EVERYWHERE = [
    (r"^# coding=utf-8$", "", 11),
    (r"^(\s*)from (case\w*) import ", r"\1from .\2 import ", 285),
    (r"^import binascii$", "from ._compat import binascii", 13),
    (r"\bxrange\b", "range", 11),
    (r"\(object, Case, \)", "(Case, )", 6),
    (r"^(\s*)print$", r"\1print()", 2),
    (r"^(\s*)print (.+)$", r"\1print(\2)", 9),
]
# file: [(exact text, replacement, how often)]
IN_FILE = {
    "__init__.py": [("from .case9_9_1 import *", "", 1)],  # stands in no case list
    "case.py": [("pickle.dumps(obj1) == pickle.dumps(obj2)", "obj1 == obj2", 1)],
    "case6_x_x.py": [("from autobahn.websocket.utf8validator import", "from ._compat import", 1)],
    "case10_1_1.py": [("len(self.payload) / self.p", "len(self.payload) // self.p", 1)],
    "case12_x_x.py": [
        ("import copy, os, pkg_resources, hashlib, binascii", "import copy, os, hashlib\nfrom ._compat import binascii", 1),
        ('pkg_resources.resource_filename("autobahntestsuite", ', "_resource(", 3),
        ("\n## list of (payload length,", "\ndef _resource(name):\n"
         "   return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), name)\n\n\n## list of (payload length,", 1),
        ("def onMessage(self, msg, binary):\n", "def onMessage(self, msg, binary):\n   msg = msg.encode('latin-1')\n", 1),
        ("acceptNoContextTakeover", "accept_no_context_takeover", 3),
        ("acceptMaxWindowBits", "accept_max_window_bits", 4),
    ],
}
# The names autobahn gave the same parameters later; in texts they stay.
RENAMED = [
    (r"requestNoContextTakeover = ", "request_no_context_takeover = "),
    (r"requestMaxWindowBits = ", "request_max_window_bits = "),
    (r"x\.requestNoContextTakeover", "x.request_no_context_takeover"),
    (r"x\.requestMaxWindowBits", "x.request_max_window_bits"),
]


def expect(found, wanted, what):
    if found != wanted:
        sys.exit(f"convert.py: {what}: applied {found} times, expected {wanted}")


def main(source, target):
    source = pathlib.Path(source) / "autobahntestsuite"
    target = pathlib.Path(target) / "autobahncases"
    shutil.rmtree(target, ignore_errors=True)
    (target / "case").mkdir(parents=True)
    shutil.copytree(source / "testdata", target / "testdata")
    counts = [0] * len(EVERYWHERE)
    for path in sorted((source / "case").glob("*.py")):
        if path.name == "case9_9_1.py":
            continue
        text = path.read_bytes().decode("latin-1").replace("\r\n", "\n")
        for index, (pattern, replacement, _) in enumerate(EVERYWHERE):
            text, times = re.subn(pattern, replacement, text, flags=re.MULTILINE)
            counts[index] += times
        for old, new, wanted in IN_FILE.get(path.name, []):
            expect(text.count(old), wanted, f"{path.name}: {old!r}")
            text = text.replace(old, new)
        if path.name == "case12_x_x.py":
            for pattern, replacement in RENAMED:
                text = re.sub(pattern, replacement, text)
        (target / "case" / path.name).write_bytes(b"# -*- coding: latin-1 -*-\n" + text.encode("latin-1"))
    for (pattern, _, wanted), found in zip(EVERYWHERE, counts):
        expect(found, wanted, pattern)
    (target / "case" / "_compat.py").write_text(COMPAT)
    caseset = (source / "caseset.py").read_text()
    caseset, times = re.subn(r"(\w+)\.has_key\(([^)]+)\)", r"\2 in \1", caseset)
    expect(times, 2, "caseset.py: has_key")
    (target / "caseset.py").write_text(caseset.replace("'\\.'", "'\\\\.'"))
    version = re.search(r'__version__ = "([^"]+)"', (source / "_version.py").read_text()).group(1)
    (target / "__init__.py").write_text(f'"""The cases of autobahntestsuite {version}, converted."""\n\nversion = "{version}"\n')


main(*sys.argv[1:])
