import DriveModel
import Foundation

/// What a request for a task must keep to, whatever its type.
public enum TaskRequestRules {
    /// Kinds that one lease may ask for.
    public static let mostKinds = 25
    static let maximumDependencies = 100
    static let maximumBatch = 1000
    static let maximumParameterBytes = 1 << 18
    /// Bytes of what a worker over HTTP stores, as JSON: its results, or a checkpoint.
    public static let maximumStoredBytes = 1 << 18

    static func check(_ request: CreateTaskRequest, now: Timestamp) throws(DriveError) {
        if let name = request.name { try checkText(name, field: "name", most: 255, isEmptyAllowed: false) }
        if let description = request.description { try checkText(description, field: "description", most: 4096, isEmptyAllowed: true) }
        if let priority = request.priority { try checkPriority(priority) }
        if let attempts = request.maxAttempts, !(1...100).contains(attempts) {
            throw refusal("maxAttempts", "maxAttempts must be 1 to 100.")
        }
        if let runAt = request.runAt, runAt - now > .seconds(10 * 366 * 86_400) {
            throw refusal("runAt", "runAt is at most ten years ahead.")
        }
        if let expiresAt = request.expiresAt {
            guard expiresAt > now, request.runAt.map({ $0 < expiresAt }) ?? true else {
                throw refusal("expiresAt", "expiresAt must lie ahead, and behind runAt.")
            }
        }
        if let key = request.uniqueKey {
            try checkText(key, field: "uniqueKey", most: 255, isEmptyAllowed: false)
            if key.hasPrefix("schedule:") { throw refusal("uniqueKey", "Keys that begin with schedule: are those of timetables.") }
        }
        if request.parameters?.holdsNUL == true { throw refusal("parameters", "parameters must not hold the character U+0000.") }
        if let dependencies = request.dependsOn, dependencies.count > maximumDependencies {
            throw refusal("dependsOn", "A task waits for at most \(maximumDependencies) others.")
        }
        if request.type == .custom {
            guard let kind = request.kind else { throw refusal("kind", "A Custom task needs a kind.") }
            try checkKind(kind)
        } else if request.kind != nil {
            throw refusal("kind", "Only Custom tasks have a kind.")
        }
        if request.type == .fileUpload {
            throw refusal("type", "A FileUpload is made by POST /files/upload/create, and driven by its client.")
        }
    }

    static func checkPriority(_ priority: Int) throws(DriveError) {
        guard (0...100).contains(priority) else { throw refusal("priority", "priority must be 0 to 100.") }
    }

    /// Throws `INVALID_REQUEST` for what no Custom task's kind can be.
    public static func checkKind(_ kind: String) throws(DriveError) {
        let isValid =
            (1...64).contains(kind.utf8.count)
            && kind.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || [45, 46, 95].contains(byte)
            }
        guard isValid else { throw refusal("kind", "kind has 1 to 64 letters, digits, dots, hyphens and underscores.") }
        if kind.hasPrefix("drive.") { throw refusal("kind", "Kinds that begin with drive. are the server's own.") }
    }

    static func checkParameters(_ text: String) throws(DriveError) {
        guard text.utf8.count <= maximumParameterBytes else {
            throw refusal("parameters", "parameters has at most \(maximumParameterBytes) bytes as JSON.")
        }
    }

    static func refusal(_ rule: String, _ message: String) -> DriveError {
        DriveError(.invalidRequest, message, details: ["rule": .string(rule)])
    }

    private static func checkText(_ text: String, field: String, most: Int, isEmptyAllowed: Bool) throws(DriveError) {
        guard isEmptyAllowed || !text.isEmpty, text.utf8.count <= most, !text.unicodeScalars.contains(where: { $0.value == 0 }),
            field == "description" || !text.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 })
        else { throw refusal(field, "\(field) has \(isEmptyAllowed ? 0 : 1) to \(most) bytes, and no control characters.") }
    }
}
