/// How long a connection may wait, how much it may hold, and how it ends.
///
/// Durations are wall time of a monotonic clock, sizes are bytes. The defaults suit uploads over bad networks: a client
/// may be slow, but it may not be silent.
package struct ConnectionPolicy: Hashable, Sendable {
    /// From accept, or from the first byte of a later request, until the whole request head is there. Includes TLS.
    package var headTimeout: Duration = .seconds(15)
    /// Between the end of one response and the first byte of the next request.
    package var idleTimeout: Duration = .seconds(60)
    /// Time without a body byte, counted only while the server asks for bytes.
    package var bodyStallTimeout: Duration = .seconds(30)
    /// Least bytes per second of a request body, measured over ``minimumBodyRateWindow`` of time in which the server
    /// asked for bytes. The first verdict comes after one whole window, which is the period of grace. 0 turns it off.
    package var minimumBodyRate: Int = 1024
    /// The sliding window of ``minimumBodyRate``.
    package var minimumBodyRateWindow: Duration = .seconds(30)
    /// Time in which the client took no byte of what waits to be sent.
    package var writeStallTimeout: Duration = .seconds(60)
    /// From the start of a graceful stop until what is still open is closed and its handlers are cancelled.
    package var gracefulStopDeadline: Duration = .seconds(25)

    /// Rest of a request body that is read and thrown away to keep a connection that was answered early.
    package var drainLimit: Int = 256 << 10
    /// How long a closing (or draining) connection waits for the client, so that it reads the answer and not a reset.
    package var lingerTimeout: Duration = .seconds(2)
    /// Bytes thrown away while lingering before the connection is closed all the same.
    package var lingerLimit: Int = 1 << 20

    /// Connections open at once; what comes above gets `503` and is closed.
    package var maxConnections: Int = 10_000
    /// Connections open at once from one address; nil for no limit (as it must be behind a proxy).
    package var maxConnectionsPerAddress: Int?
    /// Request line and header fields together; above it `431`. Also the limit of trailers.
    package var maxHeaderBytes: Int = 64 << 10
    /// Number of header fields; above it `431`.
    package var maxHeaderCount: Int = 256
    /// Parts of pipelined requests held while the one before them is answered; above it the connection closes after the answer.
    package var maxPipelinedParts: Int = 64

    /// The largest single read. See ``ConnectionRegistry/receiveBufferSize(policy:)`` for what a busy server makes of it.
    package var receiveBufferSize: Int = 256 << 10
    /// What all receive buffers together may take; the single read shrinks as more bodies arrive at once.
    package var receiveMemory: Int = 20 << 20
    /// Reads per wake-up of the event loop: one, so that one fast sender neither starves others nor piles up buffers.
    package var maxMessagesPerRead: UInt = 1

    package init() {}
}
