// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** What the library refuses or fails to do. The message says what was wrong, where, and what to do about it. */
public final class BitnetException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final Status status;

  private BitnetException(Status status, String message) {
    super(message);
    this.status = status;
  }

  /** Called by C++. */
  static BitnetException of(int status, byte[] message) {
    return new BitnetException(Status.of(status), Text.decode(message));
  }

  /** The kind of failure. */
  public Status status() {
    return status;
  }
}
