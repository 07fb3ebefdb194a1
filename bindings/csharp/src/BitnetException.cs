// SPDX-License-Identifier: MIT
using System;

namespace Bitnet {

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
