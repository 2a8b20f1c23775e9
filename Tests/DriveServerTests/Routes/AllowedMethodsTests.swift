import DriveModel
import HTTPTypes
import Testing

@testable import DriveServer

@Suite struct AllowedMethodsTests {
    @Test(arguments: [
        ("/api/files/me", "GET"), ("/drive/files/me", "GET"), ("/api/files/x", "DELETE, GET, HEAD, PATCH"),
        ("//api///files/x/", "DELETE, GET, HEAD, PATCH"), ("/api/files/upload/info", "GET"), ("/api/tasks/x", "DELETE, GET"),
        ("/api/tasks/work/attempts", "GET"),
        ("/api/files/upload/tasks/cleanup", "DELETE"), ("/api/files/upload/tasks/x/details", "GET"), ("/api/pools", "GET, POST"),
        ("/api/files/me/info", "GET"), ("/api/admin/accounts/x", "PATCH"), ("/health/live", "GET, HEAD"), ("/health/uploads", "GET"),
        ("/api/files/upload/chunk/t/0", "POST"),
        // Unknown ones.
        ("/", ""), ("/api", ""), ("/files/me", ""), ("/api/health/live", ""), ("/api/files/upload/tasks/x", ""), ("/api/pools/x/y", ""),
        // On the way to longer ones, where the router looks for no parameter any more.
        ("/api/files/upload", ""), ("/api/tasks/work", ""), ("/drive/files/upload/tasks/x", ""), ("/health", ""),
        ("/API/pools", ""), ("/api/po%6Fls", ""), ("/api/files/x/info/y", ""),
    ])
    func methodsOfAnAddress(path: String, allowed: String) {
        #expect(AllowedMethods.table.methods(at: path).map(\.rawValue).joined(separator: ", ") == allowed)
        let refusal = AllowedMethods.table.refusal(of: .trace, at: path)
        #expect(refusal?.allow == (allowed.isEmpty ? nil : allowed))
        #expect(refusal?.error.code == (allowed.isEmpty ? nil : .methodNotAllowed))
    }

    @Test func everyRouteIsInTheTable() {
        let routes = RouteTable.prefixes.flatMap { prefix in RouteTable.api.map { (prefix + $0.path, $0.method) } }
        for (path, method) in routes + RouteTable.root.map({ ($0.path, $0.method) }) {
            let address = path.replacing(#/\{\w+\}/#, with: "0")
            #expect(AllowedMethods.table.methods(at: address).contains(method), "\(method) \(path)")
        }
    }

    /// The more literal pattern wins from the left, as in the router.
    @Test func literalsGoBeforeParameters() {
        let methods = AllowedMethods([("/a/{x}/c", .get), ("/a/b/{y}", .put), ("/{z}/b/c", .post), ("/a/b", .delete)])
        #expect(methods.methods(at: "/a/b/c") == [.put])
        #expect(methods.methods(at: "/a/x/c") == [.get])
        #expect(methods.methods(at: "/q/b/c") == [.post])
        #expect(methods.methods(at: "/q/q/c") == [])
    }
}
