import DriveModel

extension ContentDisposition {
    /// The file's name that a request's `Content-Disposition` gives, whatever its type (RFC 6266 §4.2, §4.3), as a name that may be
    /// stored; nil where there is none.
    ///
    /// Of a path the last component is the name. What a name must not have becomes `_`; what is too long loses its middle, so that
    /// the extension stays.
    static func fileName(in text: String) -> String? {
        guard let header = HeaderParameters(text.utf8) else { return nil }
        // The extended form wins where it can be decoded.
        let name = header["filename*"].flatMap(PartHeaders.decodeExtended) ?? header["filename"].map(PartHeaders.decodeBrowserEscapes)
        return name.flatMap(label)
    }

    private static func label(_ name: String) -> String? {
        let separators: Set<Unicode.Scalar> = ["/", "\\"]
        guard let last = name.unicodeScalars.split(omittingEmptySubsequences: true, whereSeparator: separators.contains).last else {
            return nil
        }
        var label = String.UnicodeScalarView()
        for scalar in last.prefix(16 * FileName.maximumBytes) { label.append(isUnsafe(scalar) ? "_" : scalar) }
        return try? FileName(FileName.shortened(String(label))).value
    }
}
