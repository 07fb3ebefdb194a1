// SPDX-License-Identifier: MIT
import CBitnet

/// Files, and what the library tells of itself.
public enum Library {
  /// The library's version, "0.2.0".
  public static var version: String { String(cString: bitnet_version_string()) }

  /// The CPU's vector features that matter here.
  public static var cpuFeatures: [String] { String(cString: bitnet_cpu_features()).split(separator: " ").map(String.init) }

  /// The kernel sets that this CPU can run, fastest first.
  public static var isaNames: [String] {
    var names: [String] = []
    while let name = bitnet_isa_name(names.count) { names.append(String(cString: name)) }
    return names
  }

  /// The known chat templates, for the `chatTemplate` of options.
  public static var chatTemplateNames: [String] {
    var names: [String] = []
    while let name = bitnet_chat_template_name(names.count) { names.append(String(cString: name)) }
    return names
  }

  /// Writes a GGUF or `.bitnet` file as `.bitnet`. The output appears when it is complete, replacing what was there.
  public static func convert(
    path source: String, to target: String, _ options: ConvertOptions = ConvertOptions(), progress: Model.Progress? = nil
  ) throws {
    let texts = [try cString(source, "the source's path"), try cString(target, "the target's path")]
    let logger = options.log.map(Logger.init)
    try withExtendedLifetime(logger) {
      try options.withC { options in
        logger?.listen(&options.log, &options.log_user)
        try withPointers(to: texts) { paths in
          try reporting(to: progress) {
            options.progress = $0
            options.progress_user = $1
            try check(bitnet_convert(paths[0], paths[1], &options))
          }
        }
      }
    }
  }

  /// Reads a whole `.bitnet` file and checks every checksum, packed weight and scale.
  public static func verify(path: String, progress: Model.Progress? = nil) throws {
    let path = try cString(path, "the path")
    try path.withUnsafeBufferPointer { path in
      try reporting(to: progress) { try check(bitnet_verify(path.baseAddress, $0, $1)) }
    }
  }

  /// Compares a `.bitnet` file with what it was converted from. Throws with the first difference if it is not lossless.
  public static func verify(path: String, against original: String, progress: Model.Progress? = nil) throws {
    let path = try cString(path, "the path"), original = try cString(original, "the original's path")
    try path.withUnsafeBufferPointer { path in
      try original.withUnsafeBufferPointer { original in
        try reporting(to: progress) {
          try check(bitnet_verify_against(path.baseAddress, original.baseAddress, $0, $1))
        }
      }
    }
  }
}
