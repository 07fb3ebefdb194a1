// SPDX-License-Identifier: MIT
using System;
using System.Collections.Generic;

namespace Bitnet {

/// <summary>A turn of a conversation.</summary>
public sealed class Message {
    /// <summary>Of any role that the model's template knows. The content may hold zero bytes.</summary>
    public Message(string role, string content) {
        Role = Arguments.NotNull(role, nameof(role));
        Content = content ?? throw new ArgumentNullException(
            nameof(content), "The content of a message of role \"" + role + "\" is null.");
    }

    /// <summary>Instructions to the model.</summary>
    public static Message System(string content) => new Message("system", content);
    /// <summary>What the person says.</summary>
    public static Message User(string content) => new Message("user", content);
    /// <summary>What the model has said.</summary>
    public static Message Assistant(string content) => new Message("assistant", content);

    /// <summary>Who speaks.</summary>
    public string Role { get; }
    /// <summary>What is said.</summary>
    public string Content { get; }

    /// <summary>Who says what.</summary>
    public override string ToString() => Role + ": " + Content;

    internal static Native.Conversation ToNative(IEnumerable<Message> messages) {
        Arguments.NotNull(messages, nameof(messages));
        var conversation = new Native.Conversation();
        try {
            int i = 0;
            foreach (Message message in messages) {
                string name = nameof(messages) + "[" + i++ + "]";
                Arguments.NotNull(message, name);
                conversation.add(Arguments.Utf8(message.Role, name + "." + nameof(Role)),
                                 Arguments.Utf8(message.Content, name + "." + nameof(Content)));
            }
            return conversation;
        } catch {
            conversation.Dispose();
            throw;
        }
    }
}

}
