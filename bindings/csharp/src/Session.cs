// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;

namespace Bitnet {

/// <summary>One sequence of tokens with its cache and its last logits. Calls of several threads queue up;
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
    public int Position => Use(Native, native => (int)native.position());

    /// <summary>The number of tokens that fit.</summary>
    public int Context => Use(Native, native => (int)native.context());

    /// <summary>The tokens evaluated so far.</summary>
    public int[] GetTokens() => Use(Native.tokens);

    /// <summary>Goes on from the session's tokens and a prompt. Nothing is evaluated until the first piece of text is
    /// asked for.</summary>
    public Generation Generate(string prompt, GenerateOptions options = null,
                               CancellationToken cancellationToken = default(CancellationToken)) {
        byte[] text = Arguments.Utf8(prompt, nameof(prompt));
        using (Native.GenerateOptions native = (options ?? new GenerateOptions()).ToNative()) {
            return new Generation(this, Use(() => Native.generate(text, native)), cancellationToken);
        }
    }

    /// <summary>The same from a prompt of tokens, to which nothing is added.</summary>
    public Generation Generate(IEnumerable<int> prompt, GenerateOptions options = null,
                               CancellationToken cancellationToken = default(CancellationToken)) {
        return Generate(Arguments.Tokens(prompt, nameof(prompt)), options, 0, cancellationToken);
    }

    /// <summary>The assistant's answer to a conversation, given whole each time; what the session holds of it is kept.
    /// Control tokens are those of the model's template alone, whatever the contents spell (see
    /// <see cref="GenerateOptions.Trust"/>). The model must not be disposed of yet.</summary>
    public Generation Chat(IEnumerable<Message> messages, GenerateOptions options = null,
                           CancellationToken cancellationToken = default(CancellationToken)) {
        int[] prompt = Model.ChatTokenize(messages, promptReply: true, trust: options != null && options.Trust);
        return Generate(prompt, options, Bitnet.Native.Functions.BITNET_GENERATE_WHOLE, cancellationToken);
    }

    private Generation Generate(int[] prompt, GenerateOptions options, int flags, CancellationToken cancellationToken) {
        using (Native.GenerateOptions native = (options ?? new GenerateOptions()).ToNative(flags)) {
            return new Generation(this, Use(() => Native.generate_tokens(prompt, native)), cancellationToken);
        }
    }

    /// <summary>Appends tokens and computes their keys, values and logits. If that fails or is cancelled, the session
    /// is as before.</summary>
    public void Eval(IEnumerable<int> tokens, LogitsOf logits = LogitsOf.Last,
                     CancellationToken cancellationToken = default(CancellationToken)) {
        int[] array = Arguments.Tokens(tokens, nameof(tokens));
        var which = (Native.bitnet_logits_of)Arguments.Defined(logits, nameof(logits));
        Arguments.Cancellable(cancel => Use(() => Native.eval(array, which, cancel)), cancellationToken);
    }

    /// <summary>The logits of the last evaluation; row counts its tokens if it was made with
    /// <see cref="LogitsOf.All"/>.</summary>
    public float[] GetLogits(int row = 0) {
        uint index = Arguments.Count(row, nameof(row));
        using (Native.Logits view = Use(() => Native.logits(index))) {
            var logits = new float[view.size()];
            Marshal.Copy(new IntPtr((long)view.address()), logits, 0, logits.Length);
            return logits;
        }
    }

    /// <summary>Forgets all tokens from a position on.</summary>
    public void Rewind(int position = 0) {
        uint count = Arguments.Count(position, nameof(position));
        Use(() => Native.rewind(count));
    }

    /// <summary>A second session with the same tokens, cache and options. Its engine is that of the first.</summary>
    public Session Fork() => new Session(Model, Use(Native.fork));

    /// <summary>Writes tokens and cache to a file.</summary>
    public void Save(string path) {
        byte[] file = Arguments.Utf8(path, nameof(path));
        Use(() => Native.save(file));
    }

    /// <summary>Reads back what <see cref="Save"/> wrote, by a session of the same model, replacing what this one holds.</summary>
    public void Load(string path) {
        byte[] file = Arguments.Utf8(path, nameof(path));
        Use(() => Native.load(file));
    }

    /// <summary>Tokens and cache as bytes.</summary>
    public byte[] SaveBytes() => Use(Native.save_memory);

    /// <summary>Reads back what <see cref="SaveBytes"/> gave.</summary>
    public void LoadBytes(byte[] state) {
        Arguments.NotNull(state, nameof(state));
        Use(() => Native.load_memory(state));
    }

    /// <summary>Counters since the session was made or they were last reset.</summary>
    public Perf Perf {
        get {
            using (Native.bitnet_perf perf = Use(Native.perf)) return new Perf(perf);
        }
    }

    /// <summary>Starts the counters over.</summary>
    public void ResetPerf() => Use(Native.reset_perf);

    /// <summary>What it is and how full, for people: at once, whatever the session is doing.</summary>
    public override string ToString() => "Session[" + Model.Name + Description() + Ending;

    private string Description() {
        try {
            return IsDisposed ? "" : ", " + Arguments.Text(Native.describe());
        } catch (ObjectDisposedException) {
            return "";
        }
    }

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
                               Arguments.Tokens(tokens, nameof(tokens)),
                               Arguments.Defined(logits, nameof(logits))));
    }

    /// <summary><see cref="Session.Eval"/> for all of them. If one of them cannot be evaluated, nothing is.</summary>
    public void Eval(CancellationToken cancellationToken = default(CancellationToken)) {
        using (var batch = new Native.Batch()) {
            foreach (Tuple<Session, int[], LogitsOf> item in items) {
                item.Item1.Use(() => batch.add(item.Item1.Native, item.Item2, (Native.bitnet_logits_of)item.Item3));
            }
            // Each session says so itself if it is disposed of meanwhile.
            Action<Native.Cancel> eval = items.Select(item => item.Item1).Aggregate(
                (Action<Native.Cancel>)batch.eval, (call, session) => cancel => session.Use(() => call(cancel)));
            Arguments.Cancellable(eval, cancellationToken);
        }
    }

    /// <summary>How much it is, for people.</summary>
    public override string ToString() => "Batch[" + items.Count + " sessions]";
}

}
