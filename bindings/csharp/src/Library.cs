// SPDX-License-Identifier: MIT
using System.Collections.Generic;
using System.Linq;
using System.Threading;

namespace Bitnet {

/// <summary>Files, and what the library tells of itself.</summary>
public static class Library {
    /// <summary>The native library's version.</summary>
    public static string Version {
        get {
            NativeLibrary.Load();
            return Arguments.Text(Native.Functions.version());
        }
    }

    /// <summary>The CPU's vector features that matter here.</summary>
    public static IReadOnlyList<string> CpuFeatures {
        get {
            NativeLibrary.Load();
            return Arguments.Text(Native.Functions.cpu_features()).Split(' ');
        }
    }

    /// <summary>The kernel sets that this CPU can run, fastest first.</summary>
    public static IReadOnlyList<string> IsaNames {
        get {
            NativeLibrary.Load();
            return Native.Functions.isa_names().Select(Arguments.Text).ToArray();
        }
    }

    /// <summary>The names of the known chat templates, "chatml", "llama3", ..., for
    /// <see cref="OpenOptions.ChatTemplate"/>.</summary>
    public static IReadOnlyList<string> ChatTemplateNames {
        get {
            NativeLibrary.Load();
            return Native.Functions.chat_template_names().Select(Arguments.Text).ToArray();
        }
    }

    /// <summary>Writes a GGUF or .bitnet file as .bitnet.</summary>
    public static void Convert(string input, string output, ConvertOptions options = null,
                               CancellationToken cancellationToken = default(CancellationToken)) {
        options = options ?? new ConvertOptions();
        byte[] from = Arguments.Utf8(input, nameof(input));
        byte[] to = Arguments.Utf8(output, nameof(output));
        NativeLibrary.Load();
        using (Native.ConvertOptions native = options.ToNative())
        using (var listener = new Listener(options.Progress, options.Log)) {
            listener.Call(l => Native.Functions.convert(from, to, native, l), cancellationToken);
        }
    }

    /// <summary>Reads a whole .bitnet file and checks every checksum, packed weight and scale.</summary>
    public static void Verify(string path, System.IProgress<WorkProgress> progress = null,
                              CancellationToken cancellationToken = default(CancellationToken)) {
        byte[] file = Arguments.Utf8(path, nameof(path));
        NativeLibrary.Load();
        using (var listener = new Listener(progress)) {
            listener.Call(l => Native.Functions.verify(file, l), cancellationToken);
        }
    }

    /// <summary>Compares a .bitnet file with what it was converted from. Throws with the first difference if it is not
    /// lossless.</summary>
    public static void VerifyAgainst(string path, string original, System.IProgress<WorkProgress> progress = null,
                                     CancellationToken cancellationToken = default(CancellationToken)) {
        byte[] file = Arguments.Utf8(path, nameof(path));
        byte[] origin = Arguments.Utf8(original, nameof(original));
        NativeLibrary.Load();
        using (var listener = new Listener(progress)) {
            listener.Call(l => Native.Functions.verify_against(file, origin, l), cancellationToken);
        }
    }
}

}
