import Foundation

/// Finds and reads the configuration file.
package enum ConfigurationFile {
    /// The setting under which problems of the file itself are reported.
    static let settingName = "the configuration file"

    /// Where the file is looked for: by `--config`, by `DRIVE_CONFIG`, or in the data folder, where it may be missing.
    static func location(
        option: String?, overrides: [String: String], environment: [String: String]
    ) -> (path: String, origin: ConfigurationOrigin, isRequired: Bool) {
        if let option, !option.isEmpty { return (option, .commandLine(option: "--config"), true) }
        if let path = environment["DRIVE_CONFIG"], !path.isEmpty { return (path, .environment(name: "DRIVE_CONFIG"), true) }
        let given = [overrides["data"], environment["DRIVE_DATA"]].compactMap { $0 }.first { !$0.isEmpty }
        let path = DriveConfiguration.path("drive.yaml", in: given ?? DriveConfiguration().dataFolder)
        return (path, .defaultValue, false)
    }

    /// The largest file that is read, in bytes.
    static let sizeLimit = 1 << 20

    /// The file's path and text; nil where none was named and the data folder has none.
    static func read(
        option: String?, overrides: [String: String], environment: [String: String]
    ) throws(ConfigurationError) -> (path: String, text: String)? {
        let (path, origin, isRequired) = location(option: option, overrides: overrides, environment: environment)
        do {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            guard data.count <= sizeLimit, let text = String(bytes: data, encoding: .utf8) else {
                throw ConfigurationError(problems: [
                    ConfigurationProblem(
                        setting: settingName, value: .shown(path), origin: origin, reason: "is not a text of at most 1 MiB in UTF-8")
                ])
            }
            return (path, text)
        } catch let error as ConfigurationError {
            throw error
        } catch {
            let isMissing = (error as? CocoaError)?.code == .fileReadNoSuchFile || (error as? CocoaError)?.code == .fileNoSuchFile
            if isMissing, !isRequired { return nil }
            throw ConfigurationError(problems: [
                ConfigurationProblem(
                    setting: settingName, value: .shown(path), origin: origin, reason: isMissing ? "does not exist" : "cannot be read")
            ])
        }
    }
}

extension DriveConfiguration {
    /// Reads the file, if there is one, and loads the configuration; blocking, for the start of the process.
    ///
    /// - Parameters:
    ///   - configPath: The value of `--config`.
    ///   - overrides: Values of the command line, by the key of their setting.
    ///   - environment: The environment of the process; this default is the one place that reads it.
    package static func read(
        configPath: String? = nil, overrides: [String: String] = [:],
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(ConfigurationError) -> DriveConfiguration {
        let file = try ConfigurationFile.read(option: configPath, overrides: overrides, environment: environment)
        return try load(overrides: overrides, environment: environment, file: file)
    }
}
