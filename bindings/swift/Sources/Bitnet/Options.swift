// SPDX-License-Identifier: MIT
import CBitnet

/// A token of a model's vocabulary.
public typealias Token = Int32

/// Text as C takes it, null for nil.
func withCString<R>(_ text: String?, _ name: String, _ body: (UnsafePointer<CChar>?) throws -> R) throws -> R {
  guard let text else { return try body(nil) }
  return try cString(text, name).withUnsafeBufferPointer { try body($0.baseAddress) }
}

/// Texts as C takes them, and how many.
func withCStrings<R>(
  _ texts: [String], _ name: String, _ body: (UnsafePointer<UnsafePointer<CChar>?>?, Int) throws -> R
) throws -> R {
  try withPointers(to: texts.map { try cString($0, name) }) { try $0.withPointer(body) }
}

/// What is added to tokens' logits as C takes it, and how many.
func withBiases<R>(
  _ biases: [Token: Float], _ body: (UnsafePointer<bitnet_logit_bias>?, Int) throws -> R
) throws -> R {
  try biases.map { bitnet_logit_bias(token: $0.key, bias: $0.value) }.withPointer(body)
}

extension SamplerOptions {
  func withCPointer<R>(_ body: (UnsafePointer<bitnet_sampler_options>) throws -> R) throws -> R {
    try withC { options in try withUnsafePointer(to: options, body) }
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
