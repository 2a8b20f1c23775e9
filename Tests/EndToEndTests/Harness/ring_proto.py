"""The messages and methods of Sources/DriveRing/ring.proto, for `ring_service_standin.py` and `ring_client.py`.

The file is compiled when this is imported, by protoc. What came of it is compared with the table of the wire below, which
was written from the interface of other programs and not from the file: a number that is changed there ends both programs.
"""

import os
import tempfile

import grpc_tools
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "Sources", "DriveRing")

WIRE = {
    "EmailMessage": "1 to_name string, 2 to_address string, 3 subject string, 4 body string",
    "WebSocketPacket": "1 type string, 2 data bytes, 3 error_message google.protobuf.StringValue",
    "PushNotification": "1 topic string, 2 title string, 3 subtitle string, 4 body string, 5 meta bytes?, 6 action_uri string?, "
    "7 is_silent bool, 8 is_savable bool",
    "SendEmailRequest": "1 email proto.EmailMessage",
    "PushWebSocketPacketRequest": "1 user_id string, 2 packet proto.WebSocketPacket",
    "PushWebSocketPacketToUsersRequest": "1 user_ids string*, 2 packet proto.WebSocketPacket",
    "PushWebSocketPacketToDeviceRequest": "1 device_id string, 2 packet proto.WebSocketPacket",
    "PushWebSocketPacketToDevicesRequest": "1 device_ids string*, 2 packet proto.WebSocketPacket",
    "SendPushNotificationToUserRequest": "1 user_id string, 2 notification proto.PushNotification",
    "SendPushNotificationToUsersRequest": "1 user_ids string*, 2 notification proto.PushNotification",
    "UnsubscribePushNotificationsRequest": "1 device_id string",
    "GetWebsocketConnectionStatusRequest": "1 device_id string in id, 2 user_id string in id",
    "GetWebsocketConnectionStatusResponse": "1 is_connected bool",
    "GetWebsocketConnectionStatusBatchRequest": "1 users_id string*",
    "GetWebsocketConnectionStatusBatchResponse": "1 is_connected map of string to bool",
    "ReceiveWebSocketPacketRequest": "1 packet proto.WebSocketPacket, 2 account string, 3 device_id string",
}
EMPTY = "google.protobuf.Empty"
METHODS = {
    "RingService": {
        "GetWebsocketConnectionStatus": "proto.GetWebsocketConnectionStatusResponse",
        "GetWebsocketConnectionStatusBatch": "proto.GetWebsocketConnectionStatusBatchResponse",
        "PushWebSocketPacket": EMPTY,
        "PushWebSocketPacketToDevice": EMPTY,
        "PushWebSocketPacketToDevices": EMPTY,
        "PushWebSocketPacketToUsers": EMPTY,
        "SendEmail": EMPTY,
        "SendPushNotificationToUser": EMPTY,
        "SendPushNotificationToUsers": EMPTY,
        "UnsubscribePushNotifications": EMPTY,
    },
    "RingHandlerService": {"ReceiveWebSocketPacket": EMPTY},
}


def compiled():
    includes = [FOLDER, os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")]
    with tempfile.TemporaryDirectory(prefix="drive-ring-proto.") as folder:
        output = os.path.join(folder, "ring.bin")
        code = protoc.main(["protoc", *(f"-I{path}" for path in includes), "--include_imports", f"--descriptor_set_out={output}", "ring.proto"])
        if code != 0:
            raise SystemExit(f"ring.proto cannot be compiled: {code}")
        with open(output, "rb") as file:
            files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool.FindFileByName("ring.proto")


def kind(field):
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return f"map of {kind(key)} to {kind(value)}"
    kinds = {field.TYPE_STRING: "string", field.TYPE_BYTES: "bytes", field.TYPE_BOOL: "bool"}
    name = field.message_type.full_name if field.message_type is not None else kinds.get(field.type, f"type {field.type}")
    group = field.containing_oneof
    # `optional` is a group of one (protobuf's docs/implementing_proto3_presence.md).
    if group is not None:
        return f"{name}?" if group.name.startswith("_") else f"{name} in {group.name}"
    return f"{name}*" if field.is_repeated else name


def check(file):
    found = {
        name: ", ".join(f"{field.number} {field.name} {kind(field)}" for field in sorted(message.fields, key=lambda field: field.number))
        for name, message in file.message_types_by_name.items()
    }
    if file.package != "proto" or found != WIRE:
        wrong = [f"{name}: {found.get(name)}, not {WIRE.get(name)}" for name in sorted({*found, *WIRE}) if found.get(name) != WIRE.get(name)]
        raise SystemExit("ring.proto departs from the wire: " + "; ".join(wrong or [f"the package is {file.package}"]))
    for name, service in file.services_by_name.items():
        methods = {}
        for method in service.methods:
            if method.input_type.name != f"{method.name}Request" or method.client_streaming or method.server_streaming:
                raise SystemExit(f"ring.proto departs from the wire: {method.full_name}")
            methods[method.name] = method.output_type.full_name
        if methods != METHODS.get(name):
            raise SystemExit(f"ring.proto departs from the wire: {name} has {methods}")
    if set(file.services_by_name) != set(METHODS):
        raise SystemExit("ring.proto departs from the wire: its services")


FILE = compiled()
check(FILE)


def methods():
    """Path, such as `proto.RingService/SendEmail`, and the classes of request and response, of each method."""
    for service in FILE.services_by_name.values():
        for method in service.methods:
            classes = (message_factory.GetMessageClass(method.input_type), message_factory.GetMessageClass(method.output_type))
            yield f"{service.full_name}/{method.name}", *classes
