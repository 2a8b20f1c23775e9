import Crypto
import DriveModel
import Foundation
internal import GRPCCore

/// Lets only callers through that show the service's token, as `authorization: Bearer …`, and no more calls than there are places.
struct BearerGuard: ServerInterceptor {
    private let digest: SHA256.Digest
    private let connections: RingConnections
    private let office: any RingOffice

    init(token: String, connections: RingConnections, office: any RingOffice) {
        digest = SHA256.hash(data: Data(token.utf8))
        self.connections = connections
        self.office = office
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
            await office.refusedToken(of: RingCaller(context))
            throw RingStatus.error(
                DriveError(
                    .unauthenticated, "No token of this service: send it as metadata, authorization: Bearer …",
                    details: ["rule": "authorization"]))
        }
        guard let place = connections.begin(over: context.remotePeer) else {
            throw RingStatus.error(
                DriveError(.rateLimited, "Too many calls are under way; try again in a moment.", details: ["rule": "calls"]))
        }
        var response = try await next(request, context)
        if case .success(var contents) = response.accepted {
            // A stream goes on behind this function.
            let produce = contents.producer
            contents.producer = { writer in
                defer { withExtendedLifetime(place) {} }
                return try await produce(writer)
            }
            response.accepted = .success(contents)
        }
        return response
    }
}

extension RingCaller {
    /// Of gRPC's name of the peer, `ipv4:127.0.0.1:50123` or `ipv6:[::1]:50123`.
    init(_ context: ServerContext) {
        let place = context.remotePeer.drop { $0 != ":" }.dropFirst()
        let host = place.lastIndex(of: ":").map { String(place[..<$0]) } ?? String(place)
        self.init(address: IPAddress(host.trimmingCharacters(in: ["[", "]"]))?.description)
    }
}
