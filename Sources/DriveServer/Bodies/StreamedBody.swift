import DriveCrypto
import DriveModel
import DriveUploads
import HTTPTypes
import Hummingbird
import NIOCore

/// A request's body as a piece of a stream upload: its bytes count as they come, and a newer request may end it.
struct StreamedBody: StreamBody {
    /// After so long without bytes, or with few, what was gathered is written.
    private static let silence = Duration.milliseconds(250)

    private var iterator: RequestBody.AsyncIterator
    private let announced: [ExpectedDigest]
    private let inTrailers: (@Sendable (HTTPFields) throws(DriveError) -> [ExpectedDigest])?
    private let exchange: HTTPExchange?

    /// - Parameters:
    ///   - digests: those of the request's head.
    ///   - inTrailers: reads those that come after the body, where such were announced; it throws where they are missing.
    init(
        _ request: Request, digests: [ExpectedDigest] = [],
        inTrailers: (@Sendable (HTTPFields) throws(DriveError) -> [ExpectedDigest])? = nil
    ) {
        iterator = request.body.makeAsyncIterator()
        announced = digests
        self.inTrailers = inTrailers
        exchange = HTTPExchange.current
        exchange?.reportSilence(after: Self.silence)
    }

    var isProvisional: Bool { !announced.isEmpty || inTrailers != nil }
    var likelyDigests: [DigestAlgorithm] { announced.map(\.algorithm) }

    var interrupt: @Sendable () -> Void {
        { [exchange] in exchange?.interruptBody() }
    }

    mutating func next() async throws -> ByteBuffer? {
        try await iterator.next()
    }

    func expectedDigests() throws -> [ExpectedDigest] {
        guard let inTrailers else { return announced }
        return announced + (try inTrailers(exchange?.requestTrailers ?? [:]))
    }
}
