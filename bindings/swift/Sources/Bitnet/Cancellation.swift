// SPDX-License-Identifier: MIT
import CBitnet
import Foundation

/// A request to stop, made by the task that awaits an evaluation, which tells the session.
final class Cancellation: @unchecked Sendable {  // the lock guards all there is
  private let session: OpaquePointer
  private let lock = NSLock()
  private var requested = false
  private var running = false

  init(_ session: OpaquePointer) { self.session = session }

  var isRequested: Bool {
    lock.lock()
    defer { lock.unlock() }
    return requested
  }

  func request() {
    lock.lock()
    defer { lock.unlock() }
    requested = true
    if running { bitnet_session_cancel(session, 1) }
  }

  /// Makes a call that the request cancels.
  func during<R>(_ call: () throws -> R) throws -> R {
    try begin()
    defer { end() }
    do {
      return try call()
    } catch let error as BitnetError where error.status == .cancelled && isRequested {
      throw CancellationError()
    }
  }

  private func begin() throws {
    lock.lock()
    defer { lock.unlock() }
    if requested { throw CancellationError() }
    running = true
  }

  /// A request that came too late is not for the session's next call.
  private func end() {
    lock.lock()
    defer { lock.unlock() }
    running = false
    if requested { bitnet_session_cancel(session, 0) }
  }
}
