// SPDX-License-Identifier: MIT
// What tests/bindings/overhead.c measures, in Swift: bench MODEL
import Bitnet
import Dispatch

let rounds = 10

func now() -> Double { Double(DispatchTime.now().uptimeNanoseconds) }

func nanoseconds(_ duration: Duration) -> Double {
  let (seconds, attoseconds) = duration.components
  return Double(seconds) * 1e9 + Double(attoseconds) * 1e-9
}

func position(_ session: Session, calls: Int = 20000) -> Double {
  let start = now()
  for _ in 0..<calls { _ = session.position }
  return (now() - start) / Double(calls)
}

func detokenize(_ model: Model, calls: Int = 20000) throws -> Double {
  let start = now()
  for _ in 0..<calls { _ = try model.detokenize([300]) }
  return (now() - start) / Double(calls)
}

func token(_ session: Session, count: Int = 200) async throws -> Double {
  try session.rewind()
  session.resetPerf()
  let start = now()
  for try await _ in session.generate("It was a fine morning, and", GenerateOptions(maxTokens: count, ignoreEnd: true)) {}
  let wall = now() - start
  let perf = session.perf
  return (wall - nanoseconds(perf.promptTime + perf.generatedTime + perf.sampleTime)) / Double(count)
}

func cancel(_ session: Session) async throws -> Double {
  try session.rewind()
  let prompt = [Token](repeating: 5, count: session.context)
  let evaluation = Task { try await session.eval(prompt) }
  try await Task.sleep(nanoseconds: 200_000_000)
  let asked = now()
  evaluation.cancel()
  guard case .failure = await evaluation.result else { fatalError("the prompt was too short") }
  return now() - asked
}

let model = try Model(path: CommandLine.arguments[1])
let session = try model.engine(EngineOptions(threads: 1)).session(SessionOptions(context: 16384))
print("position", (0..<rounds).map { _ in position(session) }.min()!)
print("detokenize", try (0..<rounds).map { _ in try detokenize(model) }.min()!)
var tokens: [Double] = []
var cancels: [Double] = []
for _ in 0..<rounds {
  tokens.append(try await token(session))
  cancels.append(try await cancel(session))
}
print("token", tokens.min()!)
print("cancel", cancels.max()!)
