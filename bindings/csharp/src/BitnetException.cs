// SPDX-License-Identifier: MIT
using System;

namespace Bitnet {

/// <summary>What kind of failure a <see cref="BitnetException"/> is.</summary>
public enum Status {
    /// <summary>An argument or option is wrong: the caller's mistake.</summary>
    Argument = -1,
    /// <summary>Out of memory.</summary>
    Memory = -2,
    /// <summary>The system refused to open, read or write a file.</summary>
    IO = -4,
    /// <summary>A file is damaged, truncated or not what it claims to be.</summary>
    Format = -5,
    /// <summary>Well-formed, but this version cannot do it.</summary>
    Unsupported = -6,
    /// <summary>The tokens do not fit the session's context.</summary>
    Context = -7,
    /// <summary>Another thread cancelled the generation or disposed of the session.</summary>
    Cancelled = -8,
    /// <summary>A saved state belongs to another model.</summary>
    Mismatch = -10,
    /// <summary>A mistake in the library: please report it.</summary>
    Internal = -11
}

/// <summary>What the library refuses or fails to do. The message says what was wrong, where, and what to do. A file to
/// read that does not exist is a <see cref="System.IO.FileNotFoundException"/> instead.</summary>
public sealed class BitnetException : Exception {
    internal BitnetException(Status status, string message) : base(message) {
        Status = status;
    }

    /// <summary>What kind of failure it is.</summary>
    public Status Status { get; }
}

}
