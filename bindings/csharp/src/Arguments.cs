// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using System.Threading;

namespace Bitnet {

/// <summary>Arguments as the native layer takes them.</summary>
internal static class Arguments {
    internal static T NotNull<T>(T value, string name) where T : class {
        return value ?? throw new ArgumentNullException(name);
    }

    internal static byte[] Utf8(string text, string name) => Encoding.UTF8.GetBytes(NotNull(text, name));

    internal static string Text(byte[] utf8) => Encoding.UTF8.GetString(utf8);

    internal static int[] Tokens(IEnumerable<int> tokens, string name) {
        return NotNull(tokens, name) as int[] ?? tokens.ToArray();
    }

    internal static uint Count(int value, string name) {
        return value >= 0 ? (uint)value : throw new ArgumentOutOfRangeException(name, value, "It may not be negative.");
    }

    /// <summary>Makes a call that can be cancelled, and of its failure the exception that .NET expects.</summary>
    internal static void Cancellable(Action<Native.Cancel> call, CancellationToken cancellationToken) {
        cancellationToken.ThrowIfCancellationRequested();
        if (!cancellationToken.CanBeCanceled) {
            call(null);
            return;
        }
        using (var cancel = new Native.Cancel()) {
            try {
                using (cancellationToken.Register(cancel.request)) call(cancel);
            } catch (BitnetException exception) when (IsOf(exception, cancellationToken)) {
                throw new OperationCanceledException(exception.Message, exception, cancellationToken);
            }
        }
    }

    internal static bool IsOf(BitnetException exception, CancellationToken cancellationToken) {
        return exception.Status == Status.Cancelled && cancellationToken.IsCancellationRequested;
    }
}

}
