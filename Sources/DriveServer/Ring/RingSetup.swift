import DriveDatabase
import DriveEvents
import DriveModel
import DriveRing
import Foundation
import Logging
import NIOCore
import NIOSSL

/// The push providers that the configuration sets up.
struct RingSetup: Sendable {
    var providers = PushProviders()
    var vapidPublicKey: String?

    /// No key file is longer.
    private static let longestFile = 64 << 10

    /// - Throws: `SecretError` naming the setting; the database's error.
    init(
        _ configuration: DriveConfiguration, database: any Database, masterKey: MasterKey, policy: PushAddressPolicy,
        transport: any PushTransport, surroundings: Surroundings, logger: Logger
    ) async throws {
        let ring = configuration.ring
        if ring.webPush {
            let keeper = VAPIDKeyKeeper(database: database, masterKey: masterKey, surroundings: surroundings)
            do {
                let text: String
                if let file = ring.vapidKeyFile {
                    text = try Self.text(of: file, setting: "ring.vapidKeyFile")
                } else {
                    text = try await keeper.loadOrCreate()
                }
                let key = try Self.naming("ring.vapidKeyFile") { () throws(PushCredentialsError) in
                    try VAPIDKey(privateKey: text, subject: Self.subject(configuration))
                }
                providers.webPush = WebPushProvider(key: key, policy: policy, transport: transport, surroundings: surroundings)
                vapidPublicKey = key.publicKey
            } catch let failure as SecretSeal.Failure {
                // The subscriptions are sealed with the same master key: with another one nothing could be sent anyway.
                logger.error(
                    "Web Push is off: its key was sealed with another master key",
                    metadata: ["reason": "\(failure)", "setting": "access.masterKey"])
            }
        }
        if let file = ring.apnsKeyFile {
            let text = try Self.text(of: file, setting: "ring.apnsKeyFile")
            providers.apns = try Self.naming("ring.apnsKeyFile") { () throws(PushCredentialsError) in
                try APNsProvider(
                    credentials: APNsCredentials(
                        key: text, keyID: ring.apnsKeyId ?? "", teamID: ring.apnsTeamId ?? "", topic: ring.apnsTopic ?? ""),
                    server: ring.apnsServer, transport: transport, surroundings: surroundings)
            }
        }
        if let file = ring.fcmServiceAccountFile {
            let text = try Self.text(of: file, setting: "ring.fcmServiceAccountFile")
            providers.fcm = try Self.naming("ring.fcmServiceAccountFile") { () throws(PushCredentialsError) in
                try FCMProvider(
                    account: FCMServiceAccount(json: text), server: ring.fcmServer, transport: transport, surroundings: surroundings)
            }
        }
    }

    /// Where push services reach the operator (RFC 8292 section 2.1).
    static func subject(_ configuration: DriveConfiguration) -> String {
        if let subject = configuration.ring.vapidSubject { return subject }
        if let address = configuration.server.publicURL, address.hasPrefix("https://") { return address }
        return "mailto:drive@localhost"
    }

    /// The client of another program's RingService; nil where there is none. Blocks a little.
    static func gateway(_ configuration: DriveConfiguration, eventLoopGroup: any EventLoopGroup) throws -> RingGatewayClient? {
        guard let address = configuration.ring.url.flatMap({ RingAddress($0) }) else { return nil }
        let authorities = try configuration.ring.caFile.map { Array(try text(of: $0, setting: "ring.caFile").utf8) }
        do {
            return try RingGatewayClient(
                address: address, token: configuration.ring.token?.value, authorities: authorities, eventLoopGroup: eventLoopGroup)
        } catch {
            throw SecretError(message: "ring.url, ring.caFile: they cannot be used: \(error)")
        }
    }

    /// Certificates in a PEM file; none without one. Blocks.
    static func authorities(_ file: String?) throws -> [NIOSSLCertificate] {
        guard let file else { return [] }
        do {
            return try NIOSSLCertificate.fromPEMBytes(Array(try text(of: file, setting: "ring.caFile").utf8))
        } catch let error as SecretError {
            throw error
        } catch {
            throw SecretError(message: "ring.caFile: \(file) holds no certificate in PEM, or one that is damaged")
        }
    }

    private static func text(of file: String, setting: String) throws(SecretError) -> String {
        guard let content = FileManager.default.contents(atPath: file) else {
            throw SecretError(message: "\(setting): \(file) cannot be read")
        }
        guard content.count <= longestFile, let text = String(data: content, encoding: .utf8) else {
            throw SecretError(message: "\(setting): \(file) is no key file")
        }
        return text
    }

    private static func naming<Value>(_ setting: String, _ make: () throws(PushCredentialsError) -> Value) throws(SecretError) -> Value {
        do { return try make() } catch { throw SecretError(message: "\(setting): \(error)") }
    }
}
