import DriveModel
import Foundation
import HTTPTypes
import Testing
import Yams

@testable import DriveServer

/// Holds `docs/openapi.yaml` equal to the routes, the wire types and the error codes.
@Suite struct OpenAPITests {
    // MARK: Routes

    @Test func operationsAreTheRoutes() throws {
        let document = try OpenAPIDocument()
        let api = Dictionary(grouping: RouteTable.api, by: Self.name).mapValues(\.count)
        let root = Dictionary(grouping: RouteTable.root, by: Self.name).mapValues(\.count)
        #expect(api.values.allSatisfy { $0 == 1 } && root.values.allSatisfy { $0 == 1 })
        #expect(document.operations.allSatisfy { $0.isUnderPrefix || $0.isOutsidePrefix })
        #expect(Set(document.operations.filter(\.isUnderPrefix).map(\.name)) == Set(api.keys))
        #expect(Set(document.operations.filter(\.isOutsidePrefix).map(\.name)) == Set(root.keys))
        #expect(document.servers == RouteTable.prefixes)
    }

    @Test func securityIsTheRoutesAccess() throws {
        let document = try OpenAPIDocument()
        for route in RouteTable.api + RouteTable.root {
            let operation = try #require(document.operations.first { $0.name == Self.name(route) })
            let expected: [[String: [String]]] =
                switch route.access {
                case .open: []
                case .account: [["accountToken": []]]
                case .stream: [["accountToken": []], ["queryToken": []]]
                case .webSocket: [["accountToken": []], ["queryToken": []], [:]]
                case .upload: [["accountToken": []], ["sessionToken": []]]
                case .work: [["accountToken": []], ["workerToken": []]]
                case .admin: [["accountToken": ["admin"]]]
                }
            #expect(operation.security == expected, "\(operation.name)")
        }
    }

    /// Every `{name}` of a path is a parameter of it, and no other is.
    @Test func pathParametersAreDeclared() throws {
        let document = try OpenAPIDocument()
        for operation in document.operations {
            let names = operation.path.matches(of: #/\{(\w+)\}/#).map { String($0.1) }
            #expect(operation.parameters.filter { $0.place == "path" }.map(\.name) == names, "\(operation.name)")
        }
        let identifiers = document.operations.map(\.identifier)
        #expect(!identifiers.contains("") && Set(identifiers).count == identifiers.count)
    }

    @Test func everyReferenceLeadsSomewhere() throws {
        let document = try OpenAPIDocument()
        let references = document.references
        #expect(references.count > 40)
        for reference in references { #expect(document.node(at: reference) != nil, "\(reference)") }
        let schemas = Set(document.schemaNames.map { "#/components/schemas/\($0)" })
        #expect(schemas.subtracting(references) == [], "schemas that nothing uses")
    }

    private static func name(_ route: Route) -> String { "\(route.method.rawValue) \(route.path)" }

    // MARK: Errors

    @Test func errorCodesAreTheSourcesCodes() throws {
        let document = try OpenAPIDocument()
        let codes = try SourceCodes()
        let documented = try document.words(of: "ErrorCode")
        #expect(documented.count == Set(documented).count)
        #expect(Set(documented) == Set(codes.rules.keys))
        #expect(Set(try document.words(of: "WireErrorCode")) == codes.wire.subtracting(codes.rules.keys))
    }

    /// A code stands beside the status it has.
    @Test func responsesNameCodesOfTheirStatus() throws {
        let document = try OpenAPIDocument()
        let codes = try SourceCodes()
        var named = 0
        for operation in document.operations {
            for (status, description) in operation.responses where status != "default" {
                for match in description.matches(of: #/`([A-Z]+(?:_[A-Z]+)*)`/#) {
                    named += 1
                    #expect(codes.rules[String(match.1)].map(String.init) == status, "\(operation.name): \(match.1)")
                }
            }
        }
        #expect(named > 60)
    }

    /// The table in docs/api.md has every code, with its status.
    @Test func guideListsEveryCode() throws {
        let text = try String(contentsOfFile: repositoryRoot + "/docs/api.md", encoding: .utf8)
        let codes = try SourceCodes()
        var listed: [String: Int] = [:]
        for match in text.matches(of: #/\n\| (\d{3}) \| `([A-Z_]+)` \|/#) { listed[String(match.2)] = Int(match.1) }
        #expect(Set(listed.keys) == Set(codes.rules.keys).union(codes.wire))
        for (code, status) in codes.rules { #expect(listed[code] == status, "\(code)") }
    }

    // MARK: Schemas

    /// A full sample has exactly the schema's properties, an empty one exactly the required ones.
    @Test(arguments: WireSample.all) func schemaIsWhatTheTypeEncodes(_ sample: WireSample) throws {
        let schema = try OpenAPIDocument().schema(sample.schema)
        #expect(try sample.fullKeys() == schema.properties)
        #expect(try sample.emptyKeys() == schema.required)
    }

    /// Types that their files keep to themselves, by their source.
    @Test(arguments: SourceType.all) func schemaIsWhatTheSourceDeclares(_ type: SourceType) throws {
        let schema = try OpenAPIDocument().schema(type.schema)
        let fields = try type.fields()
        #expect(Set(fields.map(\.name)) == schema.properties)
        #expect(Set(fields.filter(\.isRequired).map(\.name)) == schema.required)
    }

    /// A new wire type without a check here would go unnoticed otherwise.
    @Test func everyObjectSchemaIsHeld() throws {
        let document = try OpenAPIDocument()
        let held = Set(WireSample.all.map(\.schema) + SourceType.all.map(\.schema)).union(["CleanupReply", "HealthStatus"])
        let objects = try document.schemaNames.filter { try !document.schema($0).properties.isEmpty }
        #expect(Set(objects) == held)
    }

    @Test func enumerationsAreTheTypes() throws {
        let document = try OpenAPIDocument()
        #expect(try document.words(of: "TaskStatus") == TaskStatus.allCases.map(\.rawValue))
        #expect(try document.words(of: "AccountRole") == AccountRole.allCases.map(\.rawValue))
        #expect(try document.words(of: "TokenRole") == TokenRole.allCases.map(\.rawValue))
        #expect(try document.words(of: "TaskType") == TaskType.allCases.map(\.rawValue))
        #expect(try document.words(of: "TaskRequest") == TaskRequest.allCases.map(\.rawValue))
        #expect(try document.words(of: "AttemptOutcome") == TaskAttempt.Outcome.allCases.map(\.rawValue))
        #expect(try document.words(of: "ItemOutcome") == TaskItem.Outcome.allCases.map(\.rawValue))
    }
}
