import DriveModel
import Foundation
import Testing

/// Limits and their announcement (draft -11 §4.1.4).
extension ResumableRow {
    static let limitRows: [ResumableRow] = [
        ResumableRow(12, "4.1.4", "MAY", "limits are enforced, and communicated by Upload-Limit") { scene in
            for limits in try await observedLimits(scene).map(\.limits) {
                let size = try #require(limits["max-size"], "\(limits)")
                #expect((1...(1 << 40)).contains(size))
            }
        },
        ResumableRow(13, "4.1.4", "MUST", "Upload-Limit is a Dictionary") { scene in
            let created = try await scene.create(false)
            let upload = try scene.target(in: created.final)
            let replies = [
                try await scene.exchange("OPTIONS", ResumableScene.target).final, created.resumptions.first, created.final,
                try await scene.retrieve(upload),
            ]
            for reply in replies { #expect(uploadLimits(reply) != nil, "\(reply?.header("Upload-Limit") ?? "none")") }
        },
        ResumableRow(
            14, "4.1.4", "MUST NOT", "a client sends no more than max-append-size; what is larger is refused, and the upload goes on"
        ) { _ in
            let limit = 65_536
            try await withServer("resumable-append-limit", environment: ["UPLOAD_MAX_REQUEST_BODY": "\(limit)"]) { server in
                let scene = try await ResumableScene.on(server)
                let upload = try await scene.begin()
                #expect(uploadLimits(try await scene.retrieve(upload))?["max-append-size"] == limit)
                for complete in [true, false] {
                    let refused = try await scene.patch(upload, at: 0, complete, bytes(limit + 1))
                    #expect(refused.status == 413, "\(refused)")
                    #expect(uploadLimits(refused.final)?["max-append-size"] == limit, "\(refused)")
                    #expect(scene.completeness(of: refused.final) != true, "\(refused)")
                }
                let content = bytes(limit + 1000)
                #expect(try await scene.patch(upload, at: 0, false, Array(content[..<limit])).status == 204)
                try await scene.finish(upload, content, from: limit)
            }
        },
        ResumableRow(17, "4.1.4", "SHOULD NOT", "limits do not change so that a client that keeps the first ones fails") { scene in
            let all = try await observedLimits(scene).map(\.limits).dropFirst()
            let first = try #require(all.first)
            for limits in all { #expect(limits.keys.sorted() == first.keys.sorted()) }
        },
        ResumableRow(18, "4.1.4", "SHOULD NOT", "max-size, max-append-size and the end of the lifetime do not decrease") { scene in
            let all = try await observedLimits(scene)
            for (earlier, later) in zip(all, all.dropFirst()) {
                for key in ["max-size", "max-append-size"] {
                    if let value = earlier.limits[key] { #expect(try #require(later.limits[key]) >= value, "\(key)") }
                }
                if let before = earlier.limits["max-age"], let after = later.limits["max-age"] {
                    // Whole seconds, rounded, of two moments.
                    #expect(earlier.time + Double(before) <= later.time + Double(after) + 2)
                }
            }
        },
        ResumableRow(19, "4.1.4", "SHOULD NOT", "min-append-size does not increase") { scene in
            let all = try await observedLimits(scene).map(\.limits)
            for (earlier, later) in zip(all, all.dropFirst()) {
                for key in ["min-size", "min-append-size"] { #expect(later[key] ?? 0 <= earlier[key] ?? 0, "\(key)") }
            }
        },
        ResumableRow(20, "4.1.4", "SHOULD", "a client that cannot keep the limits stops at once and cancels") { scene in
            let (wire, upload) = try await scene.beginStreaming(500_000)
            await wire.send(bytes(1000))
            await wire.cut()
            #expect(try await scene.cancel(upload).status == 204)
            try await scene.expectGone(upload)
            try await scene.expectNoFile()
        },
        ResumableRow(22, "4.1.4", "MUST", "a known member whose value is no Integer voids the whole field, so none is sent") { scene in
            for limits in try await observedLimits(scene).map(\.limits) {
                for key in ["max-size", "min-size", "max-append-size", "min-append-size", "max-age"] {
                    if let value = limits[key] { #expect(value >= 0, "\(key)") }
                }
                #expect(limits["expires"] == nil, "interop version 6 alone has it")
            }
        },
    ]

    static let optionRows: [ResumableRow] = [
        ResumableRow(23, "4.1.4", "MUST", "a server that supports creation for a target includes Accept-Patch in the reply to OPTIONS") {
            scene in
            let reply = try await scene.exchange("OPTIONS", ResumableScene.target)
            #expect([200, 204].contains(reply.status), "\(reply)")
            #expect(reply.header("Accept-Patch") != nil, "\(reply)")
        },
        ResumableRow(24, "4.1.4", "SHOULD", "the reply to OPTIONS * includes Accept-Patch, where that target is supported") { scene in
            let reply = try await scene.exchange("OPTIONS", "*")
            let status = try #require(reply.status, "\(reply)")
            #expect(status < 500, "\(reply)")
            if status < 300 { expectPartialUpload(reply) }
        },
        ResumableRow(25, "4.1.4", "MUST", "Accept-Patch includes application/partial-upload in full") { scene in
            expectPartialUpload(try await scene.exchange("OPTIONS", ResumableScene.target))
        },
        ResumableRow(26, "4.1.4", "SHOULD", "Upload-Limit is in the reply to OPTIONS where limits apply") { scene in
            let reply = try await scene.exchange("OPTIONS", ResumableScene.target)
            #expect(uploadLimits(reply.final)?["max-size"] != nil, "\(reply)")
        },
        ResumableRow(27, "4.1.4", "SHOULD NOT", "limits announced by OPTIONS are not less restrictive than those that apply later") {
            scene in
            let general = try #require(uploadLimits(try await scene.exchange("OPTIONS", ResumableScene.target).final))
            let own = try #require(uploadLimits(try await scene.create(false).final))
            for key in ["max-size", "max-append-size", "max-age"] {
                // A second may pass between the two.
                if let limit = own[key] { #expect(try #require(general[key]) <= limit + (key == "max-age" ? 2 : 0), "\(key)") }
            }
            for key in ["min-size", "min-append-size"] { #expect(general[key] ?? 0 >= own[key] ?? 0, "\(key)") }
        },
        ResumableRow(28, "4.2.1", "SHOULD", "a length that is indicated at creation and too large is refused before the body") { scene in
            let limits = try #require(uploadLimits(try await scene.exchange("OPTIONS", ResumableScene.target).final))
            let length = try #require(limits["max-size"]) + 1
            for fields in [
                [scene.completeness(false), "Upload-Length: \(length)", "Content-Length: 10"],
                [scene.completeness(true), "Content-Length: \(length)"],
            ] {
                let refused = try await scene.open("POST", ResumableScene.target, fields).exchange()
                #expect(refused.status == 413, "\(refused)")
                #expect(refused.resumptions.isEmpty, "\(refused)")
                #expect(uploadLimits(refused.final)?["max-size"] == length - 1, "a newer text's N10: \(refused)")
            }
        },
    ]

    private static func expectPartialUpload(_ reply: ResumableExchange, sourceLocation: SourceLocation = #_sourceLocation) {
        let types = reply.header("Accept-Patch")?.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) } ?? []
        #expect(types.contains("application/partial-upload"), "\(reply)", sourceLocation: sourceLocation)
    }

    /// The limits in the order in which a client meets them: before, in the 104, in the final response, and twice by HEAD.
    private static func observedLimits(_ scene: ResumableScene) async throws -> [(time: Double, limits: [String: Int])] {
        var all: [(time: Double, limits: [String: Int])] = []
        func note(_ reply: Reply?) throws {
            let limits = try #require(uploadLimits(reply), "\(reply?.headers.description ?? "no response")")
            all.append((ProcessInfo.processInfo.systemUptime, limits))
        }
        try note(try await scene.exchange("OPTIONS", ResumableScene.target).final)
        let created = try await scene.create(false, bytes(1000), ["Upload-Length: 2000"])
        try note(created.resumptions.first)
        try note(created.final)
        let upload = try scene.target(in: created.final)
        try note(try await scene.retrieve(upload))
        _ = try await scene.patch(upload, at: 1000, false, bytes(10))
        try note(try await scene.retrieve(upload))
        return all
    }
}
