// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Threading;

namespace Bitnet {

/// <summary>Weights and vocabulary, shared by any number of sessions and threads, whose calls run at the same time.
/// </summary>
public sealed class Model : NativeObject {
    private readonly Listener listener;  // which the model's log calls as long as it lives
    internal readonly Native.Model Native;
    private readonly string description;

    private Model(Func<Native.OpenOptions, Native.Listener, Native.Model> open, OpenOptions options,
                  CancellationToken cancellationToken) {
        NativeLibrary.Load();
        options = options ?? new OpenOptions();
        listener = new Listener(options.Progress, options.Log);
        using (Native.OpenOptions native = options.ToNative()) {
            Native = listener.Call(l => open(native, l), cancellationToken);
        }
        ModelInfo info = Info;
        Name = info.Name.Length > 0 ? info.Name : "unnamed";
        description = Name + ", " + info.Architecture + ", " + info.Parameters + " parameters";
    }

    /// <summary>Opens a .bitnet file, which is mapped and used as it lies, or a GGUF file, which is repacked in
    /// memory.</summary>
    public static Model Open(string path, OpenOptions options = null,
                             CancellationToken cancellationToken = default(CancellationToken)) {
        byte[] file = Arguments.Utf8(path, nameof(path));
        return new Model((o, l) => Bitnet.Native.Model.open(file, o, l), options, cancellationToken);
    }

    /// <summary>The same from a file's bytes, which are copied.</summary>
    public static Model Open(byte[] data, OpenOptions options = null,
                             CancellationToken cancellationToken = default(CancellationToken)) {
        Arguments.NotNull(data, nameof(data));
        return new Model((o, l) => Bitnet.Native.Model.open_memory(data, o, l), options, cancellationToken);
    }

    /// <summary>What is known of the model.</summary>
    public ModelInfo Info {
        get {
            using (Native.ModelInfo info = Use(Native.info)) return new ModelInfo(info);
        }
    }

    /// <summary>Free-form entries of the file.</summary>
    public IReadOnlyDictionary<string, string> Metadata {
        get {
            byte[][] texts = Use(Native.metadata);
            var entries = new Dictionary<string, string>();
            for (int i = 0; i < texts.Length; i += 2) entries[Arguments.Text(texts[i])] = Arguments.Text(texts[i + 1]);
            return entries;
        }
    }

    /// <summary>The tokens of a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="special">Text such as "&lt;|eot_id|&gt;" becomes that control token: never for text from
    /// strangers.</param>
    /// <param name="bosEos">Add the begin and end tokens that the vocabulary asks for.</param>
    public int[] Tokenize(string text, bool special = false, bool bosEos = false) {
        byte[] utf8 = Arguments.Utf8(text, nameof(text));
        return Use(() => Native.tokenize(utf8, Flags(special, bosEos)));
    }

    /// <summary>The text of tokens. Half a character at a cut becomes U+FFFD; a <see cref="TokenDecoder"/> does
    /// streams.</summary>
    /// <param name="tokens">The tokens.</param>
    /// <param name="special">Write control tokens out; otherwise they are left out.</param>
    public string Detokenize(IEnumerable<int> tokens, bool special = false) {
        int[] array = Arguments.Tokens(tokens, nameof(tokens));
        return Arguments.Text(Use(() => Native.detokenize(array, Flags(special))));
    }

    internal static uint Flags(bool special, bool bosEos = false) {
        return (uint)((special ? Bitnet.Native.Functions.BITNET_TEXT_SPECIAL : 0) |
                      (bosEos ? Bitnet.Native.Functions.BITNET_TEXT_BOS_EOS : 0));
    }

    /// <summary>Whether no plain text is written by the token.</summary>
    public bool IsControl(int token) => Use(() => Native.is_control(token));

    /// <summary>Whether the token ends a generation.</summary>
    public bool IsEnd(int token) => Use(() => Native.is_end(token));

    /// <summary>A conversation as the model's chat template writes it, to look at or to store. It does not tell the
    /// template's control tokens from contents that spell one; <see cref="ChatTokenize"/> does.</summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="promptReply">Up to where the assistant's reply begins.</param>
    public string ChatPrompt(IEnumerable<Message> messages, bool promptReply = true) {
        using (Native.Conversation conversation = Message.ToNative(messages)) {
            return Arguments.Text(Use(() => Native.chat_format(conversation, ChatFlags(promptReply, false))));
        }
    }

    /// <summary>The tokens of a conversation as the model's chat template writes it. Control tokens are those that the
    /// template itself writes; contents that spell one are plain text.</summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="promptReply">Up to where the assistant's reply begins.</param>
    /// <param name="trust">Control tokens spelt out in contents are those tokens. Never for text from strangers, who
    /// could then speak for others.</param>
    public int[] ChatTokenize(IEnumerable<Message> messages, bool promptReply = true, bool trust = false) {
        using (Native.Conversation conversation = Message.ToNative(messages)) {
            return Use(() => Native.chat_tokenize(conversation, ChatFlags(promptReply, trust)));
        }
    }

    private static uint ChatFlags(bool promptReply, bool trust) {
        return (uint)((promptReply ? Bitnet.Native.Functions.BITNET_CHAT_REPLY : 0) |
                      (trust ? Bitnet.Native.Functions.BITNET_CHAT_TRUST : 0));
    }

