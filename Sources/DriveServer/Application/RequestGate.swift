import DriveModel
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// What every request passes: a request id, the client's address, cross-origin rules, rate limits, the token, and at the
/// end the mapping of errors and one log line.
struct RequestGate: RouterMiddleware {
    typealias Context = DriveRequestContext
    let services: Services

    /// The id of the request this task answers.
    @TaskLocal static var currentId = ""

    func handle(
        _ request: Request, context: DriveRequestContext, next: (Request, DriveRequestContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        let requestId = Self.acceptableId(request.headers[Fields.requestId]) ?? services.surroundings.newIdentifier()
        var response: Response
        if request.method == .options, let preflight = CrossOrigin.preflight(services.configuration.cors, request: request) {
            response = preflight
        } else {
            response = await answer(request, context: context, requestId: requestId, next: next)
        }
        response.headers[Fields.requestId] = requestId
        CrossOrigin.apply(services.configuration.cors, to: &response, origin: request.headers[.origin])
        let insistence = Int(services.configuration.tls.hstsMaxAge.inSeconds)
        if services.configuration.tls.isEnabled, insistence > 0 {
            response.headers[.strictTransportSecurity] = "max-age=\(insistence)"
        }
        if services.logger.logLevel <= .debug {
            services.logger.debug(
                "request",
                metadata: [
                    "requestId": "\(requestId)", "method": "\(request.method)", "path": "\(request.uri.path)",
                    "status": "\(response.status.code)",
                    "milliseconds": "\((ContinuousClock.now - start).wholeMicroseconds / 1000)",
                ])
        }
        return response
    }

    private func answer(
        _ request: Request, context: DriveRequestContext, requestId: String, next: (Request, DriveRequestContext) async throws -> Response
    ) async -> Response {
        do {
            return try await Self.$currentId.withValue(requestId) { try await next(request, context) }
        } catch let error as any HTTPResponseError where error.status == .notFound {
            // Only the router throws this one: the path may be known, with other methods.
            guard let (refusal, allow) = AllowedMethods.table.refusal(of: request.method, at: request.uri.path) else {
                return ErrorMapping.response(ErrorMapping.driveError(error), requestId: requestId)
            }
            var response = ErrorMapping.response(refusal, requestId: requestId)
            response.headers[.allow] = allow
            return response
        } catch {
            let mapped = ErrorMapping.driveError(error)
            if Self.isReported(mapped) {
                services.logger.error(
                    "request failed", metadata: ["requestId": "\(requestId)", "path": "\(request.uri.path)", "error": "\(error)"])
            }
            return ErrorMapping.response(mapped, requestId: requestId)
        }
    }

    /// Whether a failed request gets a line in the log.
    ///
    /// Not for an issuer whose keys cannot be had: that is logged once, where they are fetched, and any token that names
    /// the issuer, a forged one too, would add a line.
    static func isReported(_ error: DriveError) -> Bool {
        switch error.code.category {
        case .internalFailure: true
        case .unavailable: error.code != .issuerUnavailable
        default: false
        }
    }

    /// A client's own id is taken where it is short and harmless in a log.
    private static func acceptableId(_ text: String?) -> String? {
        guard let text, (8...64).contains(text.utf8.count) else { return nil }
        let harmless = text.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == UInt8(ascii: "-")
                || byte == UInt8(ascii: "_")
        }
        return harmless ? text : nil
    }
}

/// Cross-origin resource sharing by configuration (WHATWG Fetch).
enum CrossOrigin {
    static func apply(_ settings: DriveConfiguration.CORS, to response: inout Response, origin: String?) {
        guard !settings.allowedOrigins.isEmpty else { return }
        response.headers.append(HTTPField(name: .vary, value: "Origin"))
        guard let origin, let allowed = allowedOrigin(origin, settings) else { return }
        response.headers[.accessControlAllowOrigin] = allowed
        response.headers[.accessControlExposeHeaders] = settings.exposedHeaders.joined(separator: ", ")
        if settings.credentials { response.headers[.accessControlAllowCredentials] = "true" }
    }

    /// The answer to a preflight request; nil where the origin may not.
    static func preflight(_ settings: DriveConfiguration.CORS, request: Request) -> Response? {
        guard let origin = request.headers[.origin], request.headers[.accessControlRequestMethod] != nil,
            allowedOrigin(origin, settings) != nil
        else { return nil }
        return Response(
            status: .noContent,
            headers: [
                .accessControlAllowMethods: settings.allowedMethods.joined(separator: ", "),
                .accessControlAllowHeaders: settings.allowedHeaders.joined(separator: ", "),
                .accessControlMaxAge: String(Int(settings.maxAge.inSeconds)),
            ])
    }

    private static func allowedOrigin(_ origin: String, _ settings: DriveConfiguration.CORS) -> String? {
        if settings.allowedOrigins.contains(origin) { return origin }
        return settings.allowedOrigins.contains("*") ? "*" : nil
    }
}
