import DriveModel
import Foundation
import Testing

/// Interim responses and problems (draft -11 §5, §7), digests (§10), security (§13) and the draft's version (appendix B).
extension ResumableRow {
    static let versionRows: [ResumableRow] = [
        ResumableRow(93, "5", "MUST NOT", "100 (Continue) is not omitted because a 104 was sent") { scene in
            let wire = try await scene.open(
                "POST", ResumableScene.target, [scene.completeness(true), "Content-Length: 100", "Expect: 100-continue"])
            var statuses: Set<Int> = []
            while statuses.count < 2, let reply = try await wire.next() { statuses.insert(reply.status) }
            #expect(statuses == [100, 104])
            await wire.send(bytes(100))
            try await scene.expectFile(bytes(100), in: wire.exchange())
        },
        ResumableRow(94, "7.1", "SHOULD", "the mismatching-offset problem has expected-offset and provided-offset") { scene in
            let upload = try await scene.begin(bytes(10))
            let refused = try #require(try await scene.patch(upload, at: 25, true, [1]).final)
            #expect(refused.header("Content-Type")?.hasPrefix("application/problem+json") == true, "\(refused.headers)")
            let problem = refused.json
            #expect(problem["type"] == .string(problemType("mismatching-upload-offset")), "\(refused)")
            #expect(problem["expected-offset"] == .integer(10), "\(refused)")
            #expect(problem["provided-offset"] == .integer(25), "\(refused)")
        },
        ResumableRow(108, "B", "MUST NOT", "no 104 is sent where the request's version is missing or another") { scene in
            for version in [nil, "99", "abc"] {
                let created = try await scene.speaking(version).create(true, bytes(100))
                #expect(created.resumptions.isEmpty, "\(version ?? "none"): \(created)")
                try await scene.expectFile(bytes(100), in: created)
            }
        },
        ResumableRow(109, "B", "MUST", "every 104 has Upload-Draft-Interop-Version with the version") { scene in
            let (wire, upload) = try await scene.beginStreaming(ResumableProgress.length)
            let (progress, _) = try await ResumableProgress.first(on: wire)
            #expect(progress?.header("Upload-Draft-Interop-Version") == "8")
            #expect(try await scene.cancel(upload).status == 204)
            let created = try await scene.create(false, bytes(10))
            #expect(created.resumptions.map { $0.header("Upload-Draft-Interop-Version") } == ["8"], "\(created)")
        },
    ]

    static let digestRows: [ResumableRow] = [
        ResumableRow(95, "10.1", "SHOULD", "an upload whose content does not match Repr-Digest has failed, which is signalled") { scene in
            let wrong = "Repr-Digest: \(contentDigest(sha256: bytes(11)))"
            let upload = try await scene.begin(bytes(5), [wrong])
            let failed = try await scene.patch(upload, at: 5, true, Array(bytes(10)[5...]))
            #expect((400..<500).contains(failed.status ?? 0), "\(failed)")
            #expect(failed.header("Upload-Complete") == "?1", "\(failed)")
            try await scene.expectGone(upload, at: 10)
            let (wire, other) = try await scene.beginStreaming(10, [wrong])
            await wire.send(bytes(10))
            let creation = try await wire.exchange()
            #expect((400..<500).contains(creation.status ?? 0), "\(creation)")
            #expect(creation.header("Upload-Complete") == "?1", "\(creation)")
            try await scene.expectGone(other, at: 10)
            try await scene.expectNoFile()
        },
        ResumableRow(96, "10.1", "SHOULD", "Want-Repr-Digest at creation is answered by one of the digests that are asked for") { scene in
            let created = try await scene.create(true, bytes(100), ["Want-Repr-Digest: sha-256=1"])
            #expect(created.header("Repr-Digest") == contentDigest(sha256: bytes(100)), "\(created)")
        },
        ResumableRow(97, "10.1", "SHOULD", "the preferred digest is computed once the upload is complete, and sent") { scene in
            let upload = try await scene.begin(bytes(5), ["Want-Repr-Digest: sha-256=10, md5=0"])
            let completed = try await scene.patch(upload, at: 5, true, Array(bytes(10)[5...]))
            #expect(completed.header("Repr-Digest") == contentDigest(sha256: bytes(10)), "\(completed)")
            // 0 means: not acceptable.
            let refused = try await scene.create(true, bytes(10), ["Want-Repr-Digest: sha-256=0, sha-512=10"])
            #expect(refused.header("Repr-Digest")?.contains("sha-256") != true, "\(refused)")
        },
        ResumableRow(98, "10.2", "SHOULD", "content that does not match Content-Digest is not appended, which is signalled") { scene in
            let upload = try await scene.begin(bytes(5))
            let rest = Array(bytes(70_000)[5...])
            for complete in [false, true] {
                let refused = try await scene.patch(upload, at: 5, complete, rest, ["Content-Digest: \(contentDigest(sha256: [0]))"])
                #expect((400..<500).contains(refused.status ?? 0), "\(refused)")
                #expect(refused.header("Upload-Complete") != "?1", "\(refused)")
                try await scene.expectState(of: upload, offset: 5, isComplete: false)
            }
            let right = try await scene.patch(upload, at: 5, true, rest, ["Content-Digest: \(contentDigest(sha256: rest))"])
            try await scene.expectFile(bytes(70_000), in: right)
        },
    ]

