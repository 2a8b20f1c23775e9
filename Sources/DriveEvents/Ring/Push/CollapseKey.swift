import Crypto
import DriveModel
import Foundation

/// A collapse key in the form a provider takes: itself where it fits, else a digest of it.
enum CollapseKey {
    /// `Topic` of Web Push: at most 32 characters of base64url (RFC 8030 section 5.4).
    static func webPushTopic(_ key: String) -> String {
        let fits = (1...32).contains(key.utf8.count) && key.utf8.allSatisfy { ASCII.isAlphanumeric($0) || $0 == 0x2D || $0 == 0x5F }
        return fits ? key : String(digest(key).prefix(32))
    }

    /// `apns-collapse-id`: at most 64 bytes; FCM's `collapse_key` gets the same.
    static func short(_ key: String) -> String {
        (1...64).contains(key.utf8.count) && key.utf8.allSatisfy(ASCII.isVisible) ? key : digest(key)
    }

    /// 43 characters.
    private static func digest(_ key: String) -> String {
        Base64URL.encode(SHA256.hash(data: Data(key.utf8)))
    }
}
