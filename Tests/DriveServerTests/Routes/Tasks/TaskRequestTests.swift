import DriveModel
import DriveTasks
import Foundation
import Testing

@testable import DriveServer

/// What the bodies of `/tasks` are read as.
@Suite struct TaskRequestTests {
    private func read<Value: Decodable>(_ text: String, as type: Value.Type = Value.self) throws -> Value {
        try DriveJSON.decoder().decode(type, from: Data(text.utf8))
    }

    /// A misspelt member is not ignored: a task would run now, or with another priority than was meant.
    @Test(arguments: ["runat", "prority", "taskId", "Type"]) func unknownMembersAreRefused(_ name: String) throws {
        let error = #expect(throws: DriveError.self) {
            _ = try read(#"{"type":"FileMove","\#(name)":"x"}"#, as: Exactly<CreateTaskRequest>.self)
        }
        #expect(error?.code == .invalidRequest)
        #expect(error?.details["rule"] == .string(name))
    }

    /// Every member is known, in both forms.
    @Test(arguments: [
        #"{"type":"Custom","kind":"k","name":"n","description":"d","priority":1,"parameters":{"any_thing":1},"runAt":"2030-01-01T00:00:00Z","dependsOn":[],"uniqueKey":"u","maxAttempts":2}"#,
        #"{"type":"FileMove","run_at":"2030-01-01T00:00:00Z","depends_on":[],"unique_key":"u","max_attempts":2}"#,
    ]) func allMembersAreKnown(_ text: String) throws {
        let request = try read(text, as: Exactly<CreateTaskRequest>.self).value
        #expect(request.maxAttempts == 2)
        #expect(Set(Mirror(reflecting: request).children.compactMap(\.label)) == CreateTaskRequest.members)
    }

    /// The parameters as sent, and under which names they reach the service.
    static let parameters: [(sent: String, read: [String: JSONValue])] = [
        (#"{}"#, [:]),
        (#"{"fileIds":["a_b"],"targetPoolId":"x"}"#, ["fileIds": ["a_b"], "targetPoolId": "x"]),
        (#"{"file_ids":["a_b"],"target_pool_id":"x"}"#, ["fileIds": ["a_b"], "targetPoolId": "x"]),
        (
            #"{"operation_parameters":{"older_than_days":30,"confirm":true,"filter":[{"name_pattern":"a_*"}]}}"#,
            ["operationParameters": ["olderThanDays": 30, "confirm": true, "filter": [["namePattern": "a_*"]]]]
        ),
        (#"{"file_ids":["snake"],"fileIds":["camel"]}"#, ["fileIds": ["camel"]]),
        (#"{"_a_b_":1,"__":2,"FILE_IDS":3,"name":null}"#, ["_aB_": 1, "__": 2, "fileIds": 3, "name": .null]),
    ]

    @Test(arguments: parameters) func parametersHaveTheSpecsNames(sent: String, read expected: [String: JSONValue]) throws {
        for type in TaskType.allCases where type != .custom {
            let request: CreateTaskRequest = try read(#"{"type":"\#(type.rawValue)","parameters":\#(sent)}"#)
            #expect(request.withParameterNames.parameters == expected, "\(type)")
        }
    }

    /// A key is taken as Foundation's decoder takes a field's.
    @Test(arguments: [
        "file_ids", "_file_ids_", "FILE_IDS", "fileIds", "file__ids", "a_b_c", "_", "", "x_", "_x", "FileIds", "older_than_days",
    ])
    func keysAreReadAsFieldsAre(_ key: String) throws {
        struct Keys: Decodable {
            struct Key: CodingKey {
                var stringValue: String
                var intValue: Int? { nil }
                init(stringValue: String) { self.stringValue = stringValue }
                init?(intValue: Int) { nil }
            }

            var names: [String]

            init(from decoder: any Decoder) throws { names = try decoder.container(keyedBy: Key.self).allKeys.map(\.stringValue) }
        }
        let request: CreateTaskRequest = try read(#"{"type":"FileMove","parameters":{"\#(key)":1}}"#)
        #expect(try request.withParameterNames.parameters?.keys.sorted() == read(#"{"\#(key)":1}"#, as: Keys.self).names)
    }

    @Test func aCustomTasksParametersStayAsTheyCame() throws {
        let parameters = #"{"file_ids":[{"a_b":{"c_d":1}}],"fileIds":2,"olderThan_days":3}"#
        let request: CreateTaskRequest = try read(#"{"type":"Custom","kind":"k","unique_key":"u","parameters":\#(parameters)}"#)
        #expect(request.withParameterNames.parameters == ["file_ids": [["a_b": ["c_d": 1]]], "fileIds": 2, "olderThan_days": 3])
        #expect(request.uniqueKey == "u")
    }

    @Test func aWorkersOwnJSONStaysAsItCame() throws {
        let progress: TaskProgressRequest = try read(
            #"{"lease_id":"l","progress":5,"status_message":"m","checkpoint":{"next_row":{"a_b":1}}}"#)
        #expect(progress.leaseId == "l" && progress.statusMessage == "m")
        #expect(progress.checkpoint == ["next_row": ["a_b": 1]])
        let completion: TaskCompletionRequest = try read(#"{"leaseId":"l","results":{"row_count":1}}"#)
        #expect(completion.results == ["row_count": 1])
    }

    @Test func batchesAndSchedulesHoldTasks() throws {
        let batch: TaskBatchRequest = try read(##"{"name":"b","tasks":[{"type":"FileMove"},{"type":"FileMove","depends_on":["#0"]}]}"##)
        #expect(batch.tasks.map(\.dependsOn) == [nil, ["#0"]])
        let schedule: TaskScheduleRequest = try read(#"{"cron":"@daily","task":{"type":"Custom","kind":"k","parameters":{"a_b":1}}}"#)
        #expect(schedule.task.parameters == ["a_b": 1])
    }

    @Test func aFailureIsRetriedUnlessItSaysOtherwise() throws {
        func failure(_ text: String) throws -> TaskFailure { try read(text, as: TaskFailureRequest.self).failure }
        #expect(
            try failure(#"{"leaseId":"l","errorMessage":"m"}"#) == TaskFailure(code: "WORKER_FAILED", message: "m", isRetryable: true))
        #expect(
            try failure(#"{"leaseId":"l","errorCode":"NO_GPU","errorMessage":"m","retryable":false}"#)
                == TaskFailure(code: "NO_GPU", message: "m", isRetryable: false))
        for code in ["", " ", "a\\u0000b", String(repeating: "x", count: 101)] {
            #expect(throws: DriveError.self, "\(code)") { try failure(#"{"leaseId":"l","errorCode":"\#(code)","errorMessage":"m"}"#) }
        }
    }

    /// What is missing or wrong is named.
    @Test(arguments: [
        (#"{"kind":"k"}"#, "type"), (#"{"type":"Nothing"}"#, "type"), (#"{"type":"Custom","priority":"high"}"#, "priority"),
        (#"{"type":"Custom","parameters":[]}"#, "parameters"), (#"{"type":"Custom","run_at":"soon"}"#, "runAt"),
    ])
    func aWrongFieldIsNamed(body: String, field: String) {
        let error = #expect(throws: DecodingError.self) { try read(body, as: CreateTaskRequest.self) }
        #expect(error.map { JSONFault.driveError($0) }?.details["rule"] == .string(field))
    }
}
