// SPDX-License-Identifier: MIT
import CBitnet
import Foundation

/// Text being generated, in pieces of whole characters, by `for try await`. Each piece is computed when it is asked for; the
/// first one starts it. Cancelling the task that asks throws a `CancellationError`; changing the session otherwise ends the
/// text with an error.
///
/// There is one text, of which each loop and stream takes what the others have left.
public final class Generation: AsyncSequence, @unchecked Sendable {  // the session's queue guards number, the lock the rest
  public typealias Element = String

  /// In which it is generated.
  public let session: Session
  private let start: @Sendable (OpaquePointer) throws -> OpaquePointer
  private var number: Int?
  private let lock = NSLock()
  private var drawn: [Token] = []
  private var reason: Finish?

  init(_ session: Session, start: @escaping @Sendable (OpaquePointer) throws -> OpaquePointer) {
    self.session = session
    self.start = start
  }

  public struct AsyncIterator: AsyncIteratorProtocol {
    let generation: Generation

    public mutating func next() async throws -> String? { try await generation.next() }
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(generation: self) }

  /// The pieces from here on, as the type that the standard library has for them. It ends without an error if its task is
  /// cancelled between pieces.
  public var stream: AsyncThrowingStream<String, Error> { AsyncThrowingStream { try await self.next() } }

  /// The tokens drawn so far.
  public var tokens: [Token] {
    lock.lock()
    defer { lock.unlock() }
    return drawn
  }

  /// Why the text ended; nil while there may be more to come.
  public var finish: Finish? {
    lock.lock()
    defer { lock.unlock() }
    return reason
  }

  /// The next text that is not empty, or nil at the end.
  private func next() async throws -> String? {
    try await session.run { [self] in
      while finish == nil {
        let text = try step()
        if !text.isEmpty { return text }
      }
      return nil
    }
  }

  /// Draws one token.
  private func step() throws -> String {
    let number = try self.number ?? session.begin(start)
    self.number = number
    let piece = try session.step(number)
    lock.lock()
    defer { lock.unlock() }
    reason = Finish(piece.finish)
    if reason == nil { drawn.append(piece.token) }
    return String(decoding: UnsafeRawBufferPointer(start: piece.text, count: piece.length), as: UTF8.self)
  }
}
