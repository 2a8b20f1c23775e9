/// What `strace -f -y` wrote, as calls with their place among each other.
struct SyscallTrace {
    struct Call: CustomStringConvertible {
        var name: String
        /// Everything between the brackets, both halves of an interrupted line.
        var arguments: String
        var result: String
        /// Lines at which it began and ended: between them other threads' calls may stand.
        var began: Int
        var ended: Int

        var description: String { "\(began)…\(ended) \(name)(\(arguments.prefix(200))) = \(result)" }
    }

    let calls: [Call]

    /// Calls in the order in which they ended.
    init(_ text: String) {
        var calls: [Call] = []
        // By thread: the call that another thread's line interrupted.
        var open: [Substring: Call] = [:]
        for (number, line) in text.split(separator: "\n").enumerated() {
            guard let space = line.firstIndex(of: " ") else { continue }
            let thread = line[..<space]
            let rest = line[space...].drop { $0 == " " }
            if rest.hasPrefix("<... ") {
                guard var call = open.removeValue(forKey: thread), let mark = rest.firstRange(of: " resumed>") else { continue }
                let (arguments, result) = Self.split(rest[mark.upperBound...])
                call.arguments += arguments
                call.result = result
                call.ended = number
                calls.append(call)
                continue
            }
            guard let bracket = rest.firstIndex(of: "("), rest[..<bracket].allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) else {
                continue
            }
            let name = String(rest[..<bracket])
            let tail = rest[rest.index(after: bracket)...]
            if let cut = tail.firstRange(of: " <unfinished ...>") {
                open[thread] = Call(name: name, arguments: String(tail[..<cut.lowerBound]), result: "", began: number, ended: .max)
            } else {
                let (arguments, result) = Self.split(tail)
                calls.append(Call(name: name, arguments: arguments, result: result, began: number, ended: number))
            }
        }
        self.calls = calls
    }

    /// `arguments) = result`, at the last bracket that is followed by an equals sign.
    private static func split(_ text: Substring) -> (String, String) {
        let ends = text.ranges(of: ") ")
        for end in ends.reversed() {
            let after = text[end.upperBound...].drop { $0 == " " }
            if after.hasPrefix("= ") { return (String(text[..<end.lowerBound]), String(after.dropFirst(2))) }
        }
        return (String(text), "")
    }

    /// The first call that began after a line and fits.
    func first(after line: Int = -1, _ fits: (Call) -> Bool) -> Call? {
        calls.filter { $0.began > line && fits($0) }.min { $0.began < $1.began }
    }

    /// The last call that ended before a line and fits.
    func last(before line: Int, _ fits: (Call) -> Bool) -> Call? {
        calls.filter { $0.ended < line && fits($0) }.max { $0.ended < $1.ended }
    }
}
