import HTTPTypes
import Hummingbird
import NIOCore
import ServiceLifecycle
import Testing

@testable import DriveServer

private func policy(deadline: Duration) -> ConnectionPolicy {
    var policy = ConnectionPolicy()
    policy.gracefulStopDeadline = deadline
    return policy
}

@Suite struct ConnectionStopTests {
    @Test func theDeadlineEndsABusyConnectionAndItsHandler() async throws {
        let started = Signal()
        let cancelled = Signal()
        try await withServer(policy(deadline: .milliseconds(200))) { router in
            router.get("busy") { _, _ in
                started.fire()
                await Signal().wait()
                if Task.isCancelled { cancelled.fire() }
                return "never seen"
            }
        } test: { server in
            let client = try await server.connect()
            try await client.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
            try await started.seen()
            await server.services.triggerGracefulShutdown()
            try await server.stopped.seen()
            try await cancelled.seen()
            #expect(server.registry.openCount == 0)
            await client.close()
        }
    }

    @Test func aStopClosesIdleConnectionsAndLetsBusyOnesFinish() async throws {
        let started = Signal()
        let go = Signal()
        try await withServer(policy(deadline: .seconds(60))) { router in
            router.get("busy") { _, _ in
                started.fire()
                await go.wait()
                return "finished"
            }
            router.get("hello") { _, _ in "hello" }
        } test: { server in
            let idle = try await server.connect()
            try await idle.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try await idle.read(until: "hello")
            let busy = try await server.connect()
            try await busy.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
            try await started.seen()
            await server.services.triggerGracefulShutdown()
            #expect(try await idle.read() == "")
            go.fire()
            let answer = try await busy.read()
            #expect(answer.lowercased().contains("connection: close"))
            #expect(answer.hasSuffix("finished"))
            try await server.stopped.seen()
        }
    }

    /// As behind a proxy that keeps connections and uses them for both.
    @Test func aWebSocketOpensOnALaterRequestToo() async throws {
        try await withServer(upgrade: .echo()) { router in
            router.get("plain") { _, _ in "plain" }
        } test: { server in
            let client = try await server.connect()
            for _ in 0..<2 {
                try await client.send("GET /plain HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try await client.read(until: "\r\n\r\nplain").hasPrefix("HTTP/1.1 200 "))
            }
            try await client.send(
                "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            let answer = try await client.read(until: "\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 101 "))
            // RFC 6455 §1.3 has this key and its answer.
            #expect(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
            // A masked text frame with an empty mask, and its echo.
            try await client.channel.writeAndFlush(ByteBuffer(bytes: [0x81, 0x85, 0, 0, 0, 0] + Array("hello".utf8)))
            #expect(try await client.read(until: "hello").hasSuffix("hello"))
        }
    }

    @Test func aWebSocketOpensOnTheFirstRequestAndDoesNotOutliveTheStop() async throws {
        let opened = Signal()
        let upgrade = WebSocketUpgrade(
            shouldUpgrade: { request, _ in request.path == "/ws" ? [:] : nil },
            install: { _, _ in opened.fire() }
        )
        let handshake: @Sendable (String) -> String = { path in
            "GET \(path) HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        }
        try await withServer(policy(deadline: .milliseconds(200)), upgrade: upgrade) { router in
            router.get("other") { request, _ in "plain, offered \(request.headers[.upgrade] ?? "nothing")" }
        } test: { server in
            // The offer that was refused comes along, so that the route can say why.
            let refused = try await server.connect()
            try await refused.send(handshake("/other"))
            #expect(try await refused.read().hasSuffix("plain, offered websocket"))
            let client = try await server.connect()
            try await client.send(handshake("/ws"))
            #expect(try await client.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 101 "))
            try await opened.seen()
            await server.services.triggerGracefulShutdown()
            _ = try await client.read()
            try await server.stopped.seen()
        }
    }
}