    /// <summary>The embeddings of texts, which are computed together: texts whose meaning is alike have embeddings with a
    /// large dot product.</summary>
    /// <param name="texts">The texts.</param>
    /// <param name="options">How they are embedded; the format must be <see cref="EmbedFormat.Float"/>.</param>
    /// <param name="cancellationToken">Stops the call.</param>
    public float[][] Embed(IEnumerable<string> texts, EmbedOptions options = null,
                           CancellationToken cancellationToken = default(CancellationToken)) =>
        Embed(texts, options, null, cancellationToken);

    /// <summary>The same in any format, as the bytes of each embedding; floats are in the order of bytes of this machine.
    /// </summary>
    public byte[][] EmbedBytes(IEnumerable<string> texts, EmbedOptions options = null,
                               CancellationToken cancellationToken = default(CancellationToken)) =>
        EmbedBytes(texts, options, null, cancellationToken);

    internal float[][] Embed(IEnumerable<string> texts, EmbedOptions options, Native.Engine engine,
                             CancellationToken cancellationToken) {
        if (options != null && options.Format != EmbedFormat.Float) {
            throw new ArgumentException("these embeddings are not of floats", nameof(options));
        }
        return Array.ConvertAll(EmbedBytes(texts, options, engine, cancellationToken), bytes => {
            var floats = new float[bytes.Length / sizeof(float)];
            Buffer.BlockCopy(bytes, 0, floats, 0, bytes.Length);
            return floats;
        });
    }

    internal byte[][] EmbedBytes(IEnumerable<string> texts, EmbedOptions options, Native.Engine engine,
                                 CancellationToken cancellationToken) {
        Arguments.NotNull(texts, nameof(texts));
        using (Native.EmbedOptions native = (options ?? new EmbedOptions()).ToNative())
        using (var all = new Native.Texts()) {
            int count = 0;
            foreach (string text in texts) {
                all.add(Arguments.Utf8(text, nameof(texts)));
                count++;
            }
            byte[] bytes = null;
            Arguments.Cancellable(cancel => bytes = Use(() => Native.embed(all, native, engine, cancel)),
                                  cancellationToken);
            var embeddings = new byte[count][];
            for (int i = 0; i < count; i++) {
                embeddings[i] = new byte[bytes.Length / count];
                Buffer.BlockCopy(bytes, i * embeddings[i].Length, embeddings[i], 0, embeddings[i].Length);
            }
            return embeddings;
        }
    }

    /// <summary>What computes for the sessions that it makes, in place of the model's own engine.</summary>
    /// <param name="options">How it does that.</param>
    /// <param name="pool">Whose threads compute.</param>
    public Engine CreateEngine(EngineOptions options = null, Pool pool = null) {
        using (Native.EngineOptions native = (options ?? new EngineOptions()).ToNative()) {
            return new Engine(this, native, pool);
        }
    }

    /// <summary>What an engine would take besides the model and its sessions, in bytes.</summary>
    public long EngineMemory(EngineOptions options = null) {
        using (Native.EngineOptions native = (options ?? new EngineOptions()).ToNative()) {
            return Use(() => Native.engine_memory(native));
        }
    }

    /// <summary>Has the model's own engine give memory back that it does not need at the moment: what it keeps of prompts,
    /// and its work space.</summary>
    /// <returns>The bytes of the prompts.</returns>
    public long Trim() => Use(() => Native.trim());

    /// <summary>What a session would take besides the model and its engine, in bytes.</summary>
    public long SessionMemory(SessionOptions options = null) {
        using (Native.SessionOptions native = (options ?? new SessionOptions()).ToNative()) {
            return Use(() => Native.session_memory(native));
        }
    }

    /// <summary>An empty session. The model's own engine computes for it, as for all that are made here.</summary>
    public Session CreateSession(SessionOptions options = null) => CreateSession(options, null);

    internal Session CreateSession(SessionOptions options, Native.Engine engine) {
        using (Native.SessionOptions native = (options ?? new SessionOptions()).ToNative()) {
            return new Session(this, Use(() => new Native.Session(Native, native, engine)));
        }
    }

    /// <summary>A streaming detokenizer.</summary>
    /// <param name="special">Write control tokens out; otherwise they are left out.</param>
    public TokenDecoder CreateDecoder(bool special = false) => new TokenDecoder(this, Flags(special));

    /// <summary>What others call it, also once it is disposed of.</summary>
    internal string Name { get; }

    /// <summary>What it is, for people.</summary>
    public override string ToString() => "Model[" + description + Ending;

    // Sessions that still use the model keep what they need.
    internal override void Release() {
        Native.close();
        Native.Dispose();
    }
}

/// <summary>Tokens to text as they come, never splitting a character. Made by <see cref="Model.CreateDecoder"/>.
/// </summary>
public sealed class TokenDecoder : NativeObject {
    private readonly Model model;
    private readonly Native.Decoder native;

    internal TokenDecoder(Model model, uint flags) {
        this.model = model;
        native = model.Use(() => new Native.Decoder(model.Native, flags));
    }

    /// <summary>The text that a token completes, which may be empty.</summary>
    public string Push(int token) => Arguments.Text(Use(() => native.push(token)));

    /// <summary>What is left, at most one U+FFFD. Starts over.</summary>
    public string Finish() => Arguments.Text(Use(native.finish));

    /// <summary>What it is, for people.</summary>
    public override string ToString() => "TokenDecoder[" + model.Name + Ending;

    internal override void Release() {
        native.close();
        native.Dispose();
    }
}

}
