"""Runs the cases of autobahntestsuite against a WebSocket echo server: what `wstest -m fuzzingclient` does, for Python 3.

    .build/autobahn/bin/python Tests/Autobahn/fuzz.py URL [--spec FILE] [--report FILE] [--header "Name: value"] [--verbose]

scripts/autobahn makes that interpreter, which knows the cases; AutobahnTests.swift runs this against Drive's WebSocket. It is
here because the suite itself is Python 2.

The spec is wstest's: "cases" and "exclude-cases" are lists of ids or patterns ("9.*"); "options" go to autobahn's client
protocol. Of its own it has "known": {"id": "reason"}, cases that are not green and why; one that turns green is an error, so
that the list stays true.

Green is OK, NON-STRICT or INFORMATIONAL, for the case and for how its connection closed. UNIMPLEMENTED (the server did not
take the compression offered) is not. Exit status: 0 all green or known, 1 some are not, 2 the server could not be reached
or the arguments are wrong, 3 the suite itself failed.
"""
import argparse
import collections
import json
import sys
import time
import traceback

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS
from autobahn.websocket.protocol import WebSocketProtocol
from twisted.internet import reactor

import autobahncases
from autobahncases.case import CaseBasename, CaseCategories, Cases, CaseSetname, CaseSubCategories
from autobahncases.caseset import CaseSet

GREEN = ("OK", "NON-STRICT", "INFORMATIONAL")
DEFAULT_SPEC = {"cases": ["*"]}
# Longer than any case waits by itself (9.5 and 9.6 allow the server 1,000 s): for a connection that never ends.
CASE_DEADLINE = 1100
WIRE_LOG_LINES = 60


def octets(value):
    """The bytes of a byte string, which the converted cases keep as latin-1 text."""
    return value.encode("latin-1") if isinstance(value, str) else value


def text(value):
    """A payload from the wire as the cases compare it."""
    return value.decode("latin-1") if isinstance(value, (bytes, bytearray)) else value


def shown(payload, limit=48):
    payload = octets(payload or b"")
    return f"{len(payload)} {payload[:limit]!r}{'...' if len(payload) > limit else ''}"


