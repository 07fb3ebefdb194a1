// SPDX-License-Identifier: MIT
using System;
using System.Threading;

namespace Bitnet {

/// <summary>What holds memory outside of the runtime's care. Any thread may dispose of it, as often as it likes; used
/// after that, it throws <see cref="ObjectDisposedException"/>. What is forgotten is collected.</summary>
public abstract class NativeObject : IDisposable {
    private int disposed;

    internal NativeObject() {}

    /// <summary>Frees the memory now.</summary>
    public void Dispose() {
        if (Interlocked.Exchange(ref disposed, 1) == 0) Release();
    }

    internal abstract void Release();
}

}
