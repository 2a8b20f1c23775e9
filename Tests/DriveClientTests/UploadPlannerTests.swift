import DriveModel
import Testing

@testable import DriveClient

/// The planner without I/O: time is a number, replies are values.
@Suite struct UploadPlannerTests {
    @Test func sendsInOrderAndNoMoreAtOnceThanAllowed() {
        var planner = PlannerScene.planner()
        #expect(planner.next(now: .zero) == .send(chunk: 0, replace: false))
        #expect(planner.next(now: .zero) == .send(chunk: 1, replace: false))
        #expect(planner.next(now: .zero) == .idle)
        planner.handle(.chunkStored(1), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .send(chunk: 2, replace: false))
    }

    @Test func leavesOutWhatIsStoredAndCompletesOnce() {
        var planner = PlannerScene.planner(stored: [0, 1, 2, 4])
        #expect(planner.next(now: .zero) == .send(chunk: 3, replace: false))
        #expect(planner.next(now: .zero) == .idle)
        planner.handle(.chunkFailed(3, PlannerScene.error(409, "CHUNK_ALREADY_UPLOADED")), now: .zero, jitter: 0)
        #expect(planner.storedCount == 5)
        #expect(planner.next(now: .zero) == .complete)
        #expect(planner.next(now: .zero) == .idle)
        planner.handle(.completed(.file(PlannerScene.file)), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .finished(PlannerScene.file))
    }

    @Test func chunksThatFailTogetherCountAsOneFailure() {
        var planner = PlannerScene.planner(parallel: 3)
        for _ in 0..<3 { _ = planner.next(now: .zero) }
        for index in 0..<3 { planner.handle(.chunkFailed(index, .network("gone")), now: .zero, jitter: 0.5) }
        #expect(planner.next(now: .zero) == .wait(until: .milliseconds(500)))
        // What became of them is asked before anything is sent again.
        #expect(planner.next(now: .milliseconds(500)) == .refresh)
        planner.handle(PlannerScene.refreshed(.inProgress), now: .milliseconds(500), jitter: 0)
        #expect(planner.next(now: .milliseconds(500)) == .send(chunk: 0, replace: false))
        planner.handle(.chunkFailed(0, .network("gone")), now: .seconds(1), jitter: 0.5)
        #expect(planner.next(now: .seconds(1)) == .wait(until: .seconds(2)))
    }

    @Test func aChunkWhoseAnswerWasLostIsNotSentAgainWhereItIsStored() {
        var planner = PlannerScene.planner(2, parallel: 1)
        #expect(planner.next(now: .zero) == .send(chunk: 0, replace: false))
        planner.handle(.chunkFailed(0, .network("gone")), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .refresh)
        planner.handle(PlannerScene.refreshed(.inProgress, [0]), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .send(chunk: 1, replace: false))
    }

    /// That the server answers the question is no progress.
    @Test func chunksThatAreLostAgainAndAgainEndTheUpload() {
        var planner = PlannerScene.planner(parallel: 1)
        var (now, sends) = (Duration.zero, 0)
        while sends < 1000 {
            switch planner.next(now: now) {
            case .send(let index, _):
                sends += 1
                now += .milliseconds(10)
                planner.handle(.chunkFailed(index, .network("gone")), now: now, jitter: 0.5)
            case .refresh: planner.handle(PlannerScene.refreshed(.inProgress), now: now, jitter: 0.5)
            case .wait(let until): now = until
            case .failed(let error):
                guard case .gaveUp(seconds: 60, lastError: _) = error else {
                    Issue.record("\(error)")
                    return
                }
                #expect(now < .seconds(61) && sends > 5)
                return
            default:
                Issue.record("an unexpected step")
                return
            }
        }
        Issue.record("it goes on for ever")
    }

    @Test func aBusyChunkHoldsUpNoOther() {
        var planner = PlannerScene.planner(parallel: 1)
        _ = planner.next(now: .zero)
        planner.handle(.chunkFailed(0, PlannerScene.error(409, "CHUNK_IN_PROGRESS", retryAfter: 4)), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .send(chunk: 1, replace: false))
        planner.handle(.chunkStored(1), now: .seconds(5), jitter: 0)
        #expect(planner.next(now: .seconds(5)) == .send(chunk: 0, replace: false))
    }

    @Test func aChunkDamagedAgainAndAgainEndsTheUpload() {
        var planner = PlannerScene.planner(1)
        var sends = 0
        while case .send = planner.next(now: .zero), sends < 100 {
            sends += 1
            planner.handle(.chunkFailed(0, PlannerScene.error(422, "CHUNK_DIGEST_MISMATCH")), now: .zero, jitter: 0)
        }
        #expect(sends == 6)
        guard case .failed = planner.next(now: .zero) else {
            Issue.record("it goes on")
            return
        }
    }

    @Test func aWrongHashIsMendedByReplacing() {
        var planner = PlannerScene.planner(3, stored: [0, 1, 2])
        #expect(planner.next(now: .zero) == .complete)
        let chunks: JSONValue = [["index": 0, "checksum": "0000000a"], ["index": 2, "checksum": "ffffffff"]]
        planner.handle(.completeFailed(PlannerScene.error(422, "HASH_MISMATCH", ["chunks": chunks])), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .compare([0: 10, 2: .max]))
        planner.handle(.compared(differing: [2]), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .send(chunk: 2, replace: true))
        planner.handle(.chunkStored(2), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .complete)
    }