class FuzzingProtocol(WebSocketClientProtocol):
    """One case on one connection. The names are those the cases call."""

    def prepare(self, case_class):
        self.connectionWasOpen = False
        self.createWirelog = True
        self.wirelog = []
        self.txFrameStats = collections.Counter()
        self.error = None
        self.started = time.monotonic()
        self.case = case_class(self)

    def guarded(self, function, *arguments):
        """A mistake in the suite ends the case and the run, never counts as the server's."""
        try:
            function(*arguments)
        except Exception:
            self.error = traceback.format_exc()
            self.transport.abortConnection()

    def note(self, *what):
        if self.createWirelog and len(self.wirelog) < WIRE_LOG_LINES:
            self.wirelog.append(f"{time.monotonic() - self.started:8.3f} " + " ".join(str(each) for each in what))

    # From autobahn.

    def connectionMade(self):
        # autobahn means to, but asks for its option before it has it: with Nagle's algorithm chops would not leave one by one.
        self.transport.setTcpNoDelay(True)
        super().connectionMade()
        self.deadline = reactor.callLater(CASE_DEADLINE, self.transport.abortConnection)

    def onOpen(self):
        self.connectionWasOpen = True
        self.started = time.monotonic()
        self.guarded(self.case.onOpen)

    def onMessage(self, payload, isBinary):
        self.guarded(self.case.onMessage, text(payload), isBinary)

    def onPong(self, payload):
        self.guarded(self.case.onPong, text(payload))

    def onClose(self, wasClean, code, reason):
        self.guarded(self.case.onClose, wasClean, code, reason)

    def onCloseFrame(self, code, reasonRaw):
        # autobahn notes an invalid code as 1000, which would hide it from the cases.
        ended = super().onCloseFrame(code, reasonRaw)
        self.remoteCloseCode = code
        return ended

    def connectionLost(self, reason):
        super().connectionLost(reason)
        if self.deadline.active():
            self.deadline.cancel()
        self.guarded(self.case.onConnectionLost, self.failedByMe)
        self.factory.finished(self)

    def logRxFrame(self, frameHeader, payload):
        # No bytes are joined while a case moves many.
        if self.createWirelog:
            self.note("RX opcode", frameHeader.opcode, "fin", frameHeader.fin, "rsv", frameHeader.rsv, shown(b"".join(payload)))

    def logTxFrame(self, frameHeader, payload, repeatLength, chopsize, sync):
        self.txFrameStats[frameHeader.opcode] += 1
        if self.createWirelog:
            self.note("TX opcode", frameHeader.opcode, "fin", frameHeader.fin, "rsv", frameHeader.rsv, shown(payload),
                      *([f"repeated to {repeatLength}"] if repeatLength is not None else []))

    # From the cases.

    def sendFrame(self, opcode, payload=b"", **rest):
        super().sendFrame(opcode, payload=octets(payload), **rest)

    def sendMessage(self, payload, isBinary=False, **rest):
        # The autobahn the cases were written for ignored this; later ones raise Disconnected.
        if self.state == WebSocketProtocol.STATE_OPEN:
            super().sendMessage(octets(payload), isBinary, **rest)

    def sendMessageFrameData(self, payload, sync=False):
        return super().sendMessageFrameData(octets(payload), sync)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        super().sendCloseFrame(code, octets(reasonUtf8), isReply)

    def enableWirelog(self, enable):
        self.createWirelog = enable

    def failConnection(self):
        self._fail_connection()

    def later(self, delay, what, function):
        self.note("in", delay, "s:", what)

        def run():
            if self.state != WebSocketProtocol.STATE_CLOSED:
                self.note("now:", what)
                self.guarded(function)
        reactor.callLater(delay, run)

    def continueLater(self, delay, function, tag=None):
        self.later(delay, f"continue {tag or ''}", function)

    def killAfter(self, delay):
        self.later(delay, "fail the connection", self.failConnection)

    def closeAfter(self, delay):
        self.later(delay, "close", self.sendClose)


class ExactTimer:
    """In place of autobahn's batched timer, which cuts times to whole seconds: a timeout of 1 s could be over at once."""

    class Call:
        def __init__(self, call):
            self.call = call

        def cancel(self):
            if self.call.active():
                self.call.cancel()

    def call_later(self, delay, function, *arguments, **named):
        return self.Call(reactor.callLater(delay, function, *arguments, **named))


class FuzzingFactory(WebSocketClientFactory):
    """Runs the cases one after another, each on a connection of its own."""

    def __init__(self, url, ids, case_set, options, headers, verbose):
        super().__init__(url, useragent=f"autobahntestsuite/{autobahncases.version}", headers=headers)
        self._batched_timer = ExactTimer()
        self.setProtocolOptions(failByDrop=False, **options)  # failing by a closing handshake is what the cases expect
        self.logFrames = True
        self.remaining = collections.deque(ids)
        self.case_set = case_set
        self.verbose = verbose
        self.results = {}
        self.trouble = None

    def buildProtocol(self, addr):
        protocol = FuzzingProtocol()
        protocol.factory = self
        protocol.prepare(self.case_set.CasesById[self.remaining[0]])
        return protocol

    def finished(self, protocol):
        case = protocol.case
        case_id = self.remaining.popleft()
        if protocol.error:
            self.trouble = (3, f"{case_id}: the suite failed:\n{protocol.error}")
        self.results[case_id] = {
            "behavior": case.behavior, "behaviorClose": case.behaviorClose,
            "result": case.result, "resultClose": case.resultClose,
            "seconds": round(time.monotonic() - protocol.started, 3),
            "closeCode": protocol.remoteCloseCode, "closeReason": protocol.remoteCloseReason,
            "notClean": protocol.wasNotCleanReason,
            "description": " ".join(case.DESCRIPTION.split()), "expectation": " ".join(case.EXPECTATION.split()),
            "expected": {key: [[shown(part) if isinstance(part, str) else part for part in event] for event in events]
                         for key, events in case.expected.items()},
            "received": [[shown(part) if isinstance(part, str) else part for part in event] for event in case.received[:20]],
            "wire": protocol.wirelog,
        }
        if self.verbose:
            print(case_id, case.behavior, "/", case.behaviorClose, self.results[case_id]["seconds"], "s", flush=True)

    def clientConnectionLost(self, connector, reason):
        if self.trouble or not self.remaining:
            reactor.stop()
        else:
            connector.connect()

    def clientConnectionFailed(self, connector, reason):
        at = self.remaining[0]
        self.trouble = (2, f"no connection to {self.url} for case {at}: {reason.getErrorMessage()}")
        reactor.stop()


