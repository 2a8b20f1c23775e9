import DriveEvents
import DriveModel
import DriveTasks
import Testing

@testable import DriveServer

/// What another program's packets may be.
@Suite struct RingPacketRuleTests {
    private static func packet(bytes: Int) -> RingPacket {
        RingPacket(type: "task.completed", data: #"{"results":""# + String(repeating: "x", count: bytes - 14) + #""}"#)
    }

    /// An event with the largest results that a worker may say, whose task is named by 255 quotation marks.
    @Test(arguments: [(262_144 + 1000, true), (320 << 10, true), (320 << 10 | 1, false)])
    func anEventOfAnotherDriveIsNotTooLarge(bytes: Int, isTaken: Bool) {
        let packet = Self.packet(bytes: bytes)
        #expect(packet.data.utf8.count == bytes)
        if isTaken {
            #expect(throws: Never.self) { try RingDesk.check(packet) }
        } else {
            let error = #expect(throws: DriveError.self) { try RingDesk.check(packet) }
            #expect(error?.code == .invalidRequest && error?.details["rule"] == "packet.data")
        }
    }

    @Test func theBoundIsThatOfAnEvent() {
        #expect(RingDesk.Limits.packet == TaskRequestRules.maximumStoredBytes + (64 << 10))
    }

    /// Whatever stands behind it: as characters, its last digit and an accent are one.
    @Test(arguments: [
        (#"{"a":"\u0000"}"#, false), (#"{"a":"\u0000\#u{301}"}"#, false), (#"{"a\u0000\#u{301}":[1]}"#, false),
        (#"{"a":"\\u0000"}"#, true), (#"{"a":"\\u0000\#u{301}"}"#, true),
    ])
    func aNULIsRefusedAndItsLettersAreNot(data: String, isTaken: Bool) {
        let packet = RingPacket(type: "task.completed", data: data)
        if isTaken {
            #expect(throws: Never.self) { try RingDesk.check(packet) }
        } else {
            let error = #expect(throws: DriveError.self) { try RingDesk.check(packet) }
            #expect(error?.code == .invalidRequest && error?.details["rule"] == "packet.data")
        }
    }

    @Test(arguments: RingDesk.reservedTypes.sorted()) func theStreamsOwnWordsAreRefused(type: String) {
        let error = #expect(throws: DriveError.self) { try RingDesk.check(RingPacket(type: type, data: "{}")) }
        #expect(error?.details["rule"] == "packet.type")
    }
}
