// SPDX-License-Identifier: MIT
import CBitnet
import Foundation

/// One sequence of tokens with its KV cache and its last logits. Made by `Model.session()`.
///
/// May be used by any task: calls queue up. Long calls are `async`; cancelling their task stops them as soon as a layer is
/// done.
public final class Session: @unchecked Sendable {  // the queue guards pointer and generation
  public let model: Model
  private let pointer: OpaquePointer
  private let queue = DispatchQueue(label: "bitnet.session", qos: .userInitiated)
  private var generation: OpaquePointer?
  private var generations = 0  // the number of the latest

  init(_ model: Model, _ pointer: OpaquePointer) {
    self.model = model
    self.pointer = pointer
  }

  deinit {
    bitnet_generation_free(generation)
    bitnet_session_free(pointer)
  }

  // ------------------------------------------------------------ on the queue

  func look<R>(_ call: (OpaquePointer) throws -> R) rethrows -> R { try queue.sync { try call(pointer) } }

  /// Whatever changes the session ends its generation.
  private func change<R>(_ call: (OpaquePointer) throws -> R) rethrows -> R {
    try queue.sync {
      endGeneration()
      return try call(pointer)
    }
  }

  private func endGeneration() {
    bitnet_generation_free(generation)
    generation = nil
  }

  /// Makes a call that takes long, which cancelling the task stops.
  func run<R: Sendable>(_ call: @escaping @Sendable () throws -> R) async throws -> R {
    let cancellation = Cancellation(pointer)
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        queue.async { continuation.resume(with: Result { try cancellation.during(call) }) }
      }
    } onCancel: {
      cancellation.request()
    }
  }

  // -------------------------------------------------------------- generation

  /// Goes on from the session's tokens and a prompt. Nothing is evaluated until the first piece is asked for.
  public func generate(_ prompt: String, _ options: GenerateOptions = GenerateOptions()) -> Generation {
    Generation(self) { session in
      var prompt = prompt
      return try prompt.withUTF8 { bytes in
        try bytes.withMemoryRebound(to: CChar.self) { bytes in
          try options.withC { options in
            var generation: OpaquePointer?
            let empty: [CChar] = [0]  // an empty text is no null
            try empty.withPointer { none, _ in
              try check(
                bitnet_generation_start(session, bytes.baseAddress ?? none, bytes.count, &options, &generation))
            }
            return generation!
          }
        }
      }
    }
  }

  /// The same with a prompt of tokens, to which nothing is added.
  public func generate(tokens: [Token], _ options: GenerateOptions = GenerateOptions()) -> Generation {
    Generation(self) { session in
      try options.withC { options in
        var generation: OpaquePointer?
        try tokens.withPointer {
          try check(bitnet_generation_start_tokens(session, $0, $1, &options, &generation))
        }
        return generation!
      }
    }
  }

  /// The assistant's answer to a conversation, given whole each time; what the session holds of it is kept. Control tokens
  /// that contents spell out are plain text, unless the options `trust` them.
  public func chat(_ messages: [Message], _ options: GenerateOptions = GenerateOptions()) throws -> Generation {
    var options = options
    options.whole = true
    return generate(tokens: try model.chatTokenize(messages, trust: options.trust), options)
  }

  /// Starts what a `Generation` steps through; on the queue, as is each step.
  func begin(_ start: (OpaquePointer) throws -> OpaquePointer) throws -> Int {
    endGeneration()
    generation = try start(pointer)
    generations += 1
    return generations
  }

  /// Draws one token. The piece's text is valid until the next call.
  func step(_ number: Int) throws -> bitnet_piece {
    guard let generation, number == generations else {
      throw BitnetError(status: .argument, message: "the generation is over: its session has been used for something else")
    }
    var piece = bitnet_piece()
    piece.size = MemoryLayout<bitnet_piece>.size
    try check(bitnet_generation_next(generation, &piece))
    return piece
  }

  // -------------------------------------------------------------- evaluation

  /// Appends tokens and computes their keys and values, and logits. If it fails the session is as before.
  public func eval(_ tokens: [Token], logits: LogitsOf = .last) async throws {
    try await run { [self] in
      endGeneration()
      try tokens.withPointer { try check(bitnet_eval(pointer, $0, $1, logits.toC)) }
    }
  }

  /// The logits of the token evaluated last; of an evaluation with `.all`, of its token `row`.
  public func logits(row: Int = 0) throws -> [Float] {
    guard row >= 0 else { throw BitnetError(status: .argument, message: "row is out of range: \(row)") }
    let vocabulary = model.info.vocabulary
    return try look { session in
      var values: UnsafePointer<Float>?
      try check(bitnet_session_logits(session, row, &values))
      return Array(UnsafeBufferPointer(start: values, count: vocabulary))
    }
  }

  func sample(_ sampler: OpaquePointer) throws -> Token {
    try look { session in
      var token: Token = -1
      try check(bitnet_sample(sampler, session, &token))
      return token
    }
  }

  // ------------------------------------------------------------------- state

  /// The number of tokens evaluated so far.
  public var position: Int { look { Int(bitnet_session_position($0)) } }
  /// The number of tokens that fit.
  public var context: Int { look { Int(bitnet_session_context($0)) } }
  /// The tokens evaluated so far.
  public var tokens: [Token] {
    look { session in
      var tokens: UnsafePointer<Token>?
      var count = 0
      _ = bitnet_session_tokens(session, &tokens, &count)  // cannot fail with these arguments
      return Array(UnsafeBufferPointer(start: tokens, count: count))
    }
  }

  /// Forgets all tokens from `position` on.
  public func rewind(to position: Int = 0) throws {
    let position = try count(position, "position")
    try change { try check(bitnet_session_rewind($0, position)) }
  }

  /// A second session with the same tokens, KV cache and options. Its engine is that of this one.
  public func fork() throws -> Session {
    try look { session in
      var fork: OpaquePointer?
      try check(bitnet_session_fork(session, &fork))
      return Session(model, fork!)
    }
  }

  /// Writes tokens and KV cache to a file.
  public func save(path: String) throws {
    let path = try cString(path, "the path")
    try path.withUnsafeBufferPointer { path in try look { try check(bitnet_session_save($0, path.baseAddress)) } }
  }

  /// Reads what `save` wrote, into a session of the same model, replacing what it holds.
  public func load(path: String) throws {
    let path = try cString(path, "the path")
    try path.withUnsafeBufferPointer { path in try change { try check(bitnet_session_load($0, path.baseAddress)) } }
  }

  /// Tokens and KV cache as bytes.
  public func save() throws -> Data {
    try look { session in
      Data(try filled(guess: 1 << 16, UInt8(0)) { bitnet_session_save_memory(session, $0, $1, &$2) })
    }
  }

  /// Reads what `save()` gave.
  public func load(_ data: Data) throws {
    try [UInt8](data).withPointer { bytes, count in
      try change { try check(bitnet_session_load_memory($0, bytes, count)) }
    }
  }

  // ---------------------------------------------------------------- counters

  /// Counters since the session was made or they were last reset.
  public var perf: Perf {
    look { session in
      var perf = bitnet_perf()
      perf.size = MemoryLayout<bitnet_perf>.size
      _ = bitnet_session_get_perf(session, &perf)  // cannot fail with these arguments
      return Perf(perf)
    }
  }

  /// Starts the counters over.
  public func resetPerf() { look { bitnet_session_reset_perf($0) } }
}
