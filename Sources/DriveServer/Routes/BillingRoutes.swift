import DriveUploads
import Hummingbird

/// `/billing`: what an account may use and uses.
enum BillingRoutes {
    static let all: [Route] = [
        Route(.get, "/billing/quota", .account) { call in
            try call.reply(
                try await call.services.files.quota(account: try call.account, default: call.services.configuration.quota.defaultBytes))
        },
        Route(.get, "/billing/usage", .account) { call in
            try call.reply(try await call.services.files.usage(account: try call.account))
        },
    ]
}
