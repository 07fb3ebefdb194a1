// SPDX-License-Identifier: MIT
using System.Collections.Generic;

namespace Bitnet {

/// <summary>Turns logits into a token. Holds the random state.</summary>
public sealed class Sampler : NativeObject {
    private readonly Native.Sampler native;

    /// <summary>By default it chooses the most likely token.</summary>
    public Sampler(SamplerOptions options = null) {
        NativeLibrary.Load();
        using (Native.SamplerOptions o = (options ?? new SamplerOptions()).ToNative()) native = new Native.Sampler(o);
    }

    /// <summary>Starts the random numbers over.</summary>
    public void Reseed(ulong seed) => Use(() => native.reseed(seed));

    /// <summary>A token drawn from the session's last logits, whose tokens are the recent ones. It is not
    /// evaluated.</summary>
    public int Sample(Session session) {
        Arguments.NotNull(session, nameof(session));
        return session.Use(() => Use(() => session.Native.sample(native)));
    }

    /// <summary>The same from logits of your own.</summary>
    public int Sample(float[] logits, IEnumerable<int> recent = null) {
        Arguments.NotNull(logits, nameof(logits));
        int[] tokens = Arguments.Tokens(recent ?? new int[0], nameof(recent));
        return Use(() => native.sample_logits(logits, tokens));
    }

    /// <summary>What it is, for people.</summary>
    public override string ToString() => IsDisposed ? "Sampler[disposed]" : "Sampler[ready]";

    internal override void Release() {
        native.close();
        native.Dispose();
    }
}

}
