/// The absolute addresses of one request's answers.
extension PublicAddress {
    func upload(_ taskId: String) -> String { base + ResumableFace.path + "/" + taskId }
    func file(_ fileId: String) -> String { base + "/files/" + fileId }
}
