import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOSSL
import Synchronization

/// One connection of the server: HTTP/1.1 with its guards, until a request makes a WebSocket of it.
///
/// The pipeline, from the socket: `SocketGuardHandler`, TLS, HTTP codec, `ExchangeHandler`, types, async channel. A WebSocket has
/// its own two handlers in the place of the codec and the `ExchangeHandler`.
package struct DriveHTTPChannel: ServerChildChannel, HTTPChannelHandler {
    package typealias Parts = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    package struct Value: ServerChildChannelValue {
        package let channel: any Channel
        /// Nil for a connection that was refused.
        let admitted: (entry: ConnectionRegistry.Entry, parts: Parts)?
    }

    package let responder: HTTPChannelHandler.Responder
    let policy: ConnectionPolicy
    let registry: ConnectionRegistry
    let tls: TLSContextSource?
    let upgrade: WebSocketUpgrade?
    let logger: Logger?

    /// - Parameter logger: for the connections' own lines; nil takes the server's.
    package init(
        policy: ConnectionPolicy,
        registry: ConnectionRegistry,
        tls: TLSContextSource? = nil,
        upgrade: WebSocketUpgrade? = nil,
        logger: Logger? = nil,
        responder: @escaping HTTPChannelHandler.Responder
    ) {
        self.responder = responder
        self.policy = policy
        self.registry = registry
        self.tls = tls
        self.upgrade = upgrade
        self.logger = logger
    }

    /// One pipeline is put together at a time, which takes microseconds. Where two event loops did it at once for the first two
    /// connections, each made the same generic types, and Swift's runtime (6.3) followed a superclass that was not there yet: the
    /// process ended.
    private static let assembly = Mutex<Void>(())

    package func setup(channel: any Channel, logger serverLogger: Logger) -> EventLoopFuture<Value> {
        let logger = logger ?? serverLogger
        return channel.eventLoop.makeCompletedFuture {
            guard let entry = registry.admit(channel, policy: policy) else {
                try channel.pipeline.syncOperations.addHandler(RefusalHandler(isEncrypted: tls != nil))
                return Value(channel: channel, admitted: nil)
            }
            let driver = ConnectionDriver(channel: channel, entry: entry, registry: registry, policy: policy, logger: logger)
            do {
                return Value(
                    channel: channel,
                    admitted: (entry, try Self.assembly.withLock { _ in try buildPipeline(channel: channel, driver: driver) }))
            } catch {
                driver.channelClosed()
                throw error
            }
        }
    }

    package func handle(value: Value, logger serverLogger: Logger) async {
        guard let (entry, parts) = value.admitted else { return }
        let logger = logger ?? serverLogger
        // An own task, so that the deadline of a stop can cancel this connection alone.
        let task = Task(executorPreference: EventLoopTaskExecutor(value.channel.eventLoop)) {
            await serve(parts, channel: value.channel, logger: logger)
        }
        entry.bind(task)
        await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
            value.channel.close(promise: nil)
        }
    }

    private func serve(_ parts: Parts, channel: any Channel, logger: Logger) async {
        do {
            try await answerRequests(of: parts)
        } catch {
            logger.trace("Connection ended", metadata: ["error": "\(error)"])
        }
        // Whoever returned early leaves nothing open.
        channel.close(promise: nil)
    }

    private func answerRequests(of parts: Parts) async throws {
        let channel = parts.channel
        try await parts.executeThenClose { inbound, outbound in
            let requests = RequestParts(inbound.makeAsyncIterator(), outbound: outbound)
            do {
                while let (number, head) = try await requests.nextHead() {
                    let exchange = HTTPExchange(channel: channel, parts: requests, request: number, outbound: outbound)
                    let body = RequestBody(asyncSequence: RequestBytes(parts: requests, request: number))
                    do {
                        try await HTTPExchange.$current.withValue(exchange) {
                            try await responder(Request(head: head, body: body), ResponseWriter(outbound: outbound), channel)
                        }
                    } catch {
                        fail(channel, error)
                    }
                    guard try await requests.finish(number) else { break }
                }
            } catch {
                fail(channel, error)
            }
            outbound.finish()
            // Not a close of our own: what was written is still being sent, and the guard ends the connection in time.
            try await channel.closeFuture.get()
        }
    }

    /// The exchange handler knows what was written already, so it decides what the client gets to see.
    private func fail(_ channel: any Channel, _ error: any Error) {
        channel.pipeline.triggerUserOutboundEvent(ExchangeFailure(refusal: ConnectionRefusal(error)), promise: nil)
    }
}