    @Test func verificationIsAwaitedWhileItMoves() {
        var planner = PlannerScene.planner(0)
        var now = Duration.zero
        for progress in 0..<50 {
            #expect(planner.next(now: now) == .complete)
            let reply = VerifyingReply(taskId: "t", progress: Double(progress))
            planner.handle(.completed(.verifying(reply, retryAfter: 10)), now: now, jitter: 0)
            now += .seconds(10)
        }
        planner.handle(.completed(.verifying(VerifyingReply(taskId: "t", progress: 49), retryAfter: 1)), now: now + .seconds(61), jitter: 0)
        guard case .failed(.gaveUp(seconds: 60, lastError: _)) = planner.next(now: now + .seconds(70)) else {
            Issue.record("it waits for ever")
            return
        }
    }

    @Test(arguments: [
        (TaskStatus.cancelled, DriveClientError.cancelledOnServer(taskId: "t")), (.paused, .pausedOnServer(taskId: "t")),
        (.failed, .uploadEnded(taskId: "t", reason: "it is Failed on the server.")),
        (.expired, .uploadEnded(taskId: "t", reason: "it is Expired on the server.")),
    ]) func anEndedTaskEndsTheUpload(status: TaskStatus, error: DriveClientError) {
        var planner = PlannerScene.planner()
        _ = planner.next(now: .zero)
        planner.handle(.chunkFailed(0, PlannerScene.error(409, "TASK_CLOSED")), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .refresh)
        planner.handle(PlannerScene.refreshed(status), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .failed(error))
    }

    @Test func aRenewedSessionGoesOnWithWhatIsMissing() {
        var planner = PlannerScene.planner()
        _ = planner.next(now: .zero)
        _ = planner.next(now: .zero)
        planner.handle(.chunkFailed(0, PlannerScene.error(401)), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .refresh)
        #expect(planner.next(now: .zero) == .idle)
        planner.handle(.chunkFailed(1, PlannerScene.error(401)), now: .zero, jitter: 0)
        planner.handle(PlannerScene.refreshed(.inProgress, [0, 3]), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .send(chunk: 1, replace: false))
        #expect(planner.next(now: .zero) == .send(chunk: 2, replace: false))
    }

    /// Whatever the network and the server do, as long as it passes: every chunk is stored, never more than `parallel`
    /// at once, and the upload ends. Replay one with its seed.
    @Test(arguments: 1...200 as ClosedRange<UInt64>) func everyStoryEndsWithAllChunks(seed: UInt64) {
        var random = Lehmer(state: seed)
        let count = Int.random(in: 0...40, using: &random)
        let parallel = Int.random(in: 1...5, using: &random)
        var planner = PlannerScene.planner(count, parallel: parallel)
        var stored: Set<Int> = []
        var inFlight: [Int] = []
        var now = Duration.zero
        for _ in 0..<20_000 {
            switch planner.next(now: now) {
            case .send(let index, _): inFlight.append(index)
            case .complete:
                let missing = (0..<count).filter { !stored.contains($0) }
                let event: UploadPlanner.Event =
                    missing.isEmpty
                    ? .completed(.file(PlannerScene.file))
                    : .completeFailed(
                        PlannerScene.error(409, "UPLOAD_INCOMPLETE", ["missingChunks": .array(missing.map { .integer(Int64($0)) })]))
                planner.handle(event, now: now, jitter: 0.5)
            case .refresh: planner.handle(PlannerScene.refreshed(.inProgress, stored.sorted()), now: now, jitter: 0.5)
            case .wait(let until): now = until
            case .idle: settle(&planner, &inFlight, &stored, now, &random)
            case .finished:
                #expect(stored.count == count)
                return
            case .compare, .failed:
                Issue.record("seed \(seed): unexpected step")
                return
            }
            #expect(inFlight.count <= parallel)
            if Bool.random(using: &random), !inFlight.isEmpty { settle(&planner, &inFlight, &stored, now, &random) }
        }
        Issue.record("seed \(seed): no end")
    }

    private func settle(
        _ planner: inout UploadPlanner, _ inFlight: inout [Int], _ stored: inout Set<Int>, _ now: Duration, _ random: inout Lehmer
    ) {
        guard let position = inFlight.indices.randomElement(using: &random) else { return }
        let index = inFlight.remove(at: position)
        let event: UploadPlanner.Event
        switch Int.random(in: 0..<10, using: &random) {
        case 0: event = .chunkFailed(index, .network("gone"))
        case 1:
            // The reply was lost, the chunk was not.
            stored.insert(index)
            event = .chunkFailed(index, .network("gone"))
        case 2: event = .chunkFailed(index, PlannerScene.error(503, retryAfter: 2))
        case 3: event = .chunkFailed(index, PlannerScene.error(409, "CHUNK_IN_PROGRESS"))
        case 4 where Int.random(in: 0..<4, using: &random) == 0: event = .chunkFailed(index, PlannerScene.error(401))
        default:
            event =
                stored.insert(index).inserted ? .chunkStored(index) : .chunkFailed(index, PlannerScene.error(409, "CHUNK_ALREADY_UPLOADED"))
        }
        planner.handle(event, now: now, jitter: Double.random(in: 0..<1, using: &random))
    }
}
