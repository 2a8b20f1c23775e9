import AsyncHTTPClient
import DriveModel
import NIOCore
import NIOHTTP1

/// Gets the text of a JWK Set.
package protocol KeySetFetcher: Sendable {
    /// The body of a `200` reply to `GET url`; throws for any other reply, a longer body, and after `timeout`.
    func fetch(url: String, maximumBytes: Int, timeout: Duration) async throws -> [UInt8]
}

/// Gets JWK Sets over HTTP. Redirects are not followed: they could lead away from the address the operator trusts.
package struct HTTPKeySetFetcher: KeySetFetcher {
    /// Why a reply is of no use.
    package enum Failure: Error, CustomStringConvertible {
        case status(UInt)
        case timedOut

        package var description: String {
            switch self {
            case .status(let code): "the address answered with status \(code)"
            case .timedOut: "no whole reply came in time"
            }
        }
    }

    private let client: HTTPClient

    package init(eventLoopGroup: any EventLoopGroup) {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        // Else a refused connection is tried again until the time is over, and the reason is lost.
        configuration.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroupProvider: .shared(eventLoopGroup), configuration: configuration)
    }

    package func fetch(url: String, maximumBytes: Int, timeout: Duration) async throws -> [UInt8] {
        // The client's own deadline ends with the head of the reply; this one covers the body too.
        try await withThrowingTaskGroup(of: [UInt8].self) { group in
            group.addTask {
                var request = HTTPClientRequest(url: url)
                request.headers.add(name: "accept", value: "application/jwk-set+json, application/json")
                do {
                    let response = try await client.execute(request, timeout: .nanoseconds(timeout.wholeMicroseconds * 1000))
                    guard response.status == .ok else { throw Failure.status(response.status.code) }
                    return Array(buffer: try await response.body.collect(upTo: maximumBytes))
                } catch let error as HTTPClientError where error == .deadlineExceeded {
                    throw Failure.timedOut
                }
            }
            group.addTask {
                try await Task.sleep(for: timeout)
                throw Failure.timedOut
            }
            defer { group.cancelAll() }
            guard let body = try await group.next() else { throw Failure.timedOut }
            return body
        }
    }

    /// Closes the connections; to be called once, at the end.
    package func shutdown() async throws {
        try await client.shutdown()
    }
}
