import DriveModel
import HTTPTypes
import Hummingbird

/// All routes of the API. Each stands under `/api` and, for gateways, under `/drive`.
enum RouteTable {
    static let prefixes = ["/api", "/drive"]

    static let api: [Route] =
        UploadRoutes.all + TusRoutes.all + ResumableRoutes.all + FileRoutes.all + BundleRoutes.all + PoolRoutes.all + BillingRoutes.all
        + TaskRoutes.all + TaskBatchRoutes.all + TaskWorkRoutes.all + AdminRoutes.all + AdminTokenRoutes.all + AdminTaskRoutes.all
        + EventRoutes.all + NotificationRoutes.all

    /// Outside the prefix.
    static let root: [Route] = HealthRoutes.all + EventRoutes.root
}
