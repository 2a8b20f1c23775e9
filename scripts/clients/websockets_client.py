"""Watches an account's events with the library websockets, as an application would, and comes back when it is cut off.

The bearer token comes from DRIVE_TOKEN. Each line on stdout is a JSON object with one member: `opened` (the extensions
that were agreed on, by name), `packet` (a message, as its text), `pong` (seconds since its ping) or `closed` (the
connection's close code). It closes and comes back when a task named "close" is created, and ends when one named "end" is.
"""

import argparse
import asyncio
import json
import os
import urllib.parse

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidMessage


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="of the WebSocket, without a query")
    parser.add_argument("--sign-in", choices=["message", "header", "query"], required=True)
    parser.add_argument("--compression", action=argparse.BooleanOptionalAction, required=True)
    return parser.parse_args()


def tell(**line):
    print(json.dumps(line), flush=True)


def tell_pong(pong):
    if not pong.cancelled() and pong.exception() is None:
        tell(pong=pong.result())


class Watcher:
    def __init__(self, options):
        self.options = options
        self.token = os.environ["DRIVE_TOKEN"]
        self.last = None
        self.has_ended = False

    def open(self):
        query, headers = {}, {}
        if self.options.sign_in == "query":
            query["token"] = self.token
        if self.options.sign_in == "header":
            headers["Authorization"] = f"Bearer {self.token}"
        if self.options.sign_in != "message" and self.last is not None:
            query["since"] = self.last
        address = self.options.address + ("?" + urllib.parse.urlencode(query) if query else "")
        compression = "deflate" if self.options.compression else None
        return connect(address, additional_headers=headers, compression=compression, proxy=None)

    async def watch(self, connection):
        tell(opened=[extension.name for extension in connection.protocol.extensions])
        if self.options.sign_in == "message":
            since = {} if self.last is None else {"since": self.last}
            await connection.send(json.dumps({"type": "auth", "token": self.token} | since))
        # Both kinds of pings: the protocol's own, and that of Drive, which is answered by a packet.
        (await connection.ping()).add_done_callback(tell_pong)
        await connection.send(json.dumps({"type": "ping"}))
        async for message in connection:
            tell(packet=message)
            packet = json.loads(message)
            self.last = packet.get("sequence", self.last)
            if packet["type"] == "ready":
                self.last = packet["data"]["sequence"]
            if packet["type"] == "task.created" and packet["data"]["name"] in ("close", "end"):
                self.has_ended = packet["data"]["name"] == "end"
                return

    async def run(self):
        while not self.has_ended:
            try:
                async with self.open() as connection:
                    try:
                        await self.watch(connection)
                    except ConnectionClosed:
                        pass
                tell(closed=connection.close_code)
            except (OSError, InvalidMessage):
                # Nobody is there now.
                await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(Watcher(parse()).run())
