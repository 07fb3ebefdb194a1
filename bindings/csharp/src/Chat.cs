// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;
using System.Threading;

namespace Bitnet {

/// <summary>How a conversation is held.</summary>
public sealed class ChatOptions {
    /// <summary>Control tokens spelt out in contents are those tokens. Never for text from strangers.</summary>
    public bool Trust { get; set; }
    /// <summary>Where the model has no template, a conversation is plain text that it goes on with.</summary>
    public bool Plain { get; set; }
    /// <summary>What is done about a history that leaves too little room for a reply.</summary>
    public ChatFit Fit { get; set; }
    /// <summary>Tokens of the context that a prompt leaves free for the reply; 0: the reply's MaxTokens, or 256, but no more
    /// than a quarter of the context.</summary>
    public int Reserve { get; set; }
}

/// <summary>The latest prompt of a chat, also one that was refused. Numbers are 0 before the first.</summary>
public sealed class ChatPrompt {
    internal ChatPrompt(Native.ChatPrompt prompt) {
        LeftOut = (int)prompt.left_out;
        LeftOutFrom = (int)prompt.left_out_from;
        Tokens = (int)prompt.tokens;
        TokensNeeded = (int)prompt.tokens_needed;
    }

    /// <summary>How many messages were left out of it.</summary>
    public int LeftOut { get; }
    /// <summary>The first of these, in the history as it was then; they stand side by side.</summary>
    public int LeftOutFrom { get; }
    /// <summary>Tokens that it has.</summary>
    public int Tokens { get; }
    /// <summary>Tokens of context that it and the room for the reply take.</summary>
    public int TokensNeeded { get; }

    /// <summary>How long it is, for people.</summary>
    public override string ToString() => "ChatPrompt[" + Tokens + " tokens, " + LeftOut + " messages left out]";
}

/// <summary>A conversation, whose replies a session generates. What the session holds of a prompt is not evaluated again,
/// and a reply is the same whatever it holds. It may be used for other things between replies. While one thread pulls a
/// reply, others may look at the history.</summary>
public sealed class Chat : NativeObject {
    private readonly Native.Chat native;

    /// <summary>An empty one.</summary>
    public Chat(Session session, ChatOptions options = null) {
        Session = Arguments.NotNull(session, nameof(session));
        ChatOptions o = options ?? new ChatOptions();
        int flags = (o.Trust ? Bitnet.Native.Functions.BITNET_CHAT_TRUST : 0) |
                    (o.Plain ? Bitnet.Native.Functions.BITNET_CHAT_PLAIN : 0);
        var fit = (Native.bitnet_chat_fit)Arguments.Defined(o.Fit, nameof(o.Fit));
        uint reserve = Arguments.Count(o.Reserve, nameof(o.Reserve));
        native = session.Use(() => new Native.Chat(session.Native, (uint)flags, fit, reserve));
    }

    /// <summary>What generates the replies.</summary>
    public Session Session { get; }

    /// <summary>The number of messages.</summary>
    public int Count => Use(() => (int)native.count());

    /// <summary>A copy of the history.</summary>
    public IReadOnlyList<Message> Messages {
        get {
            var messages = new List<Message>();
            int count = Count;
            for (uint i = 0; i < count; i++) {
                uint index = i;
                messages.Add(Use(() => new Message(Arguments.Text(native.role(index)), Arguments.Text(native.content(index)))));
            }
            return messages;
        }
    }

    /// <summary>Puts a message at the end. Like every change of the history it ends a reply under way, whose text so far
    /// stays.</summary>
    public void Add(Message message) {
        byte[] role = Role(message), content = Content(message);
        Use(() => native.add(role, content));
    }

    /// <summary>Puts a message before another.</summary>
    public void Insert(int index, Message message) {
        uint at = Arguments.Count(index, nameof(index));
        byte[] role = Role(message), content = Content(message);
        Use(() => native.insert(at, role, content));
    }

    /// <summary>Takes out all messages from an index on.</summary>
    public void Remove(int index) {
        uint at = Arguments.Count(index, nameof(index));
        Use(() => native.remove_from(at));
    }

    /// <summary>Takes out so many messages from an index on.</summary>
    public void Remove(int index, int count) {
        uint at = Arguments.Count(index, nameof(index)), n = Arguments.Count(count, nameof(count));
        Use(() => native.remove(at, n));
    }

    private static byte[] Role(Message message) {
        return Arguments.Utf8(Arguments.NotNull(message, nameof(message)).Role, nameof(Message.Role));
    }

    private static byte[] Content(Message message) => Arguments.Utf8(message.Content, nameof(Message.Content));

    /// <summary>The assistant's reply to the history, which has it as soon as the text has ended. If it is disposed of
    /// before, what it had given out stays.</summary>
    public Generation Reply(GenerateOptions options = null,
                            CancellationToken cancellationToken = default(CancellationToken)) {
        return Start(native.reply, options, cancellationToken);
    }

    /// <summary>Another reply in place of the last message, which stays until the new one is there.</summary>
    public Generation Regenerate(GenerateOptions options = null,
                                 CancellationToken cancellationToken = default(CancellationToken)) {
        return Start(native.regenerate, options, cancellationToken);
    }

    /// <summary>Adds a message of the user, and gives the reply to it. Where there can be none, the history is as before.
    /// </summary>
    public Generation Send(string text, GenerateOptions options = null,
                           CancellationToken cancellationToken = default(CancellationToken)) {
        Add(Message.User(Arguments.NotNull(text, nameof(text))));
        try {
            return Reply(options, cancellationToken);
        } catch {
            Remove(Count - 1);
            throw;
        }
    }

    private Generation Start(Func<Native.GenerateOptions, Native.Generation> start, GenerateOptions options,
                             CancellationToken cancellationToken) {
        using (Native.GenerateOptions o = (options ?? new GenerateOptions()).ToNative()) {
            return new Generation(Session, Session.Use(() => Use(() => start(o))), cancellationToken);
        }
    }

    /// <summary>What the latest prompt was.</summary>
    public ChatPrompt Prompt {
        get {
            using (Native.ChatPrompt prompt = Use(native.prompt)) return new ChatPrompt(prompt);
        }
    }

    /// <summary>Writes the history to a file, as JSON that other programs know: an object with "messages".</summary>
    public void Save(string path) {
        byte[] file = Arguments.Utf8(path, nameof(path));
        Use(() => native.save(file));
    }

    /// <summary>Reads back what <see cref="Save"/> wrote, or any such file, in place of the history.</summary>
    public void Load(string path) {
        byte[] file = Arguments.Utf8(path, nameof(path));
        Use(() => native.load(file));
    }

    /// <summary>What <see cref="Save"/> writes.</summary>
    public string SaveJson() => Arguments.Text(Use(native.save_memory));

    /// <summary>Reads such JSON in place of the history.</summary>
    public void LoadJson(string text) {
        byte[] json = Arguments.Utf8(text, nameof(text));
        Use(() => native.load_memory(json));
    }

    /// <summary>What it is, for people.</summary>
    public override string ToString() => IsDisposed ? "Chat[disposed]" : "Chat[" + Count + " messages]";

    internal override void Release() {
        native.close();
        native.Dispose();
    }
}

}
