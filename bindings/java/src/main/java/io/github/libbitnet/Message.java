// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.Objects;

/** A turn of a conversation. */
public final class Message {
  private final String role;
  private final String content;

  /** A message of any role that the model's template knows. */
  public Message(String role, String content) {
    this.role = Objects.requireNonNull(role);
    this.content = Objects.requireNonNull(content);
  }

  /** What the assistant is told beforehand. */
  public static Message system(String content) {
    return new Message("system", content);
  }

  /** What the user says. */
  public static Message user(String content) {
    return new Message("user", content);
  }

  /** What the assistant answered. */
  public static Message assistant(String content) {
    return new Message("assistant", content);
  }

  /** "system", "user", "assistant", ... */
  public String role() {
    return role;
  }

  /** The text. */
  public String content() {
    return content;
  }

  @Override
  public String toString() {
    return role + ": " + content;
  }
}
