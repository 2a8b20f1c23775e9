import DriveModel
import Foundation

/// The JSON object in a provider's answer; empty where there is none. Proxies answer in HTML.
struct ProviderAnswer {
    private let object: [String: JSONValue]

    init(_ body: [UInt8]) {
        object = (try? DriveJSON.plainDecoder().decode([String: JSONValue].self, from: Data(body))) ?? [:]
    }

    subscript(name: String) -> JSONValue? { object[name] }
}
