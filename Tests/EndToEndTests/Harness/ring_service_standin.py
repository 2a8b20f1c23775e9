"""Stands for the RingService of another program, on 127.0.0.1: tells what it was called with, and answers as it was told to.

One line of JSON says where it listens: `{"ready": {"port": 50123}}`. From then on each call is a line, in the order in which
they came: `{"call": {"method", "authorization" (the values of that metadata), "timeLeft" (seconds until the caller gives up;
null: never), "request" (as protobuf's JSON, names as in ring.proto, bytes in base64), "answer"}}`.

On stdin it takes lines of JSON, and answers each by `{"taken": n}`:

- `{"answer": "UNAVAILABLE", "details": "…", "times": 3, "method": "PushWebSocketPacket", "user": "…"}`: so many calls, of the
  method and for the user or for any, get this status (null times: all, until it is told otherwise). `HANG` answers nothing until
  the caller gives up.
- `{"forget": true}`: OK to all from now on.

What it was told is used up in order. It ends with its stdin.
"""

import argparse
import asyncio
import json
import os
import sys

import grpc
from google.protobuf import json_format

sys.dont_write_bytecode = True
import ring_proto  # noqa: E402


def tell(line):
    print(json.dumps(line, ensure_ascii=False), flush=True)


class StandIn:
    def __init__(self):
        self.script = []

    def step(self, method, user):
        for step in self.script:
            if step.get("method") in (None, method) and step.get("user") in (None, user):
                if step.get("times", 1) is not None:
                    step["times"] = step.get("times", 1) - 1
                    if step["times"] <= 0:
                        self.script.remove(step)
                return step
        return {}

    def handler(self, method, response):
        async def handle(request, context):
            step = self.step(method, getattr(request, "user_id", None))
            answer = step.get("answer", "OK")
            left = context.time_remaining()
            tell({"call": {
                "method": method, "authorization": [value for name, value in context.invocation_metadata() if name == "authorization"],
                # Without a deadline it is some 290 years.
                "timeLeft": None if left is None or left > 1e6 else left,
                "request": json_format.MessageToDict(request, preserving_proto_field_name=True, always_print_fields_with_no_presence=True),
                "answer": answer,
            }})
            if answer == "HANG":
                # Cancelled with the call.
                await asyncio.Event().wait()
            if answer != "OK":
                await context.abort(getattr(grpc.StatusCode, answer), step.get("details", "as the test says"))
            return response()

        return handle

    def handlers(self):
        services = {}
        for path, request, response in ring_proto.methods():
            service, method = path.split("/")
            services.setdefault(service, {})[method] = grpc.unary_unary_rpc_method_handler(
                self.handler(method, response), request_deserializer=request.FromString, response_serializer=response.SerializeToString)
        return [grpc.method_handlers_generic_handler(service, methods) for service, methods in services.items()]

    def take(self, line):
        step = json.loads(line)
        if step.get("forget"):
            self.script = []
            return
        if step["answer"] not in ("HANG", "OK"):
            getattr(grpc.StatusCode, step["answer"])
        self.script.append(step)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", help="a file in PEM; TLS then")
    parser.add_argument("--key", help="its key")
    options = parser.parse_args()
    standin = StandIn()
    # Nobody else may listen at a port that was asked for.
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(standin.handlers())
    address = f"127.0.0.1:{options.port}"
    if options.certificate:
        with open(options.certificate, "rb") as certificate, open(options.key, "rb") as key:
            credentials = grpc.ssl_server_credentials([(key.read(), certificate.read())])
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    await server.start()
    tell({"ready": {"port": port}})
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    taken = 0
    while line := await reader.readline():
        standin.take(line)
        taken += 1
        tell({"taken": taken})
    # At once: calls that are never answered would hold a graceful end.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
