// SPDX-License-Identifier: MIT
import CBitnet

/// A token of a model's vocabulary.
public typealias Token = Int32

/// How ternary weights are packed.
public enum Packing: Sendable {
  /// i2; of a `.bitnet` file that is converted: as it is.
  case standard
  /// 2 bits a weight.
  case i2
  /// 1.6 bits a weight, five in a byte; the same results.
  case t5

  var toC: bitnet_packing {
    switch self {
    case .standard: return BITNET_PACKING_DEFAULT
    case .i2: return BITNET_PACKING_I2
    case .t5: return BITNET_PACKING_T5
    }
  }
}

/// How the output head is kept.
public enum Head: Sendable {
  /// f16. Of a file that is converted: a GGUF file of 16384 tokens or more becomes screened, a `.bitnet` file stays as it is.
  case standard
  /// As published.
  case f16
  /// 8 bits a weight with a scale per row: half the bytes, slightly other logits.
  case int8
  /// 6 bits a weight with a scale for every 16: 0.41 of the bytes, slightly other logits.
  case q6
  /// f16 with a screen beside it: the same logits and tokens; greedy and top-k sampling read 0.34 of the bytes.
  case screened

  var toC: bitnet_head {
    switch self {
    case .standard: return BITNET_HEAD_DEFAULT
    case .f16: return BITNET_HEAD_F16
    case .int8: return BITNET_HEAD_INT8
    case .q6: return BITNET_HEAD_Q6
    case .screened: return BITNET_HEAD_SCREENED
    }
  }
}

/// The order of the weights in the I2_S tensors of a GGUF file, which the file does not say.
public enum I2SLayout: Sendable {
  /// Found out from the weights.
  case auto
  /// Blocks of 128 weights of a row.
  case x86
  /// Blocks of 64 weights of a row.
  case arm
  /// One column of four rows: x86, built without ACT_PARALLEL.
  case rows

  var toC: bitnet_i2s_layout {
    switch self {
    case .auto: return BITNET_I2S_AUTO
    case .x86: return BITNET_I2S_X86
    case .arm: return BITNET_I2S_ARM
    case .rows: return BITNET_I2S_ROWS
    }
  }
}

/// What the feed-forward network does with its gate.
public enum Activation: Sendable {
  /// As the file says, or its architecture means.
  case standard
  /// Squared ReLU: BitNet b1.58 2B-4T.
  case relu2
  /// 1bitLLM's bitnet_b1_58-large and -3B.
  case silu

  var toC: bitnet_activation {
    switch self {
    case .standard: return BITNET_ACTIVATION_DEFAULT
    case .relu2: return BITNET_ACTIVATION_RELU2
    case .silu: return BITNET_ACTIVATION_SILU
    }
  }
}

/// How much a line of the log matters.
public enum LogLevel: Sendable {
  case warning, info
}

/// How a model is opened.
public struct OpenOptions: Sendable {
  /// The kernel set, one of `Library.isaNames`; nil: the fastest.
  public var isa: String?
  /// Checks every tensor's checksum, for which the whole file is read.
  public var verify = false
  /// Of a GGUF file, which is packed in memory while it is opened.
  public var packing = Packing.standard
  /// Of a GGUF file.
  public var head = Head.standard
  /// Of a GGUF file.
  public var i2s = I2SLayout.auto
  /// Used in place of the file's: one of `Library.chatTemplateNames`, Jinja source (whatever contains "{{" or "{%"), or else
  /// the path of a file that holds it. Nil: the file's own.
  public var chatTemplate: String?
  /// For files that do not name it.
  public var activation = Activation.standard
  /// Told what the library chooses or notices, on any thread that uses the model, as long as it lives.
  public var log: (@Sendable (_ level: LogLevel, _ line: String) -> Void)?

  public init(
    isa: String? = nil, verify: Bool = false, packing: Packing = .standard, head: Head = .standard, i2s: I2SLayout = .auto,
    chatTemplate: String? = nil, activation: Activation = .standard,
    log: (@Sendable (_ level: LogLevel, _ line: String) -> Void)? = nil
  ) {
    self.isa = isa
    self.verify = verify
    self.packing = packing
    self.head = head
    self.i2s = i2s
    self.chatTemplate = chatTemplate
    self.activation = activation
    self.log = log
  }

  func withC<R>(_ body: (inout bitnet_open_options) throws -> R) throws -> R {
    var options = bitnet_open_options()
    options.size = MemoryLayout<bitnet_open_options>.size
    options.verify = verify ? 1 : 0
    options.gguf_packing = packing.toC
    options.gguf_head = head.toC
    options.gguf_i2s = i2s.toC
    options.activation = activation.toC
    let name = try isa.map { try cString($0, "isa") } ?? []
    let template = try chatTemplate.map { try cString($0, "chatTemplate") } ?? []
    return try name.withUnsafeBufferPointer { name in
      try template.withUnsafeBufferPointer { template in
        options.isa = name.isEmpty ? nil : name.baseAddress
        options.chat_template = template.isEmpty ? nil : template.baseAddress
        return try body(&options)
      }
    }
  }
}

