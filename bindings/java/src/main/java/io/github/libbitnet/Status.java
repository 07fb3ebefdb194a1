// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** What kind of failure a {@link BitnetException} is about. More may come. */
public enum Status {
  /** An argument or option is wrong, or the object is closed. */
  ARGUMENT(NativeConstants.BITNET_ERROR_ARGUMENT),
  /** Out of memory. */
  MEMORY(NativeConstants.BITNET_ERROR_MEMORY),
  /** The file to read does not exist. */
  NOT_FOUND(NativeConstants.BITNET_ERROR_NOT_FOUND),
  /** The system refused to open, read or write a file for another reason. */
  IO(NativeConstants.BITNET_ERROR_IO),
  /** A file is damaged, truncated or not what it claims to be. */
  FORMAT(NativeConstants.BITNET_ERROR_FORMAT),
  /** Well-formed, but this version cannot do it. */
  UNSUPPORTED(NativeConstants.BITNET_ERROR_UNSUPPORTED),
  /** The tokens do not fit the session's context. */
  CONTEXT(NativeConstants.BITNET_ERROR_CONTEXT),
  /** The call was cancelled, or its thread interrupted. */
  CANCELLED(NativeConstants.BITNET_ERROR_CANCELLED),
  /** A saved state belongs to another model. */
  MISMATCH(NativeConstants.BITNET_ERROR_MISMATCH),
  /** A mistake in the library: please report it. */
  INTERNAL(NativeConstants.BITNET_ERROR_INTERNAL);

  private final int value;

  Status(int value) {
    this.value = value;
  }

  static Status of(int value) {
    for (Status status : values()) {
      if (status.value == value) return status;
    }
    return INTERNAL;
  }
}
