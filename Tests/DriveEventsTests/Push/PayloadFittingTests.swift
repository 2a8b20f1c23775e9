import DriveModel
import Foundation
import TestSupport
import Testing

@testable import DriveEvents

@Suite struct PayloadFittingTests {
    /// Characters of one to many bytes, of one to many scalars, and those JSON escapes.
    private static let alphabet: [Character] = ["a", "\"", "\\", "\n", "\u{1}", "é", "e\u{301}", "漢", "😀", "👩‍👩‍👧‍👦", "🇩🇪", " "]

    private static func text(_ count: Int, _ generator: inout SeededGenerator) -> String {
        String((0..<count).compactMap { _ in alphabet.randomElement(using: &generator) })
    }

    private static func fields(_ payload: [UInt8]) throws -> [String: JSONValue] {
        try JSONDecoder().decode([String: JSONValue].self, from: Data(payload))
    }

    /// Whether `cut` is the whole text, or whole first characters of it and an ellipsis.
    private static func isCut(_ cut: String, of whole: String) -> Bool {
        cut == whole || cut.isEmpty || (cut.last == "…" && Array(whole).starts(with: Array(cut).dropLast()))
    }

    @Test(arguments: 0..<60)
    func whateverTheTextsThePayloadIsValidAndFits(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        func size() -> Int { [0, 5, 50, 400, 3000].randomElement(using: &generator) ?? 0 }
        let original = PushNotification(
            topic: "t", title: Self.text(size(), &generator), subtitle: Self.text(size(), &generator), body: Self.text(size(), &generator),
            meta: Bool.random(using: &generator) ? ["m": .string(Self.text(size(), &generator))] : nil,
            actionURI: Bool.random(using: &generator) ? Self.text(size(), &generator) : nil)
        let options = try PushSamples.options()

        let webPush = try #require(WebPushPayload.payload(original, options: options))
        #expect(webPush.count <= 3993)
        let fields = try Self.fields(webPush)
        #expect(Self.isCut(fields["title"]?.string ?? "", of: original.title))
        #expect(Self.isCut(fields["subtitle"]?.string ?? "", of: original.subtitle))
        #expect(Self.isCut(fields["body"]?.string ?? "", of: original.body))
        // Fields for programs are whole or absent.
        #expect(fields["meta"] == nil || fields["meta"] == original.meta)
        #expect(fields["actionUri"] == nil || fields["actionUri"]?.string == original.actionURI)

        let apns = try #require(APNsPayload.payload(original))
        #expect(apns.count <= 4096)
        let alert = try #require(Self.fields(apns)["aps"]?["alert"])
        #expect(Self.isCut(alert["body"]?.string ?? "", of: original.body))

        let fcm = try #require(FCMMessage.body(original, to: PushSamples.fcmDevice(), options: options))
        let message = try #require(Self.fields(fcm)["message"])
        #expect(message["token"] == "fPq:APA91b-token_1")
        #expect(Self.isCut(message["notification"]?["body"]?.string ?? "", of: original.body))
    }

    private func cut(_ notification: PushNotification, limit: Int) throws -> [String: JSONValue]? {
        let payload = PayloadFitting.payload(notification, limit: limit) { notification in
            var writer = JSONObjectWriter()
            writer.add("t", notification.topic)
            writer.add("title", notification.title)
            writer.add("subtitle", notification.subtitle)
            writer.add("body", notification.body)
            if let meta = notification.metaObject { writer.add("meta", meta) }
            if let address = notification.actionURI { writer.add("uri", address) }
            return Array(writer.text.utf8)
        }
        guard let payload else { return nil }
        #expect(payload.count <= limit)
        return try Self.fields(payload)
    }

    @Test func whatFitsIsSentAsItIs() throws {
        let fields = try #require(try cut(PushSamples.notification, limit: 4096))
        #expect(fields["body"]?.string == PushSamples.notification.body)
        #expect(fields["meta"] == PushSamples.notification.meta)
        #expect(fields["uri"]?.string == PushSamples.notification.actionURI)
    }

    @Test func theBodyGivesWayFirst() throws {
        var notification = PushSamples.notification
        notification.body = String(repeating: "x", count: 5000)
        let fields = try #require(try cut(notification, limit: 1000))
        #expect(fields["meta"] == notification.meta)
        #expect(fields["title"]?.string == notification.title)
        // As much of it as fits, to the byte.
        let longer = try #require(try cut(notification, limit: 1001))
        #expect(longer["body"]?.string?.utf8.count == (fields["body"]?.string?.utf8.count ?? 0) + 1)
    }

    @Test func thenTheFieldsForPrograms() throws {
        var notification = PushSamples.notification
        notification.meta = ["blob": .string(String(repeating: "y", count: 800))]
        notification.body = String(repeating: "x", count: 500)
        let fields = try #require(try cut(notification, limit: 1000))
        #expect(fields["meta"] == nil)
        #expect(fields["body"]?.string == notification.body)
        #expect(fields["uri"]?.string == notification.actionURI)
    }

    @Test func thenEverythingElse() throws {
        let notification = PushNotification(
            topic: "t", title: String(repeating: "é", count: 400), subtitle: String(repeating: "s", count: 400),
            body: String(repeating: "x", count: 500), actionURI: String(repeating: "u", count: 300))
        let withAddress = try #require(try cut(notification, limit: 1300))
        #expect(withAddress["body"] == "")
        #expect(withAddress["uri"]?.string == notification.actionURI)
        let withoutAddress = try #require(try cut(notification, limit: 500))
        #expect(withoutAddress["uri"] == nil)
        #expect(withoutAddress["subtitle"] == "")
        #expect(withoutAddress["title"]?.string?.hasSuffix("é…") == true)
        #expect(try cut(notification, limit: 20) == nil)
    }

    @Test func aTopicThatIsTooLongIsRefused() async throws {
        var notification = PushSamples.notification
        notification.topic = String(repeating: "t", count: 5000)
        let transport = ScriptedTransport(.status(200))
        let provider = try APNsProvider(
            credentials: PushSamples.apnsCredentials(), transport: transport, surroundings: PushClock().surroundings())
        let outcome = await provider.send(notification, to: try PushSamples.apnsDevice(), options: try PushSamples.options())
        #expect(outcome == .refused(reason: "payload-too-large"))
        #expect(transport.requests.isEmpty)
    }
}