def order(case_id):
    return tuple(int(part) for part in case_id.split("."))


def green(result):
    return result["behavior"] in GREEN and result["behaviorClose"] in GREEN


def summary(results, known):
    """Prints what is not green and the sums; returns whether all is as it should be."""
    bad = [key for key in sorted(results, key=order) if not green(results[key]) and key not in known]
    stale = [key for key in sorted(known, key=order) if key in results and green(results[key])]
    for key in bad:
        result = results[key]
        print(f"\n{key}: {result['behavior']} / {result['behaviorClose']}, close code {result['closeCode']}, {result['seconds']} s"
              + (f", {result['notClean']}" if result["notClean"] else ""))
        print(f"  does      {result['description']}\n  expects   {result['expectation']}")
        print(f"  result    {result['result']}\n  close     {result['resultClose']}")
        for name, events in result["expected"].items():
            print(f"  {name}: {events}")
        print(f"  received: {result['received']}")
        for line in result["wire"]:
            print(f"    {line}")
    for key in stale:
        print(f"\n{key}: is green, but stands in \"known\": {known[key]}")
    print()
    for category in sorted({key.split(".")[0] for key in results}, key=int):
        members = [key for key in results if key.split(".")[0] == category]
        verdicts = collections.Counter("/".join(dict.fromkeys([results[key]["behavior"], results[key]["behaviorClose"]]))
                                       for key in members)
        seconds = sum(results[key]["seconds"] for key in members)
        print(f"{category:>3}  {len(members):4} cases {seconds:8.1f} s  " + ", ".join(f"{n} {v}" for v, n in verdicts.most_common()))
    slowest = sorted(results, key=lambda key: -results[key]["seconds"])[:10]
    print("slowest: " + ", ".join(f"{key} {results[key]['seconds']:.1f} s" for key in slowest))
    excused = sum(1 for key in results if key in known and not green(results[key]))
    print(f"{len(results)} cases, {len(bad)} not green, {excused} known, {len(stale)} known but green")
    if bad or stale:
        print("to be mended: " + ", ".join(sorted([*bad, *stale], key=order)))
    return not bad and not stale


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--spec")
    parser.add_argument("--report")
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    if not arguments.url.startswith("ws://"):
        parser.error("only ws:// URLs")
    spec = DEFAULT_SPEC
    if arguments.spec:
        with open(arguments.spec, encoding="utf-8") as file:
            spec = json.load(file)
    case_set = CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
    ids = case_set.parseSpecCases(spec)
    known = spec.get("known", {})
    unknown = [key for key in [*ids, *known] if key not in case_set.CasesById]
    if unknown or not ids:
        parser.error(f"no such cases: {unknown}" if unknown else "the spec names no case")
    headers = dict(header.split(": ", 1) for header in arguments.header)
    print(f"autobahntestsuite {autobahncases.version}: {len(ids)} of {len(Cases)} cases against {arguments.url}", flush=True)
    factory = FuzzingFactory(arguments.url, ids, case_set, spec.get("options", {}), headers, arguments.verbose)
    connectWS(factory)
    reactor.run()
    if arguments.report:
        with open(arguments.report, "w", encoding="utf-8") as file:
            json.dump(factory.results, file, indent=1, sort_keys=True)
    fine = summary(factory.results, known) if factory.results else True
    if factory.remaining and not factory.trouble:
        factory.trouble = (3, f"stopped before case {factory.remaining[0]}")
    if factory.trouble:
        print(factory.trouble[1], file=sys.stderr)
        sys.exit(factory.trouble[0])
    sys.exit(0 if fine else 1)


main()
