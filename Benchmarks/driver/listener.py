"""The client of the live events, `load live`: many WebSockets, read by one thread, steered by lines on its input."""

import contextlib
import json
import select
import subprocess
import tempfile

from .servers import RowFailed

WAIT = 90  # seconds for an answer


class Listener:
    """That many connections, evenly over the accounts of the tokens; all are signed in once it is entered."""

    def __init__(self, program, server, tokens, connections):
        self.tokens = tempfile.NamedTemporaryFile("w", dir=server.folder, suffix=".tokens")
        self.tokens.write("\n".join(tokens) + "\n")
        self.tokens.flush()
        self.command = [
            program, "live", "--port", str(server.port), "--tokens", self.tokens.name, "--connections", str(connections)]
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            self._answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()  # the end of its input ends it
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=10)
        self.process.stdout.close()
        self.process.stderr.close()
        self.tokens.close()

    def ask(self, command):
        """The answer to a command; `load live` knows `pace`, `batches` and `count`. No event may be missing."""
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the end of its output tells why
        answer = self._answer()
        if answer.get("missing"):
            raise RowFailed(f"{command}: {answer['missing']} of {answer['missing'] + answer['frames']} packets did not come")
        return answer

    def _answer(self):
        if not select.select([self.process.stdout], [], [], WAIT)[0]:
            raise RowFailed(f"the listener did not answer within {WAIT} s")
        line = self.process.stdout.readline()
        if not line:
            raise RowFailed(f"the listener ended: {self.process.stderr.read()[-500:].strip()}")
        return json.loads(line)
