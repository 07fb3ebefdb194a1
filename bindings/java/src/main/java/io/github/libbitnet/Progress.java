// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** Called now and then during long work, on the thread that asked for it. */
@FunctionalInterface
public interface Progress {
  /**
   * Tells that {@code done} of {@code total} bytes are through. What this throws comes out of the call.
   *
   * @return false to cancel
   */
  boolean update(long done, long total);
}
