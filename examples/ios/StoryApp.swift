// SPDX-License-Identifier: MIT
// An iOS app that goes on with your text, piece by piece. In Xcode: a new app with this file in place of its own, the local
// package bindings/swift (after make-xcframework), and models/austen.bitnet among the app's resources.
import Bitnet
import SwiftUI

@main
struct StoryApp: App {
  var body: some Scene {
    WindowGroup { StoryView() }
  }
}

/// The text, and the task that writes it.
@MainActor
final class Story: ObservableObject {
  @Published private(set) var text = ""
  @Published private(set) var failure: String?
  @Published private(set) var isWriting = false
  private var model: Model?
  private var task: Task<Void, Never>?

  func write(from beginning: String) {
    text = beginning
    failure = nil
    isWriting = true
    task = Task {
      do {
        try await tell(beginning)
      } catch is CancellationError {
        // The user has read enough.
      } catch {
        failure = error.localizedDescription
      }
      isWriting = false
    }
  }

  func stop() { task?.cancel() }

  private func tell(_ beginning: String) async throws {
    let sampler = SamplerOptions(seed: 1811, temperature: 0.8, minP: 0.05)
    let session = try openModel().session()
    for try await piece in session.generate(beginning, GenerateOptions(maxTokens: 150, sampler: sampler)) { text += piece }
  }

  /// Opening maps the file, which takes no time worth leaving the main thread for.
  private func openModel() throws -> Model {
    if let model { return model }
    guard let path = Bundle.main.path(forResource: "austen", ofType: "bitnet") else { throw CocoaError(.fileNoSuchFile) }
    let opened = try Model(path: path)
    model = opened
    return opened
  }
}

struct StoryView: View {
  @StateObject private var story = Story()
  @State private var beginning = "It was a fine morning, and"

  var body: some View {
    VStack(alignment: .leading) {
      ScrollView { Text(story.text).frame(maxWidth: .infinity, alignment: .leading) }
      if let failure = story.failure { Text(failure).foregroundStyle(.red) }
      HStack {
        TextField("How does it begin?", text: $beginning).textFieldStyle(.roundedBorder)
        Button(story.isWriting ? "Stop" : "Write") {
          if story.isWriting { story.stop() } else { story.write(from: beginning) }
        }
      }
    }
    .padding()
    .onDisappear { story.stop() }
  }
}
