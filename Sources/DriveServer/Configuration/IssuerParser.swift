import Foundation

extension ValueParser where Value == [DriveConfiguration.Issuer] {
    /// The list of external issuers; in the environment it is written as YAML or JSON.
    static var issuers: ValueParser {
        ValueParser(
            allowed: "a list of issuers with `issuer`, `audience`, one of `jwks`, `pemFile`, `pem`, `algorithms`, and `roleClaim` or not",
            acceptsEmpty: true,
            parse: { (node) throws(ValueRejection) in try IssuerParser.parse(node) },
            format: { $0.map(\.issuer).joined(separator: ", ") })
    }
}

/// Reads the list of external issuers, gathering what is wrong in all of them.
enum IssuerParser {
    typealias Issuer = DriveConfiguration.Issuer
    typealias Algorithm = DriveConfiguration.SignatureAlgorithm

    static let keys = ["issuer", "audience", "jwks", "pemFile", "pem", "algorithms", "roleClaim"]

    static func parse(_ node: ConfigurationNode) throws(ValueRejection) -> [Issuer] {
        let items: [ConfigurationNode]
        switch node {
        case .list(let list, _):
            items = list
        case .text(let text, _):
            items = try parse(text: text)
        case .null, .mapping:
            throw ValueRejection("is not a list")
        }
        var issuers: [Issuer] = []
        var details: [ValueRejection.Detail] = []
        for (index, item) in items.enumerated() {
            var reader = IssuerReader(prefix: "[\(index)]", node: item)
            if let issuer = reader.read() {
                if issuers.contains(where: { $0.issuer == issuer.issuer }) {
                    reader.refuse(".issuer", value: issuer.issuer, "is listed twice", line: item.line)
                }
                issuers.append(issuer)
            }
            details += reader.details
        }
        guard details.isEmpty else { throw ValueRejection(details: details) }
        return issuers
    }

    private static func parse(text: String) throws(ValueRejection) -> [ConfigurationNode] {
        let parsed: ConfigurationNode
        do {
            parsed = try ConfigurationNode.parse(yaml: text)
        } catch {
            // The text may hold keys: it is not repeated.
            throw ValueRejection(error.reason, value: "(not shown)")
        }
        switch parsed {
        case .list(let items, _): return items
        case .null: return []
        case .text, .mapping: throw ValueRejection("is not a list")
        }
    }
}

/// Reads one issuer.
struct IssuerReader {
    private let prefix: String
    private let node: ConfigurationNode
    private var fields: [String: ConfigurationNode] = [:]
    private(set) var details: [ValueRejection.Detail] = []

    init(prefix: String, node: ConfigurationNode) {
        self.prefix = prefix
        self.node = node
    }

    /// The issuer, or nil with ``details``.
    mutating func read() -> DriveConfiguration.Issuer? {
        guard case .mapping(let entries, _) = node else {
            refuse("", value: node.shown, "is not a mapping", line: node.line)
            return nil
        }
        for entry in entries {
            guard IssuerParser.keys.contains(entry.key) else {
                let nearest = NearestName.find(entry.key, in: IssuerParser.keys).map { ", did you mean \($0)?" } ?? ""
                refuse(".\(LogEscaping.visible(entry.key))", value: nil, "is not a field of an issuer\(nearest)", line: entry.line)
                continue
            }
            if case .null = entry.value { continue }
            fields[entry.key] = entry.value
        }
        let issuer = text("issuer", required: true)
        let audience = text("audience", required: true)
        let source = keySource()
        let algorithms = algorithms(for: source)
        let roleClaim = text("roleClaim", required: false)
        guard details.isEmpty, let issuer, let audience, let source else { return nil }
        return .init(issuer: issuer, audience: audience, keys: source, algorithms: algorithms, roleClaim: roleClaim)
    }

    mutating func refuse(_ suffix: String, value: String?, _ reason: String, line: Int?, allowed: String? = nil) {
        details.append(.init(suffix: prefix + suffix, value: value, reason: reason, line: line, allowed: allowed))
    }

    private mutating func text(_ key: String, required: Bool) -> String? {
        guard let field = fields[key] else {
            if required { refuse(".\(key)", value: nil, "is missing", line: node.line) }
            return nil
        }
        guard case .text(let text, _) = field, !text.trimmingBlanks().isEmpty else {
            refuse(".\(key)", value: field.shown, "is not a text", line: field.line)
            return nil
        }
        return text.trimmingBlanks()
    }

    private mutating func keySource() -> DriveConfiguration.KeySource? {
        let given = ["jwks", "pemFile", "pem"].filter { fields[$0] != nil }
        guard given.count == 1, let key = given.first else {
            let reason = given.isEmpty ? "has no keys" : "has more than one source of keys"
            refuse("", value: nil, reason, line: node.line, allowed: "exactly one of `jwks`, `pemFile`, `pem`")
            return nil
        }
        guard let value = text(key, required: true) else { return nil }
        switch key {
        case "jwks":
            guard isSafe(jwks: value) else {
                refuse(
                    ".jwks", value: value.contains("@") ? "(not shown)" : value, "is not a safe address", line: fields[key]?.line,
                    allowed: "an https address; http on this machine alone")
                return nil
            }
            return .jwks(url: value)
        case "pemFile":
            return .pemFile(path: value)
        default:
            guard value.hasPrefix("-----BEGIN "), !value.contains("PRIVATE KEY") else {
                // The text may be a private key put here by mistake: it is not repeated.
                refuse(".pem", value: "(not shown)", "is not a public key or certificate", line: fields[key]?.line, allowed: "PEM text")
                return nil
            }
            return .pem(text: value)
        }
    }

    private func isSafe(jwks: String) -> Bool {
        guard let url = URLComponents(string: jwks), let host = url.host, !host.isEmpty, url.user == nil else { return false }
        switch url.scheme?.lowercased() {
        case "https": return true
        case "http": return ["localhost", "127.0.0.1", "[::1]", "::1"].contains(host)
        default: return false
        }
    }

    private mutating func algorithms(for source: DriveConfiguration.KeySource?) -> [IssuerParser.Algorithm] {
        guard let field = fields["algorithms"] else {
            refuse(".algorithms", value: nil, "is missing", line: node.line, allowed: "`RS256`, `ES256`, `EdDSA`")
            return []
        }
        do {
            let found = try ValueParser<[IssuerParser.Algorithm]>.list(of: .word(), plural: "algorithms").parse(field)
            if found.isEmpty {
                refuse(".algorithms", value: nil, "is empty", line: field.line)
            } else if found.count > 1, let source, !source.isKeySet {
                refuse(".algorithms", value: field.shown, "is not one algorithm", line: field.line, allowed: "one algorithm for a PEM key")
            }
            return found
        } catch {
            for detail in error.details {
                refuse(
                    ".algorithms", value: detail.value ?? field.shown, detail.reason, line: detail.line ?? field.line,
                    allowed: "`RS256`, `ES256`, `EdDSA`")
            }
            return []
        }
    }
}

extension DriveConfiguration.KeySource {
    /// Whether the source holds several keys, each with a type of its own.
    fileprivate var isKeySet: Bool {
        if case .jwks = self { true } else { false }
    }
}
