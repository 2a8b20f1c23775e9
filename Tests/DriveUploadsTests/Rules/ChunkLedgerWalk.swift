import DriveModel
import DriveUploads
import TestSupport
import Testing

/// A random walk beside a model that is simple enough to be seen right.
@Suite struct ChunkLedgerWalk {
    private struct Model {
        var received: Set<Int> = []
        var claims: [Int: (id: UInt64, lastByte: ManualInstant, isCommitting: Bool)] = [:]
        var discarding: Int?
        var phase = ChunkLedger<ManualInstant>.Phase.open
    }

    private static let stall = Duration.seconds(3)

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func behavesAsTheModel(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let plan = ChunkPlan(fileSize: .random(in: 1...700, using: &generator), chunkSize: 10)
        var ledger = ChunkLedger<ManualInstant>(plan: plan, stallTime: Self.stall)
        var model = Model()
        var issued: [(index: Int, id: UInt64)] = []
        var now = ManualInstant()
        for step in 0..<10_000 {
            now = now.advanced(by: .milliseconds(Int.random(in: 0...900, using: &generator)))
            let index = Int.random(in: -1...plan.count, using: &generator)
            // A claim that was given out, mostly one that still holds.
            let live = model.claims.map { (index: $0.key, id: $0.value.id) }.sorted { $0.id < $1.id }
            let known =
                Bool.random(using: &generator) ? live.randomElement(using: &generator) : issued.suffix(40).randomElement(using: &generator)
            var agrees = true
            switch Int.random(in: 0..<100, using: &generator) {
            case 0..<40:
                let action = ledger.claim(index, now: now)
                agrees = action == Self.claim(index, now: now, of: plan, in: &model, id: UInt64(issued.count + 1))
                if case .granted(let id, _) = action { issued.append((index, id)) }
            case 40..<45:
                guard let known else { break }
                let held = model.claims[known.index]?.id == known.id
                agrees = ledger.commit(known.index, claim: known.id) == held
                if held { model.claims[known.index]?.isCommitting = true }
            case 45..<60:
                guard let known else { break }
                ledger.heard(known.index, claim: known.id, now: now)
                if model.claims[known.index]?.id == known.id { model.claims[known.index]?.lastByte = now }
            case 60..<88:
                guard let known else { break }
                let accepted = Int.random(in: 0..<4, using: &generator) > 0
                let held = model.claims[known.index]?.id == known.id
                agrees = ledger.finish(known.index, claim: known.id, accepted: accepted) == held
                if held {
                    model.claims[known.index] = nil
                    if accepted { model.received.insert(known.index) }
                }
            case 88..<91:
                let allowed = model.phase == .open && model.discarding == nil && model.claims.isEmpty && model.received.contains(index)
                agrees = ledger.beginDiscarding(index) == allowed
                if allowed { model.discarding = index }
            case 91..<94:
                let gone = Bool.random(using: &generator)
                ledger.endDiscarding(gone: gone)
                if gone, let index = model.discarding { model.received.remove(index) }
                model.discarding = nil
            case 94..<97:
                agrees = ledger.beginCompleting() == Self.complete(plan, in: &model)
            case 97..<99:
                let succeeded = Int.random(in: 0..<20, using: &generator) == 0
                ledger.endCompleting(succeeded: succeeded)
                if model.phase == .completing { model.phase = succeeded ? .closed : .open }
            default:
                // Rarely, so that the walk sees more than a closed upload; then it begins anew.
                guard Int.random(in: 0..<20, using: &generator) == 0 else { break }
                agrees = Set(ledger.close()) == Set(model.claims.values.map(\.id))
                model.claims = [:]
                model.phase = .closed
            }
            agrees = agrees && Self.equal(ledger, model, plan)
            #expect(agrees, "seed \(seed), step \(step)")
            if !agrees { return }
            if model.phase == .closed, Int.random(in: 0..<30, using: &generator) == 0 {
                ledger = ChunkLedger(plan: plan, received: model.received, stallTime: Self.stall)
                model.phase = .open
                model.discarding = nil
                issued = []
            }
        }
    }

    private static func claim(
        _ index: Int, now: ManualInstant, of plan: ChunkPlan, in model: inout Model, id: UInt64
    ) -> ChunkLedger<ManualInstant>.ClaimAction {
        guard (0..<plan.count).contains(index) else { return .noSuchChunk }
        if model.received.contains(index) { return .alreadyUploaded }
        if model.phase != .open { return .closed }
        let holder = model.claims[index]
        if model.discarding != nil || holder?.isCommitting == true { return .wait(until: now.advanced(by: stall)) }
        if let holder, holder.lastByte.duration(to: now) < stall { return .wait(until: holder.lastByte.advanced(by: stall)) }
        model.claims[index] = (id, now, false)
        return .granted(id, replacing: holder?.id)
    }

    private static func complete(_ plan: ChunkPlan, in model: inout Model) -> ChunkLedger<ManualInstant>.CompleteAction {
        if model.phase != .open || model.discarding != nil { return .closed }
        let missing = (0..<plan.count).filter { !model.received.contains($0) }
        if !missing.isEmpty { return .missing(missing) }
        model.phase = .completing
        return .proceed
    }

    private static func equal(_ ledger: ChunkLedger<ManualInstant>, _ model: Model, _ plan: ChunkPlan) -> Bool {
        ledger.phase == model.phase && ledger.receivedCount == model.received.count && ledger.hasClaims == !model.claims.isEmpty
            && ledger.receivedIndexes == model.received.sorted()
            && ledger.receivedBytes == model.received.reduce(0) { $0 + (plan.size(of: $1) ?? 0) }
    }
}
