import TestSupport
import Testing

@testable import DriveUploads

@Suite struct StreamLedgerTests {
    @Test func bytesAreAppendedInOrder() {
        var ledger = StreamLedger(offset: 0, length: 10)
        #expect(ledger.append(at: 0) == .granted(1))
        #expect(ledger.finish(1, keepingTo: 4) == true)
        #expect(ledger.append(at: 0) == .mismatch(offset: 4))
        #expect(ledger.append(at: 5) == .mismatch(offset: 4))
        #expect(ledger.beginCompleting() == .incomplete(offset: 4, length: 10))
        #expect(ledger.append(at: 4) == .granted(2))
        #expect(ledger.beginCompleting() == .closed)
        #expect(ledger.finish(2, keepingTo: 10) == true)
        #expect(ledger.isWhole)
        #expect(ledger.beginCompleting() == .proceed)
        #expect(ledger.append(at: 10) == .closed)
        ledger.endCompleting(succeeded: false)
        #expect(ledger.append(at: 10) == .granted(3))
    }

    /// The old connection is dead, and only its client knows: the next request ends it.
    @Test func aNewRequestEndsTheOneBeforeIt() {
        var ledger = StreamLedger(offset: 3, length: nil)
        #expect(ledger.append(at: 3) == .granted(1))
        ledger.reach(9, writer: 1)
        // It can never fit, so nobody is ended for it.
        #expect(ledger.append(at: 2) == .mismatch(offset: 9))
        #expect(ledger.append(at: 7) == .end(1))
        #expect(ledger.currentOffset() == .end(1))
        #expect(ledger.finish(1, keepingTo: 7) == true)
        #expect(ledger.finish(1, keepingTo: 9) == false)
        #expect(ledger.currentOffset() == .tell(7))
        #expect(ledger.append(at: 7) == .granted(2))
    }

    @Test func aRefusedWriterKeepsNothing() {
        var ledger = StreamLedger(offset: 5, length: 20)
        #expect(ledger.append(at: 5) == .granted(1))
        ledger.reach(12, writer: 1)
        #expect(ledger.finish(1, keepingTo: 5) == true)
        #expect(ledger.currentOffset() == .tell(5))
        #expect(ledger.append(at: 12) == .mismatch(offset: 5))
    }

    @Test func aLengthIsDeclaredOnce() {
        var ledger = StreamLedger(offset: 5, length: nil)
        #expect(ledger.beginCompleting() == .incomplete(offset: 5, length: nil))
        #expect(ledger.declare(4) == .tooShort(offset: 5))
        #expect(ledger.declare(8) == .declared)
        #expect(ledger.declare(8) == .known)
        #expect(ledger.declare(9) == .differs(from: 8))
        #expect(ledger.length == 8)
    }

    @Test func nothingIsTakenAfterItsEnd() {
        var ledger = StreamLedger(offset: 0, length: 0)
        #expect(ledger.beginCompleting() == .proceed)
        ledger.endCompleting(succeeded: true)
        #expect(ledger.append(at: 0) == .closed)
        #expect(ledger.beginCompleting() == .closed)
        #expect(ledger.currentOffset() == .tell(0))
    }

    /// Whatever many senders ask in whatever order: one writes at a time, and kept bytes never become fewer.
    @Test(arguments: 0..<50 as Range<UInt64>) func manySenders(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var ledger = StreamLedger(offset: 0, length: 1000)
        var writer: (id: StreamLedger.WriterID, start: Int64)?
        var kept: Int64 = 0
        for _ in 0..<400 {
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                let start = Bool.random(using: &random) ? ledger.offset : Int64.random(in: 0...1000, using: &random)
                switch ledger.append(at: start) {
                case .granted(let id):
                    #expect(writer == nil && start == kept)
                    writer = (id, start)
                case .end(let id): #expect(writer?.id == id)
                case .mismatch: #expect(start != kept || writer != nil)
                case .closed: #expect(ledger.phase != .open)
                }
            case 1:
                guard let current = writer else { continue }
                ledger.reach(min(1000, current.start + Int64.random(in: 0...300, using: &random)), writer: current.id)
                #expect(ledger.offset == kept)
            case 2:
                guard let current = writer else { continue }
                let end = min(1000, current.start + Int64.random(in: 0...200, using: &random))
                #expect(ledger.finish(current.id, keepingTo: end) == true)
                kept = end
                writer = nil
            default:
                if ledger.beginCompleting() == .proceed {
                    #expect(kept == 1000)
                    ledger.endCompleting(succeeded: Bool.random(using: &random))
                }
            }
            #expect(ledger.offset == kept)
        }
    }
}
