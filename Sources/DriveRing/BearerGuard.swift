import Crypto
import DriveModel
import Foundation
internal import GRPCCore

/// Lets only callers through that show the service's token, as `authorization: Bearer …`.
struct BearerGuard: ServerInterceptor {
    private let digest: SHA256.Digest

    init(token: String) {
        digest = SHA256.hash(data: Data("Bearer \(token)".utf8))
    }

    func admits(_ metadata: Metadata) -> Bool {
        let shown = Array(metadata[stringValues: "authorization"])
        // The comparison of digests takes the same time whatever they are.
        return shown.count == 1 && shown.allSatisfy { SHA256.hash(data: Data($0.utf8)) == digest }
    }

    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next: @Sendable (_ request: StreamingServerRequest<Input>, _ context: ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        guard admits(request.metadata) else {
            throw RingStatus.error(
                DriveError(
                    .unauthenticated, "Send the service's token as metadata: authorization: Bearer …", details: ["rule": "authorization"]))
        }
        return try await next(request, context)
    }
}