    static let securityRows: [ResumableRow] = [
        ResumableRow(99, "12.1.1", "SHOULD", "a complete request may have Upload-Length too") { scene in
            let created = try await scene.create(true, bytes(10), ["Upload-Length: 10"])
            try await scene.expectFile(bytes(10), in: created)
        },
        ResumableRow(100, "13", "SHOULD", "only authorized clients access the upload resource") { scene in
            let upload = try await scene.begin(bytes(10))
            let other = try await ResumableScene.shared("resumable-row-100-other")
            for (stranger, statuses) in [(scene.with(token: nil), [401]), (other, [403, 404])] {
                #expect(statuses.contains(try await stranger.retrieve(upload).status))
                #expect(statuses.contains(try await stranger.patch(upload, at: 10, true, [1]).status ?? 0))
                #expect(statuses.contains(try await stranger.cancel(upload).status ?? 0))
            }
            #expect(try await scene.with(token: nil).create(true, bytes(10)).status == 401)
            try await scene.expectState(of: upload, offset: 10, isComplete: false)
        },
        ResumableRow(101, "13", "RECOMMENDED", "upload URIs are hard to guess") { scene in
            var uploads: [String] = []
            for _ in 0..<20 { uploads.append(try await scene.begin()) }
            let names = uploads.compactMap { $0.split(separator: "/").last }
            #expect(Set(names).count == 20)
            #expect(names.allSatisfy { $0.count >= 21 }, "\(names[0])")
            for (one, next) in zip(names, names.dropFirst()) { #expect(one.commonPrefix(with: next).count < 8, "\(one) \(next)") }
        },
        ResumableRow(102, "13", "MUST", "URIs leak no internal information") { scene in
            let name = "secret-name.bin"
            let upload = try await scene.begin(bytes(10), ["Content-Disposition: inline; filename=\"\(name)\""])
            let tail = upload.dropFirst(ResumableScene.target.count + 1)
            #expect(tail.wholeMatch(of: /[A-Za-z0-9_-]+/) != nil, "\(upload)")
            #expect(!tail.contains("secret"))
        },
        ResumableRow(103, "13", "MUST", "metadata is validated or sanitized") { scene in
            let names = [
                "filename=\"../../etc/x\"", "filename=\"/etc/x\"", "filename=\"..\"", "filename=\"a\\\\b\"", "filename=\"\"",
                "filename*=UTF-8''a%00b", "filename*=UTF-8''a%0d%0ab", "filename*=UTF-8''%2e%2e%2fx", "filename*=UTF-8''%ff%fe",
                "filename=\"\(String(repeating: "a", count: 300))\"",
            ]
            for name in names {
                let created = try await scene.create(true, bytes(10), ["Content-Disposition: inline; \(name)"])
                #expect((200..<500).contains(created.status ?? 0), "\(name): \(created)")
            }
            for file in try await scene.files() {
                #expect((1...255).contains(file.name.utf8.count) && file.name != "..", "\(file.name)")
                #expect(file.name.unicodeScalars.allSatisfy { $0.value >= 32 && $0 != "/" && $0 != "\\" }, "\(file.name)")
            }
        },
        ResumableRow(105, "13", "SHOULD", "that the user is still allowed is validated before an upload is finalized") { scene in
            let server = try await SharedServer.get()
            let account = "resumable-row-105-revoked"
            let former = try await ResumableScene.on(server, account: account)
            let upload = try await former.begin(bytes(10))
            try await server.data.drive("token", "revoke", try #require(former.client.token.flatMap { HandSignedToken($0)?.id }))
            try await eventually(within: .seconds(2), "the token to be refused") { try await former.retrieve(upload).status == 401 }
            #expect(try await former.patch(upload, at: 10, true, [1]).status == 401)
            // A renewed token goes on.
            let renewed = try await ResumableScene.on(server, account: account)
            try await renewed.expectNoFile()
            try await renewed.finish(upload, bytes(20), from: 10)
        },
        ResumableRow(106, "13", "SHOULD", "there are mitigations for Slowloris: a body that stands still is ended, and what came is kept") {
            scene in
            let (creation, upload) = try await scene.beginStreaming(100_000)
            await creation.send(bytes(1000))
            // The server of all tests waits five seconds.
            try await creation.waitForEnd(within: .seconds(15))
            try await scene.expectState(of: upload, offset: 1000, isComplete: false, length: 100_000)
            try await scene.finish(upload, bytes(100_000), from: 1000)
        },
    ]
}
