// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** Tokens to text as they come, never splitting a character. */
public final class Decoder implements AutoCloseable {
  private final NativeDecoder object;
  @SuppressWarnings("unused") // keeps alive what the C++ model calls
  private final Model model;

  /** A decoder for the model's vocabulary. */
  public Decoder(Model model, TextOption... options) {
    this.model = model;
    object = new NativeDecoder(model.object, TextOption.flags(options));
  }

  /** The text that the token completes, which may be empty. */
  public String push(int token) {
    return Text.decode(object.push(token));
  }

  /** What is left; the decoder then starts over. */
  public String finish() {
    return Text.decode(object.finish());
  }

  @Override
  public void close() {
    object.close();
  }
}
