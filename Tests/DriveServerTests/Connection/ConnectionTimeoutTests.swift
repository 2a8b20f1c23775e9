import HTTPTypes
import Hummingbird
import NIOCore
import Testing

@testable import DriveServer

private func addReader(_ router: Router<BasicRequestContext>) {
    router.post("read") { request, _ in
        var count = 0
        for try await bytes in request.body { count += bytes.readableBytes }
        return "read \(count)"
    }
    router.get("hello") { _, _ in "hello" }
}

private func policy(_ change: (inout ConnectionPolicy) -> Void) -> ConnectionPolicy {
    var policy = ConnectionPolicy()
    change(&policy)
    return policy
}

@Suite struct ConnectionTimeoutTests {
    @Test func aSilentConnectionIsClosed() async throws {
        try await withServer(policy { $0.headTimeout = .milliseconds(100) }, routes: addReader) { server in
            let client = try await server.connect()
            #expect(try await client.read() == "")
        }
    }

    @Test func aHeadThatDripsGets408() async throws {
        try await withServer(policy { $0.headTimeout = .milliseconds(200) }, routes: addReader) { server in
            let client = try await server.connect()
            try await client.send("GET /hello HTTP/1.1\r\n")
            let dripping = Task {
                while true {
                    try await client.send("X-A: b\r\n")
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
            let answer = try await client.read()
            dripping.cancel()
            #expect(answer.hasPrefix("HTTP/1.1 408 "))
            #expect(answer.contains(#""code":"REQUEST_TIMEOUT""#))
        }
    }

    @Test func anIdleConnectionIsClosedAfterItsAnswer() async throws {
        try await withServer(policy { $0.idleTimeout = .milliseconds(100) }, routes: addReader) { server in
            let client = try await server.connect()
            try await client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            let answer = try await client.read()
            #expect(answer.hasSuffix("hello"))
            #expect(!answer.lowercased().contains("connection: close"))
        }
    }

    @Test func aStalledBodyGets408() async throws {
        try await withServer(policy { $0.bodyStallTimeout = .milliseconds(150) }, routes: addReader) { server in
            let client = try await server.connect()
            try await client.send("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
            let answer = try await client.read()
            #expect(answer.hasPrefix("HTTP/1.1 408 "))
            #expect(answer.lowercased().contains("connection: close"))
        }
    }

    @Test func aDrippingBodyGets408() async throws {
        let policy = policy {
            $0.bodyStallTimeout = .seconds(9)
            $0.minimumBodyRateWindow = .milliseconds(200)
        }
        try await withServer(policy, routes: addReader) { server in
            let client = try await server.connect()
            try await client.send("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
            let dripping = Task {
                while true {
                    try await client.send("x")
                    try await Task.sleep(for: .milliseconds(10))
                }
            }
            let answer = try await client.read()
            dripping.cancel()
            #expect(answer.hasPrefix("HTTP/1.1 408 "))
        }
    }

    @Test func aHandlerThatDoesNotReadIsNotTheClientsFault() async throws {
        let go = Signal()
        let policy = policy {
            // The bytes come without such a pause once they are read, on a busy machine too.
            $0.bodyStallTimeout = .seconds(1)
            $0.minimumBodyRateWindow = .seconds(1)
        }
        try await withServer(policy) { router in
            router.post("late") { request, _ in
                await go.wait()
                var count = 0
                for try await bytes in request.body { count += bytes.readableBytes }
                return "read \(count)"
            }
            addReader(router)
        } test: { server in
            let client = try await server.connect()
            var request = ByteBuffer(string: "POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n")
            request.writeRepeatingByte(0, count: 8_000_000)
            let sending = Task { [request] in try await client.channel.writeAndFlush(request) }
            // Connections that do stall are the clock of this test: several of them end while the first one waits.
            for _ in 0..<4 {
                let clock = try await server.connect()
                try await clock.send("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
                #expect(try await clock.read().hasPrefix("HTTP/1.1 408 "))
            }
            go.fire()
            let answer = try await client.read(until: "read 8000000")
            #expect(answer.contains("200 OK"), "\(answer)")
            try await within { try await sending.value }
        }
    }

    @Test func aClientThatReadsNothingIsClosed() async throws {
        let cutOff = Signal()
        try await withServer(policy { $0.writeStallTimeout = .milliseconds(150) }) { router in
            router.get("endless") { _, _ in
                Response(
                    status: .ok,
                    body: .init { writer in
                        let block = ByteBuffer(repeating: 1, count: 64 << 10)
                        do {
                            while true { try await writer.write(block) }
                        } catch {
                            cutOff.fire()
                            throw error
                        }
                    })
            }
        } test: { server in
            let client = try await RawClient.connect(port: server.port, isReading: false)
            try await client.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            try await cutOff.seen()
            await client.close()
        }
    }

    @Test func limitsRefuseConnections() async throws {
        try await withServer(policy { $0.maxConnections = 1 }, routes: addReader) { server in
            let first = try await server.connect()
            try await first.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try await first.read(until: "hello")
            let second = try await server.connect()
            #expect(try await second.read().hasPrefix("HTTP/1.1 503 "))
            await first.close()
        }
    }
}
