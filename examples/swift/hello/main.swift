// SPDX-License-Identifier: MIT
// The smallest complete program: the model goes on with your text.
//
//     swift run hello model.bitnet "It was a fine morning, and"
import Bitnet
import Foundation

func fail(_ message: String, code: Int32) -> Never {
  FileHandle.standardError.write(Data("\(message)\n".utf8))
  exit(code)
}

guard CommandLine.arguments.count == 3 else { fail("usage: hello MODEL PROMPT", code: 2) }
do {
  let session = try Model(path: CommandLine.arguments[1]).session()
  for try await text in session.generate(CommandLine.arguments[2], GenerateOptions(maxTokens: 100)) {
    FileHandle.standardOutput.write(Data(text.utf8))
  }
  print()
} catch {
  fail("hello: \(error.localizedDescription)", code: 1)
}
