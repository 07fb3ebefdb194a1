// SPDX-License-Identifier: MIT
import CBitnet

extension Model {
  /// Told how many of how many bytes are through, on the thread that made the call. False cancels the call, and so does an
  /// error, which comes out of it.
  public typealias Progress = (_ done: UInt64, _ total: UInt64) throws -> Bool
}

/// What C calls back, and what that threw.
private struct Reporter {
  let progress: Model.Progress
  var error: Error?
}

private func report(_ user: UnsafeMutableRawPointer?, _ done: UInt64, _ total: UInt64) -> Int32 {
  let reporter = user!.assumingMemoryBound(to: Reporter.self)
  do {
    return try reporter.pointee.progress(done, total) ? 0 : 1
  } catch {
    reporter.pointee.error = error
    return 1
  }
}

/// Makes a call with the function that C reports progress to, and with what C gives that function.
func reporting<R>(
  to progress: Model.Progress?, _ call: (bitnet_progress_fn?, UnsafeMutableRawPointer?) throws -> R
) throws -> R {
  guard let progress else { return try call(nil, nil) }
  return try withoutActuallyEscaping(progress) { progress in
    var reporter = Reporter(progress: progress)
    do {
      return try withUnsafeMutablePointer(to: &reporter) { try call(report, $0) }
    } catch {
      throw reporter.error ?? error
    }
  }
}
