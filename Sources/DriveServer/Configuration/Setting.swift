/// One setting: its names, its place in the configuration, its parser, and what it is for.
package struct Setting<Value: Sendable>: Sendable {
    /// The key, which is also the path in the YAML file, its parts joined by dots.
    package let key: String
    package let environment: String
    /// The option of `drive serve`; nil where there is none.
    package let option: String?
    /// Whether the value must not be shown.
    package let isSecret: Bool
    package let documentation: String
    let parser: ValueParser<Value>
    let place: any WritableKeyPath<DriveConfiguration, Value> & Sendable

    /// - Parameters:
    ///   - place: Where the value lives; its value in `DriveConfiguration()` is the default.
    ///   - documentation: One sentence for operators.
    init(
        _ place: any WritableKeyPath<DriveConfiguration, Value> & Sendable, _ key: String, _ environment: String, option: String? = nil,
        _ parser: ValueParser<Value>, secret: Bool = false, _ documentation: String
    ) {
        self.key = key
        self.environment = environment
        self.option = option
        self.isSecret = secret
        self.documentation = documentation
        self.parser = parser
        self.place = place
    }
}

/// A setting whatever its type, for reading, help and documentation.
package protocol SettingDescription: Sendable {
    var key: String { get }
    var environment: String { get }
    var option: String? { get }
    var isSecret: Bool { get }
    var documentation: String { get }
    /// What may be given, as a phrase.
    var allowed: String { get }
    /// Whether an empty text is a value; where it is not, an empty environment variable counts as not set.
    var acceptsEmpty: Bool { get }
    /// The default, as it would be written; empty for none.
    var defaultText: String { get }

    /// Reads a value into its place.
    func apply(_ node: ConfigurationNode, to configuration: inout DriveConfiguration) throws(ValueRejection)
    /// The value in a configuration, as it would be written; a secret's is `(hidden)`.
    func text(in configuration: DriveConfiguration) -> String
}

extension Setting: SettingDescription {
    package var allowed: String { parser.allowed }
    package var acceptsEmpty: Bool { parser.acceptsEmpty }
    package var defaultText: String { text(in: DriveConfiguration()) }

    package func apply(_ node: ConfigurationNode, to configuration: inout DriveConfiguration) throws(ValueRejection) {
        configuration[keyPath: place] = try parser.parse(node)
    }

    package func text(in configuration: DriveConfiguration) -> String {
        parser.format(configuration[keyPath: place])
    }
}

/// Lets the table be written as a plain list that the compiler checks row by row.
@resultBuilder
enum SettingsBuilder {
    static func buildExpression<Value>(_ setting: Setting<Value>) -> any SettingDescription { setting }
    static func buildBlock(_ settings: any SettingDescription...) -> [any SettingDescription] { settings }
}
