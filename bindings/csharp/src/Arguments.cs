// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

namespace Bitnet {

/// <summary>Arguments as the native layer takes them.</summary>
internal static class Arguments {
    // The common encoder writes U+FFFD for half of a surrogate pair, which is another text.
    private static readonly Encoding strict = new UTF8Encoding(false, true);

    internal static T NotNull<T>(T value, string name) where T : class {
        return value ?? throw new ArgumentNullException(name);
    }

    internal static byte[] Utf8(string text, string name) {
        try {
            return strict.GetBytes(NotNull(text, name));
        } catch (EncoderFallbackException exception) {
            string message = "The text has half of a surrogate pair at index " + exception.Index + ".";
            throw new ArgumentException(message, name, exception);
        }
    }

    /// <summary>Each of some texts; null is none.</summary>
    internal static byte[][] Texts(IEnumerable<string> texts, string name) {
        return (texts ?? new string[0]).Select((text, i) => Utf8(text, name + "[" + i + "]")).ToArray();
    }

    internal static string Text(byte[] utf8) => Encoding.UTF8.GetString(utf8);

    /// <summary>The text at an address, up to a zero byte; null of none.</summary>
    internal static string Text(IntPtr utf8) {
        if (utf8 == IntPtr.Zero) return null;
        int length = 0;
        while (Marshal.ReadByte(utf8, length) != 0) length++;
        var bytes = new byte[length];
        Marshal.Copy(utf8, bytes, 0, length);
        return Text(bytes);
    }

    /// <summary>A value of an enum that its type knows.</summary>
    internal static T Defined<T>(T value, string name) where T : struct {
        if (Enum.IsDefined(typeof(T), value)) return value;
        throw new ArgumentOutOfRangeException(name, value, "It is no value of " + typeof(T).FullName + ".");
    }

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
