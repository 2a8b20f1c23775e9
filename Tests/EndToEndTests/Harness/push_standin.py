"""Stands for the push services: a Web Push service, APNs, FCM and Google's token endpoint, on 127.0.0.1.

It checks what it gets with libraries other than Drive's (PyJWT, http-ece), and answers what it was told to. All that
Drive and the test need is made in FOLDER: `apns.p8`, `service-account.json`, `vapid.key` (the private key in base64url),
`certificate.pem` (to be trusted) and `key.pem`. Then one line of JSON goes to stdout: `tls` and `plain` (ports; both
speak HTTP/1.1 and HTTP/2), `subscriptions` (as PushSubscription.toJSON() has them), `vapidPublicKey`, and what APNs and
FCM are to be configured with. It ends with its stdin.

Answers: `POST /control/script` with a list of `{"for": "webpush"|"apns"|"fcm"|"token", "status": 429, "headers": {},
"body": "…", "times": 1}` or `{"for": …, "never": true}`, used up in order, then success again; `DELETE /control/script`
forgets them. A request with a mistake in it gets 400 whatever the script says.

Every request is a line of JSON in FOLDER/seen.jsonl: `for`, `httpVersion`, `path`, `headers` (without the sign-in),
`claims`, `payload` (decrypted), `problems` (what was wrong with it; empty where all is well), `status` (null: never), and
`time` (of a monotonic clock, in seconds).
"""

import argparse
import asyncio
import base64
import datetime
import ipaddress
import json
import os
import re
import secrets
import socket
import sys
import time
import urllib.parse
import uuid

import http_ece
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypercorn.asyncio import serve
from hypercorn.config import Config

KEY_ID, TEAM_ID, TOPIC, PROJECT = "ABC123DEFG", "TEAM123456", "org.example.drive", "drive-test"
CLIENT_EMAIL = f"push@{PROJECT}.iam.example"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise ValueError("not base64url without padding")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point(key):
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Keys:
    """Every key of the scene, and the files with those that Drive needs."""

    def __init__(self, folder, tls, plain, subscriptions):
        self.apns = ec.generate_private_key(ec.SECP256R1())
        self.vapid = ec.generate_private_key(ec.SECP256R1())
        self.google = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.token_uri = f"https://127.0.0.1:{tls}/token"
        self.receivers = {}
        self.subscriptions = []
        for number in range(subscriptions):
            path, key, auth = f"/push/{number}-{secrets.token_urlsafe(16)}", ec.generate_private_key(ec.SECP256R1()), os.urandom(16)
            self.receivers[path] = (key, auth)
            # By turns over TLS and without: Drive takes the latter on loopback where it is told to.
            origin = f"https://127.0.0.1:{tls}" if number % 2 == 0 else f"http://127.0.0.1:{plain}"
            self.subscriptions.append({"endpoint": origin + path, "keys": {"p256dh": b64(point(key.public_key())), "auth": b64(auth)}})
        account = {
            "type": "service_account", "project_id": PROJECT, "private_key_id": "k1", "private_key": pem(self.google).decode(),
            "client_email": CLIENT_EMAIL, "token_uri": self.token_uri,
        }
        number = self.vapid.private_numbers().private_value.to_bytes(32, "big")
        tls_key = ec.generate_private_key(ec.SECP256R1())
        for name, content in {
            "apns.p8": pem(self.apns), "service-account.json": json.dumps(account).encode(), "vapid.key": b64(number).encode(),
            "key.pem": pem(tls_key), "certificate.pem": certificate(tls_key),
        }.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)


def certificate(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "push stand-in")])
    now = datetime.datetime.now(datetime.timezone.utc)
    begin, end = now - datetime.timedelta(hours=1), now + datetime.timedelta(days=2)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begin, end)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    return builder.add_extension(names, critical=False).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Request:
    """One request, and what was found wrong with it."""

    def __init__(self, scope, body):
        self.method, self.path, self.version, self.scheme = scope["method"], scope["path"], scope["http_version"], scope["scheme"]
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self.body = body
        self.problems = []
        self.claims = self.payload = None

    def check(self, holds, problem):
        if not holds:
            self.problems.append(problem)
        return holds

    def matches(self, name, pattern, optional=False):
        value = self.headers.get(name)
        if value is None:
            return self.check(optional, f"{name} is missing")
        return self.check(re.fullmatch(pattern, value), f"{name} is {value!r}")

    def verify(self, token, key, algorithm, **options):
        """The claims of a token whose signature is right. PyJWT looks at exp, iat and aud too."""
        try:
            self.claims = jwt.decode(token, key, algorithms=[algorithm], **options)
        except jwt.PyJWTError as error:
            self.check(False, f"token: {error!r}")
            return {}
        self.check(jwt.get_unverified_header(token).get("typ") == "JWT", "typ is not JWT")
        return self.claims


