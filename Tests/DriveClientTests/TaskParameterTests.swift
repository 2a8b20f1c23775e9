import DriveModel
import Foundation
import Testing

@testable import DriveClient

/// Parameters as a person writes them, and those that typed requests become.
@Suite struct TaskParameterTests {
    @Test(arguments: [
        ("a=b", "a", JSONValue.string("b")), ("a=", "a", ""), ("a=b=c", "a", "b=c"), ("a=3", "a", "3"), ("a=x:=y", "a", "x:=y"),
        ("a:=3", "a", 3), ("a:=2.5", "a", .double(2.5)), ("a:=true", "a", true), ("a:=null", "a", .null),
        (#"a:="b""#, "a", "b"),
        (#"a:={"snake_case":[1,"ü"]}"#, "a", ["snake_case": JSONValue.array([1, "ü"])] as JSONValue), ("a:b=c", "a:b", "c"),
        ("a b=-c", "a b", "-c"),
    ])
    func parametersAreRead(text: String, key: String, value: JSONValue) throws {
        let parameter = try ParameterText.read(text)
        #expect(parameter.key == key)
        #expect(parameter.value == value)
    }

    @Test(arguments: [["a"], [""], ["=b"], [":=3"], ["a:="], ["a:=b"], ["a:={"], ["a:=3 4"], ["a=1", "a:=2"]])
    func whatIsNoneIsRefused(texts: [String]) {
        #expect(throws: DriveClientError.self) { try ParameterText.read(texts) }
    }

    @Test func parametersGoTogether() throws {
        #expect(try ParameterText.read(["a=1", "b:=1"]) == ["a": "1", "b": 1])
        #expect(try ParameterText.read([]) == [:])
    }

    private static let pool = UUID(uuid: (0xAB, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1))
    private static let poolText = "ab000000-0000-4000-8000-000000000001"

    @Test func movesNameTheirTargets() {
        let move = CreateTaskRequest.fileMove(["f", "g"], toPool: Self.pool, toBundle: nil)
        #expect(move.type == .fileMove)
        #expect(move.parameters == ["fileIds": ["f", "g"], "targetPoolId": .string(Self.poolText)])
        let migration = CreateTaskRequest.storageMigration(from: Self.pool, to: Self.pool)
        #expect(migration.type == .storageMigration)
        #expect(migration.parameters == ["sourcePoolId": .string(Self.poolText), "targetPoolId": .string(Self.poolText)])
    }

    /// A null says never; nothing at all would be refused.
    @Test func filesThatNeverGoHaveANull() {
        let change = BulkOperation.Change(expiresInDays: 9, neverExpires: true)
        let operation = BulkOperation(.setExpiry, targetIds: ["f"], change: change, mode: .confirmed)
        #expect(operation.parameters == ["confirm": true, "expiredAt": .null])
    }

    @Test func bulkOperationsCarryTheSpecsNames() {
        let filter = BulkOperation.Filter(
            olderThanDays: 30, name: "*.tmp", contentType: "image/*", minSize: 1, maxSize: 2, bundleId: Self.pool, poolId: Self.pool)
        let deletion = CreateTaskRequest.bulk(BulkOperation(.delete, filter: filter, mode: .dryRun))
        #expect(deletion.type == .bulkOperation)
        #expect(
            deletion.parameters == [
                "operationType": "delete",
                "operationParameters": [
                    "dryRun": true, "olderThanDays": 30, "name": "*.tmp", "contentType": "image/*", "minSize": 1, "maxSize": 2,
                    "bundleId": .string(Self.poolText), "poolId": .string(Self.poolText),
                ],
            ])
        let change = BulkOperation.Change(
            poolId: Self.pool, bundleId: Self.pool, newName: "n", find: "a", replaceWith: "", expiredAt: Timestamp(seconds: 0),
            expiresInDays: 9)
        let everything = CreateTaskRequest.bulk(BulkOperation(.setExpiry, targetIds: ["f"], change: change, mode: .confirmed))
        #expect(
            everything.parameters == [
                "operationType": "setExpiry", "targetIds": ["f"],
                "operationParameters": [
                    "confirm": true, "targetPoolId": .string(Self.poolText), "targetBundleId": .string(Self.poolText), "newName": "n",
                    "find": "a", "replaceWith": "", "expiredAt": "1970-01-01T00:00:00Z", "expiresInDays": 9,
                ],
            ])
    }
}
