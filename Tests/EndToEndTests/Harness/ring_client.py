"""Calls a RingService, as another program would: `ring_client.py 127.0.0.1:50123 [--ca FILE]`.

Takes lines of JSON on stdin, and answers each by one, in their order:
`{"method": "RingService/PushWebSocketPacket", "request": {…}, "metadata": {"authorization": "Bearer …"}, "timeout": 10}` →
`{"code": "NOT_FOUND", "details": "…", "response": {…}}` (null where the code is not OK). Requests and responses are
protobuf's JSON, with the names of ring.proto and bytes in base64. `raw`, in base64, is sent in the place of a request; the
response is base64 too then, as it is of methods that ring.proto does not have. With `stream` so many messages of a stream of
answers are waited for; the response is the list of those that came. It ends with its stdin.
"""

import argparse
import base64
import json
import sys

import grpc
from google.protobuf import json_format

sys.dont_write_bytecode = True
import ring_proto  # noqa: E402


class Caller:
    def __init__(self, channel):
        self.channel = channel
        self.methods = {path: classes for path, *classes in ring_proto.methods()}

    def call(self, order):
        path = order["method"] if order["method"].startswith("grpc.") else f"proto.{order['method']}"
        if "raw" in order or path not in self.methods:
            # Bytes as they are, and a method that only the other side can know.
            body, response = base64.b64decode(order.get("raw", "")), None
        else:
            request, response = self.methods[path]
            body = json_format.ParseDict(order.get("request", {}), request()).SerializeToString()
        metadata = list(order.get("metadata", {}).items())
        if "stream" in order:
            return self.stream(path, body, metadata, order)
        method = self.channel.unary_unary(f"/{path}", request_serializer=bytes, response_deserializer=response and response.FromString)
        try:
            answer = method(body, metadata=metadata, timeout=order.get("timeout", 20), wait_for_ready=order.get("patient", False))
        except grpc.RpcError as error:
            return {"code": error.code().name, "details": error.details(), "response": None}
        if response is None:
            return {"code": "OK", "details": "", "response": base64.b64encode(answer).decode()}
        told = json_format.MessageToDict(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        return {"code": "OK", "details": "", "response": told}

    def stream(self, path, body, metadata, order):
        method = self.channel.unary_stream(f"/{path}", request_serializer=bytes, response_deserializer=bytes)
        answers, told = method(body, metadata=metadata, timeout=order.get("timeout", 20)), []
        try:
            for answer in answers:
                told.append(base64.b64encode(answer).decode())
                print(f"{path}: message {len(told)}", file=sys.stderr, flush=True)
                if len(told) == order["stream"]:
                    answers.cancel()
                    break
        except grpc.RpcError as error:
            return {"code": error.code().name, "details": error.details(), "response": None}
        return {"code": "OK", "details": "", "response": told}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", help="host:port")
    parser.add_argument("--ca", help="a file in PEM with what to trust; TLS then")
    options = parser.parse_args()
    if options.ca:
        with open(options.ca, "rb") as file:
            channel = grpc.secure_channel(options.target, grpc.ssl_channel_credentials(file.read()))
    else:
        channel = grpc.insecure_channel(options.target)
    caller = Caller(channel)
    for line in sys.stdin:
        print(json.dumps(caller.call(json.loads(line)), ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
