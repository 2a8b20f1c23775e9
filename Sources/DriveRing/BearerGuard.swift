import Crypto
import DriveModel
import Foundation
internal import GRPCCore

/// Lets only callers through that show the service's token, as `authorization: Bearer …`.
struct BearerGuard: ServerInterceptor {
    private let digest: SHA256.Digest

    init(token: String) {
        digest = SHA256.hash(data: Data(token.utf8))
    }

    func admits(_ metadata: Metadata) -> Bool {
        let shown = Array(metadata[stringValues: "authorization"])
        guard shown.count == 1, let parts = shown.first?.split(separator: " ", maxSplits: 1), parts.count == 2 else { return false }
        // The scheme's case does not count (RFC 9110 section 11.1). The comparison of digests takes the same time whatever they are.
        return parts[0].lowercased() == "bearer" && SHA256.hash(data: Data(parts[1].utf8)) == digest
    }

    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next: @Sendable (_ request: StreamingServerRequest<Input>, _ context: ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        guard admits(request.metadata) else {
            throw RingStatus.error(
                DriveError(
                    .unauthenticated, "No token of this service: send it as metadata, authorization: Bearer …",
                    details: ["rule": "authorization"]))
        }
        return try await next(request, context)
    }
}
