// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.Objects;

/** Tokens to text as they come, never splitting a character. */
public final class Decoder implements AutoCloseable {
  private final NativeDecoder object;
  private final Model model; // keeps alive what the C++ model calls
  private volatile boolean closed;

  /** A decoder for the model's vocabulary. */
  public Decoder(Model model, TextOption... options) {
    this.model = Objects.requireNonNull(model, "model");
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
    closed = true;
    object.close();
  }

  @Override
  public String toString() {
    return "Decoder[" + model.name() + (closed ? ", closed]" : "]");
  }
}
