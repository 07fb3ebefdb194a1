// SPDX-License-Identifier: MIT
using System.Collections.Generic;
using System.Threading;

namespace Bitnet {

/// <summary>Threads that compute, which engines of several models may share: they take turns, a pass at a time. Engines
/// that use it keep what they need of it.</summary>
public sealed class Pool : NativeObject {
    internal readonly Native.Pool Native;

    /// <summary>By default one thread for each physical core.</summary>
    public Pool(PoolOptions options = null) {
        NativeLibrary.Load();
        using (Native.PoolOptions o = (options ?? new PoolOptions()).ToNative()) Native = new Native.Pool(o);
    }

    /// <summary>What it is, for people.</summary>
    public override string ToString() => IsDisposed ? "Pool[disposed]" : "Pool[ready]";

    internal override void Release() {
        Native.close();
        Native.Dispose();
    }
}

/// <summary>Computes what its sessions ask for at the same time, in one pass over the weights. Made by
/// <see cref="Model.CreateEngine"/>, for programs that want another one than the model's own. Sessions that use it keep
/// what they need of it.</summary>
public sealed class Engine : NativeObject {
    private readonly Native.Engine native;

    internal Engine(Model model, Native.EngineOptions options, Pool pool) {
        Model = model;
        native = pool == null ? model.Use(() => new Native.Engine(model.Native, options, null))
                              : model.Use(() => pool.Use(() => new Native.Engine(model.Native, options, pool.Native)));
    }

    /// <summary>Of whose sessions it is.</summary>
    public Model Model { get; }

    /// <summary>An empty session that this engine computes for.</summary>
    public Session CreateSession(SessionOptions options = null) => Use(() => Model.CreateSession(options, native));

    /// <summary>Gives memory back that it does not need at the moment: as <see cref="Model.Trim"/>.</summary>
    /// <returns>The bytes of the prompts that it kept.</returns>
    public long Trim() => Use(() => native.trim());

    /// <summary><see cref="Model.Embed(IEnumerable{string}, EmbedOptions, CancellationToken)"/> by this engine.</summary>
    public float[][] Embed(IEnumerable<string> texts, EmbedOptions options = null,
                           CancellationToken cancellationToken = default(CancellationToken)) =>
        Use(() => Model.Embed(texts, options, native, cancellationToken));

    /// <summary><see cref="Model.EmbedBytes(IEnumerable{string}, EmbedOptions, CancellationToken)"/> by this engine.</summary>
    public byte[][] EmbedBytes(IEnumerable<string> texts, EmbedOptions options = null,
                               CancellationToken cancellationToken = default(CancellationToken)) =>
        Use(() => Model.EmbedBytes(texts, options, native, cancellationToken));

    /// <summary>What it is, for people.</summary>
    public override string ToString() => "Engine[" + Model.Name + Ending;

    internal override void Release() {
        native.close();
        native.Dispose();
    }
}

}
