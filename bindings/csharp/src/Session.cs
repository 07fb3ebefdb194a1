// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;

namespace Bitnet {

/// <summary>Which logits an evaluation computes.</summary>
public enum LogitsOf {
    /// <summary>Of the last token given.</summary>
    Last = 0,
    /// <summary>Of every token given.</summary>
    All = 1,
    /// <summary>None, which is quicker.</summary>
    None = 2
}

/// <summary>Counters of a session.</summary>
public struct Perf {
    internal Perf(Native.bitnet_perf perf) {
        PromptTokens = (long)perf.prompt_tokens;
        PromptTime = Time(perf.prompt_ns);
        GeneratedTokens = (long)perf.generated_tokens;
        GeneratedTime = Time(perf.generated_ns);
        SampledTokens = (long)perf.sampled_tokens;
        SampleTime = Time(perf.sample_ns);
    }

    private static TimeSpan Time(ulong nanoseconds) => TimeSpan.FromTicks((long)(nanoseconds / 100));

    /// <summary>Tokens evaluated by calls with more than one.</summary>
    public long PromptTokens { get; }
    /// <summary>The time these calls took.</summary>
    public TimeSpan PromptTime { get; }
    /// <summary>Tokens evaluated one by one.</summary>
    public long GeneratedTokens { get; }
    /// <summary>The time these calls took.</summary>
    public TimeSpan GeneratedTime { get; }
    /// <summary>Tokens drawn.</summary>
    public long SampledTokens { get; }
    /// <summary>The time that took.</summary>
    public TimeSpan SampleTime { get; }
}

/// <summary>One sequence of tokens with its cache, its threads and its last logits. Calls of several threads queue up;
/// <see cref="NativeObject.Dispose"/> cancels the one that runs.</summary>
public sealed class Session : NativeObject {
    internal readonly Native.Session Native;

    internal Session(Model model, Native.Session native) {
        Model = model;
        Native = native;
    }

    /// <summary>What made it.</summary>
    public Model Model { get; }

    /// <summary>The number of tokens evaluated so far.</summary>
    public int Position => (int)Native.position();

    /// <summary>The number of tokens that fit.</summary>
    public int Context => (int)Native.context();

    /// <summary>The tokens evaluated so far.</summary>
    public int[] GetTokens() => Native.tokens();

    /// <summary>Goes on from the session's tokens and a prompt. Nothing is evaluated until the first piece of text is
    /// asked for.</summary>
    public Generation Generate(string prompt, GenerateOptions options = null,
                               CancellationToken cancellationToken = default(CancellationToken)) {
        return Generate(prompt, options, 0, cancellationToken);
    }

    /// <summary>The same from a prompt of tokens, to which nothing is added.</summary>
    public Generation Generate(IEnumerable<int> prompt, GenerateOptions options = null,
                               CancellationToken cancellationToken = default(CancellationToken)) {
        int[] tokens = Arguments.Tokens(prompt, nameof(prompt));
        using (Native.GenerateOptions native = (options ?? new GenerateOptions()).ToNative()) {
            return new Generation(this, Native.generate_tokens(tokens, native), cancellationToken);
        }
    }

    /// <summary>The assistant's answer to a conversation, given whole each time; what the session holds of it is kept.
    /// </summary>
    public Generation Chat(IEnumerable<Message> messages, GenerateOptions options = null,
                           CancellationToken cancellationToken = default(CancellationToken)) {
        const int flags =
            Bitnet.Native.Functions.BITNET_GENERATE_WHOLE | Bitnet.Native.Functions.BITNET_GENERATE_SPECIAL_PROMPT;
        return Generate(Model.ChatPrompt(messages), options, flags, cancellationToken);
    }

    private Generation Generate(string prompt, GenerateOptions options, int flags,
                                CancellationToken cancellationToken) {
        byte[] text = Arguments.Utf8(prompt, nameof(prompt));
        using (Native.GenerateOptions native = (options ?? new GenerateOptions()).ToNative(flags)) {
            return new Generation(this, Native.generate(text, native), cancellationToken);
        }
    }

    /// <summary>Appends tokens and computes their keys, values and logits. If that fails or is cancelled, the session
    /// is as before.</summary>
    public void Eval(IEnumerable<int> tokens, LogitsOf logits = LogitsOf.Last,
                     CancellationToken cancellationToken = default(CancellationToken)) {
        int[] array = Arguments.Tokens(tokens, nameof(tokens));
        Arguments.Cancellable(cancel => Native.eval(array, (Native.bitnet_logits_of)logits, cancel), cancellationToken);
    }

    /// <summary>The logits of the last evaluation; row counts its tokens if it was made with
    /// <see cref="LogitsOf.All"/>.</summary>
    public float[] GetLogits(int row = 0) {
        using (Native.Logits view = Native.logits(Arguments.Count(row, nameof(row)))) {
            var logits = new float[view.size()];
            Marshal.Copy(new IntPtr((long)view.address()), logits, 0, logits.Length);
            return logits;
        }
    }

    /// <summary>Forgets all tokens from a position on.</summary>
    public void Rewind(int position = 0) => Native.rewind(Arguments.Count(position, nameof(position)));

    /// <summary>A second session with the same tokens, cache and options. It shares the threads of the first.</summary>
    public Session Fork() => new Session(Model, Native.fork());

    /// <summary>Writes tokens and cache to a file.</summary>
    public void Save(string path) => Native.save(Arguments.Utf8(path, nameof(path)));

    /// <summary>Reads back what <see cref="Save"/> wrote, by a session of the same model, replacing what this one holds.</summary>
    public void Load(string path) => Native.load(Arguments.Utf8(path, nameof(path)));

    /// <summary>Tokens and cache as bytes.</summary>
    public byte[] SaveBytes() => Native.save_memory();

    /// <summary>Reads back what <see cref="SaveBytes"/> gave.</summary>
    public void LoadBytes(byte[] state) => Native.load_memory(Arguments.NotNull(state, nameof(state)));

    /// <summary>Counters since the session was made or they were last reset.</summary>
    public Perf Perf {
        get {
            using (Native.bitnet_perf perf = Native.perf()) return new Perf(perf);
        }
    }

    /// <summary>Starts the counters over.</summary>
    public void ResetPerf() => Native.reset_perf();

    internal override void Release() {
        Native.close();
        Native.Dispose();
    }
}

/// <summary>Evaluates several sessions of one model in one pass over the weights.</summary>
public sealed class Batch {
    private readonly List<Tuple<Session, int[], LogitsOf>> items = new List<Tuple<Session, int[], LogitsOf>>();

    /// <summary>Adds a session's tokens.</summary>
    public void Add(Session session, IEnumerable<int> tokens, LogitsOf logits = LogitsOf.Last) {
        items.Add(Tuple.Create(Arguments.NotNull(session, nameof(session)),
                               Arguments.Tokens(tokens, nameof(tokens)), logits));
    }

    /// <summary><see cref="Session.Eval"/> for all of them, all or nothing.</summary>
    public void Eval(CancellationToken cancellationToken = default(CancellationToken)) {
        using (var batch = new Native.Batch()) {
            foreach (Tuple<Session, int[], LogitsOf> item in items) {
                batch.add(item.Item1.Native, item.Item2, (Native.bitnet_logits_of)item.Item3);
            }
            Arguments.Cancellable(batch.eval, cancellationToken);
        }
    }
}

}
