import DriveModel
import Foundation
import HTTPTypes

@testable import DriveServer

/// The error codes, read from the sources: a list of them in Swift could be forgotten.
struct SourceCodes {
    /// Codes of `DriveError` with the status their category maps to.
    var rules: [String: Int]
    /// Codes of the connection and of the look-up of issuers' keys.
    var wire: Set<String>

    private static let categories: [DriveError.Category] = [
        .invalid, .unauthenticated, .refused, .notFound, .methodNotAllowed, .conflict, .gone, .preconditionFailed, .tooLarge,
        .unsupportedMediaType, .rangeNotSatisfiable, .unprocessable, .tooManyRequests, .internalFailure, .notImplemented, .unavailable,
        .storageFull, .timedOut, .locked, .upgradeRequired,
    ]

    init() throws {
        let statuses = Dictionary(uniqueKeysWithValues: Self.categories.map { ("\($0)", ErrorMapping.status(of: $0).code) })
        let text = try Self.source("DriveModel/DriveError.swift")
        rules = [:]
        for match in text.matches(of: #/Self\("([A-Z_]+)", \.(\w+)\)/#) {
            guard let status = statuses[String(match.2)] else {
                throw OpenAPIDocument.Malformed(description: "the category \(match.2) is not known here")
            }
            rules[String(match.1)] = status
        }
        wire = []
        for file in ["Connection/ConnectionRefusal.swift", "Access/RemoteKeySet.swift"] {
            for match in try Self.source("DriveServer/" + file).matches(of: #/"([A-Z]+(?:_[A-Z]+)+)"/#) { wire.insert(String(match.1)) }
        }
        // The connection uses a few codes of the rules too.
        wire.subtract(rules.keys)
    }

    static func source(_ path: String) throws -> String {
        try String(contentsOfFile: repositoryRoot + "/Sources/" + path, encoding: .utf8)
    }
}
