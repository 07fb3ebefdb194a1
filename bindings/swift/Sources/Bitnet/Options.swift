// SPDX-License-Identifier: MIT
import CBitnet

/// A token of a model's vocabulary.
public typealias Token = Int32

/// How a session keeps the keys and values of its tokens.
public enum KV: Sendable {
  /// 16 bits a number.
  case f16
  /// 8 bits a number: 0.52 of the memory, quicker in long contexts, slightly other logits.
  case int8

  var toC: bitnet_kv {
    switch self {
    case .f16: return BITNET_KV_F16
    case .int8: return BITNET_KV_INT8
    }
  }
}

/// How a session computes; 0 everywhere is the default.
public struct SessionOptions: Sendable {
  /// Tokens it can hold; 0: what the model was trained for.
  public var context = 0
  /// Threads that compute; 0: one per physical core.
  public var threads = 0
  /// Tokens of a prompt that are computed together; 0: 256.
  public var batch = 0
  /// How keys and values are kept.
  public var kv = KV.f16
  /// Of the threads, those that compute a token by itself; 0: as many as turn out fastest.
  public var generationThreads = 0

  public init(context: Int = 0, threads: Int = 0, batch: Int = 0, kv: KV = .f16, generationThreads: Int = 0) {
    self.context = context
    self.threads = threads
    self.batch = batch
    self.kv = kv
    self.generationThreads = generationThreads
  }

  func toC() throws -> bitnet_session_options {
    var options = bitnet_session_options()
    options.size = MemoryLayout<bitnet_session_options>.size
    options.context = try count(context, "context")
    options.threads = try count(threads, "threads")
    options.batch = try count(batch, "batch")
    options.kv = kv.toC
    options.generation_threads = try count(generationThreads, "generationThreads")
    options.abort = abortRunning
    return options
  }
}

/// How tokens are drawn. All of these are off by default, which is the most likely token each time.
public struct SamplerOptions: Sendable {
  /// Of the random numbers.
  public var seed: UInt64 = 0
  /// Divides the logits; 0: always the most likely token.
  public var temperature: Float = 0
  /// Keeps the k most likely tokens; 0: all.
  public var topK = 0
  /// Keeps the fewest most likely tokens whose probabilities reach p; 0 or 1: all.
  public var topP: Float = 0
  /// Keeps the tokens at least p times as likely as the most likely one; 0: all.
  public var minP: Float = 0
  /// Divides positive, multiplies negative logits of recent tokens; 0 or 1: none.
  public var repetitionPenalty: Float = 0
  /// Subtracted once for every occurrence among the recent tokens.
  public var frequencyPenalty: Float = 0
  /// Subtracted if a token occurs among the recent ones at all.
  public var presencePenalty: Float = 0
  /// How many of the last tokens count as recent; 0: 64.
  public var penaltyWindow = 0
  /// Added to tokens' logits; `-.infinity` forbids a token.
  public var logitBias: [Token: Float] = [:]

  public init(
    seed: UInt64 = 0, temperature: Float = 0, topK: Int = 0, topP: Float = 0, minP: Float = 0,
    repetitionPenalty: Float = 0, frequencyPenalty: Float = 0, presencePenalty: Float = 0, penaltyWindow: Int = 0,
    logitBias: [Token: Float] = [:]
  ) {
    self.seed = seed
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.minP = minP
    self.repetitionPenalty = repetitionPenalty
    self.frequencyPenalty = frequencyPenalty
    self.presencePenalty = presencePenalty
    self.penaltyWindow = penaltyWindow
    self.logitBias = logitBias
  }

  func withC<R>(_ body: (UnsafePointer<bitnet_sampler_options>) throws -> R) throws -> R {
    var options = bitnet_sampler_options()
    options.size = MemoryLayout<bitnet_sampler_options>.size
    options.seed = seed
    options.temperature = temperature
    options.top_k = try count(topK, "topK")
    options.top_p = topP
    options.min_p = minP
    options.repetition_penalty = repetitionPenalty
    options.frequency_penalty = frequencyPenalty
    options.presence_penalty = presencePenalty
    options.penalty_window = try count(penaltyWindow, "penaltyWindow")
    let biases = logitBias.map { bitnet_logit_bias(token: $0.key, bias: $0.value) }
    return try biases.withPointer { pointer, count in
      options.logit_bias = pointer
      options.logit_bias_count = count
      return try body(&options)
    }
  }
}

/// How a text is generated.
public struct GenerateOptions: Sendable {
  /// 0: until an end token, or until the context is full.
  public var maxTokens = 0
  public var sampler = SamplerOptions()
  /// The text ends before the first of these, which is not given out.
  public var stop: [String] = []
  /// The prompt is the whole text from the start: what the session holds of it is kept, the rest forgotten.
  public var whole = false
  /// The prompt's text may name control tokens, as those of `Model.chatPrompt` do. Never for strangers' text.
  public var specialPrompt = false
  /// Writes control tokens out as text.
  public var specialOutput = false
  /// Goes on after an end token.
  public var ignoreEnd = false

  public init(
    maxTokens: Int = 0, sampler: SamplerOptions = SamplerOptions(), stop: [String] = [], whole: Bool = false,
    specialPrompt: Bool = false, specialOutput: Bool = false, ignoreEnd: Bool = false
  ) {
    self.maxTokens = maxTokens
    self.sampler = sampler
    self.stop = stop
    self.whole = whole
    self.specialPrompt = specialPrompt
    self.specialOutput = specialOutput
    self.ignoreEnd = ignoreEnd
  }

  private var flags: UInt32 {
    (specialPrompt ? UInt32(BITNET_GENERATE_SPECIAL_PROMPT) : 0)
      | (specialOutput ? UInt32(BITNET_GENERATE_SPECIAL_OUTPUT) : 0)
      | (ignoreEnd ? UInt32(BITNET_GENERATE_IGNORE_END) : 0)
      | (whole ? UInt32(BITNET_GENERATE_WHOLE) : 0)
  }

  func withC<R>(_ body: (UnsafePointer<bitnet_generate_options>) throws -> R) throws -> R {
    var options = bitnet_generate_options()
    options.size = MemoryLayout<bitnet_generate_options>.size
    options.max_tokens = try count(maxTokens, "maxTokens")
    options.flags = flags
    let texts = try stop.map { try cString($0, "a stop string") }
    return try withPointers(to: texts) { stops in
      try sampler.withC { sampler in
        try stops.withPointer { pointer, count in
          options.sampler = sampler
          options.stop = pointer
          options.stop_count = count
          return try body(&options)
        }
      }
    }
  }
}

/// Pointers to C strings, which are valid during the call.
func withPointers<R>(
  to texts: [ContiguousArray<CChar>], _ body: ([UnsafePointer<CChar>?]) throws -> R
) rethrows -> R {
  var starts: [Int] = []
  var all = ContiguousArray<CChar>()
  for text in texts {
    starts.append(all.count)
    all += text
  }
  return try all.withUnsafeBufferPointer { bytes in try body(starts.map { bytes.baseAddress! + $0 }) }
}
