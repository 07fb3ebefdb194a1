// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Bitnet {

/// <summary>Looks for the native half before anything else does: from within a type initializer the runtime would wrap
/// the reason in a TypeInitializationException, which hides it.</summary>
internal static class NativeLibrary {
    private const string Name = "bitnet_csharp";
    private static volatile bool loaded;

    [DllImport(Name)]
    private static extern IntPtr bitnet_csharp_version();

    /// <summary>Every way into the assembly begins with this.</summary>
    internal static void Load() {
        if (loaded) return;
        string version;
        try {
            version = Marshal.PtrToStringAnsi(bitnet_csharp_version());
        } catch (DllNotFoundException exception) {
            throw new DllNotFoundException(Explain(exception.Message), exception);
        } catch (BadImageFormatException exception) {
            throw new DllNotFoundException(Explain(exception.Message), exception);
        } catch (EntryPointNotFoundException exception) {
            throw new DllNotFoundException(OtherVersion("another one"), exception);
        }
        if (version != Mine) throw new DllNotFoundException(OtherVersion(version));
        loaded = true;
    }

    private static string Mine => string.Join(".", Native.Functions.BITNET_VERSION_MAJOR,
                                              Native.Functions.BITNET_VERSION_MINOR,
                                              Native.Functions.BITNET_VERSION_PATCH);

    private static string OtherVersion(string version) {
        return "The native half of Bitnet that was found, " + FileName + ", is of version " + version +
               "; this assembly needs " + Mine + ".";
    }

    private static string FileName {
        get {
            if (RuntimeInformation.IsOSPlatform(OSPlatform.Windows)) return Name + ".dll";
            return "lib" + Name + (RuntimeInformation.IsOSPlatform(OSPlatform.OSX) ? ".dylib" : ".so");
        }
    }

    /// <summary>Which file cannot be loaded, and why. Runtimes tell of the last name that they tried, if anything.
    /// </summary>
    private static string Explain(string said) {
        string[] folders = Folders().Distinct().ToArray();
        string begin = "Cannot load " + FileName + ", the native half of Bitnet: ";
        foreach (string folder in folders) {
            string path = Path.Combine(folder, FileName);
            if (!File.Exists(path)) continue;
            string reason = SystemLoader.Error(path);
            return begin + path + (reason == null ? ": " + said : Hint(reason, path));
        }
        return begin + "it is in none of " + string.Join(", ", folders) + ". The NuGet package Bitnet brings it for " +
               "the systems that it was built for; without that, it belongs beside Bitnet.dll. (" + said + ")";
    }

    private static string Hint(string reason, string path) {
        while (reason.StartsWith(path + ": ", StringComparison.Ordinal)) reason = reason.Substring(path.Length + 2);
        Match missing = Regex.Match(
            reason, "([^\\s:/]+): cannot open shared object file|Error loading shared library ([^\\s:/]+):");
        if (missing.Success) {
            string name = missing.Groups[1].Success ? missing.Groups[1].Value : missing.Groups[2].Value;
            return ": " + reason + " (the system lacks " + name + ": install the package that has it)";
        }
        if (reason.Contains("failed to map segment")) reason += " (its file system may be mounted noexec)";
        return ": " + reason;
    }

    // Where runtimes look, in their order.
    private static IEnumerable<string> Folders() {
        string own = typeof(NativeLibrary).Assembly.Location;
        if (!string.IsNullOrEmpty(own)) yield return Path.GetFullPath(Path.GetDirectoryName(own));
        var search = AppDomain.CurrentDomain.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "";
        foreach (string folder in search.Split(new[] { Path.PathSeparator }, StringSplitOptions.RemoveEmptyEntries)) {
            yield return folder.TrimEnd(Path.DirectorySeparatorChar);
        }
        yield return AppDomain.CurrentDomain.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar);
    }

    /// <summary>Asks the system's own loader what is wrong with a file.</summary>
    private static class SystemLoader {
        private const int Lazy = 1;

        [DllImport("libdl.so.2", EntryPoint = "dlopen")]
        private static extern IntPtr OpenByLibdl(byte[] path, int flags);
        [DllImport("libdl.so.2", EntryPoint = "dlerror")]
        private static extern IntPtr ErrorOfLibdl();
        [DllImport("libc", EntryPoint = "dlopen")]
        private static extern IntPtr OpenByLibc(byte[] path, int flags);
        [DllImport("libc", EntryPoint = "dlerror")]
        private static extern IntPtr ErrorOfLibc();

        /// <summary>Null where nothing is known.</summary>
        internal static string Error(string path) {
            return Error(path, OpenByLibdl, ErrorOfLibdl) ?? Error(path, OpenByLibc, ErrorOfLibc);
        }

        private static string Error(string path, Func<byte[], int, IntPtr> open, Func<IntPtr> error) {
            try {
                error();  // bound now, so that nothing comes between the failure and its text
                if (open(Arguments.Utf8(path + "\0", nameof(path)), Lazy) != IntPtr.Zero) return null;
                return Arguments.Text(error());
            } catch (DllNotFoundException) {
                return null;
            } catch (EntryPointNotFoundException) {
                return null;
            }
        }
    }
}

}
