// SPDX-License-Identifier: MIT
import CBitnet

/// What C tells the log to, as long as this lives.
final class Logger {
  private let log: @Sendable (LogLevel, String) -> Void

  init(log: @escaping @Sendable (LogLevel, String) -> Void) { self.log = log }

  /// Sets what options say of the log.
  func listen(_ function: inout bitnet_log_fn?, _ user: inout UnsafeMutableRawPointer?) {
    user = Unmanaged.passUnretained(self).toOpaque()
    function = { user, level, line in
      let logger = Unmanaged<Logger>.fromOpaque(user!).takeUnretainedValue()
      logger.log(LogLevel(level) ?? .info, String(cString: line!))
    }
  }
}
