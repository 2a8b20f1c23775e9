import Testing

@testable import DriveModel

@Suite struct PoolPolicyTests {
    struct Case: Sendable {
        var policy: PoolPolicy
        var contentType = "image/png"
        var size: Int64 = 10
        var role = "user"
        var rule: JSONValue?
    }

    @Test(arguments: [
        Case(policy: PoolPolicy()),
        Case(policy: PoolPolicy(acceptTypes: ["image/png"])),
        Case(policy: PoolPolicy(acceptTypes: ["IMAGE/PNG"]), contentType: "image/PNG; charset=utf-8"),
        Case(policy: PoolPolicy(acceptTypes: ["text/plain", "image/*"])),
        Case(policy: PoolPolicy(acceptTypes: ["*/*"]), contentType: "x/y"),
        Case(policy: PoolPolicy(acceptTypes: ["image/jpeg"]), rule: "acceptTypes"),
        Case(policy: PoolPolicy(acceptTypes: ["image/*"]), contentType: "imagex/png", rule: "acceptTypes"),
        Case(policy: PoolPolicy(acceptTypes: ["image/*"]), contentType: "", rule: "acceptTypes"),
        Case(policy: PoolPolicy(acceptTypes: ["image/pn"]), rule: "acceptTypes"),
        Case(policy: PoolPolicy(maxFileSize: 10)),
        Case(policy: PoolPolicy(maxFileSize: 9), rule: "maxFileSize"),
        Case(policy: PoolPolicy(maxFileSize: 9), size: .max, rule: "maxFileSize"),
        Case(policy: PoolPolicy(requireRole: "user")),
        Case(policy: PoolPolicy(requireRole: "admin"), rule: "requireRole"),
        Case(policy: PoolPolicy(requireRole: "user"), role: "admin"),
        Case(policy: PoolPolicy(acceptTypes: ["a/b"], maxFileSize: 1, requireRole: "admin"), rule: "requireRole"),
    ])
    func refusesByTheFirstRule(item: Case) {
        let refusal = item.policy.refusal(contentType: item.contentType, size: item.size, role: item.role, poolName: "p")
        #expect(refusal?.details["rule"] == item.rule)
        #expect((refusal == nil) == (item.rule == nil))
        if item.rule == "maxFileSize" {
            #expect(refusal?.code == .fileTooLarge)
        } else if refusal != nil {
            #expect(refusal?.code == .poolPolicy)
        }
    }

    @Test(
        arguments: [
            (1, 0, 0), (1, 10, 10), (1, .max, .max), (0, 1000, 0), (0.5, 3, 2), (0.5, 4, 2), (1.5, 1, 2), (2, 10, 20), (1000, 10, 10_000),
            (0.001, 1, 1),
        ] as [(Double, Int64, Int64)])
    func chargesRoundedUp(multiplier: Double, size: Int64, charge: Int64) {
        #expect(PoolPolicy(costMultiplier: multiplier).charge(for: size) == charge)
    }

    /// Whatever number got into a policy: a charge is a sum that can be added without an overflow.
    @Test(arguments: [1000, 1e300, .infinity, -1, -1e300, -.infinity, .nan] as [Double])
    func neverTrapsOnAnyMultiplier(multiplier: Double) {
        for size in [0, 1, 1 << 44, .max] as [Int64] {
            let charge = PoolPolicy(costMultiplier: multiplier).charge(for: size)
            #expect(charge >= 0)
            #expect(charge <= .max / 2 || multiplier == 1)
        }
    }
}
