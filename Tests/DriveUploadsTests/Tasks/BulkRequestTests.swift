import DriveModel
import Foundation
import Testing

@testable import DriveUploads

/// What a bulk operation refuses before it is a task, and how it names files.
@Suite struct BulkRequestTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var operation: JSONValue = "delete"
        var ids: JSONValue = .null
        var parameters: JSONValue = .null
        var rule: String?
        var code = "INVALID_REQUEST"

        var testDescription: String { "\(operation) \(ids) \(parameters)" }
    }

    static let uuid = JSONValue.string(UUID().uuidString)

    static let rows: [Row] = [
        Row(operation: "shred", ids: ["a"], rule: "operationType"),
        Row(operation: .null, ids: ["a"], rule: "operationType"),
        Row(parameters: ["confirm": true], rule: "targetIds"),
        Row(ids: [], parameters: ["confirm": true], rule: "targetIds"),
        Row(ids: ["a", "a"], parameters: ["confirm": true], rule: "targetIds"),
        Row(ids: ["a"], rule: "confirm", code: "CONFIRMATION_REQUIRED"),
        Row(ids: ["a"], parameters: ["confirm": false, "dryRun": false], rule: "confirm", code: "CONFIRMATION_REQUIRED"),
        Row(ids: ["a"], parameters: ["confirm": "yes"], rule: "confirm"),
        Row(ids: ["a"], parameters: "all", rule: "operationParameters"),
        // A filter that is misspelt would select too much.
        Row(ids: ["a"], parameters: ["olderThenDays": 30, "confirm": true], rule: "olderThenDays"),
        Row(ids: ["a"], parameters: ["targetPoolId": uuid, "confirm": true], rule: "targetPoolId"),
        Row(parameters: ["olderThanDays": 0, "confirm": true], rule: "olderThanDays"),
        Row(parameters: ["olderThanDays": "30", "confirm": true], rule: "olderThanDays"),
        Row(parameters: ["minSize": -1, "confirm": true], rule: "minSize"),
        Row(parameters: ["minSize": 2, "maxSize": 1, "confirm": true], rule: "minSize"),
        Row(parameters: ["bundleId": "no", "confirm": true], rule: "bundleId"),
        Row(parameters: ["contentType": "image", "confirm": true], rule: "contentType"),
        Row(parameters: ["contentType": "*/*", "confirm": true], rule: "contentType"),
        Row(parameters: ["name": .string(String(repeating: "*a", count: 17)), "confirm": true], rule: "name"),
        Row(operation: "move", ids: ["a"], parameters: ["confirm": true], rule: "targetPoolId"),
        Row(operation: "addToBundle", ids: ["a"], parameters: ["confirm": true], rule: "targetBundleId"),
        Row(operation: "setExpiry", ids: ["a"], parameters: ["confirm": true], rule: "expiredAt"),
        Row(operation: "setExpiry", ids: ["a"], parameters: ["confirm": true, "expiredAt": "soon"], rule: "expiredAt"),
        Row(operation: "setExpiry", ids: ["a"], parameters: ["confirm": true, "expiredAt": .null, "expiresInDays": 1], rule: "expiredAt"),
        Row(operation: "rename", ids: ["a"], parameters: ["confirm": true], rule: "newName"),
        Row(operation: "rename", ids: ["a"], parameters: ["confirm": true, "newName": "{title}"], rule: "newName"),
        Row(operation: "rename", ids: ["a"], parameters: ["confirm": true, "newName": "a{"], rule: "newName"),
        Row(operation: "rename", ids: ["a"], parameters: ["confirm": true, "newName": "a", "find": "b"], rule: "newName"),
        Row(operation: "rename", ids: ["a"], parameters: ["confirm": true, "newName": "a", "replaceWith": "b"], rule: "replaceWith"),
        // What is good.
        Row(ids: ["a"], parameters: ["confirm": true]),
        Row(ids: ["a"], parameters: ["dryRun": true]),
        Row(parameters: ["olderThanDays": 30, "confirm": true]),
        Row(operation: "setExpiry", ids: ["a"], parameters: ["confirm": true, "expiredAt": .null]),
        Row(operation: "rename", ids: ["a"], parameters: ["confirm": true, "find": "x"]),
        Row(operation: "removeFromBundle", parameters: ["confirm": true, "bundleId": uuid]),
    ]

    @Test(arguments: rows)
    func requests(row: Row) throws {
        let values: [String: JSONValue] = ["operationType": row.operation, "targetIds": row.ids, "operationParameters": row.parameters]
        do {
            _ = try BulkRequest(values)
            #expect(row.rule == nil)
        } catch {
            #expect(error.code.name == row.code && error.details["rule"]?.string == row.rule, "\(error)")
        }
    }

    @Test(
        arguments: [
            (["newName": "{stem}-{index}{extension}"], "photo.tar.gz", "photo.tar-8.gz"),
            (["newName": "{date} {name}"], "a", "2027-01-15 a"),
            (["newName": "{stem}|{extension}"], ".profile", ".profile|"),
            (["newName": "{stem}|{extension}"], "no dot", "no dot|"),
            (["find": "IMG", "replaceWith": "Photo"], "IMG_IMG.jpg", "Photo_Photo.jpg"),
            (["find": " "], "a b c", "abc"),
            (["find": "zzz", "replaceWith": "y"], "a", "a"),
            (["newName": "{stem}/x"], "a", "FILE_NAME_SEPARATOR"),
            (["find": "a"], "a", "FILE_NAME_EMPTY"),
        ] as [([String: JSONValue], String, String)])
    func names(parameters: [String: JSONValue], name: String, expected: String) throws {
        let template = try NameTemplate(try TaskParameters(parameters, known: NameTemplate.names))
        let time = Timestamp(seconds: 1_800_000_000)
        let file = CloudFile(
            id: "id", name: name, size: 0, contentType: "text/plain", hash: "", poolId: UUID(), createdAt: time, updatedAt: time)
        do {
            #expect(try template.name(for: file, at: 7) == expected)
        } catch {
            #expect(error.details["rule"]?.string == expected)
        }
    }
}
