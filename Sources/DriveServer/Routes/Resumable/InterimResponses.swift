import HTTPTypes
import Synchronization

/// The `104 (Upload Resumption Supported)` responses of one request (-11, section 5).
final class InterimResponses: Sendable {
    private static let status = HTTPResponse.Status(code: 104, reasonPhrase: "Upload Resumption Supported")

    private let version: InteropVersion
    private let exchange: HTTPExchange?
    private let sent = Mutex(false)

    /// Of the request that this task answers.
    init(_ version: InteropVersion) {
        self.version = version
        exchange = HTTPExchange.current
    }

    /// Whether the client was told that it may resume.
    var hasSent: Bool { sent.withLock { $0 } }

    /// Tells where the upload is, before its bytes come.
    func announce(_ fields: HTTPFields) async {
        if version.sendsInterim { await send(fields) }
    }

    /// Tells how much is kept.
    func report(offset: Int64) async {
        if version.reportsProgress { await send([ResumableField.offset: String(offset)]) }
    }

    private func send(_ fields: HTTPFields) async {
        guard let exchange, let number = version.number else { return }
        var fields = fields
        // Without it a client takes no notice.
        fields[ResumableField.interopVersion] = String(number)
        // A client that is gone shows in the body.
        guard (try? await exchange.writeInformational(Self.status, fields)) != nil else { return }
        sent.withLock { $0 = true }
    }
}
