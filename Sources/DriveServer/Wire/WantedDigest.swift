import DriveCrypto

/// `Want-Repr-Digest` and `Want-Content-Digest` (RFC 9530 §4): which digest a client prefers.
enum WantedDigest {
    /// The algorithm to answer with.
    ///
    /// Weights run from 1, the least preferred, to 10; 0 is not acceptable. A malformed field, and a weight that is none, ask for nothing.
    /// - Parameter available: what can be answered, the one preferred here first.
    static func choice(_ text: String, among available: [DigestAlgorithm]) -> DigestAlgorithm? {
        guard let weights = StructuredField.integers(text) else { return nil }
        var best: (algorithm: DigestAlgorithm, weight: Int64)?
        for algorithm in available {
            guard let weight = weights[ContentDigest.key(of: algorithm)], (1...10).contains(weight) else { continue }
            if weight > best?.weight ?? 0 { best = (algorithm, weight) }
        }
        return best?.algorithm
    }
}
