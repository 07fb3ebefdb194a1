// SPDX-License-Identifier: MIT
// What the generated code of typemaps.i uses to bring data and errors across.
using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.InteropServices;
using System.Text;

namespace Bitnet.Native {

/// <summary>An object of native.h. The runtime holds it during every call, and deletes it once nobody does.</summary>
internal sealed class Handle : SafeHandle {
    internal static readonly Handle None = new Handle(IntPtr.Zero, null);

    private readonly Action<IntPtr> delete;

    internal Handle(IntPtr pointer, Action<IntPtr> delete) : base(IntPtr.Zero, delete != null) {
        this.delete = delete;
        SetHandle(pointer);
    }

    public override bool IsInvalid => handle == IntPtr.Zero;

    protected override bool ReleaseHandle() {
        delete(handle);
        return true;
    }

    // SWIG's director code is fixed on HandleRef. It is called by the constructor of what the handle belongs to.
    public static implicit operator HandleRef(Handle handle) => new HandleRef(handle, handle.handle);
}

/// <summary>An array as C sees it; the size counts items.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Slice {
    internal IntPtr Data;
    internal UIntPtr Size;

    internal byte[] ToBytes() {
        var bytes = new byte[checked((int)Size.ToUInt64())];
        if (bytes.Length != 0) Marshal.Copy(Data, bytes, 0, bytes.Length);
        return bytes;
    }
}

/// <summary>Keeps an array in its place during a call.</summary>
internal struct Pin : IDisposable {
    private GCHandle pinned;
    internal readonly Slice Slice;

    internal Pin(Array array) {
        if (array == null) throw new ArgumentNullException();
        pinned = GCHandle.Alloc(array, GCHandleType.Pinned);
        Slice.Data = pinned.AddrOfPinnedObject();
        Slice.Size = new UIntPtr((ulong)array.LongLength);
    }

    public void Dispose() => pinned.Free();
}

/// <summary>The callbacks through which results and errors come, and where each thread finds them.</summary>
internal sealed class Crossing {
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate void ErrorCallback(int status, IntPtr message, long length);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate void ResultCallback(IntPtr data, long bytes);

    [DllImport("bitnet_csharp")]
    private static extern void bitnet_csharp_set_callbacks(ErrorCallback error, ResultCallback result);

    [ThreadStatic]
    private static List<byte[]> results;

    // The library keeps pointers to them, the collector does not know.
    private readonly ErrorCallback error = OnError;
    private readonly ResultCallback result = OnResult;

    internal Crossing() {
        bitnet_csharp_set_callbacks(error, result);
    }

    private static void OnError(int status, IntPtr message, long length) {
        try {
            FunctionsPINVOKE.SWIGPendingException.Set(
                MakeException(status, Encoding.UTF8.GetString(Copy(message, length))));
        } catch (Exception exception) {
            FunctionsPINVOKE.SWIGPendingException.Set(exception);
        }
    }

    // What .NET has an exception of its own for is that.
    private static Exception MakeException(int status, string message) {
        if (status == (int)bitnet_status.BITNET_ERROR_NOT_FOUND) return new FileNotFoundException(message);
        return new BitnetException((Status)status, message);
    }

    // No exception may pass through native code: the wrapper's caller finds it.
    private static void OnResult(IntPtr data, long bytes) {
        if (FunctionsPINVOKE.SWIGPendingException.Pending) return;
        try {
            if (results == null) results = new List<byte[]>();
            results.Add(Copy(data, bytes));
        } catch (Exception exception) {
            results?.Clear();
            FunctionsPINVOKE.SWIGPendingException.Set(exception);
        }
    }

    private static byte[] Copy(IntPtr data, long bytes) {
        var copy = new byte[bytes];
        if (copy.Length != 0) Marshal.Copy(data, copy, 0, copy.Length);
        return copy;
    }

    internal static byte[][] TakeAll() {
        if (results == null) return new byte[0][];
        byte[][] all = results.ToArray();
        results.Clear();
        return all;
    }

    internal static byte[] TakeBytes() => TakeAll()[0];

    internal static T[] Take<T>(int size) {
        byte[] bytes = TakeBytes();
        var items = new T[bytes.Length / size];
        Buffer.BlockCopy(bytes, 0, items, 0, bytes.Length);
        return items;
    }
}

}