class StandIn:
    def __init__(self, keys, seen):
        self.keys, self.seen = keys, seen
        self.script = []
        self.access_tokens = set()

    # What each service checks.

    def webpush(self, request):
        receiver = self.keys.receivers.get(request.path)
        if not request.check(receiver, "no such subscription"):
            return
        request.matches("ttl", r"\d{1,7}")
        request.matches("urgency", r"very-low|low|normal|high", optional=True)
        request.matches("topic", r"[A-Za-z0-9_-]{1,32}", optional=True)
        request.matches("content-encoding", r"aes128gcm")
        found = re.fullmatch(r"vapid t=([\w.-]+), ?k=([\w-]+)", request.headers.get("authorization", ""))
        if request.check(found, "authorization is not vapid"):
            mine = b64(point(self.keys.vapid.public_key()))
            request.check(found[2] == mine, "k is not the key the subscription was made for")
            origin = f"{request.scheme}://{request.headers.get('host')}"
            claims = request.verify(
                found[1], self.keys.vapid.public_key(), "ES256", audience=origin, options={"require": ["aud", "exp", "sub"]})
            request.check(claims.get("exp", 0) <= time.time() + 86400, "exp is more than 24 hours away")
            request.check(re.match("mailto:|https:", claims.get("sub", "")), "sub is no contact")
        request.check(len(request.body) <= 4096, f"{len(request.body)} bytes are too many")
        try:
            plain = http_ece.decrypt(request.body, private_key=receiver[0], auth_secret=receiver[1], version="aes128gcm")
            request.payload = json.loads(plain)
        except Exception as error:
            request.check(False, f"decryption: {error!r}")

    def apns(self, request):
        request.check(request.version == "2", f"HTTP/{request.version}")
        request.check(re.fullmatch(r"/3/device/[0-9a-f]{64,200}", request.path), f"path {request.path}")
        request.matches("apns-topic", re.escape(TOPIC))
        request.matches("apns-push-type", r"alert|background")
        request.matches("apns-priority", r"10|5")
        request.matches("apns-expiration", r"\d{1,10}")
        request.matches("apns-collapse-id", r"[ -~]{1,64}", optional=True)
        request.matches("apns-id", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
        found = re.fullmatch(r"bearer ([\w.-]+)", request.headers.get("authorization", ""))
        if request.check(found, "authorization is not bearer"):
            claims = request.verify(found[1], self.keys.apns.public_key(), "ES256", options={"require": ["iss", "iat"]})
            request.check(claims.get("iss") == TEAM_ID, "iss is not the team")
            request.check(time.time() - claims.get("iat", 0) <= 3600, "the token is older than an hour")
            request.check(jwt.get_unverified_header(found[1]).get("kid") == KEY_ID, "kid is not the key's")
        request.check(len(request.body) <= 4096, f"{len(request.body)} bytes are too many")
        payload = self.json(request)
        aps = payload.get("aps")
        if request.check(isinstance(aps, dict), "no aps") and request.headers.get("apns-push-type") == "background":
            request.check(aps == {"content-available": 1}, f"background with {aps}")
            request.check(request.headers.get("apns-priority") == "5", "background with priority 10")
        elif isinstance(aps, dict):
            request.check(isinstance(aps.get("alert"), dict), "no alert")

    def token(self, request):
        request.matches("content-type", r"application/x-www-form-urlencoded")
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        request.check(form.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer", "grant_type")
        required = ["iss", "scope", "aud", "iat", "exp"]
        claims = request.verify(
            form.get("assertion", ""), self.keys.google.public_key(), "RS256", audience=self.keys.token_uri, options={"require": required})
        request.check(claims.get("iss") == CLIENT_EMAIL, "iss is not the account")
        request.check(claims.get("scope") == "https://www.googleapis.com/auth/firebase.messaging", "scope")
        request.check(claims.get("exp", 0) - claims.get("iat", 0) <= 3600, "longer than an hour")

    def fcm(self, request):
        request.check(request.path == f"/v1/projects/{PROJECT}/messages:send", f"path {request.path}")
        request.matches("content-type", r"application/json.*")
        sign_in = request.headers.get("authorization", "")
        request.check(sign_in.removeprefix("Bearer ") in self.access_tokens, "no access token of this stand-in")
        message = self.json(request).get("message")
        if not request.check(isinstance(message, dict), "no message"):
            return
        request.check(isinstance(message.get("token"), str), "no token")
        data, android = message.get("data", {}), message.get("android", {})
        request.check(all(isinstance(value, str) for value in data.values()), "data holds more than strings")
        request.check(android.get("priority") in ("HIGH", "NORMAL"), "priority")
        request.check(re.fullmatch(r"\d{1,7}s", android.get("ttl", "")), "ttl")
        size = len(json.dumps([message.get("notification"), data], ensure_ascii=False).encode())
        request.check(size <= 4200, f"{size} bytes are too many")

    @staticmethod
    def json(request):
        try:
            request.payload = json.loads(request.body)
        except ValueError as error:
            request.check(False, f"not JSON: {error}")
        return request.payload if isinstance(request.payload, dict) else {}

    # What they answer.

    def success(self, kind, request):
        if kind == "webpush":
            return 201, {"location": f"/messages/{secrets.token_hex(8)}"}, ""
        if kind == "apns":
            return 200, {"apns-id": request.headers.get("apns-id", str(uuid.uuid4()))}, ""
        if kind == "token":
            token = secrets.token_urlsafe(24)
            self.access_tokens.add(token)
            return 200, {}, json.dumps({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})
        return 200, {}, json.dumps({"name": f"projects/{PROJECT}/messages/{secrets.token_hex(8)}"})

    def step(self, kind):
        for step in self.script:
            if step.get("for") == kind:
                step["times"] = step.get("times", 1) - 1
                if step["times"] <= 0:
                    self.script.remove(step)
                return step
        return None

    def answer(self, request):
        """Status (None: never), headers and body."""
        if request.path == "/control/script":
            self.script = self.script + json.loads(request.body) if request.method == "POST" else []
            return 204, {}, ""
        prefixes = {"/push/": "webpush", "/3/": "apns", "/token": "token", "/v1/": "fcm"}
        kind = next((kind for prefix, kind in prefixes.items() if request.path.startswith(prefix)), None)
        if kind is None:
            return 404, {}, ""
        request.check(request.method == "POST", f"method {request.method}")
        getattr(self, kind)(request)
        step = self.step(kind)
        if request.problems:
            status, headers, body = 400, {}, json.dumps({"reason": "StandInFoundProblems", "problems": request.problems})
        elif step is None:
            status, headers, body = self.success(kind, request)
        else:
            status = None if step.get("never") else step["status"]
            headers, body = step.get("headers", {}), step.get("body", "")
        shown = {name: value for name, value in request.headers.items() if name != "authorization"}
        line = {
            "for": kind, "httpVersion": request.version, "path": request.path, "headers": shown, "claims": request.claims,
            "payload": request.payload, "problems": request.problems, "status": status, "time": time.monotonic(),
        }
        self.seen.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.seen.flush()
        return status, headers, body

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            return await send({"type": "lifespan.shutdown.complete"})
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        status, headers, text = self.answer(Request(scope, body))
        if status is None:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        headers = {**headers, "content-length": len(text.encode())}
        fields = [(name.encode(), str(value).encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": text.encode()})


def listener():
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    return listening, listening.getsockname()[1]


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--subscriptions", type=int, default=2, help="Web Push subscriptions to make")
    options = parser.parse_args()
    (secure, tls), (insecure, plain) = listener(), listener()
    keys = Keys(options.folder, tls, plain, options.subscriptions)
    config = Config()
    config.bind, config.insecure_bind = [f"fd://{secure.fileno()}"], [f"fd://{insecure.fileno()}"]
    config.certfile, config.keyfile = (os.path.join(options.folder, name) for name in ("certificate.pem", "key.pem"))
    config.graceful_timeout = 0
    config.errorlog = None
    await asyncio.get_running_loop().connect_read_pipe(Farewell, sys.stdin)
    with open(os.path.join(options.folder, "seen.jsonl"), "a", encoding="utf-8") as seen:
        # The sockets listen already: who connects now is served when the loop gets to it.
        print(json.dumps({
            "tls": tls, "plain": plain, "subscriptions": keys.subscriptions, "vapidPublicKey": b64(point(keys.vapid.public_key())),
            "apns": {"keyId": KEY_ID, "teamId": TEAM_ID, "topic": TOPIC}, "fcm": {"project": PROJECT},
        }), flush=True)
        await serve(StandIn(keys, seen), config, shutdown_trigger=asyncio.Event().wait)


class Farewell(asyncio.Protocol):
    """Ends the process with its stdin, at once: requests that are never answered would hold a graceful end."""

    def connection_lost(self, _):
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
