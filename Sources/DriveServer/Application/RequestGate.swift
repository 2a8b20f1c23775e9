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
        let face = WireFace.at(request.uri.path)
        var response: Response
        if request.method == .options, let fields = CrossOrigin.preflight(services.configuration.cors, request: request) {
            // A protocol's own answer to OPTIONS stands in the preflight's too.
            response =
                face == nil
                ? Response(status: .noContent) : await answer(request, face: face, context: context, requestId: requestId, next: next)
            for field in fields { response.headers[field.name] = field.value }
        } else {
            response = await answer(request, face: face, context: context, requestId: requestId, next: next)
        }
        face?.complete(&response, request)
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
        _ request: Request, face: WireFace?, context: DriveRequestContext, requestId: String,
        next: (Request, DriveRequestContext) async throws -> Response
    ) async -> Response {
        do {
            return try await Self.$currentId.withValue(requestId) { try await next(request, context) }
        } catch let error as any HTTPResponseError where error.status == .notFound {
            // Only the router throws this one: the path may be known, with other methods.
            guard let (refusal, allow) = AllowedMethods.table.refusal(of: request.method, at: request.uri.path) else {
                return Self.refusal(ErrorMapping.driveError(error), face: face, request: request, requestId: requestId)
            }
            var response = Self.refusal(refusal, face: face, request: request, requestId: requestId)
            response.headers[.allow] = allow
            return response
        } catch {
            let mapped = ErrorMapping.driveError(error)
            if Self.isReported(mapped) {
                services.logger.error(
                    "request failed", metadata: ["requestId": "\(requestId)", "path": "\(request.uri.path)", "error": "\(error)"])
            }
            return Self.refusal(mapped, face: face, request: request, requestId: requestId)
        }
    }

    private static func refusal(_ error: DriveError, face: WireFace?, request: Request, requestId: String) -> Response {
        face?.refuse(error, request, requestId) ?? ErrorMapping.response(error, requestId: requestId)
    }

    /// Whether a failed request gets a line in the log.
    ///
    /// Not for an issuer whose keys cannot be had: that is logged once, where they are fetched, and any token that names
    /// the issuer, a forged one too, would add a line. Nor for a connection that broke.
    static func isReported(_ error: DriveError) -> Bool {
        switch error.code.category {
        case .internalFailure: true
        case .unavailable: error.code != .issuerUnavailable && error.code != .bodyInterrupted
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

    /// What the answer to a preflight request carries; nil where the origin may not.
    static func preflight(_ settings: DriveConfiguration.CORS, request: Request) -> HTTPFields? {
        guard let origin = request.headers[.origin], request.headers[.accessControlRequestMethod] != nil,
            allowedOrigin(origin, settings) != nil
        else { return nil }
        return [
            .accessControlAllowMethods: settings.allowedMethods.joined(separator: ", "),
            .accessControlAllowHeaders: settings.allowedHeaders.joined(separator: ", "),
            .accessControlMaxAge: String(Int(settings.maxAge.inSeconds)),
        ]
    }

    private static func allowedOrigin(_ origin: String, _ settings: DriveConfiguration.CORS) -> String? {
        if settings.allowedOrigins.contains(origin) { return origin }
        return settings.allowedOrigins.contains("*") ? "*" : nil
    }
}
