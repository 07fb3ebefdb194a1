// SPDX-License-Identifier: MIT
import CBitnet
import Foundation

/// A request to stop, made by the task that awaits an evaluation, and seen by the thread that evaluates.
final class Cancellation: @unchecked Sendable {  // the lock guards all there is
  private let lock = NSLock()
  private var requested = false

  var isRequested: Bool {
    lock.lock()
    defer { lock.unlock() }
    return requested
  }

  func request() {
    lock.lock()
    defer { lock.unlock() }
    requested = true
  }

  /// Makes a call that the request cancels.
  func during<R>(_ call: () throws -> R) throws -> R {
    if isRequested { throw CancellationError() }
    pthread_setspecific(running, Unmanaged.passUnretained(self).toOpaque())
    defer { pthread_setspecific(running, nil) }
    do {
      return try call()
    } catch let error as BitnetError where error.status == .cancelled && isRequested {
      throw CancellationError()
    }
  }
}

/// Of each thread: the `Cancellation` of the call that it is in.
private let running: pthread_key_t = {
  var key = pthread_key_t()
  pthread_key_create(&key, nil)
  return key
}()

/// What a session asks between layers, on the evaluating thread. Forks share it, so that it goes by the thread.
func abortRunning(_: UnsafeMutableRawPointer?) -> Int32 {
  guard let current = pthread_getspecific(running) else { return 0 }
  return Unmanaged<Cancellation>.fromOpaque(current).takeUnretainedValue().isRequested ? 1 : 0
}