/// How a file is converted.
public struct ConvertOptions: Sendable {
  public var packing = Packing.standard
  public var head = Head.standard
  /// Of a GGUF file that is read.
  public var i2s = I2SLayout.auto
  /// Makes weights ternary that are not; otherwise such a file is refused.
  public var quantize = false
  /// 1 to 19 compresses the tensors for download; such a file is unpacked into memory when it is opened. 0: not.
  public var zstdLevel = 0
  /// To be stored in place of the input's; as in `OpenOptions`.
  public var chatTemplate: String?
  /// To be stored; as in `OpenOptions`.
  public var activation = Activation.standard
  /// Told what the library chooses or notices, on the thread that made the call.
  public var log: (@Sendable (_ level: LogLevel, _ line: String) -> Void)?

  public init(
    packing: Packing = .standard, head: Head = .standard, i2s: I2SLayout = .auto, quantize: Bool = false,
    zstdLevel: Int = 0, chatTemplate: String? = nil, activation: Activation = .standard,
    log: (@Sendable (_ level: LogLevel, _ line: String) -> Void)? = nil
  ) {
    self.packing = packing
    self.head = head
    self.i2s = i2s
    self.quantize = quantize
    self.zstdLevel = zstdLevel
    self.chatTemplate = chatTemplate
    self.activation = activation
    self.log = log
  }

  func withC<R>(_ body: (inout bitnet_convert_options) throws -> R) throws -> R {
    var options = bitnet_convert_options()
    options.size = MemoryLayout<bitnet_convert_options>.size
    options.packing = packing.toC
    options.head = head.toC
    options.i2s = i2s.toC
    options.quantize = quantize ? 1 : 0
    options.zstd_level = Int32(clamping: try count(zstdLevel, "zstdLevel"))
    options.activation = activation.toC
    let logger = log.map(Logger.init)
    logger?.listen(&options.log, &options.log_user)
    let template = try chatTemplate.map { try cString($0, "chatTemplate") } ?? []
    return try withExtendedLifetime(logger) {
      try template.withUnsafeBufferPointer { template in
        options.chat_template = template.isEmpty ? nil : template.baseAddress
        return try body(&options)
      }
    }
  }
}

/// How a session keeps the keys and values of its tokens. Each rounds otherwise, so that logits differ slightly.
public enum KV: Sendable {
  /// Floats of 16 bits: slower in long contexts.
  case f16
  /// Integers of 8 bits: half the memory, quicker in long contexts, rounded more coarsely.
  case int8
  /// Integers of 16 bits: about the memory of `f16`, with half its rounding error.
  case int16

  var toC: bitnet_kv {
    switch self {
    case .f16: return BITNET_KV_F16
    case .int8: return BITNET_KV_INT8
    case .int16: return BITNET_KV_INT16
    }
  }
}

/// How a session computes; 0 everywhere is the default.
public struct SessionOptions: Sendable {
  /// Tokens it can hold; 0: what the model was trained for, at most 8192.
  public var context = 0
  /// Threads that compute; 0: one per physical core.
  public var threads = 0
  /// Tokens of a prompt that are computed together; 0: 256.
  public var batch = 0
  /// How keys and values are kept.
  public var kv = KV.int16
  /// Of the threads, those that compute a token by itself; 0: as many as turn out fastest.
  public var generationThreads = 0

  public init(context: Int = 0, threads: Int = 0, batch: Int = 0, kv: KV = .int16, generationThreads: Int = 0) {
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
  /// The prompt's text may name control tokens. Never for strangers' text.
  public var specialPrompt = false
  /// Writes control tokens out as text.
  public var specialOutput = false
  /// Goes on after an end token.
  public var ignoreEnd = false
  /// Of `Session.chat`: contents may name control tokens, as in `Model.chatTokenize`.
  public var trust = false

  public init(
    maxTokens: Int = 0, sampler: SamplerOptions = SamplerOptions(), stop: [String] = [], whole: Bool = false,
    specialPrompt: Bool = false, specialOutput: Bool = false, ignoreEnd: Bool = false, trust: Bool = false
  ) {
    self.maxTokens = maxTokens
    self.sampler = sampler
    self.stop = stop
    self.whole = whole
    self.specialPrompt = specialPrompt
    self.specialOutput = specialOutput
    self.ignoreEnd = ignoreEnd
    self.trust = trust
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
