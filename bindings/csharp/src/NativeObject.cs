// SPDX-License-Identifier: MIT
using System;
using System.Threading;

namespace Bitnet {

/// <summary>What holds memory outside of the runtime's care. Any thread may dispose of it, as often as it likes; used
/// after that, it throws an <see cref="ObjectDisposedException"/> that names it. What is forgotten is collected.
/// </summary>
public abstract class NativeObject : IDisposable {
    private int disposed;

    internal NativeObject() {}

    /// <summary>Frees the memory now.</summary>
    public void Dispose() {
        if (Interlocked.Exchange(ref disposed, 1) == 0) Release();
    }

    internal abstract void Release();

    internal bool IsDisposed => Volatile.Read(ref disposed) != 0;

    /// <summary>What ends the text of <see cref="object.ToString"/>.</summary>
    internal string Ending => IsDisposed ? ", disposed]" : "]";

    /// <summary>Makes a call with the native object, which another thread may dispose of meanwhile: then neither what
    /// the runtime says of its handle nor what the library says names this.</summary>
    internal T Use<TWith, T>(TWith with, Func<TWith, T> call) {
        if (IsDisposed) throw Disposed();
        try {
            return call(with);
        } catch (ObjectDisposedException) when (IsDisposed) {
            throw Disposed();
        } catch (BitnetException exception) when (IsDisposed && exception.Status == Status.Argument) {
            throw Disposed();
        }
    }

    internal T Use<T>(Func<T> call) => Use(call, c => c());

    internal void Use(Action call) {
        Use<Action, object>(call, c => {
            c();
            return null;
        });
    }

    private ObjectDisposedException Disposed() => new ObjectDisposedException(GetType().FullName);
}

}
